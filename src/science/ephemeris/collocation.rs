//! One piece of eight paths: all forces at the nodes of a collocation, iterated until the paths no longer change.
//!
//! The acceleration at the nodes gives a new path, which gives new accelerations (Picard's iteration). What the change of
//! the path cannot alter any more is not computed again: the asteroids after the first pass, relativity and
//! non-gravitational forces after the second, a planet as soon as its tide is small enough. All of this is decided for each
//! lane alone.

#![expect(clippy::inline_always, reason = "the loops over the nodes vectorise only with these in them")]
#![expect(clippy::needless_range_loop, reason = "an index is a body, a node or a lane in several arrays")]

use super::bodies::{ASTEROIDS, BODIES, EARTH, GM, JUPITER, MOON, PLUTO, SUN};
use super::forces::{
    EARTH_OBLATENESS_WITHIN, NonGravitational, attraction, change, earth_oblateness, relativity,
    sun_oblateness,
};
use super::lanes::{self, LANES, LaneVector, Lanes, Mask, lane, minus};
use super::nodes::Nodes;
use super::quadrature::{NODES, RULE, Rule};
use super::two_body::Attraction;
use crate::vector::Vector;

/// The Sun's attraction, for first guesses and for uncertainties.
pub(super) const SUN_ONLY: Attraction = Attraction::new(GM[SUN], 0.017_202_098_949_957_226);
/// The longest piece for the distance `r` from the Sun: `h sqrt(2 GM / r^3)` at most this.
pub(super) const MOST_TURN: f64 = 0.7;
/// The change of the vector from a body to an object between neighbouring nodes, as a share of the shorter one, at most.
const MOST_STEP: f64 = 0.25;
/// The same for an asteroid, whose attraction is weaker.
const MOST_STEP_ASTEROID: f64 = 0.5;
/// The distance from a planet at which an object counts as near it \[au\]. After that, its uncertainty is not that of motion
/// about the Sun alone.
const NEAR_PLANET: f64 = 0.1;
/// The same for Jupiter.
const NEAR_JUPITER: f64 = 1.5;
/// The change of a path at which it is done \[au\].
const TOLERANCE: f64 = 1e-14;
/// Passes after which a piece that does not converge is cut in half.
const MOST_PASSES: usize = 24;

/// Eight objects at the start of a piece.
#[derive(Clone, Debug)]
pub(super) struct Group {
    /// Barycentric \[au\], \[au/d\].
    pub position: LaneVector,
    pub velocity: LaneVector,
    /// The acceleration at the start that is not the Sun's pull, as far as known: for the first guess.
    pub disturbance: LaneVector,
    /// The body that a lane itself is, which does not attract it.
    pub own: [Option<usize>; LANES],
    pub forces: [Option<NonGravitational>; LANES],
}

/// Eight paths over a piece.
pub(super) struct Outcome {
    /// Which lanes converged. The others need a shorter piece.
    pub done: Mask,
    /// The acceleration at the nodes.
    pub pull: [LaneVector; NODES],
    /// At the end of the piece.
    pub position: LaneVector,
    pub velocity: LaneVector,
    pub disturbance: LaneVector,
    /// The shortest distance from a planet, over that at which the object is near it.
    pub nearest_planet: Lanes,
}

/// The largest and smallest of what a pass saw, per lane.
struct Seen {
    /// Above 0 where a body was passed too fast for the nodes.
    excess: Lanes,
    /// The shortest distance from the Sun and from each planet.
    nearest: [Lanes; ASTEROIDS],
}

impl Seen {
    /// The shortest distance from a planet, over that at which the object is near it.
    fn nearest_planet(&self) -> Lanes {
        let planets = (SUN + 1..PLUTO).filter(|&body| body != MOON);
        planets.fold(Lanes::splat(f64::INFINITY), |nearest, body| {
            let near = if body == JUPITER { NEAR_JUPITER } else { NEAR_PLANET };
            nearest.min((1.0 / near) * self.nearest[body])
        })
    }
}

