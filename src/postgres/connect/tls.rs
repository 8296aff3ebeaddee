//! TLS as libpq does it: which certificates are trusted, and what the certificate must say.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ring::digest;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, ring as provider, verify_tls12_signature,
    verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore,
    SignatureScheme, StreamOwned, version,
};
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::der::oid::db::rfc4519::CN;
use x509_cert::ext::pkix::SubjectAltName;

use super::socket::{Plain, Socket};
use super::target::TlsSettings;
use super::values::SslMode;

/// Why TLS cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read the {what} `{}`", path.display())]
    File { what: &'static str, path: PathBuf, source: Box<dyn std::error::Error + Send + Sync> },
    /// The mode verifies, but there is nothing to verify with.
    #[error(
        "sslmode {mode} needs root certificates, but `{}` does not exist (give a file with sslrootcert, or use the \
        system's certificates with sslrootcert=system)",
        path.display()
    )]
    NoRoot { mode: &'static str, path: PathBuf },
    #[error("others can read the private key `{}`: its permissions must be 0600 or less", path.display())]
    OpenKey { path: PathBuf },
    #[error("the system has no root certificates")]
    NoSystemRoots,
    #[error("the client certificate `{}` and its key cannot be used", path.display())]
    Client { path: PathBuf, source: Error },
    /// The protocol version is not there.
    #[error("TLS cannot be set up")]
    Setup(#[source] Error),
}

/// What every handshake of a target shares.
pub(super) struct Tls {
    config: Arc<ClientConfig>,
}

impl Tls {
    pub(super) fn load(settings: &TlsSettings) -> Result<Self, TlsError> {
        let provider = Arc::new(provider::default_provider());
        let algorithms = provider.signature_verification_algorithms;
        let trusted = trusted(settings, &provider)?;
        let verifier = Verifier { trusted, names: settings.mode == SslMode::VerifyFull, algorithms };
        let versions: &[_] =
            if settings.only_tls13 { &[&version::TLS13] } else { &[&version::TLS13, &version::TLS12] };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .map_err(TlsError::Setup)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match client(settings)? {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => builder
                .with_client_auth_cert(chain, key)
                .map_err(|source| TlsError::Client { path: settings.certificate.path.clone(), source })?,
        };
        config.enable_sni = settings.name_indication;
        Ok(Self { config: Arc::new(config) })
    }

    pub(super) fn wrap(&self, mut plain: Plain, host: &str) -> std::io::Result<Socket> {
        // A host that is no name that TLS knows, as with `hostaddr` alone, cannot be checked or sent.
        let name = ServerName::try_from(host.to_owned())
            .unwrap_or_else(|_| ServerName::IpAddress(std::net::IpAddr::from([0, 0, 0, 0]).into()));
        let mut connection =
            ClientConnection::new(Arc::clone(&self.config), name).map_err(std::io::Error::other)?;
        connection.complete_io(&mut plain)?;
        Ok(Socket::Tls(Box::new(StreamOwned::new(connection, plain))))
    }
}

/// What ties a login to this TLS channel (`tls-server-end-point`): the digest of the server's certificate by the hash of
/// its signature, SHA-256 at least. `None` where that is not defined, as for Ed25519.
///
/// Source: RFC 5929, section 4.1.
pub(super) fn end_point(socket: &Socket) -> Option<Vec<u8>> {
    let Socket::Tls(stream) = socket else { return None };
    let der = stream.conn.peer_certificates()?.first()?;
    let oid = Certificate::from_der(der).ok()?.signature_algorithm.oid.to_string();
    let algorithm = match oid.as_str() {
        // RSA with SHA-1 and SHA-256, ECDSA with SHA-1 and SHA-256.
        "1.2.840.113549.1.1.5" | "1.2.840.113549.1.1.11" | "1.2.840.10045.4.1" | "1.2.840.10045.4.3.2" => {
            &digest::SHA256
        }
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => &digest::SHA384,
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => &digest::SHA512,
        _ => return None,
    };
    Some(digest::digest(algorithm, der).as_ref().to_vec())
}

/// The certificates that are trusted.
#[derive(Debug)]
struct Trusted {
    roots: RootCertStore,
    /// As they are in the file: a server's own certificate may be put there, which is no authority.
    pinned: Vec<CertificateDer<'static>>,
    /// Checks what was taken back too, where there are lists of that.
    revocations: Option<Arc<WebPkiServerVerifier>>,
}

fn trusted(settings: &TlsSettings, provider: &Arc<CryptoProvider>) -> Result<Option<Trusted>, TlsError> {
    let mut roots = RootCertStore::empty();
    let pinned = match &settings.root {
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                return Err(TlsError::NoSystemRoots);
            }
            Vec::new()
        }
        Some(path) if path.exists() => {
            let pinned = parts::<CertificateDer<'_>>("root certificates", "certificate", path)?;
            roots.add_parsable_certificates(pinned.iter().cloned());
            pinned
        }
        Some(path) if settings.mode >= SslMode::VerifyCa => {
            return Err(TlsError::NoRoot { mode: settings.mode.name(), path: path.clone() });
        }
        Some(_) => return Ok(None),
    };
    let revocations = revocations(settings, provider, &roots)?;
    Ok(Some(Trusted { roots, pinned, revocations }))
}

