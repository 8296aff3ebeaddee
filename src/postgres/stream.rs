//! A query's rows as record batches: readers, decoder and consumer each at work at once.
//!
//! ```text
//! reader 1: pieces 1, 3, 5 ... -> blocks --+
//!                                          +-> decoder, piece by piece -> batches -> consumer (the caller's thread)
//! reader 2: pieces 2, 4, 6 ... -> blocks --+
//! ```
//!
//! Every arrow is a queue of bounded length, so memory does not grow with the table.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvError, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread::{Builder, Scope, ScopedJoinHandle};

use super::batches::{Batch, BatchBuilder};
use super::columns::Columns;
use super::copy::Block;
use super::error::Error;
use super::reader::Reader;
use super::snapshot::Snapshot;
use super::split;
use super::sql::Query;
use crate::monitor::{Monitor, POLL};
use crate::threads::compute;

/// A query whose rows are a part of those that are wanted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Piece {
    /// The query, with its columns cast.
    pub sql: String,
    /// The section that its rows belong to: no batch has rows of two.
    pub section: usize,
    /// How many rows are before the section, if that is known.
    pub before: Option<u64>,
}

/// How rows are read.
#[derive(Clone, Copy, Debug)]
pub struct StreamOptions {
    /// Connections that read at once, if the query can be split.
    pub readers: usize,
    /// Bytes of COPY data that are decoded at once.
    pub block_size: usize,
}

/// Bytes of COPY data that are decoded at once by default.
pub const DEFAULT_BLOCK_SIZE: usize = 1 << 20;
/// Bytes of COPY data that wait to be decoded, at most.
const IN_FLIGHT: usize = 64 << 20;
/// Blocks of the usual size that wait for the decoder, per reader, at most: about a piece of the table, so that no reader
/// waits for another one's piece to be decoded.
const QUEUE: usize = 12;
/// Batches that wait for the consumer.
const BATCHES: usize = 2;

/// What a reader hands over.
enum Handed {
    Data(Block),
    End,
}

/// Runs a query and hands its rows, in order, to `take` on this thread. `first` must be lent with `monitor`. Returns how many
/// connections were used.
///
/// The monitor must be that of this query alone: it is stopped at the end, so that no reader is left behind an error.
///
/// # Errors
/// [`Error::Stopped`] when the monitor is stopped; those of reading; `E` from `take`.
pub fn stream<E: From<Error>>(
    snapshot: &Snapshot,
    mut first: Reader<'_>,
    monitor: &Monitor,
    query: &Query,
    columns: &Columns,
    options: StreamOptions,
    take: impl FnMut(Batch) -> Result<(), E>,
) -> Result<usize, E> {
    let pieces = if options.readers > 1 {
        split::pieces(&mut first, query, columns)?
    } else {
        vec![columns.cast(query.text())]
    };
    let readers = snapshot.further_readers(first, options.readers.min(pieces.len()), monitor)?;
    let pieces = pieces.into_iter().map(|sql| Piece { sql, ..Piece::default() }).collect();
    stream_pieces(readers, monitor, pieces, columns, options.block_size, take)
}

