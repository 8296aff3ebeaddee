//! The progress of `ssp-build-ssobject`, on a terminal.

use std::collections::BTreeMap;
use std::path::Path;

use arrow::array::{Int64Array, RecordBatch};
use arrow::compute::concat;

use super::tables::{Columns, column, ids, read, write};
use super::terminal;

const CASE: &str = "fixtures/ssobject_case";
/// So many times the objects of the small table take a few looks of the progress.
const TIMES: i64 = 30;
/// SSSource and DiaSource of the small table many times over, each time with ids of their own. How many rows there are to
/// read, and (those of SSSource again) to work on.
fn inputs(folder: &Path) -> usize {
    let mut numbers: BTreeMap<&str, BTreeMap<i64, i64>> = BTreeMap::new();
    let tables =
        ["sssource.parquet", "dia_sources.parquet"].map(|name| (name, read(&Path::new(CASE).join(name))));
    for (_, table) in &tables {
        for name in
            ["diaSourceId", "ssObjectId"].into_iter().filter(|name| table.column_by_name(name).is_some())
        {
            for id in ids(table, name) {
                let known = numbers.entry(name).or_default();
                let next = i64::try_from(known.len()).unwrap() + 1;
                known.entry(id).or_insert(next);
            }
        }
    }
    for (file, table) in &tables {
        let copy = |name: &str, table: &RecordBatch| match numbers.get(name) {
            None => {
                let array = table.column_by_name(name).unwrap();
                let copies: Vec<_> = (0..TIMES).map(|_| &**array).collect();
                (name.to_owned(), concat(&copies).unwrap())
            }
            Some(known) => {
                let count = i64::try_from(known.len()).unwrap();
                let own = ids(table, name);
                let copies = (0..TIMES).flat_map(|k| own.iter().map(move |id| known[id] + k * count));
                column(name, Int64Array::from_iter_values(copies))
            }
        };
        let columns: Columns =
            table.schema().fields().iter().map(|field| copy(field.name(), table)).collect();
        write(&folder.join(file), &columns);
    }
    let [sssource, dia_sources] = tables.map(|(file, _)| read(&folder.join(file)).num_rows());
    2 * sssource + dia_sources + read(&Path::new(CASE).join("mpc_orbits.parquet")).num_rows()
}

fn drawn(folder: &Path, more: &[&str]) -> Vec<String> {
    let orbits = Path::new(env!("CARGO_MANIFEST_DIR")).join(CASE).join("mpc_orbits.parquet");
    let inputs = ["sssource.parquet", "dia_sources.parquet", orbits.to_str().unwrap()];
    let output = ["--output", "ssobject.parquet"];
    terminal::drawn(folder, "ssp-build-ssobject", &[&inputs[..], &output, more].concat())
}

#[test]
fn a_terminal_shows_the_rows() {
    let folder = tempfile::tempdir().unwrap();
    let rows = inputs(folder.path()) as u64;
    let lines = drawn(folder.path(), &["--jobs", "1"]);
    let shown = |line: &String| {
        // Such as `[bar] 130/592 rows  2s`.
        let (before, _) = line.split_once(" rows  ")?;
        let (done, all) = before.split_once(' ')?.1.split_once('/')?;
        Some((done.replace(',', "").parse().ok()?, all.replace(',', "").parse().ok()?))
    };
    let shown: Vec<(u64, u64)> = lines.iter().filter_map(shown).collect();
    assert!(shown.len() > 2 && shown.iter().all(|(_, all)| *all == rows), "{lines:?}");
    assert_eq!(shown[0].0, 0, "{lines:?}");
    assert!(shown.is_sorted() && shown.iter().any(|(done, all)| 0 < *done && done < all), "{shown:?}");
    // Nothing of it is left when it is done.
    let last: Vec<&String> = lines.iter().filter(|line| !line.is_empty()).rev().take(3).collect();
    assert!(last[2].starts_with("`ssobject.parquet`: 4,500 objects of 109,530 detections; "), "{lines:?}");
    assert!(last[1].starts_with("slopes fitted in "), "{lines:?}");
    assert_eq!(last[0], "objects without an orbit: 30; MOIDs in doubt: 0");
}

#[test]
fn silence_is_kept_on_a_terminal_too() {
    let folder = tempfile::tempdir().unwrap();
    inputs(folder.path());
    let lines = drawn(folder.path(), &["--silent"]);
    assert!(lines.iter().all(String::is_empty), "{lines:?}");
}
