//! One extract from its datasets to its sealed output, with what it says and remembers of it.

use std::num::{NonZeroU8, NonZeroUsize};
use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;
use serde_json::{Map, Value};

use super::memory::{Lost, MOST_IDS, Memory, Recorder};
use super::past::Past;
use super::survey::{Readable, Survey, survey};
use super::write::{Writing, Written};
use super::{DEFAULT_TARGET, Error, Extraction};
use crate::butler::columns::Columns;
use crate::butler::ids::IdSet;
use crate::butler::ordered::Room;
use crate::butler::reader::{Filter, Reader};
use crate::durable::FileId;
use crate::lookup::{FEW, Lookup, examples};
use crate::quantity::thousands;
use crate::stages::sources::line;
use crate::stages::{Last, Product, names};
use crate::store::REQUESTS_PER_JOB;
use crate::threads::compute;

/// Datasets of stores that are worked on at once, at most: each has a thread.
const MOST_WORKERS: NonZeroU8 = NonZeroU8::MAX;
/// Bytes of datasets of stores that are in memory before it is their turn, for each dataset that is read at once.
const ROOM_PER_JOB: u64 = 48 << 20;

impl Extraction<'_> {
    /// Extracts the datasets; copies from the last output what it has of them already. The bytes are the same without it. An
    /// extract that is incremental remembers what the next run needs for that.
    ///
    /// # Errors
    /// [`Error::Replaces`] before anything is read; [`Error::Unreadable`] with all datasets that cannot be read, unless they
    /// are to be left out; [`Error::Stopped`] soon after the monitor says so; all that reading and writing may return. Nothing
    /// is left behind.
    pub fn run_with_last(&self, last: Option<&Last>) -> Result<Product, Error> {
        let remembers = self.extract.incremental;
        self.run(last.filter(|_| remembers), remembers)
    }

    pub(super) fn run(&self, last: Option<&Last>, remembers: bool) -> Result<Product, Error> {
        self.refuse_to_replace()?;
        let filter = self.filter(remembers)?;
        let filter = filter.as_ref();
        let reader = Reader::new(self.repository, self.monitor);
        let made_for = self.made_for(filter);
        let memory = compute(|| last.and_then(|last| Memory::read(&last.memory, &made_for)));
        let mut past = last.zip(memory.as_ref()).and_then(|(last, memory)| {
            // The file of the last output is large if its footer is.
            compute(|| Past::open(memory, last, filter))
        });
        let mut found = survey(self, &reader, filter, past.as_ref())?;
        let mut columns = self.columns(&found)?;
        // Rows in other columns are other rows.
        if past.take_if(|past| past.memory().schema() != &**columns.schema()).is_some() {
            found = survey(self, &reader, filter, None)?;
            columns = self.columns(&found)?;
        }
        self.monitor.expect(found.readable.iter().map(|found| found.rows).sum());
        if let (Some(filter), Some(past)) = (filter, &past) {
            let copied: Vec<usize> = found.readable.iter().filter_map(|found| found.copied).collect();
            let note = |of: &usize| {
                let ids = past.memory().ids(past.entry(*of));
                ids.flatten().for_each(|id| filter.ids.note_found(id));
            };
            compute(|| copied.par_iter().for_each(note));
        }
        let mut recorder = remembers.then(|| Recorder::new(made_for, MOST_IDS));
        let writing = Writing {
            extraction: self,
            readable: &found.readable,
            columns: &columns,
            reader: &reader,
            filter,
            past: past.as_ref(),
        };
        let mut written = writing.write(recorder.as_mut())?;

        let mut lookups = vec![Lookup {
            sought: "datasets".to_owned(),
            are: "stored where they can be read".to_owned(),
            found: found.readable.len() as u64,
            of: self.datasets.len() as u64,
            ..Lookup::default()
        }];
        let mut examples = None;
        if let (Some(filter), Some(path)) = (filter, self.ids) {
            let (lookup, of, opened) = ids_found(filter, path, &found.readable, &reader, past.as_ref());
            found.opened += u64::from(opened);
            examples = of.map(|line| (line, lookup.there.clone()));
            lookups.push(lookup);
        }
        let mut figures = self.figures(&found, &written, filter);
        let memory = recorder.map(|recorder| {
            let not_found = filter.into_iter().flat_map(|filter| filter.ids.not_found());
            let metadata = std::mem::take(&mut written.metadata);
            compute(|| recorder.finish(columns.schema(), metadata, not_found, examples))
        });
        if let Some(Err(lost)) = &memory {
            figures.insert("not_incremental".to_owned(), reason(*lost).into());
        }
        let mut warnings = found.skipped;
        warnings.extend(columns.warnings());
        warnings.extend(names::alike(columns.schema(), "leave out all but one with `columns`"));
        Ok(Product {
            unchanged: written.table.is_none(),
            files: written.table.into_iter().collect(),
            figures,
            warnings,
            lookups,
            memory: memory.and_then(Result::ok),
            ..Product::default()
        })
    }

    /// How many datasets are worked on at once: more where one waits for a store most of the time.
    pub(super) fn workers(&self) -> NonZeroUsize {
        let is_remote = self.datasets.iter().any(|dataset| self.repository.is_remote(dataset));
        let requests = NonZeroUsize::new(REQUESTS_PER_JOB).filter(|_| is_remote);
        let most = NonZeroUsize::from(MOST_WORKERS);
        requests.map_or(self.jobs, |requests| self.jobs.saturating_mul(requests).min(most))
    }

    /// The memory that datasets of stores may take before it is their turn.
    pub(super) fn room(&self) -> Room {
        Room::new(ROOM_PER_JOB.saturating_mul(self.jobs.get() as u64))
    }

    fn columns(&self, survey: &Survey<'_>) -> Result<Columns, Error> {
        Ok(Columns::unify(&survey.inputs(), self.extract.columns.as_deref())?)
    }

    fn filter(&self, remembers: bool) -> Result<Option<Filter>, Error> {
        match (&self.extract.filter, self.ids) {
            (None, None) => Ok(None),
            (Some(filter), Some(path)) => Ok(Some(Filter {
                ids: Arc::new(compute(|| IdSet::read(path, &filter.column))?),
                target: filter.target.clone().unwrap_or_else(|| DEFAULT_TARGET.to_owned()),
                collects: remembers,
            })),
            _ => Err(Error::NoIds),
        }
    }

    /// The settings that the rows and bytes of a dataset in the output depend on, besides its columns.
    fn made_for(&self, filter: Option<&Filter>) -> String {
        let target = filter.map(|filter| &filter.target);
        format!("{} {target:?}", self.extract.compression)
    }

    /// The output must not be a file that is read, by any of the names and links of both.
    fn refuse_to_replace(&self) -> Result<(), Error> {
        let target = self.target;
        let Some(output) = FileId::of(target) else { return Ok(()) };
        let is_output = |path: &Path| FileId::of(path) == Some(output);
        let refused = |what: String| Err(Error::Replaces { path: target.to_owned(), what });
        if self.ids.is_some_and(is_output) {
            return refused("the file of ids".to_owned());
        }
        for dataset in self.datasets {
            // Datasets elsewhere are told of when they are to be read.
            let places = self.repository.locate(dataset).unwrap_or_default();
            if places.iter().filter_map(|location| location.place.path()).any(is_output) {
                return refused(format!("the file of dataset {dataset}"));
            }
        }
        Ok(())
    }

    fn figures(&self, found: &Survey<'_>, written: &Written, filter: Option<&Filter>) -> Map<String, Value> {
        let mut figures = Map::new();
        let mut figure = |name: &str, value: Value| drop(figures.insert(name.to_owned(), value));
        figure("datasets", self.datasets.len().into());
        figure("datasets_with_rows", written.with_rows.into());
        figure("datasets_skipped", found.skipped.len().into());
        figure("rows_read", written.read.into());
        figure("rows_written", written.rows.into());
        if let Some(filter) = filter {
            figure("ids", filter.ids.len().into());
            figure("ids_found", filter.ids.found().into());
        }
        figure("collection", self.extract.selection.collections.join(", ").into());
        figure("datasets_copied", written.copied.into());
        figure("datasets_read", (found.readable.len() as u64 - written.copied).into());
        figure("datasets_opened", found.opened.into());
        figures
    }
}

