//! What the program is where packages cannot have links, such as in a Python wheel: see `cli/programs.rs`.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

/// Replaces this process by the `ssp-run` beside it, under the name of another program. Returns only if that fails.
pub fn launch(name: &str) -> ExitCode {
    let ssp_run = std::env::current_exe().unwrap_or_else(|_| name.into()).with_file_name("ssp-run");
    let error = Command::new(&ssp_run).arg0(name).args(std::env::args_os().skip(1)).exec();
    let _ = writeln!(
        std::io::stderr(),
        "error: {name} is a part of {}, which cannot be started\n  caused by: {error}\n  hint: install the programs \
         again, all into one folder",
        ssp_run.display()
    );
    ExitCode::FAILURE
}
