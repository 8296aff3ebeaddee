//! The server's messages to the COPY data in them, block by block.

use super::CopyError;
use crate::postgres::messages::LONGEST_MESSAGE;

/// What follows the data that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scan {
    /// More data, when more bytes have been read.
    More,
    /// Something else than data: the end of the COPY, or an error.
    Other,
}

/// A buffer that is read into, in which the data of whole messages is moved together.
///
/// ```text
/// | data of the messages seen so far | (gap) | bytes not looked at, or of a message that is not whole | free |
/// 0                               `data`   `next`                                                 `filled`
/// ```
///
/// It grows with a message that does not fit, as that arrives, and never by what a message claims.
#[derive(Debug)]
pub struct Frames {
    block_size: usize,
    buffer: Vec<u8>,
    data: usize,
    next: usize,
    filled: usize,
}

const HEADER: usize = 5;

impl Frames {
    /// A buffer for blocks of this size, with what was read already.
    pub fn new(block_size: usize, received: &[u8]) -> Self {
        let mut buffer = vec![0; block_size.max(received.len() + HEADER)];
        buffer[..received.len()].copy_from_slice(received);
        Self { block_size, buffer, data: 0, next: 0, filled: received.len() }
    }

    /// Where the next bytes go; never empty.
    pub fn space(&mut self) -> &mut [u8] {
        if self.filled == self.buffer.len() {
            let double = self.buffer.len() * 2;
            self.buffer.resize(double, 0);
        }
        &mut self.buffer[self.filled..]
    }

    /// Says how many bytes were put there.
    pub fn add(&mut self, count: usize) {
        self.filled += count;
    }

    /// Whether the block is as full as it should become.
    pub fn is_full(&self) -> bool {
        self.data > 0 && self.buffer.len() - self.filled < self.buffer.len() / 4
    }

    /// Looks through the bytes that were added.
    ///
    /// # Errors
    /// [`CopyError::MessageLength`].
    pub fn scan(&mut self) -> Result<Scan, CopyError> {
        while let Some(&[tag, a, b, c, d]) = self.buffer[self.next..self.filled].first_chunk::<HEADER>() {
            let claimed = u32::from_be_bytes([a, b, c, d]);
            let length = claimed as usize;
            if !(4..=LONGEST_MESSAGE).contains(&length) {
                return Err(CopyError::MessageLength(claimed));
            }
            // Notices and reports of settings may come between the rows.
            if !matches!(tag, b'd' | b'N' | b'S' | b'A') {
                return Ok(Scan::Other);
            }
            let end = self.next + 1 + length;
            if end > self.filled {
                break;
            }
            if tag == b'd' {
                self.buffer.copy_within(self.next + HEADER..end, self.data);
                self.data += length - 4;
            }
            self.next = end;
        }
        Ok(Scan::More)
    }

    /// Takes the data that was found, in exchange for a buffer to go on with. The rest of the bytes moves there.
    #[must_use]
    pub fn take(&mut self, mut fresh: Vec<u8>) -> Block {
        let rest = self.next..self.filled;
        if fresh.len() < rest.len() + HEADER {
            fresh.resize(self.block_size.max(rest.len() + HEADER), 0);
        }
        fresh[..rest.len()].copy_from_slice(&self.buffer[rest.clone()]);
        let block = Block { buffer: std::mem::replace(&mut self.buffer, fresh), data: self.data };
        (self.data, self.next, self.filled) = (0, 0, rest.len());
        block
    }

    /// The bytes that are no data, once the scan came upon something else.
    pub fn rest(&self) -> &[u8] {
        &self.buffer[self.next..self.filled]
    }
}

/// Data of a COPY, cut anywhere.
#[derive(Debug)]
pub struct Block {
    buffer: Vec<u8>,
    data: usize,
}

impl Block {
    /// The data.
    pub fn data(&self) -> &[u8] {
        &self.buffer[..self.data]
    }

    /// The buffer, to be used again.
    pub fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(tag: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap();
        [&[tag], &length.to_be_bytes()[..], body].concat()
    }

    /// Feeds the bytes in pieces and returns the data and what follows it.
    fn run(bytes: &[u8], piece: usize, block: usize) -> Result<(Vec<u8>, Vec<u8>), CopyError> {
        let mut frames = Frames::new(block, &[]);
        let mut data = Vec::new();
        for piece in bytes.chunks(piece) {
            let mut piece = piece;
            while !piece.is_empty() {
                let space = frames.space();
                let count = space.len().min(piece.len());
                space[..count].copy_from_slice(&piece[..count]);
                frames.add(count);
                piece = &piece[count..];
            }
            let scan = frames.scan()?;
            if frames.is_full() || scan == Scan::Other {
                data.extend_from_slice(frames.take(Vec::new()).data());
            }
        }
        data.extend_from_slice(frames.take(Vec::new()).data());
        Ok((data, frames.rest().to_vec()))
    }

    #[test]
    fn data_is_the_same_however_it_arrives() {
        let long = vec![7; 500];
        let bytes = [
            message(b'd', b"abc"),
            message(b'N', b"notice"),
            message(b'd', b""),
            message(b'd', &long),
            message(b'S', b"setting"),
            message(b'd', b"de"),
            message(b'c', b""),
            message(b'C', b"COPY 3\0"),
        ]
        .concat();
        let expected = [b"abc", &long[..], b"de"].concat();
        let rest = [message(b'c', b""), message(b'C', b"COPY 3\0")].concat();
        for piece in [1, 2, 3, 7, 64, 1000] {
            for block in [16, 64, 4096] {
                assert_eq!(
                    run(&bytes, piece, block).unwrap(),
                    (expected.clone(), rest.clone()),
                    "{piece} {block}"
                );
            }
        }
    }

    #[test]
    fn a_lying_length_is_an_error_or_waits() {
        assert_eq!(run(&[b'd', 0, 0, 0, 3], 5, 16), Err(CopyError::MessageLength(3)));
        assert_eq!(run(&[b'd', 0xff, 0xff, 0xff, 0xff], 5, 16), Err(CopyError::MessageLength(u32::MAX)));
        let mut frames = Frames::new(16, &[b'd', 0x3f, 0xff, 0xff, 0xff]);
        assert_eq!(frames.scan(), Ok(Scan::More));
        assert!(frames.space().len() < 64, "the buffer must not grow by what is claimed");
    }
}
