//! The science against other people's numbers.

mod hg12;
mod moid;
