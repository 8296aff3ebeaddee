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
