//! Lines that fit a terminal of 80 columns. Not a place for the words on them.

use console::measure_text_width;

/// The columns of a line.
pub(crate) const COLUMNS: usize = 80;

/// A line of parts with two spaces between them. A part that does not fit moves to the next line, indented by `indent`
/// columns. A part that is longer than a line breaks at its spaces. A word is never cut, so that a path can be copied.
pub(crate) fn fit<P: AsRef<str>>(head: &str, parts: impl IntoIterator<Item = P>, indent: usize) -> String {
    let mut text = head.to_owned();
    let mut column = measure_text_width(head);
    for part in parts {
        let part = part.as_ref();
        if column + 2 + measure_text_width(part) <= COLUMNS {
            push(&mut text, &mut column, "  ", part);
            continue;
        }
        if indent + measure_text_width(part) <= COLUMNS {
            new_line(&mut text, &mut column, indent);
            push(&mut text, &mut column, "", part);
            continue;
        }
        let mut gap = "  ";
        for word in part.split(' ') {
            if column + gap.len() + measure_text_width(word) > COLUMNS {
                new_line(&mut text, &mut column, indent);
                gap = "";
            }
            push(&mut text, &mut column, gap, word);
            gap = " ";
        }
    }
    text
}

fn push(text: &mut String, column: &mut usize, gap: &str, word: &str) {
    *text += gap;
    *text += word;
    *column += gap.len() + measure_text_width(word);
}

fn new_line(text: &mut String, column: &mut usize, indent: usize) {
    text.truncate(text.trim_end().len());
    if !text.is_empty() {
        text.push('\n');
    }
    text.extend(std::iter::repeat_n(' ', indent));
    *column = indent;
}

#[cfg(test)]
mod tests {
    use super::{COLUMNS, fit};

    #[test]
    fn parts_that_fit_stay_on_the_line() {
        assert_eq!(fit("run", ["a", "b c"], 4), "run  a  b c");
        let full = "x".repeat(COLUMNS - 5);
        assert_eq!(fit("run", [&full], 4), format!("run  {full}"));
        assert_eq!(fit("run", [format!("{full}x")], 4), format!("run\n    {full}x"));
    }

    #[test]
    fn a_part_that_is_too_long_breaks_at_spaces_and_a_word_is_never_cut() {
        let path = "/p".repeat(60);
        let words = "word ".repeat(30);
        let text = fit("head", [words.trim_end(), &path, "end"], 6);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], format!("head  {}", ["word"; 15].join(" ")));
        assert_eq!(lines[1], format!("      {}", ["word"; 15].join(" ")));
        assert_eq!(lines[2], format!("      {path}"));
        assert_eq!(lines[3], "      end");
        assert_eq!(text.split_whitespace().filter(|word| *word == "word").count(), 30);
    }

    #[test]
    fn colours_take_no_columns() {
        let red = format!("\u{1b}[31m{}\u{1b}[0m", "x".repeat(78));
        assert_eq!(fit("", [&red], 0), format!("  {red}"));
    }
}
