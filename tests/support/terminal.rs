//! What programs draw on a terminal.

use std::path::Path;
use std::process::Command;

/// What a program prints on a terminal, each time a line is drawn again, without colours. It must succeed.
pub fn drawn(folder: &Path, program: &str, arguments: &[&str]) -> Vec<String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/terminal.py");
    let mut command = Command::new("python3");
    command.arg(script).arg(assert_cmd::cargo::cargo_bin(program)).args(arguments);
    command.current_dir(folder).env("TERM", "xterm").env_remove("NO_COLOR");
    let output = command.output().expect("the tests need python3");
    let [text, stderr] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(output.status.success() && stderr.is_empty(), "{text}{stderr}");
    text.split(['\r', '\n']).map(|line| console::strip_ansi_codes(line).trim().to_owned()).collect()
}
