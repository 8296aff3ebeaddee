//! No committed change of an exported table is ever missed, whatever it is.

use std::collections::BTreeMap;
use std::fs;

use crate::cases::cases;
use crate::said::Streams;
use crate::site::Site;

/// Small transactions, in an order that looks random. `{n}` is a number that differs from one to the next.
const CHANGES: [&str; 14] = [
    "INSERT INTO {table} SELECT * FROM {table} ORDER BY random() LIMIT 1",
    "UPDATE {table} SET {column} = {column} WHERE ctid = (SELECT min(ctid) FROM {table})",
    "UPDATE {table} SET {column} = 'n{n}' WHERE ctid = (SELECT max(ctid) FROM {table})",
    "DELETE FROM {table} WHERE ctid = (SELECT min(ctid) FROM {table})",
    "BEGIN; DELETE FROM {table} WHERE ctid = (SELECT max(ctid) FROM {table}); COMMIT",
    "BEGIN; DELETE FROM {table}; ROLLBACK",
    "BEGIN; SAVEPOINT s; DELETE FROM {table}; ROLLBACK TO s; UPDATE {table} SET {column} = 'm{n}' \
     WHERE ctid = (SELECT min(ctid) FROM {table}); COMMIT",
    "ALTER TABLE {table} ADD COLUMN extra_{n} integer DEFAULT {n}",
    "ALTER TABLE {table} ADD COLUMN more_{n} text; UPDATE {table} SET more_{n} = ''",
    "ALTER TABLE {table} RENAME COLUMN {column} TO renamed; ALTER TABLE {table} RENAME COLUMN renamed TO {column}",
    "CREATE TABLE copy AS TABLE {table}; TRUNCATE {table}; INSERT INTO {table} SELECT * FROM copy ORDER BY ctid; \
     DROP TABLE copy",
    "CLUSTER {table} USING {table}_by_column",
    "COMMENT ON COLUMN {table}.{column} IS 'comment {n}'",
    "VACUUM FULL {table}",
];

#[test]
fn no_change_of_an_exported_table_is_missed() {
    let site = Site::new();
    // Columns that any text fits, and an index to cluster by.
    let tables = [
        ("obs_sbn", "remarks"),
        ("mpc_orbits", "unpacked_primary_provisional_designation"),
        ("current_identifications", "unpacked_secondary_provisional_designation"),
        ("numbered_identifications", "iau_name"),
    ];
    for (table, column) in tables {
        let constraints = site.sql(&format!(
            "SELECT conname FROM pg_constraint WHERE conrelid = '{table}'::regclass AND contype IN ('p', 'u', 'f', 'c')"
        ));
        for name in constraints.lines() {
            site.sql(&format!("ALTER TABLE {table} DROP CONSTRAINT \"{name}\" CASCADE"));
        }
        let unique = site.sql(&format!(
            "SELECT indexrelid::regclass FROM pg_index WHERE indrelid = '{table}'::regclass AND indisunique"
        ));
        for index in unique.lines() {
            site.sql(&format!("DROP INDEX {index}"));
        }
        site.sql(&format!("CREATE INDEX {table}_by_column ON {table} ({column})"));
    }
    site.edit("SELECT * FROM obs_sbn WHERE stn = '${station}' ORDER BY id", "SELECT * FROM obs_sbn");
    site.edit("checks: {min_rows: 1, max_shrink: 10%}", "");
    let exports = |data: &str| -> BTreeMap<String, Vec<u8>> {
        let mut command = site.command(&["-q", "--stage", "obs_sbn"]);
        Streams::from(command.env("SSP_DATA", site.path(data)).output().unwrap()).expect(0);
        let files = tables.map(|(table, _)| format!("{table}.parquet"));
        files.map(|name| (name.clone(), fs::read(site.path(data).join(name)).unwrap())).into()
    };
    exports("data");
    let mut state: u64 = 20_260_302;
    for n in 0..cases(40, 500) {
        // A linear congruential generator, by Knuth.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let pick = |bits: u32, of: usize| usize::try_from(state >> bits).unwrap() % of;
        let (table, column) = tables[pick(33, tables.len())];
        let change = CHANGES[pick(40, CHANGES.len())]
            .replace("{table}", table)
            .replace("{column}", column)
            .replace("{n}", &n.to_string());
        // Each as psql runs it: a transaction of its own unless it says otherwise.
        change.split(';').fold(String::new(), |open, statement| {
            let text = format!("{open}{statement};");
            let inside =
                text.contains("BEGIN") && !statement.contains("COMMIT") && !statement.ends_with("ROLLBACK");
            if inside {
                return text;
            }
            site.sql(&text);
            String::new()
        });
        let seen = exports("data");
        // The same by a run without records of earlier ones.
        let _ = fs::remove_dir_all(site.path("fresh"));
        let fresh = exports("fresh");
        for (name, bytes) in &fresh {
            assert!(seen[name] == *bytes, "{name} missed change {n}: {change}");
        }
    }
}
