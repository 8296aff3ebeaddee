//! Tables that are written by hand, against the program and a real server.

use std::collections::BTreeSet;
use std::path::Path;

use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::schema::printer::print_schema;
use ssp::cli::failure::Exit;
use ssp::cli::signals::ENDING;
use ssp::parquet::read::TableReader;
use ssp::stages::export::{ColumnType, ExportSpec};

use crate::page::Page;
use crate::support::postgres::{Server, sql};

/// The texts between the marks of code in a cell.
fn codes(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Parquet's physical and logical type of the only column, as its schema is printed.
fn parquet_type(path: &Path) -> String {
    let reader = SerializedFileReader::new(std::fs::File::open(path).unwrap()).unwrap();
    let mut printed = Vec::new();
    print_schema(&mut printed, reader.metadata().file_metadata().schema());
    let printed = String::from_utf8(printed).unwrap();
    let leaf = printed.lines().rfind(|line| line.trim_end().ends_with(';')).unwrap();
    let leaf = leaf.trim().trim_end_matches(';').split_once(' ').unwrap().1;
    let names = [" v", " element", " item"];
    let ends = |name: &&str| leaf.ends_with(*name) || leaf.contains(&format!("{name} ("));
    let name = names.into_iter().find(ends).unwrap_or_else(|| panic!("no name in {leaf:?}"));
    let at = leaf.rfind(name).unwrap();
    let (physical, rest) = (&leaf[..at], &leaf[at + name.len()..]);
    let logical = rest.trim().trim_start_matches('(').strip_suffix(')').unwrap_or_default();
    let list = if printed.contains("LIST") { "LIST of " } else { "" };
    format!("{list}{physical} {logical}").trim().to_owned()
}

#[test]
fn each_type_becomes_what_the_table_says() {
    let server = Server::with("CREATE TYPE colour AS ENUM ('red'); CREATE TYPE pair AS (a int, b text);");
    let mut checked = 0;
    let mut wrong = Vec::new();
    let mut with_types = false;
    for row in Page::named("docs/reference/types.md").rows() {
        if row[0] == "Postgres" {
            with_types = row[1] == "`types:`";
            continue;
        }
        let [postgres, more @ ..] = &row[..] else { continue };
        let (wanted, shown) = match more {
            [wanted, parquet, arrow] if with_types => (codes(wanted), [parquet, arrow]),
            [parquet, arrow, _] => (vec![String::new()], [parquet, arrow]),
            _ => panic!("a row with other columns: {row:?}"),
        };
        for (name, wanted) in
            codes(postgres).iter().flat_map(|name| wanted.iter().map(move |wanted| (name, wanted)))
        {
            let mut spec: ExportSpec = sql(&format!("SELECT NULL::{name} AS v"));
            if !wanted.is_empty() {
                spec.types.insert("v".to_owned(), ColumnType(wanted.clone()));
            }
            let (file, _) =
                server.export("v.parquet", &spec).unwrap_or_else(|error| panic!("{name}: {error}"));
            let arrow = TableReader::open(&file).unwrap().schema().field(0).data_type().to_string();
            let found = [parquet_type(&file), arrow];
            let said = shown.map(|cell| codes(cell).join(" "));
            if found != said {
                wrong.push(format!("{name} {wanted}: `{}` | `{}` and not {said:?}", found[0], found[1]));
            }
            checked += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(checked > 40, "only {checked} types were checked");
}

#[test]
fn the_exit_codes_are_those_of_the_program() {
    let signals = ENDING.map(|(signal, _)| Exit::Signal(u8::try_from(signal).unwrap()));
    let codes_of_work = [
        Exit::Done,
        Exit::Failed,
        Exit::Usage,
        Exit::Pending,
        Exit::Unreachable,
        Exit::CheckFailed,
        Exit::Locked,
    ];
    let all = [&codes_of_work[..], &signals].concat();
    // A new kind of end does not compile here until it is in the list.
    let known = |exit: &Exit| match exit {
        Exit::Done
        | Exit::Failed
        | Exit::Usage
        | Exit::Pending
        | Exit::Unreachable
        | Exit::CheckFailed
        | Exit::Locked
        | Exit::Signal(_) => true,
    };
    assert!(all.iter().all(known));
    let codes: BTreeSet<u8> = all.iter().map(|exit| exit.code()).collect();
    let documented: BTreeSet<u8> = Page::named("docs/reference/exit-codes.md")
        .rows()
        .iter()
        .filter_map(|row| row[0].parse().ok())
        .collect();
    assert_eq!(documented, codes);
}
