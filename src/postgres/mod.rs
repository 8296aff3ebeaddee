//! Postgres: from the settings of a connection to the rows of a query as Arrow record batches.
//!
//! ```text
//! connect -> connection -> snapshot -> reader: columns, then stream = copy (bytes -> fields) -> decode -> batches
//! ```
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use ssp::environment::Environment;
//! use ssp::postgres::{ConnectParams, SessionOptions, Snapshot, Target};
//!
//! // What libpq would take from the environment: PGSERVICE, PGHOST, a password file...
//! let target = Target::resolve(&ConnectParams::default(), &Environment::of_process())?;
//! let snapshot = Snapshot::open(&target, &SessionOptions::default())?;
//! println!("{:?}", snapshot.generation());
//! # Ok(())
//! # }
//! ```
//!
//! The client is our own, over the messages of `postgres-protocol`: `docs/explanation/postgres-client.md` says why. Not a place
//! for files.

mod batches;
pub(crate) mod cells;
mod columns;
pub mod connect;
mod connection;
pub mod copy;
pub mod decode;
mod error;
mod evidence;
mod inventory;
mod locks;
mod messages;
mod pool;
mod queries;
mod reader;
mod rows;
mod server_error;
mod session;
mod snapshot;
mod split;
pub(crate) mod sql;
mod stream;
pub mod types;

pub use batches::{Batch, Lost};
pub use columns::{Columns, TypeOptions};
pub use connect::{ConnectParams, SslMode, Target};
pub use error::Error;
pub use evidence::Evidence;
pub(crate) use inventory::{Inventory, Relation};
pub use queries::Queries;
pub use reader::Reader;
pub use session::{DEFAULT_LOCK_TIMEOUT, SessionOptions};
pub use snapshot::Snapshot;
pub use stream::{DEFAULT_BLOCK_SIZE, StreamOptions, stream};
pub(crate) use stream::{Piece, stream_pieces};
