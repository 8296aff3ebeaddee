//! Characters that look like others or cannot be seen: their names, and what to write instead.
//!
//! Editors, web pages and mail programs put them into texts. Not a place for which texts are checked.

use std::borrow::Cow;
use std::fmt;

/// A character of a text that is most likely a mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strange {
    /// The byte at which it is.
    pub at: usize,
    pub character: char,
    name: &'static str,
    instead: Instead,
}

/// What to write instead of a character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Instead {
    Write(&'static str),
    /// The character of ASCII that a full-width one stands for.
    Ascii,
    Nothing,
}

use Instead::{Ascii, Nothing, Write};

/// The first and the last character of a kind, its name, and what to write instead.
type Kind = (char, char, &'static str, Instead);

/// Characters that cannot be seen, or that look like a space.
const INVISIBLE: &[Kind] = &[
    ('\0', '\u{8}', "a control character", Nothing),
    ('\u{e}', '\u{1f}', "a control character", Nothing),
    ('\u{7f}', '\u{84}', "a control character", Nothing),
    ('\u{85}', '\u{85}', "a next-line character", Write("a line break")),
    ('\u{86}', '\u{9f}', "a control character", Nothing),
    ('\u{a0}', '\u{a0}', "a no-break space", Write("a space")),
    ('\u{ad}', '\u{ad}', "a soft hyphen", Nothing),
    ('\u{61c}', '\u{61c}', "an invisible mark", Nothing),
    ('\u{1680}', '\u{1680}', "an unusual space", Write("a space")),
    ('\u{180e}', '\u{180e}', "an invisible mark", Nothing),
    ('\u{2000}', '\u{200a}', "an unusual space", Write("a space")),
    ('\u{200b}', '\u{200b}', "a zero-width space", Nothing),
    ('\u{200c}', '\u{200f}', "an invisible mark", Nothing),
    ('\u{2028}', '\u{2029}', "a line separator", Write("a line break")),
    ('\u{202a}', '\u{202e}', "an invisible mark", Nothing),
    ('\u{202f}', '\u{202f}', "a narrow no-break space", Write("a space")),
    ('\u{205f}', '\u{205f}', "an unusual space", Write("a space")),
    ('\u{2060}', '\u{206f}', "an invisible mark", Nothing),
    ('\u{3000}', '\u{3000}', "an ideographic space", Write("a space")),
    ('\u{feff}', '\u{feff}', "a byte order mark", Nothing),
];

/// Characters that a name cannot have, though a longer text can.
const BREAKS: &[Kind] = &[
    ('\t', '\t', "a tab", Nothing),
    ('\n', '\n', "a line break", Nothing),
    ('\u{b}', '\u{c}', "a control character", Nothing),
    ('\r', '\r', "a carriage return", Nothing),
];

/// Quotes that are none for a program.
const QUOTES: &[Kind] = &[
    ('\u{b4}', '\u{b4}', "an accent", Write("`'`")),
    ('\u{2018}', '\u{201b}', "a typographic quote", Write("`'`")),
    ('\u{201c}', '\u{201f}', "a typographic quote", Write("`\"`")),
    ('\u{2032}', '\u{2032}', "a prime", Write("`'`")),
    ('\u{2033}', '\u{2033}', "a double prime", Write("`\"`")),
    ('\u{ab}', '\u{ab}', "a typographic quote", Write("`\"`")),
    ('\u{bb}', '\u{bb}', "a typographic quote", Write("`\"`")),
    ('\u{2039}', '\u{203a}', "a typographic quote", Write("`'`")),
];

/// Signs that look like those of ASCII.
const SIGNS: &[Kind] = &[
    ('\u{d7}', '\u{d7}', "a multiplication sign", Write("`*`")),
    ('\u{2010}', '\u{2015}', "a typographic dash", Write("`-`")),
    ('\u{2026}', '\u{2026}', "an ellipsis", Write("`...`")),
    ('\u{2044}', '\u{2044}', "a fraction slash", Write("`/`")),
    ('\u{2212}', '\u{2212}', "a typographic minus sign", Write("`-`")),
    ('\u{2215}', '\u{2215}', "a division slash", Write("`/`")),
    ('\u{2217}', '\u{2217}', "a typographic asterisk", Write("`*`")),
    ('\u{2260}', '\u{2260}', "a not-equal sign", Write("`<>`")),
    ('\u{2264}', '\u{2264}', "a less-or-equal sign", Write("`<=`")),
    ('\u{2265}', '\u{2265}', "a greater-or-equal sign", Write("`>=`")),
    ('\u{ff01}', '\u{ff5e}', "a full-width character", Ascii),
];

fn kind(character: char, kinds: &[&'static [Kind]]) -> Option<&'static Kind> {
    kinds.iter().copied().flatten().find(|(first, last, ..)| (*first..=*last).contains(&character))
}

fn found(text: &str, kinds: &[&'static [Kind]]) -> Option<Strange> {
    text.char_indices().find_map(|(at, character)| {
        let &(_, _, name, instead) = kind(character, kinds)?;
        Some(Strange { at, character, name, instead })
    })
}

/// Whether a character cannot be seen, or breaks a line.
pub(crate) fn is_unseen(character: char) -> bool {
    kind(character, &[INVISIBLE, BREAKS]).is_some()
}

/// The first character that looks like one that SQL or a number has, or that cannot be seen.
pub(crate) fn look_alike(text: &str) -> Option<Strange> {
    found(text, &[INVISIBLE, QUOTES, SIGNS])
}

/// The first character that cannot be seen, but for tabs and line breaks.
pub(crate) fn unseen(text: &str) -> Option<Strange> {
    found(text, &[INVISIBLE])
}

/// The first character that cannot be seen, or else a typographic quote at the beginning, or a blank at the beginning or end.
pub(crate) fn strange_in_name(text: &str) -> Option<Strange> {
    let first = text.chars().next().map_or(0, char::len_utf8);
    let edge = || {
        let (at, name) = match text.strip_suffix(' ') {
            _ if text.starts_with(' ') => (0, "a space at its beginning"),
            Some(before) => (before.len(), "a space at its end"),
            None => return None,
        };
        Some(Strange { at, character: ' ', name, instead: Nothing })
    };
    found(text, &[INVISIBLE, BREAKS]).or_else(|| found(&text[..first], &[QUOTES])).or_else(edge)
}

/// The text on one line, with characters that cannot be seen in the form of Rust: `\n`, `\u{200b}`.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unseen) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '\t' | '\n' | '\r' => escaped.extend(c.escape_default()),
            c if is_unseen(c) => escaped.extend(c.escape_unicode()),
            c => escaped.push(c),
        }
    }
    escaped.into()
}

/// `a no-break space (U+00A0)`, and what to write instead.
impl fmt::Display for Strange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = u32::from(self.character);
        write!(f, "{} (", self.name)?;
        if self.character != ' ' && !is_unseen(self.character) {
            write!(f, "`{}`, ", self.character)?;
        }
        write!(f, "U+{code:04X}): ")?;
        match self.instead {
            Write(instead) => write!(f, "write {instead}"),
            Ascii => {
                // Full-width characters are in the order of ASCII.
                let ascii = char::from_u32(code - 0xfee0).unwrap_or_default();
                write!(f, "write `{ascii}`")
            }
            Nothing => f.write_str("remove it"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn look_alikes_are_named_with_what_to_write() {
        for (text, at, said) in [
            ("a\u{a0}b", 1, "a no-break space (U+00A0): write a space"),
            ("ab\u{200b}", 2, "a zero-width space (U+200B): remove it"),
            ("\u{feff}a", 0, "a byte order mark (U+FEFF): remove it"),
            ("“x”", 0, "a typographic quote (`“`, U+201C): write `\"`"),
            ("x’", 1, "a typographic quote (`’`, U+2019): write `'`"),
            ("é–1", 2, "a typographic dash (`–`, U+2013): write `-`"),
            ("ＷＨＥＲＥ", 0, "a full-width character (`Ｗ`, U+FF37): write `W`"),
            ("a\0", 1, "a control character (U+0000): remove it"),
        ] {
            let strange = look_alike(text).unwrap();
            assert_eq!((strange.at, strange.to_string().as_str()), (at, said));
        }
        for text in ["", "SELECT a\tb\r\nc", "é ß 星 Ω 😀"] {
            assert_eq!(look_alike(text), None, "{text}");
        }
    }

    #[test]
    fn a_name_may_have_dashes_and_quotes_inside() {
        for text in ["Rubin – nightly", "l’Observatoire", "a×b"] {
            assert_eq!(strange_in_name(text), None, "{text}");
        }
        for text in ["‘a’", "a\u{2009}b", "a\u{200d}", "a\n", "a\r", "a\tb", " a", "a ", "é ", " "] {
            assert!(strange_in_name(text).is_some(), "{text}");
        }
        assert_eq!(strange_in_name("a ").unwrap().to_string(), "a space at its end (U+0020): remove it");
    }
}
