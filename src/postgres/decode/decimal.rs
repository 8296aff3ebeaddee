//! `numeric` as exact decimals.

use arrow_array::types::Decimal128Type;
use arrow_schema::DataType;

use super::numeric::{Numeric, Sign};
use super::{Decoder, fixed};

/// `numeric` as decimals with `precision` digits, `scale` of them after the point.
pub(super) fn decoder(precision: u8, scale: u8) -> Box<dyn Decoder> {
    let data_type = DataType::Decimal128(precision, scale.cast_signed());
    fixed::values::<Decimal128Type, _>(data_type, move |field| exact(field, precision, scale).map(Some))
}

/// The value times `10^scale`.
fn exact(field: &[u8], precision: u8, scale: u8) -> Result<i128, String> {
    let numeric = Numeric::read(field)?;
    let misfit = |why: &str| format!("it does not fit decimal({precision}, {scale}): {why}");
    let negative = match numeric.sign() {
        Sign::Positive => false,
        Sign::Negative => true,
        Sign::NotANumber => return Err(misfit("it is NaN")),
        Sign::Infinity | Sign::NegativeInfinity => return Err(misfit("it is infinite")),
    };
    let too_large = || misfit("it is too large");
    let limit = 10_i128.checked_pow(precision.into()).ok_or_else(too_large)?;
    let mut exponent = numeric.exponent();
    let mut digits = numeric.digits();
    // Zeros at the end of the last digit to the base 10,000 may be beyond what fits.
    let mut last = i128::from(digits.next_back().unwrap_or(Ok(0))?);
    let mut last_base = 10_000;
    while last != 0 && last % 10 == 0 {
        (last, last_base, exponent) = (last / 10, last_base / 10, exponent + 1);
    }
    let mut integer = 0_i128;
    let digits = digits.map(|digit| Ok((10_000, i128::from(digit?))));
    for digit in digits.chain([Ok((last_base, last))]) {
        let (base, digit): (i128, i128) = digit.map_err(|problem: String| problem)?;
        let shifted = integer.checked_mul(base).and_then(|integer| integer.checked_add(digit));
        integer = shifted.ok_or_else(too_large)?;
    }
    let shift = exponent + i32::from(scale);
    let power = 10_i128.checked_pow(shift.unsigned_abs());
    let value = if integer == 0 {
        0
    } else if shift >= 0 {
        power.and_then(|power| integer.checked_mul(power)).ok_or_else(too_large)?
    } else {
        match power.filter(|power| integer % power == 0) {
            Some(power) => integer / power,
            None => return Err(misfit("it has more digits after the point")),
        }
    };
    if value >= limit {
        return Err(too_large());
    }
    Ok(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::super::numeric::tests::sent;
    use super::*;

    #[test]
    fn what_fits_is_exact_and_what_does_not_is_an_error() {
        for (negative, digits, exponent, precision, scale, expected) in [
            (false, "12345", -2, 5, 2, Some(12345)),
            (true, "12345", -2, 7, 4, Some(-1_234_500)),
            (false, "12345", -2, 4, 2, None),
            (false, "12345", -2, 5, 1, None),
            (false, "12340", -2, 5, 1, Some(1234)),
            (false, "0", 0, 1, 1, Some(0)),
            (false, "1", 30, 38, 0, Some(10_i128.pow(30))),
            (false, "99999999999999999999999999999999999999", 0, 38, 0, Some(10_i128.pow(38) - 1)),
            (false, "100000000000000000000000000000000000000", 0, 38, 0, None),
            (false, "99999999999999999999999999999999999999", -38, 38, 38, Some(10_i128.pow(38) - 1)),
            (false, "1", -39, 38, 38, None),
            (false, "1", 200, 38, 0, None),
        ] {
            let found = exact(&sent(negative, digits, exponent), precision, scale);
            assert_eq!(found.as_ref().ok(), expected.as_ref(), "{digits}e{exponent}: {found:?}");
        }
        for sign in [0xc0, 0xd0, 0xf0] {
            assert!(exact(&[0, 0, 0, 0, sign, 0, 0, 0], 38, 0).is_err());
        }
    }
}
