//! The signals that end a program. Not a place for cleaning up: see the callers of [`Signals::received`].

use std::ffi::c_int;
use std::fs;
use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGXCPU, SIGXFSZ};
use signal_hook::iterator::Signals as Deliveries;
use signal_hook::{flag, low_level};

use super::messages::{UNCHANGED, say};
use crate::monitor::Monitor;

/// Each signal that ends a program in good order, and its name.
pub const ENDING: [(c_int, &str); 7] = [
    (SIGHUP, "SIGHUP"),
    (SIGINT, "SIGINT"),
    (SIGQUIT, "SIGQUIT"),
    (SIGUSR1, "SIGUSR1"),
    (SIGUSR2, "SIGUSR2"),
    (SIGTERM, "SIGTERM"),
    (SIGXCPU, "SIGXCPU"),
];

/// A signal that comes this soon after the first tells of the same event: `timeout` sends one to the process and one to its
/// group, and when a connection breaks, the kernel and the shell each send a SIGHUP.
const ONE_EVENT: Duration = Duration::from_millis(200);

/// Which signal has come, if any.
#[derive(Clone, Debug, Default)]
pub struct Signals(Arc<Received>);

#[derive(Debug, Default)]
struct Received {
    /// Whether there is work that the first signal must leave time to put in order.
    deferred: Mutex<bool>,
    first: OnceLock<(c_int, Instant)>,
    monitor: Monitor,
}

impl Signals {
    /// Starts to watch for signals; one that is ignored, as SIGHUP is under `nohup`, stays ignored. Until [`Self::defer`] is
    /// called, a signal ends the process at once, with a message.
    ///
    /// # Errors
    /// If the handlers cannot be set.
    pub fn watch() -> io::Result<Self> {
        let ignored = ignored();
        let is_ignored = |signal: c_int| ignored >> (signal - 1) & 1 == 1;
        // With any handler, a write beyond the limit on a file's size fails and the process lives on. A hook does not inherit
        // a handler, as it would a signal that is ignored.
        if !is_ignored(SIGXFSZ) {
            flag::register(SIGXFSZ, Arc::default())?;
        }
        let heeded = ENDING.map(|(signal, _)| signal).into_iter().filter(|&signal| !is_ignored(signal));
        let mut deliveries = Deliveries::new(heeded)?;
        let signals = Self::default();
        let told = signals.clone();
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || deliveries.forever().for_each(|signal| told.take(signal)))?;
        Ok(signals)
    }

    /// From now on the first signal is only noted, for the work to stop in good order; a second one ends the process.
    pub fn defer(&self) {
        *self.0.deferred.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }

    /// The monitor that the first signal stops; its reason is the signal's name.
    #[must_use]
    pub fn monitor(&self) -> &Monitor {
        &self.0.monitor
    }

    /// The signal that has come.
    #[must_use]
    pub fn received(&self) -> Option<u8> {
        self.0.first.get().and_then(|&(signal, _)| u8::try_from(signal).ok())
    }

    /// The name of the signal that has come.
    #[must_use]
    pub fn name(&self) -> Option<&'static str> {
        let &(first, _) = self.0.first.get()?;
        ENDING.iter().find(|&&(signal, _)| signal == first).map(|&(_, name)| name)
    }

    fn take(&self, signal: c_int) {
        // Held until the process has ended, so that no work begins meanwhile.
        let deferred = self.0.deferred.lock().unwrap_or_else(PoisonError::into_inner);
        let at_once = match self.0.first.get() {
            None => !*deferred,
            // The kernel repeats SIGXCPU with every further second of processor time.
            Some((_, came)) => signal != SIGXCPU && came.elapsed() > ONE_EVENT,
        };
        self.0.first.get_or_init(|| (signal, Instant::now()));
        if at_once {
            if !*deferred {
                let name = self.name().unwrap_or("a signal");
                say(format_args!("error: stopped by {name}\n  hint: {UNCHANGED}\n"));
            }
            low_level::exit(128 + signal);
        }
        self.0.monitor.stop(self.name().unwrap_or("a signal"));
    }
}

/// The signals that this process ignores since it was started, a bit for each, the lowest for signal 1; none where the
/// kernel does not say.
fn ignored() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}
