//! Where the output of a stage goes: a file, or, with a `/` at the end, the parts of a folder. It looks at the text alone.

use std::path::{Component, Path, PathBuf};

use super::plain;
use crate::durable::names_a_file;
use crate::parquet::other_format;
use crate::stages::Kind;

/// The longest path of an output of parts \[bytes\], where a `/` counts as three: the name of the folder has it, with a digest,
/// and no name has more than 255 bytes.
const LONGEST_OF_PARTS: usize = 200;

/// An `out` of the file.
pub(super) struct Out {
    /// The path below `out_dir`, without a `/` at its end.
    pub path: PathBuf,
    /// Whether it is one of parts.
    pub in_parts: bool,
    /// What is wrong with it.
    pub mistakes: Vec<String>,
}

/// Reads the `out` of a stage that makes a file.
pub(super) fn read(out: &Path, kind: Option<&Kind>) -> Out {
    let text = out.to_string_lossy();
    let in_parts = text.ends_with('/');
    let out = Path::new(text.trim_end_matches('/'));
    let parquet = out.with_extension("parquet");
    let parquet = parquet.display();
    let mut mistakes = Vec::new();
    let is_below = out.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if text.is_empty() {
        mistakes.push("`out` is empty: name a file below `out_dir`".to_owned());
    } else if !is_below || !names_a_file(out) {
        mistakes.push(format!("`out: {text}` must be the name of a file below `out_dir`"));
    } else if let Some(kind) = kind.filter(|kind| in_parts && kind.part_rows.is_none()) {
        let kind = kind.name;
        mistakes.push(format!(
            "`out: {text}` is a folder of parts, but `{kind}` makes one file: write `out: {parquet}`"
        ));
    } else if in_parts && length_of_parts(out) > LONGEST_OF_PARTS {
        mistakes
            .push(format!("`out` of parts is longer than {LONGEST_OF_PARTS} bytes: write a shorter path"));
    }
    if out.components().any(|part| part.as_os_str() == ".ssp") {
        mistakes.push("`.ssp` is reserved for run records".to_owned());
    }
    if let Some(format) = other_format(out) {
        let shown = out.display();
        mistakes.push(format!(
            "outputs are Parquet files, but `{shown}` is named like a file of the format {format}: write `{parquet}`"
        ));
    }
    Out { path: plain(out), in_parts, mistakes }
}

fn length_of_parts(out: &Path) -> usize {
    out.as_os_str().as_encoded_bytes().iter().map(|byte| if b"/%".contains(byte) { 3 } else { 1 }).sum()
}
