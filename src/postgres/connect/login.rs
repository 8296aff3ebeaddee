//! The start of a session: who we are, and the proof of it.

use std::collections::BTreeMap;
use std::io;

use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{self, ScramSha256};
use postgres_protocol::message::backend::Message;
use postgres_protocol::message::frontend;

use super::files::{self, Password};
use super::settings::{Secret, Setting};
use super::socket::Socket;
use super::target::Target;
use super::tls;
use super::values::{ChannelBinding, Endpoint, SOCKET_FOLDERS};
use crate::postgres::messages::Messages;
use crate::postgres::server_error::ServerError;

/// Why a login failed.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The server said no.
    #[error(transparent)]
    Refused(Box<ServerError>),
    #[error("the server asks for a password and none is known (use ~/.pgpass, a service file or PGPASSWORD)")]
    NoPassword,
    #[error(
        "the server asks for {0}, which is not supported (SCRAM-SHA-256, MD5, password and certificates are)"
    )]
    Method(&'static str),
    /// `channel_binding=require`, and the server does without.
    #[error("channel_binding is `require`, but {0}")]
    ChannelBinding(&'static str),
    /// The server's proof is wrong, or it breaks the protocol.
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("the server sent an unexpected message during the login")]
    Unexpected,
}

impl From<ServerError> for LoginError {
    fn from(error: ServerError) -> Self {
        Self::Refused(Box::new(error))
    }
}

/// What the server says when a session starts.
pub(super) struct Welcome {
    pub parameters: BTreeMap<String, String>,
    pub process: i32,
    pub key: i32,
}

/// Logs in, up to the server's first `ReadyForQuery`.
pub(super) fn log_in(
    messages: &mut Messages<Socket>,
    target: &Target,
    password: Option<&Secret>,
) -> Result<Welcome, LoginError> {
    let mut out = BytesMut::new();
    let own = [("user", target.user.as_str()), ("database", target.dbname.as_str())];
    let parameters = target.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    frontend::startup_message(own.into_iter().chain(parameters), &mut out)?;
    messages.send(&out)?;
    authenticate(messages, target, password)?;
    let mut welcome = Welcome { parameters: BTreeMap::new(), process: 0, key: 0 };
    loop {
        match messages.receive()? {
            Message::ParameterStatus(body) => {
                welcome.parameters.insert(body.name()?.to_owned(), body.value()?.to_owned());
            }
            Message::BackendKeyData(body) => {
                (welcome.process, welcome.key) = (body.process_id(), body.secret_key());
            }
            Message::NoticeResponse(_) => {}
            Message::ReadyForQuery(_) => return Ok(welcome),
            Message::ErrorResponse(body) => return Err(ServerError::read(body.fields()).into()),
            _ => return Err(LoginError::Unexpected),
        }
    }
}

fn authenticate(
    messages: &mut Messages<Socket>,
    target: &Target,
    password: Option<&Secret>,
) -> Result<(), LoginError> {
    let bytes = || password.map(|password| password.reveal().as_bytes()).ok_or(LoginError::NoPassword);
    let mut bound = false;
    loop {
        let mut out = BytesMut::new();
        match messages.receive()? {
            Message::AuthenticationOk => {
                return if target.channel_binding == ChannelBinding::Require && !bound {
                    Err(LoginError::ChannelBinding("the server accepted the login without it"))
                } else {
                    Ok(())
                };
            }
            Message::AuthenticationCleartextPassword => {
                refuse_unbound(target)?;
                frontend::password_message(bytes()?, &mut out)?;
            }
            Message::AuthenticationMd5Password(body) => {
                refuse_unbound(target)?;
                let hashed = md5_hash(target.user.as_bytes(), bytes()?, body.salt());
                frontend::password_message(hashed.as_bytes(), &mut out)?;
            }
            Message::AuthenticationSasl(body) => {
                let mechanisms: Vec<String> = body.mechanisms().map(|name| Ok(name.to_owned())).collect()?;
                bound = scram(messages, target, &mechanisms, bytes()?)?;
            }
            Message::AuthenticationGss | Message::AuthenticationGssContinue(_) => {
                return Err(LoginError::Method("GSSAPI"));
            }
            Message::AuthenticationSspi => return Err(LoginError::Method("SSPI")),
            Message::AuthenticationKerberosV5 => return Err(LoginError::Method("Kerberos 5")),
            Message::AuthenticationScmCredential => return Err(LoginError::Method("SCM credentials")),
            Message::NoticeResponse(_) => {}
            Message::ErrorResponse(body) => return Err(ServerError::read(body.fields()).into()),
            _ => return Err(LoginError::Unexpected),
        }
        if !out.is_empty() {
            messages.send(&out)?;
        }
    }
}

