//! `ssp-run`.

mod demo;
mod explanation;
pub(super) mod flags;
mod generations;
mod graph;
mod init;
mod look;
mod meant;
mod records;
mod shell;
mod stages;
mod status;
mod tables;
mod targets;
mod terminal;
mod trial;
mod validate;
mod work;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use clap::Parser;

use crate::environment::Environment;
use crate::lines::fit;
use crate::pipeline::{Executor, Mistakes, Pipeline, plain};
use crate::plan::{Choice, Graph, SelectError, StageId, select};
use crate::run::{Error, Request, RunReport, RunStatus, execute, explain};
use crate::stages::Reads;

use super::failure::{Exit, Failure, answer, finish, threads};
use super::messages::say;
use super::output;
use super::signals::Signals;
use super::words::read_text;
use flags::{Command, Flags, HereOnly, OutputFlags, PipelineFlags, RunFlags};
use terminal::Terminal;

/// Runs the command line of this process.
pub(super) fn main() -> ExitCode {
    let flags = match Flags::try_parse() {
        Ok(flags) => flags,
        Err(mut error) => return answer(meant::advised(&mut error)),
    };
    let environment = Environment::of_process();
    finish(false, |signals| match flags.command {
        None => run(&flags.run, &environment, signals),
        Some(command) => other(command, environment, signals),
    })
}

fn other(command: Command, environment: Environment, signals: &Signals) -> Result<Exit, Failure> {
    match command {
        Command::Validate { pipeline, connect } => validate::validate(&pipeline, connect, &environment),
        Command::Graph { pipeline, format } => {
            load(&pipeline, &environment).map(|(_, graph)| print(&graph::draw(&graph, format)))
        }
        Command::Explain { stage, pipeline, json } => {
            let second = pipeline.pipeline.as_ref().map(|word| word.display().to_string());
            let second = second.filter(|_| meant::is_file(&stage));
            meant::refuse_file("explain", "STAGE", [&stage].into_iter().chain(&second))?;
            explanation::explain_stage(&stage, &pipeline, json, &environment, signals)
        }
        Command::Status { pipeline, json } => {
            let (pipeline, graph) = load(&pipeline, &environment)?;
            status::status(&pipeline, &graph, json)
        }
        Command::History { pipeline, number, json } => {
            let (pipeline, _) = load(&pipeline, &environment)?;
            records::history(&pipeline, number, json).map(|text| print(&text))
        }
        Command::Log { run, stage, pipeline } => {
            meant::refuse_file("log", "", run.iter().chain(&stage))?;
            let (pipeline, graph) = load(&pipeline.into(), &environment)?;
            records::log(&pipeline, &graph, run, stage).map(|text| print(&text))
        }
        Command::Report { run, pipeline, open } => {
            meant::refuse_file("report", "", &run)?;
            let (pipeline, _) = load(&pipeline.into(), &environment)?;
            records::report(&pipeline, run.as_deref().unwrap_or("latest"), open)
        }
        Command::Head { flags, pipeline } => {
            meant::refuse_file("head", "STAGE", [&flags.stage])?;
            look::head(&look::Place::of(pipeline.into(), &environment)?, &flags)
        }
        Command::Describe { flags, pipeline } => {
            meant::refuse_file("describe", "STAGE", [&flags.stage])?;
            look::describe(&look::Place::of(pipeline.into(), &environment)?, &flags)
        }
        Command::Diff { flags, pipeline } => {
            meant::refuse_file("diff", "", &flags.what)?;
            look::diff(&look::Place::of(pipeline.into(), &environment)?, &flags)
        }
        Command::Gc { pipeline, keep, generations, orphans, dry_run } => {
            let (pipeline, graph) = load(&pipeline, &environment)?;
            let garbage = records::Garbage { keep, generations, orphans, dry_run };
            records::gc(&pipeline, &graph, &garbage).map(|text| print(&text))
        }
        Command::Generations { pipeline, json } => {
            let (pipeline, _) = load(&pipeline, &environment)?;
            generations::generations(&pipeline, json)
        }
        Command::Rollback { generation, stages, pipeline, dry_run, json } => {
            let names: Vec<String> = generation.into_iter().chain(stages).collect();
            meant::refuse_file("rollback", "", &names)?;
            let (pipeline, graph) = load(&pipeline.into(), &environment)?;
            generations::put_back(&pipeline, &graph, names, dry_run, json)
        }
        Command::Tables(flags) => tables::tables(&flags, &environment, signals),
        Command::Init(flags) => init::init(&flags, &environment, signals),
        Command::Schema => Ok(print(&format!("{:#}\n", crate::pipeline::json_schema()))),
        Command::Man { dir } => shell::man(dir.as_deref()),
        Command::Work { folder, submission, scratch, jobs } => {
            work::work(&folder, submission, scratch.as_deref(), jobs, &environment, signals)
        }
        Command::Demo(flags) => demo::demo(&flags, environment, signals),
        Command::Completions { shell, program } => shell::completions(shell, &program),
    }
}

