//! Connection strings: a URI or `key=value` pairs, to names and values, and whether a text holds a password.
//!
//! Not a place for what the other names mean.

use std::ops::Range;

/// Why a connection string cannot be read. Never holds a part of it that could be a password.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum DsnError {
    #[error("a quoted value does not end")]
    OpenQuote,
    #[error("`{0}` is not followed by `=`")]
    NoEquals(String),
    /// The word is not named: it may be the rest of a password.
    #[error("a word is not followed by `=` (a value with blanks needs quotes: name='a b')")]
    Word,
    #[error(
        "the part after `//` is not user:password@host:port (in a user's name or password write %40 for `@`, \
         %2F for `/` and %3A for `:`)"
    )]
    Unescaped,
    #[error("a `%` must be followed by two hexadecimal digits, and the bytes must be UTF-8 without NUL")]
    PercentEncoding,
    #[error("an IPv6 address must end with `]`")]
    OpenBracket,
    #[error("after `]` only a port, a path or parameters may follow")]
    AfterBracket,
    #[error("the parameter `{0}` must have exactly one `=`")]
    Parameter(String),
}

/// The pairs of a connection string, in order. An error names a word only if `is_setting` knows it: any other may be a
/// part of a password.
///
/// # Errors
/// [`DsnError`].
pub(crate) fn parse(text: &str, is_setting: fn(&str) -> bool) -> Result<Vec<(String, String)>, DsnError> {
    match ["postgresql://", "postgres://"].iter().find_map(|scheme| text.strip_prefix(scheme)) {
        Some(rest) => uri(rest),
        None => pairs(text, is_setting),
    }
}

/// Whether a text holds a password: a connection string, as libpq reads it or as a person would, or a text with one in it.
/// A reference to a variable, `${env:NAME}`, is no password.
pub(crate) fn has_password(text: &str) -> bool {
    match parse(text, |_| false) {
        Ok(pairs) => pairs.iter().any(|(name, value)| {
            let start = name.to_ascii_lowercase().rfind(PASSWORD);
            let secret =
                start.is_some_and(|start| begins_word(name, start) && start + PASSWORD.len() == name.len());
            // A value may be a connection string itself, as that of `dbname`.
            secret && is_password(value) || value.contains(['=', ':']) && has_password(value)
        }),
        Err(_) => passwords(text).into_iter().any(|range| is_password(&text[range])),
    }
}

/// Whether a text is, as a whole, a connection string with a password.
pub(crate) fn is_connection_with_password(text: &str) -> bool {
    parse(text, |_| false).is_ok() && has_password(text)
}

/// Whether a line or a text may hold a password, however it is written: such a text is not shown.
pub(crate) fn may_hold_password(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let may = lower.contains(PASSWORD) || text.contains("://") && text.contains('@');
    let other_name = |name: &str| {
        lower.match_indices(name).any(|(at, _)| {
            let behind = lower[at + name.len()..].trim_start_matches(['"', '\'']).trim_start();
            begins_word(text, at) && behind.starts_with(['=', ':'])
        })
    };
    may || SIMILAR.into_iter().any(other_name) || text.split_whitespace().any(has_login) || has_password(text)
}

/// The text with `***` in the place of each password.
pub(crate) fn without_passwords(text: &str) -> String {
    let mut shown = text.to_owned();
    for range in passwords(text).into_iter().rev().filter(|range| is_password(&text[range.clone()])) {
        shown.replace_range(range, "***");
    }
    shown
}

/// Whether a word has the form of `user:password@host`.
pub(crate) fn has_login(word: &str) -> bool {
    let login = word.split_once('@').map_or("", |(login, _)| login);
    login.split_once(':').is_some_and(|(user, password)| !user.is_empty() && !password.is_empty())
}

/// Whether a key is one under which people write a password.
pub(crate) fn is_name_of_password(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    key == PASSWORD || SIMILAR.contains(&key.as_str())
}

/// Other names that people give a password.
const SIMILAR: [&str; 5] = ["pass", "passwd", "pwd", "secret", "token"];
/// libpq's name for a password; that of a key's is `sslpassword`.
const PASSWORD: &str = "password";

