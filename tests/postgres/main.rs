#![allow(clippy::disallowed_methods, reason = "the tests write what the product reads")]

//! The export engine against a real server.

#[path = "../support/mod.rs"]
mod support;

mod cli;
mod connect;
mod damage;
mod encodings;
mod faults;
mod hosts;
mod losses;
mod memory;
mod overrides;
mod pages;
mod panics;
mod queries;
mod readers;
mod revocation;
mod snapshot;
mod split;
mod terminal;
mod types;
