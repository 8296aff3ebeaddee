//! The outputs of a stage in two generations, compared. Not a place for comparing files: see `tables::diff`.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::parquet::{Error, read::TableReader};
use crate::pipeline::{Stage, plain};
use crate::run::{Found, Store};
use crate::tables::diff::{self, ColumnChange, Difference, Rows, Step, compare};

/// The outputs of one generation, or the current ones.
pub(super) struct Side {
    /// The run whose outputs were kept; none for the current outputs.
    pub run: Option<String>,
    pub store: Store,
}

/// The two outputs of a stage.
pub(super) struct Compared<'g> {
    pub stage: &'g Stage,
    pub key: Vec<String>,
    pub old: Option<Output>,
    pub new: Option<Output>,
    /// How they differ; `None` if they do not, or if one is missing.
    pub difference: Option<Difference>,
}

/// An output of a stage.
pub(super) struct Output {
    pub path: PathBuf,
    pub rows: u64,
    pub reader: TableReader,
    digest: Option<String>,
}

impl Side {
    /// The output of a stage on this side.
    pub(super) fn output(&self, stage: &Stage, out_dir: &Path) -> Result<Option<Output>, Error> {
        let recorded = match self.store.record(&stage.name) {
            Found::Record(record) => record.output,
            _ => None,
        };
        // The name of the output may have been another.
        let of_file = || stage.out.as_deref().and_then(|path| path.strip_prefix(out_dir).ok());
        let path = recorded.as_ref().map(|output| output.path.as_path()).or_else(of_file);
        let Some(path) = path else { return Ok(None) };
        let path = plain(&self.store.out_dir().join(path));
        match TableReader::open(&path) {
            Ok(reader) => {
                let recorded = recorded.filter(|output| output.bytes == reader.bytes());
                let digest = recorded.map(|output| output.digest.to_string());
                Ok(Some(Output { rows: reader.rows(), path, reader, digest }))
            }
            Err(Error::Open { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Output {
    /// Whether two outputs are one file, or were recorded with the same content.
    fn is_same(&self, other: &Self) -> bool {
        let inode = |output: &Self| {
            std::fs::metadata(&output.path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
        };
        (self.digest.is_some() && self.digest == other.digest)
            || inode(self).is_some_and(|one| Some(one) == inode(other))
    }

    fn json(&self) -> Value {
        json!({"path": self.path, "rows": self.rows, "digest": self.digest})
    }
}

impl<'g> Compared<'g> {
    /// Compares the outputs of a stage.
    pub(super) fn of(
        stage: &'g Stage,
        key: Vec<String>,
        old: &Side,
        new: &Side,
    ) -> Result<Self, diff::Error> {
        let out_dir = new.store.out_dir();
        let (old, new) = (old.output(stage, out_dir)?, new.output(stage, out_dir)?);
        let difference = match (&old, &new) {
            (Some(old), Some(new)) if !old.is_same(new) => Some(compare(&old.reader, &new.reader, &key)?),
            _ => None,
        };
        Ok(Self { stage, key, old, new, difference })
    }

    /// What differs, for programs.
    pub(super) fn json(&self) -> Value {
        let side = |output: &Option<Output>| output.as_ref().map(Output::json);
        let mut json = json!({
            "stage": self.stage.name,
            "key": self.key,
            "old": side(&self.old),
            "new": side(&self.new),
            "differs": self.difference.as_ref().map_or(self.old.is_some() != self.new.is_some(), |found| !found.is_empty()),
        });
        let Some(found) = &self.difference else { return json };
        let rows = |rows: &Rows| json!({"rows": rows.count, "first_keys": rows.first});
        let types = found.types.iter().map(|change| {
            json!({
                "column": change.column,
                "old": change.old.to_string(),
                "new": change.new.to_string(),
                "compared": change.compared,
            })
        });
        json["added"] = rows(&found.added);
        json["removed"] = rows(&found.removed);
        json["changed"] = found.changed.as_ref().map(rows).into();
        json["columns"] = found.columns.iter().map(column).collect();
        json["only_old"] = json!(found.only_old);
        json["only_new"] = json!(found.only_new);
        json["types"] = types.collect();
        json
    }
}

fn column(change: &ColumnChange) -> Value {
    let step = |step: Step| match step {
        Step::Whole(size) => Value::from(size),
        Step::Real(size) if size.is_finite() => Value::from(size),
        Step::Real(_) => Value::from("Infinity"),
    };
    let sizes = change
        .sizes
        .map(|sizes| json!({"median": step(sizes.median), "q99": step(sizes.q99), "max": step(sizes.max)}));
    json!({
        "column": change.column,
        "rows": change.rows,
        "from_null": change.from_null,
        "to_null": change.to_null,
        "size": sizes,
    })
}
