//! What is worth knowing of a table that was built.

use super::input::{BANDS, NEEDS};
use super::output::Row;
use crate::lookup::{Few, Lookup, Usual};
use crate::science::orbit::earth;
use crate::science::photometry::fit::Reasons;
use crate::tables::Offenders;

/// Counts over all objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Objects.
    pub objects: u64,
    /// Detections.
    pub detections: u64,
    /// Rows of SSSource that were left out because DiaSource lacks them.
    pub dropped: u64,
    /// Detections that SSSource has more than once, of one object or of several: each row counts.
    pub repeated: Offenders,
    /// Detections in none of the six bands.
    pub other_bands: u64,
    /// Detections that H or G12 of any object rests on.
    pub used: u64,
    /// Detections in one of the six bands that lack each of [`NEEDS`].
    pub lacking: [u64; NEEDS.len()],
    /// The first few bands of DiaSource that are none of the six.
    pub other_band_names: Few,
    /// Bands with detections.
    pub bands: u64,
    /// Bands whose slope (or, with a fixed G12, whose H) was fitted.
    pub fits: u64,
    /// Bands in which it could not be.
    pub failed_fits: u64,
    /// Of these, how many for each of the reasons of [`Reasons::ALL`]; a fit can have several.
    pub failed_by_reason: [u64; Reasons::ALL.len()],
    /// Objects with an orbit, whether it is complete or not.
    pub orbits: u64,
    /// Objects without an orbit, or whose orbit lacks an element.
    pub without_orbit: u64,
    /// Objects with an orbit and no MOID.
    pub without_moid: Offenders,
    /// Objects whose MOID is in doubt.
    pub moids_in_doubt: Offenders,
    /// How the inputs fit together: first how many rows of SSSource are of an object.
    pub lookups: Vec<Lookup>,
}

impl Default for Figures {
    fn default() -> Self {
        Self {
            objects: 0,
            detections: 0,
            dropped: 0,
            repeated: Offenders::new(["diaSourceId", "diaSourceIds"]),
            other_bands: 0,
            used: 0,
            lacking: [0; NEEDS.len()],
            other_band_names: Few::default(),
            bands: 0,
            fits: 0,
            failed_fits: 0,
            failed_by_reason: [0; Reasons::ALL.len()],
            without_orbit: 0,
            orbits: 0,
            without_moid: Offenders::new(["object", "objects"]),
            moids_in_doubt: Offenders::new(["object", "objects"]),
            lookups: Vec::new(),
        }
    }
}

impl Figures {
    /// Counts one object.
    pub(super) fn count(&mut self, row: &Row) {
        self.objects += 1;
        self.detections += u64::from(row.n_obs.unsigned_abs());
        let in_bands: usize = row.bands.iter().map(|band| band.rows).sum();
        self.other_bands += u64::from(row.n_obs.unsigned_abs()) - in_bands as u64;
        for band in row.bands.iter().filter(|band| band.rows > 0) {
            self.bands += 1;
            self.used += band.fit.used as u64;
            for (count, lacking) in self.lacking.iter_mut().zip(band.lacking) {
                *count += lacking as u64;
            }
            self.fits += u64::from(!band.fit.failure.any());
            self.failed_fits += u64::from(band.fit.failure.any());
            for (count, (_, reason)) in self.failed_by_reason.iter_mut().zip(Reasons::ALL) {
                *count += u64::from(band.fit.failure.has(reason));
            }
        }
        self.orbits += u64::from(row.orbit.found);
        self.without_orbit += u64::from(!row.orbit.known);
        let named = match row.orbit.moid {
            None if row.orbit.known => &mut self.without_moid,
            Some(moid) if moid.in_doubt => &mut self.moids_in_doubt,
            _ => return,
        };
        match &row.designation {
            Some(designation) => named.add(designation),
            None => named.add(row.id),
        }
    }

