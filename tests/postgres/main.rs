//! The export engine against a real server.

#[path = "../support/mod.rs"]
mod support;

mod types;
