//! The new output of a stage as its checks read it, under the name that it will have. Not a place for a check.

use std::path::Path;

use arrow_array::ArrayRef;
use arrow_schema::{DataType, Field};

use crate::parquet::Error;
use crate::parquet::read::TableReader;
use crate::parquet::source::Section;
use crate::stages::Product;

/// Rows looked at at once.
const BATCH_ROWS: usize = 65_536;

/// The files of an output.
pub(super) struct Table {
    pub readers: Vec<TableReader>,
}

/// Why a column cannot be checked.
#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    /// The column is missing, or the check cannot use its values.
    #[error("{0}")]
    Unfit(String),
    #[error(transparent)]
    Read(#[from] Error),
}

impl Table {
    /// Opens a product; errors call it `output`.
    pub(super) fn open(product: &Product, output: &Path) -> Result<Self, Error> {
        let open = |path: &Path| {
            let section =
                Section::open(path).map_err(|source| Error::Open { path: output.to_owned(), source })?;
            TableReader::from_section(output, section).map(|reader| reader.closed(path))
        };
        let readers = product.files.iter().map(|table| open(table.file.temporary()));
        Ok(Self { readers: readers.collect::<Result<_, _>>()? })
    }

    pub(super) fn rows(&self) -> u64 {
        self.readers.iter().map(TableReader::rows).sum()
    }

    /// The column of a name in the first file: all files of an output have the same columns.
    pub(super) fn field(&self, column: &str) -> Option<&Field> {
        self.readers.first()?.schema().field_with_name(column).ok()
    }

    /// The type of a column.
    ///
    /// # Errors
    /// [`Problem::Unfit`], with the columns that there are.
    pub(super) fn data_type(&self, column: &str) -> Result<&DataType, Problem> {
        self.field(column).map(Field::data_type).ok_or_else(|| {
            let fields = self.readers.first().map(|reader| reader.schema().fields());
            let names: Vec<&str> = fields.into_iter().flatten().map(|field| field.name().as_str()).collect();
            Problem::Unfit(format!("has no column `{column}` (it has: {})", names.join(", ")))
        })
    }

    /// Shows the values of a column, some at a time, each time with the number of rows before them.
    pub(super) fn each(
        &self,
        column: &str,
        mut show: impl FnMut(&ArrayRef, u64) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        self.data_type(column)?;
        let mut before = 0;
        for reader in &self.readers {
            for batch in reader.batches(&[column], None, BATCH_ROWS)? {
                let batch = batch?;
                show(batch.column(0), before)?;
                before += batch.num_rows() as u64;
            }
        }
        Ok(())
    }
}
