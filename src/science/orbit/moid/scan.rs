//! Where the least distance can be: a table along the other orbit, and a bound that drops most of it.
//!
//! The bound: let `f(s)` be the squared distance of the other orbit's point `s` from the ellipse. For a fixed point `p` of
//! the ellipse `|r(s) - p|^2` has a second derivative of at most `M = 2 (|r'|^2 + |r - p| |r''|)`. With `p` the nearest
//! point to the place of the minimum, both ends of a cell are at least `f` there, so over a cell of width `h`, at the share
//! `t`, `f >= (1 - t) f_left + t f_right - M h^2 t (1 - t) / 2`. It needs no smoothness of `f` itself.

use super::nearest::{LANES, Lanes, nearest};
use super::polish::{Pair, polish};
use super::{Ellipse, Track};
use crate::science::orbit::conic::Half;
use crate::science::orbit::elements::dot;

/// Nodes of the table along each stretch of the orbit.
const NODES: usize = 64;
/// A first bound on the MOID is used with this share added, for rounding.
const SLACK: f64 = 1e-6;

/// `f` and half its slope at the nodes of a group.
struct Nodes {
    square: Lanes,
    slope: Lanes,
    /// The nearest point of the ellipse.
    point: [Lanes; 2],
}

/// Squared distances at `start` advanced by each of `steps`.
#[inline]
fn tabulate(ellipse: &Ellipse, track: &Track, start: Half, steps: &[Half; LANES]) -> Nodes {
    let conic = &track.conic;
    let zero = [0.0; LANES];
    let (mut x, mut y, mut z) = (zero, zero, zero);
    let (mut dx, mut dy, mut dz) = (zero, zero, zero);
    for k in 0..LANES {
        let half = conic.add(start, steps[k]);
        let (place, tangent) = (conic.place(half), conic.tangent(half));
        x[k] = place[0] * track.p[0] + place[1] * track.q[0] + track.sun;
        y[k] = place[0] * track.p[1] + place[1] * track.q[1];
        z[k] = place[0] * track.p[2] + place[1] * track.q[2];
        dx[k] = tangent[0] * track.p[0] + tangent[1] * track.q[0];
        dy[k] = tangent[0] * track.p[1] + tangent[1] * track.q[1];
        dz[k] = tangent[0] * track.p[2] + tangent[1] * track.q[2];
    }
    let point = nearest(ellipse, &x, &y);
    let (mut square, mut slope) = (zero, zero);
    for k in 0..LANES {
        let (gx, gy) = (x[k] - point[0][k], y[k] - point[1][k]);
        square[k] = gx * gx + gy * gy + z[k] * z[k];
        slope[k] = gx * dx[k] + gy * dy[k] + z[k] * dz[k];
    }
    Nodes { square, slope, point }
}

/// A node of the table.
#[derive(Clone, Copy, Debug)]
struct Node {
    s: f64,
    square: f64,
    slope: f64,
    point: [f64; 2],
}

/// What the scan of one pair keeps.
struct Scan<'a> {
    ellipse: &'a Ellipse,
    track: &'a Track,
    /// The least squared distance of a node.
    best: Node,
    /// The least squared distance that is known.
    limit: f64,
}

/// The closest points of the two orbits.
pub fn closest(ellipse: &Ellipse, track: &Track) -> Pair {
    let conic = &track.conic;
    let bound = first_bound(ellipse, track) * (1.0 + SLACK) + SLACK;
    let (nearest_sun, farthest_sun) = (ellipse.a - ellipse.centre(), ellipse.a + ellipse.centre());
    let outer_radius = (farthest_sun + bound).min(conic.aphelion());
    let inner = conic.anomaly_at(nearest_sun - bound);
    let outer = conic.anomaly_at(farthest_sun + bound);
    let nowhere = Node { s: 0.0, square: f64::INFINITY, slope: 0.0, point: [0.0; 2] };
    let mut scan = Scan { ellipse, track, best: nowhere, limit: bound * bound };
    let mut cells = Vec::with_capacity(16);
    let stretches = if inner > 0.0 { vec![[-outer, -inner], [inner, outer]] } else { vec![[-outer, outer]] };
    let tables: Vec<_> = stretches.iter().map(|&stretch| scan.table(stretch)).collect();
    let bend = largest_bend(track, outer);
    let speed2 = largest_speed2(track, outer_radius);
    for table in &tables {
        let width = table[1].s - table[0].s;
        let m = 2.0 * (speed2 + (scan.limit.sqrt() + speed2.sqrt() * width) * bend);
        for pair in table.windows(2) {
            if lower_bound(&pair[0], &pair[1], m * width * width) <= scan.limit {
                scan.divide(&pair[0], &pair[1], m, &mut cells);
            }
        }
    }
    scan.settle(cells)
}

