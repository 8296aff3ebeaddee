//! Stages as jobs of Slurm: a real one, which each test starts for itself on this machine, with two nodes.

#![expect(clippy::disallowed_methods, reason = "tests lay out files")]

mod attach;
mod cluster;
mod ends;
mod folder;
mod losses;
mod place;
#[path = "../support/python.rs"]
mod python;
#[path = "../support/said.rs"]
mod said;
mod same;
mod slices;
#[path = "../support/wait.rs"]
mod wait;
