//! What the ephemerides of all objects took and gave.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::computed::Computed;
use super::offsets::Offsets;
use super::{Object, Row};
use crate::lookup::Few;
use crate::science::ephemeris::observer::rotation_ends_mjd_utc;
use crate::science::ephemeris::orbit::Unusable;
use crate::science::ephemeris::path::Path;
use crate::science::ephemeris::time::DAY_S;

/// Why an orbit has no positions, and the name of the count.
const REASONS: [(Unusable, &str, &str); 4] = [
    (Unusable::NotFinite, "orbits_incomplete", "an orbit with an element that is missing or not finite"),
    (
        Unusable::NoOrbit,
        "orbits_impossible",
        "an orbit with a perihelion distance or eccentricity that is not possible",
    ),
    (Unusable::InsideSun, "orbits_inside_sun", "an orbit with a perihelion distance below 0.005 au"),
    (Unusable::Epoch, "orbits_outside_ephemeris", "an orbit with an epoch outside 2000 to 2050"),
];

/// Counts of the integrations and their results. Their numbers are finite, so that JSON keeps them.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Predictions {
    /// Objects whose orbit was integrated.
    integrated: u64,
    /// Seconds of time over which objects were followed.
    seconds: u64,
    pieces: u64,
    /// The shortest piece of all \[d\], and its object.
    shortest: Option<(f64, String)>,
    unusable: [(u64, Few); REASONS.len()],
    failed: (u64, Few),
    /// Detections without a predicted position.
    without: u64,
    /// The newest detection, MJD TAI \[d\].
    newest_mjd_tai: Option<f64>,
    /// Detections later than the rotation of the Earth is known.
    late: u64,
    /// How far detections are from their predicted positions.
    pub offsets: Offsets,
}

impl Predictions {
    /// Counts an object whose orbit was integrated.
    pub(super) fn count_path(&mut self, object: &Object, path: &Path) {
        let (pieces, days) = path.work();
        self.integrated += 1;
        self.pieces += pieces;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a positive number of days"
        )]
        let seconds = (days * DAY_S).round() as u64;
        self.seconds += seconds;
        let shortest = path.shortest_day();
        if shortest.is_finite() {
            self.keep_shortest((shortest, object.designation.to_string()));
        }
        if path.failed() {
            self.failed.0 += 1;
            self.failed.1.add(&object.designation);
        }
    }

    fn keep_shortest(&mut self, other: (f64, String)) {
        let is_shorter = self
            .shortest
            .as_ref()
            .is_none_or(|known| other.0.total_cmp(&known.0).then_with(|| other.1.cmp(&known.1)).is_lt());
        if is_shorter {
            self.shortest = Some(other);
        }
    }

    /// Counts an object whose orbit gives no positions.
    pub(super) fn count_unusable(&mut self, object: &Object, why: Unusable) {
        if let Some(reason) = REASONS.iter().position(|(known, ..)| *known == why) {
            self.unusable[reason].0 += 1;
            self.unusable[reason].1.add(&object.designation);
        }
    }

    /// Counts a detection.
    pub(super) fn count_row(&mut self, row: &Row, object: Option<&Object>, computed: &Computed) {
        self.late += u64::from(row.mjd_tai > rotation_ends_mjd_utc());
        self.newest_mjd_tai = Some(self.newest_mjd_tai.map_or(row.mjd_tai, |newest| newest.max(row.mjd_tai)));
        match (&computed.predicted, object) {
            (Some(predicted), Some(object)) => {
                let arcsec = predicted.offset.to_degrees() * 3600.0;
                self.offsets.add(arcsec, &object.designation, row.dia_source_id);
            }
            _ => self.without += 1,
        }
    }

    /// Adds the counts of others.
    pub(crate) fn merge(&mut self, other: Self) {
        self.integrated += other.integrated;
        self.seconds += other.seconds;
        self.pieces += other.pieces;
        if let Some(shortest) = other.shortest {
            self.keep_shortest(shortest);
        }
        let own = self.unusable.iter_mut().chain([&mut self.failed]);
        for ((count, few), (more, others)) in own.zip(other.unusable.into_iter().chain([other.failed])) {
            *count += more;
            few.merge(&others);
        }
        self.without += other.without;
        self.late += other.late;
        let newest = self.newest_mjd_tai.into_iter().chain(other.newest_mjd_tai);
        self.newest_mjd_tai = newest.reduce(f64::max);
        self.offsets.merge(other.offsets);
    }

    /// Years over which objects were followed, all together.
    #[must_use]
    pub fn object_years(&self) -> f64 {
        self.seconds as f64 / DAY_S / 365.25
    }

    /// The counts by name, in a fixed order.
    #[must_use]
    pub fn named(&self) -> Map<String, Value> {
        let mut named = Map::new();
        let mut put = |name: &str, value: Value| named.insert(name.to_owned(), value);
        put("objects_integrated", self.integrated.into());
        put("object_years", rounded(self.object_years()));
        put("pieces", self.pieces.into());
        if let Some((days, designation)) = &self.shortest {
            put("shortest_piece_days", rounded(*days));
            put("shortest_piece_object", designation.as_str().into());
        }
        let reasons = REASONS.iter().map(|(_, name, _)| *name).zip(&self.unusable);
        for (name, (count, few)) in reasons.chain([("orbits_failed", &self.failed)]) {
            put(name, (*count).into());
            if *count > 0 {
                put(&format!("{name}_examples"), few.list().join(", ").into());
            }
        }
        if let Some(newest) = self.newest_mjd_tai {
            put("newest_mjd_tai", newest.into());
        }
        put("rows_without_ephemeris", self.without.into());
        put("rows_offset_above_10_arcsec", self.offsets.large.into());
        for (name, share) in [("offset_median_arcsec", 0.5), ("offset_99_percent_arcsec", 0.99)] {
            if let Some(arcsec) = self.offsets.quantile(share) {
                put(name, rounded(arcsec));
            }
        }
        named
    }

    /// Warnings, one line each. Orbits that are wrong in themselves are the same every night: they are only counted.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut said = Vec::new();
        let mut warn = |what: &str, (count, few): &(u64, Few)| {
            if *count > 0 {
                let more = if *count > few.list().len() as u64 { ", ..." } else { "" };
                let names = few.list().join("`, `");
                let objects = if *count == 1 { "object has" } else { "objects have" };
                said.push(format!("{count} {objects} {what}, so no ephemeris: `{names}`{more}"));
            }
        };
        for ((why, _, what), counted) in REASONS.iter().zip(&self.unusable) {
            if *why == Unusable::Epoch {
                warn(what, counted);
            }
        }
        warn("an orbit that cannot be followed to all detections", &self.failed);
        if self.late > 0 {
            said.push(format!(
                "{} detections are later than the table of the Earth's rotation in this program (MJD {:.0}): \
                 their predicted positions can be wrong by 0.1 mas and more",
                self.late,
                rotation_ends_mjd_utc()
            ));
        }
        said
    }
}

/// With four digits, for a record.
fn rounded(value: f64) -> Value {
    format!("{value:.3e}").parse::<f64>().unwrap_or(value).into()
}
