use super::*;
use crate::butler::database::{Dialect, Value};

fn names() -> Vec<Name> {
    let name = |name: &str, kind| Name { spelling: name.into(), column: format!("t.{name}"), kind };
    vec![
        name("instrument", DimensionKind::Text),
        name("visit", DimensionKind::Integer),
        name("day_obs", DimensionKind::Integer),
        name("band", DimensionKind::Text),
    ]
}

fn sql(text: &str) -> Result<(String, Vec<Value>), String> {
    let mut parameters = Vec::new();
    let condition = Condition::parse(text).map_err(|error| error.to_string())?;
    let sql =
        condition.sql(&names(), Dialect::Postgresql, &mut parameters).map_err(|error| error.to_string())?;
    Ok((sql, parameters))
}

#[test]
fn the_example_becomes_sql() {
    let text =
        "instrument = 'LSSTCam' AND visit > 2025071500000 AND day_obs = 20250715 AND band IN ('g','r')";
    let (sql, parameters) = sql(text).unwrap();
    assert_eq!(
        sql,
        "(t.instrument = $1 AND t.visit > $2::bigint AND t.day_obs = $3::bigint AND (t.band = ANY ($4)))"
    );
    assert_eq!(parameters[0], Value::Text("LSSTCam".to_owned()));
    assert_eq!(parameters[1], Value::Integer(2_025_071_500_000));
}

#[test]
fn or_binds_weaker_than_and_and_not_strongest() {
    let (text, _) = sql("visit=1 or not visit=2 and (visit != 3 or visit<>-4)").unwrap();
    assert_eq!(
        text,
        "(t.visit = $1::bigint OR (NOT t.visit = $2::bigint AND (t.visit <> $3::bigint OR t.visit <> $4::bigint)))"
    );
}

#[test]
fn ranges_include_both_ends() {
    let (text, parameters) = sql("day_obs NOT IN (20250701..20250731, 20250815)").unwrap();
    assert_eq!(
        text,
        "NOT ((t.day_obs >= $1::bigint AND t.day_obs <= $2::bigint) OR t.day_obs = ANY ($3::bigint[]))"
    );
    assert_eq!(parameters[1], Value::Integer(20_250_731));
}

#[test]
fn quotes_are_doubled_within_a_text() {
    let (_, parameters) = sql("band = 'it''s' OR band = \"a'b\"").unwrap();
    assert_eq!(parameters, [Value::Text("it's".to_owned()), Value::Text("a'b".to_owned())]);
}

#[test]
fn mistakes_name_their_position() {
    for (text, position, message) in [
        ("", 1, "expected the name of a dimension, found the end"),
        ("visit", 6, "expected a comparison or `IN`, found the end"),
        ("visit = ", 9, "expected a whole number or a quoted text, found the end"),
        ("visit = 1.5", 9, "only whole numbers"),
        ("visit = 12a", 9, "only whole numbers"),
        ("visit = 99999999999999999999", 9, "not a whole number of 64 bits"),
        ("visit = - 1", 9, "not a whole number"),
        ("visit = 1 AND", 14, "expected the name of a dimension, found the end"),
        ("visit = 1 visit = 2", 11, "expected `AND`, `OR` or the end, found `visit`"),
        ("(visit = 1", 11, "expected `)`, found the end"),
        ("visit IN ()", 11, "expected a whole number or a quoted text, found `)`"),
        ("visit IN (1,", 13, "found the end"),
        ("band = 'g", 8, "no closing '"),
        ("band = g", 8, "expected a whole number or a quoted text, found `g`"),
        ("band = 1", 8, "write it in quotes"),
        ("é = 1", 1, "`é` is not part of these data IDs, which have instrument, visit, day_obs, band"),
        ("visit = '1'", 9, "without quotes"),
        ("band < 'g'", 8, "texts are only compared"),
        ("detector = 1", 1, "`detector` is not part of"),
        ("visit = 1; DROP TABLE visit", 10, "`;` has no meaning here"),
    ] {
        let error = sql(text).unwrap_err();
        assert!(error.contains(&format!("at character {position}: ")), "{text}: {error}");
        assert!(error.contains(message), "{text}: {error}");
    }
}

#[test]
fn deep_nesting_is_refused() {
    let text = format!("{}visit = 1{}", "(".repeat(100_000), ")".repeat(100_000));
    assert!(sql(&text).unwrap_err().contains("nested more than"));
    assert!(sql(&format!("{}visit = 1", "NOT ".repeat(100_000))).unwrap_err().contains("nested more than"));
}