/// Runs the pieces of a query and hands their rows, in order, to `take` on this thread. The readers must be lent with
/// `monitor`. Returns how many connections were used.
pub(crate) fn stream_pieces<E: From<Error>>(
    readers: Vec<Reader<'_>>,
    monitor: &Monitor,
    pieces: Vec<Piece>,
    columns: &Columns,
    block_size: usize,
    mut take: impl FnMut(Batch) -> Result<(), E>,
) -> Result<usize, E> {
    let connections = readers.len();
    std::thread::scope(|scope| {
        let started = start(scope, readers, pieces, columns, block_size);
        // Readers that were started before one that could not be must not wait for the server.
        let (batches, threads) = started.inspect_err(|_| monitor.stop("a thread could not be started"))?;
        let mut result = Ok(());
        let mut is_stopped = false;
        while result.is_ok() && !is_stopped {
            match batches.recv_timeout(POLL) {
                Ok(batch) => result = take(batch),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            is_stopped = monitor.is_stopped();
        }
        monitor.stop("the query has ended");
        drop(batches);
        let stopped = if is_stopped { Err(Error::Stopped(None)) } else { Ok(()) };
        let ended = threads.into_iter().map(join).fold(stopped, first_cause);
        result.and_then(|()| ended.map_err(E::from)).map(|()| connections)
    })
}

/// The error that explains the others: a thread that waits for the one that failed only sees that it should stop.
fn first_cause(before: Result<(), Error>, next: Result<(), Error>) -> Result<(), Error> {
    let rank = |result: &Result<(), Error>| match result {
        Ok(()) => 0,
        Err(Error::Stopped(None)) => 1,
        Err(Error::Stopped(Some(_))) => 2,
        Err(_) => 3,
    };
    if rank(&next) > rank(&before) { next } else { before }
}

/// What a thread returns; a panic of it continues here.
pub(super) fn join<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

type Threads<'scope> = Vec<ScopedJoinHandle<'scope, Result<(), Error>>>;

/// Starts the readers and the decoder.
fn start<'scope, 'env>(
    scope: &'scope Scope<'scope, 'env>,
    readers: Vec<Reader<'env>>,
    pieces: Vec<Piece>,
    columns: &'env Columns,
    block_size: usize,
) -> Result<(Receiver<Batch>, Threads<'scope>), Error> {
    let count = readers.len();
    let mut shares = vec![Vec::new(); count];
    let mut turns = Vec::with_capacity(pieces.len());
    for (index, piece) in pieces.into_iter().enumerate() {
        turns.push(Turn { reader: index % count, section: piece.section, before: piece.before });
        shares[index % count].push(piece.sql);
    }
    let most = (IN_FLIGHT / count).min(QUEUE * block_size);
    let mut sources = Vec::with_capacity(count);
    let mut threads = Vec::with_capacity(count + 1);
    for (reader, share) in readers.into_iter().zip(shares) {
        let (blocks, source) = sync_channel(QUEUE);
        let (used, spare) = channel();
        sources.push(Incoming { blocks: source, used });
        let in_flight = InFlight { sizes: VecDeque::new(), total: 0, most };
        let work = move || read(reader, &share, block_size, &blocks, &spare, in_flight);
        threads.push(Builder::new().name("copy".into()).spawn_scoped(scope, work).map_err(Error::Thread)?);
    }
    let (batches, consumer) = sync_channel(BATCHES);
    let work = move || decode(&sources, &turns, columns, &batches);
    threads.push(Builder::new().name("decode".into()).spawn_scoped(scope, work).map_err(Error::Thread)?);
    Ok((consumer, threads))
}

/// The reader whose piece comes next, and the section of the piece.
struct Turn {
    reader: usize,
    section: usize,
    before: Option<u64>,
}

/// A reader as its decoder sees it.
struct Incoming {
    blocks: Receiver<Handed>,
    used: Sender<Vec<u8>>,
}

/// The blocks of a reader that the decoder has not given back, in the order in which it will. A row of many bytes makes a
/// block larger than the others, so it is bytes that are counted.
struct InFlight {
    sizes: VecDeque<usize>,
    total: usize,
    most: usize,
}

impl InFlight {
    /// Waits until there is room for a block; a block that is larger than all the room goes alone. The buffer that came
    /// back last, if one did; `Err` if none will come back.
    fn wait(&mut self, size: usize, spare: &Receiver<Vec<u8>>) -> Result<Option<Vec<u8>>, RecvError> {
        let mut last = spare.try_recv().ok();
        self.total -= last.as_ref().and_then(|_| self.sizes.pop_front()).unwrap_or(0);
        while self.total > 0 && self.total + size > self.most {
            last = Some(spare.recv()?);
            self.total -= self.sizes.pop_front().unwrap_or(0);
        }
        self.sizes.push_back(size);
        self.total += size;
        Ok(last)
    }
}

/// Reads one share of the pieces, in order.
fn read(
    mut reader: Reader<'_>,
    share: &[String],
    block_size: usize,
    blocks: &SyncSender<Handed>,
    spare: &Receiver<Vec<u8>>,
    mut in_flight: InFlight,
) -> Result<(), Error> {
    for piece in share {
        reader.copy(piece, block_size, |block| {
            let buffer = in_flight.wait(block.data().len(), spare).ok()?;
            blocks.send(Handed::Data(block)).ok()?;
            // A buffer that a long row made large is not kept.
            Some(buffer.filter(|buffer| buffer.len() <= 2 * block_size).unwrap_or_default())
        })?;
        blocks.send(Handed::End).map_err(|_| Error::Stopped(None))?;
    }
    Ok(())
}

/// Decodes the pieces in order, each from the reader whose turn it is.
fn decode(
    sources: &[Incoming],
    turns: &[Turn],
    columns: &Columns,
    batches: &SyncSender<Batch>,
) -> Result<(), Error> {
    let mut builder = BatchBuilder::new(columns);
    let mut put = |batch: Batch| {
        if batch.rows.num_rows() == 0 {
            return Ok(());
        }
        batches.send(batch).map_err(|_| Error::Stopped(None))
    };
    let mut section = None;
    for turn in turns {
        if section != Some(turn.section) {
            put(builder.batch()?)?;
            builder.start_section(turn.section, turn.before);
            section = Some(turn.section);
        }
        let source = &sources[turn.reader];
        loop {
            match source.blocks.recv() {
                Ok(Handed::Data(block)) => {
                    let mut ready = Vec::new();
                    let mut keep = |batch| {
                        ready.push(batch);
                        Ok(())
                    };
                    compute(|| builder.add(block.data(), &mut keep))?;
                    ready.into_iter().try_for_each(&mut put)?;
                    // A reader that has ended wants no buffer.
                    let _ = source.used.send(block.into_buffer());
                }
                Ok(Handed::End) => break,
                Err(_) => return Err(Error::Stopped(None)),
            }
        }
        builder.end_copy()?;
    }
    put(builder.batch()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_counts_more_than_a_stop_and_a_stop_with_a_lock_more_than_one_without() {
        let results = || {
            [
                Ok(()),
                Err(Error::Stopped(None)),
                Err(Error::Stopped(Some("a lock".to_owned()))),
                Err(Error::Parameters),
            ]
        };
        let result = |index: usize| results().into_iter().nth(index).unwrap();
        for first in 0..results().len() {
            for second in 0..results().len() {
                let found = first_cause(result(first), result(second));
                assert_eq!(format!("{found:?}"), format!("{:?}", result(first.max(second))));
            }
        }
    }
}
