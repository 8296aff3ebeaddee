//! One stage tried on its own: its output goes to a file that the user names, and no record changes.

use std::error::Error as StdError;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Instant;

use chrono::Utc;

use crate::durable::publish_all;
use crate::errors::Class;
use crate::margin::{CheckResult, Margin};
use crate::plan::StageId;
use crate::stages::{self, Job, Needs, Reads, Sources, Subject, check};
use crate::threads::compute;

use super::Error;
use super::digests::Digests;
use super::facts::Situation;
use super::request::Request;
use super::store::Store;

/// What a trial of a stage made.
#[derive(Debug)]
pub struct Trial {
    /// Rows of the file.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
    /// How long it took \[s\].
    pub seconds: f64,
    /// Warnings, one line each.
    pub warnings: Vec<String>,
    /// The results of the checks on it.
    pub checks: Vec<Margin>,
}

/// Why a stage could not be tried.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// Nothing could be run.
    #[error(transparent)]
    Run(#[from] Error),
    /// An input is missing.
    #[error(transparent)]
    Input(Box<dyn StdError + Send + Sync>),
    /// The stage failed.
    #[error(transparent)]
    Stage(#[from] stages::Error),
}

impl TrialError {
    /// What the error means.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Run(error) => error.class(),
            Self::Input(_) => Class::Fault,
            Self::Stage(error) => error.class(),
        }
    }
}

impl Trial {
    /// The messages of the checks that failed; if there is one, no file was written.
    pub fn failed(&self) -> impl Iterator<Item = &str> {
        let failed = self.checks.iter().filter(|margin| margin.result == CheckResult::Failed);
        failed.filter_map(|margin| margin.message.as_deref())
    }
}

/// Runs one stage, in a snapshot of its own if it reads the database, and puts its output at `file` unless a check fails. The
/// inputs are the outputs of the other stages as they are.
///
/// # Errors
/// All of [`TrialError`]; then no file was written.
pub fn try_stage(request: &Request<'_>, id: StageId, file: &Path) -> Result<Trial, TrialError> {
    let began = Instant::now();
    let (pipeline, stage) = (request.pipeline, request.graph.stage(id));
    let store = Store::new(&pipeline.out_dir);
    let digests = Digests::read(&store, request.verify_hashes);
    let tables = stage.work.locked_table().into_iter().collect();
    let repository = stage.kind.reads == Reads::Repository;
    let needs = Needs { snapshot: stage.reads_snapshot(), tables, repository };
    let opened =
        Sources::open_unless_stopped(&request.monitor, &pipeline.sources, needs, request.environment)?;
    let sources = opened.ok_or(Error::Interrupted)?;
    let situation = Situation::new(request, &store, &digests, &sources);
    let observation =
        situation.observe(id, &[], &[]).map_err(|unknown| TrialError::Input(Box::new(unknown)))?;
    let timeout = stage.timeout.or(pipeline.sources.timeout).map(|period| period.0);
    let monitor = request.monitor.with_timeout(timeout);
    let job = Job {
        sources: &sources,
        inputs: &observation.inputs,
        datasets: observation.datasets.as_ref(),
        target: file,
        in_parts: false,
        scratch: None,
        last: None,
        threads: NonZeroUsize::new(request.threads).unwrap_or(NonZeroUsize::MIN),
        monitor: &monitor,
        within: None,
    };
    let product = stage.work.run(&job)?;
    let record = situation.record(id);
    let rows_before = record.as_ref().and_then(|record| record.output.as_ref()).map(|output| output.rows);
    let now = observation.generation.as_ref().map_or_else(Utc::now, |generation| generation.taken);
    let schema = stage.schema.as_ref();
    let subject = Subject { product: &product, output: file, schema, rows_before, now };
    let checks = compute(|| check(&stage.checks, &subject));
    let mut trial = Trial {
        rows: product.rows(),
        bytes: product.bytes(),
        seconds: began.elapsed().as_secs_f64(),
        warnings: product.warnings,
        checks,
    };
    let doubts = trial.checks.iter().filter(|margin| margin.result == CheckResult::Warning);
    trial.warnings.extend(doubts.filter_map(|margin| margin.message.clone()));
    if trial.failed().next().is_none() {
        publish_all(product.files.into_iter().map(|table| table.file).collect()).map_err(Error::from)?;
    }
    Ok(trial)
}
