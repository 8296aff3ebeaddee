//! A query that takes columns of one table, row by row, by nothing but what the server itself has.

use std::collections::BTreeSet;

use super::tree::{Node, UNKNOWN_FORM, Value, query, unknown};

/// What a plain query uses.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::postgres) struct Plain {
    /// The table.
    pub relation: u32,
    /// The numbers of its columns that are named.
    pub columns: BTreeSet<u32>,
    /// Functions of casts and operators.
    pub functions: BTreeSet<u32>,
    pub operators: BTreeSet<u32>,
    /// The types of constants and of the results of operators and casts.
    pub types: BTreeSet<u32>,
}

/// Casts that are written and those that are not.
const CASTS: [i64; 2] = [1, 2];
/// What a query reads that is a table.
const TABLE: i64 = 0;
/// Fields with the type of a node's value. The types of columns are looked up with the columns.
const TYPES: [&str; 4] = ["consttype", "opresulttype", "funcresulttype", "resulttype"];

impl Plain {
    /// What the query of a tree uses; what it has that a plain query has not. `cast` is whether the query is within one of
    /// ours that casts its columns.
    pub(in crate::postgres) fn of(tree: &str, cast: bool) -> Result<Self, String> {
        let form = || UNKNOWN_FORM.to_owned();
        let outer = query(tree).ok_or_else(form)?;
        let query = if cast {
            match only_table(&outer).and_then(|table| table.field("subquery").first()) {
                Some(Value::Node(inner)) => inner,
                _ => return Err(form()),
            }
        } else {
            &outer
        };
        let table = only_table(query).ok_or("it reads more than one table")?;
        if table.number("rtekind") != Some(TABLE) {
            return Err("it reads a view or a subquery".to_owned());
        }
        for (field, what) in
            [("securityQuals", "row security hides rows of the table"), ("tablesample", "it takes a sample")]
        {
            if !matches!(table.field(field), [Value::Token("<>")]) {
                return Err(what.to_owned());
            }
        }
        let relation = table.id("relid").ok_or_else(form)?;
        let mut plain = Self { relation, ..Self::default() };
        let [targets, tree] = [query.field("targetList"), query.field("jointree")];
        targets.iter().chain(tree).flat_map(Value::nodes).try_for_each(|node| plain.add(node))?;
        Ok(plain)
    }

    fn add(&mut self, node: &Node<'_>) -> Result<(), String> {
        match node.tag {
            "VAR" => {
                let column = node.id("varattno").filter(|number| *number > 0);
                let column = column.ok_or("it takes a system column or a whole row")?;
                self.columns.insert(column);
            }
            "FUNCEXPR" if !node.number("funcformat").is_some_and(|format| CASTS.contains(&format)) => {
                return Err("it calls a function".to_owned());
            }
            "SUBLINK" => return Err("it has a subquery".to_owned()),
            "ARRAY" | "ARRAYEXPR" | "BOOLEANTEST" | "BOOLEXPR" | "CONST" | "DISTINCTEXPR" | "FROMEXPR"
            | "FUNCEXPR" | "NULLTEST" | "OPEXPR" | "RANGETBLREF" | "RELABELTYPE" | "SCALARARRAYOPEXPR"
            | "TARGETENTRY" => {}
            "SQLVALUEFUNCTION" => return Err(unknown(node)),
            tag => {
                return Err(format!(
                    "it has more than columns, literals and operators ({tag} in its parse tree)"
                ));
            }
        }
        for (name, values) in &node.fields {
            let set = match *name {
                "funcid" | "opfuncid" => Some(&mut self.functions),
                "opno" => Some(&mut self.operators),
                name if TYPES.contains(&name) => Some(&mut self.types),
                _ => None,
            };
            if let Some(set) = set {
                for value in values {
                    value.ids(set);
                }
            }
            values.iter().flat_map(Value::nodes).try_for_each(|node| self.add(node))?;
        }
        Ok(())
    }
}

/// The only thing that a query reads.
fn only_table<'t, 'a>(query: &'t Node<'a>) -> Option<&'t Node<'a>> {
    match query.field("rtable") {
        [Value::List(tables)] => match tables.as_slice() {
            [Value::Node(table)] => Some(table),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: &str = "{RANGETBLENTRY :alias <> :rtekind 0 :relid 16384 :tablesample <> :securityQuals <>}";

    fn tree(tables: &str, targets: &str, condition: &str) -> String {
        format!(
            "({{QUERY :commandType 1 :rtable ({tables}) :jointree {{FROMEXPR :fromlist ({{RANGETBLREF :rtindex 1}}) \
             :quals {condition}}} :targetList ({targets})}})"
        )
    }

    #[test]
    fn columns_operators_and_casts_are_plain() {
        let column = "{TARGETENTRY :expr {VAR :varno 1 :varattno 3 :vartype 600} :resno 1}";
        let condition = "{BOOLEXPR :boolop and :args ({OPEXPR :opno 96 :opfuncid 65 :opresulttype 16 :args \
            ({VAR :varattno 1} {FUNCEXPR :funcid 1740 :funcresulttype 1700 :funcformat 2 :args ({CONST :consttype 23})})} \
            {NULLTEST :arg {VAR :varattno 2}})}";
        let found = Plain::of(&tree(ENTRY, column, condition), false).unwrap();
        let expected = Plain {
            relation: 16384,
            columns: BTreeSet::from([1, 2, 3]),
            functions: BTreeSet::from([65, 1740]),
            operators: BTreeSet::from([96]),
            types: BTreeSet::from([16, 23, 1700]),
        };
        assert_eq!(found, expected);
        let inner = tree(ENTRY, column, condition);
        let inner = inner.trim_start_matches('(').trim_end_matches(')');
        let outer = "{TARGETENTRY :expr {COERCEVIAIO :arg {VAR :varattno 1 :vartype 600} :resulttype 25}}";
        let wrapped = tree(&format!("{{RANGETBLENTRY :rtekind 1 :subquery {inner}}}"), outer, "<>");
        assert_eq!(Plain::of(&wrapped, true).unwrap(), expected);
        assert!(Plain::of(&wrapped, false).unwrap_err().contains("view or a subquery"));
    }

    #[test]
    fn what_is_not_plain_is_named() {
        for (node, why) in [
            ("{VAR :varattno -4}", "system column"),
            ("{VAR :varattno 0}", "whole row"),
            ("{FUNCEXPR :funcid 1397 :funcformat 0}", "calls a function"),
            ("{SUBLINK :subLinkType 4}", "subquery"),
            ("{SQLVALUEFUNCTION :op 0}", "CURRENT_DATE"),
            ("{CASEEXPR :casetype 23}", "CASEEXPR"),
        ] {
            for tree in [tree(ENTRY, node, "<>"), tree(ENTRY, "{VAR :varattno 1}", node)] {
                assert!(Plain::of(&tree, false).unwrap_err().contains(why), "{tree}");
            }
        }
        let hidden = ENTRY.replace(":securityQuals <>", ":securityQuals ({VAR :varattno 1})");
        let sampled = ENTRY.replace(":tablesample <>", ":tablesample {TABLESAMPLECLAUSE}");
        for (tables, why) in
            [(format!("{ENTRY} {ENTRY}"), "more than one"), (hidden, "row security"), (sampled, "sample")]
        {
            assert!(Plain::of(&tree(&tables, "{VAR :varattno 1}", "<>"), false).unwrap_err().contains(why));
        }
        for text in ["", "({QUERY})", "({VAR})"] {
            assert!(Plain::of(text, false).is_err() && Plain::of(text, true).is_err());
        }
    }
}
