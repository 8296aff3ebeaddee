//! The data of a COPY: any bytes, cut anywhere, are rows or an error.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ssp::postgres::copy::{Limits, TupleReader};

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

fuzz_target!(|input: (u8, u8, Vec<u8>)| {
    let (columns, rows, bytes) = input;
    let columns = usize::from(columns % 8) + 1;
    // Half of the inputs with the header that all others would fail to find.
    let data = if rows % 2 == 0 { [SIGNATURE, &bytes].concat() } else { bytes };
    let mut tuples = TupleReader::new(columns);
    let mut at = 0;
    while let Ok(slab) = tuples.find(&data[at..], Limits { rows: usize::from(rows) + 1, bytes: 1000 }) {
        for column in 0..columns {
            assert_eq!(tuples.fields(&data[at..], column, slab.rows).iter().count(), slab.rows);
        }
        if slab.consumed == 0 {
            break;
        }
        at += slab.consumed;
    }
    let _ = tuples.finish();
});
