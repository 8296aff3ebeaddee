//! What stands for a client in a program that was built without stores.

use std::ops::Range;

use bytes::Bytes;

use super::{Error, Meta, Url};
use crate::environment::Environment;
use crate::monitor::Monitor;

/// There is none.
pub(super) enum Client {}

impl Client {
    pub(super) fn open(url: &Url, _: &Environment) -> Result<Self, Error> {
        Err(Error::NotBuilt(url.clone()))
    }

    pub(super) fn head(&self, _: &Url, _: &Monitor) -> Result<Meta, Error> {
        match *self {}
    }

    pub(super) fn get(&self, _: &Url, _: &Monitor) -> Result<(Meta, Bytes), Error> {
        match *self {}
    }

    pub(super) fn range(&self, _: &Url, _: Range<u64>, _: &Monitor) -> Result<(Meta, Bytes), Error> {
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
}
