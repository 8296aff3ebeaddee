#![allow(clippy::disallowed_methods, reason = "the tests lay out what is delivered")]

//! The kind `deliver`, to folders and to a real S3 server, with faults and kills.

#[cfg(feature = "stores")]
mod demo;
mod files;
#[cfg(feature = "stores")]
mod kills;
mod mistakes;
mod partial;
#[cfg_attr(not(feature = "stores"), allow(dead_code, reason = "the tests of S3 use more of it"))]
mod place;
#[allow(dead_code, reason = "other test programs use more of it")]
#[path = "../support/proxy.rs"]
mod proxy;
#[path = "../support/said.rs"]
mod said;
#[cfg(feature = "stores")]
mod store;
