//! `numeric` as doubles, and what is lost of it on the way.

use arrow_array::ArrayRef;
use arrow_array::types::Float64Type;
use arrow_schema::DataType;

use super::fixed::Values;
use super::numeric::{EXACT, Numeric, decimal_digits, nearest};
use super::{Decoder, Loss, Misfit};
use crate::postgres::copy::Fields;

/// What is lost of the digits before the point, for a value beyond [`EXACT`] and its double; digits after the point are
/// expected to be rounded, identifiers are not.
fn rounded(field: &[u8], value: f64) -> Option<String> {
    let numeric = Numeric::read(field).ok().filter(|_| value.is_finite())?;
    let places = usize::try_from(numeric.places()).ok()?;
    let digits = decimal_digits(&numeric).ok()?;
    let whole = format!("{:0<places$}", digits.get(..places).unwrap_or(&digits));
    let (whole, found) = (whole.trim_start_matches('0'), format!("{:.0}", value.abs()));
    let sign = if value < 0.0 { "-" } else { "" };
    // One below 2^53 became that by its digits after the point.
    let is_beyond = !whole.parse::<u64>().is_ok_and(|whole| whole <= EXACT);
    (is_beyond && whole != found).then(|| {
        format!(
            "{sign}{} became {sign}{}, because a double is exact for whole numbers only up to 2^53 ({}{})",
            short_form(whole),
            short_form(&found),
            if numeric.exponent() >= 0 && whole.len() < INT8_DIGITS {
                "cast the column to int8 or int8[], or "
            } else {
                ""
            },
            as_text!()
        )
    })
}

/// A number of this many digits may be beyond `int8`, to which a cast rounds digits after the point.
const INT8_DIGITS: usize = 19;
/// Digits that a message shows whole.
const SHOWN_DIGITS: usize = 40;

/// A long number by its first digits and how many there are.
fn short_form(digits: &str) -> String {
    match digits.get(..SHOWN_DIGITS / 2) {
        Some(first) if digits.len() > SHOWN_DIGITS => format!("{first}... ({} digits)", digits.len()),
        _ => digits.to_owned(),
    }
}

/// `numeric` as doubles.
pub(super) fn decoder() -> Box<dyn Decoder> {
    let values = Values::<Float64Type, _>::new(DataType::Float64, |field: &[u8]| nearest(field).map(Some));
    Box::new(Doubles { values, loss: None })
}

/// Doubles, and the first value that loses digits before the point.
struct Doubles<F> {
    values: Values<Float64Type, F>,
    loss: Option<Loss>,
}

impl<F> Decoder for Doubles<F>
where
    F: Fn(&[u8]) -> Result<Option<f64>, String> + Send,
{
    fn append(&mut self, fields: Fields<'_>) -> Result<(), Misfit> {
        let before = self.values.found().len();
        self.values.append(fields)?;
        // The doubles are looked at, not the fields: that costs a comparison for each value.
        let appended = &self.values.found()[before..];
        let is_large = |value: f64| value.abs() >= EXACT as f64;
        // No early end: so the compiler looks at several at once.
        let any_large = appended.iter().fold(false, |any, value| any | is_large(*value));
        if self.loss.is_none() && any_large {
            let mut large =
                appended.iter().zip(&fields).zip(before..).filter(|((value, _), _)| is_large(**value));
            self.loss =
                large.find_map(|((value, field), row)| Some(Loss { row, problem: rounded(field?, *value)? }));
        }
        Ok(())
    }

    fn loss(&self) -> Option<Loss> {
        self.loss.clone()
    }

    fn finish(&mut self) -> Result<ArrayRef, Misfit> {
        self.loss = None;
        self.values.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::numeric::tests::sent;
    use super::*;

    #[test]
    fn only_digits_before_the_point_are_lost() {
        for (digits, exponent, lost) in [
            ("9007199254740993", 0, Some("9007199254740993 became 9007199254740992")),
            ("90071992547409930001", 0, Some("90071992547409930001 became 90071992547409936384")),
            // 23 digits, of which the last 8 are zeros.
            ("900719925474099", 8, Some("90071992547409900000000 became 90071992547409903222784")),
            ("1", 40, Some("10000000000000000000... (41 digits) became 10000000000000000303... (41 digits)")),
            ("9007199254740992", 0, None),
            ("9007199254740994", 0, None),
            ("1152921504606846976", 0, None),
            ("1", 22, None),
            ("900719925474099300001", -5, Some("9007199254740993 became 9007199254740994")),
            ("90071992547409935", -1, Some("9007199254740993 became 9007199254740994")),
            ("1234567890123456789", -1, Some("123456789012345678 became 123456789012345680")),
            ("90071992547409925", -1, None),
            ("90071992547409917", -1, None),
            (
                "1",
                300,
                Some("10000000000000000000... (301 digits) became 10000000000000000525... (301 digits)"),
            ),
            ("12345", -2, None),
            ("0", 0, None),
        ] {
            let field = sent(true, digits, exponent);
            let mut decoder = decoder();
            let fields = [&u32::try_from(field.len()).unwrap().to_be_bytes()[..], &field].concat();
            decoder.append(Fields::at(&fields, &[0])).unwrap();
            let found = decoder.loss().map(|loss| loss.problem);
            let start = lost.map(|lost| lost.replace(" became ", " became -")).map(|lost| format!("-{lost}"));
            assert_eq!(found.is_some(), start.is_some(), "{digits}e{exponent}: {found:?}");
            assert!(found.unwrap_or_default().starts_with(&start.unwrap_or_default()), "{digits}e{exponent}");
        }
    }
}
