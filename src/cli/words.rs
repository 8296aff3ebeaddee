//! Words and numbers of the pipeline file on the command line, and files that people write.

use std::convert::Infallible;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::Path;
use std::{fs, io};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use schemars::{JsonSchema, schema_for};
use serde::de::DeserializeOwned;

use crate::pipeline::words;
use crate::threads::MAX_THREADS;

/// A parser of the words that a setting has in the pipeline file.
pub(super) fn word_of<T: DeserializeOwned + JsonSchema + Clone + Send + Sync + 'static>()
-> impl TypedValueParser<Value = T> {
    let schema = schema_for!(T).to_value();
    let words: Vec<String> = words(&schema).into_iter().map(str::to_owned).collect();
    PossibleValuesParser::new(words).try_map(|word| serde_json::from_value(word.into()))
}

/// An item of a list with commas, without the blanks around it.
#[expect(clippy::unnecessary_wraps, reason = "how the library wants it")]
pub(super) fn trimmed(text: &str) -> Result<String, Infallible> {
    Ok(text.trim().to_owned())
}

/// The text of a file that people write.
///
/// # Errors
/// Those of reading it; where it is not UTF-8.
pub(super) fn read_text(path: &Path) -> io::Result<String> {
    String::from_utf8(fs::read(path)?).map_err(|error| {
        let (bytes, good) = (error.as_bytes(), error.utf8_error().valid_up_to());
        let utf16 = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
        let line = bytes[..good].split(|byte| *byte == b'\n').count();
        let what = if utf16 { "the file is UTF-16".to_owned() } else { format!("line {line} is not UTF-8") };
        io::Error::new(io::ErrorKind::InvalidData, format!("{what}: save the file as UTF-8"))
    })
}

/// A parser of whole numbers in a range, which says what to write instead of another text.
pub(super) fn whole<T>(range: RangeInclusive<T>) -> impl Fn(&str) -> Result<T, String> + Clone
where
    T: TryFrom<u64> + PartialOrd + Display + Copy,
{
    move |text| {
        let (first, last) = (range.start(), range.end());
        if let Ok(number) = text.parse::<u64>() {
            let fitting = T::try_from(number).ok().filter(|number| range.contains(number));
            return fitting.ok_or_else(|| format!("{text} is not in {first}..={last}"));
        }
        let bare: String = text.chars().filter(|c| !matches!(c, ',' | '_' | ' ')).collect();
        let (digits, unit) = bare.split_at(bare.find(|c: char| !c.is_ascii_digit()).unwrap_or(bare.len()));
        let zeros = ["", "k", "m"].iter().position(|known| unit.eq_ignore_ascii_case(known));
        Err(match zeros.filter(|_| !digits.is_empty()) {
            Some(thousands) => {
                format!("write a whole number in digits alone: {digits}{}", "000".repeat(thousands))
            }
            None if matches!(text, "auto" | "all" | "max" | "default") => {
                "write a whole number in digits, or leave the option out to use its default".to_owned()
            }
            None => "write a whole number in digits".to_owned(),
        })
    }
}

/// A parser of `--jobs`.
pub(super) fn jobs() -> impl Fn(&str) -> Result<u16, String> + Clone {
    whole(1..=MAX_THREADS)
}
