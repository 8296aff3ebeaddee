//! Error ellipses: how uncertain the direction is in which an observer sees an object.
//!
//! The uncertainty at the epoch is carried to the time at which the light left, linearly. Most objects move about the Sun
//! alone closely enough for that. Others need paths from displaced starts; [`needs_variations`] says which.

use super::bodies::{self, SUN};
use super::collocation::SUN_ONLY;
use super::covariance::{Axis, Covariance};
use super::forces::{Falloff, NonGravitational};
use super::integrator::Task;
use super::orbit::Orbit;
use super::path::Path;
use super::place::Place;
use crate::vector::{Vector, add, dot, norm, scale, sub};

/// With a smaller perihelion distance \[au\], two-body motion is not enough this long after the epoch or before it.
const VARIED_BELOW_Q_AU: f64 = 1.3;
const VARIED_AFTER_DAYS: f64 = 365.25;
/// This long after or before it, two-body motion is not enough for any perihelion inside Jupiter's distance \[au\]. In the
/// main belt its standard deviations are within 0.7 % for 3 years, and off by 2 % after 4 and by up to 18 % after 20.
const VARIED_LONG_AFTER_DAYS: f64 = 3.0 * 365.25;
const VARIED_BELOW_JUPITER_AU: f64 = 5.5;
/// How far starts are displaced at most, as a share of distance and speed: see [`Variations`].
const DISPLACEMENT: f64 = 1e-6;
/// The same for a path whose [`Path::nearest_planet`] is 1; in proportion for others.
const DISPLACEMENT_NEAR_PLANET: f64 = 3e-6;
/// How far they are displaced at least.
const LEAST_DISPLACEMENT: f64 = 1e-9;

/// The uncertainty of a direction on the sky: standard deviations to the east (times the cosine of the declination) and to
/// the north \[rad\], and their covariance \[rad^2\].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ellipse {
    /// To the east.
    pub east: f64,
    /// To the north.
    pub north: f64,
    /// Of east and north.
    pub covariance: f64,
}

impl Ellipse {
    /// The semi-major axis \[rad\].
    #[must_use]
    pub fn semi_major(&self) -> f64 {
        let (a, b) = (self.east * self.east, self.north * self.north);
        (0.5 * (a + b) + (0.5 * (a - b)).hypot(self.covariance)).sqrt()
    }

    /// The sum of the squares of independent errors, each to the east and to the north; `None` if it is not finite.
    fn of(errors: impl Iterator<Item = [f64; 2]>) -> Option<Self> {
        let [ee, nn, en] = errors.fold([0.0; 3], |[ee, nn, en], [e, n]| [ee + e * e, nn + n * n, en + e * n]);
        let ellipse = Self { east: ee.sqrt(), north: nn.sqrt(), covariance: en };
        (ee + nn).is_finite().then_some(ellipse)
    }
}

/// Whether an orbit's uncertainty needs [`Variations`] for observations from a first to a last time \[MJD TDB\].
///
/// It does after a planet was near on the path, long after the epoch (sooner with a small perihelion), and with forces beside
/// gravity. Otherwise two-body motion gives standard deviations to 1 %: measured on 205 orbits of all classes, the error is 0.7 % at
/// most. `path` is that of the orbit, over at least these times.
#[must_use]
pub fn needs_variations(orbit: &Orbit, covariance: &Covariance, path: &Path, wanted: [f64; 2]) -> bool {
    let days = wanted.into_iter().map(|time| (time - orbit.epoch_mjd_tt).abs()).fold(0.0, f64::max);
    let is_forced = orbit.force.is_some() || covariance.falloff.is_some();
    let is_fast = orbit.elements.q_au < VARIED_BELOW_Q_AU && days > VARIED_AFTER_DAYS;
    let is_old = orbit.elements.q_au < VARIED_BELOW_JUPITER_AU && days > VARIED_LONG_AFTER_DAYS;
    !path.is_pluto && (is_forced || is_fast || is_old || path.nearest_planet() < 1.0)
}

