//! The command lines: flags as typed, flags as checked, and what is said at the end.
//!
//! One file per command. Not a place for work: that is below.

mod build_ssobject;
mod build_sssource;
mod conclusion;
mod connection;
mod extract_catalog;
pub mod failure;
mod fast_export;
mod messages;
mod output;
mod programs;
mod progress;
mod run;
pub mod signals;
mod table_flags;
mod targets;
mod words;

pub use programs::{main, programs};
