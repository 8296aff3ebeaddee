//! The demo's last stage, if it is asked for: a delivery of its tables to an S3 server of its own.

use std::path::Path;

use anyhow::{Context as _, anyhow};

use crate::cli::failure::Failure;
use crate::durable;
use crate::environment::Environment;
use crate::regular;
use crate::throwaway::S3;

const BUCKET: &str = "products";
const STAGE: &str = "
  delivery:                       # `ssp-run demo --delivery` starts an S3 server and sets its place and its key
    deliver:
      tables: {SSObject: ssobject, SSSource: sssource, mpc_orbits: mpc_orbits}
      to: s3://products/${run}/
";
/// What a pipeline file with the stage has.
const MARK: &str = "s3://products/${run}/";
/// Settings of stores begin with these.
const SETTINGS: [&str; 3] = ["AWS_", "LSST_RESOURCES_S3_", "S3_ENDPOINT_URL"];

/// Adds the stage to the demo's pipeline file, if it is not there.
pub(super) fn add(file: &Path) -> Result<(), Failure> {
    if cfg!(not(feature = "stores")) {
        let error =
            anyhow!("this program was built without object stores, so the demo cannot deliver to one");
        let hint = "build it with `--features stores`, or install a package of ssp";
        return Err(Failure::usage(error).hint(hint));
    }
    let text = regular::read_to_string(file).map_err(Failure::fault)?;
    if text.contains(MARK) {
        return Ok(());
    }
    durable::write(file, (text.trim_end().to_owned() + "\n" + STAGE).as_bytes()).map_err(Failure::fault)
}

/// Starts the server, if the pipeline file delivers to it.
pub(super) fn start(dir: &Path, file: &Path) -> Result<Option<S3>, Failure> {
    if !regular::read_to_string(file).is_ok_and(|text| text.contains(MARK)) {
        return Ok(None);
    }
    let server = S3::start(&dir.join("s3")).and_then(|server| server.make_bucket(BUCKET).map(|_| server));
    server.context("the demo's S3 server").map_err(Failure::fault).map(Some)
}

/// Sets the server's place and key in an environment, and removes other settings of stores.
pub(super) fn tell(server: &S3, environment: &mut Environment) {
    environment.retain(|name| !SETTINGS.iter().any(|beginning| name.starts_with(beginning)));
    let settings = [
        ("S3_ENDPOINT_URL", server.endpoint()),
        ("AWS_ACCESS_KEY_ID", server.access_key().to_owned()),
        ("AWS_SECRET_ACCESS_KEY", server.secret().to_owned()),
    ];
    environment.variables.extend(settings.map(|(name, value)| (name.to_owned(), value)));
}

/// Where people find what was delivered: the newest folder of the bucket.
pub(super) fn said(dir: &Path, typed: &Path) -> Option<String> {
    let names = std::fs::read_dir(dir.join("s3").join(BUCKET)).ok()?;
    let names = names.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let newest = names.filter(|name| !name.starts_with('.')).max()?;
    let folder = typed.join("s3").join(BUCKET).join(&newest);
    Some(format!("delivered to s3://{BUCKET}/{newest}/, which is the folder {}\n\n", folder.display()))
}
