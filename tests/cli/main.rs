//! The command lines as text: exit code, standard output, standard error.

mod alerts;
#[path = "../sssource/case.rs"]
#[allow(dead_code, reason = "only its inputs are used")]
mod case;
mod checks;
#[path = "../support/cluster.rs"]
mod cluster;
mod computed;
mod database;
mod demo;
mod felis;
mod first;
mod generations;
mod look;
mod mistakes;
mod mistyped;
mod operations;
#[path = "../support/parquet.rs"]
mod parquet;
mod parts;
mod parts_kept;
mod parts_mishaps;
mod programs;
mod readers;
mod rules;
mod run;
#[path = "../field/said.rs"]
mod said;
mod site;
mod streams;
