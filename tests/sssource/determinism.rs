//! The same rows give the same result in any order, with any number of threads and any memory.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ssp::monitor::{Monitor, Progress};
use ssp::sssource::{Object, Row, associate};

use super::case::{Case, dia, obs, orbit, write_all};

const DESIGNATIONS: [(&str, &str); 7] = [
    ("2020 AA1", "K20A01A"),
    ("2020 AB1", "K20A01B"),
    ("2021 CC2", "K21C02C"),
    ("2022 DD3", "K22D03D"),
    ("2023 EE4", "K23E04E"),
    ("2024 FF5", "K24F05F"),
    ("2025 GG6", "K25G06G"),
];

/// Some thousand observations, of all kinds.
fn survey() -> Case {
    let mut case = Case::wide();
    case.orbits = DESIGNATIONS[..6].iter().map(|(name, packed)| orbit(name, packed)).collect();
    case.current = DESIGNATIONS[..5].iter().map(|(name, _)| (*name, *name)).collect();
    case.numbered.clear();
    (case.obs, case.dia) = (Vec::new(), Vec::new());
    for k in 0..3_000_i64 {
        let id = 1_000_000_007 * (k % 977) + k;
        case.dia.push(dia(id));
        let name = DESIGNATIONS[usize::try_from(k * k % 7).unwrap()].0;
        let mut observed =
            obs(&format!("obs{:05}", k * 7_919 % 10_007), &format!("LSST-DP1-{id}"), id, Some(name));
        match k % 50 {
            0 => observed.dec += 1.0,
            1 => observed.obssubid = Some(format!("nonsense {k}")),
            2 => observed.status = Some("I"),
            3 => observed.mjd_tai += 1.0,
            4 => {
                case.dia.pop();
            }
            5 => {
                let mut again = observed.clone();
                again.obsid = Some(format!("again{k}"));
                again.submission = if k % 100 == 5 { "2024" } else { "2026" };
                case.obs.push(again);
            }
            _ => {}
        }
        case.obs.push(observed);
    }
    case
}

/// A result without what depends on the places of the rows in the inputs.
#[derive(PartialEq)]
struct Result {
    objects: Vec<Object>,
    rows: Vec<Row>,
    counts: Vec<(String, u64)>,
    reasons: String,
}

fn result(case: &Case) -> Result {
    let built = case.build();
    let rows = built.rows.iter().map(|row| {
        let observed = &case.obs[usize::try_from(row.obs_row).unwrap()];
        let measured = &case.dia[usize::try_from(row.dia_row).unwrap()];
        assert!(measured.id == row.dia_source_id);
        assert!(observed.obssubid.as_ref().unwrap().contains(&row.dia_source_id.to_string()));
        let number = observed
            .obsid
            .as_ref()
            .unwrap()
            .bytes()
            .fold(0, |sum, byte| sum * 31 % 1_000_003 + u64::from(byte));
        // NaN is not equal to itself.
        Row { obs_row: number, dia_row: 0, mjd_tai_visit: 0.0, ..*row }
    });
    // So are NaNs of orbits.
    let objects = built.objects.iter().map(|object| Object { orbit: None, ..object.clone() });
    Result {
        objects: objects.collect(),
        rows: rows.collect(),
        counts: built.figures.named(),
        reasons: built.figures.reasons(),
    }
}

