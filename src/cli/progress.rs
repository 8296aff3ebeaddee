//! The progress of a program that makes one table, on a terminal.

use std::io::IsTerminal;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::monitor::Progress;

/// Time between two looks of the progress.
const TICK: Duration = Duration::from_millis(200);
const DATASETS: &str = "[{bar:24}] {human_pos}/{human_len} datasets  {msg}  {elapsed}, {eta} left";

fn is_hidden(silent: bool) -> bool {
    silent || !std::io::stderr().is_terminal()
}

/// Shows how many rows of a table are done.
pub(super) struct RowProgress {
    bar: ProgressBar,
}

impl RowProgress {
    pub(super) fn new(silent: bool) -> Self {
        if is_hidden(silent) {
            return Self { bar: ProgressBar::hidden() };
        }
        let style = ProgressStyle::with_template("{bar:30} {human_pos}/{human_len} rows  {elapsed}");
        let bar = ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { bar }
    }

    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

impl Progress for RowProgress {
    fn expect(&self, rows: u64) {
        // Before that there is nothing to show.
        self.bar.set_length(rows);
        self.bar.enable_steady_tick(TICK);
    }

    fn advance(&self, rows: u64, _bytes: u64) {
        self.bar.inc(rows);
    }
}

/// Shows how far an extract is: datasets, rows, MB/s.
pub(super) struct DatasetProgress {
    bar: ProgressBar,
    /// When the rows began to be read, and how many there are.
    begun: OnceLock<(Instant, u64)>,
    rows: AtomicU64,
    bytes: AtomicU64,
}

impl DatasetProgress {
    pub(super) fn new(datasets: usize, silent: bool) -> Self {
        let target =
            if is_hidden(silent) { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let style = ProgressStyle::with_template(DATASETS).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::with_draw_target(Some(datasets as u64), target)
            .with_style(style.progress_chars("=> "))
            .with_message("checking their files");
        bar.tick();
        Self { bar, begun: OnceLock::new(), rows: AtomicU64::new(0), bytes: AtomicU64::new(0) }
    }

    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

impl Progress for DatasetProgress {
    fn expect(&self, rows: u64) {
        self.begun.get_or_init(|| (Instant::now(), rows));
    }

    /// A dataset was read and written.
    fn advance(&self, rows: u64, bytes: u64) {
        let rows = self.rows.fetch_add(rows, Ordering::Relaxed) + rows;
        let bytes = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let (begin, all) = *self.begun.get_or_init(|| (Instant::now(), rows));
        self.bar.set_message(done(rows, all, bytes, begin.elapsed()));
        self.bar.inc(1);
    }
}

/// The rows read of all, and how quickly: in bytes of the files, as they are on disk.
fn done(rows: u64, all: u64, bytes: u64, elapsed: Duration) -> String {
    let rate = bytes as f64 / elapsed.as_secs_f64().max(1e-3) / 1e6;
    format!("{}/{} rows, {rate:.0} MB/s", HumanCount(rows), HumanCount(all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_speed_are_of_what_was_read_so_far() {
        let time = Duration::from_secs(2);
        assert_eq!(done(1_200_000, 8_000_000, 310_000_000, time), "1,200,000/8,000,000 rows, 155 MB/s");
        assert_eq!(done(0, 0, 0, Duration::ZERO), "0/0 rows, 0 MB/s");
    }
}
