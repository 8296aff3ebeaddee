//! Queries that a comment of YAML cuts: `j #> '{a}'` without quotes ends before the `#`.
//!
//! A `#` belongs to the query only if SQL would read it as an operator with an operand. Not a place for the message.

use crate::postgres::sql::{Token, TokenKind, lex};

/// Words behind which no operator can be: names of tables, numbers of rows.
const NAMES: [&str; 6] = ["from", "join", "using", "limit", "offset", "into"];
/// Words behind which values are.
const VALUES: [&str; 9] = ["select", "where", "on", "having", "by", "and", "or", "not", "when"];
/// Words that are no operand.
const RESERVED: [&str; 13] =
    ["and", "as", "from", "group", "having", "in", "join", "limit", "on", "or", "order", "union", "where"];

/// Whether the text behind a query on its line, `#` and more, belongs to the query.
pub(super) fn continues(query: &str, comment: &str) -> bool {
    let (Ok(before), Ok(behind)) = (lex(query), lex(comment)) else { return false };
    let words = || before.iter().filter(|token| token.kind == TokenKind::Word);
    let is_one_of = |token: &Token, text: &str, words: &[&str]| {
        token.kind == TokenKind::Word && words.iter().any(|word| token.text(text).eq_ignore_ascii_case(word))
    };
    let clause = words().rfind(|token| is_one_of(token, query, &NAMES) || is_one_of(token, query, &VALUES));
    if clause.is_some_and(|clause| is_one_of(clause, query, &NAMES)) {
        return false;
    }
    // `#>>`, `#>` and `#-` take a path, which is a string, an array or a parameter.
    let path =
        ["#>>", "#>", "#-"].iter().find_map(|operator| comment.strip_prefix(operator)).map(str::trim_start);
    if path.is_some_and(|path| {
        path.starts_with(['\'', '$', '(', '"']) || path.to_ascii_lowercase().starts_with("array[")
    }) {
        return true;
    }
    // `#` alone takes a number: bits that differ.
    let [_, operand, next, ..] = &behind[..] else { return false };
    let symbol = operand.kind == TokenKind::Symbol;
    if symbol || is_one_of(operand, comment, &RESERVED) {
        return false;
    }
    let has = |tokens: &[Token], text: &str, word| tokens.iter().any(|token| is_one_of(token, text, &[word]));
    if has(&before, query, "select") && !has(&before, query, "from") {
        return has(&behind, comment, "from") && (next.kind == TokenKind::Word || next.text(comment) == ",");
    }
    // One side of a comparison; the other side follows.
    let compares = |token: &Token, text: &str| {
        token.kind == TokenKind::Symbol && matches!(token.text(text), "=" | "<" | ">" | "!")
    };
    let since = clause.map_or(0, |clause| clause.end);
    let compared = before.iter().any(|token| token.start >= since && compares(token, query));
    !compared && !before.is_empty() && compares(next, comment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_operator_with_its_operand_continues() {
        for (query, comment) in [
            ("SELECT a", "#b FROM t"),
            ("SELECT a", "# b FROM t"),
            ("SELECT a", "# b, c FROM t"),
            ("SELECT j", "#>> '{a,b}'"),
            ("SELECT j", "#>'{a}' FROM t"),
            ("SELECT a FROM t WHERE j", "#> ARRAY['a'] = 'x'"),
            ("SELECT j", "#- '{a}' FROM t"),
            ("SELECT a FROM t WHERE flags", "# 4 = 0"),
            ("SELECT a FROM t WHERE x = 1 AND flags", "#mask <> 0"),
            ("flags", "# 4 = 0"),
        ] {
            assert!(continues(query, comment), "{query} {comment}");
        }
        for (query, comment) in [
            ("SELECT id FROM obs", "#ours"),
            ("SELECT id FROM obs", "# TODO: JOIN with orbits"),
            ("SELECT id FROM obs", "# AND now for something"),
            ("SELECT id FROM obs", "# JSON of the survey: FROM and AND"),
            ("SELECT id FROM obs", "# AS in 2024"),
            ("SELECT id FROM obs", "# where stn='X05'"),
            ("SELECT id FROM obs", "#> see '{a}'"),
            ("SELECT id FROM obs", "#-------- ours"),
            ("SELECT id FROM obs WHERE stn = 'X05'", "# X05 = Rubin"),
            ("SELECT id FROM obs WHERE stn = 'X05'", "# taken from the survey"),
            ("SELECT id FROM obs WHERE stn = 'X05'", "# AND mag < 21"),
            ("SELECT id FROM obs WHERE stn = 'X05'", "# it's ours"),
            ("SELECT max(id) FROM obs WHERE ok", "# optional, see above"),
            ("SELECT 1", "## the only one"),
            ("stn = 'X05'", "# AND mag < 21"),
        ] {
            assert!(!continues(query, comment), "{query} {comment}");
        }
    }
}
