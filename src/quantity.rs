//! Values with units, as people write them: periods of time, shares and sizes.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How serde reads a value: as it is written on the command line.
macro_rules! from_text {
    ($($name:ident),*) => {$(
        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }
    )*};
}

from_text!(Period, Share, Growth, Size);

/// A period of time, written as numbers with units: `90s`, `20h`, `1h30m`, `2d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("format" = "period", "pattern" = r"^([0-9]+(ms|s|m|h|d))+$"))]
pub struct Period(pub Duration);

const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

impl FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            if is_digits(text) {
                return format!("`{text}` has no unit: write {text}s, {text}m, {text}h or {text}d");
            }
            format!("`{text}` is not a period of time: write numbers with units, such as 90s, 20h or 1h30m")
        };
        let mut millis = 0u64;
        let mut rest = text;
        if rest.is_empty() {
            return Err(wrong());
        }
        while !rest.is_empty() {
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let (number, tail) = rest.split_at(digits);
            let letters = tail.len() - tail.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
            let (unit, tail) = tail.split_at(letters);
            let scale = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, scale)| *scale);
            let part = number.parse::<u64>().ok().zip(scale).and_then(|(n, scale)| n.checked_mul(scale));
            millis = part.and_then(|part| millis.checked_add(part)).ok_or_else(wrong)?;
            rest = tail;
        }
        Ok(Self(Duration::from_millis(millis)))
    }
}

impl From<Period> for String {
    fn from(period: Period) -> Self {
        period.to_string()
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if millis == 0 {
            return f.write_str("0s");
        }
        for (unit, scale) in UNITS.iter().rev() {
            if millis >= *scale {
                write!(f, "{}{unit}", millis / scale)?;
                millis %= scale;
            }
        }
        Ok(())
    }
}

/// A period for people, in its two largest units: `1m30s`, `7h12m`, `36h`, `3d`.
#[must_use]
pub(crate) fn age_said(period: Duration) -> String {
    let seconds = period.as_secs();
    let (large, small) = match seconds {
        0..3_600 => ((seconds / 60, "m"), (seconds % 60, "s")),
        3_600..259_200 => ((seconds / 3_600, "h"), (seconds / 60 % 60, "m")),
        _ => ((seconds / 86_400, "d"), (seconds / 3_600 % 24, "h")),
    };
    match (large, small) {
        ((0, _), (number, unit)) | ((number, unit), (0, _)) => format!("{number}{unit}"),
        ((number, unit), (rest, smaller)) => format!("{number}{unit}{rest}{smaller}"),
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `1,466,201`.
#[must_use]
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    groups.collect::<Vec<_>>().join(",")
}

/// A share of a whole, written as a percentage: `10%`.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Deserialize, Serialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("format" = "share", "pattern" = r"^[0-9]+(\.[0-9]+)?%$"))]
pub struct Share(
    /// In percent, as it is written.
    f64,
);

impl Share {
    /// 50%.
    pub const HALF: Self = Self(50.0);

    /// As a fraction of one.
    #[must_use]
    pub fn fraction(self) -> f64 {
        self.0 / 100.0
    }
}

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        percentage(text, 100.0, "a percentage from 0% to 100%, such as 10%").map(Self)
    }
}

/// The number before the percent sign; `what` is the form of the text in words.
fn percentage(text: &str, most: f64, what: &str) -> Result<f64, String> {
    text.strip_suffix('%')
        .filter(|number| number.splitn(2, '.').all(is_digits))
        .and_then(|number| number.parse::<f64>().ok())
        .filter(|percent| (0.0..=most).contains(percent))
        .ok_or_else(|| {
            let bare: String = text.chars().filter(|c| !c.is_whitespace()).collect();
            if bare != text && percentage(&bare, most, what).is_ok() {
                return format!("`{text}` has a blank: write {bare}");
            }
            let percent = match text.parse::<f64>() {
                Ok(fraction) if (0.0..1.0).contains(&fraction) => (fraction * 1e6).round() / 1e4,
                Ok(percent) if (0.0..=most).contains(&percent) => percent,
                _ => return format!("`{text}` is not {what}"),
            };
            format!("`{text}` has no percent sign: write {percent}%")
        })
}

impl From<Share> for String {
    fn from(share: Share) -> Self {
        format!("{}%", share.0)
    }
}

/// A gain relative to what there was, written as a percentage that can be more than 100%: `20%`, `150%`.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Deserialize, Serialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("format" = "growth", "pattern" = r"^[0-9]+(\.[0-9]+)?%$"))]
pub struct Growth(
    /// In percent, as it is written.
    f64,
);

impl Growth {
    /// As a fraction of one.
    #[must_use]
    pub fn fraction(self) -> f64 {
        self.0 / 100.0
    }
}

impl FromStr for Growth {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        percentage(text, f64::MAX, "a percentage, such as 20% or 150%").map(Self)
    }
}

impl From<Growth> for String {
    fn from(growth: Growth) -> Self {
        format!("{}%", growth.0)
    }
}

