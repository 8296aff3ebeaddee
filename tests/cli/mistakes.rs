//! Every broken pipeline file is refused as a whole, with all its mistakes, before anything runs.

use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
fn every_broken_pipeline_file_is_refused_with_its_lines() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = Path::new("fixtures/pipelines/bad");
    let mut files: Vec<_> =
        fs::read_dir(root.join(folder)).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    files.sort();
    assert!(files.len() >= 20);
    for file in files {
        let output = Command::new(env!("CARGO_BIN_EXE_ssp-run"))
            .current_dir(root)
            .env_clear()
            .arg(folder.join(&file))
            .output()
            .unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{file:?}: {text}");
        assert_eq!(output.stdout, b"", "{file:?}");
        assert!(!text.contains("hunter2"), "{file:?}: {text}");
        assert!(!root.join("fixtures/pipelines/bad/data").exists(), "{file:?} wrote something");
        insta::with_settings!({omit_expression => true, prepend_module_to_snapshot => false}, {
            insta::assert_snapshot!(file.to_string_lossy().trim_end_matches(".yaml"), text);
        });
    }
}
