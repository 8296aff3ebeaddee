//! The server's messages: any bytes, in any pieces, are data or an error, and the buffer grows with what has come.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ssp::postgres::copy::{Frames, Scan};

fuzz_target!(|input: (u8, Vec<u8>)| {
    let (piece, bytes) = input;
    let mut frames = Frames::new(64, &[]);
    let mut sent = 0;
    for mut piece in bytes.chunks(usize::from(piece).max(1)) {
        while !piece.is_empty() {
            let space = frames.space();
            let count = space.len().min(piece.len());
            space[..count].copy_from_slice(&piece[..count]);
            frames.add(count);
            piece = &piece[count..];
            sent += count;
        }
        assert!(frames.space().len() <= 2 * sent + 256);
        match frames.scan() {
            Ok(Scan::More) => {}
            Ok(Scan::Other) | Err(_) => return,
        }
        if frames.is_full() {
            assert!(frames.take(Vec::new()).data().len() <= sent);
        }
    }
});
