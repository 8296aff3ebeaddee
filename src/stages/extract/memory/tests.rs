//! Memories of extracts: what is remembered, and what is no memory.

use arrow_schema::{DataType, Field};
use proptest::prelude::*;

use super::*;

fn fields(name: &str) -> Fields {
    vec![Field::new(name, DataType::Int64, true).with_metadata([("unit", "deg")])].into()
}

fn memory_of(datasets: &[Vec<i64>], most_ids: usize) -> Result<Vec<u8>, Lost> {
    let mut recorder = Recorder::new("x".to_owned(), most_ids);
    for (index, ids) in datasets.iter().enumerate() {
        let entry = Entry {
            line: format!("line {index}"),
            version: (index % 2 == 1).then(|| format!("v{index}")),
            place: 1,
            bytes: u64::MAX,
            rows: 9,
            group_rows: ids.len() as u64,
            span: Some((i128::from(i64::MIN), i128::from(u64::MAX))),
            ..Entry::default()
        };
        let columns = fields(&format!("c{}", index % 2));
        let pairs = [("all".to_owned(), "a".to_owned()), ("some".to_owned(), (index / 2).to_string())];
        recorder.add(entry, &columns, &pairs, ids.iter().copied());
    }
    let examples = Some(("line 1".to_owned(), vec!["7".to_owned()]));
    recorder.finish(
        &Schema::new(fields("out")),
        vec![("k".to_owned(), "v".to_owned())],
        [i64::MIN, i64::MAX].into_iter(),
        examples,
    )
}

proptest! {
    #[test]
    fn what_is_remembered_is_what_was_there(
        mut datasets in prop::collection::vec(prop::collection::vec(prop_oneof![any::<i64>(), 0i64..300], 0..40), 0..7),
    ) {
        for ids in &mut datasets {
            ids.sort_unstable();
            ids.dedup();
        }
        let bytes = memory_of(&datasets, 1000).unwrap();
        let memory = Memory::read(&bytes, "x").unwrap();
        prop_assert_eq!(memory.entries().len(), datasets.len());
        for (index, (entry, ids)) in memory.entries().iter().zip(&datasets).enumerate() {
            prop_assert_eq!(&memory.ids(entry).collect::<Option<Vec<_>>>(), &Some(ids.clone()));
            prop_assert_eq!(memory.columns(entry), &fields(&format!("c{}", index % 2)));
            prop_assert_eq!(&memory.pairs(entry)[1].1, &(index / 2).to_string());
            prop_assert_eq!((&entry.line, entry.bytes), (&format!("line {index}"), u64::MAX));
            prop_assert_eq!(entry.span, Some((i128::from(i64::MIN), i128::from(u64::MAX))));
        }
        prop_assert_eq!(memory.not_found().collect::<Vec<_>>(), [Some(i64::MIN), Some(i64::MAX)]);
        prop_assert_eq!(memory.schema().fields(), &fields("out"));
        prop_assert_eq!((memory.examples("line 1").unwrap(), memory.examples("line 0")), (&["7".to_owned()][..], None));
    }

    #[test]
    fn any_bytes_are_ids_or_are_not(bytes: Vec<u8>, start in 0usize..9, length in 0usize..99) {
        let found: Vec<_> = Ids::of(&bytes, (start, length)).collect();
        // One that is none is the last.
        prop_assert!(found.iter().rev().skip(1).all(Option::is_some));
        prop_assert!(found.iter().flatten().is_sorted() && found.len() <= length.max(1));
    }
}

#[test]
fn what_is_damaged_or_was_made_for_something_else_is_no_memory() {
    let bytes = memory_of(&[vec![1, 5], vec![]], 9).unwrap();
    assert!(Memory::read(&bytes, "x").is_some() && Memory::read(&bytes, "y").is_none());
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        assert!(Memory::read(&damaged, "x").is_none() && Memory::read(&bytes[..at], "x").is_none(), "{at}");
    }
}

#[test]
fn what_names_other_bytes_than_there_are_is_no_memory() {
    let bytes = memory_of(&[vec![1, 5]], 9).unwrap();
    let start = FORM.len() + Digest::of(b"").to_string().len() + 1;
    let header = String::from_utf8_lossy(&bytes[start + 8..]).into_owned();
    let header = &header[..=header.rfind('}').unwrap()];
    let memory: Header = serde_json::from_str(header).unwrap();
    let blob = bytes[start + 8 + header.len()..].to_vec();
    let write = |change: &dyn Fn(&mut Header)| {
        let mut header: Header = serde_json::from_str(header).unwrap();
        change(&mut header);
        let header = serde_json::to_vec(&header).unwrap();
        let body = [&(header.len() as u64).to_le_bytes()[..], &header, &blob].concat();
        [format!("{FORM}{}\n", Digest::of(&body)).as_bytes(), &body].concat()
    };
    assert!(Memory::read(&write(&|_| ()), "x").is_some() && memory.entries.len() == 1);
    let changes: [&dyn Fn(&mut Header); 7] = [
        &|header| header.entries[0].columns = 1,
        &|header| header.entries[0].pairs = 1,
        &|header| header.pairs[0][0] = 9,
        &|header| header.entries[0].ids.1 = usize::MAX,
        &|header| header.schema.0 = usize::MAX,
        &|header| header.schema.1 = 3,
        &|header| header.not_found.1 -= 1,
    ];
    for (index, change) in changes.iter().enumerate() {
        assert!(Memory::read(&write(change), "x").is_none(), "{index}");
    }
}

#[test]
fn more_ids_than_there_is_room_for_are_not_remembered() {
    // Two ids of the filter are in no dataset.
    assert!(memory_of(&[vec![1, 2], vec![3]], 5).is_ok());
    assert_eq!(memory_of(&[vec![1, 2], vec![3]], 4), Err(Lost::Ids));
    assert_eq!(memory_of(&[vec![1, 2], vec![3]], 1), Err(Lost::Ids));
}
