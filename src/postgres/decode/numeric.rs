//! `numeric` to the nearest double.

use std::fmt::Write as _;

/// A `numeric` as sent: digits to the base 10,000, the first of which counts `10000^weight`.
pub(super) struct Numeric<'a> {
    field: &'a [u8],
    weight: i16,
    sign: Sign,
}

/// The sign, or what stands in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    Positive,
    Negative,
    NotANumber,
    Infinity,
    NegativeInfinity,
}

const HEADER: usize = 8;
const BASE: u64 = 10_000;
/// Decimal digits in a digit to that base.
const WIDTH: i32 = 4;

impl<'a> Numeric<'a> {
    /// Takes a field apart.
    #[inline]
    pub(super) fn read(field: &'a [u8]) -> Result<Self, String> {
        let Some((&[n0, n1, w0, w1, s0, s1, _, _], digits)) = field.split_first_chunk::<HEADER>() else {
            return Err(format!("it has {} bytes, too few for a numeric", field.len()));
        };
        if digits.len() != 2 * usize::from(u16::from_be_bytes([n0, n1])) {
            return Err("its length does not match the number of its digits".to_owned());
        }
        let sign = match u16::from_be_bytes([s0, s1]) {
            0x0000 => Sign::Positive,
            0x4000 => Sign::Negative,
            0xc000 => Sign::NotANumber,
            0xd000 => Sign::Infinity,
            0xf000 => Sign::NegativeInfinity,
            other => return Err(format!("it has the unknown sign {other:#06x}")),
        };
        Ok(Self { field, weight: i16::from_be_bytes([w0, w1]), sign })
    }

    /// How many decimal digits there are before the point; none or fewer if the first one is behind it.
    pub(super) fn places(&self) -> i32 {
        (i32::from(self.weight) + 1) * WIDTH
    }

    pub(super) fn sign(&self) -> Sign {
        self.sign
    }

    /// The digits to the base 10,000; one that is none is an error.
    pub(super) fn digits(
        &self,
    ) -> impl DoubleEndedIterator<Item = Result<u64, String>> + ExactSizeIterator + 'a {
        self.field[HEADER..].chunks_exact(2).map(|pair| {
            let digit = u64::from(u16::from_be_bytes([pair[0], pair[1]]));
            if digit < BASE { Ok(digit) } else { Err(format!("it has an invalid digit, {digit}")) }
        })
    }

    /// How many digits to the base 10,000 there are.
    #[inline]
    fn count(&self) -> usize {
        (self.field.len() - HEADER) / 2
    }

    /// The digits as one number, if there are few.
    #[inline]
    fn integer(&self) -> Result<Option<u64>, String> {
        // Before the digits are bytes of the header, which the mask takes out.
        let (Some(mask), Some(last)) = (MASKS.get(self.count()), self.field.last_chunk()) else {
            return Ok(None);
        };
        let digits = u64::from_be_bytes(*last) & mask;
        let [first, second, third, fourth] = [48, 32, 16, 0].map(|shift| digits >> shift & 0xffff);
        if first.max(second).max(third).max(fourth) >= BASE {
            return self.digits().try_for_each(|digit| digit.map(drop)).map(|()| None);
        }
        Ok(Some((first * BASE + second) * (BASE * BASE) + third * BASE + fourth))
    }

    /// The power of ten that the last digit counts.
    #[inline]
    pub(super) fn exponent(&self) -> i32 {
        let places = i32::try_from(self.count()).unwrap_or(i32::MAX / WIDTH);
        (i32::from(self.weight) + 1 - places) * WIDTH
    }
}

/// The last 0 to 4 digits to the base 10,000, 16 bits each: four of them fit into 64 bits.
const MASKS: [u64; 5] = [0, 0xffff, 0xffff_ffff, 0xffff_ffff_ffff, u64::MAX];
/// Integers up to here are doubles, and so are the powers of ten in [`POWERS`].
pub(super) const EXACT: u64 = 1 << 53;
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

