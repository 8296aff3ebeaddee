//! Content digests: blake3 over bytes, files and streams.
//!
//! Not a cache: what was hashed before is remembered by `run`.

use std::fmt;
use std::io;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::regular;

/// A blake3 digest, written `blake3:` and 64 hexadecimal digits.
///
/// ```
/// use ssp::digest::Digest;
///
/// let digest = Digest::of(b"detections");
/// assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
/// assert!(digest.to_string().starts_with(&format!("blake3:{}", digest.short())));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of some bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// The digest of a file's content.
    ///
    /// # Errors
    /// Those of reading the file.
    pub fn of_file(path: &Path) -> io::Result<Self> {
        let mut hasher = Hasher::default();
        hasher.0.update_reader(regular::open(path)?)?;
        Ok(hasher.finish())
    }

    /// Its first half: as good as unequal for unequal contents, in half the memory.
    #[must_use]
    pub fn half(&self) -> [u64; 2] {
        let word = |at: usize| self.0[at..at + 8].iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
        [word(0), word(8)]
    }

    /// The first 12 hexadecimal digits: enough for people to tell two digests apart.
    #[must_use]
    pub fn short(&self) -> String {
        self.to_string()[PREFIX.len()..PREFIX.len() + 12].to_owned()
    }
}

const PREFIX: &str = "blake3:";

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

impl TryFrom<String> for Digest {
    type Error = ParseDigestError;

    fn try_from(text: String) -> Result<Self, ParseDigestError> {
        text.parse()
    }
}

/// A text that is not a digest.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a digest (`blake3:` and 64 hexadecimal digits)")]
pub struct ParseDigestError(String);

impl FromStr for Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, ParseDigestError> {
        text.strip_prefix(PREFIX)
            .and_then(|hex| blake3::Hash::from_hex(hex).ok())
            .map(|hash| Self(*hash.as_bytes()))
            .ok_or_else(|| ParseDigestError(text.to_owned()))
    }
}

/// Digests a stream of bytes.
#[derive(Default)]
pub struct Hasher(blake3::Hasher);

impl Hasher {
    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all that was added.
    #[must_use]
    pub fn finish(&self) -> Digest {
        Digest(*self.0.finalize().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_round_trips() {
        let digest = Digest::of(b"ssp");
        assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
        assert!("blake3:12".parse::<Digest>().is_err());
        assert!(digest.to_string()[7..].parse::<Digest>().is_err());
    }

    #[test]
    fn parts_and_whole_have_one_digest() {
        let mut hasher = Hasher::default();
        hasher.update(b"a");
        hasher.update(b"bc");
        assert_eq!(hasher.finish(), Digest::of(b"abc"));
    }
}
