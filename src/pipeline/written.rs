//! A text as YAML makes one of several lines and of values, and where in the file each of its parts is written.
//!
//! To learn what YAML makes of lines, the file is parsed again with a mark before each line: the marks in the text show where
//! its lines begin. Not a place for what a text means.

use std::ops::Range;

use super::document::{Node, Place, place_at};
use super::variables::{Composed, Inserted, Origin};

/// A text, where its lines begin, and where values of variables are in it.
pub(super) struct Written<'a> {
    pub text: String,
    file: &'a str,
    lines: Vec<Line>,
    /// Each before those in it.
    values: Vec<Inserted>,
}

/// A line of the file that a text has a part of.
struct Line {
    /// Where its part of the text begins.
    start: usize,
    /// Where the part begins in the file.
    source: usize,
    /// The value that is written there; of `None`, the text itself.
    value: Option<usize>,
}

/// A part of a text that a comment hides, though in the file it is not in the comment.
pub(super) struct Hidden<'a> {
    pub range: Range<usize>,
    /// Where the last line that is not hidden begins.
    pub from: usize,
    /// The value behind whose end it is; otherwise it is on a further line.
    pub behind: Option<&'a Inserted>,
}

/// A character that the file does not have, to be put before each line.
pub(super) struct Mark<'a> {
    file: &'a str,
    character: char,
}

/// Characters without a meaning of their own.
const PRIVATE: Range<char> = '\u{e000}'..'\u{f8ff}';

impl<'a> Mark<'a> {
    /// For a file with this text.
    pub(super) fn new(file: &'a str) -> Self {
        let character = PRIVATE.clone().find(|c| !file.contains(*c)).unwrap_or(PRIVATE.start);
        Self { file, character }
    }

    /// The document of the file with a mark before each further line of these texts.
    pub(super) fn document(&self, texts: &[&Node]) -> Option<Node> {
        let mut starts: Vec<usize> = texts.iter().flat_map(|node| self.further_lines(node)).collect();
        // An alias has the lines of its anchor.
        starts.sort_unstable();
        starts.dedup();
        let mut marked = self.file.to_owned();
        starts.into_iter().rev().for_each(|start| marked.insert(start, self.character));
        Node::parse(&marked).ok()
    }

    /// The bytes of the file at which the further lines of a text begin, behind their indentation.
    fn further_lines(&self, node: &Node) -> Vec<usize> {
        let source = self.file.get(node.source.clone()).unwrap_or_default();
        let mut starts = Vec::new();
        for (at, _) in source.match_indices(['\n', '\r']) {
            let content = source[at + 1..].trim_start_matches([' ', '\t']);
            if !content.is_empty() && !content.starts_with(['\n', '\r']) {
                starts.push(node.source.start + source.len() - content.len());
            }
        }
        starts
    }

    /// A text of the marked document, which `node` is without marks; its values are written in `vars`.
    pub(super) fn read(&self, marked: &Composed, node: &Node, vars: Option<&Node>) -> Written<'a> {
        let marks: Vec<usize> = marked.text.match_indices(self.character).map(|(at, _)| at).collect();
        let unmarked = |at: usize| at - marks.partition_point(|mark| *mark < at) * self.character.len_utf8();
        let mut written = Written {
            text: marked.text.replace(self.character, ""),
            file: self.file,
            lines: Vec::new(),
            values: marked.values.clone(),
        };
        let node_of = |value: Option<usize>| match value {
            None => Some(node),
            Some(value) => vars?.get(&marked.values[value].reference),
        };
        // The lines of the text and of each value, in which the lines of a default are those of the text that it is in.
        let owners = marked.values.iter().enumerate().filter(|(_, value)| value.origin == Origin::File);
        for owner in std::iter::once(None).chain(owners.map(|(index, _)| Some(index))) {
            let Some(node) = node_of(owner) else { continue };
            let start = owner.map_or(0, |owner| marked.values[owner].range.start);
            let own = marks.iter().copied().filter(|mark| written.owner(written.value_at(*mark)) == owner);
            let sources = std::iter::once(node.source.start).chain(self.further_lines(node));
            let lines = std::iter::once(start).chain(own).zip(sources);
            let lines: Vec<Line> =
                lines.map(|(at, source)| Line { start: unmarked(at), source, value: owner }).collect();
            written.lines.extend(lines);
        }
        for value in &mut written.values {
            value.range = unmarked(value.range.start)..unmarked(value.range.end);
        }
        written
    }
}

