//! A reader of SPK ephemerides of type 2: positions as Chebyshev polynomials over equal intervals.
//!
//! Source: NAIF, "SPK Required Reading" and "DAF Required Reading". Only little-endian files, and only what is asked for;
//! not a general reader.

use crate::vector::Vector;

/// Bytes of a DAF record.
const RECORD: usize = 1024;
/// Bytes of the summary of a segment: two numbers and six integers.
const SUMMARY: usize = 40;
/// The data type of Chebyshev positions.
const CHEBYSHEV_POSITIONS: i32 = 2;

/// The path of one body about another.
#[derive(Debug)]
pub(super) struct Segment {
    /// Start of the first interval, and its length \[s past J2000 TDB\].
    start: f64,
    step: f64,
    /// Numbers in a record: its middle, its half length, and the coefficients of x, y and z.
    size: usize,
    records: Vec<f64>,
}

impl Segment {
    /// The path of `target` about `centre` (NAIF numbers); `None` if the file does not have it in this form.
    pub(super) fn read(file: &[u8], target: i32, centre: i32) -> Option<Self> {
        let double = |at: usize| Some(f64::from_le_bytes(file.get(at..at + 8)?.try_into().ok()?));
        let integer = |at: usize| Some(i32::from_le_bytes(file.get(at..at + 4)?.try_into().ok()?));
        if file.get(..8)? != b"DAF/SPK " || file.get(88..96)? != b"LTL-IEEE" {
            return None;
        }
        // One record of summaries holds 25, more than the few that are wanted.
        let table = RECORD * usize::try_from(integer(76)? - 1).ok()?;
        let summaries = (0..(RECORD - 24) / SUMMARY).map(|k| table + 24 + k * SUMMARY);
        for at in summaries {
            let integers: Vec<i32> = (0..6).map_while(|k| integer(at + 16 + 4 * k)).collect();
            let [found, about, _, kind, first, last] = integers[..] else { return None };
            if (found, about, kind) != (target, centre, CHEBYSHEV_POSITIONS) {
                continue;
            }
            let (first, last) = (usize::try_from(first).ok()?, usize::try_from(last).ok()?);
            let words: Vec<f64> = (first..=last).map_while(|word| double(8 * (word - 1))).collect();
            let (records, directory) = words.split_at_checked(words.len().checked_sub(4)?)?;
            let [start, step, size, _] = directory[..] else { return None };
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a small whole number"
            )]
            return Some(Self { start, step, size: size as usize, records: records.to_vec() });
        }
        None
    }

    /// Position \[km\], velocity \[km/s\] and acceleration \[km/s^2\] at a time \[s past J2000 TDB\]; `None` outside the
    /// segment.
    pub(super) fn state(&self, time: f64) -> Option<[Vector; 3]> {
        let count = self.records.len() / self.size;
        let place = ((time - self.start) / self.step).floor();
        if !(place >= 0.0 && place <= count as f64) {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
        // The very end belongs to the last record.
        let place = (place as usize).min(count - 1);
        let record = &self.records[place * self.size..(place + 1) * self.size];
        let (middle, half) = (record[0], record[1]);
        let x = (time - middle) / half;
        let mut state = [[0.0; 3]; 3];
        for (axis, coefficients) in record[2..].chunks_exact((self.size - 2) / 3).enumerate() {
            let [value, slope, bend] = chebyshev(coefficients, x);
            state[0][axis] = value;
            state[1][axis] = slope / half;
            state[2][axis] = bend / (half * half);
        }
        Some(state)
    }
}

/// The sum of `c_k T_k(x)` and its first two derivatives, by Clenshaw's recurrence (Press et al. 2007, section 5.8).
fn chebyshev(coefficients: &[f64], x: f64) -> [f64; 3] {
    let (mut b1, mut b2) = (0.0, 0.0);
    let (mut d1, mut d2) = (0.0, 0.0);
    let (mut e1, mut e2) = (0.0, 0.0);
    for &c in coefficients[1..].iter().rev() {
        (e1, e2) = (4.0 * d1 + 2.0 * x * e1 - e2, e1);
        (d1, d2) = (2.0 * b1 + 2.0 * x * d1 - d2, d1);
        (b1, b2) = (c + 2.0 * x * b1 - b2, b1);
    }
    [coefficients[0] + x * b1 - b2, b1 + x * d1 - d2, 2.0 * d1 + x * e1 - e2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_polynomial_and_its_derivatives() {
        // 1 + 2 T1 + 3 T2 + 4 T3 = 1 + 2x + 3 (2x^2 - 1) + 4 (4x^3 - 3x)
        let polynomial =
            |x: f64| 1.0 + 2.0 * x + 3.0 * (2.0 * x * x - 1.0) + 4.0 * (4.0 * x * x * x - 3.0 * x);
        let slope = |x: f64| 2.0 + 12.0 * x + 48.0 * x * x - 12.0;
        for x in [-1.0, -0.3, 0.0, 0.7, 1.0] {
            let [value, first, second] = chebyshev(&[1.0, 2.0, 3.0, 4.0], x);
            assert!((value - polynomial(x)).abs() < 1e-14 && (first - slope(x)).abs() < 1e-13, "{x}");
            assert!((second - (12.0 + 96.0 * x)).abs() < 1e-13, "{x}");
        }
    }

    #[test]
    fn what_is_not_an_ephemeris_gives_nothing() {
        assert!(Segment::read(b"", 399, 3).is_none());
        assert!(Segment::read(&[0; 4096], 399, 3).is_none());
    }
}
