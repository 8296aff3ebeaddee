//! The reference pages that are generated from the code, and that they are fresh.
//!
//! `SSP_UPDATE_DOCS=1 cargo test --test docs` writes the files instead.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::fs;

use serde_json::Value;
use ssp::cli::programs;

use crate::page::{anchor, root};

/// Compares a kept file with what it should be, or writes it if it was asked for.
pub fn fresh(name: &str, text: &str) {
    let path = root().join(name);
    if std::env::var_os("SSP_UPDATE_DOCS").is_some() {
        fs::write(&path, text).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == text, "{name} is stale: run `SSP_UPDATE_DOCS=1 cargo test --test docs`");
}

#[test]
fn the_page_of_commands_is_fresh() {
    fresh("docs/reference/commands.md", &commands_page());
}

#[test]
fn the_page_of_the_pipeline_file_is_fresh() {
    fresh("docs/reference/pipeline.md", &pipeline_page(&ssp::pipeline::json_schema()));
}

const COMMANDS: &str = "\
# Commands

This page shows the help of every command. With the option `--help`, a command prints the same text. The page is
generated from the source code. A test checks that the page is up to date.

- `ssp-run man --dir DIR` writes the same text as manual pages to the folder `DIR`.
- `ssp-run completions SHELL` prints a completion script for your shell.
- The page on [exit codes](exit-codes.md) explains the exit codes of all programs.

These words appear on the whole page:

- A **stage** is one step of a pipeline. Most stages write one output file.
- An **export** is a stage that copies rows from a PostgreSQL database to a Parquet file.
- A **check** is a test of a new output. If a check fails, `ssp-run` keeps the last good output.
- The **lock** of the output folder prevents two runs from writing to this folder at the same time.
- The **MPC** is the Minor Planet Center. Its database contains observations and orbits.
- A **detection** is the measurement of a light source in one image. **DiaSource** is the table of detections.
- **SSSource** is the table that links each detection to its object. **SSObject** is the table of objects.
- A **backtrace** is the place of an error in the source code.

";

fn commands_page() -> String {
    let mut text = COMMANDS.to_owned();
    for program in programs() {
        help(&mut text, 2, program);
    }
    text
}

fn help(text: &mut String, level: usize, command: clap::Command) {
    let name = command.get_bin_name().unwrap_or(command.get_name()).to_owned();
    // The width is set, so that the page does not depend on a terminal.
    let mut command = command.bin_name(&name).term_width(100).max_term_width(100);
    let shown = command.render_long_help().to_string();
    let shown: Vec<&str> = shown.lines().map(str::trim_end).collect();
    let _ = write!(text, "{} {name}\n\n```text\n{}\n```\n\n", "#".repeat(level), shown.join("\n").trim_end());
    for other in command.get_subcommands().filter(|other| other.get_name() != "help") {
        help(text, level + 1, other.clone().bin_name(format!("{name} {}", other.get_name())));
    }
}

const PIPELINE: &str = "\
# The pipeline file

This page lists every key of a pipeline file, with its type, limits and default. If you want to write your first pipeline
file, start with [your own database](../how-to/your-own-database.md). This page and `schemas/pipeline.schema.json` are
generated from the source code. A test checks that these two files are up to date.

The pipeline file is YAML or JSON. A key that is not on this page is a mistake. `ssp-run validate` lists all mistakes
in the pipeline file. For each mistake, the command prints the line and the column.

These words appear on the whole page:

- A **stage** is one step of the pipeline. Most stages write one output file.
- An **export** is a stage that copies rows from the database to a Parquet file.
- A **snapshot** is one state of the database. All exports of a run read the same snapshot.
- A **dataset** is a table that a Butler repository contains. The **data ID** of a dataset is the set of values that
  identify this dataset, for example the instrument and the visit.
- A **detection** is the measurement of a light source in one image. **DiaSource** is the table of detections.
- **SSSource** is the table that links each detection to its object. **SSObject** is the table of objects.
- **H** is the absolute magnitude of an object. **G12** is the slope of its phase curve (brightness against phase
  angle).
- A **phase angle** is the angle at the object between the Sun and the observer.
- The **MOID** is the smallest distance between the orbit of an object and the orbit of the Earth.

`ssp-run` replaces variables in all values that are text:

| you write | you get |
|---|---|
| `${name}` | the value of the variable `name`, from `vars` or from `--set name=value` |
| `${env:NAME}` | the value of the environment variable `NAME` |
| `${env:NAME:-default}` | the value of the environment variable `NAME`. If this variable is not set or is empty, you get `default` |
| `$${` | the characters `${` |

The inputs of a stage are files or the outputs of other stages. If an input contains `/` or `.`, the input is the path
of a file. An input without these characters is the name of another stage.

`ssp-run` does not replace `~` in paths with your home folder. Write `${env:HOME}` instead.

";

/// Sections in the order in which the types are first named.
fn pipeline_page(schema: &Value) -> String {
    let mut text = PIPELINE.to_owned();
    let mut waiting = VecDeque::from([("The file".to_owned(), schema.clone())]);
    let mut seen: Vec<String> = Vec::new();
    while let Some((title, object)) = waiting.pop_front() {
        let _ = write!(text, "## {title}\n\n");
        if title != "The file" {
            let _ = write!(text, "{}\n\n", described(&object));
        }
        text += "| key | type | needed | what |\n|---|---|---|---|\n";
        let required: Vec<&str> =
            object["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for (key, property) in object["properties"].as_object().expect("an object has properties") {
            let (kind, what, next) = property_cells(schema, key, property);
            let needed = if required.contains(&key.as_str()) { "yes" } else { "" };
            let _ = writeln!(text, "| `{key}` | {kind} | {needed} | {what} |");
            if let Some((section, object)) = next
                && !seen.contains(&section)
            {
                seen.push(section.clone());
                waiting.push_back((section, object));
            }
        }
        text.push('\n');
    }
    text.trim_end().to_owned() + "\n"
}

