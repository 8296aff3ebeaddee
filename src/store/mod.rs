//! Objects in stores (s3, gs, http, https) and local files, by their URLs, behind one small interface that is not asynchronous.
//!
//! The only user of `object_store`, which the cargo feature `stores` brings; without it every store is refused, and files
//! are not. Not a place for what the objects hold.

mod checksums;
#[cfg(feature = "stores")]
mod client;
#[cfg(feature = "stores")]
mod credentials;
mod error;
#[cfg(feature = "stores")]
mod ini;
mod object;
mod ranges;
mod stores;
#[cfg(not(feature = "stores"))]
mod without;
#[cfg(not(feature = "stores"))]
use without as client;
mod url;
mod write;

pub use checksums::Checksums;
pub use error::Error;
pub use object::Object;
pub(crate) use stores::REQUESTS_PER_JOB;
pub use stores::{Meta, Stores};
pub use url::{Scheme, Url, scheme};

/// Whether the program was built with stores.
pub(crate) fn is_built() -> bool {
    cfg!(feature = "stores")
}
