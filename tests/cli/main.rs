//! The command lines as text: exit code, standard output, standard error.

mod mistakes;
mod run;
mod site;
