//! Connection strings as libpq reads them, and texts with and without passwords.

use super::*;

fn flat(text: &str) -> String {
    let pairs = parse(text, |_| false).unwrap();
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
        assert_eq!(parse(text, |name| name == "host"), Err(expected), "{text}");
    }
}

const HOLDING: &[&str] = &[
    "postgresql://u:p@h/d",
    "postgresql://u:pa/ss@h/d",
    "postgresql://u:p@ss@h/d",
    "postgresql://u:pa:ss@h/d",
    "postgresql://u:p%40%2F@h/d",
    "postgresql://u:pass word@h/d",
    "postgres://h/d?password=x",
    "postgres://h/d?pass%77ord=x",
    "postgres://h/d?a=b=c&password=x",
    "postgresql://h/d?sslpassword=x&user=u",
    "postgresql+psycopg2://u:p@h/d",
    "https://u:p@h/d",
    "host=h password=x",
    "host=h password = x",
    "password='a b' host=h",
    "password=\t'x'",
    r"password=\'x",
    "host=h sslpassword=x",
    "host=h PASSWORD=x",
    "host=h password=x oops",
    "dbname='host=h password=x'",
    "dbname=postgresql://u:p@h/d",
    "see postgresql://u:p@h/d",
    "Server=h;Password=x;",
    "connect 'host=h password=x'",
    "password=%s",
    "password=${env:PW:-hunter2}",
    "password=${env:PW}1",
];
const WITHOUT: &[&str] = &[
    "",
    "postgresql://u@h:5432/d",
    "postgresql://u:@h/d",
    "postgresql:///d?host=/a:b",
    "postgresql://h/d?passfile=/home/u/.pgpass",
    "host=h user=password_keeper",
    "host=h password= ",
    "host=h password=''",
    "host=h password=${env:PW} user=u",
    "service=s",
    "password",
    "no password here",
    "%password=%",
    "password = ***",
    "nopassword=x",
    "https://h/a@b",
    "mail to u@h: x",
];

#[test]
fn a_password_is_found_in_every_form() {
    for text in HOLDING {
        assert!(has_password(text) && may_hold_password(text), "{text}");
    }
    for text in WITHOUT {
        assert!(!has_password(text), "{text}");
    }
}

#[test]
fn passwords_are_left_out_and_the_rest_stays() {
    for (text, shown) in [
        ("'host=h password=hunter2'", "'host=h password=***'"),
        ("sslpassword='hun ter2' x", "sslpassword='***' x"),
        ("at postgresql://u:hun/te@r2@h/d: x", "at postgresql://u:***@h/d: x"),
        ("password=a PASSWORD = b&c", "password=*** PASSWORD = ***&c"),
        ("https://u:password=x@h", "https://u:***@h"),
        ("password=${env:PW} user=u", "password=${env:PW} user=u"),
        ("é password=é", "é password=***"),
    ] {
        assert_eq!(without_passwords(text), shown);
    }
}

proptest::proptest! {
    /// No text makes the parser panic, and what holds a password is never shown as one that cannot.
    #[test]
    fn any_text_is_judged(text in "[a-z:/@=?&%' é\"$\\{\\}]{0,12}(password|://)?[a-z:/@=?&%' é\"]{0,12}") {
        let _ = without_passwords(&text);
        proptest::prop_assert!(!has_password(&text) || may_hold_password(&text) || text.contains('%'), "{}", text);
    }
}
