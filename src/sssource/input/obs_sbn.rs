//! `obs_sbn`: what the MPC has of each observation.

use arrow_array::{Array, StringViewArray};

use super::texts::Texts;
use crate::lookup::Few;
use crate::obssubid::{self, End};
use crate::science::ephemeris::time::{LEAP_SECONDS_END_MJD_UTC, tai_of_utc};
use crate::sssource::options::Options;
use crate::tables::{Batch, Column, Error, Fields, Part, Reals, Record, record};

/// An observation; NaN is unknown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Obs {
    /// Filled up with zeros.
    pub obsid: [u8; 32],
    /// The DiaSource that it is of, if `kind` says that it has one.
    pub dia_id: i64,
    /// Its place among all rows of the input.
    pub row: u64,
    /// obstime \[MJD TAI\].
    pub mjd_tai: f64,
    pub ra_deg: f64,
    pub dec_deg: f64,
    /// Its designation: a number of [`Names`], or [`NO_NAME`]; then its object.
    pub name: u32,
    /// The submission in which it came: a number, then its place in their order.
    pub submission: u32,
    /// The processing, by number.
    pub label: u32,
    pub kind: Kind,
}

/// What `obssubid` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Source(End),
    /// No id of a DiaSource.
    NoId,
    /// Of a processing that is not used.
    OtherProcessing,
}

/// The name of an observation that has no designation.
pub(crate) const NO_NAME: u32 = u32::MAX;
/// The label of a bare id.
const NO_LABEL: u32 = u32::MAX;

impl Record for Kind {
    const BYTES: usize = 1;

    fn put(&self, bytes: &mut Vec<u8>) {
        bytes.push(match self {
            Self::Source(End::Whole) => 0,
            Self::Source(End::A) => 1,
            Self::Source(End::B) => 2,
            Self::NoId => 3,
            Self::OtherProcessing => 4,
        });
    }

    fn get(fields: &mut Fields<'_>) -> Self {
        match u8::get(fields) {
            0 => Self::Source(End::Whole),
            1 => Self::Source(End::A),
            2 => Self::Source(End::B),
            3 => Self::NoId,
            _ => Self::OtherProcessing,
        }
    }
}

record!(Obs {
    obsid: [u8; 32],
    dia_id: i64,
    row: u64,
    mjd_tai: f64,
    ra_deg: f64,
    dec_deg: f64,
    name: u32,
    submission: u32,
    label: u32,
    kind: Kind,
});

/// A text that was filled up with zeros.
pub(crate) fn text_of(short: &[u8]) -> String {
    String::from_utf8_lossy(short).trim_end_matches('\0').to_owned()
}

/// The designations of observations as the MPC has them.
#[derive(Debug, Default)]
pub(crate) struct Names {
    pub provids: Texts,
    pub permids: Texts,
}

/// What a name of [`Obs`] is: a number among the provids or the permids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Provid(u32),
    Permid(u32),
}

impl Name {
    /// Even numbers are provids, odd ones permids.
    fn packed(self) -> u32 {
        match self {
            Self::Provid(number) => number.saturating_mul(2),
            Self::Permid(number) => number.saturating_mul(2).saturating_add(1),
        }
    }

    /// What a number of [`Obs`] means.
    pub(crate) fn of(packed: u32) -> Option<Self> {
        match packed {
            NO_NAME => None,
            even if even % 2 == 0 => Some(Self::Provid(even / 2)),
            odd => Some(Self::Permid(odd / 2)),
        }
    }
}

/// The observations of the station, in one part or in several.
#[derive(Default)]
pub(crate) struct Observations {
    pub rows: Vec<Obs>,
    pub names: Names,
    pub submissions: Texts,
    labels: Texts,
    /// The first few `obssubid` that are no id.
    pub no_ids: Few,
    /// The first few stations that are another.
    pub stations: Few,
    /// The first few labels that are not used.
    pub other_labels: Few,
    /// Rows later than the table of leap seconds is sure of.
    pub beyond_leap_seconds: u64,
}

impl Observations {
    /// Takes in another part, and gives back its rows, which then refer to the texts of this one.
    pub(crate) fn merge(&mut self, mut other: Self) -> Vec<Obs> {
        let provids = self.names.provids.merge(other.names.provids);
        let permids = self.names.permids.merge(other.names.permids);
        let submissions = self.submissions.merge(other.submissions);
        let labels = self.labels.merge(other.labels);
        let at = |places: &[u32], number: u32| places.get(number as usize).copied().unwrap_or(number);
        for row in &mut other.rows {
            row.name = match Name::of(row.name) {
                None => NO_NAME,
                Some(Name::Provid(number)) => Name::Provid(at(&provids, number)).packed(),
                Some(Name::Permid(number)) => Name::Permid(at(&permids, number)).packed(),
            };
            row.submission = at(&submissions, row.submission);
            row.label = at(&labels, row.label);
        }
        self.no_ids.merge(&other.no_ids);
        self.stations.merge(&other.stations);
        self.other_labels.merge(&other.other_labels);
        self.beyond_leap_seconds += other.beyond_leap_seconds;
        other.rows
    }