    /// Takes in the counts of objects that come after these.
    pub(super) fn merge(&mut self, after: Self) {
        for (count, more) in [
            (&mut self.objects, after.objects),
            (&mut self.detections, after.detections),
            (&mut self.other_bands, after.other_bands),
            (&mut self.used, after.used),
            (&mut self.bands, after.bands),
            (&mut self.fits, after.fits),
            (&mut self.failed_fits, after.failed_fits),
            (&mut self.orbits, after.orbits),
            (&mut self.without_orbit, after.without_orbit),
        ] {
            *count += more;
        }
        self.lacking.iter_mut().zip(after.lacking).for_each(|(count, more)| *count += more);
        let reasons = self.failed_by_reason.iter_mut().zip(after.failed_by_reason);
        reasons.for_each(|(count, more)| *count += more);
        self.without_moid.merge(after.without_moid);
        self.moids_in_doubt.merge(after.moids_in_doubt);
    }

    /// The counts by name, in a fixed order.
    #[must_use]
    pub fn named(&self) -> Vec<(String, u64)> {
        let own = [
            ("objects", self.objects),
            ("detections", self.detections),
            ("detections_dropped", self.dropped),
            ("detections_repeated", self.repeated.count()),
            ("detections_in_other_bands", self.other_bands),
            ("bands", self.bands),
            ("fits", self.fits),
            ("fits_failed", self.failed_fits),
        ];
        let reasons = Reasons::ALL.iter().zip(self.failed_by_reason);
        let orbits = [
            ("objects_without_orbit", self.without_orbit),
            ("objects_without_moid", self.without_moid.count()),
            ("moids_in_doubt", self.moids_in_doubt.count()),
        ];
        let named = |(name, count): (&str, u64)| (name.to_owned(), count);
        own.into_iter()
            .map(named)
            .chain(reasons.map(|((name, _), count)| (format!("fits_failed_{name}"), count)))
            .chain(orbits.into_iter().map(named))
            .collect()
    }

    /// How the inputs fit together. Where no row is of an object, that says it all.
    #[must_use]
    pub fn lookups(&self) -> Vec<Lookup> {
        let bands = Lookup {
            sought: "detections".to_owned(),
            are: format!("in one of the bands {}", BANDS.join(" ")),
            found: self.detections - self.other_bands,
            of: self.detections,
            holder: "column `band`".into(),
            there: self.other_band_names.list(),
            usual: Usual::All,
            ..Lookup::default()
        };
        let lacking = NEEDS.iter().zip(self.lacking).filter(|(_, count)| *count > 0);
        let lacking: Vec<String> = lacking.map(|(need, count)| format!("{count} without {need}")).collect();
        let lacking = if lacking.is_empty() { String::new() } else { format!(" ({})", lacking.join(", ")) };
        // Fluxes below zero are usual in difference images, so only none at all is worth a word.
        let points = Lookup {
            sought: format!("detections in the bands {}", BANDS.join(" ")),
            are: format!("usable for H and G12, which are NULL for all objects{lacking}"),
            found: self.used,
            of: self.detections - self.other_bands,
            usual: Usual::Some,
            ..Lookup::default()
        };
        let complete = Lookup {
            sought: "orbits of the objects".to_owned(),
            are: "complete in mpc_orbits (MOID and Tisserand parameter are NULL otherwise)".to_owned(),
            found: self.objects - self.without_orbit,
            of: self.orbits,
            ..Lookup::default()
        };
        let (first, others) = self.lookups.split_at(self.lookups.len().min(1));
        let others = others.iter().chain([&complete, &bands, &points]).filter(|lookup| lookup.of > 0);
        first.iter().chain(others).cloned().collect()
    }

    /// What people should know though the table was built.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let [first, last] = earth::OSCULATING_YEARS;
        let said = [
            (
                self.repeated.count(),
                format!("SSSource has {} more than once: all of their rows are counted", self.repeated),
            ),
            (
                self.without_moid.count(),
                format!(
                    "the MOID of {} is NULL: the epoch of the orbit is unknown, or outside {first} to {last}, the \
                    range of the osculating Earth (`secular` has no such limit)",
                    self.without_moid
                ),
            ),
            (
                self.moids_in_doubt.count(),
                format!(
                    "the MOID of {} is in doubt: the search for the minimum did not settle",
                    self.moids_in_doubt
                ),
            ),
        ];
        said.into_iter().filter(|(count, _)| *count > 0).map(|(_, text)| text).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::science::orbit::moid::Moid;
    use crate::science::photometry::fit::Fit;
    use crate::ssobject::orbit::OrbitColumns;
    use crate::ssobject::photometry::Band;

