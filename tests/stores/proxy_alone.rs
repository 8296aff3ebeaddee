//! The proxy passes requests and answers on, and makes the faults that it is asked for.

use std::io::{self, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::proxy::{Fault, Head, Hook, Proxy, copy_body};

const BODY: &[u8] = b"0123456789";

/// A server that answers each request with the bytes given, and says what it read.
fn server(answer: Vec<u8>) -> (String, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let read = Arc::<Mutex<Vec<u8>>>::default();
    let said = Arc::clone(&read);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut from = BufReader::new(&stream);
            let Ok(Some(head)) = Head::read(&mut from) else { continue };
            let mut bytes = head.bytes.clone();
            copy_body(&head, &mut from, &mut bytes, u64::MAX).unwrap();
            said.lock().unwrap().extend(bytes);
            (&stream).write_all(&answer).unwrap();
        }
    });
    (address, read)
}

fn whole() -> Vec<u8> {
    [b"HTTP/1.1 200 OK\r\nETag: \"old\"\r\nContent-Length: 10\r\n\r\n", BODY].concat()
}

/// What a client gets until the connection ends, having sent the bytes given.
fn send(proxy: &Proxy, request: &[u8]) -> io::Result<String> {
    let mut stream = TcpStream::connect(proxy.address())?;
    stream.write_all(request)?;
    let mut text = String::new();
    stream.read_to_string(&mut text).map(|_| text)
}

const GET: &[u8] = b"GET /b/k%20?x=1 HTTP/1.1\r\nHost: h\r\nRange: bytes=0-9\r\nConnection: close\r\n\r\n";

#[test]
fn a_request_and_its_answer_are_passed_on_byte_for_byte() {
    let (address, read) = server(whole());
    let proxy = Proxy::start(&address);
    assert_eq!(send(&proxy, GET).unwrap().into_bytes(), whole());
    assert_eq!(*read.lock().unwrap(), GET);
    let [request] = proxy.requests().try_into().unwrap();
    assert_eq!((request.method.as_str(), request.path.as_str()), ("GET", "/b/k%20?x=1"));
    assert_eq!((request.number, request.range()), (1, Some("bytes=0-9")));
}

#[test]
fn a_body_in_chunks_is_passed_on_byte_for_byte() {
    let chunks = b"5;a=b\r\nabcde\r\n3\r\nf\r\n\r\n0\r\ntrailer: x\r\n\r\n";
    let answer = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".as_slice(), chunks].concat();
    let (address, read) = server(answer.clone());
    let proxy = Proxy::start(&address);
    let put = b"PUT /k HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n".as_slice();
    let put = [put, chunks].concat();
    assert_eq!(send(&proxy, &put).unwrap().into_bytes(), answer);
    assert_eq!(*read.lock().unwrap(), put);
}

#[test]
fn a_connection_is_used_again() {
    let proxy = Proxy::start(&server(whole()).0);
    let first = String::from_utf8_lossy(GET).replace("Connection: close\r\n", "");
    let both = [first.as_bytes(), GET].concat();
    assert_eq!(send(&proxy, &both).unwrap().into_bytes(), whole().repeat(2));
    assert_eq!(proxy.requests().len(), 2);
    assert_eq!(proxy.most_in_flight(), 1);
}

#[test]
fn a_client_that_waits_to_send_its_body_is_told_to() {
    let (address, read) = server(whole());
    let proxy = Proxy::start(&address);
    let head = b"PUT /k HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\nConnection: close\r\n\r\n";
    let mut stream = TcpStream::connect(proxy.address()).unwrap();
    stream.write_all(head).unwrap();
    let told = Head::read(&mut BufReader::with_capacity(1, &stream)).unwrap().unwrap();
    assert_eq!(told.status(), 100);
    stream.write_all(b"abc").unwrap();
    let mut text = Vec::new();
    stream.read_to_end(&mut text).unwrap();
    assert_eq!(text, whole());
    assert!(read.lock().unwrap().ends_with(b"abc"));
}

#[test]
fn faults_meet_only_the_requests_that_they_are_for() {
    let (address, read) = server(whole());
    let proxy = Proxy::start(&address);
    proxy.at(1, Fault::SlowDown);
    proxy.at(2, Fault::TimeTooSkewed);
    proxy.at(3, Fault::ResetBefore);
    assert!(send(&proxy, GET).unwrap().starts_with("HTTP/1.1 503 SlowDown\r\n"));
    assert!(send(&proxy, GET).unwrap().contains("<Code>RequestTimeTooSkewed</Code>"));
    assert_eq!(send(&proxy, GET).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert!(read.lock().unwrap().is_empty());
    proxy.at(4, Fault::ResetAfter);
    assert_eq!(send(&proxy, GET).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(*read.lock().unwrap(), GET);
    assert_eq!(send(&proxy, GET).unwrap().into_bytes(), whole());
    proxy.when(|request| request.path.starts_with("/b/"), Fault::SlowDown);
    assert!(send(&proxy, GET).unwrap().contains("SlowDown"));
    proxy.behave();
    proxy.forget();
    assert_eq!(send(&proxy, GET).unwrap().into_bytes(), whole());
    assert_eq!(proxy.requests()[0].number, 1);
}

#[test]
fn answers_are_changed_on_the_way_back() {
    let proxy = Proxy::start(&server(whole()).0);
    proxy.at(1, Fault::EndsEarly(4));
    proxy.at(2, Fault::WrongLength(2));
    proxy.at(3, Fault::WrongLength(-3));
    proxy.when(|request| request.number >= 4, Fault::Etag("new".to_owned()));
    proxy.at(5, Fault::Etag(String::new()));
    assert!(send(&proxy, GET).unwrap().ends_with("Content-Length: 10\r\n\r\n0123"));
    assert!(send(&proxy, GET).unwrap().ends_with("Content-Length: 12\r\n\r\n0123456789"));
    assert!(send(&proxy, GET).unwrap().ends_with("Content-Length: 7\r\n\r\n0123456789"));
    assert!(send(&proxy, GET).unwrap().contains("ETag: \"new\"\r\n"));
    assert!(!send(&proxy, GET).unwrap().contains("ETag"));
}

#[test]
fn hooks_are_called_before_a_request_is_passed_on_and_after_its_answer() {
    let (address, read) = server(whole());
    let proxy = Proxy::start(&address);
    let seen = Arc::<Mutex<Vec<(usize, bool)>>>::default();
    for is_before in [true, false] {
        let (seen, read) = (Arc::clone(&seen), Arc::clone(&read));
        let hook: Hook = Box::new(move |request| {
            seen.lock().unwrap().push((request.number, read.lock().unwrap().is_empty()));
        });
        proxy.at(1, if is_before { Fault::Before(hook) } else { Fault::After(hook) });
    }
    proxy.always(Fault::Delay(Duration::from_millis(50)));
    let begin = std::time::Instant::now();
    send(&proxy, GET).unwrap();
    assert!(begin.elapsed() >= Duration::from_millis(50));
    assert_eq!(*seen.lock().unwrap(), [(1, true), (1, false)]);
}