/// Why the next run has nothing to copy from.
fn reason(lost: Lost) -> String {
    match lost {
        Lost::Ids => format!("more than {} ids", thousands(MOST_IDS as u64)),
        Lost::Columns => "columns of a type that cannot be recorded".to_owned(),
    }
}

/// How many of the ids are in the datasets; if some are not, with values of the column of the first dataset with rows. With
/// the line of that dataset, and whether a file was opened for it that was not before.
fn ids_found(
    filter: &Filter,
    ids: &Path,
    readable: &[Readable<'_>],
    reader: &Reader<'_>,
    past: Option<&Past<'_>>,
) -> (Lookup, Option<String>, bool) {
    let (found, of) = (filter.ids.found(), filter.ids.len() as u64);
    let first = readable.iter().find(|dataset| dataset.rows > 0 && found < of);
    let line = first.map(|first| line(first.dataset));
    let remembered = first.filter(|first| !first.opened).and(line.as_deref()).and_then(|line| {
        past.and_then(|past| past.memory().examples(line)).filter(|values| !values.is_empty())
    });
    let opened = first.is_some_and(|first| !first.opened) && remembered.is_none();
    let there = match (remembered, first) {
        (Some(values), _) => values.to_vec(),
        (None, Some(first)) => examples(reader.values(first.dataset, &filter.target)),
        (None, None) => Vec::new(),
    };
    let lookup = Lookup {
        sought: format!("ids in `{}`", ids.display()),
        are: format!("in column `{}` of the datasets", filter.target),
        found,
        of,
        missing: filter.ids.missing(FEW).iter().map(i64::to_string).collect(),
        holder: "that column".into(),
        there,
        ..Lookup::default()
    };
    (lookup, line, opened)
}
