//! `ssp-run demo`: the whole pipeline on a small survey, with a database server of its own.

mod delivery;
mod ending;
mod server;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context as _, anyhow};
use include_dir::{Dir, include_dir};

use crate::cli::failure::{Exit, Failure, threads};
use crate::cli::messages::say;
use crate::cli::signals::Signals;
use crate::cli::targets::check_folder;
use crate::durable;
use crate::environment::Environment;
use crate::pipeline::{Pipeline, plain};
use crate::plan::{Graph, Selection};
use crate::regular;
use crate::run::{Request, Store};

use self::ending::{listing, next, running, science};
use self::server::{Server, lock, stop};
use super::flags::DemoFlags;
use super::{perform, quoted_path, sealed};

/// The survey that the demo works on; see `fixtures/README.md`.
static BUTLER: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/fixtures/survey/butler");
const PIPELINE: &str = include_str!("../../../../pipelines/demo.yaml");

/// What is in the folder of a demo before its pipeline file is.
const FIRST: [&str; 2] = ["butler", "pipelines"];

/// Lays out the survey in a folder if it is not there, starts the server, runs the pipeline, stops the server.
pub(super) fn demo(flags: &DemoFlags, environment: Environment, signals: &Signals) -> Result<Exit, Failure> {
    let typed = flags.dir.as_path();
    check_folder(typed)?;
    if flags.stop {
        refuse_no_demo(typed)?;
    } else {
        refuse_others(typed)?;
    }
    let dir = std::path::absolute(typed).context("cannot find the current folder").map_err(Failure::fault)?;
    if dir.to_str().is_none() {
        let error = anyhow!("the path of the demo, `{}`, is not UTF-8", dir.display());
        return Err(Failure::usage(error).hint("name another folder with --dir"));
    }
    if flags.stop {
        let _lock = lock(&dir)?;
        let said = if stop(&dir)? { "stopped the database server" } else { "no database server is running" };
        say(format_args!("demo in {}: {said}\n", dir.display()));
        return Ok(Exit::Done);
    }
    durable::make_folder(&dir)
        .with_context(|| format!("cannot make `{}`", typed.display()))
        .map_err(Failure::fault)?;
    lay_out(&dir).map_err(Failure::fault)?;
    let _lock = lock(&dir)?;
    signals.defer();
    let file = dir.join("pipelines/demo.yaml");
    if flags.delivery {
        delivery::add(&file)?;
    }
    // It ends when it is dropped.
    let store = delivery::start(&dir, &file)?;
    let mut server = Server::start(&dir, flags.keep_running, environment, |what| {
        if !flags.output.quiet {
            say(format_args!("demo in {}: {what} database server\n", dir.display()));
        }
    })?;
    if let Some(store) = &store {
        delivery::tell(store, &mut server.environment);
    }
    let was_running = server.was_running;
    let done = nights(flags, &dir, &server, signals);
    if flags.keep_running && !was_running && done.is_err() {
        stop(&dir)?;
    }
    let exit = done?;
    if !flags.output.quiet && (was_running || flags.keep_running) {
        say(running(&server.throwaway, typed));
    }
    server.throwaway.stop();
    Ok(exit)
}

/// Refuses a folder with files that are not a demo's.
fn refuse_others(dir: &Path) -> Result<(), Failure> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Ok(()) };
    // Listed first: another demo may be laying out this folder, and what was listed is there when it is looked at.
    let names: Vec<_> =
        entries.filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned())).collect();
    let has_butler = dir.join("butler").is_dir();
    let is_demo = has_butler && dir.join("pipelines/demo.yaml").is_file();
    let first = names.into_iter().filter(|name| !(has_butler && FIRST.contains(&name.as_str()))).min();
    let Some(first) = first.filter(|_| !is_demo) else { return Ok(()) };
    let error = anyhow!("folder `{}` has files that are not of a demo, such as `{first}`", dir.display());
    Err(Failure::usage(error).hint("name an empty or new folder with --dir"))
}

