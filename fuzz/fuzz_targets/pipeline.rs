//! Pipeline files: any text is a pipeline, or has mistakes with places that lie in it.

#![no_main]

use std::collections::BTreeMap;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use ssp::pipeline::read;
use ssp::plan::Graph;

fuzz_target!(|text: &str| {
    let reading = read(Path::new("p.yaml"), text, &BTreeMap::new(), &|_| None);
    let lines = text.replace("\r\n", "\n").replace('\r', "\n").lines().count() + 1;
    for mistake in &reading.mistakes {
        assert!(usize::try_from(mistake.place.line).is_ok_and(|line| line <= lines), "{mistake:?}");
    }
    match &reading.pipeline {
        Some(pipeline) => drop(Graph::seal(pipeline)),
        None => assert!(!reading.mistakes.is_empty()),
    }
});
