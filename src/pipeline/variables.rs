//! `${name}`, `${env:NAME}` and `${env:NAME:-default}` in the texts of a pipeline file.
//!
//! `$${` stands for `${` itself. Nothing else is interpolated.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::document::{Node, Place, Value};
use super::mistake::{Mistake, did_you_mean};

/// Looks up an environment variable, whose value need not be UTF-8.
pub type Environment<'a> = dyn Fn(&str) -> Option<OsString> + 'a;

/// Puts the values of variables into every text below `node`, except below its keys named in `skip`.
pub fn interpolate(node: &mut Node, variables: &Variables<'_>, skip: &[&str], mistakes: &mut Vec<Mistake>) {
    match &mut node.value {
        Value::Text(text) if text.contains("${") => {
            *text = variables.expand(text, node.place, "", mistakes).text;
            node.interpolated = true;
        }
        Value::List(items) => items.iter_mut().for_each(|item| interpolate(item, variables, &[], mistakes)),
        Value::Map(pairs) => {
            for (_, item) in pairs.iter_mut().filter(|(key, _)| !skip.contains(&key.text.as_str())) {
                interpolate(item, variables, &[], mistakes);
            }
        }
        _ => {}
    }
}

/// A text with the values of its variables put in.
#[derive(Clone, Debug, Default)]
pub struct Expansion {
    /// All values.
    pub text: String,
    /// The values of the file and of `--set` alone: those of the environment are still `${env:NAME}`.
    pub written: String,
    /// The variables of the environment that were put in, and their values.
    pub environment: Vec<(String, String)>,
}

impl Expansion {
    /// Of a text without variables.
    pub fn of(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { written: text.clone(), text, environment: Vec::new() }
    }

    fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.written.push_str(text);
    }

    fn append(&mut self, other: Self) {
        self.text.push_str(&other.text);
        self.written.push_str(&other.written);
        self.environment.extend(other.environment);
    }
}

/// The values of `vars`, of `--set`, and of the environment.
pub struct Variables<'a> {
    values: BTreeMap<String, Expansion>,
    environment: &'a Environment<'a>,
}

impl<'a> Variables<'a> {
    /// Reads `vars` of the file, in which later texts may use earlier variables; `set` wins over the file.
    pub fn new(
        vars: Option<&Node>,
        set: &BTreeMap<String, String>,
        environment: &'a Environment<'a>,
        mistakes: &mut Vec<Mistake>,
    ) -> Self {
        let values = set.iter().map(|(name, value)| (name.clone(), Expansion::of(value)));
        let mut variables = Self { values: values.collect(), environment };
        let pairs = match vars.map(|node| &node.value) {
            Some(Value::Map(pairs)) => pairs.as_slice(),
            _ => &[],
        };
        for (key, node) in pairs {
            if set.contains_key(&key.text) {
                continue;
            }
            let value = match (&node.value, node.as_written()) {
                (Value::Text(text), _) => variables.expand(text, node.place, "", mistakes),
                // The station 007 is not 7, and 1.10 not 1.1.
                (_, Some(written)) => Expansion::of(written),
                // The types of the file refuse these.
                (_, None) => continue,
            };
            variables.values.insert(key.text.clone(), value);
        }
        for name in set.keys() {
            if !pairs.iter().any(|(key, _)| key.text == *name) {
                let hint = did_you_mean(name, pairs.iter().map(|(key, _)| key.text.as_str()));
                mistakes.push(Mistake::new(
                    Place::default(),
                    format!("`--set {name}=...`: the file has no variable `{name}` in `vars`{hint}"),
                ));
            }
        }
        variables
    }

    /// The text with its values, and `mark` before and behind each.
    pub fn expand(&self, text: &str, place: Place, mark: &str, mistakes: &mut Vec<Mistake>) -> Expansion {
        let mut expanded = Expansion::default();
        let mut rest = text;
        while let Some(start) = rest.find("${") {
            let (before, after) = (&rest[..start], &rest[start + 2..]);
            if let Some(literal) = before.strip_suffix('$') {
                expanded.push(literal);
                expanded.push("${");
                rest = after;
                continue;
            }
            let Some(end) = after.find('}') else {
                mistakes.push(Mistake::new(
                    place,
                    "`${` without `}`; write `$${` for a `${` that is meant literally",
                ));
                return expanded;
            };
            expanded.push(before);
            expanded.push(mark);
            match self.value(&after[..end], place) {
                Ok(value) => expanded.append(value),
                Err(mistake) => mistakes.push(mistake),
            }
            expanded.push(mark);
            rest = &after[end + 1..];
        }
        expanded.push(rest);
        expanded
    }

    fn value(&self, reference: &str, place: Place) -> Result<Expansion, Mistake> {
        if let Some(name) = reference.strip_prefix("env:") {
            let (name, default) = match name.split_once(":-") {
                Some((name, default)) => (name, Some(default)),
                None => (name, None),
            };
            if name.is_empty() {
                return Err(Mistake::new(place, "`${env:}` names no environment variable"));
            }
            let value = (self.environment)(name).filter(|value| !value.is_empty());
            // What is set but cannot be read must not become the default.
            let value = value.map(OsString::into_string).transpose().map_err(|_| {
                Mistake::new(
                    place,
                    format!("the value of environment variable `{name}` is not UTF-8: set it again in UTF-8"),
                )
            })?;
            if let Some(text) = value {
                let environment = vec![(name.to_owned(), text.clone())];
                return Ok(Expansion { text, written: format!("${{{reference}}}"), environment });
            }
            return default.map(Expansion::of).ok_or_else(|| {
                Mistake::new(
                    place,
                    format!("environment variable `{name}` is not set; set it, or write `${{env:{name}:-default}}`"),
                )
            });
        }
        self.values.get(reference).cloned().ok_or_else(|| {
            let hint = did_you_mean(reference, self.values.keys().map(String::as_str));
            Mistake::new(place, format!("variable `{reference}` is not in `vars`{hint}"))
        })
    }
}
