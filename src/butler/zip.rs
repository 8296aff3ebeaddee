//! Members of zip files: as stretches of the file where they are stored, in memory where they are compressed.

use std::collections::HashMap;
use std::io::Read;
use std::sync::{Mutex, PoisonError};

use zip::{CompressionMethod, ZipArchive};

use super::error::Cause;
use super::place::Place;
use crate::parquet::source::Section;

pub(super) enum Member {
    /// A stretch of the zip file.
    Stored(Section),
    /// Decompressed, its checksum verified.
    Inflated(Vec<u8>),
}

/// Zip files whose tables of contents were read: there may be thousands of datasets in one.
#[derive(Default)]
pub(super) struct ZipFiles(Mutex<HashMap<Place, ZipArchive<Section>>>);

impl ZipFiles {
    /// A member of a zip file, and its size.
    pub(super) fn member(&self, place: &Place, zip: &Section, name: &str) -> Result<(Member, u64), Cause> {
        let mut archive = self.archive(place, zip)?;
        let mut member = archive.by_name(name)?;
        let size = member.size();
        if member.compression() == CompressionMethod::Stored {
            let start = member.data_start().ok_or("the start of the member is not known")?;
            return Ok((Member::Stored(zip.slice(start, size)?), size));
        }
        let mut bytes = Vec::new();
        // No further than what was promised: a zip file may lie.
        member.by_ref().take(size.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != size {
            return Err(format!("it should hold {size} bytes").into());
        }
        Ok((Member::Inflated(bytes), size))
    }

    /// The size of a member, as the table of contents has it.
    pub(super) fn size(&self, place: &Place, zip: &Section, name: &str) -> Result<u64, Cause> {
        Ok(self.archive(place, zip)?.by_name(name)?.size())
    }

    fn archive(&self, place: &Place, zip: &Section) -> Result<ZipArchive<Section>, Cause> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(archive) = known.get(place) {
            return Ok(archive.clone());
        }
        let archive = ZipArchive::new(zip.clone())?;
        known.insert(place.clone(), archive.clone());
        Ok(archive)
    }
}
