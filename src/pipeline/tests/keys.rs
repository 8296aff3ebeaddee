//! Keys of known pipelines: a key that changes makes every site build everything again.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::super::*;
use crate::key::Key;

const EXPECTED: &str = "fixtures/keys.json";
const PIPELINES: [&str; 3] =
    ["pipelines/demo.yaml", "pipelines/daily.yaml", "fixtures/pipelines/good/every_option.yaml"];

/// `SSP_UPDATE_KEYS=1` writes the file, for a change that is meant.
#[test]
fn the_keys_of_known_pipelines_are_as_they_were() {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut keys: BTreeMap<&str, BTreeMap<String, Key>> = BTreeMap::new();
    for name in PIPELINES {
        let text = fs::read_to_string(home.join(name)).unwrap();
        let reading = read(Path::new(name), &text, &BTreeMap::new(), &|_| None);
        assert_eq!(reading.mistakes, [], "{name}");
        let pipeline = reading.pipeline.unwrap();
        let of = |stage: &Stage| (stage.name.to_string(), stage.parameters.clone());
        keys.insert(name, pipeline.stages.iter().map(of).collect());
    }
    let text = serde_json::to_string_pretty(&keys).unwrap() + "\n";
    let expected = home.join(EXPECTED);
    if std::env::var_os("SSP_UPDATE_KEYS").is_some() {
        crate::durable::write(&expected, text.as_bytes()).unwrap();
    }
    assert_eq!(text, fs::read_to_string(&expected).unwrap(), "see {EXPECTED}");
}
