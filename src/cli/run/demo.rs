//! `ssp-run demo`: the whole pipeline on a small survey, with a database server of its own.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use include_dir::{Dir, include_dir};

use crate::durable;
use crate::environment::Environment;
use crate::pipeline::{Pipeline, plain};
use crate::plan::{Graph, Selection};
use crate::postgres::{ConnectParams, SessionOptions, Snapshot, Target};
use crate::regular;
use crate::run::words::{size, thousands};
use crate::run::{Found, Request, Store};
use crate::stages::figures::{ObjectFigures, OffsetFigures, TableFigures};
use crate::throwaway::Throwaway;

use super::super::failure::{Exit, Failure, threads};
use super::super::messages::say;
use super::super::signals::Signals;
use super::super::targets::check_folder;
use super::flags::OutputFlags;
use super::{perform, quoted, sealed};

/// The survey that the demo works on; see `fixtures/README.md`.
static BUTLER: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/fixtures/survey/butler");
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
    let selection = Selection::all(&graph);
    let threads = threads(jobs_flag)?;
    let request = Request {
        jobs: jobs_flag.map_or(threads, usize::from),
        threads,
        monitor: signals.monitor().clone(),
        ..Request::new(&pipeline, &graph, &selection, &environment)
    };
    let exit = perform(
        &request,
        signals,
        output,
        &format!("ssp-run demo --dir {}", quoted(&dir.display().to_string())),
    )?;
    server.stop();
    if !output.quiet && exit == Exit::Done {
        let out_dir = plain(&pipeline.out_dir).display().to_string();
        let files = listing(&Store::new(&pipeline.out_dir), &graph);
        let objects = science(&pipeline, &graph).map_err(failed)?;
        say(format_args!("\nfiles in {out_dir}\n{files}\n{objects}{}", next(typed)));
    }
    Ok(exit)
}

fn listing(store: &Store, graph: &Graph) -> String {
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

/// What the tables say, in a few lines; the user may have changed the demo's pipeline.
fn science(pipeline: &Pipeline, graph: &Graph) -> anyhow::Result<String> {
    let mut text = String::new();
    for stage in graph.ids().map(|id| graph.stage(id)) {
        let (Some(read), Some(out)) = (stage.kind.figures, &stage.out) else { continue };
        text += &match read(&pipeline.out_dir.join(out))? {
            TableFigures::Objects(figures) => of_objects(&figures),
            TableFigures::Offsets(figures) => of_detections(&figures),
        };
    }
    Ok(text)
}

fn of_objects(figures: &ObjectFigures) -> String {
    let fits = figures.bands.iter().map(|band| format!("{} {}", band.band, band.total() + band.outside));
    let failed: u64 = figures.bands.iter().map(|band| band.failed).sum();
    let objects = |number: u64| format!("{} object{}", thousands(number), if number == 1 { "" } else { "s" });
    let closest = figures
        .closest
        .as_ref()
        .map_or_else(String::new, |(moid_au, name)| format!("; the smallest is {moid_au:.4} au, of {name}"));
    format!(
        "the SSObject table has {}\n  H and G12 fits   {}; {failed} fits failed\n  Earth MOID       {}{closest}\n\n",
        objects(figures.objects),
        fits.collect::<Vec<_>>().join(", "),
        objects(figures.objects - figures.log10_moid_au.unknown),
    )
}

fn of_detections(figures: &OffsetFigures) -> String {
    let offsets = &figures.offsets;
    let (Some(median), Some(most), Some(far)) =
        (offsets.quantile(0.5), offsets.quantile(0.99), offsets.worst.first())
    else {
        return format!("the SSSource table has {} detections of objects\n\n", thousands(figures.detections));
    };
    format!(
        "the SSSource table has {} detections of objects\n  predicted        {}\n  ephOffset        median {median:.3}\", \
         99 % below {most:.3}\"; the largest is {:.3}\", of {}\n\n",
        thousands(figures.detections),
        thousands(offsets.total),
        far.arcsec,
        far.designation,
    )
}

/// What to type after the demo, in a folder as it was typed.
fn next(dir: &Path) -> String {
    let program = std::env::args_os().next().map_or_else(|| "ssp-run".into(), PathBuf::from);
    let program = quoted(&program.display().to_string());
    let of_demo = |path: &str| quoted(&dir.join(path).display().to_string());
    let (report, file) = (of_demo("data/.ssp/runs/latest/report.html"), of_demo("pipelines/demo.yaml"));
    format!(
        "next\n  see the report      open {report}\n  \
         run it again        {program} demo --dir {}\n  \
         list the outputs    {program} status {file}\n  \
         draw the pipeline   {program} graph {file}\n",
        quoted(&dir.display().to_string()),
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
    let path = dir.join("pipelines/demo.yaml");
    if !path.exists() {
        durable::write(&path, PIPELINE.as_bytes())?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_type_next_is_quoted_for_the_shell() {
        let text = next(Path::new("my demo"));
        assert!(text.contains(" demo --dir 'my demo'\n"), "{text}");
        assert!(text.contains(" status 'my demo/pipelines/demo.yaml'\n"), "{text}");
    }
}
