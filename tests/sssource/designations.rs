//! Section 2 of the specification: designations and ssObjectId.

use ssp::sssource::ss_object_id;

use super::case::{Case, orbit};

#[test]
fn isolated_tracklets_have_no_designation() {
    let mut case = Case::new();
    case.obs[0].status = Some("I");
    (case.obs[1].provid, case.obs[1].permid) = (None, None);
    // A status that is not known is no isolated tracklet.
    case.obs[2].status = None;
    let built = case.build();
    assert_eq!((built.ids(), built.reasons(), built.figures.without_designation), (vec![103], vec![], 2));
    case.options.wide = true;
    let expected = [(103, 2, Some("2023 BA2"), true), (101, 0, None, true), (102, 1, None, true)];
    assert_eq!(case.build().list(), expected);
}

#[test]
fn a_number_stands_for_its_designation_where_there_is_no_other() {
    let mut case = Case::new();
    (case.obs[0].provid, case.obs[0].permid) = (None, Some("7"));
    // Where there are both, the provisional one counts.
    case.obs[1].permid = Some("7");
    let built = case.build();
    let expected = [
        (101, 0, Some("2023 BA2"), true),
        (103, 2, Some("2023 BA2"), true),
        (102, 1, Some("2024 AB1"), true),
    ];
    assert_eq!(built.list(), expected);
    // The primary designation of the number may be secondary now.
    case.numbered = vec![("7", "2020 CC3")];
    case.current.push(("2020 CC3", "2023 BA2"));
    assert_eq!(case.build().list(), expected);
}

#[test]
fn a_number_that_no_table_has_is_unknown() {
    let mut case = Case::wide();
    (case.obs[0].provid, case.obs[0].permid) = (None, Some("999"));
    let built = case.build();
    assert_eq!(built.list()[2], (101, 0, Some("999"), true));
    assert_eq!(built.reasons(), [("unknown_designation", 1)]);
}

#[test]
fn a_secondary_designation_gives_the_primary_one() {
    let mut case = Case::new();
    case.current.push(("2019 ZZ9", "2024 AB1"));
    case.obs[0].provid = Some("2019 ZZ9");
    assert_eq!(case.build().list(), Case::new().build().list());
}

#[test]
fn what_current_identifications_lacks_is_kept_if_there_is_an_orbit() {
    let mut case = Case::new();
    case.current.clear();
    assert_eq!(case.build().list(), Case::new().build().list());
    // Neither: unknown.
    case.orbits.remove(0);
    let built = case.build();
    assert_eq!((built.ids(), built.reasons()), (vec![103], vec![("unknown_designation", 2)]));
    assert_eq!(built.figures.unmatched(), 0, "the detections agree");
    let lookups: Vec<String> = built.figures.lookups(&case.options).iter().map(ToString::to_string).collect();
    assert_eq!(
        lookups[2],
        "1 of 2 designations of the observations is known to current_identifications or mpc_orbits; not found: \
         `2024 AB1`; mpc_orbits has, for example, `2023 BA2`"
    );
    case.options.wide = true;
    let built = case.build();
    let expected = [
        (103, 2, Some("2023 BA2"), true),
        (101, 0, Some("2024 AB1"), true),
        (102, 1, Some("2024 AB1"), true),
    ];
    assert_eq!(built.list(), expected);
    let object = &built.objects[1];
    assert_eq!((object.ss_object_id, object.is_known, object.orbit.is_none()), (None, false, true));
}

#[test]
fn ss_object_id_is_made_of_the_packed_designation_and_sorts() {
    let mut case = Case::new();
    let ids: Vec<_> = case.build().objects.iter().map(|object| object.ss_object_id).collect();
    assert_eq!(ids, [ss_object_id("K23B02A"), ss_object_id("K24A01B")]);
    assert_eq!(ids[0], Some(i64::from_le_bytes(*b" K23B02A")));
    assert!(ids[0] < ids[1]);
    // A known designation without an orbit: NULL, last.
    case.orbits.pop();
    let built = case.build();
    assert_eq!(built.ids(), [101, 102, 103]);
    assert_eq!((built.objects[1].ss_object_id, built.objects[1].is_known), (None, true));
    // Packed forms that start with `_` are as any other.
    case.orbits = vec![orbit("2024 AB1", "K24A01B"), orbit("2023 BA2", "_OB0000")];
    assert_eq!(case.build().objects[0].ss_object_id, Some(i64::from_le_bytes(*b" _OB0000")));
}

#[test]
fn one_detection_of_two_objects_is_one_row_of_the_narrow_table() {
    let mut case = Case::wide();
    let mut again = case.obs[0].clone();
    (again.obsid, again.provid, again.submission) = (Some("o9".to_owned()), Some("2023 BA2"), "2026");
    case.obs.push(again);
    let built = case.build();
    assert_eq!(built.list()[0], (101, 3, Some("2023 BA2"), false));
    case.options.wide = false;
    assert_eq!(case.build().ids(), [103, 101, 102]);
}

/// The seed assigned the result of an inner join by position: one designation that is missing or there twice moved all later
/// rows.
#[test]
fn a_designation_that_is_missing_or_doubled_moves_no_other_row() {
    let plain = Case::wide();
    let find = |case: &Case, id: i64| {
        let built = case.build();
        built.list().into_iter().find(|row| row.0 == id).map(|row| (row.1, row.2.map(str::to_owned)))
    };
    let expected: Vec<_> = [101, 102, 103].map(|id| find(&plain, id)).to_vec();
    // The same pair twice is no mistake.
    let mut doubled = plain.clone();
    doubled.current.push(("2024 AB1", "2024 AB1"));
    assert_eq!([101, 102, 103].map(|id| find(&doubled, id)).to_vec(), expected);
    let mut missing = plain.clone();
    missing.obs[0].provid = Some("2099 XX1");
    assert_eq!(find(&missing, 101), Some((0, Some("2099 XX1".to_owned()))));
    assert_eq!([102, 103].map(|id| find(&missing, id)).to_vec(), expected[1..]);
}

#[test]
fn white_space_and_empty_texts_are_no_designation() {
    let mut case = Case::new();
    (case.obs[0].provid, case.obs[0].permid) = (Some("  "), Some(" 7 "));
    case.obs[1].provid = Some(" 2024 AB1 ");
    let expected = [
        (101, 0, Some("2023 BA2"), true),
        (103, 2, Some("2023 BA2"), true),
        (102, 1, Some("2024 AB1"), true),
    ];
    assert_eq!(case.build().list(), expected);
}

/// The survey's ids were made by its own script.
#[test]
fn ss_object_id_is_that_of_the_survey() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/survey/expected.json");
    let expected: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let objects = expected["objects"].as_array().unwrap();
    assert!(objects.len() > 50);
    for object in objects {
        let id = ss_object_id(object["packed"].as_str().unwrap()).unwrap().to_string();
        assert_eq!(id, object["ss_object_id"].as_str().unwrap(), "{object}");
    }
}
