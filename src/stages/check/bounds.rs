//! The limits of a range as exact decimal numbers. Not a place for the values that they are compared with.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use arrow_buffer::i256;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Number as JsonNumber;

/// The smallest and the largest value; `null` is no limit.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct Bounds([Option<Number>; 2]);

/// What is wrong with limits.
pub(super) enum Wrong {
    Order(Number, Number),
    NoLimit,
    /// More digits than a floating-point number holds.
    Rounded(Number),
}

/// A decimal number as it is written, such as `-5`, `0.25` or `1e-3`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Written")]
pub struct Number {
    text: String,
    negative: bool,
    /// The digits, without zeros at either end; none for zero.
    digits: String,
    /// The power of ten that the digits are multiplied by.
    power: i32,
    /// Whether it came through a floating-point number that may have rounded it.
    rounded: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Number(JsonNumber),
    Text(String),
}

/// Larger powers of ten are beyond all types of columns.
const LARGEST_POWER: i32 = 1_000;
/// From here on, floating-point numbers leave out integers.
const EXACT_INTEGERS: f64 = 9_007_199_254_740_992.0;

impl TryFrom<Written> for Number {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        match written {
            Written::Text(text) => text.parse(),
            Written::Number(number) => {
                let rounded =
                    number.is_f64() && number.as_f64().is_some_and(|value| value.abs() >= EXACT_INTEGERS);
                Ok(Self { rounded, ..number.to_string().parse()? })
            }
        }
    }
}

impl FromStr for Number {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a number, such as 40 or -0.5");
        let (mantissa, power) = match text.split_once(['e', 'E']) {
            Some((mantissa, power)) => (mantissa, power.parse::<i32>().map_err(|_| wrong())?),
            None => (text, 0),
        };
        let (negative, mantissa) = match mantissa.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = [whole, fraction].concat();
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let fraction = i32::try_from(fraction.len()).map_err(|_| wrong())?;
        let all = digits.trim_start_matches('0');
        let significant = all.trim_end_matches('0');
        let zeros = i32::try_from(all.len() - significant.len()).map_err(|_| wrong())?;
        let power =
            power.checked_sub(fraction).and_then(|power| power.checked_add(zeros)).ok_or_else(wrong)?;
        if !is_number || power.abs() > LARGEST_POWER {
            return Err(wrong());
        }
        let (negative, power) = if significant.is_empty() { (false, 0) } else { (negative, power) };
        Ok(Self { text: text.to_owned(), negative, digits: significant.to_owned(), power, rounded: false })
    }
}

impl Number {
    /// The number times ten to the power `scale`, rounded up or down to an integer; beyond the range, its end.
    fn scaled(&self, scale: i32, round_up: bool) -> i256 {
        let power = self.power.saturating_add(scale);
        let (whole, is_cut) = if power >= 0 {
            let zeros = usize::try_from(power).unwrap_or(usize::MAX).min(100);
            (format!("{}{}", self.digits, "0".repeat(zeros)), false)
        } else {
            let kept = self.digits.len().saturating_sub(power.unsigned_abs() as usize);
            (self.digits[..kept].to_owned(), !self.digits.is_empty())
        };
        let ends = if self.negative { i256::MIN } else { i256::MAX };
        let magnitude = match whole.trim_start_matches('0') {
            "" => Some(i256::ZERO),
            // Every integer with 76 digits fits.
            digits if digits.len() > 76 => None,
            digits => i256::from_string(digits),
        };
        let Some(magnitude) = magnitude else { return ends };
        let toward_zero = if self.negative { magnitude.wrapping_neg() } else { magnitude };
        match (is_cut, round_up, self.negative) {
            (true, true, false) => toward_zero.wrapping_add(i256::ONE),
            (true, false, true) => toward_zero.wrapping_sub(i256::ONE),
            _ => toward_zero,
        }
    }

    fn as_f64(&self) -> f64 {
        self.text.parse().unwrap_or(f64::NAN)
    }

    fn as_f32(&self) -> f32 {
        self.text.parse().unwrap_or(f32::NAN)
    }

    fn compare(&self, other: &Self) -> Ordering {
        let sign = |number: &Self| match (number.digits.is_empty(), number.negative) {
            (true, _) => 0,
            (_, true) => -1,
            (_, false) => 1,
        };
        // The place of the first digit, then the digits.
        let size = |number: &Self| {
            let digits = i64::try_from(number.digits.len()).unwrap_or(i64::MAX);
            (digits.saturating_add(number.power.into()), number.digits.clone())
        };
        match sign(self).cmp(&sign(other)) {
            Ordering::Equal if self.negative => size(other).cmp(&size(self)),
            Ordering::Equal => size(self).cmp(&size(other)),
            different => different,
        }
    }
}

impl Bounds {
    pub(super) fn wrong(&self) -> Option<Wrong> {
        let [low, high] = &self.0;
        if let Some(rounded) = self.0.iter().flatten().find(|number| number.rounded) {
            return Some(Wrong::Rounded(rounded.clone()));
        }
        match (low, high) {
            (Some(low), Some(high)) if low.compare(high) == Ordering::Greater => {
                Some(Wrong::Order(low.clone(), high.clone()))
            }
            (None, None) => Some(Wrong::NoLimit),
            _ => None,
        }
    }