/// Type, description, and the section that says more.
fn property_cells(schema: &Value, key: &str, property: &Value) -> (String, String, Option<(String, Value)>) {
    let mut what = described(property);
    let part = resolved(schema, property);
    if let Some(words) = words(&part) {
        let list: Vec<String> = words.iter().map(|(word, about)| format!("`{word}`: {about}")).collect();
        what = format!("{what} {}", list.join(" "));
        return (join_words(&words), what.trim().to_owned(), None);
    }
    if part["properties"].is_object() {
        let section = format!("`{key}`");
        return (format!("[mapping](#{})", anchor(&section)), what, Some((section, part)));
    }
    let values = resolved(schema, &part["additionalProperties"]);
    if part["type"] == "object" && values["properties"].is_object() {
        let section = "A stage".to_owned();
        return (format!("names to [stages](#{})", anchor(&section)), what, Some((section, values)));
    }
    if part["type"] == "object" && values["anyOf"].is_array() {
        let (kind, _, next) = property_cells(schema, key, &part["additionalProperties"]);
        if next.is_some() {
            return (format!("mapping of names to: {kind}"), what, next);
        }
    }
    let mut next = None;
    let choices = part["anyOf"].as_array().or(part["oneOf"].as_array()).into_iter().flatten();
    let choices = choices.map(|choice| resolved(schema, choice));
    let mut kinds: Vec<String> = Vec::new();
    for choice in choices {
        if choice["properties"].is_object() {
            let section = format!("`{key}`");
            kinds.push(format!("[mapping](#{})", anchor(&section)));
            next = Some((section, choice));
        } else if let Some(words) = words(&choice) {
            for (word, about) in &words {
                let _ = write!(what, " `{word}`: {about}");
            }
            kinds.push(join_words(&words));
        } else {
            kinds.push(kind(schema, &choice));
        }
    }
    let kind = if kinds.is_empty() { kind(schema, &part) } else { kinds.join(", or ") };
    (kind, what, next)
}

/// A reference followed, and `null`, which only means that a key may be left out, taken away.
fn resolved(schema: &Value, part: &Value) -> Value {
    if let Some(reference) = part["$ref"].as_str() {
        let target = schema.pointer(reference.trim_start_matches('#')).expect("references are inside");
        return resolved(schema, target);
    }
    let others: Vec<&Value> =
        part["anyOf"].as_array().into_iter().flatten().filter(|other| other["type"] != "null").collect();
    match others[..] {
        [one] => resolved(schema, one),
        _ => part.clone(),
    }
}

fn kind(schema: &Value, part: &Value) -> String {
    let part = resolved(schema, part);
    if let Some(words) = words(&part) {
        return join_words(&words);
    }
    if let Some(choices) = part["anyOf"].as_array() {
        let kinds: Vec<String> = choices.iter().map(|choice| kind(schema, choice)).collect();
        return kinds.join(", or ");
    }
    let name = match &part["type"] {
        Value::Array(names) => names.iter().filter_map(Value::as_str).find(|name| *name != "null"),
        name => name.as_str(),
    };
    match (name, part["format"].as_str()) {
        (Some("string"), Some("period")) => "period, such as `90s`, `20h`, `1h30m`".to_owned(),
        (Some("string"), Some("share")) => "percentage, such as `10%`".to_owned(),
        (Some("string"), Some("growth")) => "percentage, such as `20%` or `150%`".to_owned(),
        (_, Some("number")) => "number or `null`".to_owned(),
        (Some("string"), _) => "text".to_owned(),
        (Some("boolean"), _) => "`true` or `false`".to_owned(),
        (Some("integer"), _) => format!("whole number{}", limits(&part)),
        (Some("number"), _) => format!("number{}", limits(&part)),
        (Some("array"), _) => match part["minItems"].as_u64() {
            Some(count) => format!("list of {count} values ({})", kind(schema, &part["items"])),
            None => format!("list of values ({})", kind(schema, &part["items"])),
        },
        (Some("object"), _) => {
            format!("mapping of names to values ({})", kind(schema, &part["additionalProperties"]))
        }
        other => panic!("a type that the page has no word for: {other:?} in {part}"),
    }
}

fn limits(part: &Value) -> String {
    // A limit that comes only from the size of the integer is not shown.
    let limit = |name: &str| part[name].as_f64().filter(|limit| limit.abs() < 1e12);
    match (limit("minimum"), limit("maximum")) {
        (Some(least), Some(most)) if least == most => format!(", {least}"),
        (Some(least), Some(most)) => format!(", {least} to {most}"),
        (Some(least), None) => format!(", at least {least}"),
        (None, Some(most)) => format!(", at most {most}"),
        (None, None) => String::new(),
    }
}

/// The words that a key may have, with their descriptions.
fn words(part: &Value) -> Option<Vec<(String, String)>> {
    let word = |choice: &Value| Some((choice["const"].as_str()?.to_owned(), described(choice)));
    match part["oneOf"].as_array() {
        Some(choices) => choices.iter().map(word).collect(),
        None => word(part).map(|word| vec![word]),
    }
}

fn join_words(words: &[(String, String)]) -> String {
    let words: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
    words.join(", ")
}

fn described(part: &Value) -> String {
    part["description"]
        .as_str()
        .unwrap_or_default()
        .replace("\\[", "[")
        .replace("\\]", "]")
        .replace('\n', " ")
        .replace('|', "\\|")
}
