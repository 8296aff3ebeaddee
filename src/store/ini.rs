//! The files of the AWS tools: sections of `name = value`.

use std::collections::BTreeMap;

/// The settings of each section.
pub(super) type Sections = BTreeMap<String, BTreeMap<String, String>>;

/// Reads a file. The error names the line, and shows nothing of it.
pub(super) fn parse(text: &str) -> Result<Sections, String> {
    let mut sections = Sections::new();
    let mut section = None;
    // Whether the last setting has settings of its own, such as `s3 =`, which are indented: none of those is used.
    let mut holds_more = false;
    for (number, line) in text.lines().enumerate() {
        let is_indented = line.starts_with([' ', '\t']);
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) || is_indented && holds_more {
            continue;
        }
        let wrong = |what: &str| format!("line {}: {what}", number + 1);
        if let Some(rest) = line.strip_prefix('[') {
            let name = rest.split_once(']').ok_or_else(|| wrong("`[` has no `]`"))?.0.trim();
            // The configuration file writes `[profile NAME]`, the file of credentials `[NAME]`.
            let name = name.strip_prefix("profile ").unwrap_or(name).trim().to_owned();
            sections.entry(name.clone()).or_default();
            (section, holds_more) = (Some(name), false);
            continue;
        }
        let (name, value) = line.split_once(['=', ':']).ok_or_else(|| wrong("it is not `name = value`"))?;
        let section = section.as_ref().ok_or_else(|| wrong("it is before the first `[section]`"))?;
        let settings = sections.entry(section.clone()).or_default();
        holds_more = value.trim().is_empty();
        settings.insert(name.trim().to_ascii_lowercase(), value.trim().to_owned());
    }
    Ok(sections)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn sections_have_their_settings() {
        let text = "# a comment\n[default]\n  AWS_access_key_id = AKIA=1\n\n[profile usdf]\ns3 =\n  max = 2\nregion: x\n";
        let sections = parse(text).unwrap();
        assert_eq!(sections["default"]["aws_access_key_id"], "AKIA=1");
        assert_eq!(sections["usdf"]["region"], "x");
        assert_eq!(sections["usdf"].keys().collect::<Vec<_>>(), ["region", "s3"]);
    }

    #[test]
    fn what_is_wrong_is_named_by_its_line_and_not_shown() {
        for (text, said) in [
            ("[default]\nhunter2", "line 2: it is not `name = value`"),
            ("secret = hunter2", "line 1: it is before the first `[section]`"),
            ("\n[default", "line 2: `[` has no `]`"),
        ] {
            assert_eq!(parse(text).unwrap_err(), said);
        }
    }
}
