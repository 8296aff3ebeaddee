//! A session with the server: queries, descriptions of queries, and the bytes of a COPY.
//!
//! Blocking, and the COPY read in large blocks: a message per row, handed over one by one as the asynchronous clients do,
//! costs more than decoding it.

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use fallible_iterator::FallibleIterator as _;
use postgres_protocol::IsNull;
use postgres_protocol::message::backend::Message;
use postgres_protocol::message::frontend::{self, BindError};

use super::connect::{self, Session, SessionHandle, Socket, Target};
use super::copy::{Block, Frames, Scan};
use super::error::Error;
use super::messages::{Messages, is_silence};
use super::rows::{FieldDescription, TextRows, fields, texts};
use super::server_error::ServerError;

/// What the session is in the middle of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SessionState {
    /// Nothing: outside a transaction, in one, or in one that failed.
    Idle(u8),
    /// Something whose end was not seen.
    Busy,
}

const IN_TRANSACTION: u8 = b'T';
/// How long the server may be silent after its session was watched: only short queries follow.
const UNWATCHED_TIMEOUT: Duration = Duration::from_mins(1);

/// Watches a session while it waits for the server.
pub(super) trait Watch: Send {
    /// How long one read may wait.
    fn poll(&self) -> Duration;

    /// Whether the work is stopped.
    fn is_stopped(&self) -> bool;

    /// If the work is stopped, asks the server to cancel the query, until it does.
    ///
    /// # Errors
    /// If the server takes too long.
    fn cancel_if_stopped(&mut self) -> io::Result<()>;

    /// The server has been silent for this time.
    fn silent(&mut self, silence: Duration);

    /// The server has sent something.
    fn heard(&mut self);

    /// The lock that the session was seen to wait for.
    fn seen(&self) -> Option<&str>;
}

/// A session with the server.
pub(super) struct Connection {
    messages: Messages<Socket>,
    parameters: BTreeMap<String, String>,
    handle: SessionHandle,
    state: SessionState,
    watch: Option<Box<dyn Watch>>,
    /// Why the session ended: what is tried on it later fails for this reason.
    end: Option<String>,
    /// The server process, as the server has it: a pooler in between tells another one.
    pub process: String,
    /// What people should know though the session is open.
    pub warnings: Vec<String>,
}

impl Connection {
    pub(super) fn open(target: &Target) -> Result<Self, Error> {
        let Session { messages, parameters, handle, warnings } = connect::open(target)?;
        let (state, process) = (SessionState::Idle(b'I'), String::new());
        Ok(Self { messages, parameters, handle, state, watch: None, end: None, process, warnings })
    }

    /// How long the server may be silent when it is to answer. Longer, and the connection counts as lost.
    pub(super) fn set_patience(&self, patience: Option<Duration>) {
        // If it cannot be set, the server may take its time.
        let _ = self.messages.socket().set_read_timeout(patience);
    }

    /// Watches the session from now on, or no longer. A watched server may be silent for as long as it likes.
    pub(super) fn set_watch(&mut self, watch: Option<Box<dyn Watch>>) {
        self.set_patience(Some(watch.as_ref().map_or(UNWATCHED_TIMEOUT, |watch| watch.poll())));
        self.watch = watch;
    }

    /// What it takes to cancel what the session does.
    pub(super) fn handle(&self) -> &SessionHandle {
        &self.handle
    }

    /// What the server reports of itself under this name.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    /// The server's version as in `server_version_num`.
    pub(super) fn version(&self) -> u32 {
        let text = self.parameter("server_version").unwrap_or("");
        let mut numbers =
            text.split(|c: char| !c.is_ascii_digit()).map_while(|part| part.parse::<u32>().ok());
        let major = numbers.next().unwrap_or(0);
        let minor = numbers.next().unwrap_or(0);
        if major >= 10 { major * 10_000 + minor } else { major * 10_000 + minor * 100 }
    }

    /// Whether the session is in a transaction that has not failed, and does nothing.
    pub(super) fn is_ready(&self) -> bool {
        self.state == SessionState::Idle(IN_TRANSACTION)
    }

    /// Whether the session does nothing.
    pub(super) fn is_idle(&self) -> bool {
        self.state != SessionState::Busy
    }

    /// Runs statements and returns the rows of the last one that has any. `doing` completes "the server cannot".
    pub(super) fn query(&mut self, doing: &str, sql: &str) -> Result<TextRows, Error> {
        self.send(doing, |out| frontend::query(sql, out))?;
        self.text_rows(doing)
    }

