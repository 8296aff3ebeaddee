//! Stages that work in processes of their own: what they make is the same as inside `ssp-run`, whichever process is killed.

#![expect(clippy::disallowed_methods, reason = "tests lay out files")]

mod folder;
mod kills;
#[path = "../support/said.rs"]
mod said;
mod same;
#[path = "../support/wait.rs"]
mod wait;