/// Where passwords seem to stand in a text: behind `password` and a sign, and between the `:` and the `@` of a URI.
fn passwords(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (start, _) in text.to_ascii_lowercase().match_indices(PASSWORD) {
        let Some(value) = value_of_password(&text[start + PASSWORD.len()..]) else { continue };
        let quote = value.chars().next().filter(|c| matches!(c, '\'' | '"'));
        let value = quote.map_or(value, |quote| &value[quote.len_utf8()..]);
        let ends = |c: char| match quote {
            Some(quote) => c == quote,
            None => c.is_whitespace() || matches!(c, '\'' | '"' | '`' | '&' | ';' | ',' | ')'),
        };
        let begin = text.len() - value.len();
        if begins_word(text, start) {
            found.push(begin..begin + value.find(ends).unwrap_or(value.len()));
        }
    }
    for (start, separator) in text.match_indices("://") {
        let begin = start + separator.len();
        let ends = |c: char| c.is_whitespace() || matches!(c, '\'' | '"' | '`');
        let rest = &text[begin..];
        let rest = &rest[..rest.find(ends).unwrap_or(rest.len())];
        let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
        let port = authority.split_once(':').map_or("", |(_, port)| port);
        let scheme =
            text[..start].rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '+').next().unwrap_or_default();
        // A password with a `/` in it is wrong, and shown all the same; what has a port has none there.
        let has_port = port.bytes().all(|byte| byte.is_ascii_digit());
        let whole =
            scheme.to_ascii_lowercase().starts_with("postgres") && !has_port && !authority.contains('@');
        let login = if whole { rest } else { authority }.rsplit_once('@').map(|(login, _)| login);
        if let Some((login, colon)) = login.and_then(|login| Some((login, login.find(':')?))) {
            found.push(begin + colon + 1..begin + login.len());
        }
    }
    found.sort_by_key(|range| range.start);
    // One in another is a part of it.
    found.dedup_by(|later, earlier| later.start < earlier.end);
    found
}

/// What follows the word `password` and a sign that gives it a value: `=`, `=>`, `:=`, in JSON `:` behind a quote, and in the
/// options of a server only blanks before a quote.
fn value_of_password(behind: &str) -> Option<&str> {
    let unquoted = behind.trim_start_matches(['"', '\'']);
    let rest = unquoted.trim_start();
    let json = || rest.strip_prefix(':').filter(|_| unquoted.len() < behind.len());
    let value = ["=>", ":=", "="].iter().find_map(|sign| rest.strip_prefix(sign)).or_else(json);
    let option = || Some(rest).filter(|rest| rest.starts_with('\'') && rest.len() < behind.len());
    value.map(str::trim_start).or_else(option)
}

/// Whether the name `password`, `sslpassword` or `PGPASSWORD` begins there, rather than the end of another word.
fn begins_word(text: &str, start: usize) -> bool {
    let before = text[..start].to_ascii_lowercase();
    let before = ["ssl", "pg"].iter().find_map(|prefix| before.strip_suffix(prefix)).unwrap_or(&before);
    !before.ends_with(|c: char| c.is_alphanumeric() || c == '_')
}

/// Words that people write where a password would be.
const NO_PASSWORDS: [&str; 5] = ["none", "null", "optional", "required", "see"];

/// Whether a value is a password: not empty, a pattern, a word such as `none`, or references to variables of the file or of a
/// shell.
pub(crate) fn is_password(value: &str) -> bool {
    let mut rest = String::new();
    let mut tail = value;
    while let Some((before, after)) = tail.split_once("${") {
        let end = after.find('}').filter(|end| !after[..*end].contains(":-"));
        let Some(end) = end else { break };
        rest += before;
        tail = &after[end + 1..];
    }
    rest += tail;
    let shell = rest.strip_prefix('$').is_some_and(|name| {
        name.starts_with('(')
            || !name.starts_with('{') && name.chars().all(|c| c.is_alphanumeric() || c == '_')
    });
    let word = NO_PASSWORDS.iter().any(|word| rest.eq_ignore_ascii_case(word));
    !shell && !word && rest.contains(char::is_alphanumeric)
}

fn pairs(text: &str, is_setting: fn(&str) -> bool) -> Result<Vec<(String, String)>, DsnError> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let end = rest.find(|c: char| c == '=' || c.is_ascii_whitespace()).unwrap_or(rest.len());
        let (name, tail) = rest.split_at(end);
        let tail = tail.trim_start();
        let tail = tail.strip_prefix('=').ok_or_else(|| {
            if is_setting(name) { DsnError::NoEquals(name.to_owned()) } else { DsnError::Word }
        })?;
        let (value, tail) = value(tail.trim_start())?;
        found.push((name.to_owned(), value));
        rest = tail.trim_start();
    }
    Ok(found)
}

