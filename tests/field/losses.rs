//! A lost connection is reported with the reason that the server gave, wherever it is noticed.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Child, Stdio};

use crate::place::{Place, Said, build_ssobject, case};

const WHY: &str = "terminating connection due to administrator command";
const SLOW: &str = "SELECT n, pg_sleep(0.01)::text AS s FROM generate_series(1, 3000) AS n";

fn start(place: &Place) -> Child {
    let mut command = place.program("ssp-run");
    command.args(["pipeline.yaml", "-j", "4"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Ends our sessions in a state, and what the program says then.
fn terminate(place: &Place, state: &str, run: Child) -> Said {
    // A session is active for a moment in small queries, too: the one that is meant lasts.
    let ours = format!(
        "FROM pg_stat_activity WHERE application_name = 'ssp' AND state = '{state}'
         AND (state <> 'active' OR query LIKE 'COPY%')"
    );
    place.until(&format!("SELECT count(*) > 0 {ours}"));
    place.sql(&format!("SELECT pg_terminate_backend(pid) {ours}"));
    run.wait_with_output().unwrap().into()
}

/// The stage that waits for the only connection gets it when it is lost.
#[test]
fn the_reason_of_the_server_is_told_by_every_stage_of_a_lone_connection() {
    let place = Place::with("CREATE ROLE few LOGIN CONNECTION LIMIT 1");
    let export = |name: &str| format!("  {name}: {{export: {{sql: \"{SLOW}\"}}, out: {name}.parquet}}\n");
    let stages = ["a", "b", "c"].map(export).concat();
    for database in ["connections: 0", "user: few"] {
        place.pipeline_on(&format!("{{{database}, retries: 0}}"), &stages);
        let run = start(&place);
        let said = terminate(&place, "active", run).expect(1).says(WHY).does_not_say("Broken pipe");
        let (failed, told) = (said.text.matches("FAILED").count(), said.text.matches(WHY).count());
        assert!(failed >= 1 && told >= failed, "{}", said.text);
    }
}

/// It said why while the connection did nothing: that is still there to be read when the connection is found to be lost.
#[test]
fn the_reason_of_the_server_is_told_though_the_connection_did_nothing() {
    let place = Place::with("");
    fs::create_dir(place.path("many")).unwrap();
    for n in 0..100 {
        symlink(case("sssource.parquet"), place.path(format!("many/{n}.parquet"))).unwrap();
    }
    let build = build_ssobject("many/".as_ref());
    place.pipeline_on(
        "{connections: 0, retries: 1}",
        &format!(
            "  slow: {{{build}, out: slow.parquet}}\n  \
             late: {{needs: [slow], export: {{sql: SELECT 1 AS a}}, out: late.parquet}}\n"
        ),
    );
    let run = start(&place);
    place.until("SELECT pg_catalog.count(*) > 0 FROM pg_stat_activity WHERE application_name = 'ssp'");
    let said = terminate(&place, "idle in transaction", run).expect(0).says("retry      1 of 1");
    let retry = said.text.lines().find(|line| line.contains("retry ")).unwrap();
    assert!(said.text.contains(WHY) && !said.text.contains("Broken pipe"), "{retry}\n{}", said.text);
}
