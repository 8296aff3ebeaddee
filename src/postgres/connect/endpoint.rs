//! Servers to try, from lists of hosts, addresses and ports.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::choices::Read;
use super::target_error::TargetError;

pub(crate) const DEFAULT_PORT: u16 = 5432;
/// Where Debian's and upstream's servers put their sockets.
pub(super) const SOCKET_FOLDERS: [&str; 2] = ["/var/run/postgresql", "/tmp"];

/// One server to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The host as given: a name, an address, or the folder of a unix socket.
    pub host: String,
    /// The address to use instead of looking the name up.
    pub address: Option<IpAddr>,
    /// The port.
    pub port: u16,
}

impl Endpoint {
    /// The unix socket, if it is one.
    pub(super) fn socket(&self) -> Option<PathBuf> {
        let local = self.address.is_none() && self.host.starts_with(['/', '@']);
        local.then(|| Path::new(&self.host).join(format!(".s.PGSQL.{}", self.port)))
    }
}

/// The servers that the settings name, in order.
pub(super) fn endpoints(read: &Read<'_>) -> Result<Vec<Endpoint>, TargetError> {
    let list = |name| -> Vec<&str> {
        read.0.value(name).map(|value| value.split(',').collect()).unwrap_or_default()
    };
    let (hosts, addresses, ports) = (list("host"), list("hostaddr"), list("port"));
    if !hosts.is_empty() && !addresses.is_empty() && hosts.len() != addresses.len() {
        let problem = format!("names {} hosts, but `host` names {}", addresses.len(), hosts.len());
        return Err(read.wrong("hostaddr", problem));
    }
    let count = hosts.len().max(addresses.len()).max(1);
    if ports.len() > 1 && ports.len() != count {
        return Err(read.wrong("port", format!("gives {} ports for {count} hosts", ports.len())));
    }
    (0..count)
        .map(|index| {
            let port = match ports.get(index).or(ports.last().filter(|_| ports.len() == 1)) {
                None | Some(&"") => DEFAULT_PORT,
                Some(port) => match port.trim().parse::<u16>() {
                    Ok(port) if port > 0 => port,
                    _ => return Err(read.wrong("port", format!("is `{port}`, which is not a port"))),
                },
            };
            let address = match addresses.get(index).copied().filter(|address| !address.is_empty()) {
                None => None,
                Some(text) => match text.parse::<IpAddr>() {
                    Ok(address) => Some(address),
                    Err(_) => {
                        return Err(
                            read.wrong("hostaddr", format!("is `{text}`, which is not an IP address"))
                        );
                    }
                },
            };
            let host = match (hosts.get(index).copied().filter(|host| !host.is_empty()), address) {
                (Some(host), _) => host.to_owned(),
                (None, Some(address)) => address.to_string(),
                (None, None) => socket_folder(port),
            };
            Ok(Endpoint { host, address, port })
        })
        .collect()
}

/// The folder in which a server's socket is, or would be.
fn socket_folder(port: u16) -> String {
    let has_socket = |folder: &&&str| Path::new(folder).join(format!(".s.PGSQL.{port}")).exists();
    let exists = |folder: &&&str| Path::new(folder).is_dir();
    let found = SOCKET_FOLDERS.iter().find(has_socket).or_else(|| SOCKET_FOLDERS.iter().find(exists));
    (*found.unwrap_or(&SOCKET_FOLDERS[1])).to_owned()
}
