//! Values as the columns of a table have them.

/// A value in single precision. A value that is not finite there is unknown.
#[expect(clippy::cast_possible_truncation, reason = "the columns have single precision")]
pub(crate) fn single(value: f64) -> Option<f32> {
    Some(value as f32).filter(|value| value.is_finite())
}

/// An angle from 0 to 2 pi, in degrees. It stays below 360 in single precision, which rounds the last few up.
pub(crate) fn below_360(angle_rad: f64) -> f64 {
    /// Half of the step between 360 and the number before it.
    const HALF_STEP: f64 = 1.0 / 65_536.0;
    let angle_deg = angle_rad.to_degrees();
    if angle_deg >= 360.0 - HALF_STEP { 0.0 } else { angle_deg }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_single_precision_cannot_hold_is_not_known() {
        assert_eq!(single(0.25), Some(0.25));
        for value in [f64::NAN, f64::INFINITY, -1e300, 3.5e38] {
            assert_eq!(single(value), None, "{value}");
        }
    }

    #[test]
    fn angles_stay_below_a_full_turn_in_single_precision() {
        let degrees = |value: f64| single(below_360(value.to_radians())).unwrap();
        for close in [359.999_999_99, 359.999_985, 360.0 - 1.53e-5, 360.0 - 1.52e-5] {
            assert!((0.0..360.0).contains(&degrees(close)), "{close}");
        }
        assert!((359.99..360.0).contains(&degrees(359.999)));
    }
}
