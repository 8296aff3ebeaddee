//! The command lines: flags as typed, flags as checked, and what is said at the end.
//!
//! One file per command. Not a place for work: that is below.

pub mod extract_catalog;
pub mod failure;
pub mod fast_export;
pub mod signals;
