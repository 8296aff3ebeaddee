//! Time scales: UTC, TAI, TT and TDB, as MJD in days.
//!
//! Not a place for the rotation of the Earth (UT1).

/// Seconds in a day.
pub const DAY_S: f64 = 86_400.0;

/// MJD of the epoch J2000.0.
pub(crate) const J2000_MJD: f64 = 51_544.5;
/// Days in a Julian century.
pub(crate) const CENTURY_DAY: f64 = 36_525.0;

/// TT - TAI \[s\], by definition.
const TT_MINUS_TAI_S: f64 = 32.184;

/// The UTC date from which a leap second may exist that this program does not know: 2027-06-28, where the list of the
/// IERS ends.
pub const LEAP_SECONDS_END_MJD_UTC: f64 = 61_584.0;

/// The UTC date (MJD) from which TAI - UTC has a value \[s\]. IERS Bulletin C.
const LEAP_SECONDS: [(f64, f64); 28] = [
    (41_317.0, 10.0), // 1972-01-01
    (41_499.0, 11.0), // 1972-07-01
    (41_683.0, 12.0), // 1973-01-01
    (42_048.0, 13.0), // 1974-01-01
    (42_413.0, 14.0), // 1975-01-01
    (42_778.0, 15.0), // 1976-01-01
    (43_144.0, 16.0), // 1977-01-01
    (43_509.0, 17.0), // 1978-01-01
    (43_874.0, 18.0), // 1979-01-01
    (44_239.0, 19.0), // 1980-01-01
    (44_786.0, 20.0), // 1981-07-01
    (45_151.0, 21.0), // 1982-07-01
    (45_516.0, 22.0), // 1983-07-01
    (46_247.0, 23.0), // 1985-07-01
    (47_161.0, 24.0), // 1988-01-01
    (47_892.0, 25.0), // 1990-01-01
    (48_257.0, 26.0), // 1991-01-01
    (48_804.0, 27.0), // 1992-07-01
    (49_169.0, 28.0), // 1993-07-01
    (49_534.0, 29.0), // 1994-07-01
    (50_083.0, 30.0), // 1996-01-01
    (50_630.0, 31.0), // 1997-07-01
    (51_179.0, 32.0), // 1999-01-01
    (53_736.0, 33.0), // 2006-01-01
    (54_832.0, 34.0), // 2009-01-01
    (56_109.0, 35.0), // 2012-07-01
    (57_204.0, 36.0), // 2015-07-01
    (57_754.0, 37.0), // 2017-01-01
];

/// TAI - UTC at a moment.
///
/// Units: MJD UTC in, s out.
/// Source: IERS Bulletin C.
/// Domain: 1972 to [`LEAP_SECONDS_END_MJD_UTC`]; before and after, the first and the last value.
fn tai_minus_utc_s(mjd_utc: f64) -> f64 {
    let past = LEAP_SECONDS.partition_point(|(start, _)| *start <= mjd_utc);
    LEAP_SECONDS[past.saturating_sub(1)].1
}

/// UTC to TAI, both MJD.
#[must_use]
pub fn tai_of_utc(mjd_utc: f64) -> f64 {
    mjd_utc + tai_minus_utc_s(mjd_utc) / DAY_S
}

/// TAI to UTC, both MJD. A moment within a leap second gets the time of the second after it.
pub(crate) fn utc_of_tai(mjd_tai: f64) -> f64 {
    let past = LEAP_SECONDS.partition_point(|(start, offset_s)| start + offset_s / DAY_S <= mjd_tai);
    mjd_tai - LEAP_SECONDS[past.saturating_sub(1)].1 / DAY_S
}

/// TAI to TT, both MJD.
pub(crate) fn tt_of_tai(mjd_tai: f64) -> f64 {
    mjd_tai + TT_MINUS_TAI_S / DAY_S
}

/// TDB - TT at the centre of the Earth.
///
/// Units: MJD TT in, s out.
/// Source: Fairhead & Bretagnon 1990, A&A 229, 240, the seven largest terms as in USNO Circular 179, equation 2.6.
/// Domain: 1600 to 2200. Accuracy: 10 us.
fn tdb_minus_tt_s(mjd_tt: f64) -> f64 {
    /// Amplitude \[s\], frequency \[rad per Julian century\], phase \[rad\].
    const TERMS: [(f64, f64, f64); 6] = [
        (1_656.674_564e-6, 628.307_584_999_1, 6.240_054_195),
        (22.417_471e-6, 575.338_488_489_7, 4.296_977_442),
        (13.839_792e-6, 1_256.615_169_998_3, 6.196_904_410),
        (4.770_086e-6, 52.969_096_509_5, 0.444_401_603),
        (4.676_740e-6, 606.977_675_455_3, 4.021_195_093),
        (2.256_707e-6, 21.329_909_543_8, 5.543_113_262),
    ];
    /// The same for the term that grows with time.
    const GROWING: (f64, f64, f64) = (10.215_672_4e-6, 628.307_584_999_1, 4.249_032_005);
    let centuries = (mjd_tt - J2000_MJD) / CENTURY_DAY;
    let wave =
        |(amplitude, frequency, phase): (f64, f64, f64)| amplitude * f64::sin(frequency * centuries + phase);
    TERMS.into_iter().map(wave).sum::<f64>() + centuries * wave(GROWING)
}

/// TAI to TDB, both MJD.
#[must_use]
pub fn tdb_of_tai(mjd_tai: f64) -> f64 {
    tdb_of_tt(tt_of_tai(mjd_tai))
}

/// TT to TDB, both MJD.
pub(crate) fn tdb_of_tt(mjd_tt: f64) -> f64 {
    mjd_tt + tdb_minus_tt_s(mjd_tt) / DAY_S
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leap_seconds_begin_at_midnight_utc() {
        for (mjd_utc, expected) in [
            (30_000.0, 10.0),
            (41_317.0, 10.0),
            (41_498.999_99, 10.0),
            (41_499.0, 11.0),
            (53_735.999_99, 32.0),
            (53_736.0, 33.0),
            (57_753.999_99, 36.0),
            (57_754.0, 37.0),
            (61_000.0, 37.0),
            (70_000.0, 37.0),
        ] {
            assert_eq!(tai_minus_utc_s(mjd_utc), expected, "{mjd_utc}");
        }
        assert!(LEAP_SECONDS.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 + 1.0 == pair[1].1));
    }

    #[test]
    fn utc_survives_the_way_to_tai_and_back() {
        for mjd_utc in
            [41_317.0, 53_735.999_999, 53_736.0, 57_753.999_995, 57_754.0, 60_800.123_456, 61_600.0]
        {
            let back = utc_of_tai(tai_of_utc(mjd_utc));
            assert!((back - mjd_utc).abs() * DAY_S < 2e-6, "{mjd_utc} {back}");
        }
    }

    #[test]
    fn tdb_agrees_with_erfa() {
        // eraDtdb(2448939.5, 0.123, 0.76543, 5.0123, 5525.242, 3190.0) of the library's test suite; its terms of the observer's
        // place, left out here, are up to 2 us.
        let erfa_s = -0.128_036_800_593_699_9e-2;
        assert!((tdb_minus_tt_s(48_939.123) - erfa_s).abs() < 12e-6);
    }

    #[test]
    fn tt_is_tai_and_a_constant() {
        assert!(((tt_of_tai(60_000.0) - 60_000.0) * DAY_S - 32.184).abs() < 1e-6);
        let tdb = tdb_of_tai(60_000.0);
        assert!(((tdb - tt_of_tai(60_000.0)) * DAY_S).abs() < 0.0017);
    }
}
