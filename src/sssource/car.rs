//! The block `CAR` of the MPC's orbit documents: non-gravitational terms and covariance.
//!
//! The block is found by its key alone: a whole document has 6 kB, and there are 1.5 million of them. Odd documents are counted,
//! they never stop the run.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

pub use crate::science::ephemeris::covariance::Term;

/// What moves an object beside gravity.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum NonGravity {
    /// Gravity alone.
    #[default]
    None,
    /// Radial, transverse and normal A1, A2, A3 of a comet \[au/d^2\], with Marsden's g(r).
    Comet([f64; 3]),
    /// Transverse A2 \[au/d^2\], with g = r^-2.
    Yarkovsky(f64),
    /// Terms that this program does not know, such as DT: gravity alone, and counted.
    Unknown,
}

/// The covariance of the state and of the terms; heliocentric ecliptic, au and au/d at the epoch. As it is in the block: whether
/// it is usable is for [`crate::science::ephemeris::covariance::Covariance::new`] to say.
#[derive(Clone, Debug, PartialEq)]
pub struct Covariance {
    /// The fitted terms after x, y, z, vx, vy, vz.
    pub terms: Box<[Term]>,
    /// The upper triangle, row by row; NaN for what is missing.
    upper: Box<[f64]>,
}

/// What the block says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Car {
    /// What moves the object beside gravity.
    pub non_gravity: NonGravity,
    /// The covariance, if it was asked for and the block has one.
    pub covariance: Option<Covariance>,
}

/// Units of the Yarkovsky coefficient \[au/d^2\].
const YARKOVSKY_UNIT: f64 = 1e-10;
/// Coefficients of the state, which come first.
const STATE: [&str; 6] = ["x", "y", "z", "vx", "vy", "vz"];
/// The most that two digits of a key can tell apart.
const MOST: usize = 10;

impl Covariance {
    /// How many coefficients it is of: 6 and the terms.
    #[must_use]
    pub fn size(&self) -> usize {
        STATE.len() + self.terms.len()
    }

    /// The entry of two coefficients, each less than [`Covariance::size`], in any order.
    #[must_use]
    pub fn get(&self, i: usize, j: usize) -> f64 {
        let (i, j) = (i.min(j), i.max(j));
        let before = i * self.size() - i * i.saturating_sub(1) / 2;
        self.upper[before + j - i]
    }
}

/// The block, with the values that may be of any form.
#[derive(Deserialize)]
struct Block<C> {
    #[serde(default)]
    coefficient_names: Value,
    #[serde(default)]
    coefficient_values: Value,
    covariance: Option<C>,
}

/// Reads the block alone, or of a document that has it; `None` if there is none or it cannot be read.
pub(crate) fn parse(json: &str, is_block: bool, with_covariance: bool) -> Option<Car> {
    let block = if is_block { json } else { find(json)? };
    if with_covariance {
        let block: Block<Value> = first_value(block)?;
        let names = names(&block.coefficient_names)?;
        let covariance = block.covariance.as_ref().and_then(|values| covariance(&names, values));
        Some(Car { non_gravity: non_gravity(&names, &block.coefficient_values), covariance })
    } else {
        let block: Block<IgnoredAny> = first_value(block)?;
        let names = names(&block.coefficient_names)?;
        Some(Car { non_gravity: non_gravity(&names, &block.coefficient_values), covariance: None })
    }
}

/// The text from the value of the key `CAR` on.
fn find(json: &str) -> Option<&str> {
    let mut rest = json;
    loop {
        (_, rest) = rest.split_once("\"CAR\"")?;
        let value = rest.trim_ascii_start().strip_prefix(':').map(str::trim_ascii_start);
        if let Some(value) = value.filter(|value| value.starts_with('{')) {
            return Some(value);
        }
    }
}

