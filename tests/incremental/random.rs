//! Random transactions, changes of form and crashes: after each, an incremental export has the bytes of a full one, and the
//! rows that psql shows.

use crate::cases::cases;
use crate::parquet::lines;
use crate::place::{Came, Place, Session, TABLE};

const STAGES: [&str; 3] = [
    "t: {export: {table: t, cell_pages: 2}, out: t.parquet}",
    "q: {export: {sql: \"SELECT id, v FROM t WHERE id > 100 AND v LIKE '%1%'\", cell_pages: 4}, out: q.parquet}",
    // An index answers it, from few cells.
    "i: {export: {sql: SELECT id + 0 AS one_more FROM t WHERE id BETWEEN 200 AND 215, cell_pages: 1}, out: i.parquet}",
];

/// What a transaction may do. `{n}` is the number of the step, `{id}` a random id, `{to}` one a little higher.
const CHANGES: [&str; 19] = [
    "INSERT INTO t (id, v, m, pad) SELECT 10000 + {n}, 'i' || n, n, repeat('y', 150) FROM generate_series(1, 60) n",
    "UPDATE t SET v = 'u{n}' WHERE id BETWEEN {id} AND {to}",
    "UPDATE t SET v = v WHERE id = {id}",
    "DELETE FROM t WHERE id BETWEEN {id} AND {to}",
    "UPDATE t SET pad = repeat('z', 10) WHERE id BETWEEN {id} AND {to}",
    "CREATE TEMP TABLE moved AS SELECT * FROM t WHERE id = {id}; DELETE FROM t WHERE id = {id}; INSERT INTO t TABLE moved",
    "INSERT INTO t (id, v, m) VALUES ({id}, 'c{n}', {n}) ON CONFLICT (id) DO UPDATE SET v = excluded.v",
    "MERGE INTO t USING (VALUES ({id}), (20000 + {n})) AS s (id) ON t.id = s.id
         WHEN MATCHED THEN UPDATE SET v = 'm{n}' WHEN NOT MATCHED THEN INSERT (id, v) VALUES (s.id, 'm')",
    "BEGIN; UPDATE t SET v = 'no' WHERE id < 500; ROLLBACK",
    "BEGIN; SAVEPOINT a; UPDATE t SET v = 'no' WHERE id < 300; ROLLBACK TO a; UPDATE t SET v = 's{n}' WHERE id = {id}; \
     SAVEPOINT b; DELETE FROM t WHERE id = {to}; RELEASE b; COMMIT",
    "BEGIN; SELECT * FROM t WHERE id < 1000 FOR UPDATE; COMMIT",
    "VACUUM t",
    "VACUUM FREEZE t",
    "CREATE TABLE other_{n} AS SELECT 1 AS one",
    "COPY (SELECT 30000 + {n}, 'copied', 1, NULL) TO PROGRAM 'cat > {file}'; COPY t (id, v, m, pad) FROM '{file}'",
    "ANALYZE t",
    "DELETE FROM t WHERE id > 1400; VACUUM t; INSERT INTO t (id, v) SELECT 40000 + 100 * {n} + n, 'r' FROM generate_series(1, 90) n",
    "UPDATE t SET id = -id WHERE id = {id}",
    "SELECT txid_current()",
];

/// What changes the form of the table or its place.
const FORMS: [&str; 12] = [
    "VACUUM FULL t",
    "CLUSTER t USING t_id",
    "ALTER TABLE t ADD COLUMN c{n} int",
    "ALTER TABLE t ADD COLUMN d{n} int DEFAULT {n}",
    "ALTER TABLE t ADD COLUMN e{n} text; ALTER TABLE t DROP COLUMN e{n}",
    "ALTER TABLE t ALTER COLUMN v TYPE varchar(2000)",
    "ALTER TABLE t ALTER COLUMN m TYPE text USING m::text; ALTER TABLE t ALTER COLUMN m TYPE numeric USING m::numeric",
    "COMMENT ON COLUMN t.v IS 'comment {n}'",
    "CREATE TABLE new (LIKE t INCLUDING ALL); INSERT INTO new SELECT * FROM t WHERE id <> {id}; ALTER TABLE t RENAME TO old; \
     ALTER TABLE new RENAME TO t; DROP TABLE old; ALTER INDEX IF EXISTS new_id_idx RENAME TO t_id",
    "CREATE TABLE keep AS TABLE t; TRUNCATE t; INSERT INTO t SELECT * FROM keep; DROP TABLE keep",
    "BEGIN; CREATE TABLE keep AS TABLE t; TRUNCATE t; COPY keep TO '{file}'; COPY t FROM '{file}' WITH (FREEZE); \
     DROP TABLE keep; COMMIT",
    "ALTER TABLE t SET UNLOGGED; ALTER TABLE t SET LOGGED",
];

/// A generator of our own, so that a failure comes again; Knuth's constants.
struct Random(u64);

impl Random {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }

    fn pick<'t>(&mut self, texts: &[&'t str]) -> &'t str {
        texts[usize::try_from(self.below(texts.len() as u64)).unwrap()]
    }
}

struct World {
    place: Place,
    random: Random,
    open: Vec<Session>,
    prepared: Vec<String>,
    step: u64,
}

impl World {
    fn text(&mut self, text: &str) -> String {
        let id = self.random.below(1500);
        text.replace("{n}", &self.step.to_string())
            .replace("{id}", &id.to_string())
            .replace("{to}", &(id + 20).to_string())
            .replace(
                "{file}",
                &self.place.path(&format!("server/data/copy{}", self.step)).display().to_string(),
            )
    }

