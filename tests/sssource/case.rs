//! Small inputs of SSSource: rows to Parquet files, and what is made of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use ssp::monitor::Monitor;
use ssp::parquet::write::{TableWriter, WriteOptions};
use ssp::sssource::options::Options;
use ssp::sssource::{Error, Figures, Inputs, NO_OBJECT, Object, Row, associate};

/// A row of `obs_sbn`, with its time in TAI.
#[derive(Clone, Debug)]
pub struct Obs {
    pub obsid: Option<String>,
    pub obssubid: Option<String>,
    pub stn: &'static str,
    pub status: Option<&'static str>,
    pub mjd_tai: f64,
    pub ra: Option<f64>,
    pub dec: f64,
    pub provid: Option<&'static str>,
    pub permid: Option<&'static str>,
    pub submission: &'static str,
}

/// A row of `dia_sources`.
#[derive(Clone, Debug)]
pub struct Dia {
    pub id: i64,
    pub mjd_tai: Option<f64>,
    pub ra: f64,
    pub dec: f64,
    pub visit: Option<f64>,
    pub trail: Option<(f64, f64)>,
    pub obsid: Option<&'static str>,
}

/// A row of `mpc_orbits`.
#[derive(Clone, Debug)]
pub struct Orbit {
    pub designation: &'static str,
    pub packed: Option<&'static str>,
    pub car: Option<String>,
}

/// The five tables, and how they are read.
#[derive(Clone, Debug, Default)]
pub struct Case {
    pub obs: Vec<Obs>,
    pub dia: Vec<Dia>,
    /// Secondary and primary designation.
    pub current: Vec<(&'static str, &'static str)>,
    /// Number and primary designation.
    pub numbered: Vec<(&'static str, &'static str)>,
    pub orbits: Vec<Orbit>,
    /// The column with the block CAR.
    pub car_column: Option<&'static str>,
    pub options: Options,
    pub threads: usize,
}

/// What was made of a case.
#[derive(Debug)]
pub struct Built {
    pub objects: Vec<Object>,
    pub rows: Vec<Row>,
    pub figures: Figures,
}

