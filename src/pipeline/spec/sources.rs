//! What a pipeline reads from: a database, a repository.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::pipeline::values::Period;

/// How to reach the database; libpq's environment fills what is left out.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DatabaseSpec {
    /// A service of `~/.pg_service.conf`.
    pub service: Option<String>,
    /// A connection string: a URI or `key=value` pairs, without a password.
    pub dsn: Option<String>,
    /// Host name, or the folder of a unix socket.
    pub host: Option<String>,
    /// Port.
    pub port: Option<u16>,
    /// Database name.
    pub dbname: Option<String>,
    /// User name.
    pub user: Option<String>,
    /// `disable`, `allow`, `prefer`, `require`, `verify-ca` or `verify-full`.
    pub sslmode: Option<SslMode>,
    /// Connections open at once, the snapshot's holder not counted. Default: 4.
    #[schemars(range(min = 1, max = 64))]
    pub connections: Option<u32>,
    /// While the recorded outputs of all exports are younger than this, no connection is made at all.
    pub max_age: Option<Period>,
    /// How often a run whose connection failed is tried again. Default: 2.
    #[schemars(range(max = 100))]
    pub retries: Option<u32>,
}

/// How a connection uses TLS, as libpq defines it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SslMode {
    /// Never.
    Disable,
    /// Only if the server insists.
    Allow,
    /// If the server can.
    Prefer,
    /// Always, without checking the server's certificate unless a root certificate is there.
    Require,
    /// Always, and the certificate must be signed by a known authority.
    VerifyCa,
    /// Always, and the certificate must also name the host.
    VerifyFull,
}

/// Which Butler repository to read.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ButlerSpec {
    /// The repository: a folder, a `butler.yaml`, or a label of the repository index.
    #[schemars(extend("format" = "path"))]
    pub repo: String,
}
