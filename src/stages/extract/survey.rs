//! Which datasets can be read, and what their files are: the footers of all files that are not remembered.

use arrow_schema::Fields;
use rayon::prelude::*;

use super::past::{Outlook, Past};
use super::{Error, Extraction, OnMissingDataset};
use crate::butler::metadata::essence;
use crate::butler::ordered::in_order;
use crate::butler::reader::{Filter, Reader};
use crate::butler::{Dataset, Problem};
use crate::threads::compute;

/// A dataset that can be read.
pub(super) struct Readable<'a> {
    pub dataset: &'a Dataset,
    pub fields: Fields,
    pub rows: u64,
    /// What matters of its file's pairs of key and value: of the first dataset of all.
    pub metadata: Vec<(String, String)>,
    /// What it is in the last output, if it is copied from there.
    pub copied: Option<usize>,
    /// Whether its file was opened. It is copied only if none of the ids that were added is in it.
    pub opened: bool,
}

/// What the files of all datasets turned out to be.
pub(super) struct Survey<'a> {
    pub readable: Vec<Readable<'a>>,
    /// A line for each dataset that is left out.
    pub skipped: Vec<String>,
    /// Datasets whose files were opened.
    pub opened: u64,
}

impl<'a> Survey<'a> {
    /// The datasets that have a say in the columns: those with rows, if there are any.
    pub(super) fn inputs(&self) -> Vec<(&'a Dataset, Fields)> {
        let any = self.readable.iter().any(|found| found.rows > 0);
        let inputs = self.readable.iter().filter(|found| found.rows > 0 || !any);
        inputs.map(|found| (found.dataset, found.fields.clone())).collect()
    }
}

/// The different sets of columns that were met: of thousands of files nearly all have the same.
#[derive(Default)]
struct Distinct(Vec<Fields>);

impl Distinct {
    fn one(&mut self, fields: &Fields) -> Fields {
        if let Some(known) = self.0.iter().find(|known| *known == fields) {
            return known.clone();
        }
        self.0.push(fields.clone());
        fields.clone()
    }
}

/// What a footer says, and whether the dataset's rows in the last output may be those that it has now.
struct Footer {
    fields: Fields,
    rows: u64,
    metadata: Vec<(String, String)>,
    may_be_same: bool,
}

/// Opens every file and reads its footer, but for those of datasets that are remembered and have the same rows in the output.
pub(super) fn survey<'a>(
    extraction: &Extraction<'a>,
    reader: &Reader<'_>,
    filter: Option<&Filter>,
    past: Option<&Past<'_>>,
) -> Result<Survey<'a>, Error> {
    let Extraction { extract, datasets, monitor, .. } = *extraction;
    let recall = |dataset: &Dataset| past.filter(|_| !monitor.is_stopped())?.recall(dataset, reader);
    let workers = extraction.workers();
    let recalled: Vec<Option<(usize, Outlook)>> = match past {
        None => vec![None; datasets.len()],
        Some(_) if workers == extraction.jobs => compute(|| datasets.par_iter().map(recall).collect()),
        Some(_) => {
            let mut recalled = Vec::with_capacity(datasets.len());
            let one = |index: usize| Ok::<_, Error>(recall(&datasets[index]));
            in_order(datasets.len(), workers, &extraction.room(), one, |_, found| {
                recalled.push(found);
                Ok(())
            })?;
            recalled
        }
    };
    let is_same = |index: &usize| matches!(recalled[*index], Some((_, Outlook::Same)));
    let unknown: Vec<usize> = (0..datasets.len()).filter(|index| !is_same(index)).collect();
    let mut distinct = Distinct::default();
    let mut found: Vec<Option<Readable>> = Vec::with_capacity(datasets.len());
    for (index, dataset) in datasets.iter().enumerate() {
        let known = past.zip(recalled[index].filter(|_| is_same(&index)));
        found.push(known.map(|(past, (of, _))| {
            let entry = past.entry(of);
            let metadata = if index == 0 { past.memory().pairs(entry).to_vec() } else { Vec::new() };
            let fields = distinct.one(past.memory().columns(entry));
            Readable { dataset, fields, rows: entry.rows, metadata, copied: Some(of), opened: false }
        }));
    }
    let open = |item: usize| {
        if monitor.is_stopped() {
            return Err(Error::Stopped);
        }
        let index = unknown[item];
        let opened = reader.attend(&datasets[index], || reader.open(&datasets[index]))?;
        Ok(opened.map(|table| {
            let pairs = || -> Vec<(String, String)> {
                table.metadata().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
            };
            let perhaps = recalled[index].filter(|(_, outlook)| *outlook == Outlook::Perhaps);
            Footer {
                fields: table.schema().fields().clone(),
                rows: table.rows(),
                metadata: if index == 0 { essence(&pairs()) } else { Vec::new() },
                may_be_same: past.zip(perhaps).is_some_and(|(past, (of, _))| past.is_file(of, &table)),
            }
        }))
    };
    let mut problems = Vec::new();
    in_order(unknown.len(), workers, &extraction.room(), open, |item, footer: Result<Footer, Problem>| {
        let index = unknown[item];
        let dataset = &datasets[index];
        match footer {
            Err(problem) => problems.push(format!("{dataset}: {problem}")),
            Ok(Footer { fields, rows, metadata, may_be_same }) => {
                if let Some(filter) = filter {
                    filter.check(dataset, &fields)?;
                }
                let fields = distinct.one(&fields);
                let copied = recalled[index].filter(|_| may_be_same).map(|(of, _)| of);
                found[index] = Some(Readable { dataset, fields, rows, metadata, copied, opened: true });
            }
        }
        Ok(())
    })?;
    let readable: Vec<Readable> = found.into_iter().flatten().collect();
    let skip = extract.on_missing == OnMissingDataset::Skip && !readable.is_empty();
    if !problems.is_empty() && !skip {
        return Err(Error::Unreadable { total: datasets.len(), problems });
    }
    if readable.is_empty() {
        let condition = extract.selection.condition.as_ref();
        return Err(Error::NoDatasets {
            dataset_type: extract.selection.dataset_type.clone(),
            collections: extract.selection.collections.join("`, `"),
            condition: condition.map(|condition| format!(" where {condition}")).unwrap_or_default(),
        });
    }
    Ok(Survey { readable, skipped: problems, opened: unknown.len() as u64 })
}
