//! What is worth knowing of an association.

use super::association::Reason;
use super::car::NonGravity;
use super::designation::Object;
use super::options::Options;
use crate::lookup::{Few, Lookup, Usual};

/// Counts over all rows and objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Rows of `obs_sbn`.
    pub read: u64,
    /// Rows of the station.
    pub observations: u64,
    /// Rows that have a DiaSource that agrees.
    pub matched: u64,
    /// Detections that they are of.
    pub dia_sources: u64,
    /// Of the matched rows, those without a designation.
    pub without_designation: u64,
    /// Rows for each of the reasons of [`Reason::ALL`].
    pub by_reason: [u64; Reason::ALL.len()],
    /// Rows of the result.
    pub rows: u64,
    /// Objects with rows.
    pub objects: u64,
    /// Of these, those that a table knows.
    pub known: u64,
    /// Of these, those with an orbit.
    pub with_orbit: u64,
    /// Objects with rows and non-gravitational terms that are used.
    pub non_gravitational: u64,
    /// Objects with rows and other terms.
    pub unknown_terms: u64,
    /// Orbits whose block CAR could not be read.
    pub unreadable_cars: u64,
    /// Whether `mpc_orbits` has a column with the block CAR.
    pub has_car: bool,
    /// Observations later than the table of leap seconds is sure of.
    pub beyond_leap_seconds: u64,
    /// Examples of the rows for each reason, by their text.
    pub examples: [Few; Reason::ALL.len()],
    /// Examples of what is there instead: stations, designations of `mpc_orbits`.
    pub stations: Few,
    pub(super) orbits_there: Few,
    pub(super) unknown: Few,
    pub(super) without_orbit: Few,
}

impl Figures {
    /// Counts one row for a reason.
    pub(super) fn count(&mut self, reason: Reason) {
        self.by_reason[reason as usize] += 1;
    }

    /// How many rows have this reason.
    #[must_use]
    pub fn of(&self, reason: Reason) -> u64 {
        self.by_reason[reason as usize]
    }

    /// Rows without a DiaSource that agrees.
    #[must_use]
    pub fn unmatched(&self) -> u64 {
        Reason::ALL.into_iter().filter(|reason| reason.is_unmatched()).map(|reason| self.of(reason)).sum()
    }

    /// Rows that were to be matched.
    #[must_use]
    pub fn sought(&self) -> u64 {
        self.observations - self.of(Reason::OtherProcessing)
    }

    /// Counts objects whose rows were counted.
    pub(super) fn count_objects(&mut self, objects: &[Object]) {
        for object in objects.iter().filter(|object| object.rows > 0) {
            self.objects += 1;
            if object.is_known {
                self.known += 1;
            } else {
                self.unknown.add(&object.designation);
            }
            match &object.orbit {
                None if object.is_known => self.without_orbit.add(&object.designation),
                None => {}
                Some(orbit) => {
                    self.with_orbit += 1;
                    match orbit.car.non_gravity {
                        NonGravity::None => {}
                        NonGravity::Comet(_) | NonGravity::Yarkovsky(_) => self.non_gravitational += 1,
                        NonGravity::Unknown => self.unknown_terms += 1,
                    }
                }
            }
        }
    }

    /// The reasons for which rows were not matched, with examples.
    #[must_use]
    pub fn reasons(&self) -> String {
        let reasons = Reason::ALL.into_iter().filter(|reason| reason.is_unmatched() && self.of(*reason) > 0);
        let said = reasons.map(|reason| {
            let (few, count) = (self.examples[reason as usize].list(), self.of(reason));
            let more = if count > few.len() as u64 { ", ..." } else { "" };
            format!("{count} {} (`{}`{more})", reason.name(), few.join("`, `"))
        });
        said.collect::<Vec<_>>().join(", ")
    }

    /// The counts by name, in a fixed order.
    #[must_use]
    pub fn named(&self) -> Vec<(String, u64)> {
        let own = [
            ("observations", self.observations),
            ("matched", self.matched),
            ("dia_sources", self.dia_sources),
            ("without_designation", self.without_designation),
            ("rows", self.rows),
            ("objects", self.objects),
            ("objects_without_orbit", self.objects - self.with_orbit),
            ("objects_non_gravitational", self.non_gravitational),
            ("objects_unknown_terms", self.unknown_terms),
        ];
        let reasons = Reason::ALL.into_iter().map(|reason| (reason.name(), self.of(reason)));
        own.into_iter().chain(reasons).map(|(name, count)| (name.to_owned(), count)).collect()
    }

    /// How the inputs fit together.
    #[must_use]
    pub fn lookups(&self, options: &Options) -> Vec<Lookup> {
        let station = &options.station;
        let stations = Lookup {
            sought: "rows in obs_sbn".to_owned(),
            are: format!("of station {station}"),
            found: self.observations,
            of: self.read,
            holder: "column `stn`".into(),
            there: self.stations.list(),
            usual: Usual::Some,
            ..Lookup::default()
        };
        let processing = Lookup {
            sought: format!("observations of station {station}"),
            are: format!("of processing {} or of a bare id", options.processing.join(" or ")),
            found: self.sought(),
            of: if options.processing.is_empty() { 0 } else { self.observations },
            holder: "column `obssubid`".into(),
            there: self.examples[Reason::OtherProcessing as usize].list(),
            usual: Usual::Some,
            ..Lookup::default()
        };
        let reasons = self.reasons();
        let reasons = if reasons.is_empty() { reasons } else { format!(" (not: {reasons})") };
        let matched = Lookup {
            sought: format!("observations of station {station}"),
            are: format!("matched to a DiaSource that agrees{reasons}"),
            found: self.matched,
            of: self.sought(),
            ..Lookup::default()
        };
        let known = Lookup {
            sought: "designations of the observations".to_owned(),
            are: "known to current_identifications or mpc_orbits".to_owned(),
            found: self.known,
            of: self.objects,
            missing: self.unknown.list(),
            holder: "mpc_orbits".into(),
            there: self.orbits_there.list(),
            usual: Usual::All,
        };
        let orbits = Lookup {
            sought: "objects".to_owned(),
            are: "in mpc_orbits by designation (ssObjectId and ephemerides are NULL without an orbit)"
                .to_owned(),
            found: self.with_orbit,
            of: self.known,
            missing: self.without_orbit.list(),
            holder: "mpc_orbits".into(),
            there: self.orbits_there.list(),
            ..Lookup::default()
        };
        let others = [processing, matched, known, orbits].into_iter().filter(|lookup| lookup.of > 0);
        std::iter::once(stations).chain(others).collect()
    }

    /// What people should know though the rows were associated.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut said = Vec::new();
        if !self.has_car {
            said.push(
                "mpc_orbits has neither a column `car` nor `mpc_orb_jsonb`: ephemerides are by gravity alone, and \
                error ellipses are NULL"
                    .to_owned(),
            );
        }
        if self.beyond_leap_seconds > 0 {
            said.push(format!(
                "{} observations are from 2027-06-28 or later: this program does not know whether a leap second was \
                added since",
                self.beyond_leap_seconds
            ));
        }
        if self.unknown_terms > 0 {
            said.push(format!(
                "{} objects have non-gravitational terms other than A1, A2, A3 and Yarkovsky's: their ephemerides are by \
                gravity alone",
                self.unknown_terms
            ));
        }
        if self.unreadable_cars > 0 {
            said.push(format!(
                "the block CAR of {} orbits is missing or cannot be read: their ephemerides are by gravity alone",
                self.unreadable_cars
            ));
        }
        said
    }
}
