//! An HTTP/1.1 proxy between a client and a server, which records requests and makes faults at chosen ones.
//!
//! It passes heads and bodies on byte for byte, `Host` included, so that signatures stay valid: the client signs the
//! address of the proxy, and `s3s-fs` accepts that. It knows no TLS.
//!
//! ```ignore
//! let proxy = Proxy::start(server.address());
//! proxy.always(Fault::Delay(Duration::from_millis(50)));
//! proxy.at(3, Fault::SlowDown);                                      // the third request, counted from 1
//! proxy.when(|request| request.number > 7, Fault::Etag("new".into()));
//! proxy.when(|request| request.path.ends_with("manifest.json"), Fault::After(Box::new(move |_| kill(child))));
//! run(&proxy.endpoint());
//! assert!(proxy.requests().iter().all(|request| request.range().is_some()));
//! ```

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Something that a test does at a request. The request waits until it returns.
pub type Hook = Box<dyn Fn(&Request) + Send + Sync>;
type Predicate = Box<dyn Fn(&Request) -> bool + Send + Sync>;

/// A request, as the client sent it.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its number among all requests, from 1. A request that the client repeats has a new one.
    pub number: usize,
    pub method: String,
    /// With the query, and percent-encoded as it was sent.
    pub path: String,
    /// Names in small letters.
    pub headers: Vec<(String, String)>,
}

impl Request {
    /// The value of a header, by its name in small letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The value of `Range`, such as `bytes=0-7`.
    pub fn range(&self) -> Option<&str> {
        self.header("range")
    }
}

/// What the proxy does to a request. Several can meet in one: hooks and delays come first, then what replaces the answer.
pub enum Fault {
    /// Wait before passing it on.
    Delay(Duration),
    /// Answer with this status, code of S3 and message, without passing it on.
    Answer(u16, &'static str, &'static str),
    /// Answer 503 `SlowDown`, which clients repeat.
    SlowDown,
    /// Answer 403 `RequestTimeTooSkewed`, as S3 does when the client's clock is wrong by more than 15 minutes.
    TimeTooSkewed,
    /// Reset the connection before the request is passed on.
    ResetBefore,
    /// Reset the connection when the server has answered, and pass no byte of the answer back.
    ResetAfter,
    /// Pass this number of bytes of the body back, and close the connection.
    EndsEarly(u64),
    /// State a `Content-Length` that differs by so much, pass the body back as it is, and close the connection.
    WrongLength(i64),
    /// State this `ETag`, without its quotes, in place of the server's; an empty text leaves it out.
    Etag(String),
    /// Call this before the request is passed on.
    Before(Hook),
    /// Call this when the server has answered, before the answer is passed back.
    After(Hook),
}

struct Rule {
    meets: Predicate,
    fault: Fault,
}

#[derive(Default)]
struct State {
    rules: Mutex<Vec<Arc<Rule>>>,
    requests: Mutex<Vec<Request>>,
    in_flight: AtomicUsize,
    most_in_flight: AtomicUsize,
    stops: AtomicBool,
}

/// A proxy that takes no further connections when it is dropped.
pub struct Proxy {
    address: String,
    state: Arc<State>,
}

impl Proxy {
    /// Starts a proxy in front of the server at `upstream` (`host:port`), on a free port of 127.0.0.1.
    pub fn start(upstream: &str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        let state = Arc::<State>::default();
        let (upstream, shared) = (upstream.to_owned(), Arc::clone(&state));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if shared.stops.load(Ordering::SeqCst) {
                    break;
                }
                let (upstream, shared) = (upstream.clone(), Arc::clone(&shared));
                // An error is the end of a connection: clients and servers may close one at any time.
                std::thread::spawn(move || drop(serve(&client, &upstream, &shared)));
            }
        });
        Self { address, state }
    }

    /// Its `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Its URL, to give to the client in place of the server's.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Makes a fault at all requests from now on.
    pub fn always(&self, fault: Fault) {
        self.when(|_| true, fault);
    }

    /// Makes a fault at one request, by its number from 1.
    pub fn at(&self, number: usize, fault: Fault) {
        self.when(move |request| request.number == number, fault);
    }

    /// Makes a fault at all requests that meet a condition.
    pub fn when(&self, meets: impl Fn(&Request) -> bool + Send + Sync + 'static, fault: Fault) {
        let rule = Arc::new(Rule { meets: Box::new(meets), fault });
        self.state.rules.lock().expect("no panic").push(rule);
    }

    /// Makes no faults from now on.
    pub fn behave(&self) {
        self.state.rules.lock().expect("no panic").clear();
    }

    /// The requests so far, in the order in which they came.
    pub fn requests(&self) -> Vec<Request> {
        self.state.requests.lock().expect("no panic").clone()
    }

    /// Forgets the requests so far: the next one has number 1.
    pub fn forget(&self) {
        self.state.requests.lock().expect("no panic").clear();
    }

    /// The largest number of requests at the same time.
    pub fn most_in_flight(&self) -> usize {
        self.state.most_in_flight.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.stops.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for connections.
        drop(TcpStream::connect(&self.address));
    }
}