/// The JSON value at the start of a text; the rest is ignored.
fn first_value<'de, T: Deserialize<'de>>(text: &'de str) -> Option<T> {
    serde_json::Deserializer::from_str(text).into_iter().next()?.ok()
}

/// The names of the coefficients; those of the state must come first.
fn names(value: &Value) -> Option<Vec<&str>> {
    let names: Vec<&str> = value.as_array()?.iter().map(Value::as_str).collect::<Option<_>>()?;
    let is_state = names.iter().zip(STATE).filter(|(name, state)| *name == state).count() == STATE.len();
    (is_state && names.len() <= MOST).then_some(names)
}

/// A number, as one or as a text.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn term(name: &str) -> Term {
    match name {
        "A1" => Term::A1,
        "A2" => Term::A2,
        "A3" => Term::A3,
        // The MPC writes both.
        "yarkovski" | "yarkovsky" => Term::Yarkovsky,
        _ => Term::Other,
    }
}

fn non_gravity(names: &[&str], values: &Value) -> NonGravity {
    let extra = &names[STATE.len()..];
    let value = |k: usize| values.get(STATE.len() + k).and_then(number).filter(|value| value.is_finite());
    let mut comet = [0.0; 3];
    let (mut is_comet, mut yarkovsky) = (false, None);
    for (k, name) in extra.iter().enumerate() {
        let Some(value) = value(k) else { return NonGravity::Unknown };
        let place = match term(name) {
            Term::A1 => 0,
            Term::A2 => 1,
            Term::A3 => 2,
            Term::Yarkovsky => {
                yarkovsky = Some(value * YARKOVSKY_UNIT);
                continue;
            }
            Term::Other => return NonGravity::Unknown,
        };
        comet[place] = value;
        is_comet = true;
    }
    match (is_comet, yarkovsky) {
        (false, None) => NonGravity::None,
        (true, None) => NonGravity::Comet(comet),
        (false, Some(a2_au_d2)) => NonGravity::Yarkovsky(a2_au_d2),
        (true, Some(_)) => NonGravity::Unknown,
    }
}

