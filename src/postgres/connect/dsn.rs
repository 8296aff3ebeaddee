//! Connection strings: a URI or `key=value` pairs, to names and values.
//!
//! Not a place for what the names mean.

use super::settings::keyword;

/// Why a connection string cannot be read. Never holds a part of it that could be a password.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum DsnError {
    /// A quote that is not closed.
    #[error("a quoted value does not end")]
    OpenQuote,
    /// A setting without a value.
    #[error("`{0}` is not followed by `=`")]
    NoEquals(String),
    /// A word that is no setting, which may be the rest of a password.
    #[error(
        "a word that is no setting is not followed by `=` (a value with blanks needs quotes: name='a b')"
    )]
    Word,
    /// User, password and hosts of a URI that cannot be told apart.
    #[error(
        "what follows `//` is not user:password@host:port (in a user's name or password write %40 for `@`, %2F for `/` and \
         %3A for `:`)"
    )]
    Unescaped,
    /// `%` without two hexadecimal digits, or with `00`, or bytes that are not UTF-8.
    #[error("a `%` must be followed by two hexadecimal digits, and the bytes must be UTF-8 without NUL")]
    PercentEncoding,
    /// `[` without `]`.
    #[error("an IPv6 address must end with `]`")]
    OpenBracket,
    /// Something after `]` that is no port.
    #[error("after `]` only a port, a path or parameters may follow")]
    AfterBracket,
    /// A parameter of the URI without a value, or with several.
    #[error("the parameter `{0}` must have exactly one `=`")]
    Parameter(String),
}

/// The pairs of a connection string, in order.
///
/// # Errors
/// [`DsnError`].
pub(crate) fn parse(text: &str) -> Result<Vec<(String, String)>, DsnError> {
    match ["postgresql://", "postgres://"].iter().find_map(|scheme| text.strip_prefix(scheme)) {
        Some(rest) => uri(rest),
        None => pairs(text),
    }
}

fn pairs(text: &str) -> Result<Vec<(String, String)>, DsnError> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let end = rest.find(|c: char| c == '=' || c.is_ascii_whitespace()).unwrap_or(rest.len());
        let (name, tail) = rest.split_at(end);
        let tail = tail.trim_start();
        let tail = tail.strip_prefix('=').ok_or_else(|| match keyword(name) {
            Some(keyword) => DsnError::NoEquals(keyword.name.to_owned()),
            None => DsnError::Word,
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
mod tests {
    use super::*;

    fn flat(text: &str) -> String {
        let pairs = parse(text).unwrap();
        pairs.iter().map(|(name, value)| format!("{name}=<{value}>")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn pairs_are_read_as_libpq_does() {
        for (text, expected) in [
            ("", ""),
            ("  ", ""),
            ("host=h port=1", "host=<h> port=<1>"),
            ("host = h  port= 1 ", "host=<h> port=<1>"),
            ("dbname='a b' user=''", "dbname=<a b> user=<>"),
            (r"user='it\'s \\ x' host=a\ b", r"user=<it's \ x> host=<a b>"),
            ("host=a'b", "host=<a'b>"),
            ("host= port=1", "host=<port=1>"),
            ("user=é", "user=<é>"),
        ] {
            assert_eq!(flat(text), expected, "{text}");
        }
    }

    #[test]
    fn uris_are_read_as_libpq_does() {
        for (text, expected) in [
            ("postgresql://", ""),
            ("postgres://h", "host=<h>"),
            ("postgresql://h:1/d", "host=<h> port=<1> dbname=<d>"),
            ("postgresql://u@h", "user=<u> host=<h>"),
            ("postgresql://u:p%40ss@h/d", "user=<u> password=<p@ss> host=<h> dbname=<d>"),
            ("postgresql://u:p@/d", "user=<u> password=<p> dbname=<d>"),
            ("postgresql:///d?host=/tmp&port=9", "dbname=<d> host=</tmp> port=<9>"),
            ("postgresql://%2Fvar%2Frun/d", "host=</var/run> dbname=<d>"),
            ("postgresql://[::1]:5/d", "host=<::1> port=<5> dbname=<d>"),
            ("postgresql://[2001:db8::1]/d", "host=<2001:db8::1> dbname=<d>"),
            ("postgresql://a:1,b:2/d", "host=<a,b> port=<1,2> dbname=<d>"),
            ("postgresql://a,b:2/d", "host=<a,b> port=<,2> dbname=<d>"),
            ("postgresql://:7/d", "port=<7> dbname=<d>"),
            (
                "postgresql://h?ssl=true&application_name=x%20y",
                "host=<h> sslmode=<require> application_name=<x y>",
            ),
            ("postgresql://h/d?user=u", "host=<h> dbname=<d> user=<u>"),
            ("postgresql://u:p%40%2F%3A@%40run/d%40e", "user=<u> password=<p@/:> host=<@run> dbname=<d@e>"),
            ("postgresql://u@h/d@e?password=p@q", "user=<u> host=<h> dbname=<d@e> password=<p@q>"),
        ] {
            assert_eq!(flat(text), expected, "{text}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        for (text, expected) in [
            ("host", DsnError::NoEquals("host".into())),
            ("host h=1", DsnError::NoEquals("host".into())),
            ("password=my secret host=h", DsnError::Word),
            ("secret", DsnError::Word),
            ("user='a", DsnError::OpenQuote),
            ("postgres://h%4", DsnError::PercentEncoding),
            ("postgres://h%zz", DsnError::PercentEncoding),
            ("postgres://h%00", DsnError::PercentEncoding),
            ("postgres://%ff", DsnError::PercentEncoding),
            ("postgres://[::1", DsnError::OpenBracket),
            ("postgres://[::1]x", DsnError::AfterBracket),
            ("postgres://h?a", DsnError::Parameter("a".into())),
            ("postgres://h?a=b=c", DsnError::Parameter("a".into())),
            ("postgres://u:sec@ret@h/d", DsnError::Unescaped),
            ("postgres://u:sec/ret@h/d", DsnError::Unescaped),
            ("postgres://u:12/ret@h/d", DsnError::Unescaped),
            ("postgres://h:ret/d", DsnError::Unescaped),
        ] {
            assert_eq!(parse(text), Err(expected), "{text}");
        }
    }
}
