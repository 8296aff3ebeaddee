//! The file for metrics replaces only what an earlier run wrote there: never an input, an output or a record.

use std::fs;
use std::os::unix::fs::symlink;

use crate::place::Place;

/// A pipeline that reads files of every kind. Its stages fail, which is late enough to write metrics.
fn place() -> Place {
    let place = Place::empty();
    place.put("ss.parquet", "detections");
    place.put("schema.yaml", "columns: []\n");
    place.put("many/one.parquet", "a part");
    place.put("repo/butler.yaml", "datastore: {}\n");
    place.put("out/.ssp/stages/old.json", "{}");
    place.put("out/.ssp/lock", "");
    place.put("out/a.parquet", "last good");
    place.put(
        "pipeline.yaml",
        "version: 1\nname: t\nout_dir: out\nbutler: {repo: ./repo}\nstages:\n  \
         a: {build-ssobject: {sssource: ss.parquet, mpc_orbits: many/}, out: a.parquet, schema: schema.yaml}\n  \
         b: {build-ssobject: {sssource: 'many/*.parquet', mpc_orbits: ss.parquet}, out: new/b.parquet}\n  \
         c: {extract: {collection: c}, out: c.parquet}\n",
    );
    place
}

#[test]
fn metrics_replace_no_file_that_a_pipeline_reads_or_writes() {
    let place = place();
    symlink("ss.parquet", place.path("link.prom")).unwrap();
    fs::hard_link(place.path("ss.parquet"), place.path("second-name.prom")).unwrap();
    symlink("out/.ssp", place.path("records")).unwrap();
    let cases = [
        ("pipeline.yaml", "it is the pipeline file"),
        ("ss.parquet", "it is `sssource` of stage `a`"),
        ("link.prom", "it is `sssource` of stage `a`"),
        ("second-name.prom", "it is `sssource` of stage `a`"),
        ("many/one.parquet", "it is `mpc_orbits` of stage `a`"),
        ("schema.yaml", "it is the schema of stage `a`"),
        ("repo/butler.yaml", "it is a file of the repository"),
        ("out/.ssp/lock", "is inside the folder of run records"),
        ("out/.ssp/stages/old.json", "is inside the folder of run records"),
        ("out/.ssp/digests.json", "is inside the folder of run records"),
        ("out/.ssp/new/folder/x", "is inside the folder of run records"),
        ("records/x", "is inside the folder of run records"),
        ("out/a.parquet", "is the output of stage `a`"),
        ("out/c.parquet", "is the output of stage `c`"),
        ("out/new", "and the output of stage `b` is inside the other"),
        ("out/c.parquet/m.prom", "and the output of stage `c` is inside the other"),
    ];
    let content = |name: &str| fs::read(place.path(name)).ok();
    for (metrics, expected) in cases {
        let before = content(metrics);
        // Whichever stage runs: the others do later.
        for stage in ["a", "b"] {
            place
                .soon("ssp-run", &["--stage", stage, "--metrics-file", metrics])
                .expect(2)
                .says("the metrics cannot be written")
                .says(expected)
                .says("name another file for the metrics");
        }
        assert_eq!(content(metrics), before, "{metrics}");
    }
    assert!(!place.path("out/.ssp/runs").exists());
}

#[test]
fn metrics_are_refused_by_links_and_folders_that_are_yet_to_be_made() {
    let place = place();
    // The records are found through the link to the output folder before they are there.
    fs::remove_dir_all(place.path("out/.ssp")).unwrap();
    fs::rename(place.path("out"), place.path("real")).unwrap();
    symlink("real", place.path("out")).unwrap();
    for metrics in ["real/.ssp/m.prom", "real/./.ssp/deep/m.prom", "real/../out/.ssp/m.prom"] {
        place
            .soon("ssp-run", &["--stage", "a", "--metrics-file", metrics])
            .expect(2)
            .says("is inside the folder of run records");
    }
    place
        .soon("ssp-run", &["--stage", "a", "--metrics-file", "real/new"])
        .expect(2)
        .says("is inside the other");
    // A file of their own is fine, each time.
    for _ in 0..2 {
        place.soon("ssp-run", &["--stage", "a", "--metrics-file", "metrics/m.prom"]).expect(1);
        assert!(fs::read_to_string(place.path("metrics/m.prom")).unwrap().ends_with("# EOF\n"));
    }
}
