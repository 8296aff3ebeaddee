//! Each row of the type table, through a real server.

use ssp::parquet::read::TableReader;
use ssp::pipeline::spec::{DefaultsSpec, ExportSpec};
use ssp::stages::Unwatched;
use ssp::stages::export::{self, Export};

use crate::support::postgres::Server;

#[test]
fn a_query_becomes_a_file() {
    let server = Server::with("CREATE TABLE t (a int4 NOT NULL, b text, c numeric, d timestamptz, e text[], f jsonb, g interval);
        INSERT INTO t VALUES (1, 'x', 1.25, '2025-01-01 00:00:00+00', '{a,NULL}', '{\"k\": 1}', '1 day'), (2, NULL, NULL, NULL, NULL, NULL, NULL);");
    let snapshot = server.snapshot();
    println!("{:?}", snapshot.state());
    let spec = ExportSpec { sql: Some("SELECT * FROM t".into()), ..Default::default() };
    let export = Export::from_spec(&spec, &DefaultsSpec::default()).unwrap();
    let out = server.path("t.parquet");
    let product = export::run(&export, &snapshot, 2, &out, &Unwatched).unwrap();
    product.table.file.publish().unwrap();
    println!("{}", crate::support::parquet::lines(&out).join("\n"));
    println!("{:?}", TableReader::open(&out).unwrap().schema());
}
