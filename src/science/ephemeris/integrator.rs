//! Many objects through time: each in pieces that suit it, eight at a time where their pieces are the same.
//!
//! Time is cut on an absolute grid: a piece of level `k` starts and ends at multiples of `2^k` days. The level of a piece
//! follows from the object alone, and lanes do not feel each other, so an object has the same path in any company.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::bodies::{self, BODIES, GM, PLUTO, SPAN_MJD_TDB, SUN, State};
use super::collocation::{Group, MOST_TURN, Outcome, follow};
use super::forces::NonGravitational;
use super::lanes::{self, LANES, Lanes, lane};
use super::nodes::{Cache, Piece};
use super::path::{Leg, Path};
use super::quadrature::RULE;
use crate::orbit::elements::AU_KM;
use crate::vector::{Vector, norm, sub};

/// The longest and the shortest piece, as powers of two of a day.
const LONGEST: i32 = 7;
const SHORTEST: i32 = -9;

/// An object at its epoch, and the time for which its path is wanted.
#[derive(Clone, Debug)]
pub struct Task {
    /// MJD, TDB.
    pub epoch_mjd_tdb: f64,
    /// Barycentric, in the ICRF \[au\].
    pub position: Vector,
    /// \[au/d\].
    pub velocity: Vector,
    /// Beside gravity.
    pub force: Option<NonGravitational>,
    /// From when to when the path is wanted \[MJD TDB\].
    pub wanted: [f64; 2],
}

/// The paths of many objects, in their order.
#[must_use]
pub fn integrate(tasks: &[Task]) -> Vec<Path> {
    let mut paths: Vec<Path> = tasks.iter().map(|_| Path::new()).collect();
    for direction in [1.0, -1.0] {
        sweep(tasks, direction, &mut paths);
    }
    for path in &mut paths {
        path.legs.sort_by(|a, b| a.earliest().total_cmp(&b.earliest()));
    }
    paths
}

/// An object on its way.
#[derive(Clone, Copy)]
struct Traveller {
    task: usize,
    position: Vector,
    velocity: Vector,
    disturbance: Vector,
    own: Option<usize>,
    level: i32,
}

/// The order in which pieces are worked on: by time, the longer of those that start together first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    start: Ordered,
    end: Reverse<Ordered>,
}

/// A time, multiplied by the direction, with its order.
#[derive(Clone, Copy)]
struct Ordered(f64);

impl PartialEq for Ordered {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ordered {}

impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ordered {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

struct Sweep<'a> {
    tasks: &'a [Task],
    direction: f64,
    waiting: BTreeMap<Turn, Vec<Traveller>>,
    cache: Cache,
}

/// Follows the tasks in one direction.
fn sweep(tasks: &[Task], direction: f64, paths: &mut [Path]) {
    let waiting = BTreeMap::new();
    let mut sweep = Sweep { tasks, direction, waiting, cache: Cache::default() };
    // Neighbours often have the same epoch.
    let mut known = BodiesAt { epoch_mjd_tdb: f64::NAN, states: Vec::new() };
    for (index, task) in tasks.iter().enumerate() {
        if known.epoch_mjd_tdb != task.epoch_mjd_tdb {
            known = BodiesAt::new(task.epoch_mjd_tdb);
        }
        let own = known.recognise(task);
        if own == Some(PLUTO) {
            paths[index].is_pluto = true;
            continue;
        }
        let Some(sun) = bodies::state(SUN, task.epoch_mjd_tdb) else {
            paths[index].failed = true;
            continue;
        };
        let traveller = Traveller {
            task: index,
            position: task.position,
            velocity: task.velocity,
            disturbance: [0.0; 3],
            own,
            level: LONGEST,
        };
        sweep.send(traveller, task.epoch_mjd_tdb, sun[0]);
    }
    while let Some((turn, travellers)) = sweep.waiting.pop_first() {
        let piece = Piece { start: direction * turn.start.0, end: direction * turn.end.0.0 };
        for group in travellers.chunks(LANES) {
            sweep.follow(piece, group, paths);
        }
    }
}

/// The bodies that an object may itself be, at an epoch: Pluto and the asteroids.
struct BodiesAt {
    epoch_mjd_tdb: f64,
    states: Vec<State>,
}

impl BodiesAt {
    fn new(epoch_mjd_tdb: f64) -> Self {
        let states = (PLUTO..BODIES).map_while(|body| bodies::state(body, epoch_mjd_tdb)).collect();
        Self { epoch_mjd_tdb, states }
    }

