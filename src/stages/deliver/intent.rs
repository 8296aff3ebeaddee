//! What the stage writes down before it delivers, so that a run after a kill finishes or removes what is there.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::objects::Table;
use super::{Deliver, Error};
use crate::durable;
use crate::regular;
use crate::store::Checksums;

/// The version of the form of [`Intent`].
const FORMAT: u32 = 1;

/// A delivery that was begun.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Intent {
    format: u32,
    /// Its own: what is under the prefix is of this delivery if `_delivery.json` has it.
    pub id: String,
    /// The setting of the pipeline file.
    to: String,
    /// The prefix.
    pub url: String,
    /// The server, if the environment names one.
    endpoint: Option<String>,
    /// The inode of the folder that the intent is in: a copy of the folder must not touch what the original delivers.
    folder: Option<u64>,
    /// What is in the prefix for `${run}`.
    pub delivery: String,
    /// The run that began it.
    pub run: String,
    pub started: DateTime<Utc>,
    pub with_manifest: bool,
    pub objects: Vec<Planned>,
    /// The tables that are not part of it.
    missing: Vec<String>,
    /// The manifest, when all objects are there and it is, too.
    pub complete: Option<String>,
}

/// An object that is to be put.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Planned {
    /// Its key below the prefix.
    pub object: String,
    #[serde(flatten)]
    pub sums: Checksums,
    /// The upload in parts that may not have ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload: Option<String>,
}

/// What was found where an intent may be.
pub(super) enum Kept {
    Nothing,
    Intent(Box<Intent>),
    /// Something that no version of ssp has written, or a newer one.
    Unreadable,
}

impl Intent {
    pub(super) fn new(
        deliver: &Deliver,
        (url, delivery): (String, String),
        endpoint: Option<String>,
        (run, started): (&str, DateTime<Utc>),
        tables: &[Table],
        missing: &[String],
    ) -> Self {
        let mut random = [0; 16];
        // It never fails where processes can be started.
        let _ = ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut random);
        Self {
            format: FORMAT,
            id: format!("{:032x}", u128::from_le_bytes(random)),
            to: deliver.to.text().to_owned(),
            url,
            endpoint,
            folder: None,
            delivery,
            run: run.to_owned(),
            started,
            with_manifest: deliver.manifest,
            objects: planned(tables),
            missing: missing.to_vec(),
            complete: None,
        }
    }

    /// What a killed run left.
    pub(super) fn read(path: &Path) -> Kept {
        match regular::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Kept::Nothing,
            Err(_) => Kept::Unreadable,
            Ok(text) => match serde_json::from_str::<Self>(&text) {
                // No object is put before the folder is known.
                Ok(intent) if intent.format == FORMAT && intent.folder.is_none() => Kept::Nothing,
                Ok(intent) if intent.format == FORMAT => Kept::Intent(Box::new(intent)),
                _ => Kept::Unreadable,
            },
        }
    }

    pub(super) fn write(&mut self, path: &Path) -> Result<(), Error> {
        if self.folder.is_none() {
            let folder = path.parent().unwrap_or(path);
            let made = durable::make_folder(folder).and_then(|()| folder.metadata());
            let made = made.map_err(|source| durable::Error::Create { folder: folder.to_owned(), source })?;
            self.folder = Some(made.ino());
        }
        Ok(durable::write(path, &serde_json::to_vec_pretty(self)?)?)
    }

    /// Whether it was begun by the output folder that it is in, on the server that is named now.
    pub(super) fn is_own(&self, path: &Path, endpoint: Option<&str>) -> bool {
        self.folder.is_some() && self.folder == folder_of(path) && self.endpoint.as_deref() == endpoint
    }

    /// Whether it delivers the same bytes to the same target.
    pub(super) fn is_of(&self, deliver: &Deliver, tables: &[Table], missing: &[String]) -> bool {
        let bytes = |planned: &[Planned]| -> Vec<(String, Checksums)> {
            planned.iter().map(|object| (object.object.clone(), object.sums.clone())).collect()
        };
        self.to == deliver.to.text()
            && self.with_manifest == deliver.manifest
            && self.missing == missing
            && bytes(&self.objects) == bytes(&planned(tables))
    }
}

/// The inode of the folder that a file is in.
fn folder_of(path: &Path) -> Option<u64> {
    path.parent()?.metadata().ok().map(|found| found.ino())
}

fn planned(tables: &[Table]) -> Vec<Planned> {
    let objects = tables.iter().flat_map(|table| &table.objects);
    objects
        .map(|object| Planned { object: object.name.clone(), sums: object.sums.clone(), upload: None })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_intent_without_a_folder_is_of_no_delivery() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deliveries/a.json");
        let mut intent: Intent = serde_json::from_value(serde_json::json!({
            "format": FORMAT, "id": "0", "to": "s3://b/${run}", "url": "s3://b/x", "endpoint": null, "folder": null,
            "delivery": "x", "run": "20260302T061500Z", "started": "2026-03-02T06:15:00Z", "with_manifest": true,
            "objects": [], "missing": [], "complete": null,
        }))
        .unwrap();
        durable::write(&path, &serde_json::to_vec(&intent).unwrap()).unwrap();
        assert!(matches!(Intent::read(&path), Kept::Nothing));
        let path = folder.path().join("new/a.json");
        intent.write(&path).unwrap();
        assert!(matches!(Intent::read(&path), Kept::Intent(kept) if kept.is_own(&path, None)));
    }
}
