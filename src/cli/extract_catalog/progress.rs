//! How far an extract is, on a terminal: datasets, rows, MB/s.

use std::io::IsTerminal;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::monitor::Progress;

const TEMPLATE: &str = "[{bar:24}] {human_pos}/{human_len} datasets  {msg}  {elapsed}, {eta} left";

/// Shows how far the extract is.
pub(super) struct DatasetProgress {
    bar: ProgressBar,
    /// When the rows began to be read, and how many there are.
    begun: OnceLock<(Instant, u64)>,
    rows: AtomicU64,
    bytes: AtomicU64,
}

impl DatasetProgress {
    /// A bar on a terminal, nothing elsewhere.
    pub(super) fn new(datasets: usize, silent: bool) -> Self {
        let hidden = silent || !std::io::stderr().is_terminal();
        let target = if hidden { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let style = ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::with_draw_target(Some(datasets as u64), target)
            .with_style(style.progress_chars("=> "))
            .with_message("checking their files");
        bar.tick();
        Self { bar, begun: OnceLock::new(), rows: AtomicU64::new(0), bytes: AtomicU64::new(0) }
    }

    /// Takes the bar away.
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
