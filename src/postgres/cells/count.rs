//! How many rows the snapshot shows in each cell, and how many of them are young.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::Builder;

use super::super::error::Error;
use super::super::reader::Reader;
use super::super::rows::TextRows;
use super::super::stream::join;
use super::{Cells, Count};

const DOING: &str = "count the rows";

/// The counts of all cells, on all of the readers. `since` is the oldest transaction that was running at an earlier snapshot:
/// versions of it or of later ones are young; without it none is.
pub(crate) fn count(
    cells: &Cells,
    readers: &mut [Reader<'_>],
    since: Option<u64>,
) -> Result<Vec<Count>, Error> {
    if cells.by_index {
        return by_index(cells, &mut readers[0], since);
    }
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let work = |reader: &mut Reader<'_>| {
        let mut counts = Vec::new();
        let aggregates = aggregates(reader, since)?;
        loop {
            let cell = next.fetch_add(1, Ordering::Relaxed);
            if cell >= cells.number() || failed.load(Ordering::Relaxed) {
                return Ok(counts);
            }
            let (first, end) = cells.bounds(cell);
            let rows = reader.connection()?.query(DOING, &cells.scan.aggregates(&aggregates, first, end))?;
            counts.push((cell, read(&rows, 0)?.pop().map_or_else(Count::default, |(_, count)| count)));
        }
    };
    let found: Result<Vec<Vec<(usize, Count)>>, Error> = std::thread::scope(|scope| {
        let mut threads = Vec::with_capacity(readers.len());
        for reader in readers.iter_mut() {
            let counting = || work(reader).inspect_err(|_| failed.store(true, Ordering::Relaxed));
            threads.push(
                Builder::new().name("count".into()).spawn_scoped(scope, counting).map_err(Error::Thread)?,
            );
        }
        threads.into_iter().map(join).collect()
    });
    let mut counts = vec![Count::default(); cells.number()];
    for (cell, count) in found?.into_iter().flatten() {
        counts[cell] = count;
    }
    Ok(counts)
}

/// The same with one query, which an index answers.
fn by_index(cells: &Cells, reader: &mut Reader<'_>, since: Option<u64>) -> Result<Vec<Count>, Error> {
    let starts: Vec<String> =
        (0..cells.number()).map(|cell| format!("\"({},0)\"", cells.bounds(cell).0)).collect();
    let cell = format!("pg_catalog.width_bucket(ctid, '{{{}}}'::pg_catalog.tid[])", starts.join(","));
    reader.scan_pages(false)?;
    let aggregates = aggregates(reader, since)?;
    let rows = reader.connection()?.query(DOING, &cells.scan.grouped(&cell, &aggregates))?;
    let mut counts = vec![Count::default(); cells.number()];
    for (bucket, count) in read(&rows, 1)? {
        let cell = bucket.checked_sub(1).and_then(|cell| counts.get_mut(cell));
        *cell.ok_or_else(|| Error::protocol("counting the rows", "a row is in no cell"))? = count;
    }
    Ok(counts)
}

/// What is asked of the rows of a cell. Ages are those of this transaction.
fn aggregates(reader: &mut Reader<'_>, since: Option<u64>) -> Result<String, Error> {
    let places = "pg_catalog.count(*), pg_catalog.bit_xor(pg_catalog.hashtidextended(ctid, 0))";
    let Some(since) = since else { return Ok(format!("{places}, 0")) };
    let sql = format!("SELECT pg_catalog.age('{}'::pg_catalog.xid)", since & u64::from(u32::MAX));
    let age = reader.connection()?.query("tell the age of a transaction", &sql)?.single();
    let age: Option<i32> = age.and_then(|age| age.parse().ok());
    let age = age.ok_or_else(|| Error::protocol("telling the age of a transaction", "it is not a number"))?;
    // Too many transactions were started since the snapshot: ages prove nothing.
    if age < 0 {
        return Ok(format!("{places}, pg_catalog.count(*)"));
    }
    let young = format!(
        "pg_catalog.age(xmin) OPERATOR(pg_catalog.>=) 0 AND pg_catalog.age(xmin) OPERATOR(pg_catalog.<=) {age}"
    );
    Ok(format!("{places}, pg_catalog.count(*) FILTER (WHERE {young})"))
}

/// The numbers of each row, with what stands before them, if something does.
fn read(rows: &TextRows, before: usize) -> Result<Vec<(usize, Count)>, Error> {
    let numbers = |row: &[Option<String>]| {
        let text = |index: usize| row.get(index).cloned().flatten();
        let first = if before == 0 { 0 } else { text(0)?.parse().ok()? };
        let count = Count {
            rows: text(before)?.parse().ok()?,
            // Of no rows there is none.
            places: Some(text(before + 1).map_or(Some(0), |text| text.parse().ok())?),
            young: text(before + 2)?.parse().ok()?,
        };
        Some((first, count))
    };
    let wrong = || Error::protocol("counting the rows", "the answer has another form");
    rows.rows.iter().map(|row| numbers(row).ok_or_else(wrong)).collect()
}
