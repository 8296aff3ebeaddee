//! Compares observations with the DiaSource that they name, and chooses the primary row of a DiaSource.
//!
//! Pure functions of the rows of one DiaSource. Not a place for files and partitions (see `associate`).

use std::collections::HashMap;

use super::input::{Dia, Kind, Obs};
use super::row::Row;
use crate::obssubid::End;
use crate::science::ephemeris::place::{angle, direction, wrapped_deg};
use crate::science::ephemeris::time::DAY_S;

/// Why an observation is not in the result, or is there without its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// `obssubid` is no id of a DiaSource.
    NoId,
    /// The observation is of a processing that is not used.
    OtherProcessing,
    /// There is no such DiaSource.
    NoDiaSource,
    /// The observation or the DiaSource has no position, or no time.
    NoPosition,
    /// The positions are too far apart.
    TooFar,
    /// The times differ.
    TimeDiffers,
    /// No table has the designation.
    UnknownDesignation,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::NoId,
        Self::OtherProcessing,
        Self::NoDiaSource,
        Self::NoPosition,
        Self::TooFar,
        Self::TimeDiffers,
        Self::UnknownDesignation,
    ];

    /// Its name in the report and the figures.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NoId => "no_id",
            Self::OtherProcessing => "other_processing",
            Self::NoDiaSource => "no_dia_source",
            Self::NoPosition => "no_position",
            Self::TooFar => "too_far",
            Self::TimeDiffers => "time_differs",
            Self::UnknownDesignation => "unknown_designation",
        }
    }

    /// Whether the observation was expected to have a DiaSource that agrees, and has none.
    #[must_use]
    pub fn is_unmatched(self) -> bool {
        !matches!(self, Self::OtherProcessing | Self::UnknownDesignation)
    }
}

/// An observation that is not in the result; NaN is unknown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unmatched {
    pub obs_row: u64,
    /// For examples; the report has that of `obs_sbn`.
    pub obsid: [u8; 32],
    pub reason: Reason,
    pub dia_id: Option<i64>,
    pub separation_mas: f64,
    pub dt_ms: f64,
}

impl Unmatched {
    pub(super) fn new(obs: &Obs, reason: Reason) -> Self {
        Self {
            obs_row: obs.row,
            obsid: obs.obsid,
            reason,
            dia_id: (obs.kind != Kind::NoId).then_some(obs.dia_id),
            separation_mas: f64::NAN,
            dt_ms: f64::NAN,
        }
    }

    /// A row of the result whose object is not known.
    pub(super) fn of_unknown(row: &Row) -> Self {
        Self {
            obs_row: row.obs_row,
            obsid: [0; 32],
            reason: Reason::UnknownDesignation,
            dia_id: Some(row.dia_source_id),
            separation_mas: f64::NAN,
            dt_ms: f64::NAN,
        }
    }
}

/// How well they must agree.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub max_sep_mas: f64,
    pub max_dt_ms: f64,
}

/// What rounding adds to a difference of two dates near 60,000 \[ms\]: each is a multiple of 0.6 us.
const DT_ROUNDING_MS: f64 = 0.002;
/// What rounding adds to a separation \[mas\]: a right ascension near 360 deg is a multiple of 2e-7 mas.
const SEP_ROUNDING_MAS: f64 = 1e-6;

/// Where and when something was.
#[derive(Clone, Copy)]
struct Seen {
    ra_deg: f64,
    dec_deg: f64,
    mjd_tai: f64,
}

impl Seen {
    fn of(obs: &Obs) -> Self {
        Self { ra_deg: obs.ra_deg, dec_deg: obs.dec_deg, mjd_tai: obs.mjd_tai }
    }

    /// The middle of two that are near each other.
    fn middle(a: Self, b: Self) -> Self {
        Self {
            ra_deg: a.ra_deg + 0.5 * wrapped_deg(b.ra_deg - a.ra_deg),
            dec_deg: 0.5 * (a.dec_deg + b.dec_deg),
            mjd_tai: a.mjd_tai + 0.5 * (b.mjd_tai - a.mjd_tai),
        }
    }
}

/// The angle between two directions.
///
/// Units: deg in, mas out.
fn separation_mas(ra_deg: [f64; 2], dec_deg: [f64; 2]) -> f64 {
    const MAS_PER_DEG: f64 = 3_600_000.0;
    let direction = |k: usize| direction(ra_deg[k].to_radians(), dec_deg[k].to_radians());
    angle(direction(0), direction(1)).to_degrees() * MAS_PER_DEG
}