impl Scan<'_> {
    /// Tabulates a stretch of the orbit.
    fn table(&mut self, [from, to]: [f64; 2]) -> Vec<Node> {
        let conic = &self.track.conic;
        let width = (to - from) / (NODES - 1) as f64;
        let steps = std::array::from_fn(|k| conic.half(k as f64 * width));
        let mut nodes = Vec::with_capacity(NODES);
        for group in 0..NODES / LANES {
            let start = from + (group * LANES) as f64 * width;
            let table = tabulate(self.ellipse, self.track, conic.half(start), &steps);
            self.take(start, width, &table, LANES, &mut nodes);
        }
        nodes
    }

    fn take(&mut self, start: f64, width: f64, table: &Nodes, count: usize, nodes: &mut Vec<Node>) {
        for k in 0..count {
            let node = Node {
                s: start + k as f64 * width,
                square: table.square[k],
                slope: table.slope[k],
                point: [table.point[0][k], table.point[1][k]],
            };
            if node.square < self.best.square {
                self.best = node;
                self.limit = self.limit.min(node.square);
            }
            nodes.push(node);
        }
    }

    /// Divides a cell, and keeps the parts in which the distance has a minimum that may be the least.
    fn divide(&mut self, left: &Node, right: &Node, m: f64, cells: &mut Vec<(f64, Node, Node)>) {
        let conic = &self.track.conic;
        let width = (right.s - left.s) / LANES as f64;
        let steps = std::array::from_fn(|k| conic.half((k + 1) as f64 * width));
        let table = tabulate(self.ellipse, self.track, conic.half(left.s), &steps);
        let mut nodes = Vec::with_capacity(LANES + 1);
        nodes.push(*left);
        self.take(left.s + width, width, &table, LANES - 1, &mut nodes);
        nodes.push(*right);
        for pair in nodes.windows(2) {
            let bound = lower_bound(&pair[0], &pair[1], m * width * width);
            if bound <= self.limit && pair[0].slope <= 0.0 && pair[1].slope >= 0.0 {
                cells.push((bound, pair[0], pair[1]));
            }
        }
    }

    /// Polishes the minima in the cells, the most promising first, and the best node.
    fn settle(&self, mut cells: Vec<(f64, Node, Node)>) -> Pair {
        cells.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let guess = |node: &Node| {
            let [x, y] = node.point;
            (y / self.ellipse.b).atan2(x / self.ellipse.a)
        };
        let mut best: Option<Pair> = None;
        for (bound, left, right) in &cells {
            if best.is_some_and(|best| best.distance * best.distance < *bound) {
                break;
            }
            let share = left.slope / (left.slope - right.slope);
            let share = if share.is_finite() { share } else { 0.5 };
            let near = if share < 0.5 { left } else { right };
            let s = left.s + share * (right.s - left.s);
            let found = polish(self.ellipse, self.track, guess(near), s);
            if best.is_none_or(|best| found.distance < best.distance) {
                best = Some(found);
            }
        }
        match best {
            Some(best) if best.distance * best.distance <= self.best.square * (1.0 + SLACK) => best,
            _ => {
                let found = polish(self.ellipse, self.track, guess(&self.best), self.best.s);
                best.filter(|best| best.distance < found.distance).unwrap_or(found)
            }
        }
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
    // In the ellipse's frame its normal is (0, 0, 1), so the line has no third component.
    let line = [
        track.p[1] * track.q[2] - track.p[2] * track.q[1],
        track.p[2] * track.q[0] - track.p[0] * track.q[2],
    ];
    // The cross product of the normals; in the plane itself any direction will do.
    let line = [-line[1], line[0]];
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
