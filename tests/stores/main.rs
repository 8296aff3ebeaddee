#![allow(clippy::disallowed_methods, reason = "the tests write what the servers serve")]

//! Object stores: Butler repositories read from real servers, with faults; and those servers, tried on their own.

mod faults;
#[allow(dead_code, reason = "other test programs use more of it")]
#[path = "../butler/fixture.rs"]
mod fixture;
#[allow(dead_code, reason = "other test programs use more of it")]
#[path = "../support/proxy.rs"]
mod proxy;
mod proxy_alone;
#[path = "../support/python.rs"]
mod python;
#[path = "../support/static_server.rs"]
mod static_server;

mod reading;
mod real;
mod servers;
mod site;
