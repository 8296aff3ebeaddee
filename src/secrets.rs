//! Values of the environment that must not be shown: what stands for them in records and messages.
//!
//! One place for all writers: what the messages of errors say goes through [`shown`], what a key holds of a query through
//! [`Secrets::named`], and what a watermark returns through [`Secrets::masked`]. Not a place for what a password is (see `dsn`).

use std::num::NonZeroU32;
use std::sync::{OnceLock, PoisonError, RwLock};

use ring::pbkdf2;
use serde_json::Value as Json;

use crate::dsn::without_passwords;

/// Values of environment variables, each with the name of its variable.
#[derive(Clone, Debug, Default)]
pub(crate) struct Secrets(Vec<Secret>);

/// A value of an environment variable.
#[derive(Clone)]
struct Secret {
    name: String,
    value: String,
    /// Whether it is known to be a secret, however short.
    always: bool,
    /// What the server makes of the value where it quotes it, the longest first.
    forms: Vec<String>,
    trace: OnceLock<String>,
}

/// A shorter value would be found in every text; one of three characters is a station, not a secret.
const SHORTEST: usize = 4;
/// A shorter word or number is one that our own messages have too, such as `rows` or `2024`.
const SHORTEST_WORD: usize = 8;
/// This many rounds take about a tenth of a second: a record tells of a change, and is of little use for guessing.
const ROUNDS: NonZeroU32 = NonZeroU32::new(200_000).expect("it is not 0");

/// All that any pipeline of this process has read.
static KNOWN: RwLock<Secrets> = RwLock::new(Secrets(Vec::new()));

impl Secrets {
    /// Adds the value of a variable; `always` if it is known to be a secret, however short.
    pub(crate) fn add(&mut self, name: &str, value: &str, always: bool) {
        let hides = hides(value, always) || value.lines().any(|line| hides(line, always));
        if let Some(known) = self.0.iter_mut().find(|known| known.name == name && known.value == value) {
            if always && !known.always {
                (known.always, known.forms) = (true, forms(value, true));
            }
        } else if hides {
            let (name, value, forms) = (name.to_owned(), value.to_owned(), forms(value, always));
            self.0.push(Secret { name, value, always, forms, trace: OnceLock::new() });
            // A value that holds another must be looked for first.
            self.0.sort_by(|a, b| (b.value.len(), &a.name).cmp(&(a.value.len(), &b.name)));
        }
    }

    /// From now on [`shown`] leaves these out.
    pub(crate) fn hide(&self) {
        let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
        self.0.iter().for_each(|secret| known.add(&secret.name, &secret.value, secret.always));
    }

    /// The text with `${env:NAME}` in the place of each value.
    pub(crate) fn named(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, Secret { name, value, .. }| {
            text.replace(value.as_str(), &format!("${{env:{name}}}"))
        })
    }

    /// The text with `${env:NAME}` in the place of each value, in all forms in which a server may quote it.
    pub(crate) fn masked(&self, text: &str) -> String {
        let mut masked = text.to_owned();
        for Secret { name, forms, .. } in &self.0 {
            for form in forms {
                let found: Vec<usize> = masked
                    .match_indices(form.as_str())
                    .map(|(at, _)| at)
                    .filter(|at| stands_alone(&masked, *at, form))
                    .collect();
                for at in found.into_iter().rev() {
                    masked.replace_range(at..at + form.len(), &format!("${{env:{name}}}"));
                }
            }
        }
        masked
    }

    /// Whether a text of a JSON value has one of the values in it.
    pub(crate) fn are_in(&self, json: &Json) -> bool {
        match json {
            Json::String(text) => self.traces(text).next().is_some(),
            Json::Array(values) => values.iter().any(|value| self.are_in(value)),
            Json::Object(fields) => fields.values().any(|value| self.are_in(value)),
            _ => false,
        }
    }

    /// The variables whose values are in a text, each with a short trace of the value: another value has another.
    pub(crate) fn traces(&self, text: &str) -> impl Iterator<Item = (&str, &str)> {
        let used = self.0.iter().filter(move |secret| text.contains(secret.value.as_str()));
        used.map(|secret| (secret.name.as_str(), secret.trace()))
    }
}

/// Whether a text is one word or number as our own messages have them: it is looked for as a whole.
fn is_word(text: &str) -> bool {
    let all = |fits: fn(char) -> bool| text.chars().all(fits);
    all(|c| c.is_ascii_digit()) || all(|c| c.is_ascii_lowercase() || c == '_')
}

/// Whether a text is long enough to be looked for.
fn hides(text: &str, always: bool) -> bool {
    let shortest = if is_word(text) { SHORTEST_WORD } else { SHORTEST };
    !text.is_empty() && (always || text.chars().count() >= shortest)
}

