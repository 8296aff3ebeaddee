//! A product that one process makes and another publishes: its files stay in a folder, the rest is written down.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::job::Product;
use crate::digest::Digest;
use crate::durable::{self, SealedFile};
use crate::errors;
use crate::lookup::Lookup;
use crate::parquet::write::SealedTable;
use crate::regular;

/// A product, written down. Its files are in a folder.
#[derive(Debug, Deserialize, Serialize)]
pub struct Handed {
    files: Vec<HandedFile>,
    figures: Map<String, Value>,
    warnings: Vec<String>,
    lookups: Vec<Lookup>,
    unchanged: bool,
    /// Whether the stage remembers something, which is in a file of its own.
    has_memory: bool,
}

#[derive(Debug, Deserialize, Serialize)]
struct HandedFile {
    /// Its name in the folder.
    file: PathBuf,
    /// The name that it is to have.
    name: PathBuf,
    digest: Digest,
    rows: u64,
}

/// Why a product cannot be taken.
#[expect(missing_docs, reason = "the messages say what the fields are")]
#[derive(Debug, thiserror::Error)]
pub enum HandedError {
    /// A file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// A file has other bytes than it was made with.
    #[error("`{}` was changed after it was made", path.display())]
    Changed { path: PathBuf },
    /// A file cannot be put there.
    #[error(transparent)]
    Target(#[from] durable::Error),
}

/// The name of the file of what a stage remembers: no output begins with a dot.
const MEMORY: &str = ".memory";

impl Handed {
    /// Leaves the files of a product in the folder, in which they were made.
    ///
    /// # Errors
    /// If they cannot be kept there.
    pub fn leave(product: Product, folder: &Path) -> Result<Self, durable::Error> {
        if let Some(memory) = &product.memory {
            durable::write(&folder.join(MEMORY), memory)?;
        }
        let mut files = Vec::with_capacity(product.files.len());
        for table in product.files {
            let name = |path: &Path| PathBuf::from(path.file_name().unwrap_or_default());
            let (file, target) = (name(table.file.temporary()), name(table.file.target()));
            let digest = table.file.digest();
            table.file.write_down()?;
            files.push(HandedFile { file, name: target, digest, rows: table.rows });
        }
        let Product { figures, warnings, lookups, unchanged, memory, .. } = product;
        Ok(Self { files, figures, warnings, lookups, unchanged, has_memory: memory.is_some() })
    }

    /// The digests of its files, in order.
    #[must_use]
    pub fn digests(&self) -> Vec<Digest> {
        self.files.iter().map(|file| file.digest).collect()
    }

    /// Whether all its files are in the folder.
    #[must_use]
    pub fn is_in(&self, folder: &Path) -> bool {
        self.files.iter().all(|file| folder.join(&file.file).exists())
    }

    /// Takes the product from the folder, its files to be published as `target` or beside it.
    ///
    /// # Errors
    /// If a file is missing, has other bytes, or cannot be published there.
    pub fn take(self, folder: &Path, target: &Path) -> Result<Product, HandedError> {
        let Self { files: handed, figures, warnings, lookups, unchanged, has_memory } = self;
        let is_one = handed.len() == 1;
        let mut files = Vec::with_capacity(handed.len());
        for HandedFile { file, name, digest, rows } in handed {
            let path = folder.join(file);
            let found = Digest::of_file(&path);
            let found = found.map_err(|source| HandedError::Read { path: path.clone(), source })?;
            if found != digest {
                return Err(HandedError::Changed { path });
            }
            let target = if is_one { target.to_owned() } else { target.with_file_name(name) };
            let file = SealedFile::with_name(&path, &target, digest)?;
            files.push(SealedTable { file, rows });
        }
        let path = folder.join(MEMORY);
        let memory = has_memory.then(|| regular::read(&path)).transpose();
        let memory = memory.map_err(|source| HandedError::Read { path, source })?;
        // The other process does not know which values are not to be shown.
        let warnings = warnings.iter().map(|warning| errors::shown(warning)).collect();
        Ok(Product { files, figures, warnings, lookups, unchanged, memory, ..Product::default() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn figures_are_the_same_numbers_afterwards(bits: u64) {
            let number = f64::from_bits(bits);
            // JSON has no others.
            prop_assume!(number.is_finite());
            let text = serde_json::to_string(&Value::from(number)).unwrap();
            let found: Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(found.as_f64().map(f64::to_bits), Some(number.to_bits()));
        }
    }
}
