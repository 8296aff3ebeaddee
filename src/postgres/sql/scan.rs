//! Queries that may be plain scans of one table, and can then be read in ranges of its pages.

use super::lexer::{Token, TokenKind};
use super::name::TableName;

/// `SELECT ... FROM table [WHERE ...]` in its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlainScan {
    /// Up to the table and its alias.
    head: String,
    /// The part of it from `FROM` on.
    from: String,
    /// The table as written.
    table: String,
    condition: Option<String>,
}

/// Words after which the rest of a query would change what its rows are or their order.
const ENDINGS: &str = "group having order limit offset fetch union intersect except window for into";
/// Words that cannot be an alias: a condition or something else than a plain table begins with them.
const NOT_AN_ALIAS: &str = "join inner cross natural left right full tablesample on using lateral from where";

impl PlainScan {
    /// The parts of a query that ends with the table.
    pub(super) fn of_table(table: &TableName, query: &str) -> Self {
        Self {
            head: query.to_owned(),
            from: format!("FROM {table}"),
            table: table.to_string(),
            condition: None,
        }
    }

    /// The parts of a query, if its words allow it to be a plain scan. Too careful rather than not enough: the plan is
    /// checked too.
    pub(super) fn recognise(sql: &str, tokens: &[Token]) -> Option<Self> {
        let mut depth = 0_i32;
        let mut top = Vec::new();
        for token in tokens {
            if token.is_symbol(sql, ')') || token.is_symbol(sql, ']') {
                depth -= 1;
            }
            if depth == 0 {
                top.push(*token);
            }
            if token.is_symbol(sql, '(') || token.is_symbol(sql, '[') {
                depth += 1;
            }
        }
        let first = top.first()?;
        let from = top.iter().position(|token| token.is_word(sql, "from"))?;
        let distinct = top.get(1).is_some_and(|token| token.is_word(sql, "distinct"));
        if !first.is_word(sql, "select") || distinct {
            return None;
        }
        let is_name = |token: &Token| matches!(token.kind, TokenKind::Word | TokenKind::QuotedName);
        let mut rest = top.get(from + 1..)?.iter().peekable();
        let start = rest.next_if(|token| {
            is_name(token) && !token.is_word(sql, "only") && !token.is_word(sql, "lateral")
        })?;
        let mut end = start.end;
        while rest.next_if(|token| token.is_symbol(sql, '.')).is_some() {
            end = rest.next_if(|token| is_name(token))?.end;
        }
        let table = sql[start.start..end].to_owned();
        let as_given = rest.next_if(|token| token.is_word(sql, "as")).is_some();
        let is_one = |token: &Token, words: &str| words.split(' ').any(|word| token.is_word(sql, word));
        match rest.next_if(|token| is_name(token) && !is_one(token, ENDINGS) && !is_one(token, NOT_AN_ALIAS))
        {
            Some(alias) => end = alias.end,
            None if as_given => return None,
            None => {}
        }
        let (head, from) = (sql[..end].to_owned(), sql[top[from].start..end].to_owned());
        let Some(word) = rest.next() else { return Some(Self { head, from, table, condition: None }) };
        if !word.is_word(sql, "where") {
            return None;
        }
        let rest: Vec<&Token> = rest.collect();
        if rest.iter().any(|token| is_one(token, ENDINGS)) {
            return None;
        }
        let condition = sql[word.end..tokens.last()?.end].to_owned();
        Some(Self { head, from, table, condition: Some(condition) })
    }

    /// The table as written in the query.
    pub fn table(&self) -> &str {
        &self.table
    }

    /// The query for the pages from `first` up to, but without, `end`; without an `end` to the last one.
    pub fn pages(&self, first: u64, end: Option<u64>) -> String {
        self.within(&self.head, first, end)
    }

    /// The query for these aggregates over the rows of the same pages.
    pub fn aggregates(&self, aggregates: &str, first: u64, end: Option<u64>) -> String {
        self.within(&format!("SELECT {aggregates} {}", self.from), first, end)
    }

    /// The query for these aggregates over the rows of each group.
    pub fn grouped(&self, group: &str, aggregates: &str) -> String {
        let condition =
            self.condition.as_ref().map_or_else(String::new, |condition| format!("WHERE {condition}"));
        format!("SELECT {group}, {aggregates} {} {condition}\nGROUP BY 1", self.from)
    }

    fn within(&self, head: &str, first: u64, end: Option<u64>) -> String {
        let upper = end.map(|end| format!(" AND ctid OPERATOR(pg_catalog.<) '({end},0)'::pg_catalog.tid"));
        let upper = upper.unwrap_or_default();
        let range = format!("ctid OPERATOR(pg_catalog.>=) '({first},0)'::pg_catalog.tid{upper}");
        match &self.condition {
            Some(condition) => format!("{head} WHERE {range} AND ({condition}\n)"),
            None => format!("{head}\nWHERE {range}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Query;

    fn pages(sql: &str) -> Option<String> {
        Query::new(sql).unwrap().scan().map(|scan| format!("{} | {}", scan.table(), scan.pages(0, Some(9))))
    }

    #[test]
    fn plain_scans_are_recognised() {
        const RANGE: &str = "ctid OPERATOR(pg_catalog.>=) '(0,0)'::pg_catalog.tid AND \
            ctid OPERATOR(pg_catalog.<) '(9,0)'::pg_catalog.tid";
        for (sql, table, head, condition) in [
            ("SELECT * FROM t", "t", "SELECT * FROM t\n", None),
            ("select a, f(b) x FROM s.\"T\" AS u;", "s.\"T\"", "select a, f(b) x FROM s.\"T\" AS u\n", None),
            ("SELECT a FROM t WHERE b = 'limit'", "t", "SELECT a FROM t ", Some(" b = 'limit'")),
            (
                "SELECT extract(year FROM d) FROM t u WHERE x IN (SELECT y FROM z LIMIT 1) -- c",
                "t",
                "SELECT extract(year FROM d) FROM t u ",
                Some(" x IN (SELECT y FROM z LIMIT 1)"),
            ),
        ] {
            let rest = condition.map(|condition| format!(" AND ({condition}\n)")).unwrap_or_default();
            assert_eq!(pages(sql).unwrap(), format!("{table} | {head}WHERE {RANGE}{rest}"), "{sql}");
        }
    }

    #[test]
    fn others_are_not() {
        for sql in [
            "SELECT DISTINCT a FROM t",
            "SELECT a FROM t, u",
            "SELECT a FROM t JOIN u USING (a)",
            "SELECT a FROM t NATURAL JOIN u",
            "SELECT a FROM ONLY t",
            "SELECT a FROM t TABLESAMPLE system (1)",
            "SELECT a FROM t ORDER BY a",
            "SELECT a FROM t WHERE b LIMIT 1",
            "SELECT a FROM t GROUP BY a",
            "SELECT a FROM t UNION SELECT 1",
            "SELECT a FROM t WHERE b FOR UPDATE",
            "SELECT a FROM f(1)",
            "SELECT a FROM (SELECT 1) s",
            "SELECT a IS DISTINCT FROM b FROM t",
            "SELECT a FROM t AS u (b)",
            "SELECT a FROM t *",
            "SELECT 1",
            "WITH t AS (SELECT 1) SELECT * FROM t",
            "VALUES (1)",
            "TABLE t",
        ] {
            assert_eq!(pages(sql), None, "{sql}");
        }
    }
}
