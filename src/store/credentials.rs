//! How a store of S3 is reached, and with which credentials: the rules of Rubin's `lsst.resources`, then those of the AWS tools.

use std::collections::BTreeMap;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;

use super::ini::{self, Sections};
use super::url::is_host;
use super::{Error, Url};
use crate::environment::Environment;
use crate::regular;

/// A profile's endpoint with its login, by the profile's name.
const PROFILE_PREFIX: &str = "LSST_RESOURCES_S3_PROFILE_";
/// The endpoint, perhaps with a login.
const ENDPOINT: &str = "S3_ENDPOINT_URL";
/// Roles that containers have.
const ROLES: [&str; 3] = [
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
];
const DEFAULT_REGION: &str = "us-east-1";
/// Settings of a profile that get credentials from elsewhere.
const ELSEWHERE: [&str; 9] = [
    "role_arn",
    "source_profile",
    "credential_source",
    "web_identity_token_file",
    "credential_process",
    "sso_session",
    "sso_start_url",
    "sso_account_id",
    "login_session",
];

/// A key with its secret.
pub(super) struct Keys {
    pub id: String,
    pub secret: String,
    pub token: Option<String>,
}

/// How a store of S3 is reached. Not for logs.
pub(super) struct S3Settings {
    pub endpoint: Option<String>,
    pub region: String,
    /// `None`: the machine or the environment has a role, unless requests are not signed.
    pub keys: Option<Keys>,
    pub is_anonymous: bool,
    /// Where the credentials came from, for people.
    pub origin: String,
}

impl S3Settings {
    /// The settings for a URL.
    ///
    /// # Errors
    /// [`Error::Settings`] if a file cannot be read or understood, or a profile is missing or gets its credentials from elsewhere.
    pub(super) fn of(url: &Url, environment: &Environment) -> Result<Self, Error> {
        find(url, environment).map_err(|message| Error::Settings { url: url.store(), message })
    }
}

fn find(url: &Url, environment: &Environment) -> Result<S3Settings, String> {
    for beginning in ["AWS_", "LSST_RESOURCES_S3_", ENDPOINT] {
        environment.check_utf8(beginning).map_err(|error| error.to_string())?;
    }
    let set = |name: &str| environment.variable(name).map(str::to_owned);
    let is_set = |name: &str| {
        let yes = ["true", "1", "yes", "on"];
        set(name).is_some_and(|value| yes.contains(&value.to_ascii_lowercase().as_str()))
    };
    let files = Files::read(environment)?;
    let profile = url.login().map(str::to_owned);
    let name = profile.clone().or_else(|| set("AWS_PROFILE"));
    let is_named = name.is_some();
    let name = name.unwrap_or_else(|| "default".to_owned());
    let of_profile = profile.as_ref().map(|profile| format!("{PROFILE_PREFIX}{profile}"));
    let variable = of_profile.filter(|name| set(name).is_some()).unwrap_or_else(|| ENDPOINT.to_owned());
    let of_variable = |name: &str| -> Result<(Option<String>, Option<Keys>), String> {
        let found = set(name).map(|value| endpoint(&value)).transpose();
        let found = found.map_err(|message| format!("environment variable `{name}`: {message}"))?;
        Ok(found.map_or((None, None), |(endpoint, keys)| (Some(endpoint), keys)))
    };
    let (mut endpoint, mut keys) = of_variable(&variable)?;
    let mut origin = format!("credentials of environment variable `{variable}`");
    let is_anonymous = is_set("AWS_SKIP_SIGNATURE");
    if keys.is_none() && profile.is_none() {
        let pair = set("AWS_ACCESS_KEY_ID").zip(set("AWS_SECRET_ACCESS_KEY"));
        keys = pair.map(|(id, secret)| Keys { id, secret, token: set("AWS_SESSION_TOKEN") });
        "credentials of environment variable `AWS_ACCESS_KEY_ID`".clone_into(&mut origin);
    }
    if is_anonymous {
        "without credentials, as environment variable `AWS_SKIP_SIGNATURE` says".clone_into(&mut origin);
    } else if keys.is_none() {
        (keys, origin) = files.keys(&name, is_named)?;
        if keys.is_none()
            && is_set("AWS_EC2_METADATA_DISABLED")
            && !ROLES.iter().any(|name| set(name).is_some())
        {
            return Err(format!(
                "there are no credentials: {origin}, but `AWS_EC2_METADATA_DISABLED` is set"
            ));
        }
    }
    for name in ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"] {
        if endpoint.is_none() {
            endpoint = of_variable(name)?.0;
        }
    }
    if endpoint.is_none() {
        if let Some(services) = files.setting(&name, "services") {
            return Err(format!(
                "profile `{name}` has `services = {services}`, which is not supported: set `{ENDPOINT}` to the endpoint"
            ));
        }
        let of_file = files.setting(&name, "endpoint_url").map(|value| self::endpoint(&value)).transpose();
        endpoint = of_file
            .map_err(|message| format!("`endpoint_url` of profile `{name}`: {message}"))?
            .map(|(endpoint, _)| endpoint);
    }
    let is_sound = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    let is_wrong = |keys: &Keys| {
        !is_sound(&keys.id)
            || !is_sound(&keys.secret)
            || keys.token.as_ref().is_some_and(|token| !is_sound(token))
    };
    if keys.as_ref().is_some_and(is_wrong) {
        return Err(format!("the {origin} have a blank, or a character that no key has"));
    }
    let region = set("AWS_REGION").or_else(|| set("AWS_DEFAULT_REGION"));
    let region =
        region.or_else(|| files.setting(&name, "region")).unwrap_or_else(|| DEFAULT_REGION.to_owned());
    if let Some(endpoint) = &endpoint {
        origin = format!("{endpoint}, {origin}");
    }
    Ok(S3Settings { endpoint, region, keys, is_anonymous, origin })
}

