//! The end of a log, for failures and reports.

use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use crate::errors::shown;
use crate::regular;

/// The end of a log in which its last lines are looked for.
const MOST_BYTES: u64 = 256 << 10;

/// The last lines of a log, each whole; a log that cannot be read has none. Only the end of a long log is read.
pub(super) fn tail(path: &Path, most: usize) -> Vec<String> {
    let read = || {
        let mut file = regular::open(path)?;
        let start = file.seek(SeekFrom::End(0))?.saturating_sub(MOST_BYTES);
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.take(MOST_BYTES).read_to_end(&mut bytes)?;
        io::Result::Ok((bytes, start > 0))
    };
    let Ok((bytes, is_cut)) = read() else { return Vec::new() };
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().skip(usize::from(is_cut)).collect();
    lines[lines.len().saturating_sub(most)..].iter().map(|line| shown(line)).collect()
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests lay out files")]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_line_that_is_not_utf_8_removes_no_line() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        assert!(tail(&log, 2).is_empty());
        fs::write(&log, b"one\ntwo \xff\nthree\n").unwrap();
        assert_eq!(tail(&log, 2), ["two \u{fffd}", "three"]);
        assert_eq!(tail(&log, 20).len(), 3);
    }

    #[test]
    fn the_lines_of_a_long_log_are_whole() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let line = "x".repeat(99);
        fs::write(&log, format!("{line}\n").repeat(4_000)).unwrap();
        let lines = tail(&log, usize::MAX);
        assert!(lines.len() < 4_000 && lines.iter().all(|found| *found == line), "{}", lines.len());
    }
}
