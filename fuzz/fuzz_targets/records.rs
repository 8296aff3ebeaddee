//! Records: any bytes are a record, or are said to be unreadable.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ssp::run::Store;

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(folder.path());
    let stage = "a".into();
    std::fs::create_dir_all(store.path("stages")).unwrap();
    std::fs::write(store.record_path(&stage), bytes).unwrap();
    let _ = store.record(&stage);
});
