//! `obssubid`, the observer's own id of an observation: the DiaSource it is of.

/// What an `obssubid` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Obssubid<'a> {
    /// The processing that the DiaSource is of; none for a bare id.
    pub label: Option<&'a str>,
    pub dia_id: i64,
    pub end: End,
}

/// Which part of the source the position is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum End {
    /// Its centroid.
    #[default]
    Whole,
    /// The first end of a trail.
    A,
    /// The other end.
    B,
}

/// Reads `LSST-<label>-<digits>`, the same with `-A` or `-B`, or `<digits>`; white space around it is ignored. `None` if it
/// is something else, or the number is more than a signed 64-bit integer holds.
pub(crate) fn parse(text: &str) -> Option<Obssubid<'_>> {
    let text = text.trim();
    let Some(rest) = text.strip_prefix("LSST-") else {
        return Some(Obssubid { label: None, dia_id: number(text)?, end: End::Whole });
    };
    let (rest, end) = match (rest.strip_suffix("-A"), rest.strip_suffix("-B")) {
        (Some(rest), _) => (rest, End::A),
        (_, Some(rest)) => (rest, End::B),
        _ => (rest, End::Whole),
    };
    let (label, digits) = rest.rsplit_once('-')?;
    (!label.is_empty()).then_some(Obssubid { label: Some(label), dia_id: number(digits)?, end })
}

/// A number of decimal digits alone.
fn number(digits: &str) -> Option<i64> {
    let alone = digits.bytes().all(|byte| byte.is_ascii_digit());
    if alone { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read() {
        for (text, label, dia_id, end) in [
            ("169734882033926185", None, 169_734_882_033_926_185, End::Whole),
            ("  42\t\n", None, 42, End::Whole),
            ("0", None, 0, End::Whole),
            ("9223372036854775807", None, i64::MAX, End::Whole),
            ("LSST-DP1-42", Some("DP1"), 42, End::Whole),
            (" LSST-DP1-42 ", Some("DP1"), 42, End::Whole),
            ("LSST-DP1-0042", Some("DP1"), 42, End::Whole),
            ("LSST-AP-2025-11-42", Some("AP-2025-11"), 42, End::Whole),
            ("LSST-DP1-42-A", Some("DP1"), 42, End::A),
            ("LSST-DP1-42-B", Some("DP1"), 42, End::B),
            ("LSST-DP-A-42-A", Some("DP-A"), 42, End::A),
            ("LSST-7-42", Some("7"), 42, End::Whole),
            ("LSST-DP1-9223372036854775807-B", Some("DP1"), i64::MAX, End::B),
        ] {
            assert_eq!(parse(text), Some(Obssubid { label, dia_id, end }), "{text}");
        }
    }

    #[test]
    fn anything_else_is_no_id() {
        for text in [
            "",
            "  ",
            "-1",
            "+1",
            "1.0",
            "1e5",
            "0x1F",
            "12 34",
            "42-A",
            "P10abc",
            "LSST",
            "LSST-",
            "LSST-42",
            "LSST--42",
            "LSST-42-A",
            "LSST-DP1-",
            "LSST-DP1-42-C",
            "LSST-DP1-42-a",
            "LSST-DP1-42-A-B",
            "LSST-DP1-A",
            "lsst-DP1-42",
            "LSST-DP1-+42",
            "LSST-DP1-4 2",
            "9223372036854775808",
            "LSST-DP1-9223372036854775808",
            "LSST-DP1-99999999999999999999999999",
            "４２",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
