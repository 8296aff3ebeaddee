//! A tree to SQL with parameters, once it is known which names there are.

use std::sync::Arc;

use super::{At, Condition, Item, Mistake, Node, Operator};
use crate::butler::database::{Dialect, Value};
use crate::butler::dataset::DataValue;
use crate::butler::error::Error;

/// What the values of a dimension are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DimensionKind {
    Integer,
    Text,
    /// Not known: the database says whether they compare.
    Either,
}

/// A name that conditions may use.
#[derive(Clone, Debug)]
pub(crate) struct Name {
    /// How it is spelled.
    pub spelling: Arc<str>,
    /// The SQL that stands for it.
    pub column: String,
    /// What its values are.
    pub kind: DimensionKind,
}

impl Condition {
    /// The condition as SQL; its values are appended to `parameters`.
    pub(crate) fn sql(
        &self,
        names: &[Name],
        dialect: Dialect,
        parameters: &mut Vec<Value>,
    ) -> Result<String, Error> {
        Writer { names, dialect, parameters }.node(&self.node).map_err(|mistake| mistake.in_text(&self.text))
    }
}

struct Writer<'a> {
    names: &'a [Name],
    dialect: Dialect,
    parameters: &'a mut Vec<Value>,
}

impl<'a> Writer<'a> {
    fn node(&mut self, node: &Node) -> Result<String, Mistake> {
        Ok(match node {
            Node::All(nodes) => self.joined(nodes, " AND ")?,
            Node::Any(nodes) => self.joined(nodes, " OR ")?,
            Node::Not(node) => format!("NOT {}", self.node(node)?),
            Node::Compare { name, operator, value } => self.comparison(name, *operator, value)?,
            Node::In { name, negated, items } => {
                format!("{}({})", if *negated { "NOT " } else { "" }, self.membership(name, items)?)
            }
        })
    }

    fn joined(&mut self, nodes: &[Node], with: &str) -> Result<String, Mistake> {
        let nodes = nodes.iter().map(|node| self.node(node)).collect::<Result<Vec<_>, _>>()?;
        Ok(format!("({})", nodes.join(with)))
    }

    /// All single values as one list: thousands of visits joined by `OR` are nested deeper than `SQLite` allows.
    fn membership(&mut self, name: &At<String>, items: &[Item]) -> Result<String, Mistake> {
        let mut any = Vec::new();
        let (mut column, mut singles) = ("", Vec::new());
        for item in items {
            match item {
                Item::One(value) => {
                    let single;
                    (column, single) = self.value(name, Operator::Equal, value)?;
                    singles.push(single);
                }
                Item::Range(first, last) => {
                    let low = self.comparison(name, Operator::GreaterOrEqual, first)?;
                    let high = self.comparison(name, Operator::LessOrEqual, last)?;
                    any.push(format!("({low} AND {high})"));
                }
            }
        }
        if !singles.is_empty() {
            let (sql, list) = self.dialect.one_of(column, self.parameters.len() + 1, &singles);
            self.parameters.push(list);
            any.push(sql);
        }
        Ok(any.join(" OR "))
    }

    fn comparison(
        &mut self,
        name: &At<String>,
        operator: Operator,
        value: &At<DataValue>,
    ) -> Result<String, Mistake> {
        let (column, value) = self.value(name, operator, value)?;
        let parameter = self.dialect.parameter(self.parameters.len() + 1, &value);
        self.parameters.push(value);
        Ok(format!("{column} {} {parameter}", operator.sql()))
    }

    /// The column that stands for a name, and a value that it may be compared with.
    fn value(
        &self,
        name: &At<String>,
        operator: Operator,
        value: &At<DataValue>,
    ) -> Result<(&'a str, Value), Mistake> {
        let Some(known) = self.names.iter().find(|known| *known.spelling == *name.it) else {
            let names: Vec<&str> = self.names.iter().map(|known| &*known.spelling).collect();
            let message =
                format!("`{}` is not part of these data IDs, which have {}", name.it, names.join(", "));
            return Err(Mistake { at: name.at, message });
        };
        let ordered = !matches!(operator, Operator::Equal | Operator::NotEqual);
        let wrong = |message| Err(Mistake { at: value.at, message });
        let value = match (&value.it, known.kind) {
            (DataValue::Integer(_), DimensionKind::Text) => {
                return wrong(format!("`{}` is a text: write it in quotes", name.it));
            }
            (DataValue::Text(_), DimensionKind::Integer) => {
                return wrong(format!("`{}` is a whole number: write it without quotes", name.it));
            }
            // Databases differ in how they order texts.
            (DataValue::Text(_), _) if ordered => {
                return wrong("texts are only compared with `=`, `!=` and `IN`".to_owned());
            }
            (DataValue::Integer(number), _) => Value::Integer(*number),
            (DataValue::Text(text), _) => Value::Text(text.clone()),
        };
        Ok((&known.column, value))
    }
}

impl Operator {
    fn sql(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "<>",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}
