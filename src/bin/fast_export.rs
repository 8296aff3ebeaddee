//! `fast-export`: queries of a Postgres database to Parquet files.

fn main() -> std::process::ExitCode {
    ssp::cli::fast_export::main()
}