    fn add(&mut self, columns: &Columns<'_>, row: usize, start: u64, options: &Options) -> Result<(), Error> {
        let obssubid = value(&columns.obssubids, row).unwrap_or_default();
        let source = obssubid::parse(obssubid);
        let label = source.and_then(|source| source.label);
        let is_other = label.is_some_and(|label| {
            !options.processing.is_empty() && !options.processing.iter().any(|used| used == label)
        });
        let kind = match source {
            None => {
                self.no_ids.add(if obssubid.is_empty() { "NULL" } else { obssubid });
                Kind::NoId
            }
            Some(_) if is_other => {
                self.other_labels.add(label.unwrap_or_default());
                Kind::OtherProcessing
            }
            Some(source) => Kind::Source(source.end),
        };
        let mjd_utc = columns.times_mjd_utc[row];
        self.beyond_leap_seconds += u64::from(mjd_utc >= LEAP_SECONDS_END_MJD_UTC);
        let [ra, dec] = &columns.position;
        let name = self.name(columns, row).map_or(NO_NAME, Name::packed);
        self.rows.push(Obs {
            obsid: columns.obsid.short_text(&columns.obsids, row)?,
            dia_id: source.map_or(0, |source| source.dia_id),
            row: start + row as u64,
            mjd_tai: tai_of_utc(mjd_utc),
            ra_deg: ra.value(row),
            dec_deg: dec.value(row),
            name,
            submission: self.submissions.add(value(&columns.submissions, row).unwrap_or_default()),
            label: label.map_or(NO_LABEL, |label| self.labels.add(label)),
            kind,
        });
        Ok(())
    }

    /// The designation; isolated tracklets have none, though the MPC may leave a withdrawn one standing.
    fn name(&mut self, columns: &Columns<'_>, row: usize) -> Option<Name> {
        const ISOLATED: &str = "I";
        let given = |texts| value(texts, row).map(str::trim).filter(|text| !text.is_empty());
        if given(&columns.statuses) == Some(ISOLATED) {
            return None;
        }
        if let Some(provid) = given(&columns.provids) {
            return Some(Name::Provid(self.names.provids.add(provid)));
        }
        given(&columns.permids).map(|permid| Name::Permid(self.names.permids.add(permid)))
    }
}

fn value(texts: &StringViewArray, row: usize) -> Option<&str> {
    texts.is_valid(row).then(|| texts.value(row))
}

/// The columns of a batch.
struct Columns<'a> {
    stations: StringViewArray,
    obsid: Column<'a>,
    obsids: StringViewArray,
    obssubids: StringViewArray,
    statuses: StringViewArray,
    provids: StringViewArray,
    permids: StringViewArray,
    submissions: StringViewArray,
    times_mjd_utc: Vec<f64>,
    position: [Reals; 2],
}

const TEXTS: [&str; 7] = ["stn", "obsid", "obssubid", "status", "provid", "permid", "submission_id"];
const TIME: &str = "obstime";
const POSITION: [&str; 2] = ["ra", "dec"];

impl<'a> Columns<'a> {
    fn read(batch: &Batch<'a>) -> Result<Self, Error> {
        let [stations, obsids, obssubids, statuses, provids, permids, submissions] =
            TEXTS.map(|name| Column::of(batch, name)?.texts());
        let [ra, dec] = POSITION.map(|name| Column::of(batch, name)?.reals());
        Ok(Self {
            stations: stations?,
            obsid: Column::of(batch, TEXTS[1])?,
            obsids: obsids?,
            obssubids: obssubids?,
            statuses: statuses?,
            provids: provids?,
            permids: permids?,
            submissions: submissions?,
            times_mjd_utc: Column::of(batch, TIME)?.times_mjd()?,
            position: [ra?, dec?],
        })
    }
}

/// The observations of the station in one part.
pub(crate) fn observations(part: Part<'_>, options: &Options) -> Result<Observations, Error> {
    let mut found = Observations::default();
    let mut names = TEXTS.to_vec();
    names.push(TIME);
    names.extend(POSITION);
    for batch in part.batches(&names)? {
        let batch = batch?;
        let columns = Columns::read(&batch)?;
        for row in 0..batch.rows.num_rows() {
            let station = value(&columns.stations, row).unwrap_or("NULL");
            if station == options.station {
                found.add(&columns, row, batch.start(), options)?;
            } else {
                found.stations.add(station);
            }
        }
    }
    Ok(found)
}
