//! The password file: `host:port:database:user:password`, one per line.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::settings::{Origin, Secret};

/// Whom a password is for.
pub(super) struct Login<'a> {
    pub host: &'a str,
    pub port: u16,
    pub dbname: &'a str,
    pub user: &'a str,
}

/// The password for a connection, where there is one, and its line; a file that must not be used is a warning.
pub(super) fn find(path: &Path, wanted: &Login<'_>) -> (Option<(Secret, Origin)>, Option<String>) {
    let Ok(metadata) = fs::metadata(path) else { return (None, None) };
    let ignored = |why: &str| (None, Some(format!("password file `{}` is ignored: {why}", path.display())));
    if !metadata.is_file() {
        return ignored("it is not a plain file");
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        return ignored("others can read it; its permissions must be 0600 or less");
    }
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => return ignored(&error.to_string()),
    };
    match find_in(&String::from_utf8_lossy(&bytes), wanted) {
        // Another password than the one in the file must not be sent.
        Some((password, line)) if password.contains(char::REPLACEMENT_CHARACTER) => {
            ignored(&format!("the password in line {line} is not UTF-8"))
        }
        Some((password, line)) => {
            (Some((Secret::from(password), Origin::PasswordFile { path: path.to_owned(), line })), None)
        }
        None => (None, None),
    }
}

fn find_in(text: &str, wanted: &Login<'_>) -> Option<(String, usize)> {
    let port = wanted.port.to_string();
    let expected = [wanted.host, &port, wanted.dbname, wanted.user];
    text.lines().enumerate().find_map(|(index, line)| {
        if line.is_empty() || line.starts_with('#') {
            return None;
        }
        let mut rest = line;
        for value in expected {
            rest = matched(rest, value)?;
        }
        Some((unescaped(rest), index + 1))
    })
}

/// What follows the field and its colon, if the field is `*` or, its escapes taken out, the value.
fn matched<'a>(line: &'a str, value: &str) -> Option<&'a str> {
    if let Some(rest) = line.strip_prefix("*:") {
        return Some(rest);
    }
    let mut value = value.chars();
    let mut chars = line.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            ':' => return value.next().is_none().then(|| &line[at + 1..]),
            '\\' => {
                let (_, escaped) = chars.next()?;
                (value.next() == Some(escaped)).then_some(())?;
            }
            c => (value.next() == Some(c)).then_some(())?,
        }
    }
    None
}

/// The password, its escapes taken out; as in libpq it ends at a colon that is not escaped.
fn unescaped(text: &str) -> String {
    let mut chars = text.chars();
    let mut plain = String::with_capacity(text.len());
    while let Some(c) = chars.next() {
        match c {
            ':' => break,
            '\\' => plain.push(chars.next().unwrap_or('\\')),
            c => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str, host: &str, port: u16, dbname: &str, user: &str) -> Option<(String, usize)> {
        find_in(text, &Login { host, port, dbname, user })
    }

    #[test]
    fn the_first_line_that_fits_counts() {
        let text = "# c\n\nh:5432:d:u:one\nh:*:*:u:two\n*:*:*:*:three\r\n";
        assert_eq!(password(text, "h", 5432, "d", "u"), Some(("one".into(), 3)));
        assert_eq!(password(text, "h", 1, "x", "u"), Some(("two".into(), 4)));
        assert_eq!(password(text, "g", 1, "x", "v"), Some(("three".into(), 5)));
    }

    #[test]
    fn escapes_are_taken_out() {
        let text = "a\\:b:1:d\\\\e:*:p\\:q\\\\r\\:s\n\\*:1:d:u:star\n";
        assert_eq!(password(text, "a:b", 1, r"d\e", "u"), Some((r"p:q\r:s".into(), 1)));
        assert_eq!(password(text, "*", 1, "d", "u"), Some(("star".into(), 2)));
        assert_eq!(password("*:*:*:*:end:more", "*", 1, "d", "u"), Some(("end".into(), 1)));
        assert_eq!(password(text, "x", 1, "d", "u"), None);
    }

    #[test]
    fn a_field_must_fit_as_a_whole() {
        for line in ["host:1:d:u:p", "h*:1:d:u:p", "h:11:d:u:p", "h:1:d:u", "h:1:dd:u:p"] {
            assert_eq!(password(line, "h", 1, "d", "u"), None, "{line}");
        }
    }

    #[test]
    fn a_file_that_others_can_read_is_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pass");
        crate::durable::write(&path, b"*:*:*:*:p\n").unwrap();
        let wanted = Login { host: "h", port: 1, dbname: "d", user: "u" };
        for (mode, used) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false), (0o601, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let (found, warning) = find(&path, &wanted);
            assert_eq!((found.is_some(), warning.is_none()), (used, used), "{mode:o}");
        }
        crate::durable::write(&path, b"x:*:*:*:K\xf6ln\nh:*:*:*:K\xf6ln\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(find(&path, &wanted).1.unwrap().ends_with("is ignored: the password in line 2 is not UTF-8"));
        assert!(find(folder.path(), &wanted).1.unwrap().contains("not a plain file"));
        assert!(matches!(find(&folder.path().join("none"), &wanted), (None, None)));
    }
}
