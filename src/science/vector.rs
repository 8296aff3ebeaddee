//! Vectors in space.

/// A vector in space.
pub type Vector = [f64; 3];

/// The scalar product.
#[inline]
#[must_use]
pub fn dot(a: Vector, b: Vector) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

#[inline]
pub(crate) fn cross(a: Vector, b: Vector) -> Vector {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

/// The length.
#[inline]
#[must_use]
pub fn norm(a: Vector) -> f64 {
    dot(a, a).sqrt()
}

#[inline]
pub(crate) fn add(a: Vector, b: Vector) -> Vector {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}

#[inline]
pub(crate) fn sub(a: Vector, b: Vector) -> Vector {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

#[inline]
pub(crate) fn scale(factor: f64, a: Vector) -> Vector {
    a.map(|component| factor * component)
}

/// The unit vector in the same direction.
#[inline]
pub(crate) fn unit(a: Vector) -> Vector {
    scale(1.0 / norm(a), a)
}

/// The components after the axes are turned about the x axis by an angle \[rad\].
pub(crate) fn about_x(angle: f64, [x, y, z]: Vector) -> Vector {
    let (s, c) = angle.sin_cos();
    [x, c * y + s * z, c * z - s * y]
}

/// The components after the axes are turned about the z axis by an angle \[rad\].
pub(crate) fn about_z(angle: f64, [x, y, z]: Vector) -> Vector {
    let (s, c) = angle.sin_cos();
    [c * x + s * y, c * y - s * x, z]
}
