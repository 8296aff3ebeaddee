//! Conditions on the data ID: `instrument = 'LSSTCam' AND day_obs >= 20250715 AND band IN ('g', 'r')`.
//!
//! A text becomes a [`Condition`], and that a piece of SQL. Not a place for which names there are: the caller says.

mod parse;
mod sql;
mod token;

pub(super) use sql::{DimensionKind, Name};

use super::dataset::DataValue;
use super::error::Error;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    text: String,
    node: Node,
}

impl Condition {
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        parse::parse(text)
            .map(|node| Self { text: text.to_owned(), node })
            .map_err(|mistake| mistake.in_text(text))
    }
}

/// What is wrong with a condition, and at which byte.
#[must_use]
pub fn mistake(text: &str) -> Option<(usize, String)> {
    let mistake = parse::parse(text).err()?;
    let at = text.char_indices().nth(mistake.at).map_or(text.len(), |(at, _)| at);
    Some((at, mistake.message))
}

/// What is wrong, and where: the offset in characters from 0.
#[derive(Debug)]
struct Mistake {
    at: usize,
    message: String,
}

impl Mistake {
    fn in_text(self, text: &str) -> Error {
        // The line alone, so that the caret is below its character.
        let before: String = text.chars().take(self.at).collect();
        let column = before.chars().rev().take_while(|&c| c != '\n').count();
        let text = text.lines().nth(before.matches('\n').count()).unwrap_or_default().to_owned();
        Error::Condition { text, position: column + 1, message: self.message }
    }
}

/// A name or a value, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
struct At<T> {
    at: usize,
    it: T,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    Compare { name: At<String>, operator: Operator, value: At<DataValue> },
    In { name: At<String>, negated: bool, items: Vec<Item> },
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    One(At<DataValue>),
    /// From the first to the last, both included.
    Range(At<DataValue>, At<DataValue>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[cfg(test)]
mod tests;
