//! `ssp-run --stage S --only --own-snapshot FILE`: one stage tried, its output in a file of the user's.

use std::path::Path;

use anyhow::anyhow;

use crate::cli::failure::{Exit, Failure};
use crate::cli::messages::{UNCHANGED, say};
use crate::cli::signals::Signals;
use crate::run::words::{period, size, thousands};
use crate::run::{Request, TrialError, try_stage};

use super::flags::RunFlags;
use super::stages::stage_of;
use super::stopped_or_refused;

/// Tries the stage that was named.
pub(super) fn try_one(
    request: &Request<'_>,
    flags: &RunFlags,
    file: &Path,
    signals: &Signals,
) -> Result<Exit, Failure> {
    let [name] = flags.stages.as_slice() else {
        return Err(Failure::usage(anyhow!("--own-snapshot tries one stage: name one with --stage")));
    };
    let id = stage_of(request.graph, name)?;
    let stage = request.graph.stage(id);
    if !stage.kind.makes_file {
        let error = anyhow!("stage `{name}` makes no file, so --own-snapshot cannot write one");
        return Err(Failure::usage(error));
    }
    let trial = try_stage(request, id, file).map_err(|error| match error {
        TrialError::Run(error) => stopped_or_refused(error, signals),
        _ if signals.received().is_some() => Failure::stopped(signals),
        error => Failure::new(error.class().into(), error).hint(UNCHANGED),
    })?;
    for warning in &trial.warnings {
        say(format_args!("warning: {warning}\n"));
    }
    let failed: Vec<&str> = trial.failed().collect();
    if !failed.is_empty() {
        let error = anyhow!(failed.join("\n"));
        return Err(Failure::new(Exit::CheckFailed, error).hint("no file was written"));
    }
    if !flags.output.quiet {
        say(format_args!(
            "{name}: {} {} in `{}` ({}), after {}; no output of the pipeline has changed\n",
            thousands(trial.rows),
            stage.kind.rows,
            file.display(),
            size(trial.bytes),
            period(trial.seconds),
        ));
    }
    Ok(Exit::Done)
}
