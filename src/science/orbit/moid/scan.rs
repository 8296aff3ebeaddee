//! Where the least distance can be: a table along the other orbit, and a bound that drops most of it.
//!
//! The bound: let `f(s)` be the squared distance of the other orbit's point `s` from the ellipse. For a fixed point `p` of
//! the ellipse `|r(s) - p|^2` has a second derivative of at most `M = 2 (|r'|^2 + |r - p| |r''|)`. With `p` the nearest
//! point to the place of the minimum, both ends of a cell are at least `f` there, so over a cell of width `h`, at the share
//! `t`, `f >= (1 - t) f_left + t f_right - M h^2 t (1 - t) / 2`. It needs no smoothness of `f` itself.

use super::nearest::{LANES, nearest};
use super::polish::{Pair, polish, seek};
use super::{Ellipse, Track};
use crate::orbit::conic::{Conic, Half};
use crate::vector::{cross, dot};

/// Groups of nodes along the orbit, shared among its stretches.
const GROUPS: usize = 4;
/// A first bound on the MOID is used with this share added, for rounding.
const SLACK: f64 = 1e-6;

/// A node of the table.
#[derive(Clone, Copy, Debug, Default)]
struct Node {
    s: f64,
    half: Half,
    /// The squared distance from the ellipse, and half its slope.
    square: f64,
    slope: f64,
    /// The nearest point of the ellipse.
    point: [f64; 2],
}

/// `S` and `C` of the first eight multiples of a step.
type Steps = [Half; LANES];

fn multiples(conic: &Conic, width: f64) -> Steps {
    let mut steps = [conic.half(width); LANES];
    for k in 1..LANES {
        steps[k] = conic.add(steps[k - 1], steps[0]);
    }
    steps
}

/// What the scan of one pair keeps.
struct Scan<'a> {
    ellipse: &'a Ellipse,
    track: &'a Track,
    /// The node with the least squared distance, and the width of the cells at it.
    best: Node,
    width: f64,
    /// The least squared distance that is known.
    limit: f64,
    /// Parts of cells in which the distance has a minimum that may be the least, each with its bound.
    valleys: Vec<(f64, Node, Node)>,
}

/// The closest points of the two orbits.
pub(super) fn closest(ellipse: &Ellipse, track: &Track) -> Pair {
    let conic = &track.conic;
    let bound = first_bound(ellipse, track) * (1.0 + SLACK) + SLACK;
    let (nearest_sun, farthest_sun) = (ellipse.a - ellipse.centre(), ellipse.a + ellipse.centre());
    let inner = conic.anomaly_at(nearest_sun - bound);
    let outer = conic.anomaly_at(farthest_sun + bound);
    let mut scan = Scan {
        ellipse,
        track,
        best: Node { square: f64::INFINITY, ..Node::default() },
        width: 0.0,
        limit: bound * bound,
        valleys: Vec::with_capacity(LANES),
    };
    let speed2 = largest_speed2(track, (farthest_sun + bound).min(conic.aphelion()));
    let bend = largest_bend(track, outer);
    if inner > 0.0 {
        scan.search([-outer, -inner], GROUPS / 2, speed2, bend);
        scan.search([inner, outer], GROUPS / 2, speed2, bend);
    } else {
        scan.search([-outer, outer], GROUPS, speed2, bend);
    }
    scan.settle()
}

