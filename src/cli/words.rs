//! Words of the pipeline file, on the command line.

use serde::de::DeserializeOwned;

/// A word of the pipeline file; what is wrong with another is said as for the file.
pub fn word<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(text.into()).map_err(|error| error.to_string())
}
