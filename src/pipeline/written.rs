//! A text as YAML makes one of several lines, and where in the file each of its parts is written.
//!
//! YAML itself says what it makes of lines: a mark at the beginning of each is looked for in what it makes of the marked
//! file. Not a place for what a text means.

use std::ops::Range;

use super::document::{Node, Place, place_at};

/// A text, where its lines begin, and where values of variables are in it.
pub struct Written<'a> {
    /// The text.
    pub text: String,
    file: &'a str,
    lines: Vec<Line>,
    /// Where values begin and end, in turn.
    values: Vec<usize>,
}

/// A line of the file that a text has a part of.
struct Line {
    /// Where its part of the text begins.
    start: usize,
    /// Where the part begins in the file.
    source: usize,
}

/// Two characters that the file does not have: one before each line, one before and behind each value.
pub struct Marks<'a> {
    file: &'a str,
    line: char,
    value: char,
}

/// Characters without a meaning of their own.
const PRIVATE: Range<char> = '\u{e000}'..'\u{f8ff}';

impl<'a> Marks<'a> {
    /// For a file with this text.
    pub fn new(file: &'a str) -> Self {
        let mut unused = PRIVATE.filter(|c| !file.contains(*c));
        let line = unused.next().unwrap_or(PRIVATE.start);
        Self { file, line, value: unused.next().unwrap_or(PRIVATE.end) }
    }

    /// What to put before and behind each value.
    pub fn of_value(&self) -> String {
        self.value.to_string()
    }

    /// The document of the file with a mark before each further line of these texts.
    pub fn document(&self, texts: &[&Node]) -> Option<Node> {
        let mut starts: Vec<usize> = texts.iter().flat_map(|node| self.further_lines(node)).collect();
        // An alias has the lines of its anchor.
        starts.sort_unstable();
        starts.dedup();
        let mut marked = self.file.to_owned();
        starts.into_iter().rev().for_each(|start| marked.insert(start, self.line));
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

    /// A text of the marked document, which `node` is without marks.
    pub fn read(&self, marked: &str, node: &Node) -> Written<'a> {
        let mut sources = std::iter::once(node.source.start).chain(self.further_lines(node));
        let mut begin = |start| sources.next().map(|source| Line { start, source });
        let lines = begin(0).into_iter().collect();
        let mut written = Written { text: String::new(), file: self.file, lines, values: Vec::new() };
        for c in marked.chars() {
            if c == self.line {
                written.lines.extend(begin(written.text.len()));
            } else if c == self.value {
                written.values.push(written.text.len());
            } else {
                written.text.push(c);
            }
        }
        written
    }
}

impl Written<'_> {
    /// Where a part of the text is in the file.
    pub fn place(&self, at: usize, part: &str) -> Place {
        let Some(line) = self.lines.iter().rev().find(|line| line.start <= at) else {
            return Place::default();
        };
        // Escapes and variables are of another length in the file, so the part is looked for.
        let before = self.text[line.start..at].matches(part).count();
        let source = self.file.get(line.source..).unwrap_or_default();
        let source = source.split(['\n', '\r']).next().unwrap_or_default();
        let found = source.match_indices(part).nth(before).map_or(0, |(byte, _)| byte);
        place_at(self.file, line.source + found)
    }

    /// The parts of a range that are on a line of the file of their own, but for the first.
    pub fn further_lines(&self, range: Range<usize>) -> impl Iterator<Item = &str> {
        let starts = self.lines.iter().map(|line| line.start).chain([self.text.len()]);
        let ends = starts.clone().skip(1);
        let inside = starts.zip(ends).filter(move |(start, _)| range.start < *start && *start < range.end);
        inside.map(move |(start, end)| &self.text[start..end.min(range.end)])
    }

    /// What a range has behind the value of a variable in which it begins.
    pub fn behind_value(&self, range: Range<usize>) -> Option<&str> {
        let value = self
            .values
            .chunks(2)
            .find(|value| value[0] <= range.start && value.last() > Some(&range.start))?;
        self.text.get(*value.last()?..range.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::document::Value;

    fn written(file: &str) -> Written<'_> {
        let (document, marks) = (Node::parse(file).unwrap(), Marks::new(file));
        let node = document.get("a").unwrap();
        let marked = marks.document(&[node]).unwrap();
        let Some(Value::Text(text)) = marked.get("a").map(|node| node.value.clone()) else {
            panic!("{file}")
        };
        assert!(
            matches!(&node.value, Value::Text(plain) if *plain == marks.read(&text, node).text),
            "{file}"
        );
        marks.read(&text, node)
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
            let lines: Vec<&str> = file.split(['\n', '\r']).collect();
            let (line, found) = file
                .replace("\r\n", "\n")
                .split(['\n', '\r'])
                .enumerate()
                .find_map(|(line, text)| Some((line + 1, text.find("three x")? + 7)))
                .unwrap();
            assert_eq!((place.line, place.column), (line as u64, found as u64), "{lines:?}");
            let further: Vec<&str> = written.further_lines(4..at + 1).collect();
            assert_eq!(further, ["three x"], "{file:?}");
        }
    }
}