impl Scan<'_> {
    /// Tabulates a stretch of the orbit, and divides the cells that may hold the minimum.
    fn search(&mut self, [from, to]: [f64; 2], groups: usize, speed2: f64, bend: f64) {
        let conic = &self.track.conic;
        let width = (to - from) / (groups * LANES) as f64;
        let steps = multiples(conic, width);
        let mut table = [Node::default(); GROUPS * LANES + 1];
        // The first node of all is the last of a group that starts one group earlier.
        table[0] = self.tabulate(from - width, conic.half(from - width), width, &steps)[0];
        for group in 0..groups {
            let last = table[group * LANES];
            let nodes = self.tabulate(last.s, last.half, width, &steps);
            table[group * LANES + 1..][..LANES].copy_from_slice(&nodes);
        }
        let table = &table[..=groups * LANES];
        self.take_best(table, width);
        let m = 2.0 * (speed2 + (self.limit.sqrt() + speed2.sqrt() * width) * bend);
        let steps = multiples(conic, width / LANES as f64);
        for pair in table.windows(2) {
            if lower_bound(&pair[0], &pair[1], m * width * width) <= self.limit {
                self.divide(&pair[0], &pair[1], m, &steps);
            }
        }
    }

    fn take_best(&mut self, nodes: &[Node], width: f64) {
        for node in nodes {
            if node.square < self.best.square {
                (self.best, self.width) = (*node, width);
            }
        }
        self.limit = self.limit.min(self.best.square);
    }

    /// Divides a cell, and keeps the parts in which the distance has a minimum that may be the least.
    fn divide(&mut self, left: &Node, right: &Node, m: f64, steps: &Steps) {
        let width = (right.s - left.s) / LANES as f64;
        let mut nodes = [*left; LANES + 1];
        nodes[1..].copy_from_slice(&self.tabulate(left.s, left.half, width, steps));
        nodes[LANES] = *right;
        self.take_best(&nodes, width);
        for pair in nodes.windows(2) {
            let bound = lower_bound(&pair[0], &pair[1], m * width * width);
            if bound <= self.limit && pair[0].slope <= 0.0 && pair[1].slope >= 0.0 {
                self.valleys.push((bound, pair[0], pair[1]));
            }
        }
    }

    /// The eight nodes after `start`, which has the anomaly `s`.
    #[inline]
    fn tabulate(&self, s: f64, start: Half, width: f64, steps: &Steps) -> [Node; LANES] {
        let Self { ellipse, track, .. } = self;
        let conic = &track.conic;
        let zero = [0.0; LANES];
        let (mut x, mut y, mut z) = (zero, zero, zero);
        let (mut dx, mut dy, mut dz) = (zero, zero, zero);
        let mut halves = *steps;
        for k in 0..LANES {
            halves[k] = conic.add(start, steps[k]);
            let (place, tangent) = (conic.place(halves[k]), conic.tangent(halves[k]));
            x[k] = place[0] * track.p[0] + place[1] * track.q[0] + track.sun;
            y[k] = place[0] * track.p[1] + place[1] * track.q[1];
            z[k] = place[0] * track.p[2] + place[1] * track.q[2];
            dx[k] = tangent[0] * track.p[0] + tangent[1] * track.q[0];
            dy[k] = tangent[0] * track.p[1] + tangent[1] * track.q[1];
            dz[k] = tangent[0] * track.p[2] + tangent[1] * track.q[2];
        }
        let point = nearest(ellipse, &x, &y);
        std::array::from_fn(|k| {
            let (gx, gy) = (x[k] - point[0][k], y[k] - point[1][k]);
            Node {
                s: s + (k + 1) as f64 * width,
                half: halves[k],
                square: gx * gx + gy * gy + z[k] * z[k],
                slope: gx * dx[k] + gy * dy[k] + z[k] * dz[k],
                point: [point[0][k], point[1][k]],
            }
        })
    }

    /// Polishes the minima in the valleys, the most promising first; without any, the best node.
    fn settle(mut self) -> Pair {
        self.valleys.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let mut best: Option<Pair> = None;
        for (bound, left, right) in &self.valleys {
            if best.is_some_and(|best| best.distance * best.distance < *bound) {
                break;
            }
            let share = left.slope / (left.slope - right.slope);
            let share = if share.is_finite() { share } else { 0.5 };
            let near = if share < 0.5 { left } else { right };
            let found = self.polish([left.s, right.s], left.s + share * (right.s - left.s), near);
            if best.is_none_or(|best| found.distance < best.distance) {
                best = Some(found);
            }
        }
        // Between orbits that are all but the same the slope is lost in rounding, but the distance itself is not.
        let known = self.limit.sqrt() * (1.0 + SLACK);
        best.filter(|best| best.distance <= known).unwrap_or_else(|| {
            let around = [self.best.s - self.width, self.best.s + self.width];
            let polished = self.polish(around, self.best.s, &self.best);
            let sought = seek(self.ellipse, self.track, around, polished.u);
            [Some(polished), best]
                .into_iter()
                .flatten()
                .fold(sought, |least, other| if other.distance < least.distance { other } else { least })
        })
    }

    fn polish(&self, stretch: [f64; 2], s: f64, near: &Node) -> Pair {
        let [x, y] = near.point;
        polish(self.ellipse, self.track, stretch, s, (y / self.ellipse.b).atan2(x / self.ellipse.a))
    }
}

/// The least that the squared distance can be in a cell with `M h^2 = mh2`.
#[inline]
fn lower_bound(left: &Node, right: &Node, mh2: f64) -> f64 {
    let (rise, sag) = (right.square - left.square, 0.5 * mh2);
    if rise.abs() >= sag {
        left.square.min(right.square)
    } else {
        left.square - (sag - rise) * (sag - rise) / (4.0 * sag)
    }
}

/// A distance between the orbits that is certainly there: on the line in which their planes meet.
fn first_bound(ellipse: &Ellipse, track: &Track) -> f64 {
    let conic = &track.conic;
    // The line is the cross product of the ellipse's normal, (0, 0, 1), and the other's; in one plane any direction will do.
    let normal = cross(track.p, track.q);
    let line = [-normal[1], normal[0]];
    let length = line[0].hypot(line[1]);
    let direction = if length > 0.0 { [line[0] / length, line[1] / length, 0.0] } else { track.p };
    let p = ellipse.elements.q_au * (1.0 + ellipse.elements.e);
    let mut bound = f64::INFINITY;
    for sign in [1.0, -1.0] {
        let on_ellipse = p / (1.0 + ellipse.elements.e * sign * direction[0]);
        let cos_f = sign * dot(direction, track.p);
        let denominator = 1.0 + conic.e * cos_f;
        if denominator > 0.0 {
            bound = bound.min((on_ellipse - conic.root_p * conic.root_p / denominator).abs());
        }
    }
    bound
}

/// The largest `|r'|^2 = 2 r - alpha r^2` up to a distance from the Sun.
fn largest_speed2(track: &Track, radius: f64) -> f64 {
    let alpha = track.conic.alpha;
    let r = if alpha * radius > 1.0 { 1.0 / alpha } else { radius };
    2.0 * r - alpha * r * r
}

/// The largest `|r''|` up to an anomaly: at most 1 on an ellipse, growing outwards on a hyperbola.
fn largest_bend(track: &Track, anomaly: f64) -> f64 {
    let [x, y] = track.conic.bend(track.conic.half(anomaly));
    x.hypot(y).max(1.0)
}
