//! What a command left, and checks of it.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::process::Output;

/// What a command left: its exit code and what it printed, standard output first.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub text: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = [output.stdout, output.stderr].concat();
        Self { code: output.status.code(), text: String::from_utf8_lossy(&text).into_owned() }
    }
}

impl Said {
    /// Fails with all that was said unless the command exited with this code.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.text);
        self
    }

    /// Fails with all that was said unless this is part of it.
    #[track_caller]
    pub fn says(self, part: &str) -> Self {
        assert!(self.text.contains(part), "{part:?} is not in:\n{}", self.text);
        self
    }

    /// As [`Said::says`], for lines that are cut to the width of a terminal: blanks and line ends are the same.
    #[track_caller]
    pub fn shows(self, part: &str) -> Self {
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words(&self.text).contains(&words(part)), "{part:?} is not in:\n{}", self.text);
        self
    }

    /// Fails with all that was said if this is part of it.
    #[track_caller]
    pub fn does_not_say(self, part: &str) -> Self {
        assert!(!self.text.contains(part), "{part:?} is in:\n{}", self.text);
        self
    }
}

/// What a command left: its exit code and what it printed on each stream.
pub struct Streams {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Streams {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }
}

impl Streams {
    /// Fails with all that was said unless the command exited with this code.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}{}", self.stdout, self.stderr);
        self
    }

    /// Fails with the messages of the command unless this is part of them.
    #[track_caller]
    pub fn says(&self, part: &str) -> &Self {
        assert!(self.stderr.contains(part), "{part:?} is not in:\n{}", self.stderr);
        self
    }
}