/// Follows eight objects over a piece of `length` days, which is negative backwards.
pub(super) fn follow(nodes: &Nodes, length: f64, group: &Group) -> Outcome {
    let work = Work { rule: &RULE, nodes, length, group };
    let (mut path, mut speed) = work.first_guess();
    let mut pulls = vec![[[Lanes::default(); 3]; NODES]; ASTEROIDS];
    let mut asteroids = [[Lanes::default(); 3]; NODES];
    let mut small = [[Lanes::default(); 3]; NODES];
    let mut pull = [[Lanes::default(); 3]; NODES];
    let mut done = [false; LANES];
    // Lanes that need a shorter piece.
    let mut too_long = [false; LANES];
    let mut tides = [Lanes::splat(f64::INFINITY); ASTEROIDS];
    let mut asteroid_tide = Lanes::splat(f64::INFINITY);
    let mut last_change = Lanes::splat(f64::INFINITY);
    let mut nearest_planet = Lanes::splat(f64::INFINITY);
    for pass in 0..MOST_PASSES {
        if pass < 2 {
            if pass > 0 {
                speed = work.speeds(&pull);
            }
            let seen = work.planets(&path, &speed, &mut pulls, &mut small);
            let mut excess = seen.excess;
            let alters = Lanes::splat(TOLERANCE).less(asteroid_tide * last_change);
            if alters.contains(&true) {
                let (too_fast, tide) = work.asteroids(&path, alters, &mut asteroids);
                excess = excess.max(too_fast);
                asteroid_tide = tide;
            }
            tides = work.tides(&seen);
            nearest_planet = seen.nearest_planet();
            for k in 0..LANES {
                too_long[k] |= excess.0[k] > 0.0;
            }
        } else {
            work.pulls_that_change(&path, &mut pulls, &tides, last_change, done);
        }
        for node in 0..NODES {
            let sum = pulls.iter().fold(asteroids[node], |sum, body| lanes::add(sum, body[node]));
            let sum = lanes::add(sum, small[node]);
            pull[node] = lanes::select(done, pull[node], sum);
        }
        let next = work.path(&pull);
        let mut moved = Lanes::splat(0.0);
        for (new, old) in next.iter().zip(&path) {
            for axis in 0..3 {
                moved = moved.max((new[axis] - old[axis]).abs());
            }
        }
        path = next;
        last_change = moved;
        let settled = moved.less(Lanes::splat(TOLERANCE));
        for k in 0..LANES {
            done[k] |= settled[k] && pass > 1 && !too_long[k];
        }
        if (0..LANES).all(|k| done[k] || too_long[k]) {
            break;
        }
    }
    let (position, velocity) = work.end(&pull);
    let disturbance = lanes::sub(pull[NODES - 1], pulls[SUN][NODES - 1]);
    let disturbance = minus(disturbance, nodes.sun[NODES - 1].acceleration);
    for (k, done) in done.iter_mut().enumerate() {
        // A comparison with a number that is none never says that a piece is too long.
        *done &= [position, velocity].as_flattened().iter().all(|component| component.0[k].is_finite());
    }
    Outcome { done, pull, position, velocity, disturbance, nearest_planet }
}

struct Work<'a> {
    rule: &'a Rule<NODES>,
    nodes: &'a Nodes,
    length: f64,
    group: &'a Group,
}

