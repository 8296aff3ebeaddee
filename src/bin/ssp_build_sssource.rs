//! `ssp-build-sssource`: a launcher.

mod launcher;

fn main() -> std::process::ExitCode {
    launcher::launch("ssp-build-sssource")
}
