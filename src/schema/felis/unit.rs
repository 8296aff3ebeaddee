//! Units in the notations of FITS and the IVOA: whether two texts are one unit. Not a place for conversions.

use std::collections::BTreeMap;

/// Whether two texts are the same unit: `m2.t-1` and `m**2 t**-1`, `AU` and `au`. A text that is no product of powers is
/// only itself.
pub(super) fn same_unit(one: &str, other: &str) -> bool {
    one == other || factors(one).is_some_and(|factors_of_one| Some(factors_of_one) == factors(other))
}

/// The powers of names and of 10, by name; none if the text is no product of powers.
fn factors(unit: &str) -> Option<BTreeMap<&str, i32>> {
    let mut powers = BTreeMap::new();
    let mut rest = unit.trim();
    let mut sign = 1;
    while !rest.is_empty() {
        let (name, power, after) = factor(rest)?;
        *powers.entry(name).or_insert(0) += sign * power;
        let between = after.trim_start();
        let operator = between.chars().next().filter(|c| "*./".contains(*c));
        // A division divides by one factor.
        sign = if operator == Some('/') { -1 } else { 1 };
        rest = operator.map_or(between, |_| between[1..].trim_start());
        let is_separated = after.is_empty() || operator.is_some() || between.len() < after.len();
        if !is_separated || operator.is_some() && rest.is_empty() {
            return None;
        }
    }
    powers.retain(|_, power| *power != 0);
    Some(powers)
}

/// The name and the power of the first factor, and the text after it.
fn factor(text: &str) -> Option<(&str, i32, &str)> {
    if let Some(rest) = text.strip_prefix("1e") {
        let (power, rest) = integer(rest)?;
        return Some(("10", power, rest));
    }
    let is_name = |c: char| c.is_ascii_alphabetic() || c == '_' || c == '%';
    let ten = text.strip_prefix("10").filter(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()));
    let end = if ten.is_some() { 2 } else { text.find(|c| !is_name(c)).unwrap_or(text.len()) };
    let (name, rest) = text.split_at(end);
    let name = match name {
        "" => return None,
        "AU" => "au",
        "degree" => "deg",
        "pix" => "pixel",
        name => name,
    };
    let power = rest.strip_prefix("**").or_else(|| rest.strip_prefix('^'));
    match (power, integer(rest)) {
        (Some(power), _) => integer(power).map(|(power, rest)| (name, power, rest)),
        (None, Some((power, rest))) => Some((name, power, rest)),
        (None, None) => Some((name, 1, rest)),
    }
}

/// The whole number at the beginning of a text, and the text after it.
fn integer(text: &str) -> Option<(i32, &str)> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let (number, rest) = text.split_at(text.len() - digits.len() + end);
    number.parse().ok().map(|number| (number, rest))
}
