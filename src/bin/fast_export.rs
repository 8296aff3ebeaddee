//! `fast-export`: a launcher.

mod launcher;

fn main() -> std::process::ExitCode {
    launcher::launch("fast-export")
}
