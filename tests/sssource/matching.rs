//! Section 2 of the specification, rules 1 to 5: observations and detections.

use super::case::{Case, MAS_DEG, MS_DAY, dia, obs};

#[test]
fn observations_that_agree_are_sorted_by_object_and_time() {
    let built = Case::new().build();
    let expected = [
        (103, 2, Some("2023 BA2"), true),
        (101, 0, Some("2024 AB1"), true),
        (102, 1, Some("2024 AB1"), true),
    ];
    assert_eq!(built.list(), expected);
    let row = built.rows[1];
    let of = dia(101);
    assert_eq!((row.mjd_tai, row.ra_deg, row.dec_deg, row.dia_row), (of.mjd_tai.unwrap(), of.ra, of.dec, 0));
    assert!(row.mjd_tai_visit.is_nan());
    assert_eq!((built.figures.observations, built.figures.matched, built.figures.unmatched()), (3, 3, 0));
    let rows: Vec<u64> = built.objects.iter().map(|object| object.rows).collect();
    assert_eq!(rows, [1, 2]);
}

// Rule 1.

#[test]
fn other_stations_are_left_out() {
    let mut case = Case::new();
    case.obs[0].stn = "W84";
    let built = case.build();
    assert_eq!((built.ids(), built.figures.read, built.figures.observations), (vec![103, 102], 3, 2));
    case.options.station = "W84".to_owned();
    assert_eq!(case.build().ids(), [101]);
}

#[test]
fn an_obssubid_is_read_in_all_its_forms() {
    for (obssubid, is_id) in [
        ("102", true),
        (" 102\n", true),
        ("LSST-DP1-102", true),
        ("LSST-AP-2025-07-102", true),
        ("\tLSST-DP1-102 ", true),
        ("LSST-DP1-102-A", true),
        ("LSST-DP1-102-B", true),
        ("LSST-DP1-102-C", false),
        ("102-A", false),
        ("P22102", false),
        ("9223372036854775808", false),
        ("LSST-102", false),
        ("", false),
    ] {
        let mut case = Case::new();
        case.obs[1].obssubid = Some(obssubid.to_owned());
        let built = case.build();
        assert_eq!(built.ids().contains(&102), is_id, "{obssubid}");
        assert_eq!(built.reasons(), if is_id { vec![] } else { vec![("no_id", 1)] }, "{obssubid}");
    }
    let mut case = Case::new();
    case.obs[1].obssubid = None;
    assert_eq!(case.build().reasons(), [("no_id", 1)]);
}

#[test]
fn a_processing_keeps_its_label_and_bare_ids() {
    let mut case = Case::new();
    case.obs[1].obssubid = Some("LSST-DP2-102".to_owned());
    assert_eq!(case.build().ids(), [103, 101, 102]);
    case.options.processing = vec!["DP1".to_owned()];
    let built = case.build();
    assert_eq!((built.ids(), built.reasons()), (vec![103, 101], vec![("other_processing", 1)]));
    assert_eq!((built.figures.unmatched(), built.figures.sought()), (0, 2));
    case.options.processing.push("DP2".to_owned());
    assert_eq!(case.build().ids(), [103, 101, 102]);
    case.options.processing = vec!["DP".to_owned()];
    let built = case.build();
    assert_eq!(built.ids(), [103]);
    assert_eq!(
        built.figures.lookups(&case.options)[1].to_string(),
        "1 of 3 observations of station X05 is of processing DP or of a bare id; column `obssubid` has, for example, \
         `DP1`, `DP2`"
    );
}

// Rule 2.

#[test]
fn an_id_that_dia_sources_lacks_is_no_match() {
    let mut case = Case::new();
    case.dia.remove(1);
    let built = case.build();
    assert_eq!((built.ids(), built.reasons()), (vec![103, 101], vec![("no_dia_source", 1)]));
}

#[test]
fn ids_are_compared_as_integers() {
    // Both are 9007199254740992 as f64.
    let (one, other) = (9_007_199_254_740_992, 9_007_199_254_740_993);
    let mut case = Case::new();
    for (k, id) in [one, other].into_iter().enumerate() {
        case.dia[k].id = id;
        case.obs[k].obssubid = Some(id.to_string());
    }
    assert_eq!(case.build().ids(), [103, one, other]);
}

