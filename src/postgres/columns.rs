//! The columns of a query: names, types, whether they can be NULL, comments; and what they become in Arrow.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow_schema::{Field, Schema, SchemaRef};

use super::connection::Connection;
use super::error::Error;
use super::rows::FieldDescription;
use super::sql::{Query, quoted};
use super::types::{Codec, Infinity, Mapping, Wanted};
use crate::schema::DESCRIPTION;

/// The key of a field's metadata that holds the Postgres type.
const POSTGRES_TYPE: &str = "postgres_type";

/// What is said about the types of a query's columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TypeOptions {
    /// Columns that get another type than usual.
    pub wanted: BTreeMap<String, Wanted>,
    /// What becomes of infinite dates and timestamps.
    pub infinity: Infinity,
}

/// One column of a query.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    pub name: String,
    /// Its type, as Postgres writes it.
    pub postgres_type: String,
    /// The comment on the table's column, if it is one.
    pub comment: Option<String>,
    pub nullable: bool,
    mapping: Mapping,
}

/// The columns of a query, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Columns {
    columns: Vec<Column>,
    schema: SchemaRef,
}

impl Columns {
    /// Asks the server about the columns of a query, which is not run.
    pub(super) fn of(
        connection: &mut Connection,
        query: &Query,
        options: &TypeOptions,
    ) -> Result<Self, Error> {
        let described = connection.describe(query.text(), |_| {})?;
        check_names(&described, options)?;
        let known = catalogue(connection, &described)?;
        let mut columns = Vec::with_capacity(described.len());
        for (described, known) in described.into_iter().zip(known) {
            columns.push(column(described, known, query, options)?);
        }
        let schema = Arc::new(Schema::new(columns.iter().map(Column::field).collect::<Vec<_>>()));
        Ok(Self { columns, schema })
    }

    /// The columns, in order.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// What they are in Arrow.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    pub(super) fn codecs(&self) -> impl Iterator<Item = &Codec> {
        self.columns.iter().map(|column| &column.mapping.codec)
    }

    /// Whether the server casts any of them.
    pub(super) fn has_casts(&self) -> bool {
        self.columns.iter().any(|column| column.mapping.cast.is_some())
    }

    /// A query with the same rows, in which the server casts what has to be cast.
    pub(super) fn cast(&self, query: &str) -> String {
        if !self.has_casts() {
            return query.to_owned();
        }
        let columns = self.columns.iter().map(|column| {
            let name = quoted(&column.name);
            match column.mapping.cast {
                Some(cast) => format!("q.{name}::pg_catalog.{cast} AS {name}"),
                None => format!("q.{name}"),
            }
        });
        format!("SELECT {} FROM (\n{query}\n) AS q", columns.collect::<Vec<_>>().join(", "))
    }
}

impl Column {
    fn field(&self) -> Field {
        let mut metadata = HashMap::from([(POSTGRES_TYPE.to_owned(), self.postgres_type.clone())]);
        metadata.extend(self.comment.iter().map(|comment| (DESCRIPTION.to_owned(), comment.clone())));
        if self.mapping.codec == Codec::Uuid {
            // The name by which Arrow marks the bytes as a UUID, and Parquet's writer with it.
            metadata.insert("ARROW:extension:name".to_owned(), "arrow.uuid".to_owned());
        }
        Field::new(&self.name, self.mapping.codec.arrow(), self.nullable).with_metadata(metadata)
    }
}

fn check_names(described: &[FieldDescription], options: &TypeOptions) -> Result<(), Error> {
    if described.is_empty() {
        return Err(Error::NoColumns);
    }
    for (index, column) in described.iter().enumerate() {
        if described[..index].iter().any(|earlier| earlier.name == column.name) {
            return Err(Error::DuplicateColumn { column: column.name.clone() });
        }
    }
    for name in options.wanted.keys() {
        if !described.iter().any(|column| column.name == *name) {
            let found = described.iter().map(|column| column.name.clone()).collect();
            return Err(Error::UnknownColumn { column: name.clone(), found });
        }
    }
    Ok(())
}

fn column(
    described: FieldDescription,
    known: Known,
    query: &Query,
    options: &TypeOptions,
) -> Result<Column, Error> {
    let infinity = options.infinity;
    let mut mapping = Mapping::usual(described.type_oid, known.element, infinity);
    if let Some(&wanted) = options.wanted.get(&described.name) {
        mapping = mapping.wanted(wanted, infinity).ok_or_else(|| Error::Conversion {
            column: described.name.clone(),
            from: known.postgres_type.clone(),
            wanted,
        })?;
    }
    let may_become_null = infinity == Infinity::Null
        && matches!(mapping.codec, Codec::Date(_) | Codec::Timestamp(_) | Codec::Timestamptz(_));
    Ok(Column {
        name: described.name,
        postgres_type: known.postgres_type,
        comment: known.comment,
        nullable: !known.not_null || query.may_invent_nulls() || may_become_null,
        mapping,
    })
}

/// What the catalogue says about a column.
struct Known {
    postgres_type: String,
    element: Option<u32>,
    not_null: bool,
    comment: Option<String>,
}

/// Asks the catalogue, in one query. The types of elements are those below all domains; vectors of the catalogue itself
/// (`int2vector`, `oidvector`) are no arrays. A NOT NULL that was not validated (from version 18 on) says nothing.
fn catalogue(connection: &mut Connection, described: &[FieldDescription]) -> Result<Vec<Known>, Error> {
    let values = described.iter().enumerate().map(|(index, column)| {
        let FieldDescription { type_oid, modifier, table_oid, attribute, .. } = column;
        format!("({index}, {type_oid}::pg_catalog.oid, {modifier}, {table_oid}::pg_catalog.oid, {attribute})")
    });
    let list = values.collect::<Vec<_>>().join(", ");
    let sql = format!(
        "SELECT pg_catalog.format_type(c.type, c.modifier),
                (WITH RECURSIVE b (oid, kind, base) AS (
                    SELECT e.oid, e.typtype, e.typbasetype
                    UNION ALL
                    SELECT p.oid, p.typtype, p.typbasetype FROM b JOIN pg_catalog.pg_type p ON p.oid = b.base
                    WHERE b.kind = 'd')
                 SELECT b.oid FROM b WHERE b.kind <> 'd'),
                coalesce(a.attnotnull AND NOT EXISTS (
                    SELECT FROM pg_catalog.pg_constraint k
                    WHERE k.conrelid = a.attrelid AND k.contype = 'n' AND NOT k.convalidated
                      AND a.attnum = ANY (k.conkey)), false),
                pg_catalog.col_description(a.attrelid, a.attnum)
         FROM (VALUES {list}) AS c (position, type, modifier, relation, attribute)
         JOIN pg_catalog.pg_type t ON t.oid = c.type
         LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem AND t.typcategory = 'A' AND t.oid NOT IN (22, 30)
         LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.relation AND a.attnum = c.attribute AND c.attribute > 0
         ORDER BY c.position"
    );
    let rows = connection.query("look up the columns of the query", &sql)?.rows;
    if rows.len() != described.len() {
        return Err(Error::protocol("looking up the columns of the query", "a type is not in the catalogue"));
    }
    Ok(rows
        .into_iter()
        .map(|mut row| Known {
            comment: row.pop().flatten(),
            not_null: row.pop().flatten().as_deref() == Some("t"),
            element: row.pop().flatten().and_then(|oid| oid.parse().ok()),
            postgres_type: row.pop().flatten().unwrap_or_default(),
        })
        .collect())
}
