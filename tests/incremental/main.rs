//! Incremental exports: the bytes are those of a full export, also after faults between two runs.

mod bytes;
#[path = "../support/cases.rs"]
mod cases;
#[path = "../support/cluster.rs"]
mod cluster;
mod history;
mod kills;
mod locks;
#[path = "../support/parquet.rs"]
mod parquet;
mod place;
#[path = "../support/python.rs"]
mod python;
mod random;
mod readers;
mod rules;
#[path = "../support/strace.rs"]
mod strace;