impl Written<'_> {
    /// The innermost value that a byte is in.
    fn value_at(&self, at: usize) -> Option<usize> {
        self.values.iter().rposition(|value| value.range.contains(&at))
    }

    /// The value that a value is in.
    fn around(&self, value: usize) -> Option<usize> {
        let range = &self.values[value].range;
        let holds = |outer: &Inserted| outer.range.start <= range.start && range.end <= outer.range.end;
        self.values[..value].iter().rposition(holds)
    }

    /// The value on whose lines a value is written: a default is written in the text that it is in.
    fn owner(&self, mut value: Option<usize>) -> Option<usize> {
        while let Some(inner) = value.filter(|inner| self.values[*inner].origin == Origin::Default) {
            value = self.around(inner);
        }
        value
    }

    /// The variable on whose lines a byte is written; `None` for the lines of the text itself.
    fn variable_at(&self, at: usize) -> Option<&str> {
        self.owner(self.value_at(at)).map(|value| self.values[value].reference.as_str())
    }

    /// What a byte is a part of, for people: the value of a variable, or of the key.
    pub(super) fn name_of(&self, at: usize, key: &str) -> String {
        self.variable_at(at).map_or_else(|| format!("`{key}`"), |name| format!("the value of `${{{name}}}`"))
    }

    /// The key of the file under which a byte is written: a variable, or the key of the text.
    pub(super) fn key_of<'a>(&'a self, at: usize, key: &'a str) -> &'a str {
        self.variable_at(at).unwrap_or(key)
    }

    /// Whether it has values of the environment.
    pub(super) fn has_secrets(&self) -> bool {
        self.values.iter().any(|value| value.origin == Origin::Environment)
    }

    /// The variables of the file that are in the text.
    pub(super) fn variables(&self) -> impl Iterator<Item = &str> {
        let of_file = self.values.iter().filter(|value| value.origin == Origin::File);
        of_file.map(|value| value.reference.as_str())
    }

    /// Where a part of the text is in the file; of a value that is not written there, where it was put in.
    pub(super) fn place(&self, mut at: usize, part: &str) -> Place {
        let mut part = part.to_owned();
        let mut value = self.owner(self.value_at(at));
        while let Some(inner) = value.filter(|_| !self.lines.iter().any(|line| line.value == value)) {
            at = self.values[inner].range.start;
            part = format!("${{{}", self.values[inner].reference);
            value = self.owner(self.around(inner));
        }
        let mut lines = self.lines.iter().rev().filter(|line| line.value == value);
        let Some(line) = lines.find(|line| line.start <= at) else { return Place::default() };
        // Escapes and variables are of another length in the file, so the part is looked for.
        let before = self.text[line.start..at].matches(&part).count();
        let source = self.file.get(line.source..).unwrap_or_default();
        let source = source.split(['\n', '\r']).next().unwrap_or_default();
        let found = source.match_indices(&part).nth(before).map_or(0, |(byte, _)| byte);
        place_at(self.file, line.source + found)
    }

    /// Where the character at a byte of the text is in the file.
    pub(super) fn place_of_character(&self, at: usize) -> Place {
        let character = self.text.get(at..).and_then(|rest| rest.chars().next()).unwrap_or_default();
        self.place(at, &character.to_string())
    }

    /// The end of what is written on one line with a byte: that of the line, or of the value that the byte is in.
    fn end_of_line(&self, at: usize) -> usize {
        let value = self.value_at(at);
        let end = value.map_or(self.text.len(), |value| self.values[value].range.end);
        let owner = self.owner(value);
        let lines = self.lines.iter().filter(|line| line.value == owner && at < line.start);
        lines.map(|line| line.start).fold(end, usize::min)
    }

    /// The first part of a comment that is on a further line of the file or behind the value in which the comment begins,
    /// and is no comment there: it does not begin with `sign`.
    pub(super) fn hidden(&self, comment: Range<usize>, sign: &str) -> Option<Hidden<'_>> {
        let mut at = comment.start;
        loop {
            let start = self.end_of_line(at);
            if start >= comment.end {
                return None;
            }
            let part = self.text[start..self.end_of_line(start).min(comment.end)].trim();
            if !part.is_empty() && !part.starts_with(sign) {
                let value = self.value_at(at).map(|value| &self.values[value]);
                let behind = value.filter(|value| value.range.end == start);
                return Some(Hidden { range: start..comment.end, from: at, behind });
            }
            at = start;
        }
    }

    /// A part of the text for people, without values of the environment.
    pub(super) fn shown(&self, range: Range<usize>) -> String {
        let mut shown = String::new();
        let mut at = range.start;
        for value in self.values.iter().filter(|value| value.origin == Origin::Environment) {
            if at < value.range.end && value.range.start < range.end {
                shown += self.text.get(at..value.range.start).unwrap_or_default();
                shown += &format!("${{{}}}", value.reference);
                at = value.range.end;
            }
        }
        shown + self.text.get(at..range.end).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::document::Value;

    fn written(file: &str) -> Written<'_> {
        let (document, mark) = (Node::parse(file).unwrap(), Mark::new(file));
        let node = document.get("a").unwrap();
        let marked = mark.document(&[node]).unwrap();
        let Some(Value::Text(text)) = marked.get("a").map(|node| node.value.clone()) else {
            panic!("{file}")
        };
        let written = mark.read(&Composed { text, values: Vec::new() }, node, None);
        assert!(matches!(&node.value, Value::Text(plain) if *plain == written.text), "{file}");
        written
    }

    #[test]
    fn every_part_is_found_whatever_yaml_makes_of_lines() {
        for file in [
            "a: >\n  one two\n  three x\n",
            "a: >-\r\n  one two\r\n  three x\r\n",
            "a: >+\n\n  one two\n\n\n  three x\n\n",
            "a: |2\n   one two\n  three x\n",
            "a: >\n  one two\n    three x\n  end\n",
            "a: one two\n  three x\n",
            "a: 'one two\n  three x'\n",
            "a: \"one two\n\n  three x\"\n",
            "a: \"one two\\\n  three x\\n\"\n",
            "{\"a\": \"one two\r  three x\"}",
            "\u{feff}a: one two\n \t three x\n",
            "z: &z one two\n  three x\na: *z\n",
        ] {
            let written = written(file);
            let at = written.text.find('x').unwrap();
            let place = written.place(at, "x");
            let (line, found) = file
                .replace("\r\n", "\n")
                .split(['\n', '\r'])
                .enumerate()
                .find_map(|(line, text)| Some((line + 1, text.find("three x")? + 7)))
                .unwrap();
            assert_eq!((place.line, place.column), (line as u64, found as u64), "{file:?}");
            let hidden = written.hidden(4..at + 1, "--").unwrap();
            assert_eq!(written.shown(hidden.range), "three x", "{file:?}");
        }
    }
}
