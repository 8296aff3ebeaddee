//! Escapes in the strings of SQL.

/// The content of `E'...'`.
pub(super) fn unescaped(content: &str) -> String {
    let mut text = String::new();
    let mut rest = content;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '\'' => rest = rest.strip_prefix('\'').unwrap_or(rest),
            '\\' => {
                let Some(sign) = rest.chars().next() else { break };
                rest = &rest[sign.len_utf8()..];
                let (radix, most) = match sign {
                    'x' => (16, 2),
                    'u' => (16, 4),
                    'U' => (16, 8),
                    '0'..='7' => (8, 3),
                    _ => (0, 0),
                };
                if sign.is_ascii_digit() && radix == 8 {
                    rest = &content[content.len() - rest.len() - 1..];
                }
                let (code, length) = code(rest, radix, most);
                rest = &rest[length..];
                text.push(match sign {
                    'b' => '\u{8}',
                    'f' => '\u{c}',
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    other => code.unwrap_or(other),
                });
                continue;
            }
            _ => {}
        }
        text.push(c);
    }
    text
}

/// The content of `U&'...'`.
pub(super) fn unescaped_unicode(content: &str) -> String {
    let mut text = String::new();
    let mut rest = content;
    while let Some((before, after)) = rest.split_once('\\') {
        text += before;
        let (digits, most) = after.strip_prefix('+').map_or((after, 4), |digits| (digits, 6));
        let (code, length) = code(digits, 16, most);
        text.extend(code);
        rest = if length > 0 { &digits[length..] } else { after.strip_prefix('\\').unwrap_or(after) };
        text.extend((length == 0).then_some('\\'));
    }
    text + rest
}

/// The character of the code with which a text begins, and how long the code is.
fn code(text: &str, radix: u32, most: usize) -> (Option<char>, usize) {
    if radix == 0 {
        return (None, 0);
    }
    let length = text.chars().take(most).take_while(|c| c.is_digit(radix)).count();
    (u32::from_str_radix(&text[..length], radix).ok().and_then(char::from_u32), length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_read_as_the_server_does() {
        for (content, text) in [
            ("a\\nb\\tc\\\\", "a\nb\tc\\"),
            ("it''s \\'", "it's '"),
            ("\\x41\\101\\u0041\\U00000041\\x4g", "AAAA\u{4}g"),
            ("\\q\\", "q"),
            ("\\xé", "xé"),
        ] {
            assert_eq!(unescaped(content), text, "{content}");
        }
        for (content, text) in [("\\0041\\+000041\\\\", "AA\\"), ("\\zz", "\\zz"), ("é\\", "é\\")] {
            assert_eq!(unescaped_unicode(content), text, "{content}");
        }
    }
}