    /// The body that an object is.
    fn recognise(&self, task: &Task) -> Option<usize> {
        const NEAR_AU: f64 = 1e-4;
        /// 1 m/s.
        const NEAR_AU_DAY: f64 = 86.4 / AU_KM;
        let found = self.states.iter().position(|&[position, velocity, _]| {
            norm(sub(position, task.position)) < NEAR_AU && norm(sub(velocity, task.velocity)) < NEAR_AU_DAY
        });
        found.map(|index| PLUTO + index)
    }
}

impl Sweep<'_> {
    /// Puts a traveller in line for its next piece, unless it has arrived.
    fn send(&mut self, traveller: Traveller, from: f64, sun: Vector) {
        let [first, last] = self.tasks[traveller.task].wanted;
        let arrived = if self.direction > 0.0 { from >= last } else { from <= first };
        if arrived {
            return;
        }
        let r = norm(sub(traveller.position, sun));
        let longest = MOST_TURN * (r * r * r / (2.0 * GM[SUN])).sqrt();
        let mut level = traveller.level;
        while level > SHORTEST && (step(level) > longest || !fits(from, level)) {
            level -= 1;
        }
        self.enqueue(Traveller { level, ..traveller }, from);
    }

    fn enqueue(&mut self, traveller: Traveller, from: f64) {
        let step = step(traveller.level);
        let end = if self.direction > 0.0 {
            ((from / step).floor() + 1.0) * step
        } else {
            ((from / step).ceil() - 1.0) * step
        };
        let end = end.clamp(SPAN_MJD_TDB[0], SPAN_MJD_TDB[1]);
        let turn =
            Turn { start: Ordered(self.direction * from), end: Reverse(Ordered(self.direction * end)) };
        self.waiting.entry(turn).or_default().push(traveller);
    }

    /// Takes up to eight travellers over a piece.
    fn follow(&mut self, piece: Piece, travellers: &[Traveller], paths: &mut [Path]) {
        let Some(nodes) = self.cache.get(piece).filter(|_| piece.length() != 0.0) else {
            for traveller in travellers {
                paths[traveller.task].failed = true;
            }
            return;
        };
        let group = self.group(travellers);
        let outcome = follow(&nodes, piece.length(), &group);
        for (k, traveller) in travellers.iter().enumerate() {
            let path = &mut paths[traveller.task];
            if !outcome.done[k] {
                if traveller.level > SHORTEST {
                    // The pieces of the next level down that are as long as this one are passed over.
                    let mut level = traveller.level - 1;
                    while level > SHORTEST && step(level) >= piece.length().abs() {
                        level -= 1;
                    }
                    self.enqueue(Traveller { level, ..*traveller }, piece.start);
                } else {
                    path.failed = true;
                }
                continue;
            }
            self.keep(piece, *traveller, k, &group, &outcome, path);
            let arrived = Traveller {
                position: lane(&outcome.position, k),
                velocity: lane(&outcome.velocity, k),
                disturbance: lane(&outcome.disturbance, k),
                level: (traveller.level + 1).min(LONGEST),
                ..*traveller
            };
            self.send(arrived, piece.end, nodes.end);
        }
    }

