//! Where a delivery goes, before its time is known. It looks at the text alone.

use std::path::Path;

use super::Error;
use crate::store::{self, Scheme, Url, is_built, scheme};

/// What stands for the time of a delivery.
pub(super) const RUN: &str = "${run}";

/// A time that a delivery may have.
pub(super) const SAMPLE: &str = "20000101T000000000";

/// A target with [`RUN`] in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target(String);

impl Target {
    /// Reads the text of the pipeline file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let example = match scheme(text) {
            Some(_) => "gs://bucket/${run}/",
            None => "deliveries/${run}/",
        };
        if !text.contains(RUN) {
            return Err(format!(
                "`to` has no `{RUN}`, but each delivery needs a new prefix: write for example `{example}`"
            ));
        }
        if scheme(text).is_some() && text.contains(['?', '#']) {
            return Err("`to` has `?` or `#`, which a prefix cannot have: remove it".to_owned());
        }
        if text.starts_with('~') {
            return Err("`to` begins with `~`, which is not expanded here: write the whole path".to_owned());
        }
        if scheme(text).is_none() {
            return Ok(Self(text.to_owned()));
        }
        let path = text.split_once("://").and_then(|(_, rest)| rest.split_once('/'));
        if !path.is_some_and(|(_, path)| path.contains(RUN)) {
            return Err(format!("`{RUN}` belongs into the path of `to`, such as `{example}`"));
        }
        let url = Url::parse(text).map_err(|why| format!("`to`: {why}"))?;
        if url.has_login() {
            let message = "`to` has a login: remove it, and give the credentials in the environment";
            return Err(message.to_owned());
        }
        match url.scheme() {
            Scheme::Http | Scheme::Https => {
                return Err(
                    "`to`: a web server can only be read: deliver to `s3://`, `gs://` or a folder".to_owned()
                );
            }
            Scheme::S3 | Scheme::Gs | Scheme::File => {}
        }
        let mut parts = url.key().trim_end_matches('/').split('/');
        if parts.any(|part| matches!(part, "" | "." | "..")) {
            return Err("`to` has an empty part, or `.` or `..`, in its path: remove it".to_owned());
        }
        if url.scheme() != Scheme::File && !is_built() {
            return Err(format!("`to`: {}", store::Error::NotBuilt(url)));
        }
        Ok(Self(text.to_owned()))
    }

    /// The text of the pipeline file.
    pub(super) fn text(&self) -> &str {
        &self.0
    }

    /// The prefix of a delivery; a relative path is below `root`.
    ///
    /// # Errors
    /// If a path has no URL.
    pub(super) fn url(&self, root: &Path, run: &str) -> Result<Url, Error> {
        let text = self.0.replace(RUN, run);
        let refused = |why: String| Error::Target { to: text.clone(), why };
        if scheme(&text).is_some() {
            return Url::parse(&text).map_err(refused);
        }
        let path = std::path::absolute(root.join(&text)).map_err(|error| refused(error.to_string()))?;
        Url::of_file(&path).ok_or_else(|| refused("the path is not UTF-8".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_a_target_is_refused() {
        for (text, said) in [
            ("out/x", "no `${run}`"),
            ("s3://b/x", "no `${run}`"),
            ("~/x/${run}", "begins with `~`"),
            ("az://b/${run}", "not one of s3"),
            ("http://h/${run}", "can only be read"),
            ("https://me:hunter2@h/${run}", "user before `@`"),
            ("gs://me@b/${run}", "has a login"),
            ("s3://key:hunter2@b/${run}", "only the name of a profile"),
            ("s3://${run}/x", "belongs into the path"),
            ("gs://b//${run}", "empty part"),
            ("gs://b/../${run}", "empty part"),
        ] {
            let error = Target::read(text).unwrap_err();
            assert!(error.contains(said) && !error.contains("hunter2"), "{text}: {error}");
        }
    }

    #[test]
    fn a_path_is_below_the_root_and_a_url_stands_for_itself() {
        let url = |text: &str| Target::read(text).unwrap().url(Path::new("/root"), "1").unwrap().to_string();
        assert_eq!(url("a b/${run}/"), "file:///root/a%20b/1/");
        assert_eq!(url("/a/${run}"), "file:///a/1");
        assert_eq!(url("file:///a/${run}/"), "file:///a/1/");
        if is_built() {
            assert_eq!(url("s3://usdf@b/n-${run}/"), "s3://usdf@b/n-1/");
        }
    }
}
