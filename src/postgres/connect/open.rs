//! One session on one of the target's servers, and requests to cancel what it does.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use bytes::BytesMut;
use postgres_protocol::message::backend::Message;
use postgres_protocol::message::frontend;

use super::files::Password;
use super::login::{LoginError, log_in};
use super::settings::Secret;
use super::socket::{Address, Plain, Socket};
use super::target::Target;
use super::tls::{Tls, TlsError};
use super::values::{Endpoint, SessionAttrs, SslMode};
use crate::postgres::messages::{Messages, malformed};
use crate::postgres::server_error::ServerError;

/// Why no server could be used.
#[derive(Debug)]
pub struct ConnectError {
    /// What was tried, in order; never empty.
    pub attempts: Vec<Attempt>,
}

/// One server that was tried.
#[derive(Debug)]
pub struct Attempt {
    /// Host, port, database and user, with their origins.
    pub settings: String,
    /// What failed.
    pub error: AttemptError,
}

/// Why a server could not be used.
#[derive(Debug, thiserror::Error)]
pub enum AttemptError {
    #[error("the host name cannot be looked up")]
    Lookup(#[source] io::Error),
    #[error("the server cannot be reached (is it running, and does it listen there?)")]
    Reach(#[source] io::Error),
    /// TLS cannot be set up on our side.
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("the TLS handshake failed")]
    Handshake(#[source] io::Error),
    #[error("sslmode is {0}, but the server has no TLS")]
    NoTls(&'static str),
    #[error("the login failed{remark}")]
    Login {
        remark: String,
        #[source]
        cause: LoginError,
    },
    /// The server is not of the kind that `target_session_attrs` asks for.
    #[error("the server is not {0}, which target_session_attrs requires")]
    Kind(&'static str),
}

impl From<LoginError> for AttemptError {
    fn from(cause: LoginError) -> Self {
        Self::Login { remark: String::new(), cause }
    }
}

/// SQLSTATE of a server that starts, stops or recovers.
const CANNOT_CONNECT_NOW: &str = "57P03";

impl AttemptError {
    /// Whether a server that could be reached turned the login down. As with libpq, no other host is tried then: none of
    /// them shall see a password that was meant for this one.
    pub(super) fn is_refusal(&self) -> bool {
        match self {
            Self::Login { cause: LoginError::Refused(error), .. } => error.code != CANNOT_CONNECT_NOW,
            Self::Login { cause, .. } => !matches!(cause, LoginError::Io(_)),
            _ => false,
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [attempt] = self.attempts.as_slice() {
            return write!(f, "cannot connect to Postgres: {}", attempt.settings);
        }
        write!(f, "cannot connect to Postgres: none of {} servers can be used", self.attempts.len())?;
        for attempt in &self.attempts {
            write!(f, "\n  {}: {}", attempt.settings, attempt.error)?;
            let mut cause = std::error::Error::source(&attempt.error);
            while let Some(error) = cause {
                write!(f, ": {error}")?;
                cause = error.source();
            }
        }
        Ok(())
    }
}

impl std::error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self.attempts.as_slice() {
            [attempt] => Some(&attempt.error),
            _ => None,
        }
    }
}

impl ConnectError {
    /// Whether trying again may help.
    pub fn is_transient(&self) -> bool {
        self.attempts.iter().any(|attempt| match &attempt.error {
            AttemptError::Lookup(_) | AttemptError::Reach(_) | AttemptError::Kind(_) => true,
            AttemptError::Login { cause: LoginError::Refused(error), .. } => error.is_transient(),
            AttemptError::Handshake(error) | AttemptError::Login { cause: LoginError::Io(error), .. } => {
                error.kind() != io::ErrorKind::InvalidData
            }
            AttemptError::Tls(_) | AttemptError::NoTls(_) | AttemptError::Login { .. } => false,
        })
    }
}

/// A session that is open.
pub(in crate::postgres) struct Session {
    pub messages: Messages<Socket>,
    /// What the server reports of itself: versions, encodings.
    pub parameters: BTreeMap<String, String>,
    pub handle: SessionHandle,
    /// What people should know though the session is open.
    pub warnings: Vec<String>,
}

/// What it takes to cancel what a session does.
#[derive(Clone)]
pub(in crate::postgres) struct SessionHandle {
    address: Address,
    host: String,
    tls: bool,
    process: i32,
    key: i32,
}

/// Opens a session on the first server that will do.
pub(in crate::postgres) fn open(target: &Target) -> Result<Session, ConnectError> {
    let mut attempts = Vec::new();
    let rounds: &[SessionAttrs] = match target.session_attrs {
        SessionAttrs::PreferStandby => &[SessionAttrs::Standby, SessionAttrs::Any],
        ref wanted => std::slice::from_ref(wanted),
    };
    for &wanted in rounds {
        attempts.clear();
        for endpoint in &target.endpoints {
            match open_endpoint(target, endpoint, wanted) {
                Ok(session) => return Ok(session),
                Err(error) => {
                    let refused = error.is_refusal();
                    attempts.push(Attempt { settings: target.explain_endpoint(endpoint).join(", "), error });
                    if refused {
                        return Err(ConnectError { attempts });
                    }
                }
            }
        }
    }
    Err(ConnectError { attempts })
}

fn open_endpoint(
    target: &Target,
    endpoint: &Endpoint,
    wanted: SessionAttrs,
) -> Result<Session, AttemptError> {
    let password = Password::find(target, endpoint);
    let mut last = None;
    for address in addresses(endpoint)? {
        match open_address(target, endpoint, &address, password.secret()) {
            Ok(mut session) => {
                session.warnings.extend(password.warning);
                check_kind(&mut session, wanted)?;
                let unlimited = session.messages.socket().set_timeout(None);
                unlimited.map_err(AttemptError::Reach)?;
                return Ok(session);
            }
            // Only a server that was not reached has another address worth trying.
            Err(error @ AttemptError::Reach(_)) => last = Some(error),
            Err(AttemptError::Login { cause, .. }) => {
                return Err(AttemptError::Login { remark: password.remark(&cause), cause });
            }
            Err(error) => return Err(error),
        }
    }
    let nothing = || AttemptError::Lookup(io::Error::new(io::ErrorKind::NotFound, "it has no address"));
    Err(last.unwrap_or_else(nothing))
}

fn addresses(endpoint: &Endpoint) -> Result<Vec<Address>, AttemptError> {
    if let Some(path) = endpoint.socket() {
        return Ok(vec![Address::Unix(path)]);
    }
    if let Some(address) = endpoint.address {
        return Ok(vec![Address::Tcp(SocketAddr::new(address, endpoint.port))]);
    }
    let found = (endpoint.host.as_str(), endpoint.port).to_socket_addrs();
    Ok(found.map_err(AttemptError::Lookup)?.map(Address::Tcp).collect())
}

/// Whether to ask for TLS.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Encryption {
    No,
    IfOffered,
    Yes,
}

fn open_address(
    target: &Target,
    endpoint: &Endpoint,
    address: &Address,
    password: Option<&Secret>,
) -> Result<Session, AttemptError> {
    let (first, second) = match (address, target.tls.mode) {
        // Postgres has no TLS on unix sockets.
        (Address::Unix(_), _) | (_, SslMode::Disable) => (Encryption::No, None),
        (_, SslMode::Allow) => (Encryption::No, Some(Encryption::Yes)),
        (_, SslMode::Prefer) => (Encryption::IfOffered, Some(Encryption::No)),
        (_, SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull) => (Encryption::Yes, None),
    };
    let mut encrypted = false;
    let result = open_encrypted(target, endpoint, address, password, first, &mut encrypted);
    match (result, second) {
        // The other way of `allow` and `prefer`: where the server or its certificate refuses the first.
        (Err(error), Some(second))
            if is_about_encryption(&error) && encrypted != (second == Encryption::Yes) =>
        {
            open_encrypted(target, endpoint, address, password, second, &mut encrypted).map_err(|_| error)
        }
        (result, _) => result,
    }
}

/// The code of `no pg_hba.conf entry for host ..., no encryption` and its like.
const NOT_AUTHORIZED: &str = "28000";

fn is_about_encryption(error: &AttemptError) -> bool {
    match error {
        AttemptError::Handshake(_) | AttemptError::Tls(_) => true,
        AttemptError::Login { cause: LoginError::Refused(error), .. } => error.code == NOT_AUTHORIZED,
        _ => false,
    }
}

fn open_encrypted(
    target: &Target,
    endpoint: &Endpoint,
    address: &Address,
    password: Option<&Secret>,
    encryption: Encryption,
    encrypted: &mut bool,
) -> Result<Session, AttemptError> {
    let mut plain = address.connect(target.timeout, target.keepalives).map_err(AttemptError::Reach)?;
    plain.set_timeout(target.timeout).map_err(AttemptError::Reach)?;
    let offered = encryption != Encryption::No && ask_for_tls(&mut plain).map_err(AttemptError::Reach)?;
    *encrypted = offered;
    let socket = if offered {
        let tls = Tls::load(&target.tls)?;
        tls.wrap(plain, &endpoint.host).map_err(AttemptError::Handshake)?
    } else if encryption == Encryption::Yes {
        return Err(AttemptError::NoTls(target.tls.mode.name()));
    } else {
        Socket::Plain(plain)
    };
    let mut messages = Messages::new(socket);
    let welcome = log_in(&mut messages, target, password)?;
    let handle = SessionHandle {
        address: address.clone(),
        host: endpoint.host.clone(),
        tls: offered,
        process: welcome.process,
        key: welcome.key,
    };
    Ok(Session { messages, parameters: welcome.parameters, handle, warnings: Vec::new() })
}

/// Asks whether the server has TLS. Only one byte is read: what follows belongs to the handshake.
fn ask_for_tls(plain: &mut Plain) -> io::Result<bool> {
    let mut out = BytesMut::new();
    frontend::ssl_request(&mut out);
    plain.write_all(&out)?;
    let mut answer = [0];
    plain.read_exact(&mut answer)?;
    match answer[0] {
        b'S' => Ok(true),
        b'N' => Ok(false),
        _ => Err(malformed("unexpected answer to the request for TLS".to_owned())),
    }
}

/// Checks that the server is of the kind that is wanted.
fn check_kind(session: &mut Session, wanted: SessionAttrs) -> Result<(), AttemptError> {
    let (question, yes, kind) = match wanted {
        SessionAttrs::Any | SessionAttrs::PreferStandby => return Ok(()),
        SessionAttrs::ReadWrite => ("SHOW transaction_read_only", "off", "read-write"),
        SessionAttrs::ReadOnly => ("SHOW transaction_read_only", "on", "read-only"),
        SessionAttrs::Primary => ("SELECT pg_catalog.pg_is_in_recovery()", "f", "a primary"),
        SessionAttrs::Standby => ("SELECT pg_catalog.pg_is_in_recovery()", "t", "a standby"),
    };
    let answer = ask(&mut session.messages, question)?;
    if answer == yes { Ok(()) } else { Err(AttemptError::Kind(kind)) }
}

/// The single value that a query returns.
fn ask(messages: &mut Messages<Socket>, question: &str) -> Result<String, LoginError> {
    let mut out = BytesMut::new();
    frontend::query(question, &mut out)?;
    messages.send(&out)?;
    let mut answer = String::new();
    loop {
        match messages.receive()? {
            // One column: four bytes that give its length, and the value.
            Message::DataRow(body) => {
                answer = String::from_utf8_lossy(body.buffer().get(4..).unwrap_or_default()).into_owned();
            }
            Message::ErrorResponse(body) => {
                return Err(ServerError::read(body.fields()).into());
            }
            Message::ReadyForQuery(_) => return Ok(answer),
            _ => {}
        }
    }
}

/// How long a request to cancel may take: the user waits for the program to end.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(5);

/// Asks the server to cancel what a session is doing, and waits until it has passed that on.
pub(in crate::postgres) fn cancel(target: &Target, handle: &SessionHandle) -> Result<(), AttemptError> {
    let connected = handle.address.connect(Some(CANCEL_TIMEOUT), target.keepalives);
    let mut plain = connected.map_err(AttemptError::Reach)?;
    plain.set_timeout(Some(CANCEL_TIMEOUT)).map_err(AttemptError::Reach)?;
    let mut socket = if handle.tls && ask_for_tls(&mut plain).map_err(AttemptError::Reach)? {
        Tls::load(&target.tls)?.wrap(plain, &handle.host).map_err(AttemptError::Handshake)?
    } else {
        Socket::Plain(plain)
    };
    let mut out = BytesMut::new();
    frontend::cancel_request(handle.process, handle.key, &mut out);
    socket.write_all(&out).and_then(|()| socket.flush()).map_err(AttemptError::Reach)?;
    // The server answers by closing, once the signal is sent.
    let _ = socket.read(&mut [0]);
    Ok(())
}
