//! `extract-catalog`: a launcher.

mod launcher;

fn main() -> std::process::ExitCode {
    launcher::launch("extract-catalog")
}
