//! The report of the rows that were not matched.

use super::case::{Case, MAS_DEG, MS_DAY, obs};
use super::parquet;

/// A row for each reason.
fn case() -> Case {
    let mut case = Case::new();
    case.obs[0].dec += 36.0 * MAS_DEG;
    case.obs[1].mjd_tai += 125.0 * MS_DAY;
    case.obs.push(obs("o4", "LSST-DP2-104", 104, None));
    case.obs.push(obs("o5", " P1 ", 104, Some("2024 AB1")));
    case.obs.push(obs("o6", "105", 105, None));
    let mut placeless = obs("o7", "104", 104, None);
    placeless.ra = None;
    case.obs.push(placeless);
    let mut unknown = obs("o8", "104", 104, None);
    unknown.permid = Some("999");
    case.obs.push(unknown);
    case.options.processing = vec!["DP1".to_owned()];
    case
}

const LINES: [&str; 7] = [
    "o5 |  P1  | no_id | NULL | NULL | NULL | Lr | 21.5 | t1 | 2024 AB1 | NULL",
    "o4 | LSST-DP2-104 | other_processing | 104 | NULL | NULL | Lr | 21.5 | t1 | NULL | NULL",
    "o6 | 105 | no_dia_source | 105 | NULL | NULL | Lr | 21.5 | t1 | NULL | NULL",
    "o7 | 104 | no_position | 104 | NULL | 0.0 | Lr | 21.5 | t1 | NULL | NULL",
    "o1 | LSST-DP1-101 | too_far | 101 | 36.0 | 0.0 | Lr | 21.5 | t1 | 2024 AB1 | NULL",
    "o2 | LSST-DP1-102 | time_differs | 102 | 0.0 | 125.0 | Lr | 21.5 | t1 | 2024 AB1 | NULL",
    "o8 | 104 | unknown_designation | 104 | NULL | NULL | Lr | 21.5 | t1 | NULL | 999",
];

/// Lines with separation and time to the tenth.
fn rounded(lines: &[String]) -> Vec<String> {
    let round = |(k, word): (usize, &str)| match word.parse::<f64>() {
        Ok(value) if k == 4 || k == 5 => format!("{:.1}", (value * 10.0).round() / 10.0 + 0.0),
        _ => word.to_owned(),
    };
    lines
        .iter()
        .map(|line| line.split(" | ").enumerate().map(round).collect::<Vec<_>>().join(" | "))
        .collect()
}

#[test]
fn every_reason_is_listed_with_its_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("report.parquet");
    let mut case = case();
    case.options.report = Some(target.clone());
    case.build();
    assert_eq!(rounded(&parquet::lines(&target)), LINES);
    let bytes = std::fs::read(&target).unwrap();
    // The order of the rows does not change it.
    case.obs.reverse();
    case.threads = 1;
    case.options.memory_bytes = 1;
    case.build();
    assert_eq!(std::fs::read(&target).unwrap(), bytes);
    let columns = parquet::rows(&target)[0].schema();
    assert_eq!(columns.field(4).metadata()["unit"], "mas");
}

#[test]
fn the_report_is_written_though_there_are_too_many() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("report.parquet");
    let mut case = case();
    case.options.report = Some(target.clone());
    case.options.max_unmatched = 0.1;
    assert!(
        case.error().starts_with("5 of 7 observations have no DiaSource that agrees"),
        "{}",
        case.error()
    );
    assert_eq!(rounded(&parquet::lines(&target)), LINES);
}

#[test]
fn a_report_of_no_rows_is_an_empty_table() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("report.parquet");
    let mut case = Case::new();
    case.options.report = Some(target.clone());
    case.build();
    assert_eq!(parquet::lines(&target), Vec::<String>::new());
}

#[test]
fn a_report_that_cannot_be_written_is_an_error() {
    let mut case = Case::new();
    let file = tempfile::NamedTempFile::new().unwrap();
    case.options.report = Some(file.path().join("report.parquet"));
    assert!(case.error().starts_with("cannot write the report of unmatched rows to `"), "{}", case.error());
}
