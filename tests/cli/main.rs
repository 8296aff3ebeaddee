//! The command lines as text: exit code, standard output, standard error.

mod alerts;
mod checks;
#[path = "../support/cluster.rs"]
mod cluster;
mod computed;
mod database;
mod first;
mod generations;
mod look;
mod mistakes;
mod mistyped;
mod operations;
#[path = "../support/parquet.rs"]
mod parquet;
mod readers;
mod rules;
mod run;
mod site;
mod streams;