/// As libpq: the usual file if it is there, for the whole chain. Every authority in it must have a list then, which must not
/// be out of date. The system's authorities have none in the usual file.
fn revocations(
    settings: &TlsSettings,
    provider: &Arc<CryptoProvider>,
    roots: &RootCertStore,
) -> Result<Option<Arc<WebPkiServerVerifier>>, TlsError> {
    const WHAT: &str = "list of revoked certificates";
    let list = &settings.revocations;
    if list.is_absent() || settings.root.is_none() && !list.given {
        return Ok(None);
    }
    let found = parts::<CertificateRevocationListDer<'_>>(WHAT, "list", &list.path)?;
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots.clone()), Arc::clone(provider))
        .with_crls(found)
        .enforce_revocation_expiration()
        .build()
        .map(Some)
        .map_err(|error| TlsError::File { what: WHAT, path: list.path.clone(), source: error.into() })
}

type ClientIdentity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn client(settings: &TlsSettings) -> Result<Option<ClientIdentity>, TlsError> {
    if settings.certificate.is_absent() {
        return Ok(None);
    }
    let chain = parts("client certificate", "certificate", &settings.certificate.path)?;
    let path = &settings.key;
    let failed = |source| TlsError::File { what: "private key", path: path.clone(), source };
    let metadata = fs::metadata(path).map_err(|error| failed(error.into()))?;
    // As libpq: a key of root's may be readable for its group.
    let closed = if metadata.uid() == 0 { 0o037 } else { 0o077 };
    if metadata.mode() & closed != 0 {
        return Err(TlsError::OpenKey { path: path.clone() });
    }
    let key = PrivateKeyDer::from_pem_file(path).map_err(|error| failed(error.into()))?;
    Ok(Some((chain, key)))
}

/// The parts of a PEM file, at least one.
fn parts<T: PemObject>(what: &'static str, part: &str, path: &Path) -> Result<Vec<T>, TlsError> {
    let failed = |source| TlsError::File { what, path: path.to_owned(), source };
    let found = T::pem_file_iter(path).map_err(|error| failed(error.into()))?;
    let found: Vec<T> = found.collect::<Result<_, _>>().map_err(|error| failed(error.into()))?;
    if found.is_empty() { Err(failed(format!("it holds no {part}").into())) } else { Ok(found) }
}

/// Checks what the mode asks for, and no more.
#[derive(Debug)]
struct Verifier {
    trusted: Option<Trusted>,
    names: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(trusted) = &self.trusted else { return Ok(ServerCertVerified::assertion()) };
        if let Some(verifier) = &trusted.revocations {
            let checked =
                verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
            // It looks at the name last, which is done below, where it is asked for.
            if let Err(error) = checked
                && !is_about_name(&error)
            {
                return Err(error);
            }
        } else if trusted.pinned.iter().any(|pinned| pinned == end_entity) {
            check_dates(end_entity, now)?;
        } else {
            let parsed = ParsedCertificate::try_from(end_entity)?;
            let algorithms = self.algorithms.all;
            verify_server_cert_signed_by_trust_anchor(
                &parsed,
                &trusted.roots,
                intermediates,
                now,
                algorithms,
            )?;
        }
        if self.names {
            check_name(end_entity, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn is_about_name(error: &Error) -> bool {
    use CertificateError::{NotValidForName, NotValidForNameContext};
    matches!(error, Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }))
}

fn parsed(der: &CertificateDer<'_>) -> Result<Certificate, Error> {
    Certificate::from_der(der).map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))
}

fn check_dates(der: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let validity = parsed(der)?.tbs_certificate.validity;
    let seconds = now.as_secs();
    if seconds < validity.not_before.to_unix_duration().as_secs() {
        return Err(Error::InvalidCertificate(CertificateError::NotValidYet));
    }
    if seconds > validity.not_after.to_unix_duration().as_secs() {
        return Err(Error::InvalidCertificate(CertificateError::Expired));
    }
    Ok(())
}

/// The host must be among the names of the certificate or, where it has none, be its common name, as in libpq.
fn check_name(der: &CertificateDer<'_>, name: &ServerName<'_>) -> Result<(), Error> {
    let certificate = parsed(der)?.tbs_certificate;
    let has_names = matches!(certificate.get::<SubjectAltName>(), Ok(Some(_)));
    if has_names {
        return rustls::client::verify_server_name(&ParsedCertificate::try_from(der)?, name);
    }
    let common = certificate.subject.0.iter().flat_map(|names| names.0.iter());
    let common = common.filter(|part| part.oid == CN).map(|part| part.value.value());
    let wanted = name.to_str().to_ascii_lowercase();
    if common.clone().any(|common| common.eq_ignore_ascii_case(wanted.as_bytes())) {
        return Ok(());
    }
    let presented = common.map(|common| String::from_utf8_lossy(common).into_owned()).collect();
    Err(Error::InvalidCertificate(CertificateError::NotValidForNameContext {
        expected: name.to_owned(),
        presented,
    }))
}
