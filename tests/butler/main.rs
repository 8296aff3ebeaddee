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
mod real;
mod stage;
mod terminal;
mod unify;