/// Prints data on standard output.
fn print(text: &str) -> Exit {
    output::print(text);
    Exit::Done
}

fn load(flags: &PipelineFlags, environment: &Environment) -> Result<(Pipeline, Graph), Failure> {
    let (file, text) = text_of(flags, environment)?;
    let set: BTreeMap<String, String> = flags.set.iter().cloned().collect();
    sealed(&file, &text, &set, environment)
}

/// The pipeline file and its text.
fn text_of(flags: &PipelineFlags, environment: &Environment) -> Result<(PathBuf, String), Failure> {
    let named_by_variable =
        || environment.raw("SSP_PIPELINE").filter(|name| !name.is_empty()).map(PathBuf::from);
    let file = flags.pipeline.as_ref().or(flags.file.as_ref()).cloned().or_else(named_by_variable);
    let hint = if file.is_some() {
        "paths are relative to the current folder; `ssp-run demo` makes a pipeline to try"
    } else {
        "name the pipeline file, set SSP_PIPELINE, or run from the folder that holds pipelines/daily.yaml"
    };
    let file = file.unwrap_or_else(|| PathBuf::from("pipelines/daily.yaml"));
    if file.to_str().is_none() {
        let error = anyhow!("the path of the pipeline file, `{}`, is not UTF-8", file.display());
        return Err(Failure::usage(error).hint("run records are UTF-8 text: rename the file or its folder"));
    }
    let text = read_text(&file).map_err(|error| {
        let is_text = error.kind() != std::io::ErrorKind::InvalidData;
        let error =
            anyhow::Error::new(error).context(format!("cannot read pipeline file `{}`", file.display()));
        let word = file.to_str().filter(|word| !word.contains(['.', '/']));
        let hint = word.map_or(hint.to_owned(), meant::instead_of_file);
        Failure::usage(error).hint_if(is_text, hint)
    })?;
    Ok((file, text))
}

fn sealed(
    file: &Path,
    text: &str,
    set: &BTreeMap<String, String>,
    environment: &Environment,
) -> Result<(Pipeline, Graph), Failure> {
    let reading = crate::pipeline::read(file, text, set, &|name: &str| environment.raw(name));
    let mut mistakes = reading.mistakes;
    let graph = reading.pipeline.map(|pipeline| (Graph::seal(&pipeline), pipeline));
    match graph {
        Some((Ok(graph), pipeline)) if mistakes.is_empty() => return Ok((pipeline, graph)),
        Some((Err(cycles), _)) => mistakes.extend(cycles),
        _ => {}
    }
    Err(Failure::usage(Mistakes::new(file, text, mistakes)))
}

fn run(flags: &RunFlags, environment: &Environment, signals: &Signals) -> Result<Exit, Failure> {
    let (pipeline, graph) = load(&flags.pipeline, environment)?;
    let choice = Choice { stages: &flags.stages, only: flags.only, exclude: &flags.exclude };
    let selection = select(&graph, &choice).map_err(|error| match error {
        error @ SelectError::Unknown(_) => Failure::usage(error).hint(stages::stages(&graph)),
        error => Failure::usage(error),
    })?;
    let mut forced: Vec<StageId> = Vec::new();
    for name in &flags.force_stages {
        let id = stages::stage_of(&graph, name)?;
        if !selection.has(id) {
            let message = anyhow!("`--force-stage {name}`: the stage is not part of this run");
            return Err(Failure::usage(message).hint("add it with --stage"));
        }
        forced.push(id);
    }
    if flags.force {
        forced.extend(graph.ids().filter(|id| selection.has(*id)));
    }
    if flags.full {
        let reads = |id: &StageId| graph.stage(*id).kind.reads != Reads::Inputs;
        forced.extend(graph.ids().filter(|id| selection.has(*id) && reads(id)));
    }
    targets::check(&pipeline, &graph, &selection, flags.own_file())?;
    signals.defer();
    let threads = threads(flags.jobs)?;
    let request = Request {
        jobs: flags.jobs.map_or(threads, usize::from),
        threads,
        fail_fast: flags.fail_fast,
        forced,
        lock_timeout: flags.lock_timeout.map_or(Duration::ZERO, |period| period.0),
        verify_hashes: flags.verify_hashes,
        reuse_exports: flags.reuse_exports,
        executor: flags.executor.map(|HereOnly::Local| Executor::Local),
        metrics_file: flags.metrics_file.as_deref(),
        monitor: signals.monitor().clone(),
        ..Request::new(&pipeline, &graph, &selection, environment)
    };
    if let Some(file) = &flags.own_snapshot {
        return trial::try_one(&request, flags, file, signals);
    }
    if flags.dry_run || flags.check {
        return dry_run(&request, signals, flags);
    }
    perform(&request, signals, &flags.output, &again(flags, &pipeline))
}