/// The motion of an object about the Sun alone, for its uncertainty.
#[derive(Clone, Copy, Debug)]
pub struct TwoBody {
    epoch_mjd_tdb: f64,
    /// Heliocentric, equatorial, at the epoch.
    start: [Vector; 2],
    alpha: f64,
}

impl TwoBody {
    /// The motion from the start of an integration; `None` outside the ephemerides.
    #[must_use]
    pub fn new(task: &Task) -> Option<Self> {
        let [sun, sun_velocity, _] = bodies::state(SUN, task.epoch_mjd_tdb)?;
        let start = [sub(task.position, sun), sub(task.velocity, sun_velocity)];
        Some(Self { epoch_mjd_tdb: task.epoch_mjd_tdb, start, alpha: SUN_ONLY.alpha(start) })
    }

    /// The ellipse of an object that is seen at a place at a time \[MJD TDB\].
    ///
    /// `None` if numbers overflow. Source: Battin 1999, Mathematics and Methods of Astrodynamics, section 9.7. Domain: all
    /// eccentricities; where [`needs_variations`] is false, accuracy is 1 %. Costs 1.5 us.
    #[must_use]
    pub fn ellipse(&self, covariance: &Covariance, place: &Place, mjd_tdb: f64) -> Option<Ellipse> {
        let time = mjd_tdb - place.light_time - self.epoch_mjd_tdb;
        let transition = SUN_ONLY.transition(self.start, self.alpha, time)?;
        let gradients = sky(place).map(|direction| transition.gradient(direction));
        let error = |axis: &Axis| {
            gradients.map(|[by_position, by_velocity]| {
                dot(by_position, axis.position) + dot(by_velocity, axis.velocity)
            })
        };
        Ellipse::of(covariance.axes.iter().map(error))
    }
}

/// The derivatives of the angles to the east and to the north by the position.
fn sky(place: &Place) -> [Vector; 2] {
    [place.east, place.north].map(|axis| scale(1.0 / place.topo_range, axis))
}

/// Starts that are displaced to both sides of an orbit, along each axis of its uncertainty.
///
/// The difference of the two paths of an axis is its effect on the position. Single parameters would need sums of large
/// numbers that cancel, because an axis may be 1e6 times as long as another.
///
/// A displacement is 1e-6 of the distance from the Sun or of the speed, whichever is reached first. The rounding of the
/// paths, 1e-13 au, is 1e-7 of that. In a year the displacement grows to 2e-5 au. It must be small beside the distance from
/// a planet, as the error is the square of the ratio: near planets, displacements are smaller in proportion.
///
/// Accuracy: 2e-6 of standard deviations, also after passing the Earth at 0.0004 au: a fifth of the displacement gives the
/// same. 1 % for a distant object whose distance is uncertain by 9 au.
#[derive(Clone, Debug)]
pub struct Variations {
    /// The standard deviation of each axis in units of its displacement.
    lengths: Box<[f64]>,
}

impl Variations {
    /// The variations of an orbit, and the integrations that they need: [`Variations::count`] of them.
    ///
    /// `task` and `path` are the orbit's own, with its force. `None` outside the ephemerides, or if the force that was fitted
    /// falls off in another way.
    #[must_use]
    pub fn new(task: &Task, path: &Path, covariance: &Covariance) -> Option<(Self, Vec<Task>)> {
        if task.force.zip(covariance.falloff).is_some_and(|(force, falloff)| force.falloff != falloff) {
            return None;
        }
        let displacement =
            (DISPLACEMENT_NEAR_PLANET * path.nearest_planet()).clamp(LEAST_DISPLACEMENT, DISPLACEMENT);
        let start = TwoBody::new(task)?.start;
        let days = task.wanted.map(|time| (time - task.epoch_mjd_tdb).abs()).into_iter().fold(1.0, f64::max);
        let mut lengths = Vec::new();
        let mut tasks = Vec::new();
        for axis in &covariance.axes {
            // A force moves an object by the square of the time.
            let share = (norm(axis.position) / norm(start[0]))
                .max(norm(axis.velocity) / norm(start[1]))
                .max(norm(axis.force) * days * days);
            let length = share / displacement;
            lengths.push(length);
            tasks.extend([1.0, -1.0].map(|side| displaced(task, axis, covariance.falloff, side / length)));
        }
        Some((Self { lengths: lengths.into() }, tasks))
    }