/// The nearest double, ties to even.
///
/// Source: an integer below 2^53 times or over a power of ten up to 10^22 is one correctly rounded operation on two
/// doubles (Clinger 1990, "How to read floating point numbers accurately", section 2). Anything longer goes through the
/// standard library's parser, which rounds correctly too.
#[inline]
pub(super) fn nearest(field: &[u8]) -> Result<f64, String> {
    let numeric = Numeric::read(field)?;
    let negative = match numeric.sign {
        Sign::Positive => false,
        Sign::Negative => true,
        Sign::NotANumber => return Ok(f64::NAN),
        Sign::Infinity => return Ok(f64::INFINITY),
        Sign::NegativeInfinity => return Ok(f64::NEG_INFINITY),
    };
    let value = match short(&numeric)? {
        Some(value) => value,
        None => long(&numeric)?,
    };
    Ok(if negative { -value } else { value })
}

#[inline]
fn short(numeric: &Numeric<'_>) -> Result<Option<f64>, String> {
    let Some(integer) = numeric.integer()? else { return Ok(None) };
    let exponent = numeric.exponent();
    let power = usize::try_from(exponent.unsigned_abs()).ok().and_then(|power| POWERS.get(power));
    let Some(power) = power.filter(|_| integer <= EXACT) else { return Ok(None) };
    Ok(Some(if exponent < 0 { integer as f64 / power } else { integer as f64 * power }))
}

/// The decimal digits, without the power of ten that the last one counts.
pub(super) fn decimal_digits(numeric: &Numeric<'_>) -> Result<String, String> {
    let digits = numeric.digits();
    let mut text = String::with_capacity(digits.len() * 4 + 8);
    for digit in digits {
        let _ = write!(text, "{:04}", digit?);
    }
    Ok(text)
}

