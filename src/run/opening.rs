//! What a run opens: the repository, and the database unless the recorded exports are good enough.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::plan::{StageId, Verdict};
use crate::stages::{Needs, Reads, Sources, Target, database_target};

use super::Error;
use super::digests::Digests;
use super::facts::Situation;
use super::request::Request;
use super::store::Store;

/// What sources are opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A plan reads no rows, and locks no tables.
    Plan,
    Run,
}

/// Opens what the selected stages read; not the database if the recorded exports are to be taken as they are, or are
/// younger than `max_age`.
///
/// # Errors
/// If something cannot be reached; [`Error::Interrupted`]; or the recorded exports are to be taken but are not fit for that.
pub(super) fn open(
    request: &Request<'_>,
    store: &Store,
    digests: &Digests,
    purpose: Purpose,
) -> Result<Sources, Error> {
    let reads = |what: Reads| {
        let mut selected = request.graph.ids().filter(|id| request.selection.has(*id));
        selected.any(|id| request.graph.stage(id).kind.reads == what)
    };
    let mut snapshot = reads(Reads::Snapshot);
    if snapshot && request.reuse_exports {
        standing(request, store, digests, None).map_err(Error::NotReusable)?;
        snapshot = false;
    }
    let settings = &request.pipeline.sources;
    let max_age = settings.database.as_ref().and_then(|database| database.max_age);
    if let Some(max_age) = max_age.filter(|_| snapshot) {
        let oldest = before(Utc::now(), max_age.0);
        snapshot = standing(request, store, digests, Some(oldest)).is_err();
    }
    let selected = request.graph.ids().filter(|id| request.selection.has(*id) && purpose == Purpose::Run);
    let mut tables: Vec<String> =
        selected.filter_map(|id| request.graph.stage(id).work.locked_table()).collect();
    tables.sort();
    tables.dedup();
    let needs = Needs { snapshot, tables, repository: reads(Reads::Repository) };
    let opened = Sources::open_unless_stopped(&request.monitor, settings, needs, request.environment)?;
    opened.ok_or(Error::Interrupted)
}

/// The time that is a period ago; the first that there is if the period is longer than that.
fn before(now: DateTime<Utc>, period: Duration) -> DateTime<Utc> {
    let period = TimeDelta::from_std(period).unwrap_or(TimeDelta::MAX);
    now.checked_sub_signed(period).unwrap_or(DateTime::<Utc>::MIN_UTC)
}

/// Whether all recorded exports are of one snapshot of the pipeline's database, and what they would be but for the
/// database; why not. For `max_age` they are also younger than `oldest` and were read with the same connection settings.
fn standing(
    request: &Request<'_>,
    store: &Store,
    digests: &Digests,
    oldest: Option<DateTime<Utc>>,
) -> Result<(), String> {
    let unopened = Sources::default();
    let situation = Situation::new(request, store, digests, &unopened);
    let exports = request.graph.ids().filter(|id| request.graph.stage(*id).reads_snapshot());
    let target = database_target(&request.pipeline.sources, request.environment);
    let mut first = None;
    for id in exports {
        let name = &request.graph.stage(id).name;
        let snapshot = recorded_snapshot(&situation, id, target.as_ref(), oldest)
            .map_err(|why| format!("{name}: {why}"))?;
        if *first.get_or_insert_with(|| snapshot.clone()) != snapshot {
            return Err(format!("{name}: it is from another snapshot than the others"));
        }
    }
    Ok(())
}

/// The place and the snapshot that a recorded export is of.
fn recorded_snapshot(
    situation: &Situation<'_>,
    id: StageId,
    target: Option<&Target>,
    oldest: Option<DateTime<Utc>>,
) -> Result<(BTreeMap<String, String>, String), String> {
    let observation =
        situation.observe(id, &[], &[]).map_err(|unknown| crate::errors::chain(&unknown).join(": "))?;
    if let Verdict::Run { reasons } = situation.verdict(id, &observation) {
        return Err(reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
    }
    let record = situation.record(id);
    let generation = record.as_ref().and_then(|record| record.generation.as_ref());
    let generation = generation.ok_or("its record does not name its snapshot")?;
    let database = generation.place.get("database");
    if let (Some(database), Some(target)) = (database, target)
        && database != target.dbname()
    {
        return Err(format!("it was read from database `{database}`"));
    }
    if let Some(oldest) = oldest {
        // A time that is to come is not young: a clock was set back.
        if generation.taken <= oldest || generation.taken > Utc::now() {
            return Err(format!("it was read at {}", generation.taken));
        }
        if generation.connection != target.map(Target::digest) {
            return Err("it was read with different connection settings".to_owned());
        }
        if let Some(why) = situation.graph.stage(id).work.must_refresh() {
            return Err(format!("`{why}`"));
        }
    }
    Ok((generation.place.clone(), generation.snapshot.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_of_any_length_has_a_beginning() {
        let now: DateTime<Utc> = "2026-03-02T06:15:00Z".parse().unwrap();
        assert_eq!(before(now, Duration::from_hours(20)).to_rfc3339(), "2026-03-01T10:15:00+00:00");
        for period in [Duration::from_hours(24 * 100_000_000), Duration::from_millis(u64::MAX)] {
            assert_eq!(before(now, period), DateTime::<Utc>::MIN_UTC, "{period:?}");
        }
    }
}
