//! Writing the outputs: several at once, in one snapshot, with their progress.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::failure;
use super::flags::Flags;
use super::outputs::{Output, csv_of};
use crate::cli::failure::{Exit, Failure};
use crate::cli::messages::say;
use crate::cli::signals::Signals;
use crate::durable::{self, PendingFile, SealedFile};
use crate::postgres::Snapshot;
use crate::stages::export::{self, Error};
use crate::stages::{Monitor, Product};

/// An output that is written, but not published.
pub(super) struct Done {
    pub product: Product,
    pub csv: Option<SealedFile>,
    pub took: Duration,
}

/// Outputs whose files stay open, and so locked against a sweep, until all are published: a process may open some 1,000.
const MOST_OPEN: usize = 200;

impl Done {
    /// Closes the files.
    fn close(&mut self) {
        self.product.table.file.close();
        self.csv.iter_mut().for_each(SealedFile::close);
    }

    /// The files to publish.
    pub fn files(self) -> impl Iterator<Item = SealedFile> {
        [Some(self.product.table.file), self.csv].into_iter().flatten()
    }
}

/// What all outputs share.
pub(super) struct Work<'a> {
    snapshot: &'a Snapshot,
    signals: &'a Signals,
    flags: &'a Flags,
    jobs: usize,
    bars: MultiProgress,
    /// Whether an output failed: the others then stop.
    failed: AtomicBool,
}

impl<'a> Work<'a> {
    pub fn new(snapshot: &'a Snapshot, signals: &'a Signals, flags: &'a Flags, jobs: usize) -> Self {
        let bars = MultiProgress::new();
        if flags.silent || !io::stderr().is_terminal() {
            bars.set_draw_target(ProgressDrawTarget::hidden());
        }
        Self { snapshot, signals, flags, jobs, bars, failed: AtomicBool::new(false) }
    }

    /// Writes all outputs, up to `jobs` at once, in which each gets its share of the connections.
    pub fn all(&self, outputs: &[Output]) -> Result<Vec<Done>, Failure> {
        let workers = self.jobs.min(outputs.len()).min(self.snapshot.most_readers()).max(1);
        let readers = (self.jobs / workers).max(1);
        let next = AtomicUsize::new(0);
        let results: Vec<Mutex<Option<Result<Done, Error>>>> =
            outputs.iter().map(|_| Mutex::new(None)).collect();
        let work = || {
            while let Some(index) =
                Some(next.fetch_add(1, Ordering::SeqCst)).filter(|&index| index < outputs.len())
            {
                let mut result = self.one(&outputs[index], readers);
                if let Ok(done) = &mut result
                    && index >= MOST_OPEN
                {
                    done.close();
                }
                self.failed.fetch_or(result.is_err(), Ordering::SeqCst);
                *results[index].lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..workers {
                scope.spawn(work);
            }
            work();
        });
        let mut done = Vec::with_capacity(outputs.len());
        let mut stopped = Ok(());
        for (result, output) in results.into_iter().zip(outputs) {
            match result.into_inner().unwrap_or_else(PoisonError::into_inner).unwrap_or(Err(Error::Stopped)) {
                Ok(finished) => done.push(finished),
                // Another one failed, or a signal came.
                Err(Error::Stopped | Error::StoppedWaiting(_)) => stopped = Err(failure(Error::Stopped)),
                Err(error) => return Err(explained(error, output, outputs.len())),
            }
        }
        stopped.map(|()| done)
    }

    fn one(&self, output: &Output, readers: usize) -> Result<Done, Error> {
        let begin = Instant::now();
        let bar = self.bars.add(ProgressBar::no_length().with_prefix(output.out.display().to_string()));
        bar.set_style(style());
        let watch = Watch { work: self, bar, begin, bytes: AtomicU64::new(0) };
        let product = export::run(&output.export, self.snapshot, readers, &output.out, &watch)?;
        let csv = if self.flags.keep_temp { Some(self.csv(output, &watch)?) } else { None };
        Ok(Done { product, csv, took: begin.elapsed() })
    }

    /// The rows as Postgres' own CSV, beside the output.
    fn csv(&self, output: &Output, monitor: &Watch<'_>) -> Result<SealedFile, Error> {
        let target = csv_of(&output.out);
        let wrong = |error: durable::Error| Error::Parquet(error.into());
        let mut file = PendingFile::create(&target).map_err(wrong)?;
        let mut broken = None;
        export::watched(self.snapshot, monitor, |group| {
            let mut reader = self.snapshot.reader(&|| group.is_cancelled())?;
            reader.join(group)?;
            let query = output.export.query(&mut reader)?;
            let copied = reader.copy_csv(&query, |data| {
                broken = file.write_all(data).err();
                broken.is_none()
            });
            match broken.take() {
                Some(source) => Err(wrong(durable::Error::Write {
                    target: target.clone(),
                    written: file.written(),
                    source,
                })),
                None => Ok(copied?),
            }
        })?;
        file.seal().map_err(wrong)
    }
}

fn explained(error: Error, output: &Output, outputs: usize) -> Failure {
    let exit = if error.is_unreachable() { Exit::Unreachable } else { Exit::Failed };
    let error = anyhow::Error::new(error).context(format!("cannot export to `{}`", output.out.display()));
    let failure = Failure::new(exit, error);
    if outputs > 1 {
        failure.hint("no output was replaced: they are published together or not at all")
    } else {
        failure
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template(
        "{prefix} [{bar:24}] {human_pos}/{human_len} rows  {msg}  {elapsed}, {eta} left",
    )
    .unwrap_or_else(|_| ProgressStyle::default_bar())
    .progress_chars("=> ")
}

/// Shows how far an output is, and says when it is to stop.
struct Watch<'a> {
    work: &'a Work<'a>,
    bar: ProgressBar,
    begin: Instant,
    bytes: AtomicU64,
}

impl Monitor for Watch<'_> {
    fn stopped(&self) -> bool {
        self.work.signals.received().is_some() || self.work.failed.load(Ordering::SeqCst)
    }

    fn warn(&self, message: &str) {
        let out = self.bar.prefix();
        self.work.bars.suspend(|| say(format_args!("warning: `{out}`: {message}\n")));
    }

    fn expect(&self, rows: u64) {
        self.bar.set_length(rows);
    }

    fn advance(&self, rows: u64, bytes: u64) {
        let bytes = self.bytes.fetch_add(bytes, Ordering::SeqCst) + bytes;
        self.bar.inc(rows);
        // The planner's estimate may be too small.
        if self.bar.length().is_some_and(|length| length < self.bar.position()) {
            self.bar.set_length(self.bar.position());
        }
        let seconds = self.begin.elapsed().as_secs_f64().max(1e-3);
        self.bar.set_message(format!("{:.0} MB/s", bytes as f64 / seconds / 1e6));
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
