//! The text of a query: one statement that returns rows, as the server needs it inside a COPY.
//!
//! Reads just enough of SQL to know where a statement ends and whether it is a plain scan of one table; what it means is
//! for the server.

mod lexer;
mod name;
mod scan;

use std::collections::BTreeMap;
use std::ops::Range;

pub(crate) use lexer::{Token, TokenKind, lex};
pub(super) use name::literal;
pub(crate) use name::{TableName, quoted};
pub(crate) use scan::PlainScan;

use crate::characters::{Strange, look_alike};

/// Why a text is not a query.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SqlError {
    /// Nothing but blanks and comments.
    #[error("the SQL is empty")]
    Empty,
    /// A quote or comment that is not closed.
    #[error("{what} that begins in line {line} is not closed")]
    Open { what: &'static str, line: usize },
    /// More follows the `;`.
    #[error("there is more than one statement: another begins in line {line}")]
    Several { line: usize },
    /// A character that looks like another, or cannot be seen, outside of strings, quoted names and comments. The server
    /// would take it for a letter of a name.
    #[error("line {line}, column {column} of the query has {strange}, or put it in quotes if you mean it")]
    Strange { strange: Strange, line: usize, column: usize },
    /// It does something else than return rows.
    #[error("`{0}` is not a query: an export only reads (SELECT, WITH, VALUES or TABLE)")]
    NotAQuery(String),
    /// A table's name that is none.
    #[error("`{0}` is not a table's name: write `name` or `schema.name`")]
    TableName(String),
}

/// One statement that returns rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    text: String,
    may_invent_nulls: bool,
    scan: Option<PlainScan>,
    date_word: Option<&'static str>,
}

/// What a statement that returns rows begins with.
const BEGINNINGS: [&str; 4] = ["select", "with", "values", "table"];
/// Words of a literal that are another moment each time, as dates and times are read.
const DATE_WORDS: [&str; 4] = ["now", "today", "tomorrow", "yesterday"];
/// Words without which no row can have a NULL in a column that has none in its table: outer joins and grouping sets.
const NULL_INVENTORS: [&str; 6] = ["left", "right", "full", "grouping", "rollup", "cube"];

impl Query {
    /// Takes a text as one query; a `;` and comments at its end are left out.
    ///
    /// # Errors
    /// [`SqlError`].
    pub fn new(sql: &str) -> Result<Self, SqlError> {
        let mut tokens = lex(sql).map_err(|error| strange(sql, 0..sql.len()).unwrap_or(error))?;
        tokens.retain(|token| token.kind != TokenKind::Comment);
        let mut plain =
            tokens.iter().filter(|token| matches!(token.kind, TokenKind::Word | TokenKind::Symbol));
        if let Some(error) = plain.find_map(|token| strange(sql, token.start..token.end)) {
            return Err(error);
        }
        while tokens.last().is_some_and(|token| token.is_symbol(sql, ';')) {
            tokens.pop();
        }
        let end = tokens.last().map(|token| token.end).ok_or(SqlError::Empty)?;
        if let Some(at) = tokens.iter().position(|token| token.is_symbol(sql, ';')) {
            let next = tokens.get(at + 1).map_or(end, |token| token.start);
            return Err(SqlError::Several { line: lexer::line_of(sql, next) });
        }
        let first = tokens.iter().find(|token| !token.is_symbol(sql, '(')).ok_or(SqlError::Empty)?;
        let word = first.text(sql);
        let begins = BEGINNINGS.iter().any(|beginning| word.eq_ignore_ascii_case(beginning));
        if first.kind != TokenKind::Word || !begins {
            return Err(SqlError::NotAQuery(word.to_owned()));
        }
        let invents = |token: &Token| NULL_INVENTORS.iter().any(|word| token.is_word(sql, word));
        Ok(Self {
            text: sql[..end].to_owned(),
            may_invent_nulls: tokens.iter().any(invents),
            scan: PlainScan::recognise(sql, &tokens),
            date_word: tokens.iter().find_map(|token| date_word(token, sql)),
        })
    }

    /// All columns named of a table, in this order.
    pub fn of_table(table: &TableName, columns: &[String]) -> Self {
        let columns: Vec<String> = columns.iter().map(|column| quoted(column)).collect();
        let text = format!("SELECT {} FROM {table}", columns.join(", "));
        let scan = PlainScan::of_table(table, &text);
        Self { text, may_invent_nulls: false, scan: Some(scan), date_word: None }
    }