pub type Columns = Vec<(&'static str, ArrayRef)>;
pub type Tables = BTreeMap<&'static str, Columns>;

pub const MAS_DEG: f64 = 1.0 / 3.6e6;
pub const MS_DAY: f64 = 1.0 / 86.4e6;
/// The time of the first detection \[MJD TAI\].
pub const TIME: f64 = 60_796.25;

/// An observation that agrees with [`dia`] of the same id.
pub fn obs(obsid: &str, obssubid: &str, id: i64, provid: Option<&'static str>) -> Obs {
    let Dia { mjd_tai, ra, dec, .. } = dia(id);
    Obs {
        obsid: Some(obsid.to_owned()),
        obssubid: Some(obssubid.to_owned()),
        stn: "X05",
        status: Some("P"),
        mjd_tai: mjd_tai.unwrap(),
        ra: Some(ra),
        dec,
        provid,
        permid: None,
        submission: "2025-07-01T00:00:00.000_0000Abcd",
    }
}

/// A detection whose time and place are made of its id.
pub fn dia(id: i64) -> Dia {
    let step = f64::from(i32::try_from(id % 1000).unwrap());
    Dia {
        id,
        mjd_tai: Some(TIME + step / 1024.0),
        ra: 150.0 + step / 64.0,
        dec: -20.0 + step / 128.0,
        visit: None,
        trail: None,
        obsid: None,
    }
}

pub fn orbit(designation: &'static str, packed: &'static str) -> Orbit {
    Orbit { designation, packed: Some(packed), car: None }
}

impl Case {
    /// Three detections of two objects that all agree.
    pub fn new() -> Self {
        Self {
            obs: vec![
                obs("o1", "LSST-DP1-101", 101, Some("2024 AB1")),
                obs("o2", "LSST-DP1-102", 102, Some("2024 AB1")),
                obs("o3", "103", 103, Some("2023 BA2")),
            ],
            dia: [101, 102, 103, 104].map(dia).to_vec(),
            current: vec![("2024 AB1", "2024 AB1"), ("2023 BA2", "2023 BA2")],
            numbered: vec![("7", "2023 BA2")],
            orbits: vec![orbit("2024 AB1", "K24A01B"), orbit("2023 BA2", "K23B02A")],
            // Two of three rows may be without a match, unless a test says otherwise.
            options: Options { max_unmatched: 1.0, ..Options::default() },
            threads: 2,
            ..Self::default()
        }
    }

    /// The same with every row in the result.
    pub fn wide() -> Self {
        let mut case = Self::new();
        case.options.wide = true;
        case
    }

    pub fn build(&self) -> Built {
        self.build_of(self.tables())
            .unwrap_or_else(|error| panic!("{}", ssp::errors::chain(&error).join("\n")))
    }

    /// The message of the error, its causes too, with folders left out.
    pub fn error(&self) -> String {
        self.error_of(self.tables())
    }

    pub fn error_of(&self, tables: Tables) -> String {
        text(&self.build_of(tables).unwrap_err())
    }

    pub fn build_of(&self, tables: Tables) -> Result<Built, Error> {
        let folder = tempfile::tempdir().unwrap();
        let inputs = write_all(folder.path(), tables);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(self.threads).build().unwrap();
        pool.install(|| run(&inputs, &self.options, folder.path()))
    }

    pub fn tables(&self) -> Tables {
        let mut dia: Columns = vec![
            ("diaSourceId", Arc::new(self.dia.iter().map(|row| Some(row.id)).collect::<Int64Array>())),
            ("midpointMjdTai", reals(self.dia.iter().map(|row| row.mjd_tai))),
            ("ra", reals(self.dia.iter().map(|row| Some(row.ra)))),
            ("dec", reals(self.dia.iter().map(|row| Some(row.dec)))),
        ];
        if self.dia.iter().any(|row| row.visit.is_some()) {
            dia.push(("midpointMjdTaiVisit", reals(self.dia.iter().map(|row| row.visit))));
        }
        if self.dia.iter().any(|row| row.trail.is_some()) {
            dia.push(("trailRa", reals(self.dia.iter().map(|row| row.trail.map(|trail| trail.0)))));
            dia.push(("trailDec", reals(self.dia.iter().map(|row| row.trail.map(|trail| trail.1)))));
        }
        if self.dia.iter().any(|row| row.obsid.is_some()) {
            dia.push(("obsid", texts(self.dia.iter().map(|row| row.obsid))));
        }
        BTreeMap::from([
            ("obs_sbn", self.obs_sbn()),
            ("dia_sources", dia),
            ("mpc_orbits", self.mpc_orbits()),
            (
                "current_identifications",
                vec![
                    (
                        "unpacked_secondary_provisional_designation",
                        texts(self.current.iter().map(|row| Some(row.0))),
                    ),
                    (
                        "unpacked_primary_provisional_designation",
                        texts(self.current.iter().map(|row| Some(row.1))),
                    ),
                ],
            ),
            (
                "numbered_identifications",
                vec![
                    ("permid", texts(self.numbered.iter().map(|row| Some(row.0)))),
                    (
                        "unpacked_primary_provisional_designation",
                        texts(self.numbered.iter().map(|row| Some(row.1))),
                    ),
                ],
            ),
        ])
    }

    fn obs_sbn(&self) -> Columns {
        let times: TimestampMicrosecondArray = self.obs.iter().map(|row| Some(utc_us(row.mjd_tai))).collect();
        vec![
            ("obsid", texts(self.obs.iter().map(|row| row.obsid.as_deref()))),
            ("obssubid", texts(self.obs.iter().map(|row| row.obssubid.as_deref()))),
            ("stn", texts(self.obs.iter().map(|row| Some(row.stn)))),
            ("status", texts(self.obs.iter().map(|row| row.status))),
            ("obstime", Arc::new(times)),
            ("ra", reals(self.obs.iter().map(|row| row.ra))),
            ("dec", reals(self.obs.iter().map(|row| Some(row.dec)))),
            ("provid", texts(self.obs.iter().map(|row| row.provid))),
            ("permid", texts(self.obs.iter().map(|row| row.permid))),
            ("submission_id", texts(self.obs.iter().map(|row| Some(row.submission)))),
            ("trksub", texts(self.obs.iter().map(|_| Some("t1")))),
            ("band", texts(self.obs.iter().map(|_| Some("Lr")))),
            ("mag", reals(self.obs.iter().map(|_| Some(21.5)))),
        ]
    }

    fn mpc_orbits(&self) -> Columns {
        let one = |value: f64| reals(self.orbits.iter().map(|_| Some(value)));
        let mut columns: Columns = vec![
            (
                "unpacked_primary_provisional_designation",
                texts(self.orbits.iter().map(|row| Some(row.designation))),
            ),
            ("packed_primary_provisional_designation", texts(self.orbits.iter().map(|row| row.packed))),
            ("q", one(1.5)),
            ("e", one(0.25)),
            ("i", one(90.0)),
            ("node", one(180.0)),
            ("argperi", one(45.0)),
            ("peri_time", one(60_900.5)),
            ("epoch_mjd", one(61_000.0)),
            ("h", one(17.5)),
            ("g", reals(self.orbits.iter().map(|_| None))),
        ];
        if let Some(column) = self.car_column {
            columns.push((column, texts(self.orbits.iter().map(|row| row.car.as_deref()))));
        }
        columns
    }
}

/// The message of an error and its causes, with folders left out.
pub fn text(error: &Error) -> String {
    let text = ssp::errors::chain(error).join("\n");
    let words = text.split('`').map(|word| match word.rsplit_once('/') {
        Some((_, name)) if word.ends_with(".parquet") => name,
        _ => word,
    });
    words.collect::<Vec<_>>().join("`")
}

pub fn run(inputs: &Inputs, options: &Options, scratch: &Path) -> Result<Built, Error> {
    let association = associate(inputs, options, scratch, &Monitor::default())?;
    let mut rows = Vec::new();
    for partition in association.rows.partitions() {
        rows.extend(partition?);
    }
    assert_eq!(rows.len() as u64, association.figures.rows);
    Ok(Built { objects: association.objects, rows, figures: association.figures })
}

/// Writes the tables to files, in several row groups.
pub fn write_all(folder: &Path, tables: Tables) -> Inputs {
    let mut paths: BTreeMap<&str, PathBuf> = BTreeMap::new();
    for (name, columns) in tables {
        let path = folder.join(format!("{name}.parquet"));
        write(&path, columns);
        paths.insert(name, path);
    }
    Inputs {
        obs_sbn: paths["obs_sbn"].clone(),
        dia_sources: paths["dia_sources"].clone(),
        mpc_orbits: paths["mpc_orbits"].clone(),
        current_identifications: paths["current_identifications"].clone(),
        numbered_identifications: paths["numbered_identifications"].clone(),
    }
}

pub fn write(path: &Path, columns: Columns) {
    let columns = columns.into_iter().map(|(name, array)| (name, array, true));
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let row_group_rows = batch.num_rows().div_ceil(3).max(1);
    let options = WriteOptions { row_group_rows, ..WriteOptions::default() };
    let mut writer = TableWriter::create(path, batch.schema(), &options).unwrap();
    writer.write(&batch).unwrap();
    writer.seal().unwrap().file.publish().unwrap();
}

pub fn texts<'a>(values: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

pub fn reals(values: impl Iterator<Item = Option<f64>>) -> ArrayRef {
    Arc::new(values.collect::<Float64Array>())
}

/// TAI to UTC in microseconds, after 2017.
#[expect(clippy::cast_possible_truncation, reason = "rounded before, and of our century")]
pub fn utc_us(mjd_tai: f64) -> i64 {
    ((mjd_tai - 40_587.0) * 86_400.0e6).round() as i64 - 37_000_000
}

/// A table with another column in place of one.
pub fn replace(tables: &mut Tables, table: &str, column: &str, array: impl Array + 'static) {
    let columns = tables.get_mut(table).unwrap();
    let place = columns.iter_mut().find(|(name, _)| *name == column).unwrap();
    place.1 = Arc::new(array);
}

pub fn remove(tables: &mut Tables, table: &str, column: &str) {
    tables.get_mut(table).unwrap().retain(|(name, _)| *name != column);
}

impl Built {
    /// Each row as its DiaSource, its place in obs_sbn, its designation and whether it is primary.
    pub fn list(&self) -> Vec<(i64, u64, Option<&str>, bool)> {
        let designation = |row: &Row| {
            assert_eq!(row.object == NO_OBJECT, row.object_of(&self.objects).is_none());
            row.object_of(&self.objects).map(|object| &*object.designation)
        };
        self.rows
            .iter()
            .map(|row| (row.dia_source_id, row.obs_row, designation(row), row.is_primary))
            .collect()
    }

    /// The ids of the rows' detections, in order.
    pub fn ids(&self) -> Vec<i64> {
        self.rows.iter().map(|row| row.dia_source_id).collect()
    }

    /// The counts that are not 0, of the reasons alone.
    pub fn reasons(&self) -> Vec<(&'static str, u64)> {
        let count = |reason: ssp::sssource::Reason| (reason.name(), self.figures.of(reason));
        ssp::sssource::Reason::ALL.into_iter().map(count).filter(|(_, count)| *count > 0).collect()
    }
}
