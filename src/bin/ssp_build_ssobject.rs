//! `ssp-build-ssobject`: a launcher.

mod launcher;

fn main() -> std::process::ExitCode {
    launcher::launch("ssp-build-ssobject")
}