    /// All columns named of a table, in this order, and after them a column for each expression.
    ///
    /// # Errors
    /// [`SqlError`], if an expression is none.
    pub fn computed(
        table: &TableName,
        columns: &[String],
        computed: &BTreeMap<String, String>,
    ) -> Result<Self, SqlError> {
        let columns = columns.iter().map(|column| quoted(column));
        // On a line of its own, so that a comment at the end of an expression ends with it.
        let computed = computed.iter().map(|(name, sql)| format!("({sql}\n) AS {}", quoted(name)));
        let columns: Vec<String> = columns.chain(computed).collect();
        Self::new(&format!("SELECT {} FROM {table}", columns.join(", ")))
    }

    /// Checks the expression of a column.
    ///
    /// # Errors
    /// [`SqlError`], with places in the expression.
    pub fn expression(sql: &str) -> Result<(), SqlError> {
        const BEFORE: &str = "SELECT (";
        if lex(sql).is_ok_and(|tokens| tokens.iter().all(|token| token.kind == TokenKind::Comment)) {
            return Err(SqlError::Empty);
        }
        let place = |error| match error {
            SqlError::Strange { mut strange, line, column } => {
                strange.at -= BEFORE.len();
                SqlError::Strange {
                    strange,
                    line,
                    column: if line == 1 { column - BEFORE.len() } else { column },
                }
            }
            other => other,
        };
        Self::new(&format!("{BEFORE}{sql}\n)")).map(drop).map_err(place)
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether a column may be NULL though it is NOT NULL in its table.
    pub fn may_invent_nulls(&self) -> bool {
        self.may_invent_nulls
    }

    /// A word of a literal that is another moment each time, if the literal is read as a date or time.
    pub fn date_word(&self) -> Option<&'static str> {
        self.date_word
    }

    /// The parts of it, if it may be a plain scan of one table; only the server's plan can tell.
    pub fn scan(&self) -> Option<&PlainScan> {
        self.scan.as_ref()
    }
}

/// The error for the first character of a part of a query that looks like another, or cannot be seen.
fn strange(sql: &str, part: Range<usize>) -> Option<SqlError> {
    let mut strange = look_alike(&sql[part.clone()])?;
    strange.at += part.start;
    let before = &sql[..strange.at];
    let line = lexer::line_of(sql, strange.at);
    let column = before.chars().rev().take_while(|&c| c != '\n').count() + 1;
    Some(SqlError::Strange { strange, line, column })
}

