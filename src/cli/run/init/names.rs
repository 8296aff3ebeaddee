//! Names of pipelines and stages that are derived from names of databases and tables.

use crate::cli::connection::ConnectionFlags;
use crate::environment::Environment;
use crate::postgres::Inventory;

use super::yaml::is_word;

/// The names of stages, each once.
#[derive(Default)]
pub(super) struct StageNames(Vec<String>);

impl StageNames {
    /// A name for a table's stage that no other stage has.
    pub(super) fn add(&mut self, table: &str) -> String {
        let base = legal(table).unwrap_or_else(|| "table".to_owned());
        let numbered = (2..).map(|number| format!("{base}_{number}"));
        let name = std::iter::once(base.clone()).chain(numbered).find(|name| !self.0.contains(name));
        let name = name.unwrap_or(base);
        self.0.push(name.clone());
        name
    }
}

/// The name of a pipeline: of its service, or else of its database.
pub(super) fn of_pipeline(
    flags: &ConnectionFlags,
    environment: &Environment,
    inventory: &Inventory,
) -> String {
    let service = super::pipeline::service_of(flags, environment);
    legal(service.unwrap_or(&inventory.database)).unwrap_or_else(|| "pipeline".to_owned())
}

/// A text as a name of the form `[a-z][a-z0-9_-]*`; none if it has no letter or digit of these.
fn legal(text: &str) -> Option<String> {
    let mut name = String::new();
    for c in text.chars() {
        match c.to_ascii_lowercase() {
            c @ ('a'..='z' | '0'..='9' | '-') => name.push(c),
            _ if name.ends_with('_') => {}
            _ => name.push('_'),
        }
    }
    let name = name.trim_matches(['_', '-']);
    match name.chars().next()? {
        // Another reader of YAML would take it for a boolean.
        'a'..='z' if is_word(name) => Some(format!("{name}_")),
        'a'..='z' => Some(name.to_owned()),
        _ => Some(format!("t{name}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::StageName;

    #[test]
    fn every_table_gets_a_legal_stage_of_its_own() {
        let mut stages = StageNames::default();
        let tables =
            ["Obs", "obs", "OBS", "obs_2", "a b;c", "2mass", "é", "", "a\nb", "-x", "_", "Naïve.t", "True"];
        let names: Vec<String> = tables.iter().map(|table| stages.add(table)).collect();
        let expected = [
            "obs", "obs_2", "obs_3", "obs_2_2", "a_b_c", "t2mass", "table", "table_2", "a_b", "x", "table_3",
            "na_ve_t", "true_",
        ];
        assert_eq!(names, expected);
        assert!(names.iter().all(|name| StageName::fits(name)), "{names:?}");
    }
}
