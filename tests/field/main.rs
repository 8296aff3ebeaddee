//! Faults that users reported, a file for each kind: what went wrong once must stay right.

#[path = "../support/mod.rs"]
mod support;

mod connections;
mod matches;
mod odd_places;
mod place;
mod readers;
mod registries;
mod signals;
mod targets;
mod text;
mod unchanged;
