//! The server's text form of a rewritten query: `({QUERY :field value ... :field {NODE ...} ...})`.
//!
//! Only what is known to give the same answer each time passes; any other node is a doubt.

use std::collections::BTreeSet;

/// The object ids that a query uses.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Uses {
    pub functions: BTreeSet<u32>,
    pub operators: BTreeSet<u32>,
    pub relations: BTreeSet<u32>,
    /// Types that a text is read as.
    pub read_as: BTreeSet<u32>,
    /// Types that are written as text.
    pub written_as: BTreeSet<u32>,
    pub constants: BTreeSet<u32>,
}

pub(super) const UNKNOWN_FORM: &str = "the server shows the query in an unknown form";

/// A node deeper than this is not looked at: recursion has an end.
const DEEPEST: usize = 1000;

/// Nodes that depend on nothing but what is in them and on the ids that [`Uses`] collects. Some have other names before
/// version 16.
const KNOWN: &str = "AGGREF ALIAS ARRAY ARRAYCOERCEEXPR ARRAYEXPR BOOLEANTEST BOOLEXPR CASE CASEEXPR CASETESTEXPR \
    CASEWHEN COALESCE COALESCEEXPR COERCEVIAIO COLLATE COLLATEEXPR COMMONTABLEEXPR CONST CONVERTROWTYPEEXPR \
    CTECYCLECLAUSE CTESEARCHCLAUSE DISTINCTEXPR FIELDSELECT FROMEXPR FUNCEXPR GROUPINGFUNC GROUPINGSET JOINEXPR \
    MINMAX MINMAXEXPR NAMEDARGEXPR NULLIFEXPR NULLTEST OPEXPR PARAM QUERY RANGETBLENTRY RANGETBLFUNCTION \
    RANGETBLREF RELABELTYPE ROW ROWCOMPARE ROWCOMPAREEXPR ROWEXPR RTE RTEPERMISSIONINFO SCALARARRAYOPEXPR \
    SETOPERATIONSTMT SORTGROUPCLAUSE SUBLINK SUBSCRIPTINGREF TARGETENTRY VAR WHEN WINDOWCLAUSE WINDOWFUNC";
/// Fields with the id of a function, of an operator, of a relation.
const FUNCTIONS: [&str; 6] =
    ["funcid", "aggfnoid", "winfnoid", "opfuncid", "startInRangeFunc", "endInRangeFunc"];
const OPERATORS: [&str; 5] = ["opno", "eqop", "sortop", "opnos", "cycle_mark_neop"];
const RELATIONS: [&str; 1] = ["relid"];
/// Fields with the type of a node's value.
const TYPES: &str = "vartype consttype funcresulttype opresulttype resulttype aggtype wintype casetype coalescetype \
    minmaxtype typeId refrestype array_typeid row_typeid paramtype";
/// Types of constants that hold no date or time, not even as an element: bool, bytea, "char", name, integers, text, oid, json,
/// floats, arrays of text, bpchar, varchar, interval, numeric, uuid, jsonb; 705 is a literal without a type.
const NO_MOMENTS: [u32; 21] =
    [16, 17, 18, 19, 20, 21, 23, 25, 26, 114, 700, 701, 705, 1009, 1042, 1043, 1186, 1700, 2950, 3802, 1007];
/// Columns that each table has, by their numbers from -1 down; they tell of storage and of other transactions.
const SYSTEM_COLUMNS: [&str; 5] = ["ctid", "xmin", "cmin", "xmax", "cmax"];

/// The kind of parameter that stands for a column of a subquery.
const PARAM_SUBLINK: i64 = 2;
/// The kind of subquery whose value is that of its only column.
const EXPR_SUBLINK: i64 = 4;

pub(super) enum Value<'a> {
    Token(&'a str),
    List(Vec<Value<'a>>),
    Node(Node<'a>),
}

pub(super) struct Node<'a> {
    pub tag: &'a str,
    pub fields: Vec<(&'a str, Vec<Value<'a>>)>,
}

/// The query of a tree; `None` for another form.
pub(super) fn query(tree: &str) -> Option<Node<'_>> {
    let mut parser = Parser { text: tree, at: 0 };
    let Some(Value::List(mut queries)) = parser.value(0) else { return None };
    match (queries.pop(), queries.is_empty(), parser.token()) {
        (Some(Value::Node(query)), true, None) if query.tag == "QUERY" => Some(query),
        _ => None,
    }
}

