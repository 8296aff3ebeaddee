//! The server's messages, one at a time, over any socket.
//!
//! For all but the rows of a COPY, which `copy` takes apart in large blocks. Memory grows with what has arrived, never
//! with the length that a message claims.

use std::io::{self, Read, Write};

use bytes::BytesMut;
use postgres_protocol::message::backend::{Header, Message};

/// What is read from the socket at once.
const READ_SIZE: usize = 16 * 1024;
/// A message is at most so long: a gigabyte, the server's own limit, and some.
pub(super) const LONGEST_MESSAGE: usize = (1 << 30) + 1024;

/// The socket's time limit has passed and nothing has come: the connection may still be good.
#[derive(Debug, thiserror::Error)]
#[error("the server did not answer in time")]
pub(super) struct Silence;

/// Whether an error is a [`Silence`].
pub(super) fn is_silence(error: &io::Error) -> bool {
    matches!(error.get_ref(), Some(cause) if cause.is::<Silence>())
}

/// A socket, and what was read from it but not yet used.
pub(super) struct Messages<S> {
    socket: S,
    received: BytesMut,
}

impl<S: Read + Write> Messages<S> {
    pub(super) fn new(socket: S) -> Self {
        Self { socket, received: BytesMut::new() }
    }

    pub(super) fn socket(&self) -> &S {
        &self.socket
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes)?;
        self.socket.flush()
    }

    pub(super) fn receive(&mut self) -> io::Result<Message> {
        loop {
            if let Some(header) = Header::parse(&self.received)? {
                let length = usize::try_from(header.len()).unwrap_or(usize::MAX);
                if length > LONGEST_MESSAGE {
                    return Err(malformed(format!("invalid message length: {length} bytes")));
                }
                if self.received.len() > length {
                    let message = Message::parse(&mut self.received)?;
                    return message.ok_or_else(|| malformed("a message is incomplete".to_owned()));
                }
            }
            let mut piece = [0; READ_SIZE];
            let count = self.read(&mut piece)?;
            self.received.extend_from_slice(&piece[..count]);
        }
    }

    /// Takes what was read but not yet used: what follows is read with [`Self::read`].
    pub(super) fn take_received(&mut self) -> BytesMut {
        self.received.split()
    }

    /// Gives back what was taken and not used.
    pub(super) fn give_back(&mut self, bytes: &[u8]) {
        self.received.extend_from_slice(bytes);
    }

    /// Reads from the socket; its end is an error.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.socket.read(buffer) {
                Ok(0) => {
                    return Err(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        "the server closed the connection",
                    ));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // What a socket says when its time limit has passed.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Err(io::Error::new(io::ErrorKind::TimedOut, Silence));
                }
                other => return other,
            }
        }
    }
}

/// An error for bytes that break the protocol.
pub(super) fn malformed(problem: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}
