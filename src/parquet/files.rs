//! Which files an input names: a file, all Parquet files of a folder, or what a glob matches.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use glob::MatchOptions;

/// The files that a path names, in the order of their names.
///
/// A folder stands for the `*.parquet` and `*.parq` files in it, but those whose names start with `.` or `_`, which by
/// custom are no data; a path with `*`, `?` or `[` that is no file itself is a glob.
///
/// # Errors
/// If there is no such file, or a folder cannot be read.
pub fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    if path.is_dir() {
        let mut files = Vec::new();
        for entry in fs::read_dir(path)? {
            let file = entry?.path();
            if is_data(&file) && file.is_file() {
                files.push(file);
            }
        }
        files.sort();
        return non_empty(files, "the folder has no *.parquet or *.parq file");
    }
    // A path that is not UTF-8 cannot be a pattern, and stands for itself.
    if let Some(text) = path.to_str()
        && text.contains(['*', '?', '['])
        && !path.exists()
    {
        // As in a shell, a wildcard is not for a leading dot.
        let options = MatchOptions { require_literal_leading_dot: true, ..MatchOptions::new() };
        let matches = glob::glob_with(text, options)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let mut files = matches.collect::<Result<Vec<_>, _>>().map_err(io::Error::from)?;
        files.retain(|file| file.is_file());
        files.sort();
        return non_empty(files, "no file matches");
    }
    fs::metadata(path)?;
    Ok(vec![path.to_owned()])
}

fn is_data(file: &Path) -> bool {
    let hidden = file.file_name().is_none_or(|name| name.to_string_lossy().starts_with(['.', '_']));
    !hidden && file.extension().is_some_and(|extension| extension == "parquet" || extension == "parq")
}

fn non_empty(files: Vec<PathBuf>, message: &str) -> io::Result<Vec<PathBuf>> {
    if files.is_empty() { Err(io::Error::new(io::ErrorKind::NotFound, message)) } else { Ok(files) }
}

/// The format that the name of a file stands for, if this is not Parquet.
#[must_use]
pub fn other_format(path: &Path) -> Option<String> {
    const OTHERS: [&str; 9] = ["csv", "tsv", "json", "jsonl", "xlsx", "fits", "h5", "feather", "arrow"];
    let extension = path.extension()?.to_str()?.to_lowercase();
    OTHERS.contains(&extension.as_str()).then_some(extension)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_and_a_glob_name_data_only() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.parquet", "a.parq", ".c.parquet", "_d.parquet", "e.txt", "[f].parquet"] {
            crate::durable::write(&folder.path().join(name), b"").unwrap();
        }
        fs::create_dir(folder.path().join("g.parquet")).unwrap();
        let names = |path: &str| -> Vec<String> {
            let found = files(&folder.path().join(path)).unwrap();
            found.iter().map(|file| file.file_name().unwrap().to_string_lossy().into_owned()).collect()
        };
        assert_eq!(names(""), ["[f].parquet", "a.parq", "b.parquet"]);
        assert_eq!(names("*.parquet"), ["[f].parquet", "_d.parquet", "b.parquet"]);
        assert_eq!(names("[f].parquet"), ["[f].parquet"]);
        assert_eq!(names("[ab].*"), ["a.parq", "b.parquet"]);
        for nothing in ["x.parquet", "x*", "g.parquet", "a***b"] {
            assert!(files(&folder.path().join(nothing)).is_err(), "{nothing}");
        }
    }

    /// There may be more parts than a process can have files open.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "tests lay out files")]
    fn a_part_is_open_only_while_it_is_read() {
        use crate::parquet::read::TableReader;

        let folder = tempfile::tempdir().unwrap();
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/ssobject_case/mpc_orbits.parquet");
        for part in 0..20 {
            fs::copy(&data, folder.path().join(format!("{part:02}.parquet"))).unwrap();
        }
        let open = || {
            let links = fs::read_dir("/proc/self/fd").unwrap().flatten();
            links.filter(|fd| fs::read_link(fd.path()).is_ok_and(|to| to.starts_with(folder.path()))).count()
        };
        let reader = TableReader::open(folder.path()).unwrap();
        assert!(open() <= 1, "{}", open());
        let column = reader.schema().field(0).name().clone();
        let mut rows = 0;
        for batch in reader.batches(&[&column], None, 1024).unwrap() {
            rows += batch.unwrap().num_rows() as u64;
            assert!(open() <= 2, "{}", open());
        }
        assert_eq!(rows, reader.rows());
        // A part that was replaced has another footer.
        let last = folder.path().join("19.parquet");
        fs::copy(&data, folder.path().join("new")).unwrap();
        fs::remove_file(&last).unwrap();
        fs::hard_link(folder.path().join("new"), last).unwrap();
        let error = reader.batches(&[&column], None, 1024).unwrap().find_map(Result::err).unwrap();
        assert!(crate::errors::chain(&error).concat().contains("was replaced"));
    }

    #[test]
    fn a_part_with_other_columns_is_refused() {
        use std::sync::Arc;

        use arrow_array::{ArrayRef, Float32Array, Int64Array, RecordBatch};

        use crate::parquet::read::TableReader;
        use crate::parquet::write::{TableWriter, WriteOptions};

        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, columns: Vec<(&str, ArrayRef)>| {
            let (rows, path) = (RecordBatch::try_from_iter(columns).unwrap(), folder.path().join(name));
            let mut writer = TableWriter::create(&path, rows.schema(), &WriteOptions::default()).unwrap();
            writer.write(&rows).unwrap();
            writer.seal().unwrap().file.publish().unwrap();
        };
        let ids = || -> ArrayRef { Arc::new(Int64Array::from(vec![1])) };
        let mags = || -> ArrayRef { Arc::new(Float32Array::from(vec![20.0])) };
        for name in ["a.parquet", "b.parquet"] {
            write(name, vec![("id", ids()), ("mag", mags())]);
        }
        assert_eq!(TableReader::open(folder.path()).unwrap().rows(), 2);
        for (columns, said) in [
            (vec![("id", mags()), ("mag", mags())], ["1", "`id` (Float32)", "`id` (Int64)"]),
            (vec![("mag", mags()), ("id", ids())], ["1", "`mag` (Float32)", "`id` (Int64)"]),
            (vec![("id", ids())], ["2", "missing", "`mag` (Float32)"]),
            (vec![("id", ids()), ("mag", mags()), ("x", ids())], ["3", "`x` (Int64)", "missing"]),
        ] {
            write("b.parquet", columns);
            let error = TableReader::open(folder.path()).err().unwrap().to_string();
            let [number, found, wanted] = said;
            assert!(error.starts_with(&format!("column {number} of `")), "{error}");
            assert!(error.contains(&format!("b.parquet` is {found}, but {wanted} in `")), "{error}");
            assert!(error.contains("a.parquet`"), "{error}");
        }
    }
}
