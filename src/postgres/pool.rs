//! How many connections read a snapshot, and why there are fewer than may.

use std::fmt;

use super::connection::Connection;
use super::error::Error;

#[derive(Default)]
pub(super) struct Pool {
    pub idle: Vec<Connection>,
    pub open: usize,
    /// Whether one of the open ones is not yet known to be so.
    pub opening: bool,
    pub most: usize,
    /// Whether the holder is the only reader.
    pub alone: bool,
    /// Why there are fewer connections than there may be, until that is told; then it is not kept again.
    pub shortage: Option<Error>,
    pub told: bool,
}

/// Fewer connections read than may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// How many do, the holder not counted; with 0 it reads all itself.
    pub readers: usize,
    /// How many may.
    pub most: usize,
    /// Why another one could not be opened.
    pub reason: String,
    /// Whether that is a statement that waits for the lock of this snapshot.
    pub locked_out: bool,
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { readers, most, reason, .. } = self;
        if *readers == 0 {
            f.write_str("one connection reads all exports: the one that holds the snapshot")?;
        } else {
            let (open, read) = (readers + 1, if *readers == 1 { "reads" } else { "read" });
            write!(
                f,
                "{open} connections are open: one holds the snapshot, {readers} {read} (up to {most} may read)"
            )?;
        }
        write!(f, ": another one could not be opened: {reason}")
    }
}

/// What a pool has to give.
pub(super) enum Slot {
    Idle(Box<Connection>),
    /// The right to open another one.
    Open,
}

impl Pool {
    pub(super) fn take_slot(&mut self) -> Option<Slot> {
        if let Some(connection) = self.idle.pop() {
            return Some(Slot::Idle(Box::new(connection)));
        }
        // One after the other: of two that are opened at once, a server with room for one refuses both.
        (self.open < self.most && !self.opening).then(|| {
            self.open += 1;
            self.opening = true;
            Slot::Open
        })
    }

    /// Leaves all reading to the holder.
    pub(super) fn leave_to(&mut self, holder: Option<Connection>) {
        self.idle.extend(holder);
        (self.open, self.most, self.alone) = (1, 1, true);
    }
}
