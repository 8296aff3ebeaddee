//! Sockets: TCP, unix and TLS behind one `Read` and `Write`.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustls::{ClientConnection, StreamOwned};
use socket2::{SockRef, TcpKeepalive};

use super::values::Keepalives;

/// Where a server listens: found once, so that a cancel request reaches the very same server.
#[derive(Clone, Debug)]
pub(super) enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// A socket without TLS.
pub(in crate::postgres) enum Plain {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A socket, with TLS or without.
pub(in crate::postgres) enum Socket {
    Plain(Plain),
    Tls(Box<StreamOwned<ClientConnection, Plain>>),
}

impl Address {
    pub(super) fn connect(&self, timeout: Option<Duration>, keepalives: Keepalives) -> io::Result<Plain> {
        match self {
            Self::Unix(path) => unix(path).map(Plain::Unix),
            Self::Tcp(address) => {
                let stream = match timeout {
                    Some(timeout) => TcpStream::connect_timeout(address, timeout)?,
                    None => TcpStream::connect(address)?,
                };
                stream.set_nodelay(true)?;
                keep_alive(&stream, keepalives)?;
                Ok(Plain::Tcp(stream))
            }
        }
    }
}

fn unix(path: &Path) -> io::Result<UnixStream> {
    match path.as_os_str().as_bytes().strip_prefix(b"@") {
        Some(name) => UnixStream::connect_addr(&UnixAddr::from_abstract_name(name)?),
        None => UnixStream::connect(path),
    }
}

fn keep_alive(stream: &TcpStream, keepalives: Keepalives) -> io::Result<()> {
    let socket = SockRef::from(stream);
    if keepalives.on {
        let mut settings = TcpKeepalive::new();
        if let Some(idle) = keepalives.idle {
            settings = settings.with_time(idle);
        }
        if let Some(interval) = keepalives.interval {
            settings = settings.with_interval(interval);
        }
        if let Some(count) = keepalives.count {
            settings = settings.with_retries(count);
        }
        socket.set_tcp_keepalive(&settings)?;
    }
    socket.set_tcp_user_timeout(keepalives.user_timeout)
}

impl Plain {
    fn sock_ref(&self) -> SockRef<'_> {
        match self {
            Self::Tcp(stream) => SockRef::from(stream),
            Self::Unix(stream) => SockRef::from(stream),
        }
    }

    /// How long a read or write may wait.
    pub(crate) fn set_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.sock_ref().set_read_timeout(timeout)?;
        self.sock_ref().set_write_timeout(timeout)
    }
}

impl Socket {
    fn plain(&self) -> &Plain {
        match self {
            Self::Plain(plain) => plain,
            Self::Tls(stream) => &stream.sock,
        }
    }

    /// How long a read or write may wait.
    pub(crate) fn set_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.plain().set_timeout(timeout)
    }

    /// How long a read may wait.
    pub(crate) fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.plain().sock_ref().set_read_timeout(timeout)
    }

    /// Ends the connection in both directions.
    pub(crate) fn shut_down(&self) {
        // A socket that the other side closed is shut down already.
        let _ = self.plain().sock_ref().shutdown(Shutdown::Both);
    }
}

impl Read for Plain {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buf),
            Self::Unix(stream) => stream.read(buf),
        }
    }
}

impl Write for Plain {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(buf),
            Self::Unix(stream) => stream.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Socket {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(plain) => plain.read(buf),
            Self::Tls(stream) => stream.read(buf),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(plain) => plain.write(buf),
            Self::Tls(stream) => stream.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(plain) => plain.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}
