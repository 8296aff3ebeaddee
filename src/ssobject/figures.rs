//! What is worth knowing of a table that was built.

use super::Offenders;
use super::input::BANDS;
use super::output::Row;
use crate::science::orbit::earth;
use crate::science::photometry::fit::Reasons;

/// Counts over all objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Objects.
    pub objects: u64,
    /// Detections.
    pub detections: u64,
    /// Rows of SSSource that were left out because DiaSource lacks them.
    pub dropped: u64,
    /// Detections in none of the six bands.
    pub other_bands: u64,
    /// Bands with detections.
    pub bands: u64,
    /// Bands whose slope (or, with a fixed G12, whose H) was fitted.
    pub fits: u64,
    /// Bands in which it could not be.
    pub failed_fits: u64,
    /// Of these, how many for each of the reasons of [`Reasons::ALL`]; a fit can have several.
    pub failed_by_reason: [u64; Reasons::ALL.len()],
    /// Objects without an orbit, or whose orbit lacks an element.
    pub without_orbit: u64,
    /// Objects with an orbit and no MOID.
    pub without_moid: Offenders,
    /// Objects whose MOID is in doubt.
    pub moids_in_doubt: u64,
}

impl Default for Figures {
    fn default() -> Self {
        Self {
            objects: 0,
            detections: 0,
            dropped: 0,
            other_bands: 0,
            bands: 0,
            fits: 0,
            failed_fits: 0,
            failed_by_reason: [0; Reasons::ALL.len()],
            without_orbit: 0,
            without_moid: Offenders::new(["object", "objects"]),
            moids_in_doubt: 0,
        }
    }
}

impl Figures {
    /// Counts one object.
    pub fn count(&mut self, row: &Row) {
        self.objects += 1;
        self.detections += u64::from(row.n_obs.unsigned_abs());
        let in_bands: usize = row.bands.iter().map(|band| band.rows).sum();
        self.other_bands += u64::from(row.n_obs.unsigned_abs()) - in_bands as u64;
        for band in row.bands.iter().filter(|band| band.rows > 0) {
            self.bands += 1;
            self.fits += u64::from(!band.fit.failure.any());
            self.failed_fits += u64::from(band.fit.failure.any());
            for (count, (_, reason)) in self.failed_by_reason.iter_mut().zip(Reasons::ALL) {
                *count += u64::from(band.fit.failure.has(reason));
            }
        }
        self.without_orbit += u64::from(!row.orbit.known);
        if row.orbit.known && row.orbit.moid.is_none() {
            match &row.designation {
                Some(designation) => self.without_moid.add(designation),
                None => self.without_moid.add(row.id),
            }
        }
        self.moids_in_doubt += u64::from(row.orbit.moid.is_some_and(|moid| moid.in_doubt));
    }

    /// The counts by name, in a fixed order.
    #[must_use]
    pub fn named(&self) -> Vec<(String, u64)> {
        let own = [
            ("objects", self.objects),
            ("detections", self.detections),
            ("detections_dropped", self.dropped),
            ("detections_in_other_bands", self.other_bands),
            ("bands", self.bands),
            ("fits", self.fits),
            ("fits_failed", self.failed_fits),
        ];
        let reasons = Reasons::ALL.iter().zip(self.failed_by_reason);
        let orbits = [
            ("objects_without_orbit", self.without_orbit),
            ("objects_without_moid", self.without_moid.count()),
            ("moids_in_doubt", self.moids_in_doubt),
        ];
        let named = |(name, count): (&str, u64)| (name.to_owned(), count);
        own.into_iter()
            .map(named)
            .chain(reasons.map(|((name, _), count)| (format!("fits_failed_{name}"), count)))
            .chain(orbits.into_iter().map(named))
            .collect()
    }

    /// What people should know though the table was built.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let [first, last] = earth::OSCULATING_YEARS;
        let said = [
            (
                self.dropped,
                format!("{} rows of SSSource were left out: DiaSource lacks their detections", self.dropped),
            ),
            (
                self.other_bands,
                format!("{} detections are in none of the bands {}", self.other_bands, BANDS.join(" ")),
            ),
            (
                self.without_moid.count(),
                format!(
                    "the MOID of {} is NULL: the epoch of the orbit is unknown, or not in {first} to {last}, where the \
                     osculating Earth is known (the secular one has no such limit)",
                    self.without_moid
                ),
            ),
            (
                self.moids_in_doubt,
                format!(
                    "{} MOIDs are in doubt: the search for the minimum did not settle",
                    self.moids_in_doubt
                ),
            ),
        ];
        said.into_iter().filter(|(count, _)| *count > 0).map(|(_, text)| text).collect()
    }
}
