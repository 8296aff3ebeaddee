//! Slices of the SSSource table: each is made of all inputs, and they are merged to the table that one process makes.
//!
//! Each slice associates all observations, so that each finds the same figures and errors. It integrates its own objects only.
//! A slice is one file: it is never in parts, and it writes no report.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::build_sssource::{
    BuildSsSource, Error, Inputs, associated, build, completed, inputs, stopped, without_list,
};
use super::{Job, Product, Slice, Sliced};
use crate::monitor::Monitor;
use crate::parquet::write::{Compression, Encodings, WriteOptions};
use crate::sssource::parts::Parts;
use crate::sssource::{Predictions, merge, table};
use crate::threads::compute;

/// The figures of the product of a slice.
#[derive(Deserialize, Serialize)]
struct Figures {
    slice: Slice,
    /// Those of the association, which are of the whole table.
    association: Map<String, Value>,
    /// Those of the slice's own rows.
    predictions: Predictions,
}

impl Sliced for BuildSsSource {
    fn run_slice(&self, job: &Job<'_>, slice: Slice) -> Result<Product, super::Error> {
        Ok(run_slice(&inputs(job)?, &self.of(job), slice, job.target, job.monitor)?)
    }

    fn merge(&self, job: &Job<'_>, slices: Vec<Product>) -> Result<Product, super::Error> {
        let product = compute(|| merged(&self.of(job), slices, job.target, job.monitor))?;
        Ok(without_list(job, product))
    }
}

fn run_slice(
    inputs: &Inputs,
    options: &BuildSsSource,
    slice: Slice,
    target: &Path,
    monitor: &Monitor,
) -> Result<Product, Error> {
    if !slice.exists() {
        return Err(Error::NoSlice { slice });
    }
    let mut options = options.clone();
    options.table.slice = slice;
    (options.table.part_rows, options.table.report) = (None, None);
    // The file is read once, and soon.
    let (compression, encodings) = (Compression::Lz4, Encodings::Plain);
    options.write = WriteOptions { compression, encodings, ..WriteOptions::default() };
    let (built, sealed) = compute(|| build(inputs, &options, target, monitor))?;
    let mut product = associated(&built, &options.table);
    let association = std::mem::take(&mut product.figures);
    let figures = Figures { slice, association, predictions: built.predictions };
    let failed = |source| Error::Figures { slice, source };
    product.figures = serde_json::to_value(figures).and_then(serde_json::from_value).map_err(failed)?;
    product.files = sealed.tables;
    Ok(product)
}

fn merged(
    options: &BuildSsSource,
    slices: Vec<Product>,
    target: &Path,
    monitor: &Monitor,
) -> Result<Product, Error> {
    let of = u32::try_from(slices.len()).unwrap_or(u32::MAX);
    let (mut whole, mut predictions, mut files) = (None::<Product>, Predictions::default(), Vec::new());
    for (number, mut product) in (0..).zip(slices) {
        let slice = Slice { number, of };
        let figures = std::mem::take(&mut product.figures);
        let figures =
            serde_json::from_value(figures.into()).map_err(|source| Error::Figures { slice, source });
        let Figures { slice: found, association, predictions: own } = figures?;
        if found != slice {
            return Err(Error::Slices {
                problem: format!("{found} was given as number {number} of {of} slices"),
            });
        }
        files.extend(product.files.pop());
        product.figures = association;
        predictions.merge(own);
        match &whole {
            None => whole = Some(product),
            Some(first) if first.figures == product.figures && first.lookups == product.lookups => {}
            Some(_) => {
                let problem = format!("{slice} has other figures than slice 0: the inputs changed");
                return Err(Error::Slices { problem });
            }
        }
    }
    let Some(whole) = whole.filter(|_| files.len() == of as usize) else {
        return Err(Error::Slices { problem: format!("there are {of} slices and {} files", files.len()) });
    };
    let schema = table::schema(&options.table).arrow();
    let mut parts = Parts::create(target, schema, &options.write, options.table.part_rows)?;
    monitor.expect(files.iter().map(|table| table.rows).sum());
    let paths = files.iter().map(|table| table.file.temporary());
    merge::merge(paths, &options.table, monitor, &mut |batch| parts.write(batch)).map_err(stopped)?;
    Ok(completed(whole, &predictions, parts.seal()?))
}
