//! Names of columns that some readers cannot tell apart.

use std::collections::BTreeMap;

use arrow_schema::Schema;

/// A warning for each set of columns whose names differ in case only, with what helps.
pub(super) fn alike(schema: &Schema, advice: &str) -> Vec<String> {
    let mut folded: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for field in schema.fields() {
        folded.entry(field.name().to_lowercase()).or_default().push(field.name());
    }
    let warning = |names: Vec<&str>| {
        format!(
            "columns `{}` differ only in case, and DuckDB and Spark treat them as one column: {advice}",
            names.join("` and `")
        )
    };
    folded.into_values().filter(|names| names.len() > 1).map(warning).collect()
}

#[cfg(test)]
mod tests {
    use arrow_schema::{DataType, Field};

    use super::*;

    #[test]
    fn names_that_differ_in_case_only_are_alike() {
        let alike = |names: &[&str]| {
            alike(
                &Schema::new(
                    names.iter().map(|name| Field::new(*name, DataType::Int64, true)).collect::<Vec<_>>(),
                ),
                "rename one",
            )
        };
        assert!(alike(&["a", "b", "a_"]).is_empty());
        let found = alike(&["Straße", "ra", "b", "Ra", "RA", "STRAßE"]);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("columns `ra` and `Ra` and `RA` differ only in case"), "{found:?}");
    }
}