    /// Runs one statement with values for its parameters; the server takes their types from the statement. All is sent at
    /// once, with a statement that has no name: a pooler may give the next one to another server process.
    pub(super) fn query_with(
        &mut self,
        doing: &str,
        sql: &str,
        parameters: &[Option<&str>],
    ) -> Result<TextRows, Error> {
        self.send(doing, |out| {
            frontend::parse("", sql, None, out)?;
            let value = |value: Option<&str>, out: &mut BytesMut| {
                Ok(value.map_or(IsNull::Yes, |text| {
                    out.extend_from_slice(text.as_bytes());
                    IsNull::No
                }))
            };
            // No formats: all are texts.
            frontend::bind("", "", None, parameters.iter().copied(), value, None, out).map_err(|error| {
                match error {
                    BindError::Conversion(error) => io::Error::other(error),
                    BindError::Serialization(error) => error,
                }
            })?;
            frontend::describe(b'P', "", out)?;
            frontend::execute("", 0, out)?;
            frontend::sync(out);
            Ok(())
        })?;
        self.text_rows(doing)
    }

    /// The rows of what was sent, up to its end; of several statements those of the last one that has any.
    fn text_rows(&mut self, doing: &str) -> Result<TextRows, Error> {
        let mut found = TextRows::default();
        self.until_ready(doing, None, |message| {
            match message {
                Message::RowDescription(body) => {
                    let names = fields(doing, &body)?.into_iter().map(|field| field.name).collect();
                    found = TextRows { names, rows: Vec::new() };
                }
                Message::DataRow(body) => found.rows.push(texts(&body)),
                _ => {}
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// The columns of a query, which is not run; `note` takes what the server notes on the way.
    pub(super) fn describe(
        &mut self,
        sql: &str,
        mut note: impl FnMut(ServerError),
    ) -> Result<Vec<FieldDescription>, Error> {
        let doing = "prepare the query";
        self.send(doing, |out| {
            frontend::parse("", sql, None, out)?;
            frontend::describe(b'S', "", out)?;
            frontend::sync(out);
            Ok(())
        })?;
        let mut columns = Vec::new();
        let mut parameters = 0;
        self.until_ready(doing, Some(sql), |message| {
            match message {
                Message::ParameterDescription(body) => parameters = body.parameters().count().unwrap_or(0),
                Message::RowDescription(body) => columns = fields(doing, &body)?,
                Message::NoticeResponse(body) => note(ServerError::read(body.fields())),
                _ => {}
            }
            Ok(())
        })?;
        if parameters > 0 { Err(Error::Parameters) } else { Ok(columns) }
    }

    /// Starts a COPY; `text` is whether its data are text (CSV) and not binary.
    pub(super) fn start_copy(&mut self, sql: &str, text: bool) -> Result<(), Error> {
        let doing = "run the query";
        self.send(doing, |out| frontend::query(sql, out))?;
        loop {
            match self.receive(doing)? {
                Message::CopyOutResponse(body) => {
                    return if (body.format() == 0) == text {
                        Ok(())
                    } else {
                        Err(Error::protocol("running the query", "the format is not the one asked for"))
                    };
                }
                Message::ErrorResponse(body) => {
                    let error = self.refused(doing, ServerError::read(body.fields()), None);
                    // What ends the session after this is no news.
                    let _ = self.drain();
                    return Err(error);
                }
                Message::ReadyForQuery(_) => {
                    return Err(Error::protocol("running the query", "the COPY did not start"));
                }
                _ => {}
            }
        }
    }

    /// Reads the data of the COPY that was started, block by block. `exchange` takes a block and gives a buffer for a
    /// later one, or none if the rest is not wanted.
    pub(super) fn read_copy(
        &mut self,
        block_size: usize,
        mut exchange: impl FnMut(Block) -> Option<Vec<u8>>,
    ) -> Result<(), Error> {
        let received = self.messages.take_received();
        let mut frames = Frames::new(block_size, &received);
        let ended = self.read_frames(&mut frames, &mut exchange);
        // Also after an error: what follows is read from the beginning of a message.
        self.messages.give_back(frames.rest());
        ended?;
        self.drain()
    }

    fn read_frames(
        &mut self,
        frames: &mut Frames,
        exchange: &mut dyn FnMut(Block) -> Option<Vec<u8>>,
    ) -> Result<(), Error> {
        const DOING: &str = "reading rows";
        let mut spare = Vec::new();
        loop {
            let scan = frames.scan().map_err(|error| Error::protocol(DOING, &error.to_string()))?;
            if scan == Scan::Other || frames.is_full() {
                let block = frames.take(std::mem::take(&mut spare));
                spare = exchange(block).ok_or(Error::Stopped(None))?;
            }
            if scan == Scan::Other {
                return Ok(());
            }
            let read = self.patiently(|messages| messages.read(frames.space()));
            let count = read.map_err(|source| self.lost(DOING.to_owned(), source))?;
            self.heard();
            frames.add(count);
        }
    }

    /// Reads up to the end of what the server is doing; an error on the way is returned.
    fn drain(&mut self) -> Result<(), Error> {
        self.until_ready("run the query", None, |_| Ok(()))
    }

    /// Hands over messages until the server is ready again. A report of an error is returned at the end; it is what
    /// counts if the server ends the session after it.
    fn until_ready(
        &mut self,
        doing: &str,
        query: Option<&str>,
        mut handle: impl FnMut(Message) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut refusal = None;
        loop {
            match self.receive(doing) {
                Ok(Message::ErrorResponse(body)) => {
                    refusal = Some(self.refused(doing, ServerError::read(body.fields()), query));
                }
                Ok(Message::ReadyForQuery(_)) => break,
                Ok(message) => handle(message)?,
                Err(error) => return Err(refusal.unwrap_or(error)),
            }
        }
        refusal.map_or(Ok(()), Err)
    }

    /// The error for a report of the server, with the lock that was waited for.
    fn refused(&mut self, doing: &str, report: ServerError, query: Option<&str>) -> Error {
        let wait = self.watch.as_ref().and_then(|watch| watch.seen()).map(str::to_owned);
        self.heard();
        if report.ends_session() {
            self.end.get_or_insert_with(|| report.to_string());
        }
        self.unless_stopped(Error::server(doing, report, query).waited_for(wait))
    }

    /// The error, or that the work was stopped if that explains it.
    fn unless_stopped(&self, error: Error) -> Error {
        if self.watch.as_ref().is_some_and(|watch| watch.is_stopped()) { error.stopped() } else { error }
    }

    /// The error of a lost connection. The first loss is the cause of all later ones, which say less: a broken pipe.
    fn lost(&mut self, doing: String, source: io::Error) -> Error {
        let first = self.end.get_or_insert_with(|| source.to_string());
        let source =
            if *first == source.to_string() { source } else { io::Error::new(source.kind(), first.clone()) };
        self.unless_stopped(Error::Lost { doing, source })
    }

    fn heard(&mut self) {
        if let Some(watch) = &mut self.watch {
            watch.heard();
        }
    }

    /// Reads. A watched server may be silent for long, and is asked to cancel when the work is stopped.
    fn patiently<T>(
        &mut self,
        mut read: impl FnMut(&mut Messages<Socket>) -> io::Result<T>,
    ) -> io::Result<T> {
        let since = Instant::now();
        loop {
            if let Some(watch) = &mut self.watch {
                watch.cancel_if_stopped()?;
            }
            match (read(&mut self.messages), &mut self.watch) {
                (Err(error), Some(watch)) if is_silence(&error) => watch.silent(since.elapsed()),
                (result, _) => return result,
            }
        }
    }

    /// Reads up to the end of what was cancelled, if the server gets there.
    pub(super) fn settle(&mut self) {
        if !self.is_idle() {
            // The error is that it was cancelled.
            let _ = self.drain();
        }
    }

    pub(super) fn close(&mut self) {
        let mut out = BytesMut::new();
        frontend::terminate(&mut out);
        // The server ends the session too when the connection is gone.
        let _ = self.messages.send(&out);
        self.messages.socket().shut_down();
    }

    fn send(
        &mut self,
        doing: &str,
        write: impl FnOnce(&mut BytesMut) -> io::Result<()>,
    ) -> Result<(), Error> {
        let mut out = BytesMut::new();
        write(&mut out).map_err(|error| Error::protocol(doing, &error.to_string()))?;
        if self.watch.as_ref().is_some_and(|watch| watch.is_stopped()) {
            return Err(Error::Stopped(None));
        }
        if !self.is_idle() {
            // The next answer would be that of another query.
            let unsettled = io::Error::other("the answer to an earlier query did not end");
            return Err(self.lost(format!("asking it to {doing}"), unsettled));
        }
        self.state = SessionState::Busy;
        let Err(source) = self.messages.send(&out) else { return Ok(()) };
        // A server that ended the session may have said why before.
        if source.kind() == io::ErrorKind::BrokenPipe {
            while let Ok(message) = self.messages.receive() {
                if let Message::ErrorResponse(body) = message {
                    self.refused(doing, ServerError::read(body.fields()), None);
                }
            }
        }
        Err(self.lost(format!("asking it to {doing}"), source))
    }

    fn receive(&mut self, doing: &str) -> Result<Message, Error> {
        let message = self.patiently(Messages::receive).map_err(|source| match source.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
                Error::protocol(&format!("it was to {doing}"), &source.to_string())
            }
            _ => self.lost(format!("waiting for it to {doing}"), source),
        })?;
        match &message {
            Message::ReadyForQuery(body) => self.state = SessionState::Idle(body.status()),
            // What was waited for is part of the error.
            Message::ErrorResponse(_) => return Ok(message),
            _ => {}
        }
        self.heard();
        Ok(message)
    }
}
