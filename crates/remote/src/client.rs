//! The client of each kind of storage, with the credentials that its own tools would find.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use crate::RemoteOptions;
use crate::address::{Address, Kind};
use crate::answer::Connector;
use crate::error::RemoteError;
use crate::profile::with_profile;

/// Where S3 is spoken to unless a region is set; most other storages take any.
const REGION_DEFAULT: &str = "us-east-1";
const USER_AGENT: &str = concat!("grap/", env!("CARGO_PKG_VERSION"));

pub(crate) fn client(
    url: &str,
    address: &Address,
    options: &RemoteOptions,
) -> Result<Arc<dyn ObjectStore>, RemoteError> {
    let variables = &options.variables;
    match address.kind {
        Kind::S3 => s3(url, address, options, &with_profile(variables)?),
        Kind::Google => google(url, address, options, variables),
        Kind::Azure => azure(url, address, options, variables),
    }
}

fn s3(
    url: &str,
    address: &Address,
    options: &RemoteOptions,
    variables: &BTreeMap<String, String>,
) -> Result<Arc<dyn ObjectStore>, RemoteError> {
    let endpoint = variables.get("AWS_ENDPOINT_URL_S3").or_else(|| variables.get("AWS_ENDPOINT_URL"));
    let client_options = client_options(options, endpoint, variables.get("AWS_ALLOW_HTTP"))?;
    // A bucket with object lock takes only what comes with a checksum; and damage on the way is refused.
    let mut builder =
        AmazonS3Builder::new().with_region(REGION_DEFAULT).with_config(AmazonS3ConfigKey::Checksum, "sha256");
    for (name, value) in variables {
        if let Some(key) = key::<AmazonS3ConfigKey>("AWS_", name) {
            builder = builder.with_config(key, value);
        }
    }
    if let Some(endpoint) = endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    let built = builder
        .with_bucket_name(&address.bucket)
        // One request for one object: the right to delete is asked about each, and every storage knows it.
        .with_config(AmazonS3ConfigKey::DisableBulkDelete, "true")
        .with_retry(no_retries())
        .with_http_connector(Connector)
        .with_client_options(client_options.with_default_headers(names_its_checksum()))
        .build();
    Ok(Arc::new(built.map_err(|source| RemoteError::Settings { url: url.to_owned(), source })?))
}

/// A bucket with object lock asks which checksum is meant.
fn names_its_checksum() -> HeaderMap {
    HeaderMap::from_iter([(
        HeaderName::from_static("x-amz-sdk-checksum-algorithm"),
        HeaderValue::from_static("SHA256"),
    )])
}

fn google(
    url: &str,
    address: &Address,
    options: &RemoteOptions,
    variables: &BTreeMap<String, String>,
) -> Result<Arc<dyn ObjectStore>, RemoteError> {
    let emulator = variables.get("STORAGE_EMULATOR_HOST");
    let emulator =
        emulator.map(|host| if host.contains("://") { host.clone() } else { format!("http://{host}") });
    let client_options = client_options(options, emulator.as_ref(), variables.get("GOOGLE_ALLOW_HTTP"))?;
    let mut builder = GoogleCloudStorageBuilder::new();
    for (name, value) in variables {
        if let Some(key) = key::<GoogleConfigKey>("GOOGLE_", name) {
            builder = builder.with_config(key, value);
        }
    }
    if let Some(emulator) = emulator {
        // An emulator knows nobody; without a token the machine's own would be looked for.
        builder = builder.with_base_url(&emulator).with_bearer_token("emulator");
    }
    let built = builder
        .with_bucket_name(&address.bucket)
        .with_retry(no_retries())
        .with_http_connector(Connector)
        .with_client_options(client_options)
        .build();
    Ok(Arc::new(built.map_err(|source| RemoteError::Settings { url: url.to_owned(), source })?))
}

fn azure(
    url: &str,
    address: &Address,
    options: &RemoteOptions,
    variables: &BTreeMap<String, String>,
) -> Result<Arc<dyn ObjectStore>, RemoteError> {
    let endpoint = variables.get("AZURE_STORAGE_ENDPOINT").or_else(|| variables.get("AZURE_ENDPOINT"));
    let client_options = client_options(options, endpoint, variables.get("AZURE_ALLOW_HTTP"))?;
    let mut builder = MicrosoftAzureBuilder::new();
    for (name, value) in variables {
        if let Some(key) = key::<AzureConfigKey>("AZURE_", name) {
            builder = builder.with_config(key, value);
        }
    }
    let built = builder
        .with_container_name(&address.bucket)
        .with_retry(no_retries())
        .with_http_connector(Connector)
        .with_client_options(client_options)
        .build();
    Ok(Arc::new(built.map_err(|source| RemoteError::Settings { url: url.to_owned(), source })?))
}

/// The setting that a variable of this family says, if it says one of the storage itself.
fn key<K: std::str::FromStr>(family: &str, variable: &str) -> Option<K> {
    variable.starts_with(family).then(|| variable.to_lowercase().parse().ok()).flatten()
}

/// Requests are repeated by `grap_repository::object::Retry`, within one budget for all of them.
fn no_retries() -> RetryConfig {
    RetryConfig { backoff: BackoffConfig::default(), max_retries: 0, retry_timeout: Duration::ZERO }
}

/// Plain text only to this machine, or where the operator says so.
fn client_options(
    options: &RemoteOptions,
    endpoint: Option<&String>,
    allow_plain: Option<&String>,
) -> Result<ClientOptions, RemoteError> {
    let plain = endpoint.filter(|endpoint| endpoint.to_lowercase().starts_with("http://"));
    let allowed =
        allow_plain.is_some_and(|allowed| matches!(allowed.to_lowercase().as_str(), "1" | "true" | "yes"));
    if let Some(endpoint) = plain.filter(|endpoint| !allowed && !is_loopback(endpoint)) {
        return Err(RemoteError::PlainText { endpoint: endpoint.clone() });
    }
    Ok(ClientOptions::new()
        .with_user_agent(HeaderValue::from_static(USER_AGENT))
        .with_allow_http(plain.is_some())
        .with_connect_timeout(options.connect_timeout)
        .with_read_timeout(options.request_timeout)
        // Its length depends on the bytes: each call has its own.
        .with_timeout_disabled())
}

fn is_loopback(endpoint: &str) -> bool {
    let Some((_, rest)) = endpoint.split_once("://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = match host.strip_prefix('[').and_then(|host| host.split_once(']')) {
        Some((host, _)) => host,
        None => host.rsplit_once(':').map_or(host, |(host, _)| host),
    };
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_loopback() {
        for host in ["http://127.0.0.1:9000", "http://localhost/x", "http://[::1]:80/", "http://127.8.8.8"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "http://10.0.0.1",
            "http://127.0.0.1.example.com",
            "http://example.com/127.0.0.1",
            "http://a@b:1",
            "x",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn plain_text_to_another_machine_has_to_be_allowed() {
        let endpoint = "http://storage.example.com".to_owned();
        let options = RemoteOptions::default();
        let allow = "true".to_owned();
        assert!(matches!(
            client_options(&options, Some(&endpoint), None),
            Err(RemoteError::PlainText { .. })
        ));
        client_options(&options, Some(&endpoint), Some(&allow)).unwrap();
        client_options(&options, Some(&"https://storage.example.com".to_owned()), None).unwrap();
    }
}