/// An endpoint and its login, as `https://KEY:SECRET@HOST` with both percent-encoded.
fn endpoint(value: &str) -> Result<(String, Option<Keys>), String> {
    let (scheme, rest) =
        value.split_once("://").ok_or("it is not a URL, such as `https://KEY:SECRET@HOST`")?;
    let scheme = scheme.to_ascii_lowercase();
    if scheme != "http" && scheme != "https" {
        return Err("it begins with neither `https://` nor `http://`".to_owned());
    }
    let (place, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (login, host) = place.rsplit_once('@').map_or((None, place), |(login, host)| (Some(login), host));
    let is_sound = is_host(host) && path.bytes().all(|byte| byte.is_ascii_graphic()) && !path.contains('@');
    if !is_sound {
        return Err(
            "it is not `https://KEY:SECRET@HOST`, with the key and the secret percent-encoded".to_owned()
        );
    }
    let decoded = |text: &str| percent_decode_str(text).decode_utf8().map(std::borrow::Cow::into_owned).ok();
    let keys = |login: &str| {
        let (id, secret) = login.split_once(':').filter(|(_, secret)| !secret.contains(':'))?;
        Some(Keys { id: decoded(id)?, secret: decoded(secret)?, token: None })
    };
    let keys =
        login.map(|login| keys(login).ok_or("what is before `@` is not `KEY:SECRET`, each percent-encoded"));
    let path = path.trim_end_matches('/');
    let path = if path.is_empty() { String::new() } else { format!("/{path}") };
    Ok((format!("{scheme}://{host}{path}"), keys.transpose()?))
}

/// The files of the AWS tools: that of credentials, which goes first, and that of the configuration.
struct Files([(PathBuf, Sections); 2]);

impl Files {
    fn read(environment: &Environment) -> Result<Self, String> {
        let read = |variable: &str, usual: &str| {
            let named = environment.variable(variable).map(PathBuf::from);
            let Some(path) = named.or_else(|| environment.in_home(usual)) else {
                return Ok(Default::default());
            };
            match regular::read_to_string(&path) {
                Ok(text) => {
                    let sections =
                        ini::parse(&text).map_err(|message| format!("`{}`, {message}", path.display()))?;
                    Ok((path, sections))
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok((path, BTreeMap::new())),
                Err(error) => Err(format!("cannot read `{}`: {error}", path.display())),
            }
        };
        Ok(Self([
            read("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials")?,
            read("AWS_CONFIG_FILE", ".aws/config")?,
        ]))
    }

    fn setting(&self, profile: &str, name: &str) -> Option<String> {
        let mut values = self.0.iter().filter_map(|(_, sections)| sections.get(profile)?.get(name));
        values.find(|value| !value.is_empty()).cloned()
    }

    /// The keys of a profile, and where they came from.
    fn keys(&self, profile: &str, is_named: bool) -> Result<(Option<Keys>, String), String> {
        let names = || {
            let names = self.0.iter().map(|(path, _)| format!("`{}`", path.display()));
            names.collect::<Vec<_>>().join(" or ")
        };
        let of_profile = || self.0.iter().filter_map(|(path, sections)| Some((path, sections.get(profile)?)));
        for (path, settings) in of_profile() {
            if let Some(other) = ELSEWHERE.iter().find(|name| settings.contains_key(**name)) {
                return Err(format!(
                    "profile `{profile}` in `{}` gets its credentials by `{other}`, which is not supported: give keys, for \
                     example with `aws configure export-credentials --format env`",
                    path.display()
                ));
            }
        }
        for (path, settings) in of_profile() {
            let get = |name: &str| settings.get(name).filter(|value| !value.is_empty()).cloned();
            if let Some((id, secret)) = get("aws_access_key_id").zip(get("aws_secret_access_key")) {
                let origin = format!("credentials of profile `{profile}` in `{}`", path.display());
                return Ok((Some(Keys { id, secret, token: get("aws_session_token") }), origin));
            }
        }
        if is_named && self.0.iter().all(|(_, sections)| !sections.contains_key(profile)) {
            return Err(format!(
                "there is no profile `{profile}` in {}, and no environment variable `{PROFILE_PREFIX}{profile}`",
                names()
            ));
        }
        let origin =
            format!("no key in the environment or in {}, so a role of this machine was asked for", names());
        Ok((None, origin))
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests lay out files")]
mod tests {
    use std::fs;

    use super::*;

    /// The endpoint, the key with its secret and token, the region, and the origin.
    fn found(url: &str, variables: &[(&str, &str)]) -> Result<(String, String, String, String), String> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let environment = Environment { variables: variables.collect(), ..Environment::default() };
        let found = S3Settings::of(&Url::parse(url)?, &environment).map_err(|error| error.to_string())?;
        let keys = found.keys.map_or("none".to_owned(), |keys| {
            format!("{}:{}:{}", keys.id, keys.secret, keys.token.unwrap_or_default())
        });
        Ok((found.endpoint.unwrap_or_default(), keys, found.region, found.origin))
    }

    #[test]
    fn rubins_variables_go_first() {
        let both = [
            ("LSST_RESOURCES_S3_PROFILE_usdf", "https://id:se%2Fcret@usdf.example:8443/s3"),
            ("S3_ENDPOINT_URL", "http://127.0.0.1:9000"),
            ("AWS_ACCESS_KEY_ID", "AK"),
            ("AWS_SECRET_ACCESS_KEY", "SK"),
            ("AWS_SESSION_TOKEN", "T"),
            ("AWS_DEFAULT_REGION", "eu"),
        ];
        let (endpoint, keys, region, origin) = found("s3://usdf@b/k", &both).unwrap();
        assert_eq!(
            (endpoint.as_str(), keys.as_str(), region.as_str()),
            ("https://usdf.example:8443/s3", "id:se/cret:", "eu")
        );
        assert!(origin.ends_with("`LSST_RESOURCES_S3_PROFILE_usdf`"), "{origin}");
        let (endpoint, keys, _, origin) = found("s3://b/k", &both).unwrap();
        assert_eq!((endpoint.as_str(), keys.as_str()), ("http://127.0.0.1:9000", "AK:SK:T"));
        assert!(origin.ends_with("`AWS_ACCESS_KEY_ID`"), "{origin}");
        // A profile that is named does not get the keys of the environment.
        let error = found("s3://other@b/k", &both).unwrap_err();
        assert!(
            error.contains("no profile `other`") && error.contains("LSST_RESOURCES_S3_PROFILE_other"),
            "{error}"
        );
        assert!(
            found("s3://b/k", &[("S3_ENDPOINT_URL", "https://id:a:b@h")]).unwrap_err().contains("KEY:SECRET")
        );
    }

    #[test]
    fn the_files_of_the_aws_tools_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let (credentials, config) = (folder.path().join("credentials"), folder.path().join("config"));
        fs::write(
            &credentials,
            "[default]\naws_access_key_id=A\naws_secret_access_key=hunter2\n[old]\nregion=x\n",
        )
        .unwrap();
        fs::write(
            &config,
            "[profile usdf]\naws_access_key_id = B\naws_secret_access_key = S\naws_session_token = T\nregion = us-west-2\n\
             endpoint_url = https://usdf.example\n[profile sso]\nsso_start_url = https://x\n[profile role]\nrole_arn = x\naws_access_key_id = A\naws_secret_access_key = B\n\
             [profile served]\nservices = local\naws_access_key_id = A\naws_secret_access_key = B\n",
        )
        .unwrap();
        let (credentials, config) = (credentials.to_str().unwrap(), config.to_str().unwrap());
        let variables = [("AWS_SHARED_CREDENTIALS_FILE", credentials), ("AWS_CONFIG_FILE", config)];
        let (_, keys, region, origin) = found("s3://b/k", &variables).unwrap();
        assert_eq!((keys.as_str(), region.as_str()), ("A:hunter2:", "us-east-1"));
        assert_eq!(origin, format!("credentials of profile `default` in `{credentials}`"));
        let usdf = found("s3://b/k", &[&variables[..], &[("AWS_PROFILE", "usdf")]].concat()).unwrap();
        assert_eq!(
            (usdf.0.as_str(), usdf.1.as_str(), usdf.2.as_str()),
            ("https://usdf.example", "B:S:T", "us-west-2")
        );
        assert_eq!(found("s3://usdf@b/k", &variables).unwrap(), usdf);
        let error = found("s3://sso@b/k", &variables).unwrap_err();
        assert!(error.contains("profile `sso`") && error.contains("`sso_start_url`"), "{error}");
        let error = found("s3://role@b/k", &variables).unwrap_err();
        assert!(error.contains("`role_arn`"), "{error}");
        let error = found("s3://served@b/k", &variables).unwrap_err();
        assert!(error.contains("`services = local`"), "{error}");
        let error = found("s3://absent@b/k", &variables).unwrap_err();
        assert!(error.contains("no profile `absent`") && error.contains(config), "{error}");
        fs::write(credentials, "[default]\nhunter2\n").unwrap();
        let error = found("s3://b/k", &variables).unwrap_err();
        assert!(
            error.contains("line 2") && error.contains(credentials) && !error.contains("hunter2"),
            "{error}"
        );
    }

    #[test]
    fn without_keys_a_role_is_asked_for_and_that_is_said() {
        let (_, keys, _, origin) = found("s3://b/k", &[]).unwrap();
        assert_eq!(keys, "none");
        assert!(origin.contains("role of this machine"), "{origin}");
        let error = found("s3://b/k", &[("AWS_EC2_METADATA_DISABLED", "true")]).unwrap_err();
        assert!(error.contains("there are no credentials"), "{error}");
        let (_, keys, _, origin) = found("s3://b/k", &[("AWS_SKIP_SIGNATURE", "Yes")]).unwrap();
        assert!(keys == "none" && origin.starts_with("without credentials"), "{origin}");
    }
}
