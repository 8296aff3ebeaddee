//! Markdown as far as the tests need it: fenced and indented blocks, links, headings.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A file of Markdown.
pub struct Page {
    pub path: PathBuf,
    pub text: String,
}

/// A block of code.
pub struct Block {
    /// The line of its first line of code, from 1.
    pub line: usize,
    /// The words after the fence; empty for an indented block.
    pub info: Vec<String>,
    pub text: String,
}

impl Block {
    pub fn language(&self) -> &str {
        self.info.first().map_or("", String::as_str)
    }

    pub fn has(&self, word: &str) -> bool {
        self.info.iter().skip(1).any(|other| other == word)
    }

    /// The value of `name=value` after the language.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.info.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All Markdown of the project.
pub fn pages() -> Vec<Page> {
    let mut found = Vec::new();
    let mut folders = vec![root().to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            if entry.file_type().unwrap().is_dir() {
                if !name.starts_with('.') && !["target", "demo", "node_modules"].contains(&name.as_str()) {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(Page { text: fs::read_to_string(&path).unwrap(), path });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(found.len() > 15, "only {} pages were found", found.len());
    found
}

impl Page {
    /// The page of this name below the project's folder.
    pub fn named(name: &str) -> Self {
        let path = root().join(name);
        Self { text: fs::read_to_string(&path).unwrap(), path }
    }

    /// Its path below the project's folder.
    pub fn name(&self) -> String {
        self.path.strip_prefix(root()).unwrap().display().to_string()
    }

    /// All blocks, in order.
    pub fn blocks(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        let mut fence: Option<Block> = None;
        let mut after_blank = true;
        let mut indented = false;
        for (index, line) in self.text.lines().enumerate() {
            if let Some(mark) = line.trim_start().strip_prefix("```") {
                indented = false;
                if let Some(block) = fence.take() {
                    blocks.push(block);
                } else {
                    let info = mark.split_whitespace().map(str::to_owned).collect();
                    fence = Some(Block { line: index + 2, info, text: String::new() });
                }
            } else if let Some(block) = &mut fence {
                block.text += line;
                block.text.push('\n');
            } else if let Some(code) = line.strip_prefix("    ").filter(|_| indented || after_blank) {
                if !indented {
                    blocks.push(Block { line: index + 1, info: Vec::new(), text: String::new() });
                    indented = true;
                }
                let block = blocks.last_mut().expect("one was begun");
                block.text += code;
                block.text.push('\n');
            } else if !line.trim().is_empty() {
                indented = false;
            }
            after_blank = line.trim().is_empty();
        }
        assert!(fence.is_none(), "{}: a fence is not closed", self.name());
        blocks
    }

    /// The text without its blocks of code: prose, tables, headings.
    pub fn prose(&self) -> String {
        let mut fenced = false;
        let mut prose = String::new();
        for line in self.text.lines() {
            if line.trim_start().starts_with("```") {
                fenced = !fenced;
            } else if !fenced {
                prose += line;
            }
            prose.push('\n');
        }
        prose
    }

    /// Where its links and images lead, with their lines.
    pub fn links(&self) -> Vec<(usize, String)> {
        let prose = self.prose();
        let mut links = Vec::new();
        for (index, line) in prose.lines().enumerate() {
            for (at, _) in line.match_indices("](") {
                if let Some((target, _)) = line[at + 2..].split_once(')') {
                    links.push((index + 1, target.to_owned()));
                }
            }
        }
        links
    }

    /// The names that its headings have in links.
    pub fn anchors(&self) -> BTreeSet<String> {
        let prose = self.prose();
        let headings = prose.lines().filter_map(|line| {
            let title = line.trim_start_matches('#');
            (title.len() < line.len()).then(|| title.strip_prefix(' ')).flatten()
        });
        headings.map(anchor).collect()
    }

    /// The rows of its tables: cells without the marks of code around them.
    pub fn rows(&self) -> Vec<Vec<String>> {
        let prose = self.prose();
        let rows = prose.lines().filter(|line| line.starts_with('|') && !line.starts_with("|-"));
        rows.map(|line| {
            let cells = line.trim().trim_matches('|').split('|');
            cells.map(|cell| cell.trim().to_owned()).collect()
        })
        .collect()
    }
}

/// As GitHub makes anchors of headings.
pub fn anchor(title: &str) -> String {
    let kept = title.trim().to_lowercase();
    kept.chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}