/// What a server may quote of a value: all of it or one of its lines, as it is, in lower case as a name without quotes, and as
/// a string that it has read.
fn forms(value: &str, always: bool) -> Vec<String> {
    let read = value.replace("''", "'");
    let unescaped = [("\\n", "\n"), ("\\t", "\t"), ("\\r", "\r"), ("\\'", "'"), ("\\\\", "\\")];
    let unescaped = unescaped.iter().fold(read.clone(), |text, (escape, c)| text.replace(escape, c));
    let mut forms: Vec<String> = Vec::new();
    for text in [value, &read, &unescaped] {
        let parts = std::iter::once(text).chain(text.split(['\n', '\r']).map(str::trim));
        forms.extend(parts.flat_map(|part| [part.to_owned(), part.to_lowercase()]));
    }
    forms.retain(|form| hides(form, always));
    forms.sort_by(|a, b| (b.len(), a).cmp(&(a.len(), b)));
    forms.dedup();
    forms
}

/// Whether what is found in a text is more than a part of another word, if it is a word.
fn stands_alone(text: &str, at: usize, form: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    !is_word(form) || !text[..at].ends_with(is_part) && !text[at + form.len()..].starts_with(is_part)
}

impl Secret {
    /// Slow to make, so that values cannot be tried out quickly, and short, so that many values have the same.
    fn trace(&self) -> &str {
        self.trace.get_or_init(|| {
            let mut bytes = [0; 4];
            let salt = format!("ssp trace of {}", self.name);
            let value = self.value.as_bytes();
            pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ROUNDS, salt.as_bytes(), value, &mut bytes);
            format!("{:08x}", u32::from_be_bytes(bytes))
        })
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

/// A text for people or records, without any value that is to be hidden and without passwords.
#[must_use]
pub(crate) fn shown(text: &str) -> String {
    without_passwords(&KNOWN.read().unwrap_or_else(PoisonError::into_inner).masked(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(values: &[(&str, &str)]) -> Secrets {
        let mut secrets = Secrets::default();
        for (name, value) in values {
            secrets.add(name, value, false);
        }
        secrets
    }

    #[test]
    fn values_are_named_and_short_ones_stay() {
        let secrets = secrets(&[("KEY", "hunter2"), ("LONG", "hunter2-and-more"), ("STN", "X05")]);
        assert_eq!(
            secrets.named("k = 'hunter2' OR 'hunter2-and-more' OR 'X05'"),
            "k = '${env:KEY}' OR '${env:LONG}' OR 'X05'"
        );
        assert!(!format!("{secrets:?}").contains("hunter2"));
    }

    #[test]
    fn what_a_server_makes_of_a_value_is_masked_too() {
        for (value, said) in [
            ("Zq7Secret", "column \"zq7secret\" does not exist"),
            ("First Line\nZq7Secret", "LINE 2: Zq7Secret'"),
            ("Zq7''Secret", "invalid input: \"Zq7'Secret\""),
            ("Zq7\\tSecret", "invalid input: \"Zq7\tSecret\""),
            ("verylongword", "role \"verylongword\" does not exist"),
        ] {
            let masked = secrets(&[("PW", value)]).masked(said);
            assert!(masked.contains("${env:PW}") && !masked.to_lowercase().contains("secret"), "{masked}");
        }
        let secrets = secrets(&[("OUT", "rows"), ("YEAR", "2024"), ("LONG", "observations")]);
        for said in ["`min_rows` failed: 0 rows", "2024-01-02", "all_observations"] {
            assert_eq!(secrets.masked(said), said);
        }
    }

    #[test]
    fn a_trace_tells_values_and_variables_apart() {
        let trace = |name, value| {
            let secrets = secrets(&[(name, value)]);
            secrets.traces(value).map(|(_, trace)| trace.to_owned()).collect::<String>()
        };
        assert_eq!(trace("A", "hunter2"), trace("A", "hunter2"));
        assert_ne!(trace("A", "hunter2"), trace("A", "hunter3"));
        assert_ne!(trace("A", "hunter2"), trace("B", "hunter2"));
        assert_eq!(secrets(&[("A", "hunter2")]).traces("SELECT 1").count(), 0);
    }

    #[test]
    fn what_is_hidden_is_shown_in_no_message() {
        let mut secrets = secrets(&[]);
        secrets.add("PIN", "17", true);
        secrets.hide();
        let said = shown("no user \"17\" at password=hunter2");
        assert_eq!(said, "no user \"${env:PIN}\" at password=***");
    }
}