/// A number of bytes, written as a whole number with K, M, G or T for powers of 1024: `8G`, `500M`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("format" = "size", "pattern" = r"^[0-9]+ *([KMGTkmgt]([iI]?[bB])?|[bB])$"))]
pub struct Size(pub u64);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        if unit.trim().is_empty() && number.parse::<u64>().is_ok_and(|number| number > 0) {
            return Err(format!("`{text}` has no unit: write {number}M, {number}G or {number}T"));
        }
        let unit = unit.trim_start_matches(' ').to_ascii_uppercase();
        let power = match unit.strip_suffix("IB").or(unit.strip_suffix('B')).unwrap_or(&unit) {
            "" if unit == "B" => Some(0),
            "K" => Some(1),
            "M" => Some(2),
            "G" => Some(3),
            "T" => Some(4),
            _ => None,
        };
        let bytes =
            number.parse::<u64>().ok().zip(power).and_then(|(n, power)| n.checked_mul(1024_u64.pow(power)));
        bytes.filter(|&bytes| bytes > 0).map(Self).ok_or_else(|| {
            format!("`{text}` is not a size: write a number with K, M, G or T, such as 8G or 500M")
        })
    }
}

impl From<Size> for String {
    fn from(size: Size) -> Self {
        format!("{}B", size.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_round_trip() {
        for (text, seconds) in [("90s", 90), ("1m30s", 90), ("20h", 72_000), ("2d", 172_800), ("0s", 0)] {
            let period: Period = text.parse().unwrap();
            assert_eq!(period.0, Duration::from_secs(seconds), "{text}");
            assert_eq!(period.to_string().parse::<Period>().unwrap(), period);
        }
    }

    #[test]
    fn ages_have_two_units() {
        let said = |text: &str| age_said(text.parse::<Period>().unwrap().0);
        for (text, age) in [
            ("0s", "0s"),
            ("59s", "59s"),
            ("90s", "1m30s"),
            ("1h59s", "1h"),
            ("7h12m5s", "7h12m"),
            ("36h", "36h"),
            ("71h59m", "71h59m"),
            ("3d", "3d"),
            ("10d5h7m", "10d5h"),
        ] {
            assert_eq!(said(text), age);
        }
    }

    #[test]
    fn wrong_periods_are_refused() {
        for text in
            ["", "20", "h", "1 h", "-1h", "1.5h", "1w", "99999999999999999999h", "18446744073709551615d"]
        {
            assert!(text.parse::<Period>().is_err(), "{text}");
        }
    }

    #[test]
    fn shares_are_percentages() {
        assert_eq!(Share::try_from("10%".to_owned()).unwrap().fraction(), 0.1);
        for text in ["7%", "29%", "33.3%", "0%", "100%"] {
            assert_eq!(String::from(Share::try_from(text.to_owned()).unwrap()), text);
        }
        for text in ["10", "%", "-1%", "101%", "ten%", "inf%", "nan%"] {
            assert!(Share::try_from(text.to_owned()).is_err(), "{text}");
        }
    }

    #[test]
    fn growth_can_be_more_than_all() {
        assert_eq!("150%".parse::<Growth>().unwrap().fraction(), 1.5);
        assert_eq!(String::from("20%".parse::<Growth>().unwrap()), "20%");
        for (text, said) in
            [("10", "write 10%"), ("150", "write 150%"), ("0.2", "write 20%"), ("20 %", "write 20%")]
        {
            assert!(text.parse::<Growth>().unwrap_err().ends_with(said), "{text}");
        }
        for text in ["%", "-1%", "ten%", "inf%", "nan%", "1e999%"] {
            assert!(text.parse::<Growth>().is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        for (text, bytes) in [
            ("1B", 1),
            ("500M", 500 << 20),
            ("8G", 8 << 30),
            ("8 GiB", 8 << 30),
            ("2kb", 2048),
            ("1T", 1 << 40),
        ] {
            let size: Size = text.parse().unwrap();
            assert_eq!(size.0, bytes, "{text}");
            assert_eq!(String::from(size).parse::<Size>().unwrap(), size);
        }
        for text in ["", "0", "8", "8 ", "0G", "G", "-1G", "1.5G", "1P", "99999999T", "8 G B"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }

    /// Texts of the pattern that editors check, with numbers that are neither 0 nor too large.
    fn of_pattern<T: JsonSchema>() -> impl proptest::strategy::Strategy<Value = String> {
        let schema = schemars::schema_for!(T);
        let pattern = schema.get("pattern").and_then(serde_json::Value::as_str).unwrap();
        let pattern = pattern.trim_matches(['^', '$']).replace("[0-9]+", "[1-9]");
        proptest::string::string_regex(&pattern).unwrap()
    }

    proptest::proptest! {
        #[test]
        fn every_text_of_a_pattern_is_read(
            period in of_pattern::<Period>(),
            share in of_pattern::<Share>(),
            growth in of_pattern::<Growth>(),
            size in of_pattern::<Size>(),
        ) {
            proptest::prop_assert!(period.parse::<Period>().is_ok(), "{}", period);
            proptest::prop_assert!(share.parse::<Share>().is_ok(), "{}", share);
            proptest::prop_assert!(growth.parse::<Growth>().is_ok(), "{}", growth);
            proptest::prop_assert!(size.parse::<Size>().is_ok(), "{}", size);
        }
    }

    #[test]
    fn a_text_that_does_not_fit_its_pattern_is_refused() {
        for text in ["1h ", " 1h", "1H", "1h 2m", "1hm", "+1h"] {
            assert!(text.parse::<Period>().is_err(), "{text:?}");
        }
        for text in ["5.%", ".5%", "1e1%", "1E1%", "5.5.5%", "+5%", "5% ", " 5%"] {
            assert!(text.parse::<Share>().is_err() && text.parse::<Growth>().is_err(), "{text:?}");
        }
        for text in ["8iB", "8IB", "8i", "8Gi", "8 iB", "8G ", " 8G", "8\tG", "8\u{a0}G", "8G\n", "+8G"] {
            assert!(text.parse::<Size>().is_err(), "{text:?}");
        }
    }
}
