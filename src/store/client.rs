//! One bucket or host, by the crate `object_store`: its asynchronous calls, waited for.

mod write;

use std::error::Error as _;
use std::future::Future;
use std::io;
use std::ops::Range;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Once, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::http::HttpBuilder;
use object_store::multipart::MultipartStore;
use object_store::path::Path as Key;
use object_store::{
    BackoffConfig, ClientOptions, GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, RetryConfig,
};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

use super::credentials::{Keys, S3Settings};
use super::error::Cause;
use super::{Error, Meta, REQUESTS_PER_JOB, Scheme, Url};
use crate::environment::Environment;
use crate::errors;
use crate::monitor::{Monitor, POLL};

/// How long one request may take, with its attempts and their pauses.
const LIMIT: Duration = Duration::from_mins(5);
const CONNECT: Duration = Duration::from_secs(10);
/// How long a server may be silent.
const SILENCE: Duration = Duration::from_secs(30);
/// No new attempt is made after this time.
const RETRY: Duration = Duration::from_mins(1);
const RETRIES: usize = 4;

/// What is read at once at most where a server sends all of an object.
const MOST_WHOLE: u64 = 1 << 30;
/// The beginnings of variables that are left to the crate: roles of machines and containers, encryption, the form of
/// requests.
const LEFT: [&str; 9] = [
    "AWS_CONTAINER_",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_",
    "AWS_ENDPOINT_URL_STS",
    "AWS_METADATA_ENDPOINT",
    "AWS_IMDSV1_FALLBACK",
    "AWS_VIRTUAL_HOSTED_STYLE_REQUEST",
    "AWS_SSE_",
    "AWS_REQUEST_PAYER",
];

/// A bucket or a host.
pub(super) struct Client {
    store: Arc<dyn ObjectStore>,
    /// The same, for large objects; `None` if it has no uploads in parts.
    parts: Option<Arc<dyn MultipartStore>>,
    /// Where the credentials came from, for people.
    credentials: String,
}

impl Client {
    pub(super) fn endpoint(url: &Url, environment: &Environment) -> Result<Option<String>, Error> {
        match url.scheme() {
            Scheme::S3 => Ok(S3Settings::of(url, environment)?.endpoint),
            _ => Ok(None),
        }
    }

    pub(super) fn open(url: &Url, environment: &Environment) -> Result<Self, Error> {
        static PROVIDER: Once = Once::new();
        // It fails only if there is one already.
        PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
        let settings = |message: String| Error::Settings { url: url.store(), message };
        let (store, credentials) = match url.scheme() {
            Scheme::S3 => {
                let found = S3Settings::of(url, environment)?;
                (s3(url, &found, environment).map(with_parts), found.origin)
            }
            Scheme::Gs => google(url, environment),
            Scheme::Http | Scheme::Https => {
                let builder = HttpBuilder::new()
                    .with_url(format!("{}://{}/", url.scheme().name(), url.host()))
                    .with_retry(retry())
                    .with_client_options(options().with_allow_http(url.scheme() == Scheme::Http));
                let store = builder.build().map(|store| (Arc::new(store) as Arc<dyn ObjectStore>, None));
                (store, "without credentials".to_owned())
            }
            Scheme::File => return Err(settings("a file has no store".to_owned())),
        };
        match store {
            Ok((store, parts)) => Ok(Self { store, parts, credentials }),
            // A file of Google's credentials is quoted in what the crate says of it.
            Err(_) if url.scheme() == Scheme::Gs => {
                Err(settings(format!("it cannot be used with the {credentials}")))
            }
            Err(error) => Err(settings(format!("{} ({credentials})", said(&error)))),
        }
    }

    pub(super) fn head(&self, url: &Url, monitor: &Monitor) -> Result<Meta, Error> {
        let (store, key) = (Arc::clone(&self.store), key(url)?);
        self.wait(url, monitor, async move { Ok(meta(&store.head(&key).await?)) })
    }

    /// An object or a stretch of it.
    pub(super) fn get(
        &self,
        url: &Url,
        range: Option<Range<u64>>,
        monitor: &Monitor,
    ) -> Result<(Meta, Bytes), Error> {
        self.wait(url, monitor, self.reading(url, range)?)
    }

    /// Stretches of the version of an object that is known.
    pub(super) fn stretches(
        &self,
        url: &Url,
        known: &Meta,
        wanted: Vec<Range<u64>>,
        monitor: &Monitor,
    ) -> Result<Vec<(u64, Bytes)>, Error> {
        let begin = |range: Range<u64>| Ok((range.start, start(self.reading(url, Some(range))?)?));
        let started: Vec<(u64, Task<(Meta, Bytes)>)> =
            wanted.into_iter().map(begin).collect::<Result<_, Error>>()?;
        let finish = |(start, task): (u64, Task<(Meta, Bytes)>)| {
            let (meta, bytes) = self.finish(url, monitor, &task)?;
            if meta == *known { Ok((start, bytes)) } else { Err(Error::Changed(url.clone())) }
        };
        started.into_iter().map(finish).collect()
    }