/// The same rows in another order.
pub fn shuffled(case: &Case, step: usize) -> Case {
    fn moved<T: Clone>(rows: &[T], step: usize) -> Vec<T> {
        (0..rows.len()).map(|k| rows[k * step % rows.len()].clone()).collect()
    }
    let mut other = case.clone();
    let coprime = |rows: usize| (step..=2 * step + 1).find(|step| gcd(*step, rows) == 1).unwrap();
    other.obs = moved(&case.obs, coprime(case.obs.len()));
    other.dia = moved(&case.dia, coprime(case.dia.len()));
    other.orbits.reverse();
    other.current.reverse();
    other
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[test]
fn order_threads_and_memory_change_no_row() {
    for wide in [true, false] {
        let mut case = survey();
        case.options.wide = wide;
        let expected = result(&case);
        assert!(expected.rows.len() > 2_000);
        for (step, threads, memory_bytes) in
            [(1, 1, u64::MAX), (1_237, 1, 100_000), (1_237, 8, u64::MAX), (77, 3, 1), (2_503, 8, 50_000)]
        {
            let mut other = shuffled(&case, step);
            (other.threads, other.options.memory_bytes) = (threads, memory_bytes);
            assert!(result(&other) == expected, "{wide} {step} {threads} {memory_bytes}");
        }
    }
}

#[test]
fn a_column_obsid_gives_the_same_in_partitions() {
    let mut case = survey();
    case.options.wide = false;
    // Only rows that are at their detection, each with its own.
    case.obs.retain(|row| !row.obsid.as_ref().unwrap().starts_with("again"));
    let ids: HashMap<String, &'static str> = case
        .obs
        .iter()
        .map(|row| (row.obssubid.clone().unwrap(), &*row.obsid.clone().unwrap().leak()))
        .collect();
    for row in &mut case.dia {
        row.obsid = ids.get(&format!("LSST-DP1-{}", row.id)).copied();
    }
    let known: HashSet<i64> = case.dia.iter().filter(|row| row.obsid.is_some()).map(|row| row.id).collect();
    case.obs.retain(|row| {
        row.obssubid
            .as_ref()
            .unwrap()
            .rsplit_once('-')
            .is_some_and(|(_, id)| known.contains(&id.parse().unwrap()))
    });
    let expected = result(&case);
    assert!(expected.rows.len() > 2_000);
    case.options.memory_bytes = 1;
    assert!(result(&shuffled(&case, 77)) == expected);
}

#[test]
fn rows_come_by_object_time_and_detection_and_partitions_keep_objects_whole() {
    let mut case = survey();
    case.options.memory_bytes = 40_000;
    let built = case.build();
    let key = |row: &Row| {
        let id = row.object_of(&built.objects).and_then(|object| object.ss_object_id);
        (id.is_none(), id, row.mjd_tai, row.dia_source_id)
    };
    assert!(built.rows.is_sorted_by(|a, b| key(a) <= key(b)));
    assert!(built.rows.iter().any(|row| key(row).0) && built.rows.iter().any(|row| !key(row).0));
    for pair in built.objects.windows(2) {
        let key = |object: &Object| {
            (object.ss_object_id.is_none(), object.ss_object_id, object.designation.clone())
        };
        assert!(key(&pair[0]) < key(&pair[1]));
    }
    let rows: u64 = built.objects.iter().map(|object| object.rows).sum();
    assert_eq!(rows, built.figures.rows - built.figures.without_designation);
}

/// Counts what a monitor is told.
#[derive(Default)]
pub struct Counted([AtomicU64; 2]);

impl Counted {
    /// The rows that are expected and those that are done.
    pub fn rows(&self) -> [u64; 2] {
        self.0.each_ref().map(|count| count.load(Ordering::Relaxed))
    }
}

impl Progress for Counted {
    fn expect(&self, rows: u64) {
        self.0[0].store(rows, Ordering::Relaxed);
    }

    fn advance(&self, rows: u64, _: u64) {
        self.0[1].fetch_add(rows, Ordering::Relaxed);
    }
}

#[test]
fn progress_ends_where_it_is_expected_to() {
    for memory_bytes in [u64::MAX, 50_000] {
        let mut case = survey();
        case.options.memory_bytes = memory_bytes;
        case.options.processing = vec!["DP1".to_owned()];
        case.obs[7].stn = "W84";
        case.obs[9].obssubid = Some("LSST-DP2-1".to_owned());
        let folder = tempfile::tempdir().unwrap();
        let inputs = write_all(folder.path(), case.tables());
        let counted = Arc::new(Counted::default());
        let monitor = Monitor::default().with_progress(counted.clone());
        let association = associate(&inputs, &case.options, folder.path(), &monitor).unwrap();
        assert_eq!(counted.rows(), [association.expected; 2]);
    }
}
