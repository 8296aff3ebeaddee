//! Butler repositories, read natively: against what the real Butler returned, and against each pitfall on its own.

#[path = "../support/cases.rs"]
mod cases;
mod command;
mod configuration;
mod expected;
mod extract;
mod fixture;
mod incremental;
mod outputs;
mod pages;
mod pitfalls;
mod postgresql;
mod progress;
#[path = "../support/python.rs"]
mod python;
mod real;
mod stage;
#[path = "../support/terminal.rs"]
mod terminal;
mod unify;
