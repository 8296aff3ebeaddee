//! `fast-export`: queries to Parquet files, all in one snapshot.

mod flags;
mod outputs;
mod work;

use std::process::ExitCode;

use anyhow::anyhow;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory as _, Parser};
use indicatif::{DecimalBytes, HumanCount};

use self::flags::Flags;
use self::outputs::outputs;
use self::work::{Done, Work};
use super::failure::{Exit, Failure, answer, finish, threads};
use super::messages::say;
use super::signals::Signals;
use crate::durable::{self, SealedFile, publish_all};
use crate::environment::Environment;
use crate::parquet::other_format;
use crate::postgres::{SessionOptions, Snapshot, Target};

const SEEN_PASSWORD: &str = "warning: other users of this machine can see a password on the command line; \
                             use ~/.pgpass, a service file or PGPASSWORD";

/// The command line as clap describes it.
pub(super) fn command() -> clap::Command {
    Flags::command()
}

/// The command, from flags to exit code.
pub(super) fn main() -> ExitCode {
    if let Some(failure) = host_as_in_psql() {
        return finish(false, |_| Err(failure));
    }
    let flags = match Flags::try_parse() {
        Ok(flags) => flags,
        Err(mut error) => return answer(advised(&mut error)),
    };
    finish(flags.reraise, |signals| run(&flags, signals))
}

/// `-h HOST`, which psql takes for a host, and which would only print the help here.
fn host_as_in_psql() -> Option<Failure> {
    let words: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let host =
        words.windows(2).find(|pair| pair[0] == "-h" && !pair[1].starts_with('-')).map(|pair| &pair[1])?;
    let error = anyhow!("`-h` prints the help and takes no value");
    Some(Failure::usage(error).hint(format!("for the host, give --host {host}")))
}

/// An error of the command line, with what to do about a flag that the stage `export` has and this program has not.
fn advised(error: &mut clap::Error) -> &clap::Error {
    let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg) else { return error };
    let tip = match flag.as_str() {
        "--table" => "for a whole table, give --sql \"SELECT * FROM name\"",
        // As psql has them.
        "-d" => "for the name of the database, give --dbname",
        "-U" => "for the user, give --user",
        "-p" => "for the port, give --port",
        _ => return error,
    };
    if error.kind() == ErrorKind::UnknownArgument {
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
    error
}

fn run(flags: &Flags, signals: &Signals) -> Result<Exit, Failure> {
    let outputs = outputs(flags).map_err(Failure::usage)?;
    let target = Target::resolve(&flags.params(), &Environment::of_process()).map_err(Failure::usage)?;
    if flags.shows_password() {
        say(format_args!("{SEEN_PASSWORD}\n"));
    }
    for out in outputs.iter().map(|output| &output.out) {
        if let Some(format) = other_format(out) {
            say(format_args!(
                "warning: `{}` is written in the Parquet format, not as {format}; --keep-temp also writes CSV\n",
                out.display()
            ));
        }
    }
    let jobs = threads(flags.jobs)?;
    let options = SessionOptions { connections: jobs, ..SessionOptions::default() };
    let snapshot = Snapshot::open(&target, &options).map_err(Failure::classified)?;
    // From here on there are temporary files to remove and queries to cancel.
    signals.defer();
    let done = Work::new(&snapshot, signals, flags, jobs).all(&outputs);
    if signals.received().is_some() {
        return Err(Failure::stopped(signals));
    }
    if let Some(shortage) = snapshot.shortage() {
        say(format_args!(
            "warning: {shortage}; raise the limit of the role, the database, the server or the pooler\n"
        ));
    }
    let done = done?;
    drop(snapshot);
    for done in &done {
        for warning in &done.product.warnings {
            say(format_args!("warning: `{}`: {warning}\n", done.out.display()));
        }
    }
    let lines: Vec<String> = done.iter().map(line).collect();
    publish(done.into_iter().flat_map(Done::files).collect())?;
    if !flags.silent {
        for line in lines {
            say(format_args!("{line}\n"));
        }
    }
    Ok(Exit::Done)
}

/// Puts all outputs in their places or none.
fn publish(files: Vec<SealedFile>) -> Result<(), Failure> {
    let together = files.len() > 1;
    publish_all(files).map_err(|error| {
        let all_as_before = together && !matches!(error, durable::Error::NotRestored { .. });
        let hint = "all outputs are unchanged: they are published together or not at all";
        Failure::fault(error).hint_if(all_as_before, hint)
    })
}

/// What is said about an output in the end.
fn line(done: &Done) -> String {
    let (rows, bytes) = (done.product.rows(), DecimalBytes(done.product.bytes()));
    let unit = if rows == 1 { "row" } else { "rows" };
    let (rows, seconds) = (HumanCount(rows), done.took.as_secs_f64());
    format!("{}: {rows} {unit}, {bytes}, {seconds:.1} s", done.out.display())
}
