//! Records and outputs that are damaged: they are made again, and none is believed.

use std::fs;

use crate::site::{Site, put};

#[test]
fn a_damaged_record_is_made_again() {
    let site = Site::new();
    site.ssp_run(&["-q"]).expect(0);
    let good = site.outputs();
    let record = site.path("data/.ssp/stages/mpc_orbits.json");
    let text = fs::read(&record).unwrap();
    let newer = String::from_utf8(text.clone()).unwrap().replacen("\"format\": 1", "\"format\": 2", 1);
    let half = text.len() / 2;
    for (what, bytes) in [
        ("empty", &b""[..]),
        ("truncated", &text[..half]),
        ("not text", &[0xff, 0x00, 0xfe][..]),
        ("of a newer version", newer.as_bytes()),
        ("another form", b"[]"),
    ] {
        put(&record, bytes);
        let said = site.ssp_run(&[]);
        assert_eq!(said.code, Some(0), "{what}: {}", said.stderr);
        let warning = "mpc_orbits.json` cannot be used and is made again";
        assert!(said.stderr.contains(warning), "{what}: {}", said.stderr);
        assert_eq!(site.worked()[0], "mpc_orbits: done (never_run)", "{what}");
        assert!(site.outputs() == good, "{what}");
        assert_eq!(site.ssp_run(&["--check", "-q"]).code, Some(0), "{what}");
    }
}

#[test]
fn damaged_records_of_runs_and_digests_do_no_harm() {
    let site = Site::new();
    site.ssp_run(&["-q"]).expect(0);
    let good = site.outputs();
    for name in
        ["digests.json", "lock", "runs/latest/run.json", "runs/latest/plan.json", "publish/exports.json"]
    {
        for bytes in [&b""[..], b"{", b"\xff\xfe", b"{\"items\": 3}", b"[1, 2]"] {
            put(&site.path("data/.ssp").join(name), bytes);
            let said = site.ssp_run(&["-q"]);
            assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""), "{name}");
            assert!(site.outputs() == good, "{name}");
            for subcommand in ["status", "history", "log", "gc"] {
                assert_eq!(site.ssp_run(&[subcommand]).code, Some(0), "{name}: {subcommand}");
            }
        }
    }
}

#[test]
fn a_damaged_output_is_made_again() {
    let site = Site::new();
    site.ssp_run(&["-q"]).expect(0);
    let good = site.outputs();
    assert_eq!(good.len(), 7);
    for (name, bytes) in &good {
        let half = bytes.len() / 2;
        let mut other = bytes.clone();
        other[half] ^= 1;
        for damaged in [&other[..], &bytes[..half], b""] {
            put(&site.path("data").join(name), damaged);
            let said = site.ssp_run(&["-q"]);
            assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""), "{name}");
            let stage = name.trim_end_matches(".parquet");
            assert_eq!(site.worked(), [format!("{stage}: done (output_modified: digest)")], "{name}");
            assert!(site.outputs() == good, "{name}");
        }
    }
}

/// Runs and records of a time that is to come, as a clock leaves them that was set back.
#[test]
fn a_clock_that_was_set_back_is_no_reason_to_believe_anything() {
    let site = Site::new();
    site.edit("connections: 2", "connections: 2\n  max_age: 20h");
    site.ssp_run(&["-q"]).expect(0);
    let later = site.path("data/.ssp/runs/20990101T000000Z");
    fs::create_dir(&later).unwrap();
    for stage in ["obs_sbn", "mpc_orbits", "current_identifications", "numbered_identifications"] {
        let path = site.path("data/.ssp/stages").join(format!("{stage}.json"));
        let text = fs::read_to_string(&path).unwrap();
        let at = text.find("\"taken\": \"").unwrap() + "\"taken\": \"".len();
        put(&path, format!("{}2099{}", &text[..at], &text[at + 4..]).as_bytes());
    }
    site.sql("DELETE FROM obs_sbn WHERE id = (SELECT max(id) FROM obs_sbn WHERE stn <> 'X05')");
    // Younger than 20 hours, the recorded exports would be taken; but a time to come is no age.
    site.ssp_run(&[]).expect(0).says(" snapshot ");
    assert!(!site.ssp_run(&["log"]).stdout.starts_with("run 2099"));
    let status = site.ssp_run(&["status"]).stdout;
    assert!(status.starts_with("last run 20"), "{status}");
    site.ssp_run(&["--check", "-q"]).expect(0);
}
