//! What is wrong with the rows of an input: how many, and the first few.

use std::fmt;

/// How many of something there are, and the first few.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offenders {
    what: [&'static str; 2],
    count: u64,
    /// The first in order.
    few: Vec<String>,
}

impl Offenders {
    /// How many are named.
    pub(crate) const FEW: usize = 5;

    /// None so far; `what` names one and several of them.
    pub(crate) fn new(what: [&'static str; 2]) -> Self {
        Self { what, count: 0, few: Vec::new() }
    }

    /// One more. They come in an order that does not depend on the order of the rows.
    pub(crate) fn add(&mut self, one: impl fmt::Display) {
        self.count += 1;
        if self.few.len() < Self::FEW {
            self.few.push(one.to_string());
        }
    }

    /// Those that come after these.
    pub(crate) fn merge(&mut self, after: Self) {
        self.count += after.count;
        self.few.extend(after.few);
        self.few.truncate(Self::FEW);
    }

    /// All of these, which are in order.
    pub(crate) fn all(what: [&'static str; 2], all: impl IntoIterator<Item = impl fmt::Display>) -> Self {
        let mut offenders = Self::new(what);
        all.into_iter().for_each(|one| offenders.add(one));
        offenders
    }

    /// A count, with the first few in order.
    pub(crate) fn of(what: [&'static str; 2], count: u64, first: Vec<impl fmt::Display>) -> Self {
        Self { what, count, few: first.into_iter().map(|one| one.to_string()).collect() }
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The error that `make` makes of them, if there are any.
    pub(crate) fn none<E>(self, make: impl FnOnce(Self) -> E) -> Result<(), E> {
        if self.count == 0 { Ok(()) } else { Err(make(self)) }
    }
}

impl fmt::Display for Offenders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = self.what[usize::from(self.count != 1)];
        let list = self.few.join(", ");
        let more = if self.count > self.few.len() as u64 { ", ..." } else { "" };
        write!(f, "{} {what} ({list}{more})", self.count)
    }
}

/// The ids that sorted rows have more than once.
pub(crate) fn more_than_once<T, K: PartialEq>(rows: &[T], id: impl Fn(&T) -> K) -> Vec<K> {
    let pairs = rows.windows(2).map(|pair| (id(&pair[0]), id(&pair[1])));
    let mut ids: Vec<K> = pairs.filter(|(one, next)| one == next).map(|(one, _)| one).collect();
    ids.dedup();
    ids
}

/// diaSourceIds with which something is wrong: how many, and the lowest few, however many there are.
#[derive(Default)]
pub(crate) struct Wrong {
    count: u64,
    lowest: Vec<i64>,
}

impl Wrong {
    /// Takes in those of a partition.
    pub(crate) fn extend(&mut self, ids: Vec<i64>) {
        self.count += ids.len() as u64;
        self.lowest.extend(ids);
        self.lowest.sort_unstable();
        self.lowest.truncate(Offenders::FEW);
        self.lowest.shrink_to_fit();
    }

    pub(crate) fn lowest(&self) -> &[i64] {
        &self.lowest
    }

    /// As offenders, in their order.
    pub(crate) fn offenders(self) -> Offenders {
        Offenders::of(["diaSourceId", "diaSourceIds"], self.count, self.lowest)
    }
}
