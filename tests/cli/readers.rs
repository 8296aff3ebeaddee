//! The outputs read back by pyarrow, DuckDB and Polars, against what psql says of the tables and what the fixture script
//! put into the repository.

use std::path::Path;
use std::process::Command;

use crate::python::python;
use crate::said::Said;
use crate::site::Site;

#[test]
fn every_reader_sees_what_is_in_the_tables_and_the_repository() {
    let site = Site::new();
    // The survey's own SSSource leaves out detections on purpose.
    site.with_sssource_from_elsewhere();
    site.ssp_run(&["-q"]).expect(0);
    let compare = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/readers/compare.py");
    let mut command = Command::new(python());
    command.arg(compare).arg("--data").arg(site.path("data"));
    command.args(["--dsn-args", &site.psql_arguments(), "--station", "X05"]);
    Said::from(command.output().unwrap()).expect(0).says(", 0 differences");
    // It would say so if one digit were another.
    site.sql("UPDATE mpc_orbits SET e = e + 1e-12 WHERE id = (SELECT min(id) FROM mpc_orbits)");
    Said::from(command.output().unwrap()).expect(1).says("mpc_orbits");
}
