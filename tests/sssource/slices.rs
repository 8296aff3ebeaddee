//! Slices that are made each for itself and merged give the table of one piece.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use ssp::errors::Class;
use ssp::monitor::Monitor;
use ssp::parquet::write::WriteOptions;
use ssp::stages::build_sssource::BuildSsSource;
use ssp::stages::{Error, Handed, Job, Product, Slice, Sources, Work};

use super::case::{Case, Dia, Obs, dia, obs, orbit, write_all};
use super::determinism::Counted;

/// A block CAR with which there are error ellipses.
fn covariance() -> String {
    let entries = (0..6).flat_map(|i| (i..6).map(move |j| (i, j)));
    let entries = entries.map(|(i, j)| format!("\"cov{i}{j}\": {}", if i == j { "1e-14" } else { "0" }));
    format!(
        r#"{{"coefficient_names": ["x", "y", "z", "vx", "vy", "vz"], "coefficient_values": [1, 2, 3, 4, 5, 6],
        "covariance": {{{}}}}}"#,
        entries.collect::<Vec<_>>().join(", ")
    )
}

/// Twenty objects, two without an orbit and rows without a designation, over five nights.
fn survey() -> Case {
    let mut case = super::wide::case();
    let letters = (b'A'..=b'U').filter(|letter| *letter != b'I').map(char::from);
    let names: Vec<(&'static str, &'static str)> = letters
        .map(|letter| (&*format!("2024 A{letter}1").leak(), &*format!("K24A01{letter}").leak()))
        .collect();
    case.orbits = names[..18].iter().map(|(name, packed)| orbit(name, packed)).collect();
    case.car_column = Some("car");
    for orbit in &mut case.orbits[..9] {
        orbit.car = Some(covariance());
    }
    case.current = names[..19].iter().map(|(name, _)| (*name, *name)).collect();
    case.numbered.clear();
    (case.obs, case.dia) = (Vec::new(), Vec::new());
    for k in 0..1_500_i64 {
        let id = 1_000_000_007 * (k % 977) + k;
        // Some objects have many more rows than others.
        let name = names[usize::try_from(k * k % 41 * k % 20).unwrap()].0;
        let mut observed =
            obs(&format!("o{:04}", k * 7_919 % 9_973), &format!("LSST-DP1-{id}"), id, Some(name));
        let night = (k % 5) as f64;
        observed.mjd_tai += night;
        case.dia.push(Dia { mjd_tai: Some(observed.mjd_tai), ..dia(id) });
        match k % 30 {
            0 => observed.dec += 1.0,
            1 => observed.provid = None,
            2 => {
                case.obs.push(Obs { obsid: Some(format!("again{k}")), ..observed.clone() });
            }
            _ => {}
        }
        case.obs.push(observed);
    }
    case
}

/// The inputs of a case, and what works on them.
struct Place {
    folder: tempfile::TempDir,
    inputs: BTreeMap<String, PathBuf>,
    work: BuildSsSource,
    threads: usize,
    monitor: Monitor,
    sources: Sources,
}

impl Place {
    /// With the columns that the wide table needs.
    fn of(case: &Case) -> Self {
        let (folder, tables) = (tempfile::tempdir().unwrap(), super::wide::tables(case));
        let path = |name: &str| folder.path().join(format!("{name}.parquet"));
        let inputs = tables.keys().map(|name| ((*name).to_owned(), path(name))).collect();
        write_all(folder.path(), tables);
        let part_rows = case.options.part_rows.unwrap_or(u64::MAX);
        let work = BuildSsSource {
            table: case.options.clone(),
            part_rows,
            write: WriteOptions::default(),
            scratch: None,
        };
        let (threads, monitor, sources) = (2, Monitor::default(), Sources::default());
        Self { folder, inputs, work, threads, monitor, sources }
    }

