//! Values of the environment that must not be shown: what stands for them in records and messages.
//!
//! One place for all writers: what the messages of errors say goes through [`shown`], what a key holds of a query through
//! [`Secrets::named`]. Not a place for what a password is (see `dsn`).

use std::num::NonZeroU32;
use std::sync::{OnceLock, PoisonError, RwLock};

use ring::pbkdf2;

use crate::dsn::without_passwords;

/// Values of environment variables, each with the name of its variable.
#[derive(Clone, Debug, Default)]
pub struct Secrets(Vec<Secret>);

/// A value of an environment variable.
#[derive(Clone)]
struct Secret {
    name: String,
    value: String,
    trace: OnceLock<String>,
}

/// A shorter value would be found in every text; one of three characters is a station, not a secret.
const SHORTEST: usize = 4;
/// So many rounds take about a tenth of a second: a record tells of a change, and is of little use for guessing.
const ROUNDS: NonZeroU32 = NonZeroU32::new(200_000).expect("it is not 0");

/// All that any pipeline of this process has read.
static KNOWN: RwLock<Secrets> = RwLock::new(Secrets(Vec::new()));

impl Secrets {
    /// Adds the value of a variable; `always` if it is known to be a secret, however short.
    pub fn add(&mut self, name: &str, value: &str, always: bool) {
        let hides = value.chars().count() >= SHORTEST || always && !value.is_empty();
        if hides && !self.0.iter().any(|known| known.name == name && known.value == value) {
            let (name, value) = (name.to_owned(), value.to_owned());
            self.0.push(Secret { name, value, trace: OnceLock::new() });
            // A value that holds another must be looked for first.
            self.0.sort_by(|a, b| (b.value.len(), &a.name).cmp(&(a.value.len(), &b.name)));
        }
    }

    /// From now on [`shown`] leaves these out.
    pub fn hide(&self) {
        let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
        self.0.iter().for_each(|secret| known.add(&secret.name, &secret.value, true));
    }

    /// The text with `${env:NAME}` in the place of each value.
    pub fn named(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, Secret { name, value, .. }| {
            if text.contains(value.as_str()) {
                text.replace(value.as_str(), &format!("${{env:{name}}}"))
            } else {
                text
            }
        })
    }

    /// The variables whose values are in a text, each with a short trace of the value: another value has another.
    pub fn traces(&self, text: &str) -> impl Iterator<Item = (&str, &str)> {
        let used = self.0.iter().filter(move |secret| text.contains(secret.value.as_str()));
        used.map(|secret| (secret.name.as_str(), secret.trace()))
    }
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
pub fn shown(text: &str) -> String {
    without_passwords(&KNOWN.read().unwrap_or_else(PoisonError::into_inner).named(text))
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
