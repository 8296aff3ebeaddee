//! What stands for a client in a program that was built without stores.

use std::ops::Range;
use std::path::Path;

use bytes::Bytes;

use super::{Error, Meta, Url};
use crate::environment::Environment;
use crate::monitor::Monitor;

/// There is none.
pub(super) enum Client {}

impl Client {
    #[expect(clippy::unnecessary_wraps, reason = "as a client has it")]
    pub(super) fn endpoint(_: &Url, _: &Environment) -> Result<Option<String>, Error> {
        Ok(None)
    }

    pub(super) fn open(url: &Url, _: &Environment) -> Result<Self, Error> {
        Err(Error::NotBuilt(url.clone()))
    }

    pub(super) fn head(&self, _: &Url, _: &Monitor) -> Result<Meta, Error> {
        match *self {}
    }

    pub(super) fn get(&self, _: &Url, _: Option<Range<u64>>, _: &Monitor) -> Result<(Meta, Bytes), Error> {
        match *self {}
    }

    pub(super) fn stretches(
        &self,
        _: &Url,
        _: &Meta,
        _: Vec<Range<u64>>,
        _: &Monitor,
    ) -> Result<Vec<(u64, Bytes)>, Error> {
        match *self {}
    }

    pub(super) fn put(&self, _: &Url, _: Bytes, _: bool, _: &Monitor) -> Result<bool, Error> {
        match *self {}
    }

    pub(super) fn start_upload(&self, _: &Url, _: &Monitor) -> Result<String, Error> {
        match *self {}
    }

    pub(super) fn upload(&self, _: &Url, _: &Path, _: u64, _: &str, _: &Monitor) -> Result<(), Error> {
        match *self {}
    }

    pub(super) fn abort_upload(&self, _: &Url, _: &str, _: &Monitor) -> Result<(), Error> {
        match *self {}
    }

    pub(super) fn delete(&self, _: &Url, _: &Monitor) -> Result<(), Error> {
        match *self {}
    }
}
