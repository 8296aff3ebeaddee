//! The science against other people's numbers.

#[allow(dead_code, reason = "other test programs use more of it")]
#[path = "../support/assist.rs"]
mod assist;

#[path = "../support/cases.rs"]
mod cases;

#[path = "../support/ellipse_errors.rs"]
mod ellipse_errors;

#[allow(dead_code, reason = "other test programs use more of it")]
#[path = "../support/parquet.rs"]
mod parquet;

#[path = "../support/said.rs"]
mod said;

#[path = "../support/terminal.rs"]
mod terminal;

mod ellipses;
mod ephemeris;
mod fit_invariants;
mod hg12;
mod moid;
mod moid_columns;
mod moid_reference;
mod ssobject;
mod ssobject_cli;
mod ssobject_errors;
mod ssobject_inputs;
mod ssobject_terminal;
mod tables;
