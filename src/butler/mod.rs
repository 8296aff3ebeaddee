//! LSST Butler (Gen3) repositories, read natively: which datasets of a type a collection holds, and their rows.
//!
//! `config -> registry -> Dataset -> locate -> reader`. Only reads; not a place for what is done with the rows.

mod collections;
pub mod columns;
mod condition;
mod config;
mod database;
mod dataset;
mod document;
mod error;
mod files;
pub mod ids;
mod index;
mod locate;
pub(crate) mod metadata;
pub(crate) mod ordered;
mod place;
mod query;
pub mod reader;
mod registry;
mod repository;
mod versions;
mod zip;

pub use condition::mistake as condition_mistake;
pub use dataset::{DataId, DataValue, Dataset, DatasetId, Record};
pub use error::{Conflict, Error, Problem};
pub use place::Place;
pub(crate) use registry::Contents;
pub use registry::Selection;
pub use repository::Repository;