    fn on<T: Send>(&self, target: &Path, work: impl FnOnce(&Job<'_>) -> T + Send) -> T {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(self.threads).build().unwrap();
        pool.install(|| {
            work(&Job {
                sources: &self.sources,
                inputs: &self.inputs,
                datasets: None,
                target,
                in_parts: self.work.part_rows < u64::MAX,
                scratch: None,
                last: None,
                threads: NonZeroUsize::new(self.threads).unwrap(),
                monitor: &self.monitor,
                within: None,
            })
        })
    }

    fn target(&self) -> PathBuf {
        self.folder.path().join("out/sssource.parquet")
    }

    fn whole(&self) -> Result<Product, Error> {
        self.on(&self.target(), |job| self.work.run(job))
    }

    /// A slice as another process hands it over.
    fn slice(&self, number: u32, of: u32) -> Result<Product, Error> {
        let folder = self.folder.path().join(format!("slice-{number}"));
        let target = folder.join("sssource.parquet");
        let made =
            self.on(&target, |job| self.work.slices().unwrap().run_slice(job, Slice { number, of }))?;
        let handed = serde_json::to_string(&Handed::leave(made, &folder).unwrap()).unwrap();
        Ok(serde_json::from_str::<Handed>(&handed).unwrap().take(&folder, &target).unwrap())
    }

    fn slices(&self, of: u32) -> Vec<Product> {
        (0..of).map(|number| self.slice(number, of).unwrap_or_else(|error| panic!("{error:?}"))).collect()
    }

    fn merge(&self, slices: Vec<Product>) -> Result<Product, Error> {
        self.on(&self.target(), |job| self.work.slices().unwrap().merge(job, slices))
    }

    /// Does some work, whose progress must end where it is expected to.
    fn counting<T>(&mut self, work: impl FnOnce(&Self) -> T) -> T {
        let counted = Arc::new(Counted::default());
        self.monitor = Monitor::default().with_progress(counted.clone());
        let result = work(self);
        let [expected, done] = counted.rows();
        assert_eq!(expected, done);
        assert!(expected > 0);
        result
    }

    fn merge_error(&self, slices: Vec<Product>) -> String {
        text(&self.merge(slices).unwrap_err()).replace(&*self.folder.path().to_string_lossy(), "FOLDER")
    }
}

fn text(error: &Error) -> String {
    ssp::errors::chain(error).join(": ")
}

/// All that a product says: the digests and rows of its files, and the rest as text.
fn said(product: &Product) -> (Vec<(String, u64)>, String) {
    let files = product.files.iter().map(|table| (table.file.digest().to_string(), table.rows));
    let Product { figures, warnings, lookups, .. } = product;
    let figures = serde_json::to_string(figures).unwrap();
    (files.collect(), format!("{figures}\n{warnings:?}\n{lookups:?}"))
}

#[test]
fn merged_slices_are_the_table_of_one_piece_in_bytes_figures_and_warnings() {
    for wide in [false, true] {
        let mut case = survey();
        case.options.wide = wide;
        let mut place = Place::of(&case);
        let whole = place.whole().unwrap_or_else(|error| panic!("{}", text(&error)));
        let expected = said(&whole);
        let ellipses =
            |batch: &RecordBatch| batch.column_by_name("ephRaErr").map_or(0, |ra| ra.len() - ra.null_count());
        let ellipses: usize =
            super::parquet::rows(whole.files[0].file.temporary()).iter().map(ellipses).sum();
        assert!(!wide || ellipses > 100);
        assert!(whole.rows() > 1_000 && expected.1.contains("\"unmatched\":\"50 too_far"), "{}", expected.1);
        // In one partition, and in several that go through files.
        let spilled = if wide { 400_000 } else { 100_000 };
        for (of, threads, memory_bytes) in [
            (1, 2, spilled),
            (2, 1, u64::MAX),
            (3, 2, u64::MAX),
            (3, 1, spilled),
            (7, 2, spilled),
            (50, 1, u64::MAX),
        ] {
            (place.threads, place.work.table.memory_bytes) = (threads, memory_bytes);
            let slices = place.slices(of);
            let rows: Vec<u64> = slices.iter().map(Product::rows).collect();
            assert_eq!(rows.iter().sum::<u64>(), whole.rows());
            assert!(of == 1 || rows.iter().all(|rows| *rows < whole.rows() * 7 / 10), "{rows:?}");
            assert!(of > 20 || rows.iter().all(|rows| *rows > 0), "{rows:?}");
            place.threads = 3 - threads;
            let merged = place.merge(slices).unwrap_or_else(|error| panic!("{}", text(&error)));
            assert!(said(&merged) == expected, "{wide} {of}: {:?}\n{expected:?}", said(&merged));
        }
    }
}

#[test]
fn slices_of_no_rows_make_the_table_of_no_rows() {
    let mut case = survey();
    case.obs.truncate(40);
    case.dia.truncate(1);
    case.dia[0].id = 7;
    let place = Place::of(&case);
    let whole = place.whole().unwrap();
    assert_eq!(whole.rows(), 0);
    assert!(said(&place.merge(place.slices(3)).unwrap()) == said(&whole));
}

#[test]
fn a_table_in_parts_is_merged_to_the_same_parts() {
    let mut case = survey();
    case.options.part_rows = Some(200);
    case.options.wide = false;
    let place = Place::of(&case);
    let whole = place.whole().unwrap();
    assert!(whole.files.len() > 4);
    assert!(said(&place.merge(place.slices(3)).unwrap()) == said(&whole));
}

#[test]
fn each_slice_finds_the_errors_of_the_whole() {
    let mut unmatched = survey();
    unmatched.options.max_unmatched = 0.01;
    let mut twice = survey();
    twice.dia.push(twice.dia[3].clone());
    let mut again = survey();
    again.obs.push(again.obs[5].clone());
    for (case, words) in
        [(unmatched, "more than the allowed 1%"), (twice, "dia_sources has"), (again, "obs_sbn has")]
    {
        let place = Place::of(&case);
        let expected = text(&place.whole().unwrap_err());
        assert!(expected.contains(words), "{expected}");
        for number in 0..3 {
            assert_eq!(text(&place.slice(number, 3).unwrap_err()), expected);
        }
    }
}

/// The report is of the whole table.
#[test]
fn a_slice_writes_no_report() {
    let mut place = Place::of(&survey());
    let report = place.folder.path().join("report.parquet");
    place.work.table.report = Some(report.clone());
    place.slice(0, 2).unwrap();
    assert!(!report.exists());
    place.whole().unwrap();
    assert!(report.exists());
}

#[test]
fn slices_that_do_not_make_one_table_are_an_error() {
    let mut case = survey();
    case.options.wide = false;
    let mut place = Place::of(&case);
    let mut messages = vec![place.merge_error(Vec::new())];
    let mut missing = place.slices(3);
    missing.pop();
    messages.push(place.merge_error(missing));
    let mut other_count = place.slices(3);
    other_count[1] = place.slice(1, 7).unwrap();
    messages.push(place.merge_error(other_count));
    let mut swapped = place.slices(3);
    swapped.swap(0, 1);
    messages.push(place.merge_error(swapped));
    let mut without_file = place.slices(2);
    without_file[1].files.clear();
    messages.push(place.merge_error(without_file));
    messages.push(place.merge_error(vec![place.whole().unwrap()]));
    for slice in [Slice { number: 3, of: 3 }, Slice { number: 0, of: 0 }] {
        messages.push(text(&place.slice(slice.number, slice.of).unwrap_err()));
    }
    let mut other_inputs = place.slices(2);
    let other_place = Place::of(&{
        case.obs.pop();
        case
    });
    other_inputs[1] = other_place.slice(1, 2).unwrap();
    messages.push(place.merge_error(other_inputs));
    let narrow = place.slices(2);
    place.work.table.wide = true;
    messages.push(place.merge_error(narrow));
    let messages = messages.join("\n");
    insta::with_settings!({filters => vec![(r"slice-0/\.[^`]*", "slice-0/FILE")]}, {
        insta::assert_snapshot!(messages);
    });
    assert!(!place.target().exists());
}

#[test]
fn progress_ends_where_it_is_expected_to_and_a_stop_ends_the_work() {
    for wide in [false, true] {
        let mut case = survey();
        case.options.wide = wide;
        let mut place = Place::of(&case);
        let mut slices = Vec::new();
        for number in 0..2 {
            slices.push(place.counting(|place| place.slice(number, 2).unwrap()));
        }
        let merged = place.counting(|place| place.merge(slices).unwrap());
        assert!(merged.rows() > 1_000);
        let slices = place.slices(2);
        place.monitor.stop("test");
        assert_eq!(place.merge(slices).unwrap_err().class(), Class::Stopped);
        assert_eq!(place.slice(0, 2).unwrap_err().class(), Class::Stopped);
    }
}
