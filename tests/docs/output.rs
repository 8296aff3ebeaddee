//! Printed text without what differs from run to run: times, durations, run ids, positions in the log of the server.

/// Whether a page shows what was printed, whose lines break elsewhere where paths are longer; a line `...` on the page stands
/// for any words.
pub fn same(expected: &str, printed: &str) -> bool {
    let (expected, printed) = (plain(expected), plain(printed));
    let expected = format!("\n{expected}\n");
    let parts: Vec<Vec<&str>> =
        expected.split("\n...\n").map(|part| part.split_whitespace().collect()).collect();
    let printed: Vec<&str> = printed.split_whitespace().collect();
    let Some((first, between)) = parts.split_first() else { return false };
    let Some(mut rest) = printed.strip_prefix(first.as_slice()) else { return false };
    let Some((last, between)) = between.split_last() else { return rest.is_empty() };
    for part in between {
        let found = (0..=rest.len()).find(|at| rest[*at..].starts_with(part));
        let Some(at) = found else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// Each line with single blanks, and words for what differs; empty lines at the end are left out.
pub fn plain(text: &str) -> String {
    let lines = text.lines().map(|line| line.split_whitespace().map(word).collect::<Vec<_>>().join(" "));
    let lines = lines.map(|line| match line.split_once(" -j ") {
        // How many cores there are.
        Some((before, after)) => {
            format!("{before} -j N{}", after.trim_start_matches(|c: char| c.is_ascii_digit()))
        }
        None => line,
    });
    lines.collect::<Vec<_>>().join("\n").trim_end().to_owned()
}

fn word(word: &str) -> String {
    let (core, end) = match word.strip_suffix([',', ')', ':', ';']) {
        Some(core) => (core, &word[core.len()..]),
        None => (word, ""),
    };
    let shape: String = core.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    if shape == "00:00:00" || shape == "00:00" {
        return format!("TIME{end}");
    }
    if shape == "0000-00-00" || shape.starts_with("0000-00-00T") {
        return format!("DATE{end}");
    }
    if core.strip_suffix('s').is_some_and(|number| number.parse::<f64>().is_ok()) {
        return format!("SECONDS{end}");
    }
    if core.strip_prefix("0/").is_some_and(|hex| hex.len() > 3 && hex.chars().all(|c| c.is_ascii_hexdigit()))
    {
        return format!("LSN{end}");
    }
    if let Some(at) = shape.find("00000000T000000Z") {
        let rest = &core[at + 16..];
        let rest =
            rest.strip_prefix('-').map_or(rest, |rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
        return format!("{}RUN{rest}{end}", &core[..at]);
    }
    word.to_owned()
}

#[test]
fn what_differs_each_time_is_left_out_and_nothing_else() {
    let one = "06:15:00 run 20260302T061500Z  -j 2\nfinished after 0.4s: 6 done   at 0/1CEFFA0";
    let other = "07:16:01 run 20260303T071601Z-2 -j 16\nfinished after 12.0s: 6 done at 0/2ABC";
    assert!(same(one, other));
    assert!(!same(one, &other.replace("6 done", "5 done")));
    assert!(same("a\n...\nb\n", "a\nx\ny\nb"));
    assert!(!same("a\n...\nb\n", "a\nx\ny\nc"));
    assert!(same("...\nb\n...\nc\n...", "a b\nx c"));
    assert!(!same("a\n...", "b a"));
    assert!(same("a  b\n", "a\n  b"));
}
