//! The science against other people's numbers.

mod hg12;
mod moid;
mod ssobject;
mod ssobject_errors;
mod tables;
