//! The command lines: flags as typed, flags as checked, and what is said at the end.
//!
//! One file per command. Not a place for work: that is below.

pub mod build_ssobject;
pub mod build_sssource;
mod conclusion;
mod connection;
pub mod extract_catalog;
pub mod failure;
pub mod fast_export;
pub mod messages;
mod output;
pub mod programs;
mod progress;
pub mod run;
pub mod signals;
mod table_flags;
mod targets;
mod words;
