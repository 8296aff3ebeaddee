//! `ssp`: the nightly data-products pipeline for solar-system science with the Rubin Observatory (LSST).
//!
//! ```text
//! pipelines/*.yaml -> pipeline -> plan -> run -> stages
//!                                                  |
//!                source (postgres, butler, store) -+-> tables (schema), science (ssobject, sssource, science) -> sink (parquet)
//! ```
//!
//! [`pipeline`] reads the file; `plan` makes the sealed DAG and says why a stage runs; `run` does it, and keeps the
//! records; `stages` wires one kind of stage each. [`durable`] writes all outputs and records, [`parquet`] is the only user
//! of the format, [`store`] reads and writes objects of S3, Google and web servers, and [`tables`] holds rows in memory or on disk.

#![warn(unreachable_pub)]

pub mod butler;
#[cfg(test)]
#[path = "../tests/support/cases.rs"]
mod cases;
mod characters;
pub mod cli;
pub mod database_state;
pub mod digest;
mod dsn;
pub mod durable;
pub mod environment;
pub mod errors;
mod key;
mod lines;
mod lookup;
pub mod margin;
pub mod monitor;
mod obssubid;
pub mod parquet;
pub mod pipeline;
pub mod plan;
pub mod postgres;
mod quantity;
mod regular;
pub mod run;
mod schema;
mod secrets;
mod spelling;
pub mod ssobject;
pub mod sssource;
pub mod stages;
pub mod store;
pub mod tables;
mod threads;
pub mod throwaway;

pub use ssp_science as science;
