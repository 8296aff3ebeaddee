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
#[path = "../support/python.rs"]
mod python;
mod readers;
mod rules;
mod run;
#[path = "../support/said.rs"]
mod said;
mod site;
#[path = "../support/strace.rs"]
mod strace;
mod streams;
#[path = "../support/wait.rs"]
mod wait;
