//! The command lines as text: exit code, standard output, standard error.

mod mistakes;
mod operations;
mod readers;
mod run;
mod site;
