//! The text of a table's schema file.

use std::fmt::Write as _;

use crate::schema::ColumnType;

use super::pipeline::Table;
use super::yaml::scalar;

impl Table<'_> {
    /// The schema that the table's export has now; none if a schema file cannot name one of its types.
    pub(super) fn schema(&self, database: &str) -> Option<String> {
        let default = || format!("Rows of {} in database {database}.", self.relation.reference());
        let about = self.relation.comment.clone().unwrap_or_else(default);
        let mut text = format!("table: {}\ndescription: {}\ncolumns:\n", scalar(&self.stage), scalar(&about));
        for (column, field) in self.columns.columns().iter().zip(self.columns.schema().fields()) {
            let kind = scalar(&ColumnType::of(field.data_type())?.to_string());
            let nullable = if field.is_nullable() { "" } else { ", nullable: false" };
            let default = || format!("Of type {} in the database.", column.postgres_type);
            let description = scalar(&column.comment.clone().unwrap_or_else(default));
            let name = scalar(&column.name);
            let _ =
                writeln!(text, "  - {{name: {name}, type: {kind}{nullable}, description: {description}}}");
        }
        Some(text)
    }
}
