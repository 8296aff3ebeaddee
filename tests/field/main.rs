#![allow(clippy::disallowed_methods, reason = "the tests lay out what the product reads")]

//! Faults that users reported, a file for each kind: what went wrong once must stay right.

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "other test programs use more of it")]
mod support;

mod connections;
mod fifos;
mod histories;
mod losses;
mod matches;
mod metrics;
mod odd_places;
mod paths;
mod place;
mod promises;
mod readers;
mod registries;
mod secrets;
mod signals;
mod targets;
mod text;
mod threads;
mod unchanged;
