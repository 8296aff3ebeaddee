//! The copied half of the wide table: blocks 1 to 4, which `obs_sbn`, `dia_sources` and the association give.
//!
//! ```text
//! Wide::open   looks at the columns of the inputs, and fails before any work is done
//! Wide::copy   obs_sbn, dia_sources -> the rows that are used, by partition of the result
//! Copied::partition -> Partition::blocks   the arrays of any rows of a partition, in their order
//! ```
//!
//! Not a place for what is computed from orbits (block 6).

mod blocks;
mod convert;
mod copy;
mod faults;
mod plan;
mod recipe;
mod routes;
mod schema;
mod store;

pub use blocks::Partition;
pub use copy::Copied;
pub use plan::Wide;
pub(super) use routes::MOST_PARTITIONS;
pub use schema::{SCHEMA, copied_columns, row_bytes};
