//! The Python with the packages that tests use: readers of Parquet, the real Butler, a browser.

use std::path::{Path, PathBuf};

/// The Python of `.venv`, or the one that `SSP_PYTHON` names.
pub fn python() -> PathBuf {
    let venv = Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv/bin/python");
    let python = std::env::var_os("SSP_PYTHON").map_or(venv, PathBuf::from);
    assert!(python.exists(), "there is no {}: run `ci/install venv`, or set SSP_PYTHON", python.display());
    python
}