/// A first line and headers, with the bytes that they were read from.
pub struct Head {
    pub bytes: Vec<u8>,
    first: String,
    headers: Vec<(String, String)>,
}

impl Head {
    /// None at the end of the connection.
    pub fn read(from: &mut impl BufRead) -> io::Result<Option<Self>> {
        let (mut bytes, mut lines) = (Vec::new(), Vec::new());
        loop {
            let begin = bytes.len();
            if from.read_until(b'\n', &mut bytes)? == 0 {
                return if begin == 0 { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
            let line = String::from_utf8_lossy(&bytes[begin..]).trim_end().to_owned();
            if line.is_empty() {
                break;
            }
            lines.push(line);
        }
        let first = lines.first().cloned().unwrap_or_default();
        let header = |line: &String| {
            let (name, value) = line.split_once(':')?;
            Some((name.trim().to_lowercase(), value.trim().to_owned()))
        };
        let headers = lines.iter().skip(1).filter_map(header).collect();
        Ok(Some(Self { bytes, first, headers }))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    fn length(&self) -> Option<u64> {
        self.header("content-length").and_then(|length| length.parse().ok())
    }

    fn is_chunked(&self) -> bool {
        self.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"))
    }

    /// The status of an answer.
    pub fn status(&self) -> u16 {
        self.first.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
    }

    /// With another value of a header; none leaves it out.
    fn with(&mut self, name: &str, value: Option<&str>) {
        let text = String::from_utf8_lossy(&self.bytes).into_owned();
        let mut lines: Vec<&str> = text.trim_end().split("\r\n").collect();
        let is_it =
            |line: &str| line.split_once(':').is_some_and(|(found, _)| found.eq_ignore_ascii_case(name));
        lines.retain(|line| !is_it(line));
        let mut text = lines.join("\r\n");
        if let Some(value) = value {
            text.push_str(&format!("\r\n{name}: {value}"));
        }
        self.bytes = format!("{text}\r\n\r\n").into_bytes();
    }
}

/// Passes on the requests of a client, until one of the sides closes its connection.
fn serve(client: &TcpStream, upstream: &str, state: &State) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut from_client = BufReader::new(client.try_clone()?);
    while let Some(head) = Head::read(&mut from_client)? {
        let now = state.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        state.most_in_flight.fetch_max(now, Ordering::SeqCst);
        let goes_on = pass(&head, &mut from_client, client, upstream, state);
        state.in_flight.fetch_sub(1, Ordering::SeqCst);
        if !goes_on? {
            break;
        }
    }
    client.shutdown(Shutdown::Both)
}

/// Passes one request on and its answer back; whether the connection can be used again.
fn pass(
    head: &Head,
    from_client: &mut impl BufRead,
    client: &TcpStream,
    upstream: &str,
    state: &State,
) -> io::Result<bool> {
    let is_close =
        |head: &Head| head.header("connection").is_some_and(|word| word.eq_ignore_ascii_case("close"));
    let request = recorded(head, state);
    let rules: Vec<Arc<Rule>> = state.rules.lock().expect("no panic").clone();
    let rules: Vec<_> = rules.into_iter().filter(|rule| (rule.meets)(&request)).collect();
    let faults = || rules.iter().map(|rule| &rule.fault);
    for fault in faults() {
        match fault {
            Fault::Delay(delay) => std::thread::sleep(*delay),
            Fault::Before(hook) => hook(&request),
            _ => {}
        }
    }
    if faults().any(|fault| matches!(fault, Fault::ResetBefore)) {
        return reset(client);
    }
    if head.header("expect").is_some_and(|expected| expected.eq_ignore_ascii_case("100-continue")) {
        (&*client).write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    let error = faults().find_map(|fault| match fault {
        Fault::Answer(status, code, message) => Some((*status, *code, *message)),
        Fault::SlowDown => Some((503, "SlowDown", "Please reduce your request rate.")),
        Fault::TimeTooSkewed => Some((
            403,
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.",
        )),
        _ => None,
    });
    if let Some((status, code, message)) = error {
        copy_body(head, from_client, &mut io::sink(), u64::MAX)?;
        return answer(client, &request, status, code, message).map(|()| !is_close(head));
    }
    // A connection of its own for each request: one that was kept could be closed just when it is used again.
    let mut server = TcpStream::connect(upstream)?;
    server.set_nodelay(true)?;
    server.write_all(&head.bytes)?;
    copy_body(head, from_client, &mut server, u64::MAX)?;
    let mut from_server = BufReader::new(server);
    let mut answered = loop {
        let head = Head::read(&mut from_server)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        if head.status() >= 200 {
            break head;
        }
    };
    let (mut limit, mut closes) = (u64::MAX, false);
    for fault in faults() {
        match fault {
            Fault::After(hook) => hook(&request),
            Fault::ResetAfter => return reset(client),
            Fault::EndsEarly(bytes) => (limit, closes) = (*bytes, true),
            Fault::WrongLength(by) => {
                let length = answered.length().unwrap_or_default().saturating_add_signed(*by);
                answered.with("Content-Length", Some(&length.to_string()));
                closes = true;
            }
            Fault::Etag(tag) if tag.is_empty() => answered.with("ETag", None),
            Fault::Etag(tag) => answered.with("ETag", Some(&format!("\"{tag}\""))),
            _ => {}
        }
    }
    (&*client).write_all(&answered.bytes)?;
    let has_body = request.method != "HEAD" && !matches!(answered.status(), 204 | 304);
    if has_body {
        if !answered.is_chunked() && answered.length().is_none() {
            // Its end is the end of the connection.
            io::copy(&mut from_server.take(limit), &mut &*client)?;
            return Ok(false);
        }
        copy_body(&answered, &mut from_server, &mut &*client, limit)?;
    }
    Ok(!closes && !is_close(&answered) && !is_close(head))
}

fn recorded(head: &Head, state: &State) -> Request {
    let mut words = head.first.split(' ').map(str::to_owned);
    let mut requests = state.requests.lock().expect("no panic");
    let request = Request {
        number: requests.len() + 1,
        method: words.next().unwrap_or_default(),
        path: words.next().unwrap_or_default(),
        headers: head.headers.clone(),
    };
    requests.push(request.clone());
    request
}

/// Copies a body as it is, but not more than `limit` bytes of it.
pub fn copy_body(head: &Head, from: &mut impl BufRead, to: &mut impl Write, limit: u64) -> io::Result<()> {
    if !head.is_chunked() {
        let length = head.length().unwrap_or_default();
        let copied = io::copy(&mut from.take(length.min(limit)), to)?;
        return if copied < length.min(limit) {
            Err(io::ErrorKind::UnexpectedEof.into())
        } else {
            to.flush()
        };
    }
    let mut left = limit;
    loop {
        let mut line = Vec::new();
        from.read_until(b'\n', &mut line)?;
        let text = String::from_utf8_lossy(&line).into_owned();
        let digits = text.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(digits, 16).map_err(|_| io::ErrorKind::InvalidData)?;
        to.write_all(&line)?;
        if size == 0 {
            break;
        }
        if size > left {
            io::copy(&mut from.take(left), to)?;
            return to.flush();
        }
        left -= size;
        // With the line end after it.
        io::copy(&mut from.take(size + 2), to)?;
    }
    // Trailers, and the empty line that ends them.
    loop {
        let mut line = Vec::new();
        from.read_until(b'\n', &mut line)?;
        to.write_all(&line)?;
        if line.is_empty() || line == b"\r\n" {
            return to.flush();
        }
    }
}

/// Answers with an error of S3.
fn answer(client: &TcpStream, request: &Request, status: u16, code: &str, message: &str) -> io::Result<()> {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    );
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} {code}\r\nContent-Type: application/xml\r\nContent-Length: {length}\r\n\r\n"
    );
    let body = if request.method == "HEAD" { "" } else { &body };
    (&*client).write_all(format!("{head}{body}").as_bytes())
}

/// Closes a connection with a reset, as a machine that was restarted does.
fn reset(client: &TcpStream) -> io::Result<bool> {
    socket2::SockRef::from(client).set_linger(Some(Duration::ZERO))?;
    // The caller closes it at an error.
    Err(io::ErrorKind::ConnectionReset.into())
}
