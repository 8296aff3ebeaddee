//! Orbital elements that hold for every eccentricity, and their axes in space.

use crate::vector::Vector;

/// The astronomical unit \[km\] (IAU 2012, resolution B2).
pub(crate) const AU_KM: f64 = 149_597_870.7;

/// An orbit about the Sun, without the place of the body on it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Elements {
    /// Perihelion distance \[au\].
    pub q_au: f64,
    /// Eccentricity.
    pub e: f64,
    /// Inclination to the ecliptic \[rad\].
    pub inclination_rad: f64,
    /// Longitude of the ascending node \[rad\].
    pub node_rad: f64,
    /// Argument of perihelion \[rad\].
    pub argperi_rad: f64,
}

impl Elements {
    /// Whether this is an orbit: all elements finite, `q > 0`, `e >= 0`.
    #[must_use]
    pub fn is_orbit(&self) -> bool {
        let angles = self.inclination_rad + self.node_rad + self.argperi_rad;
        let shape = self.q_au > 0.0 && self.e >= 0.0;
        shape && self.q_au.is_finite() && self.e.is_finite() && angles.is_finite()
    }

    /// Unit vectors in the ecliptic frame: to perihelion, along the motion there, and along the angular momentum.
    ///
    /// Source: Danby 1988, Fundamentals of Celestial Mechanics, section 6.15.
    #[must_use]
    pub fn axes(&self) -> [Vector; 3] {
        let (sin_i, cos_i) = self.inclination_rad.sin_cos();
        let (sin_node, cos_node) = self.node_rad.sin_cos();
        let (sin_w, cos_w) = self.argperi_rad.sin_cos();
        [
            [
                cos_node * cos_w - sin_node * sin_w * cos_i,
                sin_node * cos_w + cos_node * sin_w * cos_i,
                sin_w * sin_i,
            ],
            [
                -cos_node * sin_w - sin_node * cos_w * cos_i,
                -sin_node * sin_w + cos_node * cos_w * cos_i,
                cos_w * sin_i,
            ],
            [sin_node * sin_i, -cos_node * sin_i, cos_i],
        ]
    }
}
