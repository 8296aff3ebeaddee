//! Eight numbers that are computed with together, one for each of eight objects.
//!
//! The operations are plain loops over an array, which the compiler turns into vector instructions. Each lane is computed
//! as if it were alone.

#![expect(clippy::inline_always, reason = "a call for each operation would be slower than the operation")]

use std::array;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub};

/// The number of lanes.
pub(crate) const LANES: usize = 8;

/// One number per lane.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
pub(crate) struct Lanes(pub [f64; LANES]);

/// One truth value per lane.
pub(crate) type Mask = [bool; LANES];

/// A vector in space per lane.
pub(crate) type LaneVector = [Lanes; 3];

impl Lanes {
    /// The same number in each lane.
    #[inline(always)]
    pub(crate) fn splat(value: f64) -> Self {
        Self([value; LANES])
    }

    #[inline(always)]
    pub(crate) fn sqrt(self) -> Self {
        Self(self.0.map(f64::sqrt))
    }

    /// The smaller number of each lane; if one is NaN, the other.
    #[inline(always)]
    pub(crate) fn min(self, other: Self) -> Self {
        Self(array::from_fn(|k| if self.0[k] < other.0[k] { self.0[k] } else { other.0[k] }))
    }

    /// The larger number of each lane; NaN if `self` is.
    #[inline(always)]
    pub(crate) fn max(self, other: Self) -> Self {
        Self(array::from_fn(|k| if other.0[k] > self.0[k] { other.0[k] } else { self.0[k] }))
    }

    #[inline(always)]
    pub(crate) fn abs(self) -> Self {
        Self(self.0.map(f64::abs))
    }

    /// In which lanes this is less than the other.
    #[inline(always)]
    pub(crate) fn less(self, other: Self) -> Mask {
        array::from_fn(|k| self.0[k] < other.0[k])
    }

    /// `yes` in the lanes of the mask, `no` in the others.
    #[inline(always)]
    pub(crate) fn select(mask: Mask, yes: Self, no: Self) -> Self {
        Self(array::from_fn(|k| if mask[k] { yes.0[k] } else { no.0[k] }))
    }
}

macro_rules! operator {
    ($trait:ident, $method:ident, $op:tt) => {
        impl $trait for Lanes {
            type Output = Self;

            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                Self(array::from_fn(|k| self.0[k] $op other.0[k]))
            }
        }
    };
}

operator!(Add, add, +);
operator!(Sub, sub, -);
operator!(Mul, mul, *);
operator!(Div, div, /);

impl Neg for Lanes {
    type Output = Self;

    #[inline(always)]
    fn neg(self) -> Self {
        Self(self.0.map(|value| -value))
    }
}

impl AddAssign for Lanes {
    #[inline(always)]
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Mul<Lanes> for f64 {
    type Output = Lanes;

    #[inline(always)]
    fn mul(self, lanes: Lanes) -> Lanes {
        Lanes(lanes.0.map(|value| self * value))
    }
}

/// The same vector in each lane.
#[inline(always)]
pub(crate) fn splat(vector: [f64; 3]) -> LaneVector {
    vector.map(Lanes::splat)
}

#[inline(always)]
pub(crate) fn add(a: LaneVector, b: LaneVector) -> LaneVector {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}

#[inline(always)]
pub(crate) fn sub(a: LaneVector, b: LaneVector) -> LaneVector {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

/// The vector minus one that is the same in each lane.
#[inline(always)]
pub(crate) fn minus(a: LaneVector, b: [f64; 3]) -> LaneVector {
    [a[0] - Lanes::splat(b[0]), a[1] - Lanes::splat(b[1]), a[2] - Lanes::splat(b[2])]
}

#[inline(always)]
pub(crate) fn scale(factor: Lanes, a: LaneVector) -> LaneVector {
    [factor * a[0], factor * a[1], factor * a[2]]
}

#[inline(always)]
pub(crate) fn dot(a: LaneVector, b: LaneVector) -> Lanes {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

/// The vector of one lane.
#[inline(always)]
pub(crate) fn lane(a: &LaneVector, k: usize) -> [f64; 3] {
    [a[0].0[k], a[1].0[k], a[2].0[k]]
}

/// `yes` in the lanes of the mask, `no` in the others.
#[inline(always)]
pub(crate) fn select(mask: Mask, yes: LaneVector, no: LaneVector) -> LaneVector {
    array::from_fn(|axis| Lanes::select(mask, yes[axis], no[axis]))
}
