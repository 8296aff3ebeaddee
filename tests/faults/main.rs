//! Faults: kills, signals, disks, records, inputs, and changes of the database between runs.
//!
//! `make test` runs a part of what `make faults` does.

#[path = "../support/cases.rs"]
mod cases;
#[path = "../support/cluster.rs"]
mod cluster;
#[path = "../support/said.rs"]
mod said;
#[path = "../cli/site.rs"]
mod site;
#[path = "../support/strace.rs"]
mod strace;
#[path = "../support/wait.rs"]
mod wait;

mod broken;
mod changes;
mod cron;
mod disks;
mod generations;
mod inputs;
mod kills;
mod panics;
mod records;