fn covariance(names: &[&str], values: &Value) -> Option<Covariance> {
    let values = values.as_object()?;
    let size = names.len();
    let entry = |i: usize, j: usize| values.get(&format!("cov{i}{j}")).and_then(number).unwrap_or(f64::NAN);
    let upper = (0..size).flat_map(|i| (i..size).map(move |j| (i, j))).map(|(i, j)| entry(i, j)).collect();
    Some(Covariance { terms: names[STATE.len()..].iter().map(|name| term(name)).collect(), upper })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(extra: &[(&str, &str)]) -> String {
        let names: Vec<String> = extra.iter().map(|(name, _)| format!(r#", "{name}""#)).collect();
        let values: Vec<String> = extra.iter().map(|(_, value)| format!(", {value}")).collect();
        let (names, values) = (names.concat(), values.concat());
        format!(
            r#"{{"coefficient_names": ["x","y","z","vx","vy","vz"{names}],
                "coefficient_values": ["1.0", 2, 3.5, "0.1", 1e-3, 0{values}],
                "covariance": {{"cov00": 1.5, "cov01": "2.5", "cov05": -3, "cov11": null, "cov55": 7, "cov66": 8, "cov99": null}}}}"#
        )
    }

    fn terms(extra: &[(&str, &str)]) -> NonGravity {
        parse(&block(extra), true, false).unwrap().non_gravity
    }

    #[test]
    fn terms_are_read_by_their_names() {
        assert_eq!(terms(&[]), NonGravity::None);
        assert_eq!(terms(&[("A1", "1e-9"), ("A2", "\"-2e-10\"")]), NonGravity::Comet([1e-9, -2e-10, 0.0]));
        assert_eq!(
            terms(&[("A3", "3"), ("A2", "2"), ("A1", "1")]),
            NonGravity::Comet([1.0, 2.0, 3.0]),
            "by name, not by place"
        );
        for name in ["yarkovski", "yarkovsky"] {
            assert_eq!(terms(&[(name, "-4.0")]), NonGravity::Yarkovsky(-4.0e-10));
        }
        for extra in [
            &[("A1", "1"), ("DT", "20")][..],
            &[("A1", "1"), ("yarkovsky", "1")],
            &[("A1", "null")],
            &[("A1", "\"nan\"")],
            &[("srp", "1")],
        ] {
            assert_eq!(terms(extra), NonGravity::Unknown, "{extra:?}");
        }
    }

    #[test]
    fn the_covariance_is_read_by_its_keys() {
        let text = block(&[("A2", "1e-9")]);
        let covariance = parse(&text, true, true).unwrap().covariance.unwrap();
        assert_eq!((covariance.size(), &covariance.terms[..]), (7, &[Term::A2][..]));
        let entries = [(0, 0, 1.5), (0, 1, 2.5), (1, 0, 2.5), (0, 5, -3.0), (5, 5, 7.0), (6, 6, 8.0)];
        for (i, j, value) in entries {
            assert_eq!(covariance.get(i, j), value, "{i} {j}");
        }
        assert!(covariance.get(1, 1).is_nan() && covariance.get(5, 6).is_nan());
        assert_eq!(covariance.upper.len(), 28);
        assert_eq!(parse(&text, true, false).unwrap().covariance, None);
    }

    #[test]
    fn the_block_is_found_in_a_document() {
        let block = block(&[("A2", "5")]);
        for document in [
            format!(r#"{{"COM": {{"a": 1}}, "CAR": {block}, "b": 2}}"#),
            format!(r#"{{"names": ["CAR"], "text": "\"CAR\": {{", "CAR" : {block}"#),
            format!("{{\"CAR\":\n\t{block}}}"),
        ] {
            let car = parse(&document, false, true).unwrap();
            assert_eq!(car.non_gravity, NonGravity::Comet([0.0, 5.0, 0.0]), "{document}");
        }
    }

    #[test]
    fn odd_documents_are_no_block_and_no_panic() {
        for text in [
            "",
            "null",
            "{}",
            "[1, 2]",
            "\"CAR\"",
            "\"CAR\":",
            "\"CAR\": 7",
            "\"CAR\": {",
            "{\"CAR\": {}}",
            "{\"CAR\": {\"coefficient_names\": 7}}",
            "{\"CAR\": {\"coefficient_names\": [1, 2]}}",
            "{\"CAR\": {\"coefficient_names\": [\"x\"]}}",
            "{\"CAR\": {\"coefficient_names\": [\"q\",\"e\",\"i\",\"node\",\"argperi\",\"peri_time\"]}}",
        ] {
            for is_block in [true, false] {
                assert_eq!(parse(text, is_block, true), None, "{text}");
            }
        }
        let eleven =
            format!(r#"{{"coefficient_names": ["x","y","z","vx","vy","vz"{}]}}"#, r#", "A1""#.repeat(5));
        assert_eq!(parse(&eleven, true, true), None);
        let deep = format!("{{\"CAR\": {}", "[{\"a\":".repeat(100_000));
        assert_eq!(parse(&deep, false, true), None);
        let named = r#"{"coefficient_names": ["x","y","z","vx","vy","vz","A1"], "covariance": [1]}"#;
        let car = parse(named, true, true).unwrap();
        assert_eq!((car.non_gravity, car.covariance), (NonGravity::Unknown, None));
    }

    #[test]
    fn every_cut_and_every_changed_byte_is_survived() {
        let document = format!(r#"{{"CAR": {}}}"#, block(&[("A2", "5")]));
        for at in 0..document.len() {
            parse(&document[..at], false, true);
            for other in ["{", "\"", "0", "}", ""] {
                let mut text = document.clone();
                text.replace_range(at..=at, other);
                parse(&text, false, true);
            }
        }
    }
}