fn date_word(token: &Token, sql: &str) -> Option<&'static str> {
    let text = Some(token.text(sql)).filter(|_| token.kind == TokenKind::Literal)?;
    let mut words = text.split(|c: char| !c.is_alphanumeric());
    words.find_map(|word| DATE_WORDS.into_iter().find(|known| word.eq_ignore_ascii_case(known)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(sql: &str) -> String {
        Query::new(sql).unwrap().text().to_owned()
    }

    #[test]
    fn the_end_of_a_statement_is_cut_off() {
        for (sql, expected) in [
            ("SELECT 1", "SELECT 1"),
            ("SELECT 1;", "SELECT 1"),
            ("SELECT 1 ; ; -- done\n/* really; /* nested */ ; */", "SELECT 1"),
            ("-- first\nSELECT 1 -- one", "-- first\nSELECT 1"),
            ("SELECT a -- one\rFROM t", "SELECT a -- one\rFROM t"),
            ("(SELECT 1) UNION (SELECT 2);", "(SELECT 1) UNION (SELECT 2)"),
            (
                "SELECT ';' || E'\\';' || \"a;\"\"b\" || $$;$$ || $x$;$$;$x$;",
                "SELECT ';' || E'\\';' || \"a;\"\"b\" || $$;$$ || $x$;$$;$x$",
            ),
            ("VALUES (1)", "VALUES (1)"),
            ("TABLE t", "TABLE t"),
            ("with a as (select 1) table a", "with a as (select 1) table a"),
            ("select $1; ", "select $1"),
            ("select 'it''s;'", "select 'it''s;'"),
            ("select e'a\\\\';", "select e'a\\\\'"),
        ] {
            assert_eq!(text(sql), expected, "{sql}");
        }
    }

    #[test]
    fn what_is_no_query_is_named() {
        for (sql, expected) in [
            ("", SqlError::Empty),
            (" ; -- x", SqlError::Empty),
            ("((", SqlError::Empty),
            ("INSERT INTO t VALUES (1)", SqlError::NotAQuery("INSERT".into())),
            ("\"select\" 1", SqlError::NotAQuery("\"select\"".into())),
            ("SELECT 1;\nSELECT 2", SqlError::Several { line: 2 }),
            ("SELECT 1; DROP TABLE t;", SqlError::Several { line: 1 }),
            ("SELECT 'a", SqlError::Open { what: "a string", line: 1 }),
            ("SELECT\n\"a", SqlError::Open { what: "a quoted name", line: 2 }),
            ("SELECT 1 /* /* */", SqlError::Open { what: "a comment", line: 1 }),
            ("SELECT $a$ $b$", SqlError::Open { what: "a dollar-quoted string", line: 1 }),
        ] {
            assert_eq!(Query::new(sql), Err(expected), "{sql}");
        }
    }

    #[test]
    fn computed_columns_follow_the_others() {
        let computed = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter().map(|(name, sql)| ((*name).to_owned(), (*sql).to_owned())).collect();
            Query::computed(&"t".parse().unwrap(), &["a".to_owned()], &pairs).unwrap().text().to_owned()
        };
        assert_eq!(computed(&[]), "SELECT \"a\" FROM \"t\"");
        assert_eq!(
            computed(&[("z", "a -- one"), ("a \"b\"", "j->'x'")]),
            "SELECT \"a\", (j->'x'\n) AS \"a \"\"b\"\"\", (a -- one\n) AS \"z\" FROM \"t\""
        );
    }

    #[test]
    fn what_is_no_expression_is_named() {
        for sql in ["j->'CAR'", "a -- one", "CASE\nWHEN a THEN b\nEND", "';'", "(SELECT max(b) FROM t)"] {
            assert_eq!(Query::expression(sql), Ok(()), "{sql}");
        }
        for (sql, expected) in [
            ("", SqlError::Empty),
            (" /* a */ -- b", SqlError::Empty),
            ("1); DROP TABLE t", SqlError::Several { line: 1 }),
            ("'a", SqlError::Open { what: "a string", line: 1 }),
            ("1 +\n\"a", SqlError::Open { what: "a quoted name", line: 2 }),
        ] {
            assert_eq!(Query::expression(sql), Err(expected), "{sql}");
        }
        for (sql, at, place) in [("a\u{a0}+ 1", 1, (1, 2)), ("a\n+\u{a0}1", 3, (2, 2))] {
            let Err(SqlError::Strange { strange, line, column }) = Query::expression(sql) else {
                panic!("{sql}")
            };
            assert_eq!((strange.at, (line, column)), (at, place), "{sql}");
        }
    }

    #[test]
    fn words_for_moments_are_noticed_in_literals_alone() {
        for (sql, expected) in [
            ("SELECT a FROM t WHERE d > 'yesterday'", Some("yesterday")),
            ("SELECT '{2020-01-01,Today}'::date[]", Some("today")),
            ("SELECT $x$now$x$::timestamptz", Some("now")),
            ("SELECT today FROM \"now\" -- 'now'", None),
            ("SELECT 'nowhere', 'X05'", None),
        ] {
            assert_eq!(Query::new(sql).unwrap().date_word(), expected, "{sql}");
        }
    }

    #[test]
    fn outer_joins_and_grouping_sets_are_noticed() {
        for (sql, expected) in [
            ("SELECT a FROM t", false),
            ("SELECT 'left' FROM \"left\" -- left", false),
            ("SELECT a FROM t LEFT JOIN u USING (a)", true),
            ("SELECT a FROM (SELECT a FROM t FULL JOIN u USING (a)) v", true),
            ("SELECT a FROM t GROUP BY ROLLUP (a)", true),
        ] {
            assert_eq!(Query::new(sql).unwrap().may_invent_nulls(), expected, "{sql}");
        }
    }

    #[test]
    fn a_character_that_is_not_what_it_looks_like_is_named() {
        for (sql, line, column, name) in [
            ("SELECT\u{a0}1", 1, 7, "a no-break space (U+00A0): write a space"),
            ("SELECT 1\u{a0}, 2", 1, 9, "a no-break space (U+00A0): write a space"),
            ("SELECT 1\n  FROM\u{200b} t", 2, 7, "a zero-width space (U+200B): remove it"),
            ("\u{feff}SELECT 1", 1, 1, "a byte order mark (U+FEFF): remove it"),
            ("SELECT ‘a’", 1, 8, "a typographic quote (`‘`, U+2018): write `'`"),
            ("SELECT 'it’s", 1, 11, "a typographic quote (`’`, U+2019): write `'`"),
            ("SELECT 1 – 2", 1, 10, "a typographic dash (`–`, U+2013): write `-`"),
            ("SELECT a FROM t WHERE a ≤ 1", 1, 25, "a less-or-equal sign (`≤`, U+2264): write `<=`"),
            ("ＳELECT 1", 1, 1, "a full-width character (`Ｓ`, U+FF33): write `S`"),
        ] {
            let expected = format!(
                "line {line}, column {column} of the query has {name}, or put it in quotes if you mean it"
            );
            assert_eq!(Query::new(sql).unwrap_err().to_string(), expected);
        }
        for sql in
            ["SELECT '\u{a0}’' -- it’s\u{a0}", "SELECT \"a\u{200b}\" /* – */ FROM größe", "SELECT $$“$$"]
        {
            assert!(Query::new(sql).is_ok(), "{sql}");
        }
    }
}
