//! What a look-up found: a join, a filter, a search by name. One that finds little is worth a word, for the output has little
//! in it then.

use std::collections::BTreeSet;
use std::fmt;

/// How many of the things that were looked up were found, with examples of both sides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lookup {
    /// What was looked up, in the plural, and where it is from: `ids of obs_sbn.parquet`.
    pub sought: String,
    /// What those are that were found: `in column diaSourceId of the datasets`.
    pub are: String,
    /// How many were found.
    pub found: u64,
    /// How many were looked up.
    pub of: u64,
    /// Those that were not found, up to [`FEW`].
    pub missing: Vec<String>,
    /// Where they were looked up, if it can be said what is there instead.
    pub holder: &'static str,
    /// A few of what is there.
    pub there: Vec<String>,
}

impl Lookup {
    /// Whether less than this part of all was found; if none was, it always is.
    #[must_use]
    pub fn is_below(&self, fraction: f64) -> bool {
        self.found == 0 || (self.found as f64) < fraction * self.of as f64
    }
}

impl fmt::Display for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sought, are, found, of, missing, holder, there } = self;
        match (found, of) {
            (_, 0) => return write!(f, "there are no {sought}: none can be {are}"),
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
        match (*holder, &there[..]) {
            ("", _) => Ok(()),
            (holder, []) => write!(f, "; {holder} has none"),
            (holder, there) => write!(f, "; {holder} has, for example, {}", listed(there)),
        }
    }
}

/// Examples that a message gives.
pub const FEW: usize = 3;

/// The first few texts of many, in their order and each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Few(BTreeSet<String>);

impl Few {
    /// One more.
    pub fn add(&mut self, one: &str) {
        let comes_late = self.0.len() == FEW && self.0.last().is_some_and(|last| last.as_str() <= one);
        if !comes_late && !self.0.contains(one) {
            self.0.insert(one.to_owned());
            if self.0.len() > FEW {
                self.0.pop_last();
            }
        }
    }

    /// All of others.
    pub fn merge(&mut self, others: &Self) {
        others.0.iter().for_each(|one| self.add(one));
    }

    /// As a list.
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
            holder: "mpc_orbits",
            there: texts(there),
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
            (lookup(0, 0, &[], &["b"]), "there are no designations of SSSource: none can be in mpc_orbits"),
        ] {
            assert_eq!(lookup.to_string(), said);
        }
    }

    #[test]
    fn little_is_less_than_the_share_and_none_always() {
        let below = |found, of, fraction| Lookup { found, of, ..Lookup::default() }.is_below(fraction);
        assert!(below(0, 0, 0.0) && below(0, 9, 0.0) && below(4, 9, 0.5) && below(8, 9, 1.0));
        assert!(!below(1, 2, 0.5) && !below(1, 9, 0.0) && !below(9, 9, 1.0));
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
