//! Deliveries to a folder.

use std::fs;

use serde_json::{Value, json};
use ssp::digest::Digest;

use crate::place::{Place, deliveries, only};

#[test]
fn a_delivery_has_all_tables_and_a_manifest_that_describes_them() {
    let place = Place::new("out/${run}/");
    place.run(&["p.yaml"]).expect(0).shows("delivered_to file:///");
    let (delivery, manifest) = only(&place.path("out"));
    let names: Vec<&str> = delivery.objects.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["Parts/a.parquet", "Parts/b.parquet", "Small.parquet", "_delivery.json", "manifest.json"]
    );
    let small = fs::read(place.path("in/small.parquet")).unwrap();
    assert_eq!(delivery.objects["Small.parquet"], small);
    let table = &manifest["tables"][1];
    let md5 = table["objects"][0]["md5"].clone();
    assert_eq!(
        *table,
        json!({
            "name": "Small", "rows": 10, "bytes": small.len(),
            "objects": [{"object": "Small.parquet", "bytes": small.len(), "md5": md5, "blake3": Digest::of(&small), "rows": 10}],
            "columns": [{"name": "value", "type": "int64", "unit": null, "nullable": false}],
            "made": null, "snapshot": null,
        })
    );
    let sum =
        std::process::Command::new("md5sum").arg(delivery.folder.join("Small.parquet")).output().unwrap();
    assert!(String::from_utf8_lossy(&sum.stdout).starts_with(md5.as_str().unwrap()));
    assert_eq!((&manifest["tables"][0]["rows"], &manifest["partial"]), (&json!(50), &json!(false)));
    let time = delivery.folder.file_name().unwrap().to_str().unwrap();
    assert_eq!((manifest["delivery"].as_str(), time.len()), (Some(time), "20261001T201900014".len()));
    assert_eq!(manifest["id"], delivery.id());
    let run: Value =
        serde_json::from_str(&fs::read_to_string(place.path("data/.ssp/runs/latest/run.json")).unwrap())
            .unwrap();
    let url = format!("{}/", manifest["url"].as_str().unwrap().trim_end_matches('/'));
    assert_eq!(run["stages"][0]["figures"]["delivered_to"], url);
    assert_eq!(run["stages"][0]["figures"]["objects"], 3);
    let page = fs::read_to_string(place.path("data/.ssp/runs/latest/report.html")).unwrap();
    assert!(page.contains("Delivered to") && page.contains(time));
    // The key does not know the time.
    let record = fs::read_to_string(place.path("data/.ssp/stages/ppdb.json")).unwrap();
    assert!(record.contains("\"out/${run}/\""), "{record}");
    assert!(!place.state().exists());
}

#[test]
fn the_hook_gets_the_manifest_once() {
    let place = Place::new("out/${run}/");
    place.run(&["p.yaml"]).expect(0);
    place.run(&["p.yaml"]).expect(0);
    let (_, manifest) = only(&place.path("out"));
    let [told] = place.told().try_into().unwrap();
    let url = manifest["url"].as_str().unwrap();
    assert_eq!(told, format!("{} ppdb {url}manifest.json", manifest["run"].as_str().unwrap()));
    let got: Value = serde_json::from_str(&fs::read_to_string(place.path("manifest.json")).unwrap()).unwrap();
    assert_eq!(got, manifest);
    assert_eq!(fs::read_dir(place.path("data/.ssp/deliveries/notices")).unwrap().count(), 0);
}

#[test]
fn a_failing_hook_is_a_warning() {
    let place = Place::new("out/${run}/");
    place.edit("cat > manifest.json;", "cat > manifest.json; exit 3;");
    place.run(&["p.yaml"]).expect(0).shows("hook `on_delivered`: it ended with exit status: 3");
    place.run(&["p.yaml"]).expect(0);
    assert_eq!(place.told(), [] as [&str; 0]);
}

/// The record is written by then, so only the hook is left to do.
#[test]
fn a_hook_that_a_kill_cut_short_is_called_by_the_next_run() {
    let place = Place::new("out/${run}/");
    place.edit("cat > manifest.json;", "cat > manifest.json; test -e go || { kill -KILL $PPID; exit; };");
    assert_eq!(place.run(&["p.yaml"]).code, None);
    place.write("go", "");
    place.run(&["p.yaml"]).expect(0).shows("up to date ppdb");
    assert_eq!(place.told().len(), 1);
    only(&place.path("out"));
    place.run(&["p.yaml"]).expect(0);
    assert_eq!(place.told().len(), 1);
}

