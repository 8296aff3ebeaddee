//! What a store can say of an object's bytes, and what proves them. Not a place for asking a store.

use std::io::Read;
use std::path::Path;

use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};

use super::Error;
use crate::digest::{Digest, Hasher};
use crate::monitor::Monitor;
use crate::regular;

/// The size of a part of a large object \[bytes\]. What is not larger is put by one request.
pub(super) const PART: u64 = 16 << 20;
/// The most parts that S3 and Google Cloud Storage take.
const MOST_PARTS: u64 = 10_000;
/// The bytes that are read at once.
const BLOCK: usize = 1 << 20;

/// The size and the checksums of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checksums {
    /// Its size.
    pub bytes: u64,
    /// Its MD5, in hexadecimal digits.
    pub md5: String,
    /// Its blake3.
    pub blake3: Digest,
    /// The `ETag` that S3 gives it, if it does not encrypt it: the MD5; of an upload in parts, that of the MD5s of the parts.
    pub etag: String,
}

/// The size of the parts of an object of a size \[bytes\].
pub(super) fn part_size(bytes: u64) -> u64 {
    PART.max(bytes.div_ceil(MOST_PARTS).next_multiple_of(1 << 20))
}

impl Checksums {
    /// Those of a file, by reading it once.
    pub(crate) fn of_file(path: &Path, monitor: &Monitor) -> Result<Self, Error> {
        let failed = |source| Error::Source { path: path.to_owned(), source };
        let mut file = regular::open(path).map_err(failed)?;
        let part_size = part_size(file.metadata().map_err(failed)?.len());
        let (mut whole, mut blake3) = (Md5::new(), Hasher::default());
        let (mut part, mut in_part, mut parts) = (Md5::new(), 0, Vec::new());
        let mut bytes = 0;
        let mut block = vec![0; BLOCK];
        loop {
            if monitor.is_stopped() {
                return Err(Error::Stopped);
            }
            // A block ends where a part does.
            let room = usize::try_from(part_size - in_part).unwrap_or(BLOCK).min(BLOCK);
            let count = file.read(&mut block[..room]).map_err(failed)?;
            if count == 0 {
                break;
            }
            let read = &block[..count];
            whole.update(read);
            part.update(read);
            blake3.update(read);
            bytes += count as u64;
            in_part += count as u64;
            if in_part == part_size {
                parts.push(std::mem::take(&mut part).finalize());
                in_part = 0;
            }
        }
        let md5 = hex(&whole.finalize());
        if in_part > 0 {
            parts.push(part.finalize());
        }
        let etag = if bytes > PART {
            let all: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
            format!("{}-{}", hex(&Md5::digest(all)), parts.len())
        } else {
            md5.clone()
        };
        Ok(Self { bytes, md5, blake3: blake3.finish(), etag })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::durable;

    #[test]
    fn an_etag_is_the_md5_or_that_of_the_parts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let of = |bytes: &[u8]| {
            durable::write(&path, bytes).unwrap();
            Checksums::of_file(&path, &Monitor::default()).unwrap()
        };
        // RFC 1321.
        let abc = of(b"abc");
        assert_eq!((abc.bytes, abc.md5.as_str()), (3, "900150983cd24fb0d6963f7d28e17f72"));
        assert_eq!((abc.etag, abc.blake3), (abc.md5, Digest::of(b"abc")));
        let large = vec![7; usize::try_from(PART).unwrap() + 5];
        let found = of(&large);
        let parts: Vec<u8> = large.chunks(16 << 20).flat_map(|part| Md5::digest(part).to_vec()).collect();
        assert_eq!(found.etag, format!("{}-2", hex(&Md5::digest(parts))));
        assert_eq!((found.md5, found.blake3), (hex(&Md5::digest(&large)), Digest::of(&large)));
        assert!(!of(&large[..16 << 20]).etag.contains('-'));
    }

    #[test]
    fn no_object_has_more_parts_than_a_store_takes() {
        for bytes in [0, PART, PART * MOST_PARTS, PART * MOST_PARTS + 1, 5 << 40] {
            let size = part_size(bytes);
            assert!(size >= PART && bytes.div_ceil(size) <= MOST_PARTS, "{bytes}");
        }
    }
}
