//! `ssp-run demo`: the whole pipeline on a small survey, with a database server of its own.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use arrow_array::cast::AsArray as _;
use arrow_array::types::Float32Type;
use include_dir::{Dir, include_dir};

use crate::durable;
use crate::environment::Environment;
use crate::parquet::read::TableReader;
use crate::pipeline::plain;
use crate::plan::select;
use crate::postgres::{ConnectParams, SessionOptions, Snapshot, Target};
use crate::regular;
use crate::run::words::{count, size, thousands};
use crate::run::{Found, Request, Store};
use crate::stages::figures::ObjectFigures;
use crate::throwaway::Throwaway;

use super::super::failure::{Exit, Failure, threads};
use super::super::messages::say;
use super::super::signals::Signals;
use super::super::targets::check_folder;
use super::flags::OutputFlags;
use super::{perform, sealed};

/// The survey that the demo works on; see `fixtures/README.md`.
static BUTLER: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/fixtures/survey/butler");
const SSSOURCE: &[u8] = include_bytes!("../../../fixtures/survey/sssource.parquet");
const MPC_SBN: &[u8] = include_bytes!("../../../fixtures/survey/mpc_sbn.sql");
const PIPELINE: &str = include_str!("../../../pipelines/demo.yaml");

/// Lays out the survey in `dir` if it is not there, starts the server, runs the pipeline, stops the server.
pub(super) fn demo(
    dir: &Path,
    jobs_flag: Option<u16>,
    output: &OutputFlags,
    environment: Environment,
    signals: &Signals,
) -> Result<Exit, Failure> {
    let failed = |error: anyhow::Error| Failure::new(Exit::Failed, error);
    check_folder(dir)?;
    durable::make_folder(dir).with_context(|| format!("cannot make `{}`", dir.display())).map_err(failed)?;
    let typed = dir;
    let dir = std::path::absolute(dir).context("cannot find the current folder").map_err(failed)?;
    if dir.to_str().is_none() {
        let error = anyhow!("the path of the demo, `{}`, is not UTF-8", dir.display());
        return Err(Failure::new(Exit::Usage, error).hint("name another folder with --dir"));
    }
    lay_out(&dir).map_err(failed)?;
    signals.defer();
    if !output.quiet {
        say(format_args!("demo in {}: starting its database server\n", dir.display()));
    }
    let (server, environment) = serve(&dir, environment)?;
    let file = dir.join("pipelines/demo.yaml");
    let text = regular::read_to_string(&file)
        .with_context(|| format!("cannot read pipeline file `{}`", file.display()))
        .map_err(failed)?;
    let variable = |name: &str| environment.raw(name);
    let (pipeline, graph) = sealed(&file, &text, &std::collections::BTreeMap::new(), &variable)?;
    let selection = select(&graph, &[], false).map_err(|error| Failure::new(Exit::Usage, error))?;
    let threads = threads(jobs_flag)?;
    let request = Request {
        jobs: jobs_flag.map_or(threads, usize::from),
        threads,
        monitor: signals.monitor().clone(),
        ..Request::new(&pipeline, &graph, &selection, &environment)
    };
    let exit = perform(&request, signals, output, &format!("ssp-run demo --dir {}", dir.display()))?;
    server.stop();
    if !output.quiet && exit == Exit::Done {
        let out_dir = plain(&pipeline.out_dir).display().to_string();
        let files = listing(&Store::new(&pipeline.out_dir), &graph);
        let objects = science(&pipeline.out_dir.join("ssobject.parquet")).map_err(failed)?;
        say(format_args!("\nfiles in {out_dir}\n{files}\n{objects}\n{}", next(typed)));
    }
    Ok(exit)
}

fn listing(store: &Store, graph: &crate::plan::Graph) -> String {
    let mut text = String::new();
    for id in graph.ids() {
        if let Found::Record(record) = store.record(&graph.stage(id).name)
            && let Some(output) = &record.output
        {
            let path = output.path.display().to_string();
            text += &format!("  {path:<33}  {:>6} rows  {:>8}\n", thousands(output.rows), size(output.bytes));
        }
    }
    text
}

/// What the table of objects says, in a few lines.
fn science(table: &Path) -> anyhow::Result<String> {
    let figures = ObjectFigures::read(table)?;
    let fits = figures.bands.iter().map(|band| format!("{} {}", band.band, band.total() + band.outside));
    let failed: u64 = figures.bands.iter().map(|band| band.failed).sum();
    let with_moid = figures.objects - figures.log10_moid_au.unknown;
    let closest = closest(table)?
        .map_or_else(String::new, |(moid_au, name)| format!("; the smallest is {moid_au:.4} au, of {name}"));
    Ok(format!(
        "the SSObject table has {}\n  H and G12 fits   {}; {failed} fits failed\n  Earth MOID       \
         {}{closest}\n",
        count(usize::try_from(figures.objects)?, "object"),
        fits.collect::<Vec<_>>().join(", "),
        count(usize::try_from(with_moid)?, "object"),
    ))
}