fn long(numeric: &Numeric<'_>) -> Result<f64, String> {
    let mut text = decimal_digits(numeric)?;
    let _ = write!(text, "e{}", numeric.exponent());
    let value: f64 = text.parse().map_err(|_| "it is not a number".to_owned())?;
    if value.is_infinite() {
        return Err(concat!("it is too large for a double (", as_text!(), ")").to_owned());
    }
    Ok(value)
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cases::cases;

    /// A decimal number as the server would send it: sign, digits, power of ten of the last digit.
    pub(crate) fn sent(negative: bool, digits: &str, exponent: i32) -> Vec<u8> {
        let exponent_base = exponent.div_euclid(WIDTH);
        let mut digits =
            digits.to_owned() + &"0".repeat(usize::try_from(exponent.rem_euclid(WIDTH)).unwrap());
        while !digits.len().is_multiple_of(4) {
            digits.insert(0, '0');
        }
        let mut groups: Vec<u16> =
            digits.as_bytes().chunks(4).map(|c| std::str::from_utf8(c).unwrap().parse().unwrap()).collect();
        let mut weight = i32::try_from(groups.len()).unwrap() - 1 + exponent_base;
        while groups.first() == Some(&0) {
            groups.remove(0);
            weight -= 1;
        }
        while groups.last() == Some(&0) {
            groups.pop();
        }
        if groups.is_empty() {
            weight = 0;
        }
        let head = [
            u16::try_from(groups.len()).unwrap(),
            i16::try_from(weight).unwrap().cast_unsigned(),
            if negative { 0x4000 } else { 0 },
            u16::try_from((-exponent).max(0)).unwrap(),
        ];
        head.iter().chain(&groups).flat_map(|word| word.to_be_bytes()).collect()
    }

    fn check(negative: bool, digits: &str, exponent: i32) {
        let text = format!("{}{digits}e{exponent}", if negative { "-" } else { "" });
        let expected: f64 = text.parse().unwrap();
        let found = nearest(&sent(negative, digits, exponent));
        if expected.is_infinite() {
            assert!(found.is_err(), "{text}");
        } else {
            // Postgres has no negative zero in numeric, but it may be sent one; the sign of what underflows stays.
            assert_eq!(found.unwrap().to_bits(), expected.to_bits(), "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(cases(5_000, 100_000)))]

        #[test]
        fn the_double_is_the_nearest(negative: bool, digits in "[0-9]{1,40}", scientific in -320..309_i32) {
            let last = scientific - i32::try_from(digits.len()).unwrap() + 1;
            check(negative, &digits, last);
        }

        #[test]
        fn halves_between_two_doubles_go_to_the_even_one(mantissa in (1_u64 << 52)..(1 << 53), power in 0..60_u32, nudge in -1..2_i8) {
            // (2 m + 1) 2^(power-1) lies halfway between the doubles m 2^power and (m + 1) 2^power.
            let half = (u128::from(mantissa) * 2 + 1) << power;
            let digits = match nudge {
                0 => half.to_string(),
                // A trifle to either side, far beyond the digits of a double.
                1 => format!("{half}00000000000000000001"),
                _ => format!("{}99999999999999999999", half - 1),
            };
            check(false, &digits, if nudge == 0 { 0 } else { -20 });
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(cases(300, 3_000)))]

        #[test]
        fn halves_with_digits_after_the_point_do_too(mantissa in (1_u64 << 52)..(1 << 53), power in 1..200_i32, nudge in -1..2_i8, negative: bool) {
            // (2 m + 1) 2^-power lies halfway between m 2^(1-power) and (m + 1) 2^(1-power); 2^-power is 5^power / 10^power.
            let half = (0..power).fold((mantissa * 2 + 1).to_string(), |digits, _| five_times(&digits));
            // Five times an odd number ends with 5: a trifle less ends with 4 and many nines.
            let (digits, last) = match nudge {
                0 => (half, -power),
                1 => (format!("{half}00000000000000000001"), -power - 20),
                _ => (format!("{}499999999999999999999", &half[..half.len() - 1]), -power - 20),
            };
            let nearest_mantissa = match nudge {
                0 => mantissa.next_multiple_of(2),
                1 => mantissa + 1,
                _ => mantissa,
            };
            let expected = nearest_mantissa as f64 * 2_f64.powi(1 - power) * if negative { -1.0 } else { 1.0 };
            let found = nearest(&sent(negative, &digits, last)).unwrap();
            prop_assert_eq!(found.to_bits(), expected.to_bits(), "{}e{}", digits, last);
        }
    }

    /// Five times a number of any length.
    fn five_times(digits: &str) -> String {
        let mut carry = 0;
        let mut product: Vec<u8> = Vec::with_capacity(digits.len() + 1);
        for digit in digits.bytes().rev() {
            let sum = (digit - b'0') * 5 + carry;
            product.push(b'0' + sum % 10);
            carry = sum / 10;
        }
        product.extend((carry > 0).then_some(b'0' + carry));
        product.into_iter().rev().map(char::from).collect()
    }

    #[test]
    fn special_values_and_edges() {
        for (sign, expected) in [(0xc000_u16, f64::NAN), (0xd000, f64::INFINITY), (0xf000, f64::NEG_INFINITY)]
        {
            let mut field = [0; 8];
            field[4..6].copy_from_slice(&sign.to_be_bytes());
            assert_eq!(nearest(&field).unwrap().to_bits(), expected.to_bits());
        }
        for (digits, exponent) in [
            ("0", 0),
            ("9007199254740993", 0),
            ("9007199254740992", 22),
            ("1", -324),
            ("5", -324),
            ("24703282292062327208", -343),
            ("17976931348623157", 292),
            ("17976931348623159", 292),
            ("1", 309),
            ("1", -400),
        ] {
            check(false, digits, exponent);
            check(true, digits, exponent);
        }
    }

    #[test]
    fn damage_is_an_error() {
        for field in [
            &[][..],
            &[0; 7],
            &[0, 1, 0, 0, 0, 0, 0, 0],
            &[0, 1, 0, 0, 0, 0, 0, 0, 0x27, 0x10],
            &[0, 0, 0, 0, 0x12, 0, 0, 0],
        ] {
            assert!(nearest(field).is_err(), "{field:?}");
        }
    }
}
