//! The science against other people's numbers.

#[path = "../support/cases.rs"]
mod cases;

#[path = "../support/parquet.rs"]
#[allow(dead_code, reason = "these tests do not compare texts")]
mod parquet;

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
