//! Faults: kills, signals, disks, records, inputs, and changes of the database between runs.
//!
//! `make test` runs a part of what `make faults` does.

#[path = "../support/cluster.rs"]
mod cluster;
#[path = "../cli/site.rs"]
mod site;

mod broken;
mod changes;
mod cron;
mod disks;
mod inputs;
mod kills;
mod panics;
mod records;

/// How often something is tried: `full` times by `make faults`, which sets `SSP_FAULTS`.
fn count(reduced: u32, full: u32) -> u32 {
    if std::env::var_os("SSP_FAULTS").is_some() { full } else { reduced }
}