impl Work<'_> {
    /// Two-body motion about the Sun, plus the disturbance as if it were constant.
    fn first_guess(&self) -> ([LaneVector; NODES], [LaneVector; NODES]) {
        let sun = self.nodes.start[SUN];
        let arc = SUN_ONLY
            .arc(minus(self.group.position, sun), minus(self.group.velocity, self.nodes.start_velocity));
        let mut path = [[Lanes::default(); 3]; NODES];
        let mut speed = path;
        for node in 0..NODES {
            let time = self.rule.nodes[node] * self.length;
            let [position, velocity] = SUN_ONLY.nearby(&arc, time);
            let sun = self.nodes.bodies[SUN][node];
            for axis in 0..3 {
                let disturbance = self.group.disturbance[axis];
                path[node][axis] =
                    position[axis] + Lanes::splat(sun[axis]) + (0.5 * time * time) * disturbance;
                speed[node][axis] =
                    velocity[axis] + Lanes::splat(self.nodes.sun[node].velocity[axis]) + time * disturbance;
            }
        }
        (path, speed)
    }

    /// Hands out, node by node, the vector from a body to the objects, its square, the inverse of its length, and the pull.
    /// Returns the smallest square, and a number above 0 where the body is passed too fast for the nodes.
    #[inline(always)]
    fn along(
        &self,
        body: usize,
        path: &[LaneVector; NODES],
        mut take: impl FnMut(usize, LaneVector, Lanes, Lanes, LaneVector),
    ) -> (Lanes, Lanes) {
        let most = if body < ASTEROIDS { MOST_STEP } else { MOST_STEP_ASTEROID };
        let own: Option<Mask> =
            self.group.own.contains(&Some(body)).then(|| self.group.own.map(|own| own == Some(body)));
        // An object is far from itself, and is not attracted.
        let apart = |square| own.map_or(square, |own| Lanes::select(own, Lanes::splat(1.0), square));
        let gm = Lanes::splat(GM[body]);
        let gm = own.map_or(gm, |own| Lanes::select(own, Lanes::splat(0.0), gm));
        let mut before = minus(self.group.position, self.nodes.start[body]);
        let mut square_before = apart(lanes::dot(before, before));
        let (mut nearest, mut excess) = (square_before, Lanes::splat(-1.0));
        for node in 0..NODES {
            let from = minus(path[node], self.nodes.bodies[body][node]);
            let square = apart(lanes::dot(from, from));
            let inverse = Lanes::splat(1.0) / square.sqrt();
            excess = excess.max(change(from, before) - (most * most) * square.min(square_before));
            nearest = nearest.min(square);
            take(node, from, square, inverse, attraction(gm, from, inverse));
            (before, square_before) = (from, square);
        }
        (nearest, excess)
    }

    /// All forces at the nodes but those of the asteroids.
    #[inline(never)]
    fn planets(
        &self,
        path: &[LaneVector; NODES],
        speed: &[LaneVector; NODES],
        pulls: &mut [[LaneVector; NODES]],
        small: &mut [LaneVector; NODES],
    ) -> Seen {
        let mut seen = Seen { excess: Lanes::splat(-1.0), nearest: [Lanes::splat(f64::INFINITY); ASTEROIDS] };
        let mut potential = [Lanes::splat(0.0); NODES];
        let mut from_sun = [[Lanes::splat(0.0); 3]; NODES];
        let mut inverses = [Lanes::splat(0.0); NODES];
        for body in 0..ASTEROIDS {
            let (nearest, excess) = self.along(body, path, |node, from, square, inverse, pull| {
                potential[node] += GM[body] * inverse;
                pulls[body][node] = pull;
                if body == SUN {
                    (from_sun[node], inverses[node]) = (from, inverse);
                }
                if body == EARTH {
                    add_oblateness(from, square, &mut pulls[body][node]);
                }
            });
            seen.excess = seen.excess.max(excess);
            seen.nearest[body] = nearest.sqrt();
        }
        // The piece is short enough for the distance from the Sun everywhere on the path.
        let r = seen.nearest[SUN];
        let turn = Lanes::splat(2.0 * GM[SUN] * self.length * self.length / (MOST_TURN * MOST_TURN));
        seen.excess = seen.excess.max(turn - r * r * r);
        for node in 0..NODES {
            let sun = &self.nodes.sun[node];
            let relative = relativity(sun, from_sun[node], inverses[node], speed[node], potential[node]);
            small[node] = lanes::add(relative, sun_oblateness(from_sun[node], inverses[node]));
            for k in 0..LANES {
                if let Some(force) = &self.group.forces[k] {
                    let velocity = minus(speed[node], sun.velocity);
                    let pull = force.acceleration(lane(&from_sun[node], k), lane(&velocity, k));
                    for axis in 0..3 {
                        small[node][axis].0[k] += pull[axis];
                    }
                }
            }
        }
        seen
    }

    /// The pull of all asteroids at the nodes, in the lanes that are wanted. Returns a number above 0 where one is passed too
    /// fast for the nodes, and how much the pull changes over the path's change, times the square of the length.
    #[inline(never)]
    fn asteroids(
        &self,
        path: &[LaneVector; NODES],
        wanted: Mask,
        pull: &mut [LaneVector; NODES],
    ) -> (Lanes, Lanes) {
        let mut sum = [[Lanes::splat(0.0); 3]; NODES];
        let (mut tide, mut excess) = (Lanes::splat(0.0), Lanes::splat(-1.0));
        for body in ASTEROIDS..BODIES {
            let (nearest, too_fast) =
                self.along(body, path, |node, _, _, _, pull| sum[node] = lanes::add(sum[node], pull));
            excess = excess.max(too_fast);
            tide += (2.0 * GM[body] * self.length * self.length)
                * (Lanes::splat(1.0) / (nearest * nearest.sqrt()));
        }
        for (pull, sum) in pull.iter_mut().zip(sum) {
            *pull = lanes::select(wanted, sum, *pull);
        }
        (excess, tide)
    }

    /// How much the pull of the Sun and of each planet changes over the path's change, times the square of the length.
    fn tides(&self, seen: &Seen) -> [Lanes; ASTEROIDS] {
        std::array::from_fn(|body| {
            let r = seen.nearest[body];
            (2.0 * GM[body] * self.length * self.length) * (Lanes::splat(1.0) / (r * r * r))
        })
    }

    /// Computes again the pulls that the last change of the path alters by more than the tolerance.
    #[inline(never)]
    fn pulls_that_change(
        &self,
        path: &[LaneVector; NODES],
        pulls: &mut [[LaneVector; NODES]],
        tides: &[Lanes; ASTEROIDS],
        last_change: Lanes,
        done: Mask,
    ) {
        for body in 0..ASTEROIDS {
            let alters = Lanes::splat(TOLERANCE).less(tides[body] * last_change);
            let active: Mask = std::array::from_fn(|k| {
                !done[k] && (body == SUN || alters[k]) && self.group.own[k] != Some(body)
            });
            if !active.contains(&true) {
                continue;
            }
            for node in 0..NODES {
                let from = minus(path[node], self.nodes.bodies[body][node]);
                let square = lanes::dot(from, from);
                let mut pull = attraction(Lanes::splat(GM[body]), from, Lanes::splat(1.0) / square.sqrt());
                if body == EARTH {
                    add_oblateness(from, square, &mut pull);
                }
                pulls[body][node] = lanes::select(active, pull, pulls[body][node]);
            }
        }
    }

    /// The velocities at the nodes.
    fn speeds(&self, pull: &[LaneVector; NODES]) -> [LaneVector; NODES] {
        std::array::from_fn(|i| {
            let sum = weighted(&self.rule.once[i], pull);
            std::array::from_fn(|axis| self.group.velocity[axis] + self.length * sum[axis])
        })
    }

    /// The positions at the nodes.
    #[inline(never)]
    fn path(&self, pull: &[LaneVector; NODES]) -> [LaneVector; NODES] {
        std::array::from_fn(|i| {
            let sum = weighted(&self.rule.twice[i], pull);
            let time = self.length * self.rule.nodes[i];
            std::array::from_fn(|axis| {
                self.group.position[axis]
                    + (time * self.group.velocity[axis] + (self.length * self.length) * sum[axis])
            })
        })
    }

    /// Position and velocity at the end.
    fn end(&self, pull: &[LaneVector; NODES]) -> (LaneVector, LaneVector) {
        let [once, twice] =
            [&self.rule.end_once, &self.rule.end_twice].map(|weights| weighted(weights, pull));
        let position = std::array::from_fn(|axis| {
            self.group.position[axis]
                + (self.length * self.group.velocity[axis] + (self.length * self.length) * twice[axis])
        });
        let velocity = std::array::from_fn(|axis| self.group.velocity[axis] + self.length * once[axis]);
        (position, velocity)
    }
}

/// The oblateness of the Earth, for the lanes that are near it.
fn add_oblateness(from: LaneVector, square: Lanes, pull: &mut LaneVector) {
    for k in 0..LANES {
        if square.0[k] < EARTH_OBLATENESS_WITHIN * EARTH_OBLATENESS_WITHIN {
            let extra = earth_oblateness(GM[EARTH], lane(&from, k), POLE);
            for axis in 0..3 {
                pull[axis].0[k] += extra[axis];
            }
        }
    }
}

/// The pole of the Earth for its oblateness: that of J2000, as in the reference. The pole of 2026 would move objects that pass
/// at 0.0005 au by 0.4 mas.
const POLE: Vector = [0.0, 0.0, 1.0];

#[inline(always)]
fn weighted(weights: &[f64; NODES], pull: &[LaneVector; NODES]) -> LaneVector {
    let mut sum = [Lanes::splat(0.0); 3];
    for (&weight, pull) in weights.iter().zip(pull) {
        for axis in 0..3 {
            sum[axis] += weight * pull[axis];
        }
    }
    sum
}
