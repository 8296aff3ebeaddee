//! The command lines as text: exit code, standard output, standard error.

#[path = "../support/cluster.rs"]
mod cluster;
mod database;
mod mistakes;
mod mistyped;
mod operations;
mod readers;
mod rules;
mod run;
mod site;
mod streams;