impl Uses {
    /// What a tree uses; if anything in it is not known to give the same answer each time, what that is.
    pub(super) fn of(tree: &str) -> Result<Self, String> {
        let query = query(tree).ok_or_else(|| UNKNOWN_FORM.to_owned())?;
        let mut uses = Self::default();
        uses.add(&query)?;
        Ok(uses)
    }

    /// Whether a constant may be a date or a time.
    pub(super) fn has_moments(&self) -> bool {
        self.constants.iter().any(|id| !NO_MOMENTS.contains(id))
    }

    fn add(&mut self, node: &Node<'_>) -> Result<(), String> {
        if !KNOWN.split(' ').any(|tag| tag == node.tag) {
            return Err(unknown(node));
        }
        if node.tag == "VAR"
            && let Some(number) = node.number("varattno").filter(|number| *number < 0)
            && let Some(name) = usize::try_from(-number - 1).ok().and_then(|index| SYSTEM_COLUMNS.get(index))
        {
            return Err(format!("system column {name} changes without a write"));
        }
        if node.tag == "PARAM" && node.number("paramkind") != Some(PARAM_SUBLINK) {
            return Err(unknown(node));
        }
        if node.tag == "COERCEVIAIO" {
            let from = node.field("arg").first().and_then(Value::type_id);
            self.written_as.insert(from.ok_or("the type of a cast value is unknown")?);
            self.read_as.extend(node.id("resulttype"));
        }
        for (name, values) in &node.fields {
            let set = match name {
                _ if FUNCTIONS.contains(name) => Some(&mut self.functions),
                _ if OPERATORS.contains(name) => Some(&mut self.operators),
                _ if RELATIONS.contains(name) => Some(&mut self.relations),
                &"consttype" => Some(&mut self.constants),
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

/// What a node that is not known is in SQL.
pub(super) fn unknown(node: &Node<'_>) -> String {
    match node.tag {
        "SQLVALUEFUNCTION" => "CURRENT_DATE, CURRENT_USER or a similar value can differ each time".to_owned(),
        "TABLESAMPLECLAUSE" => "TABLESAMPLE takes different rows each time".to_owned(),
        "NEXTVALUEEXPR" => "a sequence gives a different number each time".to_owned(),
        tag => format!("{tag} in the query's parse tree may give a different answer each time"),
    }
}

impl<'a> Node<'a> {
    pub(super) fn field(&self, name: &str) -> &[Value<'a>] {
        self.fields.iter().find(|(field, _)| *field == name).map_or(&[], |(_, values)| values)
    }

    pub(super) fn number(&self, name: &str) -> Option<i64> {
        match self.field(name) {
            [Value::Token(text)] => text.parse().ok(),
            _ => None,
        }
    }

    pub(super) fn id(&self, name: &str) -> Option<u32> {
        self.number(name).and_then(|number| u32::try_from(number).ok())
    }
}

impl Value<'_> {
    /// The nodes that stand here, those of lists too.
    pub(super) fn nodes(&self) -> Vec<&Node<'_>> {
        match self {
            Value::Token(_) => Vec::new(),
            Value::List(values) => values.iter().flat_map(Value::nodes).collect(),
            Value::Node(node) => vec![node],
        }
    }

    /// Adds the ids that stand here, but 0, which is none.
    pub(super) fn ids(&self, set: &mut BTreeSet<u32>) {
        match self {
            Value::Token(text) => set.extend(text.parse::<u32>().ok().filter(|id| *id != 0)),
            Value::List(values) => {
                for value in values {
                    value.ids(set);
                }
            }
            Value::Node(_) => {}
        }
    }

    /// The type of a node's value, if it says.
    fn type_id(&self) -> Option<u32> {
        const BOOLEAN: u32 = 16;
        let Value::Node(node) = self else { return None };
        match node.tag {
            "BOOLEXPR" | "NULLTEST" | "BOOLEANTEST" | "SCALARARRAYOPEXPR" => Some(BOOLEAN),
            "COLLATE" | "COLLATEEXPR" | "NAMEDARGEXPR" => node.field("arg").first()?.type_id(),
            "SUBLINK" if node.number("subLinkType") == Some(EXPR_SUBLINK) => {
                let Value::Node(query) = node.field("subselect").first()? else { return None };
                let Value::List(targets) = query.field("targetList").first()? else { return None };
                let Value::Node(target) = targets.first()? else { return None };
                target.field("expr").first()?.type_id()
            }
            _ => TYPES.split(' ').find_map(|name| node.id(name)),
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    /// The next word or bracket; a backslash keeps what follows it in the word.
    fn token(&mut self) -> Option<&'a str> {
        let rest = self.text.get(self.at..)?;
        let start = self.at + (rest.len() - rest.trim_start().len());
        let bytes = self.text.as_bytes();
        let mut end = start;
        while let Some(byte) = bytes.get(end) {
            match byte {
                b'(' | b')' | b'{' | b'}' => break,
                byte if byte.is_ascii_whitespace() => break,
                b'\\' => end += 2,
                _ => end += 1,
            }
        }
        // A bracket by itself.
        let end = if end == start { start + 1 } else { end };
        self.at = end;
        // Beyond the end, or within a character after a backslash: not a tree.
        self.text.get(start..end.min(self.text.len())).filter(|token| !token.is_empty())
    }

    fn value(&mut self, depth: usize) -> Option<Value<'a>> {
        let token = self.token()?;
        self.value_from(token, depth)
    }

    fn value_from(&mut self, token: &'a str, depth: usize) -> Option<Value<'a>> {
        if depth > DEEPEST {
            return None;
        }
        match token {
            "{" => self.node(depth + 1).map(Value::Node),
            "(" => {
                let mut values = Vec::new();
                loop {
                    match self.token()? {
                        ")" => return Some(Value::List(values)),
                        token => values.push(self.value_from(token, depth + 1)?),
                    }
                }
            }
            ")" | "}" => None,
            token => Some(Value::Token(token)),
        }
    }

    fn node(&mut self, depth: usize) -> Option<Node<'a>> {
        let tag = self.token()?;
        let mut fields: Vec<(&str, Vec<Value<'a>>)> = Vec::new();
        loop {
            let token = self.token()?;
            if token == "}" {
                return Some(Node { tag, fields });
            } else if let Some(name) = token.strip_prefix(':') {
                fields.push((name, Vec::new()));
            } else {
                let value = self.value_from(token, depth)?;
                // A node whose fields have no names is not one that is known.
                fields.last_mut()?.1.push(value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_collected_through_lists_and_nodes() {
        let tree = r#"({QUERY :commandType 1 :rtable ({RANGETBLENTRY :alias <> :eref {ALIAS :aliasname a\ b
            :colnames ("i\(d" "x")} :rtekind 0 :relid 16384 :relkind r}) :quals {ROWCOMPAREEXPR :opnos (o 97 98)
            :args ({OPEXPR :opno 96 :opfuncid 65} {FUNCEXPR :funcid 870 :args ({CONST :constvalue 4 [ -1 0 ]})})}})"#;
        let found = Uses::of(tree).unwrap();
        assert_eq!(found.relations, BTreeSet::from([16384]));
        assert_eq!(found.operators, BTreeSet::from([96, 97, 98]));
        assert_eq!(found.functions, BTreeSet::from([65, 870]));
    }

    #[test]
    fn a_cast_through_text_names_both_types() {
        let tree =
            "({QUERY :targetList ({COERCEVIAIO :arg {VAR :varattno 1 :vartype 1184} :resulttype 25})})";
        let found = Uses::of(tree).unwrap();
        assert_eq!((found.written_as, found.read_as), (BTreeSet::from([1184]), BTreeSet::from([25])));
        let tree = "({QUERY :targetList ({COERCEVIAIO :arg {SUBLINK :subLinkType 4} :resulttype 25})})";
        assert!(Uses::of(tree).unwrap_err().contains("type of a cast value"));
    }

    #[test]
    fn what_is_not_known_is_a_doubt() {
        for (node, doubt) in [
            ("{SQLVALUEFUNCTION :op 0}", "CURRENT_DATE"),
            ("{TABLESAMPLECLAUSE :tsmhandler 3314}", "TABLESAMPLE"),
            ("{SOMETHINGNEW :a 1}", "SOMETHINGNEW"),
            ("{VAR :varattno -4 :vartype 28}", "xmax"),
        ] {
            let doubted = Uses::of(&format!("({{QUERY :targetList ({node})}})")).unwrap_err();
            assert!(doubted.contains(doubt), "{doubted}");
        }
    }

    #[test]
    fn a_text_that_is_no_tree_is_a_doubt() {
        let deep = format!("{}{}", "(".repeat(100_000), ")".repeat(100_000));
        for text in [
            "",
            "(",
            "{",
            "{QUERY",
            "{QUERY x}",
            "({QUERY :a 1)}",
            "({QUERY :a 1}) x",
            "({VAR})",
            ")",
            "\\",
            "{Q :a \\é}",
            &deep,
        ] {
            assert!(Uses::of(text).is_err(), "{text:.40}");
        }
    }
}
