//! How much a look-up found: a join, a filter, a search by name. If it is little, a warning says so, for the output has few
//! rows or values then.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

/// How many of the things that were looked up were found, with examples of both sides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Lookup {
    /// What was looked up, in the plural, and where it is from: `ids of obs_sbn.parquet`.
    pub sought: String,
    /// Where the found ones are: `in column diaSourceId of the datasets`.
    pub are: String,
    /// How many were found.
    pub found: u64,
    /// How many were looked up.
    pub of: u64,
    /// Those that were not found, up to [`FEW`].
    pub missing: Vec<String>,
    /// Where they were looked up, if the message gives examples of what is there instead.
    pub holder: Cow<'static, str>,
    /// A few of what is there.
    pub there: Vec<String>,
    /// How many should be found.
    pub usual: Usual,
}

/// How many of the things that are looked up are usually found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub enum Usual {
    #[default]
    Share,
    /// All: one that is not found causes a warning, but no failure.
    All,
    /// Any number but none.
    Some,
}

impl Lookup {
    /// Whether so little was found that it causes a warning: none, less than this part of all, or less than usual.
    #[must_use]
    pub fn is_doubtful(&self, fraction: f64) -> bool {
        let less_than_usual = self.usual == Usual::All && self.found < self.of;
        self.found == 0 || less_than_usual || self.is_below(fraction)
    }

    /// Whether less than this part of all was found, if a part of all is usual.
    #[must_use]
    pub fn is_below(&self, fraction: f64) -> bool {
        let counts = self.usual != Usual::Some || self.found == 0;
        counts && (self.found as f64) < fraction * self.of as f64
    }
}

impl fmt::Display for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sought, are, found, of, missing, holder, there, .. } = self;
        match (found, of) {
            (_, 0) => return write!(f, "there are no {sought}"),
            (0, _) => write!(f, "none of the {of} {sought} is {are}")?,
            (1, _) => write!(f, "1 of {of} {sought} is {are}")?,
            _ => write!(f, "{found} of {of} {sought} are {are}")?,
        }
        let listed = |some: &[String]| format!("`{}`", some.join("`, `"));
        if !missing.is_empty() {
            write!(f, "; not found: {}", listed(missing))?;
            if missing.len() == FEW && of - found > FEW as u64 {
                f.write_str(", ...")?;
            }
        }
        match (&**holder, &there[..]) {
            ("", _) => Ok(()),
            (holder, []) => write!(f, "; {holder} has none"),
            (holder, there) => write!(f, "; {holder} has, for example, {}", listed(there)),
        }
    }
}

/// Examples that a message gives.
pub(crate) const FEW: usize = 3;

/// The first few of many examples, each once.
pub(crate) fn examples(texts: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut few: Vec<String> = Vec::new();
    for text in texts {
        if few.len() == FEW {
            break;
        }
        if !few.contains(&text) {
            few.push(text);
        }
    }
    few
}

/// The first few texts of many by their order, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Few(BTreeSet<String>);

impl Few {
    pub fn add(&mut self, one: &str) {
        let comes_late = self.0.len() == FEW && self.0.last().is_some_and(|last| last.as_str() <= one);
        if !comes_late && !self.0.contains(one) {
            self.0.insert(one.to_owned());
            if self.0.len() > FEW {
                self.0.pop_last();
            }
        }
    }

    pub fn merge(&mut self, others: &Self) {
        others.0.iter().for_each(|one| self.add(one));
    }

    #[must_use]
    pub fn list(&self) -> Vec<String> {
        self.0.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_examples_of_both_sides_are_said() {
        let texts = |some: &[&str]| some.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        let lookup = |found, of, missing: &[&str], there: &[&str]| Lookup {
            sought: "designations of SSSource".to_owned(),
            are: "in mpc_orbits".to_owned(),
            found,
            of,
            missing: texts(missing),
            holder: "mpc_orbits".into(),
            there: texts(there),
            usual: Usual::Share,
        };
        for (lookup, said) in [
            (
                lookup(0, 2, &["K20B01E", "K20Q03N"], &["2020 BE1"]),
                "none of the 2 designations of SSSource is in mpc_orbits; not found: `K20B01E`, `K20Q03N`; mpc_orbits \
                 has, for example, `2020 BE1`",
            ),
            (
                lookup(1, 9, &["a", "b", "c"], &[]),
                "1 of 9 designations of SSSource is in mpc_orbits; not found: `a`, `b`, `c`, ...; mpc_orbits has none",
            ),
            (
                lookup(2, 2, &[], &["b"]),
                "2 of 2 designations of SSSource are in mpc_orbits; mpc_orbits has, for example, `b`",
            ),
            (lookup(0, 0, &[], &["b"]), "there are no designations of SSSource"),
        ] {
            assert_eq!(lookup.to_string(), said);
        }
    }

    #[test]
    fn little_is_less_than_the_share_and_none_is_always_in_doubt() {
        let lookup = |found, of| Lookup { found, of, ..Lookup::default() };
        for (found, of, fraction) in [(0, 9, 0.1), (4, 9, 0.5), (8, 9, 1.0)] {
            assert!(lookup(found, of).is_below(fraction) && lookup(found, of).is_doubtful(fraction));
        }
        for (found, of, fraction) in [(1, 2, 0.5), (1, 9, 0.0), (9, 9, 1.0)] {
            assert!(!lookup(found, of).is_below(fraction) && !lookup(found, of).is_doubtful(fraction));
        }
        for (of, fraction) in [(0, 0.0), (0, 1.0), (9, 0.0)] {
            assert!(!lookup(0, of).is_below(fraction) && lookup(0, of).is_doubtful(fraction));
        }
    }

    #[test]
    fn what_is_usual_decides_what_is_worth_a_word_and_what_fails() {
        let doubtful = |usual, found| Lookup { found, of: 9, usual, ..Lookup::default() }.is_doubtful(0.5);
        let fails = |usual, found| Lookup { found, of: 9, usual, ..Lookup::default() }.is_below(0.5);
        for (usual, said, failed) in [
            (Usual::Share, [true, true, false, false], [true, true, false, false]),
            (Usual::All, [true, true, true, false], [true, true, false, false]),
            (Usual::Some, [true, false, false, false], [true, false, false, false]),
        ] {
            assert_eq!([0, 4, 8, 9].map(|found| doubtful(usual, found)), said, "{usual:?}");
            assert_eq!([0, 4, 8, 9].map(|found| fails(usual, found)), failed, "{usual:?}");
        }
    }

    #[test]
    fn examples_are_the_first_few_different_ones() {
        let of = |texts: &[&str]| examples(texts.iter().map(|&text| text.to_owned()));
        assert_eq!(of(&["b", "b", "a", "b", "d", "c"]), ["b", "a", "d"]);
        assert_eq!(of(&["b", "b"]), ["b"]);
    }

    #[test]
    fn the_first_few_do_not_depend_on_the_order() {
        let few = |texts: &[&str]| {
            let mut few = Few::default();
            for text in texts {
                few.add(text);
            }
            few.list()
        };
        let expected = ["a", "b", "c"];
        assert_eq!(few(&["e", "a", "d", "c", "a", "b"]), expected);
        assert_eq!(few(&["a", "b", "c", "d", "e", "b"]), expected);
        assert_eq!(few(&["b", "b"]), ["b"]);
    }
}