/// A value, quoted or not, and what follows it.
fn value(text: &str) -> Result<(String, &str), DsnError> {
    let quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut chars = text.char_indices().skip(usize::from(quoted));
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
            '\'' if quoted => return Ok((value, &text[at + 1..])),
            c if !quoted && c.is_ascii_whitespace() => return Ok((value, &text[at..])),
            c => value.push(c),
        }
    }
    if quoted { Err(DsnError::OpenQuote) } else { Ok((value, "")) }
}

fn uri(rest: &str) -> Result<Vec<(String, String)>, DsnError> {
    let mut found = Vec::new();
    let mut add = |name: &str, value: String| {
        if !value.is_empty() {
            found.push((name.to_owned(), value));
        }
    };
    // As in libpq, an `@` before the first `/` ends the user and password, even after a `?`.
    let authority_end = rest.find('/').unwrap_or(rest.len());
    let (user_info, hosts_on) = match rest[..authority_end].find('@') {
        Some(at) => (Some(&rest[..at]), &rest[at + 1..]),
        None => (None, rest),
    };
    if let Some(user_info) = user_info {
        let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
        add("user", percent_decoded(user)?);
        add("password", percent_decoded(password)?);
    }
    let (hosts, tail) = hosts_on.split_at(hosts_end(hosts_on)?);
    let path_end = tail.find('?').unwrap_or(tail.len());
    // Where a password holds an `@` or a `/`, the rest of it would be taken for a host, a port or a database, and be shown.
    if hosts.contains('@') || user_info.is_none() && tail[..path_end].contains('@') {
        return Err(DsnError::Unescaped);
    }
    let mut names = Vec::new();
    let mut ports = Vec::new();
    for host in hosts.split(',') {
        let (name, port) = host_and_port(host)?;
        let port = percent_decoded(port)?;
        if !port.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(DsnError::Unescaped);
        }
        names.push(percent_decoded(name)?);
        ports.push(port);
    }
    if names.iter().any(|name| !name.is_empty()) {
        add("host", names.join(","));
    }
    if ports.iter().any(|port| !port.is_empty()) {
        add("port", ports.join(","));
    }
    let (path, query) = tail.split_once('?').unwrap_or((tail, ""));
    add("dbname", percent_decoded(path.strip_prefix('/').unwrap_or(path))?);
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter
            .split_once('=')
            .filter(|(_, value)| !value.contains('='))
            .ok_or_else(|| DsnError::Parameter(parameter.split('=').next().unwrap_or("").to_owned()))?;
        let (name, value) = (percent_decoded(name)?, percent_decoded(value)?);
        // What JDBC writes.
        if name == "ssl" && value == "true" {
            found.push(("sslmode".to_owned(), "require".to_owned()));
        } else {
            found.push((name, value));
        }
    }
    Ok(found)
}

/// Where the hosts end: at the first `/` or `?`.
fn hosts_end(text: &str) -> Result<usize, DsnError> {
    let mut bracket = false;
    for (at, c) in text.char_indices() {
        match c {
            '[' => bracket = true,
            ']' => bracket = false,
            '/' | '?' if !bracket => return Ok(at),
            _ => {}
        }
    }
    if bracket { Err(DsnError::OpenBracket) } else { Ok(text.len()) }
}

fn host_and_port(text: &str) -> Result<(&str, &str), DsnError> {
    if let Some(inner) = text.strip_prefix('[') {
        let (address, tail) = inner.split_once(']').ok_or(DsnError::OpenBracket)?;
        return match tail.strip_prefix(':') {
            Some(port) => Ok((address, port)),
            None if tail.is_empty() => Ok((address, "")),
            None => Err(DsnError::AfterBracket),
        };
    }
    Ok(text.split_once(':').unwrap_or((text, "")))
}

fn percent_decoded(text: &str) -> Result<String, DsnError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes().iter();
    while let Some(&byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|&c| char::from(c).to_digit(16));
        let high = digit().ok_or(DsnError::PercentEncoding)?;
        let low = digit().ok_or(DsnError::PercentEncoding)?;
        let decoded = u8::try_from(high * 16 + low).ok().filter(|&byte| byte != 0);
        bytes.push(decoded.ok_or(DsnError::PercentEncoding)?);
    }
    String::from_utf8(bytes).map_err(|_| DsnError::PercentEncoding)
}

#[cfg(test)]
mod tests;
