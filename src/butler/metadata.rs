//! The metadata of the output, true for all of its rows.

use arrow_schema::Schema;
use indexmap::IndexMap;

/// The number of rows.
const ROW_COUNT: &str = "lsst::arrow::rowcount";
/// Widths of text columns, under both names that Butler writes.
const LENGTHS: [&str; 2] = ["lsst::arrow::len::", "table::len::"];
/// Shapes of columns of arrays.
const SHAPE: &str = "lsst::arrow::shape::";
/// Units and descriptions as astropy writes them, with the provenance of one dataset.
const ASTROPY: &str = "table_meta_yaml";
/// The index as pandas writes it.
const PANDAS: &str = "pandas";
/// What Arrow writes itself.
const ARROW: &str = "ARROW:schema";

/// What the files that were written into the output say, brought together.
#[derive(Debug, Default)]
pub(crate) struct Metadata {
    /// By key, in the order in which the keys were met.
    found: IndexMap<String, Found>,
    files: usize,
}

#[derive(Debug)]
struct Found {
    value: String,
    /// How many files have it; 0 once they differ in a way that cannot be brought together.
    files: usize,
}

impl Metadata {
    /// Adds the [`essence`] of what one more file says.
    pub(crate) fn add(&mut self, pairs: &[(String, String)]) {
        self.files += 1;
        for (key, value) in pairs {
            match self.found.get_mut(key) {
                None => {
                    self.found.insert(key.clone(), Found { value: value.clone(), files: 1 });
                }
                Some(found) => match together(key, &found.value, value) {
                    Some(value) => *found = Found { value, files: found.files + 1 },
                    None => found.files = 0,
                },
            }
        }
    }

    /// What is true for an output with these columns and this number of rows: the number, the largest of the widths, and all
    /// else that the files agree on.
    pub(crate) fn of(&self, schema: &Schema, rows: u64) -> Vec<(String, String)> {
        let mut pairs = Vec::new();
        for (key, found) in &self.found {
            let column = LENGTHS.iter().chain([&SHAPE]).find_map(|prefix| key.strip_prefix(prefix));
            if key == ROW_COUNT {
                pairs.push((key.clone(), rows.to_string()));
            } else if found.files == self.files && column.is_none_or(|column| schema.index_of(column).is_ok())
            {
                pairs.push((key.clone(), found.value.clone()));
            }
        }
        pairs
    }
}

/// What matters of what one file says: all but what is true for its own rows alone, so that many files say the same.
pub(crate) fn essence(pairs: &[(String, String)]) -> Vec<(String, String)> {
    let kept = pairs.iter().filter(|(key, value)| !is_of_one_file(key, value));
    let value = |key: &str, value: &str| match key {
        ASTROPY => without_meta(value),
        ROW_COUNT => String::new(),
        _ => value.to_owned(),
    };
    kept.map(|(key, text)| (key.clone(), value(key, text))).collect()
}

/// What is never true for several files: Arrow's own schema, and a pandas index that numbers the rows.
fn is_of_one_file(key: &str, value: &str) -> bool {
    key == ARROW || (key == PANDAS && value.contains("\"range\""))
}

/// What two files' values of a key come to, if they can be brought together.
fn together(key: &str, a: &str, b: &str) -> Option<String> {
    if LENGTHS.iter().any(|prefix| key.starts_with(prefix)) {
        let (a, b): (u64, u64) = (a.parse().ok()?, b.parse().ok()?);
        return Some(a.max(b).to_string());
    }
    (a == b).then(|| a.to_owned())
}

/// Astropy's description of the columns, without the table's own part: that is of one dataset (its provenance).
fn without_meta(yaml: &str) -> String {
    let mut own = false;
    let mut kept = Vec::new();
    for line in yaml.lines() {
        // A text of several lines has empty ones in it.
        if !line.is_empty() && !line.starts_with([' ', '-']) {
            own = line.starts_with("meta:");
        }
        if !own {
            kept.push(line);
        }
    }
    kept.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meta_of_many_lines_is_left_out_whole() {
        let columns = "%YAML 1.1\ndatatype:\n- {name: ra, unit: deg, datatype: float64}";
        let meta = "meta: !!omap\n- NOTE: 'one\n\n    two'\n- {LSST.BUTLER.ID: x}\n";
        let schema = "schema: astropy-2.0";
        assert_eq!(without_meta(&format!("{columns}\n{meta}{schema}")), format!("{columns}\n{schema}"));
    }

    #[test]
    fn the_essence_of_an_essence_is_the_same() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let yaml = "datatype:\n- {name: ra}\nmeta: {LSST.BUTLER.ID: x}\nschema: astropy-2.0\n";
        let pairs = [
            pair(ROW_COUNT, "7"),
            pair("lsst::arrow::len::band", "1"),
            pair(ASTROPY, yaml),
            pair(ARROW, "x"),
        ];
        let once = essence(&pairs);
        assert_eq!((essence(&once), once.len()), (once.clone(), 3));
        let schema = Schema::new(vec![arrow_schema::Field::new("band", arrow_schema::DataType::Utf8, true)]);
        let said = |pairs: &[(String, String)]| {
            let mut metadata = Metadata::default();
            metadata.add(&essence(pairs));
            metadata.add(&once);
            metadata.of(&schema, 9)
        };
        assert_eq!(said(&pairs), said(&once));
        assert_eq!(said(&pairs)[0].1, "9");
    }
}