    /// The travellers as lanes; lanes without one repeat the last.
    fn group(&self, travellers: &[Traveller]) -> Group {
        let of = |k: usize| &travellers[k.min(travellers.len() - 1)];
        let lanes = |field: fn(&Traveller) -> Vector| -> lanes::LaneVector {
            std::array::from_fn(|axis| Lanes(std::array::from_fn(|k| field(of(k))[axis])))
        };
        Group {
            position: lanes(|traveller| traveller.position),
            velocity: lanes(|traveller| traveller.velocity),
            disturbance: lanes(|traveller| traveller.disturbance),
            own: std::array::from_fn(|k| of(k).own),
            forces: std::array::from_fn(|k| self.tasks[of(k).task].force),
        }
    }

    /// Adds a piece to a path, if it is wanted.
    fn keep(
        &self,
        piece: Piece,
        traveller: Traveller,
        k: usize,
        group: &Group,
        outcome: &Outcome,
        path: &mut Path,
    ) {
        path.pieces += 1;
        path.days += piece.length().abs();
        path.nearest_planet = path.nearest_planet.min(outcome.nearest_planet.0[k]);
        if piece.start % step(traveller.level) == 0.0 {
            path.shortest_day = path.shortest_day.min(piece.length().abs());
        }
        let [first, last] = self.tasks[traveller.task].wanted;
        if piece.start.max(piece.end) >= first && piece.start.min(piece.end) <= last {
            let coefficients =
                RULE.path(lane(&group.position, k), lane(&group.velocity, k), piece.length(), |node| {
                    lane(&outcome.pull[node], k)
                });
            path.legs.push(Leg { start: piece.start, length: piece.length(), coefficients });
        }
    }
}

/// The length of a piece \[d\].
fn step(level: i32) -> f64 {
    2.0_f64.powi(level)
}

/// Whether a piece of this level may start at this time: at its multiples, and any off the finest grid.
fn fits(time: f64, level: i32) -> bool {
    time % step(level) == 0.0 || time % step(SHORTEST) != 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest distance of an asteroid of the force model from JPL's own path of it, over some days \[km\].
    fn off_km(body: usize, days: f64) -> f64 {
        let start = 61_000.0;
        let [position, velocity, _] = bodies::state(body, start).unwrap();
        let task = Task {
            epoch_mjd_tdb: start,
            position,
            velocity,
            force: None,
            wanted: [start - days, start + days],
        };
        let path = &integrate(&[task])[0];
        let off = |t: f64| norm(sub(path.state(t).unwrap()[0], bodies::state(body, t).unwrap()[0])) * AU_KM;
        (0..=40).map(|k| off(start + days * (f64::from(k) / 20.0 - 1.0))).fold(0.0, f64::max)
    }

    /// This holds the forces to JPL's integration. The indices are those of 1, 2, 4, 31 and 107 in `GM`.
    #[test]
    fn asteroids_stay_on_jpls_own_paths() {
        for body in [12, 22, 26, 16, 11] {
            let (one_year, two_years) = (off_km(body, 365.25), off_km(body, 730.5));
            assert!(one_year < 0.6 && two_years < 1.8, "{body}: {one_year} km and {two_years} km");
        }
    }

    #[test]
    fn pluto_is_where_the_ephemeris_has_it() {
        let [position, velocity, _] = bodies::state(PLUTO, 61_000.0).unwrap();
        let wanted = [60_900.0, 61_100.0];
        let task = Task { epoch_mjd_tdb: 61_000.0, position, velocity, force: None, wanted };
        let path = &integrate(&[task])[0];
        assert_eq!(path.state(61_050.0).unwrap()[0], bodies::state(PLUTO, 61_050.0).unwrap()[0]);
    }

    #[test]
    fn a_path_that_cannot_be_followed_is_said_to_have_failed() {
        // Straight into the Sun, and from outside the ephemerides.
        let [sun, ..] = bodies::state(SUN, 61_000.0).unwrap();
        let task = |epoch_mjd_tdb| Task {
            epoch_mjd_tdb,
            position: [sun[0] + 0.1, sun[1], sun[2]],
            velocity: [0.0; 3],
            force: None,
            wanted: [61_000.0, 61_100.0],
        };
        for path in integrate(&[task(61_000.0), task(40_000.0)]) {
            assert!(path.failed() && path.state(61_090.0).is_none());
        }
    }
}
