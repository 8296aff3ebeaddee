#![allow(clippy::disallowed_methods, reason = "the tests write what the servers serve")]

//! The servers and faults that the tests of object stores use, tried on their own.

#[allow(dead_code, reason = "other test programs use more of it")]
#[path = "../support/proxy.rs"]
mod proxy;
#[path = "../support/static_server.rs"]
mod static_server;

mod servers;
