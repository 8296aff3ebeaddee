//! Bytes that no server should send: never a panic, never memory for what is only claimed.

use proptest::prelude::*;
use ssp::postgres::copy::{Frames, Limits, Scan, TupleReader};
use ssp::postgres::decode::decoder;
use ssp::postgres::types::{Codec, Infinity};

use crate::support::cases::cases;

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

fn codecs() -> Vec<Codec> {
    let simple = vec![
        Codec::Bool,
        Codec::Int2,
        Codec::Int4,
        Codec::Int8,
        Codec::Oid,
        Codec::Float4,
        Codec::Float8,
        Codec::Numeric,
        Codec::Decimal { precision: 38, scale: 10 },
        Codec::Text,
        Codec::Jsonb,
        Codec::UuidText,
        Codec::Uuid,
        Codec::Bytea,
        Codec::Date(Infinity::Error),
        Codec::Timestamp(Infinity::Null),
        Codec::Timestamptz(Infinity::Error),
        Codec::Time,
    ];
    let lists: Vec<Codec> = simple.iter().map(|codec| Codec::List(Box::new(codec.clone()))).collect();
    simple.into_iter().chain(lists).collect()
}

/// The data of a COPY with one column.
fn data(fields: &[Option<Vec<u8>>]) -> Vec<u8> {
    let mut data = SIGNATURE.to_vec();
    for field in fields {
        data.extend([0, 1]);
        let length = field.as_ref().map_or(-1, |field| i32::try_from(field.len()).unwrap());
        data.extend(length.to_be_bytes());
        data.extend(field.iter().flatten());
    }
    data.extend([0xff, 0xff]);
    data
}

/// Decodes all that can be found in the data.
fn decode(data: &[u8], codec: &Codec) {
    let mut tuples = TupleReader::new(1);
    let mut decoder = decoder(codec);
    let mut at = 0;
    while let Ok(slab) = tuples.find(&data[at..], Limits { rows: 100, bytes: 10_000 }) {
        if slab.consumed == 0 || decoder.append(tuples.fields(&data[at..], 0, slab.rows)).is_err() {
            return;
        }
        at += slab.consumed;
    }
    let _ = decoder.finish();
}

/// Fields that look a little like what they should be: random words, small numbers as counts and lengths.
fn field() -> impl Strategy<Value = Option<Vec<u8>>> {
    let word = prop_oneof![
        Just(0_u32),
        Just(1),
        Just(2),
        Just(4),
        Just(8),
        Just(u32::MAX),
        Just(0x7fff_ffff),
        any::<u32>()
    ];
    let words = prop::collection::vec(word, 0..12)
        .prop_map(|words| words.iter().flat_map(|word| word.to_be_bytes()).collect());
    let bytes = prop::collection::vec(any::<u8>(), 0..40);
    prop_oneof![3 => bytes.prop_map(Some), 3 => words.prop_map(Some), 1 => Just(None)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(500, 2_000)))]

    #[test]
    fn any_fields_are_values_or_errors(fields in prop::collection::vec(field(), 0..8)) {
        let data = data(&fields);
        for codec in codecs() {
            decode(&data, &codec);
        }
    }

    #[test]
    fn any_data_is_rows_or_an_error(data in prop::collection::vec(any::<u8>(), 0..200), head: bool, columns in 1_usize..5) {
        let data = if head { [SIGNATURE, &data].concat() } else { data };
        let mut tuples = TupleReader::new(columns);
        let mut at = 0;
        while let Ok(slab) = tuples.find(&data[at..], Limits { rows: 3, bytes: 50 }) {
            for column in 0..columns {
                let found = tuples.fields(&data[at..], column, slab.rows).iter().count();
                prop_assert_eq!(found, slab.rows);
            }
            if slab.consumed == 0 {
                break;
            }
            at += slab.consumed;
            prop_assert!(at <= data.len());
        }
        let _ = tuples.finish();
    }

    #[test]
    fn any_messages_are_data_or_an_error(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..60), 0..20), tag in prop_oneof![Just(b'd'), any::<u8>()]) {
        let mut frames = Frames::new(16, &[]);
        let mut sent = 0;
        for mut piece in pieces {
            // Many of them as messages, some with a length that lies.
            piece[0] = tag;
            let mut piece = piece.as_slice();
            while !piece.is_empty() {
                let space = frames.space();
                let count = space.len().min(piece.len());
                space[..count].copy_from_slice(&piece[..count]);
                frames.add(count);
                sent += count;
                piece = &piece[count..];
                prop_assert!(frames.space().len() <= 2 * sent + 64, "the buffer grew by what was claimed");
            }
            match frames.scan() {
                Ok(Scan::More) => {}
                Ok(Scan::Other) | Err(_) => break,
            }
            if frames.is_full() {
                let block = frames.take(Vec::new());
                prop_assert!(block.data().len() <= sent);
            }
        }
    }
}

#[test]
fn a_claim_of_many_elements_costs_nothing() {
    // One dimension of 2^31 - 1 elements in 20 bytes.
    let mut field = Vec::new();
    for word in [1_u32, 0, 23, 0x7fff_ffff, 1] {
        field.extend(word.to_be_bytes());
    }
    let data = data(&[Some(field)]);
    let mut tuples = TupleReader::new(1);
    let slab = tuples.find(&data, Limits { rows: 10, bytes: 100 }).unwrap();
    let misfit =
        decoder(&Codec::List(Box::new(Codec::Int4))).append(tuples.fields(&data, 0, slab.rows)).unwrap_err();
    assert_eq!((misfit.row, misfit.problem.as_str()), (0, "the array is truncated"));
}
