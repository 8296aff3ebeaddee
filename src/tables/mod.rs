//! Tables in files: columns and single values, rows in partitions that memory can hold, and how two files differ.
//!
//! Not a place for what a column means: `ssobject` and `sssource` know that.

mod buckets;
mod cell;
mod columns;
pub(crate) mod diff;
mod error;
mod files;
mod offenders;
mod partitions;
mod slice;
mod spool;
mod values;

pub(crate) use buckets::{Buckets, buckets};
pub(crate) use cell::{Cell, object};
pub(crate) use columns::{Column, Reals};
pub use error::Error;
pub(crate) use files::{BATCH_ROWS, Batch, Files, Part};
pub use offenders::Offenders;
pub(crate) use offenders::{Wrong, more_than_once};
pub(crate) use partitions::{Ranges, by_hash, check_stop, partitions, read};
pub use slice::Slice;
pub(crate) use spool::{Fields, Parts, Record, Spool, record};
pub(crate) use values::{below_360, single};
