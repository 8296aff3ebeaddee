//! Commands of ours in any block of any page, checked against the definition that the programs themselves parse by.

use clap::error::ErrorKind;
use ssp::cli::programs;

use crate::page::{Block, Page};

/// What is wrong with a command line of ours; nothing if it is right or not ours.
pub fn mistake(words: &[String]) -> Option<String> {
    let program = words[0].rsplit('/').next().unwrap_or_default();
    let command = programs().into_iter().find(|command| command.get_name() == program)?;
    // The value of a variable is not known: a number passes wherever a text does.
    let words = words.iter().map(|word| if word.starts_with('$') { "1" } else { word });
    match command.try_get_matches_from(words) {
        Ok(_) => None,
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => None,
        Err(error) => Some(error.to_string()),
    }
}

/// Every command of ours in a block: its line and its words.
pub fn commands(block: &Block) -> Vec<(usize, Vec<String>)> {
    let mut found = Vec::new();
    let mut lines = block.text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let mut whole = line.to_owned();
        while whole.ends_with('\\') {
            whole.pop();
            let Some((_, next)) = lines.next() else { break };
            whole += next.trim_start();
        }
        let outer = words(&whole);
        // A command within quotes, as for `sbatch --wrap` or `sh -c`.
        let inner: Vec<String> =
            outer.iter().filter(|word| word.contains(' ')).flat_map(|word| words(word)).collect();
        for part in parts(&outer).chain(parts(&inner)) {
            if let Some(command) = ours(part) {
                found.push((block.line + index, command));
            }
        }
    }
    found
}

/// The words of a line as a shell sees them; operators are words of their own, a comment ends the line.
pub fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            // The number of a stream, as in `2>`, is no argument.
            (None, '>') if word.as_ref().is_some_and(|word| word.bytes().all(|b| b.is_ascii_digit())) => {
                word = None;
                words.push(c.to_string());
            }
            (None, '|' | ';' | '&' | '>' | '<' | '`') => {
                words.extend(word.take());
                words.push(c.to_string());
            }
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

fn parts(words: &[String]) -> impl Iterator<Item = &[String]> {
    words.split(|word| matches!(word.as_str(), "|" | ";" | "&" | ">" | "<" | "`"))
}

/// The command of ours in these words, without what a shell, cron, systemd or Slurm has before it.
fn ours(words: &[String]) -> Option<Vec<String>> {
    let names: Vec<String> = programs().iter().map(|command| command.get_name().to_owned()).collect();
    let is_ours = |word: &str| names.iter().any(|name| word.rsplit('/').next() == Some(name));
    let at = words.iter().position(|word| is_ours(word.strip_prefix("ExecStart=").unwrap_or(word)))?;
    let before = &words[..at];
    let may_stand_before = |word: &String| {
        matches!(
            word.as_str(),
            "$" | "sudo" | "srun" | "exec" | "time" | "nice" | "-u" | "if" | "!" | "command"
        ) || word.contains('=')
            || (before.first().is_some_and(|first| first == "sudo") && word == "ssp")
            || word.chars().all(|c| c.is_ascii_digit() || "*/,-".contains(c))
            || word.starts_with("--")
    };
    before.iter().all(may_stand_before).then(|| {
        let program = words[at].strip_prefix("ExecStart=").unwrap_or(&words[at]).to_owned();
        [vec![program], words[at + 1..].to_vec()].concat()
    })
}

#[test]
fn every_command_in_the_documentation_is_one_that_the_programs_take() {
    let mut checked = 0;
    let mut mistakes = Vec::new();
    for page in crate::page::pages() {
        for block in page.blocks() {
            // Synopses of help texts are no commands.
            if page.name().ends_with("reference/commands.md") {
                continue;
            }
            for (line, command) in commands(&block) {
                checked += 1;
                if let Some(mistake) = mistake(&command) {
                    mistakes.push(format!("{}:{line}: {}\n{mistake}", page.name(), command.join(" ")));
                }
            }
        }
    }
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
    assert!(checked > 60, "only {checked} commands were found");
}

#[test]
fn a_wrong_flag_is_found_wherever_it_stands() {
    let text = "```sh\n$ SSP_DATA=/data ssp-run --frobnicate | cat\n```\n\n    15 6 * * *  /usr/local/bin/ssp-run -q --nigthly x.yaml\n\n\
                ```ini\nExecStart=/usr/bin/fast-export --sqll x\n```\n";
    let page = Page { path: crate::page::root().join("x.md"), text: text.to_owned() };
    let commands: Vec<_> = page.blocks().iter().flat_map(commands).collect();
    assert_eq!(commands.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 5, 8]);
    assert!(commands.iter().all(|(_, words)| mistake(words).is_some()), "{commands:?}");
}
