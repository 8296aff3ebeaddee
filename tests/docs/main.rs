#![allow(clippy::disallowed_methods, reason = "the tests write what the product reads")]

//! The documentation: what it shows is run, what it refers to is there, and what is generated is fresh.

mod commands;
mod language;
mod links;
mod output;
mod page;
mod plots;
mod positions;
mod reference;
mod run;
mod security;
mod tables;

#[allow(dead_code, reason = "each test program uses a part of it")]
#[path = "../support/mod.rs"]
mod support;

#[allow(dead_code, reason = "each test program uses a part of it")]
#[path = "../support/assist.rs"]
mod assist;

#[allow(dead_code, reason = "each test program uses a part of it")]
#[path = "../support/ellipse_errors.rs"]
mod ellipse_errors;

#[path = "../cli/site.rs"]
mod site;

use support::{cluster, parquet, said, wait};
