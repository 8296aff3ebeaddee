//! The most likely meaning of a command line with a pipeline file, a stage or a command in the wrong place.

use std::path::Path;

use anyhow::anyhow;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory as _, Parser as _};

use crate::cli::failure::Failure;
use crate::pipeline::nearest;

use super::flags::Flags;
use super::quoted;

/// Words of other programs for what commands of this one do.
const SYNONYMS: [(&str, &[&str]); 8] = [
    ("", &["run", "build", "start", "make", "execute", "update", "all"]),
    ("-n", &["plan", "dry-run", "preview", "compile"]),
    ("status", &["list", "ls", "ps", "stages", "state"]),
    ("validate", &["lint", "test", "parse", "debug"]),
    ("head", &["show", "cat", "print", "view"]),
    ("log", &["logs"]),
    ("gc", &["clean", "prune"]),
    ("rollback", &["undo", "restore", "checkout", "revert"]),
];

/// The names of the commands.
fn commands() -> Vec<String> {
    Flags::command().get_subcommands().map(|command| command.get_name().to_owned()).collect()
}

/// Whether the next word is the value of a flag of a run.
fn takes_value(flag: &str) -> bool {
    let program = Flags::command();
    let is_named = |argument: &&clap::Arg| match flag.strip_prefix("--") {
        Some(long) => argument.get_long() == Some(long),
        None => argument.get_short().is_some_and(|short| flag[1..].chars().eq([short])),
    };
    program.get_arguments().find(is_named).is_some_and(|argument| argument.get_action().takes_values())
}

fn synonym(word: &str) -> Option<&'static str> {
    SYNONYMS.iter().find(|(_, words)| words.contains(&word)).map(|(command, _)| *command)
}

/// Whether a word is written as a pipeline file is.
pub(super) fn is_file(word: &str) -> bool {
    let extension = Path::new(word).extension().and_then(|extension| extension.to_str());
    matches!(extension, Some("yaml" | "yml" | "json")) || word.contains('/')
}

/// The line to type instead of arguments that cannot be understood.
pub(super) fn line(arguments: &[String]) -> Option<String> {
    let (mut file, mut words, mut flags) = (None, Vec::new(), Vec::new());
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "-p" | "--pipeline" => file = Some(rest.next()?.as_str()),
            flag if flag.starts_with('-') => {
                flags.push(flag);
                if takes_value(flag) {
                    flags.push(rest.next()?);
                }
            }
            variable if variable.contains('=') => flags.extend(["--set", variable]),
            word if file.is_none() && is_file(word) => file = Some(word),
            word => words.push(word),
        }
    }
    let first = words.first().copied().or_else(|| flags.contains(&"--set").then_some(""))?;
    let known = commands();
    let (command, names) = match synonym(first) {
        _ if known.iter().any(|name| name == first) => (first, &words[1..]),
        Some(command) => (command, &words[1..]),
        None => ("", &words[..]),
    };
    let mut line = vec!["ssp-run".to_owned()];
    if matches!(command, "" | "-n") {
        line.extend(Some(command.to_owned()).filter(|command| !command.is_empty()));
        line.extend(file.map(quoted));
        if !names.is_empty() {
            line.extend(["--stage".to_owned(), quoted(&names.join(","))]);
        }
    } else {
        line.push(command.to_owned());
        line.extend(names.iter().copied().map(quoted));
        line.extend(file.map(|file| format!("-p {}", quoted(file))));
    }
    line.extend(flags.into_iter().map(quoted));
    Some(line.join(" "))
}

/// An error of the command line, with the line to type.
pub(super) fn advised(error: &mut clap::Error) -> &clap::Error {
    let arguments: Option<Vec<String>> =
        std::env::args_os().skip(1).map(|word| word.into_string().ok()).collect();
    if matches!(error.kind(), ErrorKind::UnknownArgument | ErrorKind::ArgumentConflict)
        && error.get(ContextKind::SuggestedArg).is_none()
        && let Some(line) = arguments.as_deref().and_then(line)
        // A tip that fails again is worse than none. A line with quotes is not tried.
        && (line.contains('\'') || Flags::try_parse_from(line.split(' ')).is_ok())
    {
        error.insert(
            ContextKind::Suggested,
            ContextValue::StyledStrs(vec![format!("did you mean: {line}").into()]),
        );
    }
    error
}

/// What to do about a word without a dot or a slash that was taken for a pipeline file.
pub(super) fn instead_of_file(word: &str) -> String {
    let known = commands();
    let stage = format!("`ssp-run --stage {}` runs a stage of this name", quoted(word));
    match (synonym(word), nearest(word, known.iter().map(String::as_str))) {
        (Some(""), _) => "to run the pipeline, type: ssp-run FILE".to_owned(),
        (Some(command), _) => format!("did you mean: ssp-run {command}"),
        (None, Some(command)) => format!("did you mean: ssp-run {command}; {stage}"),
        (None, None) => format!("a pipeline file is named by its path; {stage}"),
    }
}

/// Refuses a pipeline file where a command takes stages or runs.
///
/// # Errors
/// With the line to type.
pub(super) fn refuse_file<'a>(
    command: &str,
    wanted: &str,
    words: impl IntoIterator<Item = &'a String>,
) -> Result<(), Failure> {
    let mut words: Vec<&str> = words.into_iter().map(String::as_str).collect();
    let Some(at) = words.iter().position(|word| is_file(word)) else { return Ok(()) };
    let file = words.remove(at);
    let rest = if words.is_empty() {
        wanted.to_owned()
    } else {
        words.iter().copied().map(quoted).collect::<Vec<_>>().join(" ")
    };
    let rest = if rest.is_empty() { rest } else { format!(" {rest}") };
    let error = anyhow!("`{file}` is written like a pipeline file, which `{command}` takes with -p");
    Err(Failure::usage(error).hint(format!("type: ssp-run {command}{rest} -p {}", quoted(file))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_was_meant_is_found() {
        for (typed, meant) in [
            ("run pipelines/daily.yaml", "ssp-run pipelines/daily.yaml"),
            ("run p.yaml ssobject", "ssp-run p.yaml --stage ssobject"),
            ("plan p.yaml", "ssp-run -n p.yaml"),
            ("p.yaml a b", "ssp-run p.yaml --stage a,b"),
            ("p.yaml a -j 4 --set x=y", "ssp-run p.yaml --stage a -j 4 --set x=y"),
            ("p.yaml status", "ssp-run status -p p.yaml"),
            ("-p p.yaml explain a", "ssp-run explain a -p p.yaml"),
            ("--pipeline p.yaml list --json", "ssp-run status -p p.yaml --json"),
            ("undo 2026 a -n", "ssp-run rollback 2026 a -n"),
        ] {
            let words: Vec<String> = typed.split(' ').map(str::to_owned).collect();
            assert_eq!(line(&words).as_deref(), Some(meant), "{typed}");
        }
        assert_eq!(line(&["--jbos".to_owned()]), None);
    }
}
