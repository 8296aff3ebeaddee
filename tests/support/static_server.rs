//! A web server that serves files, by ranges too: nginx, on 127.0.0.1, with a configuration of its own.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

/// Runs nginx until the test that started it ends.
const KEEPER: &str = r#"exec 3<&0; "$@" </dev/null 3<&- & server=$!
(read -r _ <&3; kill -KILL "$server") 2>/dev/null & wait "$server""#;
const PATIENCE: Duration = Duration::from_secs(10);
/// Another program may take the port that was free a moment ago.
const ATTEMPTS: u32 = 5;

/// What a server is like.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// HTTPS, with a certificate for `localhost` and 127.0.0.1: see [`StaticServer::authority`].
    pub tls: bool,
    /// Without `ETag` and `Last-Modified`.
    pub no_etag: bool,
    /// Without ranges: each answer is the whole file.
    pub no_ranges: bool,
}

/// A server that stops when it is dropped, or when the test's process ends.
pub struct StaticServer {
    options: Options,
    port: u16,
    server: Child,
    // Dropped after the server was stopped.
    folder: TempDir,
}

impl StaticServer {
    /// Serves the files in `root`.
    pub fn start(root: &Path, options: Options) -> Self {
        let folder = tempfile::Builder::new().prefix("nginx-").tempdir().unwrap();
        if options.tls {
            certify(folder.path());
        }
        for _ in 0..ATTEMPTS {
            let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
            fs::write(folder.path().join("nginx.conf"), configuration(folder.path(), root, port, options))
                .unwrap();
            let mut server = launch(folder.path());
            if is_ready(folder.path(), &mut server) {
                return Self { options, port, server, folder };
            }
        }
        let log = fs::read_to_string(folder.path().join("error.log")).unwrap_or_default();
        panic!("nginx does not start; if it is not installed, run: ci/install nginx\n{log}");
    }

    /// Its URL, without a slash at the end.
    pub fn url(&self) -> String {
        let scheme = if self.options.tls { "https" } else { "http" };
        format!("{scheme}://localhost:{}", self.port)
    }

    /// `host:port`, for a proxy in front of it.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The certificate of the authority that signed the server's: the value of `SSL_CERT_FILE` for the client.
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    /// The requests so far, one line each: method, path and query, `Range`, status, bytes of the body.
    pub fn requests(&self) -> Vec<String> {
        // A request is logged only after its answer: some time is given to the first.
        for _ in 0..250 {
            let log = fs::read_to_string(self.folder.path().join("access.log")).unwrap_or_default();
            let lines: Vec<String> =
                log.lines().filter(|line| !line.contains(READY)).map(str::to_owned).collect();
            if !lines.is_empty() {
                return lines;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        Vec::new()
    }
}

impl Drop for StaticServer {
    fn drop(&mut self) {
        // The end of its standard input is what stops it.
        drop(self.server.stdin.take());
        let _ = self.server.wait();
    }
}

/// A path that only the readiness check asks for.
const READY: &str = "/.ready";

fn configuration(folder: &Path, root: &Path, port: u16, options: Options) -> String {
    let folder = folder.display();
    let root = root.canonicalize().unwrap();
    let root = root.display();
    let tls = if options.tls { " ssl" } else { "" };
    let mut more = String::new();
    if options.tls {
        more.push_str(&format!(
            "ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.key;\n"
        ));
    }
    if options.no_etag {
        more.push_str("etag off; add_header Last-Modified \"\"; if_modified_since off;\n");
    }
    if options.no_ranges {
        more.push_str("max_ranges 0;\n");
    }
    // One process, with the rights of the test.
    format!(
        r#"daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  log_format short '$request_method $request_uri "$http_range" $status $body_bytes_sent';
  access_log {folder}/access.log short;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  default_type application/octet-stream;
  server {{
    listen 127.0.0.1:{port}{tls};
    root "{root}";
    {more}
  }}
  server {{ listen unix:{folder}/ready.sock; location {READY} {{ return 200; }} }}
}}
"#
    )
}

fn launch(folder: &Path) -> Child {
    let path = std::env::var("PATH").unwrap_or_default();
    let _ = fs::remove_file(folder.join("ready.sock"));
    let mut command = Command::new("sh");
    command.args(["-c", KEEPER, "sh", "nginx", "-p"]).arg(folder).arg("-e").arg(folder.join("error.log"));
    command.arg("-c").arg(folder.join("nginx.conf"));
    // Debian has it where only root looks.
    command.env("PATH", format!("{path}:/usr/sbin:/usr/local/sbin"));
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    let log = fs::File::options().create(true).append(true).open(folder.join("error.log")).unwrap();
    command.stderr(log).spawn().unwrap()
}

/// Whether it answers on its socket, which it does when it listens on the port too.
fn is_ready(folder: &Path, server: &mut Child) -> bool {
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE && matches!(server.try_wait(), Ok(None)) {
        let answer = UnixStream::connect(folder.join("ready.sock")).and_then(|mut socket| {
            socket.write_all(format!("GET {READY} HTTP/1.0\r\n\r\n").as_bytes())?;
            let mut text = String::new();
            socket.read_to_string(&mut text).map(|_| text)
        });
        if answer.is_ok_and(|text| text.contains(" 200 ")) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    drop(server.stdin.take());
    let _ = server.wait();
    false
}

/// Makes an authority and a certificate that it signed, in the folder.
fn certify(folder: &Path) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "authority of a test");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &authority).unwrap();
    for (name, text) in [
        ("authority.pem", authority.pem()),
        ("server.pem", certificate.pem()),
        ("server.key", key.serialize_pem()),
    ] {
        fs::write(folder.join(name), text).unwrap();
    }
}
