//! Whether the file of an output is the one that its record names.

use std::io;
use std::path::Path;

use super::digests::Digests;
use super::store::Store;
use crate::digest::Digest;
use crate::plan::Output;

/// The digest of the file, if it is another than the recorded one. The file is read unless an earlier run remembered its
/// digest and the file has not changed since.
///
/// # Errors
/// If the file cannot be read.
pub(crate) fn other_digest(store: &Store, output: &Output, path: &Path) -> io::Result<Option<Digest>> {
    let (digest, _) = Digests::read(store, false).of_output(output, path)?;
    Ok((digest != output.digest).then_some(digest))
}
