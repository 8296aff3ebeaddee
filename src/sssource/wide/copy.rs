//! Reads the columns that are copied, and holds the rows that are used, by partition of the result.
//!
//! The columns of a batch are decoded and converted in parallel, and batches come one after the other: memory does not grow
//! with the row groups of the inputs or the number of threads.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, StringArray, UInt32Array};
use arrow_cast::display::array_value_to_string;
use arrow_schema::{ArrowError, Field, Schema, SchemaRef};
use arrow_select::take::take;
use rayon::prelude::*;

use super::blocks::{Partition, Side};
use super::convert::{Converted, convert};
use super::faults::{Faults, Id};
use super::plan::{DIA_SOURCES, OBS_SBN, Origin, Source, Stored, Wide};
use super::recipe::Columns;
use super::routes::{Routed, Routes};
use super::store::Store;
use crate::monitor::Monitor;
use crate::schema::ColumnType;
use crate::sssource::options::MeasuredOn;
use crate::sssource::{Error, Row, Rows};
use crate::tables::{self, Batch, Part};

/// The rows that are used of both inputs, by partition.
pub struct Copied {
    obs: Store,
    dia: Store,
    columns: Arc<[Origin]>,
}

impl Wide {
    /// Reads the columns and holds them for each partition of `rows`, in `scratch` if there are several. It tells the
    /// monitor of [`Wide::rows`] rows.
    ///
    /// # Errors
    /// [`Error::Unfit`], [`Error::Nulls`]; what is wrong with the files.
    pub fn copy(self, rows: &mut Rows, scratch: &Path, monitor: &Monitor) -> Result<Copied, Error> {
        let Self { obs, dia, columns, measured_on, .. } = self;
        let partitions = rows.partition_count();
        let (mut obs_routes, mut dia_routes) = (Routes::default(), Routes::default());
        rows.spool.scan(|partition, rows| {
            for row in rows {
                obs_routes.add(row.obs_row, partition);
                dia_routes.add(row.dia_row, partition);
            }
        })?;
        let copy = |source: Source, mut routes: Routes| {
            routes.sort();
            Reading { source: &source, routes: &routes, measured_on, monitor }.copy(partitions, scratch)
        };
        let obs = copy(obs, obs_routes)?;
        let dia = copy(dia, dia_routes)?;
        Ok(Copied { obs, dia, columns: columns.into() })
    }
}

impl Copied {
    /// What was copied for a partition, by its number and all of its rows. A partition is given once.
    ///
    /// # Errors
    /// [`Error::Changed`] if an input changed since the association read it; [`tables::Error::Spill`].
    pub fn partition(&mut self, partition: usize, rows: &[Row]) -> Result<Partition, Error> {
        let obs = Side::new(OBS_SBN, self.obs.take(partition)?, rows.par_iter().map(|row| row.obs_row))?;
        let dia = Side::new(DIA_SOURCES, self.dia.take(partition)?, rows.par_iter().map(|row| row.dia_row))?;
        Ok(Partition { obs, dia, columns: Arc::clone(&self.columns) })
    }
}

/// The work on one input.
struct Reading<'a> {
    source: &'a Source,
    routes: &'a Routes,
    measured_on: MeasuredOn,
    monitor: &'a Monitor,
}