    /// Nothing waits for a writer that is open: what would have to fails.
    fn try_sql(&self, sql: &str) {
        let _ = self.place.try_sql(&format!("SET lock_timeout = '100ms'; {sql}"));
    }

    fn end_writers(&mut self) {
        self.open.clear();
        for name in self.prepared.drain(..) {
            self.place.sql(&format!("COMMIT PREPARED '{name}'"));
        }
    }

    /// Does something, and says what.
    fn act(&mut self) -> String {
        match self.random.below(20) {
            0..=10 => {
                let change = self.random.pick(&CHANGES);
                let change = self.text(change);
                self.try_sql(&change);
                change
            }
            11 | 12 if self.open.len() < 3 => {
                let change = self.text("UPDATE t SET v = 'w{n}' WHERE id BETWEEN {id} AND {to}");
                let mut session = self.place.session();
                session.send("SET lock_timeout = '100ms'; BEGIN");
                session.sql("SELECT txid_current(); SAVEPOINT s");
                session.send(&change);
                self.open.push(session);
                format!("open: {change}")
            }
            11..=14 if !self.open.is_empty() => {
                let session = self.open.swap_remove(0);
                let end = if self.random.below(3) == 0 { "ROLLBACK" } else { "COMMIT" };
                session.end(end);
                format!("open: {end}")
            }
            13 | 14 if self.prepared.is_empty() => {
                let name = format!("p{}", self.step);
                let change = self.text("UPDATE t SET v = 'p{n}' WHERE id BETWEEN {id} AND {to}");
                let sql =
                    format!("SET lock_timeout = '100ms'; BEGIN; {change}; PREPARE TRANSACTION '{name}'");
                if self.place.try_sql(&sql).is_ok() {
                    self.prepared.push(name);
                }
                format!("prepared: {change}")
            }
            15 => {
                self.end_writers();
                "no writers".to_owned()
            }
            16..=18 => {
                self.end_writers();
                let form = self.random.pick(&FORMS);
                let form = self.text(form);
                self.place.sql(&form);
                form
            }
            19 if self.random.below(2) == 0 => {
                self.end_writers();
                self.place.stop();
                self.place.start();
                "restart".to_owned()
            }
            _ => {
                self.end_writers();
                // The server ends all sessions and recovers.
                let mut session = self.place.session();
                session.sql("BEGIN; UPDATE t SET v = 'crash' WHERE id < 400");
                let victim = self
                    .place
                    .sql("SELECT pid FROM pg_stat_activity WHERE state = 'idle in transaction' LIMIT 1");
                let killed = std::process::Command::new("kill").args(["-9", victim.trim()]).status();
                assert!(killed.unwrap().success(), "{victim}");
                drop(session);
                self.place.wait();
                "crash".to_owned()
            }
        }
    }

    fn check(&self, done: &[String]) -> Vec<Came> {
        self.place.run("data", &["-q"]);
        self.place.run("full", &["-q", "--full"]);
        let shown = self.place.sql(
            "SET enable_indexscan = off; SET enable_bitmapscan = off; SET max_parallel_workers_per_gather = 0;
             SET synchronize_seqscans = off;
             SELECT id || ' | ' || coalesce(v, 'NULL') FROM t WHERE id > 100 AND v LIKE '%1%'",
        );
        let shown: Vec<&str> = shown.lines().collect();
        let last: Vec<&String> = done.iter().rev().take(4).collect();
        assert!(lines(&self.place.path("data/q.parquet")) == shown, "{last:#?}");
        ["t", "q", "i"]
            .map(|stage| {
                let came = self.place.came("data", stage);
                let same = self.place.bytes("data", stage) == self.place.bytes("full", stage);
                assert!(same, "{stage}: {came:?}\n{:?}\n{last:#?}", self.place.came("full", stage));
                came
            })
            .into()
    }
}

#[test]
fn an_incremental_export_has_the_bytes_of_a_full_one() {
    let sql = format!(
        "{TABLE} ALTER TABLE t ALTER COLUMN id SET STATISTICS 500; CREATE UNIQUE INDEX t_id ON t (id); ANALYZE t"
    );
    let place = Place::with_settings(&sql, &STAGES, &["max_prepared_transactions=10"]);
    let random = Random(u64::from(cases(1, 20_261_126)));
    let mut world = World { place, random, open: Vec::new(), prepared: Vec::new(), step: 0 };
    world.check(&[]);
    let (mut copied, mut read, mut unchanged, mut by_index) = (0, 0, 0, 0);
    let mut done = Vec::new();
    for step in 0..cases(40, 300) {
        world.step = step.into();
        let times = 1 + world.random.below(2);
        for _ in 0..times {
            let action = world.act();
            done.push(format!("{step}: {action}"));
        }
        let came = world.check(&done);
        for (which, came) in came.iter().enumerate() {
            let Some((now_read, now_copied)) = came.cells() else { continue };
            (copied, read) = (copied + now_copied, read + now_read);
            unchanged += u64::from(came.status == "unchanged");
            by_index += u64::from(which == 2);
        }
    }
    println!("{copied} cells copied, {read} read; {unchanged} outputs unchanged; {by_index} by an index");
    // Without these the test would show nothing.
    assert!(copied > read && unchanged > 5 && by_index > 5, "{copied} {read} {unchanged} {by_index}");
}
