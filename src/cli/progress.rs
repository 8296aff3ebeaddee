//! The progress of a program that makes one table.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::monitor::Progress;

/// Time between two looks of the progress.
const TICK: Duration = Duration::from_millis(200);

/// Shows how many rows of a table are done, on a terminal.
pub(crate) struct Terminal {
    bar: ProgressBar,
}

impl Terminal {
    pub(crate) fn new(silent: bool) -> Self {
        if silent || !std::io::stderr().is_terminal() {
            return Self { bar: ProgressBar::hidden() };
        }
        let style = ProgressStyle::with_template("{bar:30} {human_pos}/{human_len} rows  {elapsed}");
        let bar = ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { bar }
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Progress for Terminal {
    fn expect(&self, rows: u64) {
        // Before that there is nothing to show.
        self.bar.set_length(rows);
        self.bar.enable_steady_tick(TICK);
    }

    fn advance(&self, rows: u64, _bytes: u64) {
        self.bar.inc(rows);
    }
}