    /// The smallest and the largest unscaled value that a decimal of this scale may have.
    pub(super) fn unscaled(&self, scale: i8) -> (i256, i256) {
        let [low, high] = &self.0;
        let low = low.as_ref().map_or(i256::MIN, |low| low.scaled(scale.into(), true));
        let high = high.as_ref().map_or(i256::MAX, |high| high.scaled(scale.into(), false));
        (low, high)
    }

    pub(super) fn doubles(&self) -> (f64, f64) {
        let [low, high] = &self.0;
        let (low, high) = (low.as_ref().map(Number::as_f64), high.as_ref().map(Number::as_f64));
        (low.unwrap_or(f64::NEG_INFINITY), high.unwrap_or(f64::INFINITY))
    }

    /// In single precision, so that a value that is written as the limit is inside.
    pub(super) fn singles(&self) -> (f32, f32) {
        let [low, high] = &self.0;
        let (low, high) = (low.as_ref().map(Number::as_f32), high.as_ref().map(Number::as_f32));
        (low.unwrap_or(f32::NEG_INFINITY), high.unwrap_or(f32::INFINITY))
    }
}

/// `-5 to 40`, `at most 1`.
impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            [Some(low), Some(high)] => write!(f, "{low} to {high}"),
            [Some(low), None] => write!(f, "at least {low}"),
            [None, Some(high)] => write!(f, "at most {high}"),
            [None, None] => f.write_str("any number"),
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// As a number where JSON holds it exactly, else as text.
impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.text.parse::<JsonNumber>() {
            Ok(number) if number.to_string() == self.text => number.serialize(serializer),
            _ => serializer.serialize_str(&self.text),
        }
    }
}

impl JsonSchema for Number {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Number".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["number", "string"], "format": "number"})
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn bounds(value: serde_json::Value) -> Bounds {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn limits_are_rounded_inwards_and_never_past_a_value() {
        let of = |value, scale| {
            let (low, high) = bounds(value).unscaled(scale);
            (low.to_i128(), high.to_i128())
        };
        assert_eq!(of(json!([-5, 40]), 0), (Some(-5), Some(40)));
        assert_eq!(of(json!([-0.5, 0.5]), 0), (Some(0), Some(0)));
        assert_eq!(of(json!([-1.5, 1.5]), 0), (Some(-1), Some(1)));
        assert_eq!(of(json!([0.5, 2.5]), 0), (Some(1), Some(2)));
        assert_eq!(of(json!([-2.5, -0.5]), 0), (Some(-2), Some(-1)));
        assert_eq!(of(json!([0.1, 0.25]), 2), (Some(10), Some(25)));
        assert_eq!(of(json!([0.101, 0.259]), 2), (Some(11), Some(25)));
        assert_eq!(of(json!([0, 1234]), -2), (Some(0), Some(12)));
        assert_eq!(of(json!([1e3, "1E4"]), 0), (Some(1000), Some(10_000)));
        assert_eq!(of(json!(["0.000", "1e-9"]), 3), (Some(0), Some(0)));
        assert_eq!(
            of(json!([i64::MIN, u64::MAX]), 0),
            (Some(i128::from(i64::MIN)), Some(i128::from(u64::MAX)))
        );
        assert_eq!(of(json!(["-1e500", 1e300]), 0), (None, None));
        assert_eq!(bounds(json!([null, null])).unscaled(3), (i256::MIN, i256::MAX));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in [
            "",
            "-",
            ".",
            "1.2.3",
            "e5",
            "1e",
            "1e99999999999",
            "1e5000",
            "nan",
            "inf",
            "0x10",
            "1,000",
            " 1",
            "１",
        ] {
            assert!(text.parse::<Number>().is_err(), "{text}");
        }
        for text in ["0", "-0", "+1", "1.", ".5", "007", "1e-3", "1E+3"] {
            assert!(text.parse::<Number>().is_ok(), "{text}");
        }
    }

    #[test]
    fn numbers_are_compared_by_value() {
        let order = ["-1e9", "-10", "-9.5", "-1e-9", "0", "1e-9", "0.5", "1", "9.99", "10", "1e9"];
        for (at, one) in order.iter().enumerate() {
            for (place, other) in order.iter().enumerate() {
                let numbers = [one, other].map(|text| text.parse::<Number>().unwrap());
                assert_eq!(numbers[0].compare(&numbers[1]), at.cmp(&place), "{one} {other}");
            }
        }
        let wrong = |value| bounds(value).wrong();
        assert!(matches!(wrong(json!([40, -5])), Some(Wrong::Order(..))));
        assert!(matches!(wrong(json!([null, null])), Some(Wrong::NoLimit)));
        assert!(matches!(wrong(json!([0, 18_446_744_073_709_551_616.0])), Some(Wrong::Rounded(_))));
        assert!(wrong(json!([0, "18446744073709551616"])).is_none());
        assert!(wrong(json!(["0.0", 0])).is_none() && wrong(json!([1, 1.0])).is_none());
    }

    #[test]
    fn limits_keep_their_text() {
        for value in [json!([-5, 40]), json!([null, 0.1]), json!([0, "18446744073709551616"])] {
            assert_eq!(serde_json::to_value(bounds(value.clone())).unwrap(), value);
        }
        assert_eq!(bounds(json!([-5, 40.5])).to_string(), "-5 to 40.5");
        assert_eq!(bounds(json!([null, 1])).to_string(), "at most 1");
    }
}