    /// The number of integrations.
    #[must_use]
    pub fn count(&self) -> usize {
        2 * self.lengths.len()
    }

    /// The ellipse of an object that is seen at a place at a time \[MJD TDB\], by the paths of the integrations, in their order.
    ///
    /// `None` where a path does not reach, or if these are not its paths.
    #[must_use]
    pub fn ellipse(&self, paths: &[Path], place: &Place, mjd_tdb: f64) -> Option<Ellipse> {
        if paths.len() != self.count() {
            return None;
        }
        let time = mjd_tdb - place.light_time;
        let directions = sky(place);
        let mut errors = Vec::with_capacity(self.lengths.len());
        for (length, pair) in self.lengths.iter().zip(paths.chunks_exact(2)) {
            let moved = sub(pair[0].state(time)?[0], pair[1].state(time)?[0]);
            errors.push(directions.map(|direction| 0.5 * length * dot(direction, moved)));
        }
        Ellipse::of(errors.into_iter())
    }
}

/// The integration from a start that is displaced by a share of an axis.
fn displaced(task: &Task, axis: &Axis, falloff: Option<Falloff>, share: f64) -> Task {
    let force = task.force.or(falloff.map(|falloff| NonGravitational { a: [0.0; 3], falloff }));
    Task {
        position: add(task.position, scale(share, axis.position)),
        velocity: add(task.velocity, scale(share, axis.velocity)),
        force: force.map(|force| NonGravitational { a: add(force.a, scale(share, axis.force)), ..force }),
        ..task.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::super::bodies::EARTH;
    use super::super::covariance::Term;
    use super::super::integrator::integrate;
    use super::super::orbit::to_ecliptic;
    use super::super::place::place;
    use super::*;
    use crate::orbit::elements::Elements;

    const EPOCH: f64 = 61_000.0;

    fn orbit(q_au: f64, e: f64, force: Option<NonGravitational>) -> Orbit {
        let elements = Elements { q_au, e, inclination_rad: 0.2, node_rad: 1.0, argperi_rad: 2.0 };
        Orbit { elements, perihelion_mjd_tt: EPOCH + 150.0, epoch_mjd_tt: EPOCH, force }
    }

    /// The path of an orbit after the epoch, and the geocentric place at its end.
    fn seen(orbit: &Orbit, days: f64) -> (Task, Path, Place) {
        let task = orbit.task([EPOCH, EPOCH + days]).unwrap();
        let path = integrate(std::slice::from_ref(&task)).remove(0);
        let place = place_of(&path, EPOCH + days);
        (task, path, place)
    }

    fn place_of(path: &Path, mjd_tdb: f64) -> Place {
        let [position, velocity, _] = bodies::state(EARTH, mjd_tdb).unwrap();
        place(path, mjd_tdb, &[position, velocity]).unwrap()
    }

    /// Independent errors of the state [au, au/d], and of one term, which is correlated with x.
    fn covariance(terms: &[Term], position: f64, velocity: f64, term: f64) -> Covariance {
        let sigma = |k: usize| {
            if k < 3 {
                position
            } else if k < 6 {
                velocity
            } else {
                term
            }
        };
        let correlation = |i: usize, j: usize| {
            if i == j {
                1.0
            } else if (i, j) == (0, 6) {
                0.5
            } else {
                0.0
            }
        };
        Covariance::new(terms, |i, j| sigma(i) * sigma(j) * correlation(i, j)).unwrap()
    }

    fn varied(task: &Task, path: &Path, covariance: &Covariance, place: &Place, time: f64) -> Ellipse {
        let (variations, tasks) = Variations::new(task, path, covariance).unwrap();
        assert_eq!(tasks.len(), variations.count());
        variations.ellipse(&integrate(&tasks), place, time).unwrap()
    }

    fn off(a: &Ellipse, b: &Ellipse) -> f64 {
        let product = b.east * b.north;
        let sigma = (a.east / b.east - 1.0).abs().max((a.north / b.north - 1.0).abs());
        sigma.max((a.covariance - b.covariance).abs() / product)
    }

    #[test]
    fn at_the_epoch_the_ellipse_is_that_of_the_position() {
        let (task, _, place) = seen(&orbit(2.2, 0.1, None), 40.0);
        let covariance = covariance(&[], 1e-6, 1e-30, 0.0);
        let ellipse =
            TwoBody::new(&task).unwrap().ellipse(&covariance, &place, task.epoch_mjd_tdb + place.light_time);
        let Ellipse { east, north, covariance } = ellipse.unwrap();
        let expected = 1e-6 / place.topo_range;
        assert!((east / expected - 1.0).abs() < 1e-12 && (north / expected - 1.0).abs() < 1e-12);
        assert!(covariance.abs() < 1e-12 * expected * expected);
    }

    #[test]
    fn both_ways_agree_far_from_planets() {
        for (q, e) in [(2.2, 0.1), (0.9, 0.5), (1.1, 1.0), (2.0, 1.3)] {
            let (task, path, place) = seen(&orbit(q, e, None), 40.0);
            let covariance = covariance(&[], 1e-6, 1e-8, 0.0);
            let two_body = TwoBody::new(&task).unwrap().ellipse(&covariance, &place, EPOCH + 40.0).unwrap();
            let off = off(&two_body, &varied(&task, &path, &covariance, &place, EPOCH + 40.0));
            assert!(off < 2e-4, "{q} {e}: {off}");
        }
    }

    /// Turned about z and then about x, as a change of axes.
    fn turned([x, y, z]: Vector) -> Vector {
        let (sin, cos) = 0.7_f64.sin_cos();
        to_ecliptic([cos * x + sin * y, cos * y - sin * x, z])
    }

    #[test]
    fn other_axes_give_the_same_ellipse() {
        let (task, _, place) = seen(&orbit(0.7, 0.6, None), 300.0);
        let (two_body, covariance) = (TwoBody::new(&task).unwrap(), covariance(&[], 1e-6, 1e-8, 0.0));
        let ellipse = two_body.ellipse(&covariance, &place, EPOCH + 300.0).unwrap();
        let axes = covariance.axes.iter().map(|axis| Axis {
            position: turned(axis.position),
            velocity: turned(axis.velocity),
            ..*axis
        });
        let covariance = Covariance { axes: axes.collect(), falloff: None };
        let two_body = TwoBody { start: two_body.start.map(turned), ..two_body };
        let place = Place { east: turned(place.east), north: turned(place.north), ..place };
        let other = two_body.ellipse(&covariance, &place, EPOCH + 300.0).unwrap();
        assert!(off(&other, &ellipse) < 1e-11, "{ellipse:?} {other:?}");
    }

    #[test]
    fn the_major_axis_does_not_depend_on_the_pole() {
        let (task, _, place) = seen(&orbit(0.7, 0.6, None), 300.0);
        let (two_body, covariance) = (TwoBody::new(&task).unwrap(), covariance(&[], 1e-6, 1e-8, 0.0));
        let (sin, cos) = 0.4_f64.sin_cos();
        let east = add(scale(cos, place.east), scale(sin, place.north));
        let north = sub(scale(cos, place.north), scale(sin, place.east));
        let [a, b] = [place, Place { east, north, ..place }]
            .map(|place| two_body.ellipse(&covariance, &place, EPOCH + 300.0).unwrap());
        assert!((a.semi_major() / b.semi_major() - 1.0).abs() < 1e-12);
        assert!(a.semi_major() >= a.east.max(a.north));
        assert_eq!(Ellipse { east: 3.0, north: 4.0, covariance: 0.0 }.semi_major(), 4.0);
        assert_eq!(Ellipse { east: 3.0, north: 4.0, covariance: 12.0 }.semi_major(), 5.0);
    }

    #[test]
    fn a_fitted_force_widens_the_ellipse() {
        let days = 400.0;
        for (term, component, falloff, sigma, unit) in [
            (Term::A1, 0, Falloff::Sublimation, 1e-10, 1.0),
            (Term::A2, 1, Falloff::Sublimation, 1e-11, 1.0),
            (Term::A3, 2, Falloff::Sublimation, 1e-10, 1.0),
            (Term::Yarkovsky, 1, Falloff::InverseSquare, 0.1, 1e-10),
        ] {
            let with = |a: f64| {
                let mut force = NonGravitational { a: [1e-9, 2e-10, 0.0], falloff };
                force.a[component] += a;
                orbit(0.9, 0.7, Some(force))
            };
            let (task, path, place) = seen(&with(0.0), days);
            // Nothing but the force is uncertain.
            let covariance = covariance(&[term], 1e-20, 1e-22, sigma);
            let ellipse = varied(&task, &path, &covariance, &place, EPOCH + days);
            let [a, b] = [sigma, -sigma].map(|a| {
                let task = with(a * unit).task([EPOCH, EPOCH + days]).unwrap();
                let path = integrate(&[task]).remove(0);
                let time = EPOCH + days - place.light_time;
                scale(1.0 / place.topo_range, path.state(time).unwrap()[0])
            });
            let moved = scale(0.5, sub(a, b));
            let expected = [dot(moved, place.east), dot(moved, place.north)];
            for (found, expected) in [ellipse.east, ellipse.north].into_iter().zip(expected) {
                assert!((found / expected.abs() - 1.0).abs() < 1e-4, "{term:?} {found:e} {expected:e}");
            }
            assert!((ellipse.covariance / (expected[0] * expected[1]) - 1.0).abs() < 1e-4, "{term:?}");
        }
    }

    #[test]
    fn which_orbits_need_variations() {
        let needs = |orbit: &Orbit, terms: &[Term], nearest_planet: f64, days: f64| {
            let path = Path { nearest_planet, ..Path::new() };
            let covariance = covariance(terms, 1e-6, 1e-8, 1e-10);
            let [forwards, back] = [[EPOCH, EPOCH + days], [EPOCH - days, EPOCH]]
                .map(|wanted| needs_variations(orbit, &covariance, &path, wanted));
            assert_eq!(forwards, back);
            forwards
        };
        let plain = orbit(2.2, 0.1, None);
        assert!(!needs(&plain, &[], 1.1, 800.0));
        assert!(needs(&plain, &[], 0.9, 30.0));
        assert!(needs(&plain, &[Term::A2], 1.1, 30.0) && !needs(&plain, &[Term::Other], 1.1, 30.0));
        assert!(needs(&plain, &[], 1.1, 1200.0) && !needs(&orbit(30.0, 0.1, None), &[], 1.1, 1200.0));
        let near_sun = orbit(1.2, 0.4, None);
        assert!(!needs(&near_sun, &[], 2.0, 300.0) && needs(&near_sun, &[], 2.0, 400.0));
        let force = NonGravitational { a: [1e-9, 0.0, 0.0], falloff: Falloff::Sublimation };
        assert!(needs(&orbit(4.0, 0.1, Some(force)), &[], 2.0, 30.0));
    }

    #[test]
    fn no_ellipse_without_a_path() {
        let (task, path, place) = seen(&orbit(2.2, 0.1, None), 40.0);
        let covariance = covariance(&[], 1e-6, 1e-8, 0.0);
        let (variations, tasks) = Variations::new(&task, &path, &covariance).unwrap();
        let paths = integrate(&tasks);
        assert_eq!(variations.ellipse(&paths, &place, EPOCH + 4000.0), None);
        assert_eq!(variations.ellipse(&paths[1..], &place, EPOCH + 40.0), None);
        let force = Some(NonGravitational { a: [0.0; 3], falloff: Falloff::InverseSquare });
        let forced = Task { force, ..task.clone() };
        assert!(Variations::new(&forced, &path, &self::covariance(&[Term::A1], 1e-6, 1e-8, 1e-10)).is_none());
        let far = Task { epoch_mjd_tdb: 90_000.0, ..task };
        assert!(TwoBody::new(&far).is_none() && Variations::new(&far, &path, &covariance).is_none());
    }
}