/// Refuses a folder without a demo, and one that cannot be read.
fn refuse_no_demo(dir: &Path) -> Result<(), Failure> {
    match std::fs::metadata(dir.join("pipelines/demo.yaml")) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            let context = format!("cannot read the demo in folder `{}`", dir.display());
            Err(Failure::fault(anyhow::Error::new(error).context(context)))
        }
        Err(_) => {
            let error = anyhow!("there is no demo in folder `{}`", dir.display());
            Err(Failure::usage(error).hint("name the folder of the demo with --dir"))
        }
    }
}

/// Runs the pipeline on the nights that are asked for.
fn nights(flags: &DemoFlags, dir: &Path, server: &Server, signals: &Signals) -> Result<Exit, Failure> {
    let output = &flags.output;
    let say_unless_quiet = |text: &str| {
        if !output.quiet {
            say(format_args!("{text}\n"));
        }
    };
    if flags.night == 2 {
        if server.is_new {
            say_unless_quiet("night 1");
            let exit = run(flags, dir, server, signals)?.2;
            if exit != Exit::Done {
                return Ok(exit);
            }
        }
        let said = if server.load_night_2(dir)? {
            "night 2: 3 new detections without a known object, and the orbit of 2020 FW\n         is complete now"
        } else {
            "night 2 was loaded before"
        };
        say_unless_quiet(said);
    }
    let night = if server.has_night_2(dir)? { 2 } else { 1 };
    if night > flags.night {
        say_unless_quiet("night 2: this demo has it already; for night 1, name a new folder with --dir");
    }
    let (pipeline, graph, exit) = run(flags, dir, server, signals)?;
    if !output.quiet && exit == Exit::Done {
        let out_dir = plain(&pipeline.out_dir).display().to_string();
        let files = listing(&Store::new(&pipeline.out_dir), &graph);
        let objects = science(&pipeline, &graph).map_err(Failure::fault)?;
        let next = next(&flags.dir, night);
        let delivered = delivery::said(dir, &flags.dir).unwrap_or_default();
        say(format_args!("\nfiles in {out_dir}\n{files}\n{objects}{delivered}{next}"));
    }
    Ok(exit)
}

/// Runs the pipeline once.
fn run(
    flags: &DemoFlags,
    dir: &Path,
    server: &Server,
    signals: &Signals,
) -> Result<(Pipeline, Graph, Exit), Failure> {
    let environment = &server.environment;
    let file = dir.join("pipelines/demo.yaml");
    let text = regular::read_to_string(&file)
        .with_context(|| format!("cannot read pipeline file `{}`", file.display()))
        .map_err(Failure::fault)?;
    let (pipeline, graph) = sealed(&file, &text, &BTreeMap::new(), environment)?;
    let selection = Selection::all(&graph);
    let threads = threads(flags.jobs)?;
    let request = Request {
        jobs: flags.jobs.map_or(threads, usize::from),
        threads,
        monitor: signals.monitor().clone(),
        ..Request::new(&pipeline, &graph, &selection, environment)
    };
    let again = format!("ssp-run demo --dir {}", quoted_path(dir));
    let exit = perform(&request, signals, &flags.output, &again)?;
    Ok((pipeline, graph, exit))
}

fn lay_out(dir: &Path) -> anyhow::Result<()> {
    let butler = dir.join("butler");
    if !butler.join("butler.yaml").exists() {
        // butler.yaml last: it says that the rest is there.
        let mut files: Vec<_> = files(&BUTLER);
        files.sort_by_key(|file| file.path() == Path::new("butler.yaml"));
        for file in files {
            durable::write(&butler.join(file.path()), file.contents())?;
        }
    }
    let path = dir.join("pipelines/demo.yaml");
    if !path.exists() {
        durable::write(&path, PIPELINE.as_bytes())?;
    }
    Ok(())
}

fn files<'a>(dir: &'a Dir<'a>) -> Vec<&'a include_dir::File<'a>> {
    dir.files().chain(dir.dirs().flat_map(files)).collect()
}
