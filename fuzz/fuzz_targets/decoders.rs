//! Every decoder: any field is a value or an error.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ssp::postgres::copy::{Limits, TupleReader};
use ssp::postgres::decode::decoder;
use ssp::postgres::types::{Codec, Infinity};

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

fn codec(number: u8) -> Codec {
    let codec = match number % 18 {
        0 => Codec::Bool,
        1 => Codec::Int2,
        2 => Codec::Int4,
        3 => Codec::Int8,
        4 => Codec::Oid,
        5 => Codec::Float4,
        6 => Codec::Float8,
        7 => Codec::Numeric,
        8 => Codec::Decimal { precision: 38, scale: number / 18 },
        9 => Codec::Text,
        10 => Codec::Jsonb,
        11 => Codec::UuidText,
        12 => Codec::Uuid,
        13 => Codec::Bytea,
        14 => Codec::Date(Infinity::Error),
        15 => Codec::Timestamp(Infinity::Null),
        16 => Codec::Timestamptz(Infinity::Error),
        _ => Codec::Time,
    };
    if number & 0x80 == 0 { codec } else { Codec::List(Box::new(codec)) }
}

fuzz_target!(|input: (u8, Vec<Option<Vec<u8>>>)| {
    let (number, fields) = input;
    let mut data = SIGNATURE.to_vec();
    for field in &fields {
        data.extend([0, 1]);
        data.extend(field.as_ref().map_or(-1, |field| field.len() as i32).to_be_bytes());
        data.extend(field.iter().flatten());
    }
    let mut tuples = TupleReader::new(1);
    let mut decoder = decoder(&codec(number));
    let mut at = 0;
    while let Ok(slab) = tuples.find(&data[at..], Limits { rows: 100, bytes: 1 << 20 }) {
        if slab.consumed == 0 || decoder.append(tuples.fields(&data[at..], 0, slab.rows)).is_err() {
            return;
        }
        at += slab.consumed;
    }
    let _ = decoder.finish();
});