#[test]
fn a_column_obsid_is_used_in_place_of_the_ids() {
    let mut case = Case::new();
    for (k, obsid) in ["o1", "o2", "o3"].into_iter().enumerate() {
        case.dia[k].obsid = Some(obsid);
        case.obs[k].obssubid = Some("of no meaning".to_owned());
    }
    assert_eq!(case.build().ids(), [103, 101, 102]);
    // Whatever obssubid says, and positions and times still count.
    case.obs[0].obssubid = Some("LSST-DP1-102".to_owned());
    case.obs[1].dec += 1.0;
    let built = case.build();
    assert_eq!((built.ids(), built.reasons()), (vec![103, 101], vec![("too_far", 1)]));
}

// Rule 3.

#[test]
fn positions_may_differ_by_5_mas() {
    for (mas, matches) in [(4.99, true), (5.0, true), (5.01, false)] {
        for axis in [0, 1] {
            let mut case = Case::new();
            // A difference of right ascension is smaller on the sky.
            let observed = &mut case.obs[0];
            let cos_dec = observed.dec.to_radians().cos();
            match axis {
                0 => *observed.ra.as_mut().unwrap() += mas * MAS_DEG / cos_dec,
                _ => observed.dec -= mas * MAS_DEG,
            }
            let built = case.build();
            assert_eq!(built.ids().contains(&101), matches, "{mas} {axis}");
            assert_eq!(built.reasons(), if matches { vec![] } else { vec![("too_far", 1)] });
        }
    }
    let mut case = Case::new();
    case.obs[0].dec += 7.0 * MAS_DEG;
    case.options.max_sep_mas = 8.0;
    assert!(case.build().ids().contains(&101));
}

#[test]
fn right_ascension_is_wrapped() {
    let mut case = Case::new();
    case.dia[0].ra = 359.999_999_9;
    case.obs[0].ra = Some(0.000_000_1);
    assert!(case.build().ids().contains(&101));
    case.obs[0].ra = Some(0.000_01);
    assert_eq!(case.build().reasons(), [("too_far", 1)]);
}

#[test]
fn times_may_differ_by_10_ms() {
    for (ms, matches) in
        [(9.9, true), (-9.9, true), (10.0, true), (10.1, false), (-10.1, false), (400.0, false)]
    {
        let mut case = Case::new();
        case.obs[0].mjd_tai += ms * MS_DAY;
        let built = case.build();
        assert_eq!(built.ids().contains(&101), matches, "{ms}");
        assert_eq!(built.reasons(), if matches { vec![] } else { vec![("time_differs", 1)] });
    }
    let mut case = Case::new();
    case.obs[0].mjd_tai += 500.0 * MS_DAY;
    case.options.max_dt_ms = 510.0;
    assert!(case.build().ids().contains(&101));
}

#[test]
fn the_nearer_of_centroid_and_trail_counts() {
    let mut case = Case::new();
    case.obs[0].dec += 900.0 * MAS_DEG;
    case.dia[0].trail = Some((case.dia[0].ra, case.dia[0].dec + 898.0 * MAS_DEG));
    let built = case.build();
    // The row has the place of the detection all the same.
    assert_eq!((built.ids(), built.rows[1].dec_deg), (vec![103, 101, 102], dia(101).dec));
    case.dia[0].trail = Some((case.dia[0].ra, case.dia[0].dec + 1.0));
    assert_eq!(case.build().reasons(), [("too_far", 1)]);
    case.obs[0].dec = dia(101).dec;
    assert!(case.build().ids().contains(&101), "the centroid is nearer");
}

#[test]
fn the_time_of_the_visit_may_match_too() {
    let mut case = Case::new();
    case.obs[0].mjd_tai += 240.0 * MS_DAY;
    let visit = case.obs[0].mjd_tai;
    case.dia[0].visit = Some(visit);
    let built = case.build();
    let row = built.rows[1];
    assert_eq!((row.dia_source_id, row.mjd_tai, row.mjd_tai_visit), (101, dia(101).mjd_tai.unwrap(), visit));
    assert!(built.rows[2].mjd_tai_visit.is_nan());
    case.obs[0].mjd_tai = dia(101).mjd_tai.unwrap();
    assert!(case.build().ids().contains(&101), "the other time still matches");
    case.obs[0].mjd_tai += 120.0 * MS_DAY;
    assert_eq!(case.build().reasons(), [("time_differs", 1)]);
}