/// How far an observation is from its DiaSource, and whether it agrees.
fn compared(seen: Seen, dia: &Dia, limits: Limits) -> (f64, f64, Option<Reason>) {
    let separation = |ra_deg, dec_deg| separation_mas([ra_deg, seen.ra_deg], [dec_deg, seen.dec_deg]);
    // The smaller of two. The second can be unknown.
    let separation_mas =
        separation(dia.ra_deg, dia.dec_deg).min(separation(dia.trail_ra_deg, dia.trail_dec_deg));
    let ms = |mjd_tai: f64| (seen.mjd_tai - mjd_tai) * DAY_S * 1000.0;
    let (dt_ms, visit_ms) = (ms(dia.mjd_tai), ms(dia.mjd_tai_visit));
    let dt_ms = if visit_ms.abs() < dt_ms.abs() || dt_ms.is_nan() { visit_ms } else { dt_ms };
    // The row has the centroid and time of the DiaSource, even if the trail or the visit is nearer.
    let is_placed =
        [dia.mjd_tai, dia.ra_deg, dia.dec_deg, separation_mas, dt_ms].iter().all(|x| x.is_finite());
    let reason = if !is_placed {
        Some(Reason::NoPosition)
    } else if separation_mas > limits.max_sep_mas + SEP_ROUNDING_MAS {
        Some(Reason::TooFar)
    } else if dt_ms.abs() > limits.max_dt_ms + DT_ROUNDING_MS {
        Some(Reason::TimeDiffers)
    } else {
        None
    };
    (separation_mas, dt_ms, reason)
}

/// The two ends of trails among the observations of one DiaSource: the places of the `-A` and the `-B` row of a processing
/// that has exactly one of each.
fn ends(group: &[Obs]) -> HashMap<u32, [Option<usize>; 2]> {
    let mut found: HashMap<u32, ([Option<usize>; 2], bool)> = HashMap::new();
    for (place, obs) in group.iter().enumerate() {
        let end = match obs.kind {
            Kind::Source(End::A) => 0,
            Kind::Source(End::B) => 1,
            _ => continue,
        };
        let (ends, is_twice) = found.entry(obs.label).or_default();
        *is_twice |= ends[end].replace(place).is_some();
    }
    found.retain(|_, (ends, is_twice)| !*is_twice && ends.iter().all(Option::is_some));
    found.into_iter().map(|(label, (ends, _))| (label, ends)).collect()
}

/// The observations of one DiaSource (\[n\], by obsid): those that agree with it go to `rows`, the others to `unmatched`.
pub(super) fn associate(
    group: &[Obs],
    dia: Option<&Dia>,
    limits: Limits,
    rows: &mut Vec<Row>,
    unmatched: &mut Vec<Unmatched>,
) {
    let Some(dia) = dia else {
        unmatched.extend(group.iter().map(|obs| Unmatched::new(obs, Reason::NoDiaSource)));
        return;
    };
    let ends = if group.len() > 1 { ends(group) } else { HashMap::new() };
    let mut primary: Option<(usize, &Obs)> = None;
    for (order, obs) in (0..).zip(group) {
        let pair = if matches!(obs.kind, Kind::Source(End::Whole)) { None } else { ends.get(&obs.label) };
        let seen = match pair {
            Some(&[Some(a), Some(b)]) => Seen::middle(Seen::of(&group[a]), Seen::of(&group[b])),
            _ => Seen::of(obs),
        };
        let (separation_mas, dt_ms, reason) = compared(seen, dia, limits);
        if let Some(reason) = reason {
            unmatched.push(Unmatched { separation_mas, dt_ms, ..Unmatched::new(obs, reason) });
            continue;
        }
        let rank = |obs: &Obs| (obs.kind != Kind::Source(End::A), obs.submission, obs.obsid);
        if primary.is_none_or(|(_, best)| rank(obs) < rank(best)) {
            primary = Some((rows.len(), obs));
        }
        rows.push(Row {
            object: obs.name,
            order,
            dia_source_id: dia.dia_id,
            mjd_tai: dia.mjd_tai,
            mjd_tai_visit: dia.mjd_tai_visit,
            ra_deg: dia.ra_deg,
            dec_deg: dia.dec_deg,
            obs_row: obs.row,
            dia_row: dia.row,
            is_primary: false,
        });
    }
    if let Some((place, _)) = primary {
        rows[place].is_primary = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_separations_are_exact_anywhere_on_the_sky() {
        for (ra_deg, dec_deg, expected) in [
            ([10.0, 10.0], [20.0, 20.0 + 5.0 / 3.6e6], 5.0),
            ([359.999_999_5, 0.000_000_5], [0.0, 0.0], 3.6),
            ([0.000_000_5, 359.999_999_5], [0.0, 0.0], 3.6),
            ([10.0, 10.000_001], [60.0, 60.0], 1.8),
            ([0.0, 180.0], [90.0, 90.0], 0.0),
            ([0.0, 180.0], [0.0, 0.0], 180.0 * 3.6e6),
            ([0.0, 0.0], [-90.0, 90.0], 180.0 * 3.6e6),
        ] {
            let found = separation_mas(ra_deg, dec_deg);
            assert!((found - expected).abs() <= 1e-3 + 1e-9 * expected, "{ra_deg:?} {dec_deg:?} {found}");
        }
        assert!(separation_mas([f64::NAN, 0.0], [0.0, 0.0]).is_nan());
    }

    #[test]
    fn differences_of_right_ascension_are_wrapped() {
        for (difference_deg, expected) in
            [(0.0, 0.0), (359.0, -1.0), (-359.0, 1.0), (179.0, 179.0), (-181.0, 179.0)]
        {
            assert_eq!(wrapped_deg(difference_deg), expected);
        }
    }
}
