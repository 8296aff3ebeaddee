//! All programs, each by its name: see `cli/programs.rs`.

fn main() -> std::process::ExitCode {
    ssp::cli::main()
}
