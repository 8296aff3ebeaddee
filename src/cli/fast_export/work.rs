//! Writing the outputs: several at once, in one snapshot, with their progress.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::flags::Flags;
use super::outputs::{Output, csv_of};
use crate::cli::failure::Failure;
use crate::cli::messages::say;
use crate::cli::signals::Signals;
use crate::durable::{self, PendingFile, SealedFile};
use crate::errors::Classified as _;
use crate::monitor::{Monitor, Progress};
use crate::postgres::{self, Snapshot};
use crate::stages::Product;
use crate::stages::export::{self, Error};

/// An output that is written, but not published.
pub(super) struct Done {
    pub out: PathBuf,
    pub product: Product,
    pub csv: Option<SealedFile>,
    pub took: Duration,
}

/// Outputs whose files stay open, and so locked against a sweep, until all are published: a process may open some 1,000.
const MOST_OPEN: usize = 200;

impl Done {
    fn close(&mut self) {
        self.product.files.iter_mut().for_each(|table| table.file.close());
        self.csv.iter_mut().for_each(SealedFile::close);
    }

    /// The files to publish.
    pub(super) fn files(self) -> impl Iterator<Item = SealedFile> {
        self.product.files.into_iter().map(|table| table.file).chain(self.csv)
    }
}

/// What all outputs share.
pub(super) struct Work<'a> {
    snapshot: &'a Snapshot,
    flags: &'a Flags,
    jobs: usize,
    bars: MultiProgress,
    /// Stopped by a signal, and when an output failed.
    monitor: Monitor,
}

impl<'a> Work<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, signals: &Signals, flags: &'a Flags, jobs: usize) -> Self {
        let bars = MultiProgress::new();
        if flags.silent || !io::stderr().is_terminal() {
            bars.set_draw_target(ProgressDrawTarget::hidden());
        }
        Self { snapshot, flags, jobs, bars, monitor: signals.monitor().child() }
    }

    /// Writes all outputs, up to `jobs` at once, in which each gets its share of the connections.
    pub(super) fn all(&self, outputs: &[Output]) -> Result<Vec<Done>, Failure> {
        let workers = self.jobs.min(outputs.len()).min(self.snapshot.most_readers()).max(1);
        let readers = (self.jobs / workers).max(1);
        let next = AtomicUsize::new(0);
        let results: Vec<Mutex<Option<Result<Done, Error>>>> =
            outputs.iter().map(|_| Mutex::new(None)).collect();
        let work = || {
            loop {
                let index = next.fetch_add(1, Ordering::SeqCst);
                let Some(output) = outputs.get(index) else { break };
                let mut result = self.one(output, readers);
                match &mut result {
                    Ok(done) if index >= MOST_OPEN => done.close(),
                    Ok(_) => {}
                    Err(_) => self.monitor.stop("another output failed"),
                }
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
            let result = result.into_inner().unwrap_or_else(PoisonError::into_inner);
            match result.unwrap_or(Err(postgres::Error::Stopped(None).into())) {
                Ok(finished) => done.push(finished),
                // Another one failed, or a signal came.
                Err(error) if error.is_stopped() => stopped = Err(Failure::classified(error)),
                Err(error) => return Err(explained(error, output, outputs.len())),
            }
        }
        stopped.map(|()| done)
    }

    fn one(&self, output: &Output, readers: usize) -> Result<Done, Error> {
        let begin = Instant::now();
        let bar = self.bars.add(ProgressBar::no_length().with_prefix(output.out.display().to_string()));
        bar.set_style(style());
        let shown = Shown { bar, bars: self.bars.clone(), begin, bytes: AtomicU64::new(0) };
        let monitor = self.monitor.with_progress(Arc::new(shown));
        let product = export::run(&output.export, self.snapshot, readers, &output.out, &monitor)?;
        let csv = if self.flags.keep_temp { Some(self.csv(output, &monitor)?) } else { None };
        Ok(Done { out: output.out.clone(), product, csv, took: begin.elapsed() })
    }

    /// The rows as Postgres' own CSV, beside the output.
    fn csv(&self, output: &Output, monitor: &Monitor) -> Result<SealedFile, Error> {
        let target = csv_of(&output.out);
        let wrong = |error: durable::Error| Error::Parquet(error.into());
        let mut file = PendingFile::create(&target).map_err(wrong)?;
        let mut broken = None;
        let mut reader = self.snapshot.reader(monitor)?;
        let query = output.export.query(&mut reader)?;
        let copied = reader.copy_csv(&query, |data| {
            broken = file.write_all(data).err();
            broken.is_none()
        });
        if let Some(source) = broken {
            return Err(wrong(durable::Error::Write { target, written: file.written(), source }));
        }
        copied?;
        file.seal().map_err(wrong)
    }
}

fn explained(error: Error, output: &Output, outputs: usize) -> Failure {
    let exit = error.class().into();
    let error = anyhow::Error::new(error).context(format!("cannot export to `{}`", output.out.display()));
    let hint = "no output was replaced: they are published together or not at all";
    Failure::new(exit, error).hint_if(outputs > 1, hint)
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template(
        "{prefix} [{bar:24}] {human_pos}/{human_len} rows  {msg}  {elapsed}, {eta} left",
    )
    .unwrap_or_else(|_| ProgressStyle::default_bar())
    .progress_chars("=> ")
}

/// Shows how far an output is.
struct Shown {
    bar: ProgressBar,
    bars: MultiProgress,
    begin: Instant,
    bytes: AtomicU64,
}

impl Progress for Shown {
    fn warn(&self, message: &str) {
        let out = self.bar.prefix();
        self.bars.suspend(|| say(format_args!("warning: `{out}`: {message}\n")));
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

impl Drop for Shown {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