#[test]
fn what_has_no_position_or_time_does_not_match() {
    let change: [fn(&mut Case); 3] =
        [|case| case.obs[0].ra = None, |case| case.dia[0].ra = f64::NAN, |case| case.dia[0].mjd_tai = None];
    for change in change {
        let mut case = Case::new();
        change(&mut case);
        let built = case.build();
        assert_eq!((built.ids(), built.reasons()), (vec![103, 102], vec![("no_position", 1)]));
    }
}

/// The two ends of a trail, 40 s of time and of right ascension apart, about detection 101.
fn trail() -> Case {
    let mut case = Case::wide();
    let (mut a, mut b) = (
        obs("oA", "LSST-DP1-101-A", 101, Some("2024 AB1")),
        obs("oB", "LSST-DP1-101-B", 101, Some("2024 AB1")),
    );
    for (end, sign) in [(&mut a, -1.0), (&mut b, 1.0)] {
        *end.ra.as_mut().unwrap() += sign * 0.002;
        end.dec += sign * 0.001;
        end.mjd_tai += sign * 15_000.0 * MS_DAY;
    }
    case.obs.splice(0..1, [b, a]);
    case
}

#[test]
fn the_ends_of_a_trail_are_one_observation_in_the_middle() {
    let mut case = trail();
    let built = case.build();
    let expected = [(101, 1, Some("2024 AB1"), true), (101, 0, Some("2024 AB1"), false)];
    assert_eq!(built.list()[1..3], expected, "the -A row is primary");
    case.options.wide = false;
    let built = case.build();
    assert_eq!(built.list()[1..], [expected[0], (102, 2, Some("2024 AB1"), true)]);
    // Across right ascension 0.
    case.dia[0].ra = 0.0;
    (case.obs[0].ra, case.obs[1].ra) = (Some(0.002), Some(359.998));
    assert_eq!(case.build().ids(), [103, 101, 102]);
    // The middle must agree.
    case.obs[0].dec += 12.0 * MAS_DEG;
    assert_eq!(case.build().reasons(), [("too_far", 2)]);
}

#[test]
fn ends_that_are_no_pair_are_looked_at_alone() {
    let mut case = trail();
    case.obs.remove(0);
    assert_eq!(case.build().reasons(), [("too_far", 1)]);
    // Two of one end.
    let mut case = trail();
    let mut again = case.obs[1].clone();
    again.obsid = Some("oA2".to_owned());
    case.obs.push(again);
    assert_eq!(case.build().reasons(), [("too_far", 3)]);
    // Ends of different processings.
    let mut case = trail();
    case.obs[0].obssubid = Some("LSST-DP2-101-B".to_owned());
    assert_eq!(case.build().reasons(), [("too_far", 2)]);
    // An end that is at the detection by itself.
    let mut case = Case::new();
    case.obs[0].obssubid = Some("LSST-DP1-101-B".to_owned());
    assert_eq!(case.build().ids(), [103, 101, 102]);
}

// Rule 4: errors.rs and report.rs.

// Rule 5.

#[test]
fn one_row_of_a_detection_is_primary() {
    let mut case = Case::wide();
    let mut again = obs("o0", "101", 101, Some("2024 AB1"));
    again.submission = "2025-08-01T00:00:00.000_0000Abcd";
    case.obs.push(again);
    let built = case.build();
    let rows = &built.list()[1..3];
    // In the order of their obsids; the earlier submission is primary.
    assert_eq!(rows, [(101, 3, Some("2024 AB1"), false), (101, 0, Some("2024 AB1"), true)]);
    // Of one submission the lower obsid is primary.
    case.obs[3].submission = case.obs[0].submission;
    assert!(case.build().list()[1].3 && !case.build().list()[2].3);
    // The -A row comes before an earlier submission.
    case.obs[0].obssubid = Some("LSST-DP1-101-A".to_owned());
    case.obs[0].submission = "2026";
    assert!(!case.build().list()[1].3 && case.build().list()[2].3);
    // A row that does not match cannot be primary.
    case.obs[0].dec += 1.0;
    assert_eq!(case.build().list()[1], (101, 3, Some("2024 AB1"), true));
    // Narrow: a detection is there once.
    let mut case = case.clone();
    case.obs[0].dec -= 1.0;
    case.options.wide = false;
    assert_eq!(case.build().ids(), [103, 101, 102]);
}
