//! `${name}`, `${env:NAME}` and `${env:NAME:-default}` in the texts of a pipeline file.
//!
//! `$${` stands for `${` itself. Nothing else is interpolated.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::ops::Range;

use super::document::{Interpolated, Node, Place, Value};
use super::formats::Keys;
use super::mistake::Mistake;
use crate::spelling::did_you_mean;

/// Looks up an environment variable, whose value need not be UTF-8.
pub(super) type Environment<'a> = dyn Fn(&str) -> Option<OsString> + 'a;

/// The time of a delivery. It is put in by the stage, so that no key has it.
const RUN: &str = "run";

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// `vars` of the file.
    File,
    /// `--set`.
    Set,
    /// A variable of the environment.
    Environment,
    /// The text behind `:-`, where the variable of the environment is not set.
    Default,
}

/// A value that was put into a text.
#[derive(Clone, Debug)]
pub(super) struct Inserted {
    pub range: Range<usize>,
    /// What stands between the braces, for which it was put in.
    pub reference: String,
    /// Where it comes from.
    pub origin: Origin,
}

/// A text with values, which may have values of their own.
#[derive(Clone, Debug, Default)]
pub(super) struct Composed {
    pub text: String,
    /// Each value, before those in it.
    pub values: Vec<Inserted>,
}

impl Composed {
    fn append(&mut self, reference: &str, origin: Origin, value: Self) {
        let start = self.text.len();
        let range = start..start + value.text.len();
        self.values.push(Inserted { range, reference: reference.to_owned(), origin });
        self.values.extend(value.values.into_iter().map(|inner| {
            let range = inner.range.start + start..inner.range.end + start;
            Inserted { range, ..inner }
        }));
        self.text.push_str(&value.text);
    }
}

/// A text with the values of its variables put in.
#[derive(Clone, Debug, Default)]
pub(super) struct Expansion {
    pub full: Composed,
    /// With the values of the file and of `--set` alone: those of the environment are still `${env:NAME}`.
    pub written: Composed,
    /// The variables of the environment that were put in, and their values.
    pub environment: Vec<(String, String)>,
}

impl Expansion {
    /// Of a text without variables.
    pub(super) fn of(text: impl Into<String>) -> Self {
        let full = Composed { text: text.into(), values: Vec::new() };
        Self { written: full.clone(), full, environment: Vec::new() }
    }

    fn push(&mut self, text: &str) {
        self.full.text.push_str(text);
        self.written.text.push_str(text);
    }

    fn append(&mut self, reference: &str, origin: Origin, value: Self) {
        self.full.append(reference, origin, value.full);
        self.written.append(reference, origin, value.written);
        self.environment.extend(value.environment);
    }
}

/// The values of `vars`, of `--set`, and of the environment.
pub(super) struct Variables<'a> {
    values: BTreeMap<String, Expansion>,
    set: &'a BTreeMap<String, String>,
    environment: &'a Environment<'a>,
}

