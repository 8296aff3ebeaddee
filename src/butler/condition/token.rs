//! A condition's text to tokens.

use super::{At, Mistake, Operator};
use crate::characters::look_alike;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A name or a keyword.
    Word(String),
    Text(String),
    Integer(i64),
    Operator(Operator),
    Open,
    Close,
    Comma,
    /// `..`
    Range,
    End,
}

impl Token {
    /// How messages call it.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Word(word) => format!("`{word}`"),
            Self::Text(text) => format!("the text '{text}'"),
            Self::Integer(number) => format!("the number {number}"),
            Self::Operator(_) => "an operator".to_owned(),
            Self::Open => "`(`".to_owned(),
            Self::Close => "`)`".to_owned(),
            Self::Comma => "`,`".to_owned(),
            Self::Range => "`..`".to_owned(),
            Self::End => "the end".to_owned(),
        }
    }

    pub(super) fn is_keyword(&self, keyword: &str) -> bool {
        matches!(self, Self::Word(word) if word.eq_ignore_ascii_case(keyword))
    }
}

const OPERATORS: [(&str, Operator); 8] = [
    ("<=", Operator::LessOrEqual),
    (">=", Operator::GreaterOrEqual),
    ("!=", Operator::NotEqual),
    ("<>", Operator::NotEqual),
    ("==", Operator::Equal),
    ("=", Operator::Equal),
    ("<", Operator::Less),
    (">", Operator::Greater),
];

/// All tokens, the end last.
pub(super) fn tokens(text: &str) -> Result<Vec<At<Token>>, Mistake> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        if chars[at].is_whitespace() {
            at += 1;
            continue;
        }
        let (token, length) = token(&chars[at..]).map_err(|message| Mistake { at, message })?;
        tokens.push(At { at, it: token });
        at += length;
    }
    tokens.push(At { at, it: Token::End });
    Ok(tokens)
}

/// The token that the text starts with, and how many characters it has.
fn token(chars: &[char]) -> Result<(Token, usize), String> {
    let first = chars[0];
    if let Some((spelling, operator)) = OPERATORS.iter().find(|(spelling, _)| starts_with(chars, spelling)) {
        return Ok((Token::Operator(*operator), spelling.len()));
    }
    if ["--", "/*", "#"].iter().any(|sign| starts_with(chars, sign)) {
        return Err("a condition has no comments: remove it, or write it above as one of YAML".to_owned());
    }
    match first {
        '(' => Ok((Token::Open, 1)),
        ')' => Ok((Token::Close, 1)),
        ',' => Ok((Token::Comma, 1)),
        '.' if starts_with(chars, "..") => Ok((Token::Range, 2)),
        '\'' | '"' => quoted(chars, first),
        '-' | '+' | '0'..='9' => {
            let digits = chars.iter().skip(1).take_while(|c| c.is_ascii_digit()).count() + 1;
            let number: String = chars[..digits].iter().collect();
            let next = chars.get(digits).copied().unwrap_or(' ');
            let fraction = next == '.' && chars.get(digits + 1) != Some(&'.');
            if fraction || next.is_alphanumeric() || next == '_' {
                return Err("only whole numbers and quoted texts are values".to_owned());
            }
            let value = number.parse().map_err(|_| format!("`{number}` is not a whole number of 64 bits"))?;
            Ok((Token::Integer(value), digits))
        }
        c if c.is_alphabetic() || c == '_' => {
            let word: String =
                chars.iter().take_while(|c| c.is_alphanumeric() || "_.".contains(**c)).collect();
            let length = word.chars().count();
            Ok((Token::Word(word), length))
        }
        ';' => Err("`;` has no meaning here: remove it".to_owned()),
        other => Err(match look_alike(other.encode_utf8(&mut [0; 4])) {
            Some(strange) => format!("this is {strange}"),
            None => format!("`{other}` has no meaning here"),
        }),
    }
}

fn starts_with(chars: &[char], text: &str) -> bool {
    text.chars().enumerate().all(|(index, c)| chars.get(index) == Some(&c))
}

/// A text in quotes; a doubled quote stands for one.
fn quoted(chars: &[char], quote: char) -> Result<(Token, usize), String> {
    let mut text = String::new();
    let mut at = 1;
    loop {
        match (chars.get(at), chars.get(at + 1)) {
            (None, _) => return Err(format!("this text has no closing {quote}")),
            (Some(c), Some(next)) if *c == quote && *next == quote => {
                text.push(quote);
                at += 2;
            }
            (Some(c), _) if *c == quote => return Ok((Token::Text(text), at + 1)),
            (Some(c), _) => {
                text.push(*c);
                at += 1;
            }
        }
    }
}
