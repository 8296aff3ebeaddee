//! What can go wrong with an object.

use std::io;
use std::path::PathBuf;

use super::Url;
use crate::durable;
use crate::errors::{Class, Classified};

/// Any cause, of any library.
pub(super) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why an object could not be read or written. All name the URL; those of a store also say which credentials were used.
#[expect(missing_docs, reason = "the messages say what the fields are")]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A text that is no URL of a store.
    #[error("cannot use `{url}`: {message}")]
    Url { url: String, message: String },
    /// The program was built without stores.
    #[error(
        "cannot use `{0}`: this program was built without object stores; install a package of ssp, or build it with `--features stores`"
    )]
    NotBuilt(Url),
    /// The settings or credentials of a store cannot be used.
    #[error("cannot open the store of `{url}`: {message}")]
    Settings { url: Url, message: String },
    /// There is no such object.
    #[error("`{0}` does not exist")]
    NotFound(Url),
    /// There is no such bucket.
    #[error("there is no bucket `{}` ({credentials})", url.host())]
    NoBucket { url: Url, credentials: String },
    /// The store does not let us.
    #[error("access to `{url}` was denied ({credentials})")]
    Denied { url: Url, credentials: String, source: Cause },
    /// The store cannot be reached, or fails again and again.
    #[error("cannot reach `{url}` ({credentials})")]
    Unreachable { url: Url, credentials: String, source: Cause },
    /// The store does not answer in time.
    #[error("`{url}` did not answer in {seconds} s ({credentials})")]
    Late { url: Url, credentials: String, seconds: u64 },
    /// The store did something else than it was asked to.
    #[error("`{url}`: {message} ({credentials})")]
    Answer { url: Url, credentials: String, message: String },
    /// A stretch was wanted that the object does not have.
    #[error("cannot read bytes {start} to {end} of `{url}`: it has {size} bytes")]
    PastEnd { url: Url, start: u64, end: u64, size: u64 },
    /// The object is another than it was a moment ago.
    #[error("`{0}` was changed while it was read")]
    Changed(Url),
    /// A file could not be read or written.
    #[error("cannot use `{url}`")]
    File { url: Url, source: io::Error },
    /// A file that is to be put into a store cannot be read, or was changed.
    #[error("cannot read `{}`", path.display())]
    Source { path: PathBuf, source: io::Error },
    /// The target is not one that can be written.
    #[error("`{0}` can only be read: write to s3, gs or a file")]
    ReadOnly(Url),
    /// A file could not be written or removed.
    #[error(transparent)]
    Write(#[from] durable::Error),
    /// The threads that wait for stores could not be started.
    #[error("cannot start the threads that wait for stores")]
    Threads(#[source] io::Error),
    /// The work was stopped.
    #[error("stopped")]
    Stopped,
}

impl Error {
    /// The error of a store that is the cause of another error, if one is.
    pub(crate) fn within<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Self> {
        if let Some(found) = error.downcast_ref::<Self>() {
            return Some(found);
        }
        // What an `io::Error` holds is no cause of it.
        let held = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        match held {
            Some(held) => Self::within(held),
            None => error.source().and_then(Self::within),
        }
    }

    /// Whether there is no such object.
    pub(crate) fn is_not_found(&self) -> bool {
        match self {
            Self::NotFound(_) => true,
            Self::File { source, .. } => source.kind() == io::ErrorKind::NotFound,
            _ => false,
        }
    }
}

impl Classified for Error {
    fn class(&self) -> Class {
        match self {
            Self::Url { .. } | Self::NotBuilt(_) | Self::ReadOnly(_) => Class::Usage,
            Self::Settings { .. } | Self::NoBucket { .. } | Self::Denied { .. } | Self::Answer { .. } => {
                Class::Unreachable { for_now: false }
            }
            Self::Unreachable { .. } | Self::Late { .. } => Class::Unreachable { for_now: true },
            Self::NotFound(_)
            | Self::PastEnd { .. }
            | Self::Changed(_)
            | Self::File { .. }
            | Self::Source { .. }
            | Self::Write(_)
            | Self::Threads(_) => Class::Fault,
            Self::Stopped => Class::Stopped,
        }
    }
}
