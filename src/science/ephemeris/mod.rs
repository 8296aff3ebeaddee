//! Where objects are: orbits with all forces that matter, and what an observer sees of them.

pub(crate) mod bodies;
mod collocation;
pub mod covariance;
pub mod ellipse;
pub mod forces;
pub mod integrator;
mod lanes;
mod nodes;
mod nutation;
pub mod observer;
pub mod orbit;
pub mod path;
pub mod place;
mod quadrature;
mod spk;
pub mod time;
mod two_body;