impl<'a> Variables<'a> {
    /// Reads `vars` of the file, in which later texts may use earlier variables; `set` wins over the file.
    pub(super) fn new(
        vars: Option<&Node>,
        set: &'a BTreeMap<String, String>,
        environment: &'a Environment<'a>,
        mistakes: &mut Vec<Mistake>,
    ) -> Self {
        let values = set.iter().map(|(name, value)| (name.clone(), Expansion::of(value)));
        let mut variables = Self { values: values.collect(), set, environment };
        let pairs = vars.and_then(Node::pairs).unwrap_or_default();
        for (key, node) in pairs {
            if set.contains_key(&key.text) {
                continue;
            }
            let value = match (&node.value, node.as_written()) {
                (Value::Text(text), _) => variables.expand(text, node.place, false, mistakes),
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

    /// The same with another form of `vars`, whose mistakes are known.
    pub(super) fn with(&self, vars: Option<&Node>) -> Self {
        Self::new(vars, self.set, self.environment, &mut Vec::new())
    }

    /// Puts the values into every text below a node, to which these keys lead, except below `vars`.
    pub(super) fn put_below<'n>(
        &self,
        node: &'n mut Node,
        path: &mut Vec<&'n str>,
        keys: &Keys,
        mistakes: &mut Vec<Mistake>,
    ) {
        match &mut node.value {
            Value::Text(text) if text.contains("${") => {
                let is_delivery = matches!(path[..], ["stages", _, _, key] if keys.is_delivery(key));
                let expansion = self.expand(text, node.place, is_delivery, mistakes);
                let written = std::mem::replace(text, expansion.full.text);
                node.interpolated = Some(Interpolated { written, secret: !expansion.environment.is_empty() });
            }
            Value::List(items) => {
                path.push("");
                for item in items {
                    self.put_below(item, path, keys, mistakes);
                }
                path.pop();
            }
            Value::Map(pairs) => {
                let is_file = path.is_empty();
                for (key, item) in pairs.iter_mut().filter(|(key, _)| !(is_file && key.text == "vars")) {
                    path.push(&key.text);
                    self.put_below(item, path, keys, mistakes);
                    path.pop();
                }
            }
            _ => {}
        }
    }

    /// The text with its values; in the target of a delivery, `${run}` stays as it is.
    pub(super) fn expand(
        &self,
        text: &str,
        place: Place,
        is_delivery: bool,
        mistakes: &mut Vec<Mistake>,
    ) -> Expansion {
        if is_delivery && text.contains("${run}") && self.values.contains_key(RUN) {
            let message = "`${run}` is the time of the delivery here, so `vars` cannot have a variable `run`: rename it";
            mistakes.push(Mistake::new(place, message));
        }
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
                mistakes.push(Mistake::new(place, "`${` without `}`; write `$${` for a literal `${`"));
                return expanded;
            };
            expanded.push(before);
            if is_delivery && &after[..end] == RUN {
                expanded.push("${run}");
                rest = &after[end + 1..];
                continue;
            }
            match self.value(&after[..end], place) {
                Ok((origin, value)) => expanded.append(&after[..end], origin, value),
                Err(mistake) => mistakes.push(mistake),
            }
            rest = &after[end + 1..];
        }
        expanded.push(rest);
        expanded
    }

    fn value(&self, reference: &str, place: Place) -> Result<(Origin, Expansion), Mistake> {
        if let Some(name) = reference.strip_prefix("env:") {
            let (name, default) = match name.split_once(":-") {
                Some((name, default)) => (name, Some(default)),
                None => (name, None),
            };
            if name.is_empty() {
                return Err(Mistake::new(place, "`${env:}` has no variable name"));
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
                let written = Expansion::of(format!("${{{reference}}}")).written;
                let environment = vec![(name.to_owned(), text.clone())];
                let value = Expansion { written, environment, ..Expansion::of(text) };
                return Ok((Origin::Environment, value));
            }
            return default.map(|default| (Origin::Default, Expansion::of(default))).ok_or_else(|| {
                Mistake::new(
                    place,
                    format!("environment variable `{name}` is not set; set it, or write `${{env:{name}:-default}}`"),
                )
            });
        }
        if let Some(value) = self.values.get(reference) {
            let origin = if self.set.contains_key(reference) { Origin::Set } else { Origin::File };
            return Ok((origin, value.clone()));
        }
        // As a shell writes it, or with another sign.
        let name = reference.get(..4).filter(|start| matches!(&*start.to_ascii_lowercase(), "env:" | "env."));
        let name = name.map_or(reference, |start| &reference[start.len()..]);
        let hint = if reference == RUN {
            "; as the time of a delivery, you can use `${run}` only in `to` of `deliver`".to_owned()
        } else if name.len() < reference.len() || (self.environment)(name).is_some() {
            format!("; for the environment variable `{name}` write `${{env:{name}}}`")
        } else {
            did_you_mean(reference, self.values.keys().map(String::as_str))
        };
        Err(Mistake::new(place, format!("variable `{reference}` is not in `vars`{hint}")))
    }
}