    /// An object with detections in bands, each with why its fit failed, and as many in none of the bands as are left.
    fn object(n_obs: i32, bands: &[(usize, Reasons)], orbit: OrbitColumns, designation: Option<&str>) -> Row {
        let mut row = Row {
            id: 7,
            designation: designation.map(Into::into),
            n_obs,
            times: [60_000.0; 2],
            extendedness: None,
            orbit,
            bands: [Band::default(); BANDS.len()],
        };
        for (band, &(rows, failure)) in row.bands.iter_mut().zip(bands) {
            *band = Band { rows, fit: Fit { failure, ..Fit::default() }, ..Band::default() };
        }
        row
    }

    #[test]
    fn every_count_has_its_name_and_what_people_should_know_is_said() {
        let moid = |in_doubt| Moid {
            distance_au: 0.1,
            relative_speed_km_s: 9.0,
            longitude_rad: 1.0,
            ellipse_anomaly_rad: 1.0,
            orbit_anomaly_rad: 1.0,
            in_doubt,
        };
        let none = Reasons::default();
        let known = |moid| OrbitColumns { found: true, known: true, moid, tisserand: Some(3.0) };
        let mut figures = Figures { dropped: 5, ..Figures::default() };
        figures.repeated.add(11);
        let all =
            [(4, none), (1, Reasons::FEW), (2, Reasons::FEW), (3, Reasons::BOUND), (0, none), (9, none)];
        figures.count(&object(21, &all, known(Some(moid(true))), Some("2020 AA")));
        figures.count(&object(
            8,
            &[(5, Reasons::SINGULAR), (3, Reasons::SPAN)],
            OrbitColumns { found: true, ..OrbitColumns::default() },
            None,
        ));
        figures.count(&object(4, &[(4, Reasons::SPAN)], known(None), Some("2020 BB")));
        figures.count(&object(1, &[(1, Reasons::SPAN)], known(None), None));
        figures.count(&object(1, &[(1, none)], known(Some(moid(false))), None));
        let expected = [
            ("objects", 5),
            ("detections", 35),
            ("detections_dropped", 5),
            ("detections_repeated", 1),
            ("detections_in_other_bands", 2),
            ("bands", 10),
            ("fits", 3),
            ("fits_failed", 7),
            ("fits_failed_few", 2),
            ("fits_failed_bound", 1),
            ("fits_failed_singular", 1),
            ("fits_failed_span", 3),
            ("objects_without_orbit", 1),
            ("objects_without_moid", 2),
            ("moids_in_doubt", 1),
        ];
        assert_eq!(figures.named(), expected.map(|(name, count)| (name.to_owned(), count)));
        assert_eq!(
            figures.warnings(),
            [
                "SSSource has 1 diaSourceId (11) more than once: all of their rows are counted",
                "the MOID of 2 objects (2020 BB, 7) is NULL: the epoch of the orbit is unknown, or outside 2000 to \
                2050, the range of the osculating Earth (`secular` has no such limit)",
                "the MOID of 1 object (2020 AA) is in doubt: the search for the minimum did not settle",
            ]
        );
        assert_eq!(Figures::default().warnings(), Vec::<String>::new());
    }

    #[test]
    fn counts_of_parts_are_those_of_the_whole() {
        let none = OrbitColumns::default();
        let known = OrbitColumns { found: true, known: true, moid: None, tisserand: None };
        let names = ["a", "b", "c", "d", "e", "f", "g"];
        let objects =
            names.map(|name| object(9, &[(4, Reasons::FEW), (2, Reasons::SPAN)], known, Some(name)));
        let without = object(3, &[(3, Reasons::default())], none, None);
        let of = |rows: &[&Row]| {
            let mut figures = Figures::default();
            for row in rows {
                figures.count(row);
            }
            figures
        };
        let all: Vec<&Row> = objects.iter().chain([&without]).collect();
        for at in 0..=all.len() {
            let mut merged = of(&all[..at]);
            merged.merge(of(&all[at..]));
            assert_eq!(merged, of(&all), "{at}");
        }
    }
}
