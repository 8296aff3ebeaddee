//! The servers and faults that the tests of object stores use, tried on their own.

#[path = "../support/proxy.rs"]
mod proxy;