/// What to type to run again.
fn again(flags: &RunFlags, pipeline: &Pipeline) -> String {
    let mut words: Vec<&str> = flags.stages.iter().flat_map(|stage| ["--stage", stage]).collect();
    words.extend(flags.only.then_some("--only"));
    words.extend(flags.exclude.iter().flat_map(|stage| ["--exclude", stage]));
    command(&words, &flags.pipeline, pipeline)
}

/// A command on the same pipeline file with the same variables.
fn command(words: &[&str], flags: &PipelineFlags, pipeline: &Pipeline) -> String {
    let mut words: Vec<String> = words.iter().copied().map(str::to_owned).collect();
    words.push(pipeline.file.display().to_string());
    words.extend(flags.set.iter().flat_map(|(name, value)| ["--set".to_owned(), format!("{name}={value}")]));
    words.iter().fold("ssp-run".to_owned(), |line, word| line + " " + &quoted(word))
}

/// A path as a shell takes it.
fn quoted_path(path: &Path) -> String {
    quoted(&path.display().to_string())
}

/// A word as a shell takes it, in quotes only where it needs them.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-=,:+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn dry_run(request: &Request<'_>, signals: &Signals, flags: &RunFlags) -> Result<Exit, Failure> {
    let plan = explain(request, false).map_err(|error| stopped_or_refused(error, signals))?;
    if flags.output.json {
        print(&json(&plan)?);
    } else if !flags.output.quiet {
        let why = format!("Why: {}", command(&["explain", "STAGE"], &flags.pipeline, request.pipeline));
        print(&format!("{plan}{}\n", fit("Dry run: no stage ran.", [why], 0)));
    }
    Ok(if flags.check && plan.is_pending() { Exit::Pending } else { Exit::Done })
}

/// Runs, and says how it went.
fn perform(
    request: &Request<'_>,
    signals: &Signals,
    output: &OutputFlags,
    again: &str,
) -> Result<Exit, Failure> {
    let Request { graph, selection, .. } = request;
    let widths = graph.ids().filter(|id| selection.has(*id)).map(|id| graph.stage(id).name.as_str().len());
    let terminal = Arc::new(Terminal::new(output, widths.max().unwrap_or(0)));
    let report = execute(request, terminal.clone()).map_err(|error| stopped_or_refused(error, signals))?;
    let out_dir = plain(&request.pipeline.out_dir).display().to_string();
    let records = format!("{out_dir}/.ssp/runs/{}", report.run);
    if output.log_format == flags::LogFormat::Text {
        say(terminal::ending(&report, &records, &out_dir, again, output.quiet));
    }
    if output.json {
        print(&json(&report)?);
    }
    Ok(exit(&report, signals))
}

fn exit(report: &RunReport, signals: &Signals) -> Exit {
    match report.status {
        RunStatus::Done => Exit::Done,
        RunStatus::CheckFailed => Exit::CheckFailed,
        RunStatus::Interrupted => signals.received().map_or(Exit::Failed, Exit::Signal),
        RunStatus::Unreachable => Exit::Unreachable,
        RunStatus::Failed | RunStatus::Running | RunStatus::Killed => Exit::Failed,
    }
}

fn json(value: &impl serde::Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(value).map_err(Failure::fault)?;
    Ok(text + "\n")
}

fn stopped_or_refused(error: Error, signals: &Signals) -> Failure {
    match error {
        Error::Interrupted => Failure::stopped(signals),
        error @ Error::Locked { .. } => {
            refused(error).hint("wait for it to end, or give --lock-timeout 30m to wait for it here")
        }
        error => refused(error),
    }
}

fn refused(error: Error) -> Failure {
    match error {
        error @ Error::Locked { .. } => Failure::new(Exit::Locked, error).hint("wait for it to end"),
        error @ Error::NotReusable(_) => {
            Failure::usage(error).hint("run once without --reuse-exports, which brings them up to date")
        }
        error => Failure::new(error.class().into(), error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_type_again_is_what_was_typed() {
        let quotes = "it's";
        for (word, typed) in
            [("p/daily.yaml", "p/daily.yaml"), ("", "''"), ("a b", "'a b'"), (quotes, r"'it'\''s'")]
        {
            assert_eq!(quoted(word), typed);
        }
        let text = "version: 1\nname: n\nout_dir: d\nvars: {v: x}\ndatabase: {service: s}\n\
                    stages: {a: {export: {table: t}, out: a.parquet}}\n";
        let file = Path::new("my files/p.yaml");
        let pipeline = crate::pipeline::read(file, text, &BTreeMap::new(), &|_| None).pipeline.unwrap();
        let words = ["ssp-run", "my files/p.yaml", "--stage", "a", "--only", "--set", "v=$1 $2"];
        let flags = Flags::parse_from(words);
        assert_eq!(
            again(&flags.run, &pipeline),
            "ssp-run --stage a --only 'my files/p.yaml' --set 'v=$1 $2'"
        );
    }
}