    /// An object or a stretch of it, which is cut out of the whole if the server has no ranges.
    fn reading(
        &self,
        url: &Url,
        range: Option<Range<u64>>,
    ) -> Result<impl Future<Output = Result<(Meta, Bytes), object_store::Error>> + Send + use<>, Error> {
        let (store, key) = (Arc::clone(&self.store), key(url)?);
        Ok(async move {
            let options = GetOptions { range: range.clone().map(GetRange::Bounded), ..GetOptions::default() };
            let found = match store.get_opts(&key, options).await {
                // Some web servers have no ranges, and send all of it.
                Err(error) if range.is_some() && has_no_ranges(&error) => store.get(&key).await?,
                found => found?,
            };
            let (meta, sent) = (meta(&found.meta), found.range.clone());
            let wanted = range.unwrap_or_else(|| sent.clone());
            let most = MOST_WHOLE.max(wanted.end.saturating_sub(wanted.start));
            let length = sent.end.saturating_sub(sent.start);
            if length > most {
                let message = format!("it sends {length} bytes at once, which is more than {most}");
                return Err(object_store::Error::NotSupported { source: message.into() });
            }
            let bytes = found.bytes().await?;
            // Of an object that is smaller than was thought less is sent.
            let end = wanted.end.min(meta.size);
            let start = wanted.start.min(end);
            if bytes.len() as u64 == length && sent.start <= start && end <= sent.end {
                let at = |position: u64| usize::try_from(position - sent.start).unwrap_or(usize::MAX);
                let part = bytes.slice(at(start)..at(end));
                // A part must not keep all of it in memory.
                let part = if part.len() < bytes.len() { Bytes::copy_from_slice(&part) } else { part };
                return Ok((meta, part));
            }
            let message = format!("{} bytes came where {} were asked for", bytes.len(), end - start);
            Err(object_store::Error::Generic { store: "store", source: message.into() })
        })
    }

    /// Does something that the store is asked for, and waits for it.
    pub(super) fn wait<T: Send + 'static>(
        &self,
        url: &Url,
        monitor: &Monitor,
        work: impl Future<Output = Result<T, object_store::Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let task = start(work)?;
        self.finish(url, monitor, &task)
    }

    fn finish<T>(&self, url: &Url, monitor: &Monitor, task: &Task<T>) -> Result<T, Error> {
        loop {
            match task.receive.recv_timeout(POLL) {
                Ok(Some(result)) => return result.map_err(|error| self.error(url, &error)),
                Ok(None) => {
                    let (url, credentials) = (url.clone(), self.credentials.clone());
                    return Err(Error::Late { url, credentials, seconds: LIMIT.as_secs() });
                }
                Err(RecvTimeoutError::Timeout) if !monitor.is_stopped() => {}
                Err(RecvTimeoutError::Timeout) => return Err(Error::Stopped),
                Err(RecvTimeoutError::Disconnected) => {
                    let (url, credentials) = (url.clone(), self.credentials.clone());
                    let message = "the request panicked".to_owned();
                    return Err(Error::Answer { url, credentials, message });
                }
            }
        }
    }

    /// What an error of the crate is here.
    pub(super) fn error(&self, url: &Url, error: &object_store::Error) -> Error {
        let (url, credentials) = (url.clone(), self.credentials.clone());
        let text = said(error);
        let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
        let is_bucket = has(&["NoSuchBucket"]);
        let is_expired = has(&["ExpiredToken", "InvalidToken", "InvalidAccessKeyId"]);
        if has(&["InvalidRange", "416 Range Not Satisfiable", "400 Bad Request", "InvalidBucketName"])
            && !is_expired
        {
            return Error::Answer { url, credentials, message: text };
        }
        let is_not_found = matches!(error, object_store::Error::NotFound { .. });
        // An answer to HEAD has no text.
        let is_bare = text.trim_end_matches([':', ' ']).ends_with("404 Not Found");
        if is_not_found && url.scheme() == Scheme::S3 && !is_bare && !text.starts_with("NoSuch") {
            let message =
                "the answer is `404 Not Found`, but not as S3 says it: check the endpoint".to_owned();
            return Error::Answer { url, credentials, message };
        }
        let source: Cause = text.into();
        match error {
            object_store::Error::NotFound { .. } if is_bucket => Error::NoBucket { url, credentials },
            object_store::Error::NotFound { .. } => Error::NotFound(url),
            object_store::Error::Precondition { .. } => Error::Changed(url),
            object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
                Error::Denied { url, credentials, source }
            }
            _ if is_expired => Error::Denied { url, credentials, source },
            _ => Error::Unreachable { url, credentials, source },
        }
    }
}

/// A request that was started. It is given up when it is dropped.
struct Task<T> {
    receive: mpsc::Receiver<Option<Result<T, object_store::Error>>>,
    handle: tokio::task::JoinHandle<()>,
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.handle.abort();
    }
}

