//! The bytes of `COPY ... TO STDOUT (FORMAT binary)`: messages to data, data to fields. No socket.

mod frames;
mod tuples;

pub use frames::{Block, Frames, Scan};
pub use tuples::{FieldIter, Fields, Limits, Slab, TupleReader};

/// Why the bytes are not what a COPY sends.
#[expect(missing_docs, reason = "the messages say what the fields are")]
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CopyError {
    #[error("invalid message length: {0} bytes")]
    MessageLength(u32),
    /// The data does not begin as it must.
    #[error("the data does not begin with the signature of binary COPY")]
    Signature,
    /// Flags that change the meaning of what follows.
    #[error("the data has unknown critical flags {0:#x}")]
    Flags(u32),
    #[error("a row has {found} fields, but there are {expected} columns")]
    FieldCount { expected: usize, found: i16 },
    #[error("invalid field length: {0} bytes")]
    FieldLength(i32),
    #[error("there is data after the trailer")]
    AfterTrailer,
    #[error("the data ends without its trailer: rows are missing")]
    NoTrailer,
}