#[test]
fn the_same_bytes_are_delivered_once_unless_by_force() {
    let place = Place::new("out/${run}/");
    place.run(&["p.yaml"]).expect(0);
    place.run(&["p.yaml"]).expect(0).shows("up to date ppdb");
    let (first, _) = only(&place.path("out"));
    place.run(&["--force-stage", "ppdb", "p.yaml"]).expect(0);
    let all = deliveries(&place.path("out"));
    assert_eq!((all.len(), all[0].id()), (2, first.id()));
    assert_ne!(all[1].id(), first.id());
    assert!(all[1].manifest.is_some());
}

#[test]
fn other_bytes_and_another_target_are_new_deliveries() {
    let place = Place::new("out/${run}/");
    place.run(&["p.yaml"]).expect(0);
    place.table("in/small.parquet", 11, 7);
    place.run(&["p.yaml"]).expect(0).shows("tables.Small");
    let all = deliveries(&place.path("out"));
    assert_eq!(all.len(), 2);
    assert_eq!(all[0].manifest.as_ref().unwrap()["tables"][1]["rows"], 10);
    assert_eq!(all[1].manifest.as_ref().unwrap()["tables"][1]["rows"], 11);
    place.pipeline("elsewhere/n-${run}", "{Small: in/small.parquet}", "      manifest: false\n");
    place.run(&["p.yaml"]).expect(0);
    let [other] = deliveries(&place.path("elsewhere")).try_into().unwrap();
    assert_eq!(other.objects.keys().collect::<Vec<_>>(), ["Small.parquet", "_delivery.json"]);
    assert!(other.folder.file_name().unwrap().to_str().unwrap().starts_with("n-2"));
    // The hook gets it all the same.
    assert_eq!(place.told().len(), 3);
}

#[test]
fn a_dry_run_shows_each_object_with_its_size_and_where_it_goes() {
    let place = Place::new("out/${run}/");
    let bytes = fs::metadata(place.path("in/small.parquet")).unwrap().len();
    let base = format!("file://{}/out/${{run}}", place.path("").display().to_string().trim_end_matches('/'));
    place
        .run(&["-n", "p.yaml"])
        .expect(0)
        .shows(&format!("{base}/Small.parquet {bytes} bytes"))
        .shows(&format!("{base}/Parts/b.parquet"))
        .shows(&format!("{base}/manifest.json written last"));
    assert!(!place.path("out").exists());
    place.run(&["p.yaml"]).expect(0);
    let said = place.run(&["-n", "p.yaml"]).expect(0);
    assert!(!said.text.contains("Small.parquet"), "{}", said.text);
}

#[test]
fn a_table_that_is_no_parquet_or_has_a_name_twice_is_not_delivered() {
    let place = Place::new("out/${run}/");
    place.write("in/small.parquet", "no table");
    place.run(&["p.yaml"]).expect(1).shows("as Parquet");
    place.table("in/small.parquet", 10, 1);
    place.table("in/more/a.parquet", 10, 1);
    place.pipeline("out/${run}/", "{Small: in/*/a.parquet}", "");
    place.run(&["p.yaml"]).expect(1).shows("table `Small` has two files with the name `a.parquet`");
    assert!(!place.path("out").exists());
}

#[test]
fn a_folder_that_cannot_be_written_leaves_no_trace() {
    let place = Place::new("out/${run}/");
    place.write("out", "a file");
    place.run(&["p.yaml"]).expect(1).shows("out");
    assert!(!place.state().exists());
    fs::remove_file(place.path("out")).unwrap();
    place.run(&["p.yaml"]).expect(0);
    only(&place.path("out"));
}

#[test]
fn gc_status_and_generations_know_a_stage_without_a_file() {
    let place = Place::new("out/${run}/");
    place.run(&["p.yaml"]).expect(0);
    place.run(&["status", "p.yaml"]).expect(0).shows("ppdb");
    place.run(&["explain", "ppdb", "p.yaml"]).expect(0).shows("up to date");
    place.edit("  ppdb:", "  other:");
    let said = place.run(&["gc", "--orphans", "p.yaml"]).expect(0).shows("removed the record of `ppdb`");
    assert!(!said.text.contains("file"), "{}", said.text);
    only(&place.path("out"));
}
