//! The command lines as text: exit code, standard output, standard error.

mod mistakes;
mod readers;
mod run;
mod site;