/// With `channel_binding=require` a password is never given away without it.
fn refuse_unbound(target: &Target) -> Result<(), LoginError> {
    if target.channel_binding == ChannelBinding::Require {
        return Err(LoginError::ChannelBinding("the server asks for a password without it"));
    }
    Ok(())
}

/// SCRAM, with channel binding where both sides can; whether it was bound.
fn scram(
    messages: &mut Messages<Socket>,
    target: &Target,
    mechanisms: &[String],
    password: &[u8],
) -> Result<bool, LoginError> {
    let offers = |name: &str| mechanisms.iter().any(|mechanism| mechanism == name);
    let end_point = match target.channel_binding {
        ChannelBinding::Disable => None,
        ChannelBinding::Prefer | ChannelBinding::Require => tls::end_point(messages.socket()),
    };
    let (mechanism, binding, bound) = match end_point {
        Some(digest) if offers(sasl::SCRAM_SHA_256_PLUS) => {
            (sasl::SCRAM_SHA_256_PLUS, sasl::ChannelBinding::tls_server_end_point(digest), true)
        }
        _ if !offers(sasl::SCRAM_SHA_256) => {
            return Err(LoginError::Method("a SASL mechanism other than SCRAM-SHA-256"));
        }
        Some(_) => (sasl::SCRAM_SHA_256, sasl::ChannelBinding::unrequested(), false),
        None => (sasl::SCRAM_SHA_256, sasl::ChannelBinding::unsupported(), false),
    };
    if !bound && target.channel_binding == ChannelBinding::Require {
        return Err(LoginError::ChannelBinding("the server does not offer it on this connection"));
    }
    let mut scram = ScramSha256::new(password, binding);
    let mut out = BytesMut::new();
    frontend::sasl_initial_response(mechanism, scram.message(), &mut out)?;
    messages.send(&out)?;
    let Message::AuthenticationSaslContinue(body) = proof(messages)? else {
        return Err(LoginError::Unexpected);
    };
    scram.update(body.data())?;
    out.clear();
    frontend::sasl_response(scram.message(), &mut out)?;
    messages.send(&out)?;
    let Message::AuthenticationSaslFinal(body) = proof(messages)? else {
        return Err(LoginError::Unexpected);
    };
    scram.finish(body.data())?;
    Ok(bound)
}

fn proof(messages: &mut Messages<Socket>) -> Result<Message, LoginError> {
    match messages.receive()? {
        Message::ErrorResponse(body) => Err(ServerError::read(body.fields()).into()),
        message => Ok(message),
    }
}

/// libpq's name in the password file for servers that are reached by the usual socket.
const LOCAL: &str = "localhost";
/// SQLSTATE of a password that is wrong.
const INVALID_PASSWORD: &str = "28P01";

impl Password {
    /// What is said, else what the password file says.
    pub(super) fn find(target: &Target, endpoint: &Endpoint) -> Self {
        if target.password.is_some() {
            return Self { found: target.password.clone(), warning: None };
        }
        let Some(path) = &target.password_file else { return Self::default() };
        let host = match endpoint.socket() {
            Some(_) if SOCKET_FOLDERS.contains(&endpoint.host.as_str()) => LOCAL,
            _ => &endpoint.host,
        };
        let wanted = files::Login { host, port: endpoint.port, dbname: &target.dbname, user: &target.user };
        files::password(path, &wanted)
    }

    pub(super) fn secret(&self) -> Option<&Secret> {
        self.found.as_ref().map(|setting| &setting.value)
    }

    /// What to say of a login that failed: where a wrong password came from, or why the file was not used that may have the
    /// right one.
    pub(super) fn remark(&self, cause: &LoginError) -> String {
        let remark = match (&self.found, cause) {
            (Some(Setting { origin, .. }), LoginError::Refused(error)) if error.code == INVALID_PASSWORD => {
                Some(format!("the password is from {origin}"))
            }
            _ => self.warning.clone(),
        };
        remark.map(|remark| format!(" ({remark})")).unwrap_or_default()
    }
}
