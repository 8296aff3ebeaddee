//! The crontab line of the runbook, in cron's environment: no terminal, a bare PATH, another folder.

use std::process::{Command, Stdio};

use crate::site::{Site, put};

#[test]
fn cron_hears_nothing_of_a_good_night_and_one_message_of_a_bad_one() {
    let site = Site::new();
    let pipeline = site.path("pipelines/demo.yaml");
    let line = format!("{} -q {}", env!("CARGO_BIN_EXE_ssp-run"), pipeline.display());
    let cron = |line: &str| {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", line]).current_dir("/").env_clear().stdin(Stdio::null());
        command.env("HOME", site.path("")).env("PATH", "/usr/bin:/bin").env("SHELL", "/bin/sh");
        command.env("LOGNAME", "ssp").env("BUTLER_REPO", site.path("butler"));
        let output = command.env("SSP_DATA", site.path("data")).envs(site.connection()).output().unwrap();
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    assert_eq!(cron(&line), (Some(0), String::new()));
    assert_eq!(cron(&line), (Some(0), String::new()));

    site.edit("SELECT * FROM obs_sbn", "SELECT nothing FROM obs_sbn");
    let (code, said) = cron(&line);
    assert_eq!(code, Some(1), "{said}");
    assert_eq!(said.matches("FAILED obs_sbn").count(), 1, "{said}");
    for word in ["cause", "kept", "log", "next", "column \"nothing\" does not exist"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert!(!said.contains('\u{1b}') && !said.contains('\r'), "{said}");

    put(&pipeline, b"version: 1\n");
    let (code, said) = cron(&line);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("nothing was run"), "{said}");
}
