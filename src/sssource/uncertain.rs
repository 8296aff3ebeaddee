//! How well the orbits of a block of objects predict their places.

use std::ops::Range;

use crate::science::ephemeris::covariance::Covariance;
use crate::science::ephemeris::ellipse::{Ellipse, TwoBody, Variations, needs_variations};
use crate::science::ephemeris::integrator::{Task, integrate};
use crate::science::ephemeris::orbit::Orbit;
use crate::science::ephemeris::path::Path;
use crate::science::ephemeris::place::Place;

/// An object that is integrated.
pub(super) struct Moving {
    pub motion: Orbit,
    pub task: Task,
    /// The first and the last time of its observations \[MJD TDB\].
    pub wanted: [f64; 2],
    /// Of its orbit, if it is usable and error ellipses are wanted.
    pub covariance: Option<Covariance>,
}

/// How the ellipses of an object are computed.
enum Method {
    TwoBody(TwoBody, Covariance),
    /// From the paths of variations, in this range.
    Varied(Variations, Range<usize>),
}

/// The ellipses of the objects of a block.
pub(super) struct Uncertain {
    methods: Vec<Option<Method>>,
    paths: Vec<Path>,
}

impl Uncertain {
    /// Integrates the variations of the objects that need them; `paths` are those of the orbits.
    pub(super) fn of(moving: &[Moving], paths: &[Path]) -> Self {
        let mut tasks: Vec<Task> = Vec::new();
        let methods = moving
            .iter()
            .zip(paths)
            .map(|(moving, path)| {
                let covariance = moving.covariance.as_ref()?;
                if !needs_variations(&moving.motion, covariance, path, moving.wanted) {
                    return Some(Method::TwoBody(TwoBody::new(&moving.task)?, covariance.clone()));
                }
                let (variations, more) = Variations::new(&moving.task, path, covariance)?;
                let start = tasks.len();
                tasks.extend(more);
                Some(Method::Varied(variations, start..tasks.len()))
            })
            .collect();
        Self { methods, paths: integrate(&tasks) }
    }

    /// The ellipse of an object at a place at a time \[MJD TDB\].
    pub(super) fn ellipse(&self, object: usize, place: &Place, mjd_tdb: f64) -> Option<Ellipse> {
        match self.methods[object].as_ref()? {
            Method::TwoBody(motion, covariance) => motion.ellipse(covariance, place, mjd_tdb),
            Method::Varied(variations, paths) => {
                variations.ellipse(&self.paths[paths.clone()], place, mjd_tdb)
            }
        }
    }
}
