//! Where the bodies are at the nodes of a piece of time: computed once, for all objects.

#![expect(clippy::needless_range_loop, reason = "an index is a body in several arrays")]

use std::collections::HashMap;
use std::rc::Rc;

use super::bodies::{self, ASTEROIDS, BODIES, GM, SUN};
use super::forces::Sun;
use super::quadrature::{NODES, RULE};
use crate::vector::{Vector, norm, sub};

/// A piece of time: where it starts and ends \[MJD TDB\]. Backwards, the end is earlier.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Piece {
    pub start: f64,
    pub end: f64,
}

impl Piece {
    pub(super) fn length(self) -> f64 {
        self.end - self.start
    }
}

/// The bodies over a piece.
#[derive(Debug)]
pub(super) struct Nodes {
    /// Each body at the start.
    pub start: [Vector; BODIES],
    /// The Sun's velocity at the start.
    pub start_velocity: Vector,
    /// The Sun at the end.
    pub end: Vector,
    /// Each body at each node.
    pub bodies: [[Vector; NODES]; BODIES],
    /// The Sun at each node.
    pub sun: [Sun; NODES],
}

impl Nodes {
    fn new(piece: Piece) -> Option<Self> {
        let mut nodes = Self {
            start: [[0.0; 3]; BODIES],
            start_velocity: bodies::state(SUN, piece.start)?[1],
            end: bodies::state(SUN, piece.end)?[0],
            bodies: [[[0.0; 3]; NODES]; BODIES],
            sun: [Sun::default(); NODES],
        };
        for body in 0..BODIES {
            nodes.start[body] = bodies::state(body, piece.start)?[0];
            for (k, share) in RULE.nodes.into_iter().enumerate() {
                let [position, velocity, acceleration] =
                    bodies::state(body, piece.start + share * piece.length())?;
                nodes.bodies[body][k] = position;
                if body == SUN {
                    nodes.sun[k] = Sun { velocity, acceleration, potential: 0.0 };
                } else if body < ASTEROIDS {
                    nodes.sun[k].potential += GM[body] / norm(sub(position, nodes.bodies[SUN][k]));
                }
            }
        }
        Some(nodes)
    }
}

/// The pieces seen so far.
#[derive(Default)]
pub(super) struct Cache {
    pieces: HashMap<[u64; 2], Option<Rc<Nodes>>>,
}

impl Cache {
    /// The bodies over a piece; `None` beyond the ephemerides.
    pub(super) fn get(&mut self, piece: Piece) -> Option<Rc<Nodes>> {
        let key = [piece.start.to_bits(), piece.end.to_bits()];
        self.pieces.entry(key).or_insert_with(|| Nodes::new(piece).map(Rc::new)).clone()
    }
}
