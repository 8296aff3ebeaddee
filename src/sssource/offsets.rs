//! How far detections are from where the orbits put their objects: counts that do not grow with the number of rows.

use serde::{Deserialize, Serialize};

/// Bins per factor of ten, so that a quantile is within 0.12 %.
const PER_DECADE: f64 = 1000.0;
/// The powers of ten between which the bins are \[arcsec\]: 0.1 micro arc second to above 180 deg.
const POWERS: [f64; 2] = [-7.0, 6.0];
/// How many of the largest offsets are listed.
const MOST_LISTED: usize = 5;
/// An offset above this is counted as large \[arcsec\].
const LARGE_ARCSEC: f64 = 10.0;

/// A detection that is far from the predicted position.
#[derive(Clone, Debug, PartialEq)]
pub struct Far {
    /// ephOffset \[arcsec\].
    pub arcsec: f64,
    /// The object.
    pub designation: String,
    /// The detection.
    pub dia_source_id: i64,
}

/// The offsets of many detections.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Offsets {
    /// By the decimal logarithm of the offset: the first bin also counts all below it.
    counts: Vec<u64>,
    /// Detections with an offset.
    pub total: u64,
    /// Detections whose offset is above 10".
    pub large: u64,
    /// The largest offsets, in order. They are not written down: only the report lists them, and it reads the file.
    #[serde(skip)]
    pub worst: Vec<Far>,
}

impl Default for Offsets {
    fn default() -> Self {
        let bins = (POWERS[1] - POWERS[0]) * PER_DECADE;
        Self { counts: vec![0; whole(bins)], total: 0, large: 0, worst: Vec::new() }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast of f64 saturates")]
fn whole(value: f64) -> usize {
    value as usize
}

impl Offsets {
    /// Counts the offset of a detection.
    pub fn add(&mut self, arcsec: f64, designation: &str, dia_source_id: i64) {
        let bin = whole((arcsec.log10() - POWERS[0]) * PER_DECADE).min(self.counts.len() - 1);
        self.counts[bin] += 1;
        self.total += 1;
        self.large += u64::from(arcsec > LARGE_ARCSEC);
        if self.worst.len() < MOST_LISTED || self.worst.last().is_some_and(|last| arcsec > last.arcsec) {
            self.worst.push(Far { arcsec, designation: designation.to_owned(), dia_source_id });
            self.cut();
        }
    }

    /// Adds the counts of others.
    pub fn merge(&mut self, other: Self) {
        self.counts.iter_mut().zip(other.counts).for_each(|(count, more)| *count += more);
        self.total += other.total;
        self.large += other.large;
        self.worst.extend(other.worst);
        self.cut();
    }

    fn cut(&mut self) {
        self.worst.sort_by(|a, b| {
            b.arcsec.total_cmp(&a.arcsec).then_with(|| a.dia_source_id.cmp(&b.dia_source_id))
        });
        self.worst.truncate(MOST_LISTED);
    }

    /// The offset below which a share of the detections is, within 0.12 % \[arcsec\].
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let wanted = (whole((share * self.total as f64).ceil()) as u64).max(1);
        let mut below = 0;
        let bin = self.counts.iter().position(|count| {
            below += count;
            below >= wanted
        })?;
        Some(10_f64.powf(POWERS[0] + (bin as f64 + 0.5) / PER_DECADE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_and_the_largest() {
        let mut offsets = Offsets::default();
        assert_eq!(offsets.quantile(0.5), None);
        let mut others = Offsets::default();
        for k in 1..=1000 {
            let half = if k % 2 == 0 { &mut offsets } else { &mut others };
            half.add(f64::from(k) * 0.02, "A", i64::from(k));
        }
        others.add(0.0, "zero", 0);
        offsets.merge(others);
        assert_eq!((offsets.total, offsets.large), (1001, 500));
        for (share, expected) in [(0.5, 10.0), (0.99, 19.8)] {
            let found = offsets.quantile(share).unwrap();
            assert!((found / expected - 1.0).abs() < 0.0032, "{share}: {found}");
        }
        let worst: Vec<i64> = offsets.worst.iter().map(|far| far.dia_source_id).collect();
        assert_eq!(worst, [1000, 999, 998, 997, 996]);
        assert_eq!((offsets.counts.iter().sum::<u64>(), offsets.counts[0]), (1001, 1));
    }
}
