//! `${name}`, `${env:NAME}` and `${env:NAME:-default}` in the texts of a pipeline file.
//!
//! `$${` stands for `${` itself. Nothing else is interpolated.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::str::FromStr;

use super::document::{Node, Place, Value, line_of};
use super::mistake::{Mistake, did_you_mean};

/// Looks up an environment variable, whose value need not be UTF-8.
pub type Environment<'a> = dyn Fn(&str) -> Option<OsString> + 'a;

/// Puts the values of variables into every text below `node`, except below its keys named in `skip`.
pub fn interpolate(node: &mut Node, variables: &Variables<'_>, skip: &[&str], mistakes: &mut Vec<Mistake>) {
    match &mut node.value {
        Value::Text(text) if text.contains("${") => {
            *text = variables.expand(text, node.place, mistakes);
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

/// The values of `vars`, of `--set`, and of the environment.
pub struct Variables<'a> {
    values: BTreeMap<String, String>,
    environment: &'a Environment<'a>,
}

impl<'a> Variables<'a> {
    /// Reads `vars` of the file with this text, in which later texts may use earlier variables; `set` wins over the file.
    pub fn new(
        vars: Option<&Node>,
        text: &str,
        set: &BTreeMap<String, String>,
        environment: &'a Environment<'a>,
        mistakes: &mut Vec<Mistake>,
    ) -> Self {
        let mut variables = Self { values: set.clone(), environment };
        let pairs = match vars.map(|node| &node.value) {
            Some(Value::Map(pairs)) => pairs.as_slice(),
            _ => &[],
        };
        for (key, node) in pairs {
            if set.contains_key(&key.text) {
                continue;
            }
            let value = match &node.value {
                Value::Text(text) => variables.expand(text, node.place, mistakes),
                Value::Bool(value) => value.to_string(),
                Value::Integer(value) => {
                    written(text, node.place, value).unwrap_or_else(|| value.to_string())
                }
                Value::Float(value) => written(text, node.place, value).unwrap_or_else(|| value.to_string()),
                // The types of the file refuse these.
                Value::Null | Value::List(_) | Value::Map(_) => continue,
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

    fn expand(&self, text: &str, place: Place, mistakes: &mut Vec<Mistake>) -> String {
        let mut expanded = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find("${") {
            let (before, after) = (&rest[..start], &rest[start + 2..]);
            if let Some(literal) = before.strip_suffix('$') {
                expanded.push_str(literal);
                expanded.push_str("${");
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
            expanded.push_str(before);
            match self.value(&after[..end], place) {
                Ok(value) => expanded.push_str(&value),
                Err(mistake) => mistakes.push(mistake),
            }
            rest = &after[end + 1..];
        }
        expanded.push_str(rest);
        expanded
    }

    fn value(&self, reference: &str, place: Place) -> Result<String, Mistake> {
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
            return value.or_else(|| default.map(str::to_owned)).ok_or_else(|| {
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

/// A number as it is written in the file: the station 007 is not 7, and 1.10 not 1.1.
fn written<T: FromStr + PartialEq>(text: &str, place: Place, value: &T) -> Option<String> {
    let line = line_of(text, place)?;
    let before = usize::try_from(place.column).ok()?.checked_sub(1)?;
    let rest = line.char_indices().nth(before).map(|(start, _)| &line[start..])?;
    let number = rest.split(|c: char| c.is_whitespace() || matches!(c, ',' | ']' | '}')).next()?;
    // What is another number, or none, is a tag, an anchor or an alias.
    number.parse::<T>().is_ok_and(|written| written == *value).then(|| number.to_owned())
}
