//! The SSSource table: it links each observation of the MPC to its DiaSource and its object.
//!
//! ```text
//! obs_sbn -> obssubid -> association (positions, times, primary) -+
//! dia_sources ---------------------------------------------------+-> rows, by object and time -> predictions -> table
//! identifications, mpc_orbits -> designation -> objects ---------+
//! ```
//!
//! Not a place for the ephemerides (see `science`), nor for the file that is made (see `stages`).

mod associate;
mod association;
mod car;
mod computed;
mod designation;
mod error;
mod figures;
mod input;
mod join;
pub(crate) mod merge;
pub(crate) mod offsets;
pub mod options;
mod output;
pub mod parts;
mod predictions;
mod report;
mod row;
mod slices;
pub(crate) mod table;
mod uncertain;
pub mod wide;

pub use associate::{Association, Inputs, associate};
pub use association::Reason;
pub use car::{Car, Covariance, NonGravity, Term};
pub use designation::{NO_OBJECT, Object, ss_object_id};
pub use error::Error;
pub use figures::Figures;
pub use input::Orbit;
pub use output::SCHEMA;
pub use predictions::Predictions;
pub use row::{Row, Rows};