/// The smallest MOID in a table \[au\], and the designation of its object.
fn closest(table: &Path) -> anyhow::Result<Option<(f32, String)>> {
    let mut closest: Option<(f32, String)> = None;
    for batch in TableReader::open(table)?.batches(&["designation", "MOIDEarth"], None, 8192)? {
        let batch = batch?;
        let (names, moids) =
            (batch.column(0).as_string_opt::<i32>(), batch.column(1).as_primitive_opt::<Float32Type>());
        let (Some(names), Some(moids)) = (names, moids) else { break };
        for (name, moid_au) in names.iter().zip(moids.iter()) {
            if let (Some(name), Some(moid_au)) = (name, moid_au)
                && closest.as_ref().is_none_or(|(smallest, _)| moid_au < *smallest)
            {
                closest = Some((moid_au, name.to_owned()));
            }
        }
    }
    Ok(closest)
}

/// What to type after the demo, in a folder as it was typed.
fn next(dir: &Path) -> String {
    let program = std::env::args_os().next().map_or_else(|| "ssp-run".into(), PathBuf::from);
    let (program, dir) = (program.display(), dir.display());
    format!(
        "next\n  see the report      open {dir}/data/.ssp/runs/latest/report.html\n  \
         run it again        {program} demo --dir {dir}\n  \
         list the outputs    {program} status {dir}/pipelines/demo.yaml\n  \
         draw the pipeline   {program} graph {dir}/pipelines/demo.yaml\n"
    )
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
    for (name, bytes) in [("inputs/sssource.parquet", SSSOURCE), ("pipelines/demo.yaml", PIPELINE.as_bytes())]
    {
        let path = dir.join(name);
        if !path.exists() {
            durable::write(&path, bytes)?;
        }
    }
    Ok(())
}

fn files<'a>(dir: &'a Dir<'a>) -> Vec<&'a include_dir::File<'a>> {
    dir.files().chain(dir.dirs().flat_map(files)).collect()
}

/// The demo's server, with the survey loaded, and the environment in which it is found.
fn serve(dir: &Path, mut environment: Environment) -> Result<(Throwaway, Environment), Failure> {
    let failed =
        |error: anyhow::Error| Failure::new(Exit::Failed, error.context("the demo's database server"));
    let server = Throwaway::start(&dir.join("postgres"), true).map_err(|error| failed(error.into()))?;
    // What else is set must not lead to another server.
    let is_kept =
        |name: &String| !name.starts_with("PG") && !name.starts_with("SSP_") && name != "BUTLER_REPO";
    environment.variables.retain(|name, _| is_kept(name));
    environment.not_utf8.retain(|name, _| is_kept(name));
    let params = server.params();
    let socket = server.socket_folder().display().to_string();
    let settings =
        [("PGHOST", Some(socket)), ("PGPORT", Some(server.port().to_string())), ("PGUSER", params.user)];
    let settings = settings.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    environment.variables.extend(settings);
    if !is_loaded(&environment).map_err(|error| failed(error.into()))? {
        let file = dir.join("mpc_sbn.sql");
        durable::write(&file, &[BEFORE, MPC_SBN, AFTER].concat()).map_err(|error| failed(error.into()))?;
        server.load(&file).map_err(|error| failed(error.into()))?;
    }
    Ok((server, environment))
}

/// The database gets its name when it is complete: a load that is killed leaves none of that name.
const BEFORE: &[u8] = b"DROP DATABASE IF EXISTS loading;\nCREATE DATABASE loading;\n\\connect loading\n";
const AFTER: &[u8] = b"\n\\connect postgres\nALTER DATABASE loading RENAME TO mpc_sbn;\n";
/// SQLSTATE: there is no such database.
const INVALID_CATALOG_NAME: &str = "3D000";

fn is_loaded(environment: &Environment) -> Result<bool, crate::postgres::Error> {
    let params = ConnectParams { dbname: Some("mpc_sbn".to_owned()), ..ConnectParams::default() };
    let target = Target::resolve(&params, environment)?;
    match Snapshot::open(&target, &SessionOptions::default()) {
        Ok(_) => Ok(true),
        Err(error) if error.code() == Some(INVALID_CATALOG_NAME) => Ok(false),
        Err(error) => Err(error),
    }
}
