//! What a stage made, with its record, put in place. Not a place for how files are published together (see `publish`).

use std::time::Instant;

use chrono::Utc;

use crate::database_state::DatabaseState;
use crate::digest::Digest;
use crate::durable::SealedFile;
use crate::plan::{Output, OutputState, RECORD_FORMAT, Record, StageId};
use crate::stages::{Evidence, Product};

use super::Error;
use super::digests::Identity;
use super::facts::{Observation, Situation, digest_of_checks};
use super::parts;
use super::publish::{Publication, publish};
use super::scheduler::Outcome;
use super::shared::Shared;

/// What is to be published of a product: nothing but its record if the same bytes stand there already.
pub(super) fn publication(
    shared: &Shared<'_>,
    id: StageId,
    observation: Observation,
    product: Product,
    began: Instant,
    before: Option<&Record>,
) -> Result<(Publication, Outcome), Error> {
    let situation = shared.situation;
    let stage = situation.graph.stage(id);
    let rows = product.rows();
    let bytes = product.bytes();
    let mut files: Vec<SealedFile> = product.files.into_iter().map(|table| table.file).collect();
    // The run's lock protects them; a large group would have too many files open.
    files.iter_mut().for_each(SealedFile::close);
    let mut parts = if stage.in_parts { parts::named(std::mem::take(&mut files)) } else { Vec::new() };
    let output = if product.unchanged {
        before.and_then(|before| before.output.clone())
    } else {
        stage.out.as_deref().map(|out| {
            let path = out.strip_prefix(situation.store.out_dir()).unwrap_or(out).to_owned();
            let listed = || parts::digest(parts.iter().map(|(name, file)| (name.clone(), file.digest())));
            let digest = files.first().map_or_else(listed, SealedFile::digest);
            Output { path, bytes, rows, digest, parts: stage.in_parts.then_some(parts.len()) }
        })
    };
    let digest = |output: &Option<Output>| output.as_ref().map(|output| output.digest);
    let same = before.filter(|before| {
        output.is_some()
            && digest(&before.output) == digest(&output)
            && situation.output_state(id) == OutputState::AsRecorded
    });
    let memory = product.memory.zip(output.as_ref()).map(|(memory, output)| {
        situation.store.seal_memory(&stage.name, output.digest, digest_of_checks(stage), &memory)
    });
    let mut memory = memory.transpose()?;
    memory.iter_mut().for_each(SealedFile::close);
    let record = Record {
        format: RECORD_FORMAT,
        stage: stage.name.clone(),
        kind: stage.kind.name.to_owned(),
        run: shared.run.to_owned(),
        finished: Utc::now(),
        written_by: same.map_or_else(|| shared.run.to_owned(), |before| before.written_by.clone()),
        key: observation.key,
        output,
        generation: observation.generation.map(|generation| resting_on(generation, product.evidence)),
        seconds: began.elapsed().as_secs_f64(),
        figures: product.figures,
        checks: Vec::new(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let datasets = observation.datasets.map(|datasets| datasets.lines());
    let outcome = if same.is_some() { Outcome::Unchanged } else { Outcome::Done };
    if same.is_some() {
        files.clear();
        parts.clear();
    }
    Ok((Publication { files, parts, memory, record, datasets, folder: None }, outcome))
}

/// A state of the database that the rows of an export show, with what they rest on beside it.
fn resting_on(generation: DatabaseState, evidence: Option<Evidence>) -> DatabaseState {
    let Evidence { tree, doubt } = evidence.unwrap_or_default();
    DatabaseState { query: tree, doubt: generation.doubt.or(doubt), ..generation }
}

/// Publishes outputs together and takes note of their records.
pub(super) fn commit(
    shared: &Shared<'_>,
    name: &str,
    publications: Vec<(StageId, Publication)>,
) -> Result<(), Error> {
    let situation = shared.situation;
    let (ids, mut publications): (Vec<StageId>, Vec<Publication>) = publications.into_iter().unzip();
    let folders: Vec<_> =
        publications.iter_mut().filter_map(|publication| publication.folder.take()).collect();
    let digests_of = |publication: &Publication| -> Vec<(String, Digest)> {
        publication.parts.iter().map(|(name, file)| (name.clone(), file.digest())).collect()
    };
    let digests: Vec<_> = publications.iter().map(digests_of).collect();
    let records = publish(situation.store, name, publications)?;
    // Before the files are looked at: it is the end of other names that they have.
    drop(folders);
    for ((id, digests), record) in ids.into_iter().zip(digests).zip(records) {
        if let (Some(path), Some(output)) = (&situation.graph.stage(id).out, &record.output) {
            let digests = digests.into_iter().map(|(name, digest)| (path.join(name), digest));
            let files = digests.chain(output.parts.is_none().then(|| (path.clone(), output.digest)));
            for (file, digest) in files {
                if let Ok(identity) = Identity::of(&file) {
                    situation.digests.remember_settled(&file, identity, digest);
                }
            }
        }
        situation.set_record(id, record);
    }
    Ok(())
}

/// The records of exports that are proven unchanged, moved on to this run's snapshot, so that all exports on disk are
/// "as of" the same one.
pub(super) fn confirmed(situation: &Situation<'_>, ids: &[StageId]) -> Vec<(StageId, Publication)> {
    let mut publications = Vec::new();
    let Some(generation) = &situation.generation else { return publications };
    for &id in ids {
        let Some(record) = situation.record(id) else { continue };
        let Some(then) = &record.generation else { continue };
        if then.snapshot != generation.snapshot {
            let generation = Some(DatabaseState {
                watermark: then.watermark.clone(),
                watermark_query: then.watermark_query.clone(),
                doubt: Some("only its watermark says that it is unchanged".to_owned()),
                ..generation.clone()
            });
            let record = Record { generation, ..Record::clone(&record) };
            publications.push((id, Publication::of(record)));
        }
    }
    publications
}