/// Starts a request, which [`Client::finish`] waits for.
fn start<T: Send + 'static>(
    work: impl Future<Output = Result<T, object_store::Error>> + Send + 'static,
) -> Result<Task<T>, Error> {
    let (send, receive) = mpsc::sync_channel(1);
    let engine = engine()?;
    let handle = engine.runtime.spawn(async move {
        let _permit = engine.permits.acquire().await;
        let result = tokio::time::timeout(LIMIT, work).await;
        // The thread that waited may have gone.
        drop(send.send(result.ok()));
    });
    Ok(Task { receive, handle })
}

/// What all requests of the process share.
struct Engine {
    runtime: Runtime,
    permits: Semaphore,
}

fn engine() -> Result<&'static Engine, Error> {
    static ENGINE: OnceLock<io::Result<Engine>> = OnceLock::new();
    let started = ENGINE.get_or_init(|| {
        let jobs = rayon::current_num_threads();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(jobs.min(2))
            .thread_name("store")
            .enable_all()
            .build()?;
        Ok(Engine { runtime, permits: Semaphore::new(jobs.saturating_mul(REQUESTS_PER_JOB)) })
    });
    started.as_ref().map_err(|error| Error::Threads(io::Error::new(error.kind(), error.to_string())))
}

/// Whether a server sent all of an object where a range was asked for.
fn has_no_ranges(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::NotSupported { .. }) || error.to_string().contains("non-partial")
}

fn meta(found: &ObjectMeta) -> Meta {
    let version = found.e_tag.clone().or_else(|| found.version.clone());
    Meta { size: found.size, version, modified: found.last_modified.timestamp_millis() }
}

fn key(url: &Url) -> Result<Key, Error> {
    Key::parse(url.key()).map_err(|error| Error::Url { url: url.to_string(), message: error.to_string() })
}

fn retry() -> RetryConfig {
    let backoff = BackoffConfig {
        init_backoff: Duration::from_millis(200),
        max_backoff: Duration::from_secs(10),
        base: 2.0,
    };
    RetryConfig { backoff, max_retries: RETRIES, retry_timeout: RETRY }
}

fn options() -> ClientOptions {
    ClientOptions::new().with_timeout(LIMIT).with_connect_timeout(CONNECT).with_read_timeout(SILENCE)
}

fn s3(url: &Url, settings: &S3Settings, environment: &Environment) -> Result<AmazonS3, object_store::Error> {
    let mut builder = AmazonS3Builder::new();
    for (name, value) in &environment.variables {
        let is_left = LEFT.iter().any(|left| name.starts_with(left)) && !value.is_empty();
        if let (true, Ok(key)) = (is_left, name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>()) {
            builder = builder.with_config(key, value);
        }
    }
    builder = builder.with_bucket_name(url.host()).with_region(&settings.region).with_retry(retry());
    builder = builder.with_skip_signature(settings.is_anonymous);
    let mut is_plain = false;
    if let Some(endpoint) = &settings.endpoint {
        is_plain = endpoint.starts_with("http://");
        builder = builder.with_endpoint(endpoint);
    }
    builder = builder.with_client_options(options().with_allow_http(is_plain));
    if let Some(Keys { id, secret, token }) = &settings.keys {
        builder = builder.with_access_key_id(id).with_secret_access_key(secret);
        if let Some(token) = token {
            builder = builder.with_token(token);
        }
    }
    // Not all servers delete several objects by one request.
    builder.with_conditional_put(S3ConditionalPut::ETagMatch).with_disable_bulk_delete(true).build()
}

/// A store, and the same for uploads in parts.
type Opened = (Arc<dyn ObjectStore>, Option<Arc<dyn MultipartStore>>);

fn with_parts<S: ObjectStore + MultipartStore>(store: S) -> Opened {
    let store = Arc::new(store);
    (Arc::clone(&store) as Arc<dyn ObjectStore>, Some(store))
}

fn google(url: &Url, environment: &Environment) -> (Result<Opened, object_store::Error>, String) {
    let mut builder = GoogleCloudStorageBuilder::new();
    for (name, value) in &environment.variables {
        if let (true, Ok(key)) =
            (name.starts_with("GOOGLE_"), name.to_ascii_lowercase().parse::<GoogleConfigKey>())
        {
            builder = builder.with_config(key, value);
        }
    }
    let usual = ".config/gcloud/application_default_credentials.json";
    let origin = match environment.variable("GOOGLE_APPLICATION_CREDENTIALS") {
        Some(path) => format!("credentials of `{path}`, which `GOOGLE_APPLICATION_CREDENTIALS` names"),
        None => format!("credentials of `~/{usual}` if it is there, else of a role of this machine"),
    };
    let builder = builder.with_bucket_name(url.host()).with_retry(retry()).with_client_options(options());
    (builder.build().map(with_parts), origin)
}

/// What an error of the crate says: of the answer of a server of S3 its code and its message, and nothing else.
fn said(error: &object_store::Error) -> String {
    let mut lines = errors::chain(error);
    if error.source().is_some() && lines.len() > 1 {
        lines.remove(0);
    }
    let text = lines.join(": ");
    let part = |name: &str| {
        let from = text.find(&format!("<{name}>"))? + name.len() + 2;
        Some(&text[from..from + text[from..].find(&format!("</{name}>"))?])
    };
    match (part("Code"), part("Message")) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        _ => text,
    }
}