impl Reading<'_> {
    fn copy(&self, partitions: usize, scratch: &Path) -> Result<Store, Error> {
        let stored = &self.source.stored;
        let fields = stored.iter().map(|stored| {
            let column = stored.column;
            Field::new(&column.name, column.kind.arrow(), true)
        });
        let schema: SchemaRef = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let mut store = Store::new(&schema, partitions, scratch)?;
        let mut faults: Vec<Faults> = stored.iter().map(|_| Faults::default()).collect();
        for part in self.source.files.parts() {
            if self.routes.any(part.start(), part.rows()) {
                self.read(part, &schema, partitions, &mut store, &mut faults)?;
            } else {
                self.monitor.advance(part.rows(), 0);
            }
        }
        for (Stored { column, .. }, faults) in stored.iter().zip(faults) {
            faults.none(self.source.table, self.source.id, column)?;
        }
        Ok(store)
    }

    /// One row group.
    fn read(
        &self,
        part: Part<'_>,
        schema: &SchemaRef,
        partitions: usize,
        store: &mut Store,
        faults: &mut [Faults],
    ) -> Result<(), tables::Error> {
        /// More than one for each thread, since some columns take longer than others.
        const GROUPS_PER_THREAD: usize = 4;
        let mut names = vec![self.source.id];
        names.extend(
            self.source
                .stored
                .iter()
                .flat_map(|Stored { column, recipe }| recipe.needs(column, |name| part.has(name))),
        );
        names.sort_unstable();
        names.dedup();
        let groups = GROUPS_PER_THREAD * rayon::current_num_threads();
        let groups = names.chunks(names.len().div_ceil(groups));
        let mut readers = groups
            .map(|names| Ok((names, part.batches(names)?)))
            .collect::<Result<Vec<_>, tables::Error>>()?;
        loop {
            tables::check_stop(self.monitor)?;
            let decoded: Vec<Option<(&[&'static str], Batch<'_>)>> = readers
                .par_iter_mut()
                .map(|(names, batches)| Ok(batches.next().transpose()?.map(|batch| (*names, batch))))
                .collect::<Result<_, tables::Error>>()?;
            let decoded: Vec<_> = decoded.into_iter().flatten().collect();
            let Some((_, first)) = decoded.first() else { return Ok(()) };
            let rows = first.rows.num_rows();
            let routed = self.routes.of(first.start(), rows, partitions);
            if routed.count > 0 {
                let batches = self.batches(&decoded, &routed, schema, faults);
                store.write(batches.map_err(|source| self.failed(source))?)?;
            }
            self.monitor.advance(rows as u64, 0);
        }
    }

    fn failed(&self, source: ArrowError) -> tables::Error {
        tables::Error::Convert { column: self.source.table.to_owned(), source }
    }

    /// The rows of each partition, converted.
    fn batches(
        &self,
        decoded: &[(&[&'static str], Batch<'_>)],
        routed: &Routed,
        schema: &SchemaRef,
        faults: &mut [Faults],
    ) -> Result<Vec<RecordBatch>, ArrowError> {
        let named: Vec<(&'static str, &ArrayRef)> = decoded
            .iter()
            .flat_map(|(names, batch)| names.iter().map(|name| (*name, batch.rows.column_by_name(name))))
            .filter_map(|(name, array)| Some((name, array?)))
            .collect();
        let used = named.into_par_iter().map(|(name, array)| Ok((name, some(array, routed.used.as_ref())?)));
        let arrays: HashMap<&'static str, ArrayRef> = used.collect::<Result<_, ArrowError>>()?;
        let columns = Columns { arrays, rows: routed.count, measured_on: self.measured_on };
        let made: Vec<Converted> = self
            .source
            .stored
            .par_iter()
            .map(|Stored { column, recipe }| recipe.make(column, &columns))
            .collect::<Result<_, _>>()?;
        self.find_faults(&made, &columns, faults)?;
        let options = RecordBatchOptions::new().with_row_count(Some(routed.count));
        let arrays = made.into_iter().map(|made| made.array).collect();
        let all = RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options)?;
        let taken = routed.partitions.par_iter().map(|places| match places {
            None => Ok(all.clone()),
            Some(places) => {
                let options = RecordBatchOptions::new().with_row_count(Some(places.len()));
                let arrays = all.columns().iter().map(|array| take(array, places, None));
                let arrays = arrays.collect::<Result<_, _>>()?;
                RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options)
            }
        });
        taken.collect()
    }

    /// Takes note of values that do not fit, and of those that are missing.
    fn find_faults(
        &self,
        made: &[Converted],
        columns: &Columns,
        faults: &mut [Faults],
    ) -> Result<(), ArrowError> {
        let mut ids = None;
        for ((Stored { column, .. }, made), faults) in self.source.stored.iter().zip(made).zip(faults) {
            let is_null = !column.nullable && made.array.null_count() > made.unfit.len();
            if made.unfit.is_empty() && !is_null {
                continue;
            }
            let ids = match &mut ids {
                Some(ids) => ids,
                none => none.insert(self.ids(columns)?),
            };
            let own = columns.arrays.get(column.name.as_str());
            let mut unfit = made.unfit.iter().copied().peekable();
            for (row, id) in ids.iter().enumerate() {
                if unfit.next_if_eq(&row).is_some() {
                    let value = own.map(|own| array_value_to_string(own, row)).transpose()?;
                    faults.unfit(id.clone(), value);
                } else if is_null && made.array.is_null(row) {
                    faults.null(id.clone());
                }
            }
        }
        Ok(())
    }

    /// The ids by which errors name the rows.
    fn ids(&self, columns: &Columns) -> Result<Vec<Id>, ArrowError> {
        let Some(array) = columns.arrays.get(self.source.id) else { return Ok(Vec::new()) };
        if array.data_type().is_integer() {
            let ids = convert(array, ColumnType::Int64, None)?.array;
            return Ok(ids
                .as_primitive::<Int64Type>()
                .iter()
                .map(|id| Id::Number(id.unwrap_or(0)))
                .collect());
        }
        let ids = convert(array, ColumnType::String, None)?.array;
        let ids: &StringArray = ids.as_string();
        Ok(ids.iter().map(|id| Id::Text(id.unwrap_or_default().to_owned())).collect())
    }
}

/// These rows of a column, or all.
fn some(array: &ArrayRef, places: Option<&UInt32Array>) -> Result<ArrayRef, ArrowError> {
    places.map_or_else(|| Ok(Arc::clone(array)), |places| take(array, places, None))
}
