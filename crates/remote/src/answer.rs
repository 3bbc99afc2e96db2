//! What a storage answers, seen once for all three kinds of storage: a decorator around the HTTP client.
//!
//! `object_store` folds most answers into one error without a status. Here, below it, each answer is read
//! while its status and code are still there. What `object_store` tells apart itself passes: success, not
//! found, exists already. All other answers become a [`Refusal`], which travels up in the chain of causes and
//! is found there again by [`Refusal::in_chain`].

use std::error::Error;

use futures_util::StreamExt;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
    ReqwestConnector,
};
use reqwest::StatusCode;
use reqwest::header::HeaderMap;

/// Where clouds tell an instance who it is: nothing of a repository is stored there.
const METADATA_HOSTS: [&str; 4] =
    ["169.254.169.254", "169.254.170.2", "metadata.google.internal", "metadata"];
/// Of the body of an error.
const BODY_MAX: usize = 64 << 10;
const SHOWN_MAX: usize = 300;

/// What a refusal means to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Overload, a fault inside, a conflict of two at once: the same request may succeed later.
    MayPass,
    /// Who asked has not the right, or is not known.
    Denied,
    /// There is no room, or a quota is used up.
    Full,
    /// The request is wrong, here: no repetition helps.
    Wrong,
}

/// An answer that is no success.
#[derive(Debug, thiserror::Error)]
#[error("the storage answered {status}{}{}", if text.is_empty() { "" } else { ": " }, text)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) meaning: Meaning,
    text: String,
}

/// There are no credentials, and nothing that would give some.
#[derive(Debug, thiserror::Error)]
#[error("no credentials are set, and no instance role answers at {host}")]
pub(crate) struct NoCredentials {
    host: String,
    source: HttpError,
}

impl Refusal {
    /// The refusal, wherever it is in the chain of causes.
    pub(crate) fn in_chain<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Self> {
        chain(error).find_map(|cause| cause.downcast_ref())
    }
}

pub(crate) fn lacks_credentials(error: &(dyn Error + 'static)) -> bool {
    chain(error).any(<dyn Error>::is::<NoCredentials>)
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |cause: &&'a (dyn Error + 'static)| (*cause).source())
}

/// Makes HTTP clients that look at answers.
#[derive(Debug)]
pub(crate) struct Connector;

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        // Those of the options are in what `object_store` signs. Below it they would be sent unsigned where it
        // leaves them out, as in listings, and S3 refuses that.
        let options = options.clone().with_default_headers(HeaderMap::new());
        Ok(HttpClient::new(Looking(ReqwestConnector::default().connect(&options)?)))
    }
}

#[derive(Debug)]
struct Looking(HttpClient);

#[async_trait::async_trait]
impl HttpService for Looking {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let host = request.uri().host().unwrap_or_default().to_owned();
        let is_batch =
            request.uri().query().is_some_and(|query| query.split('&').any(|part| part == "comp=batch"));
        let response = match self.0.execute(request).await {
            Err(source) if METADATA_HOSTS.contains(&host.as_str()) => {
                return Err(HttpError::new(HttpErrorKind::Unknown, NoCredentials { host, source }));
            }
            other => other?,
        };
        match response.status().is_success() {
            true if is_batch => look_into_batch(response).await,
            true => Ok(response),
            false => look(response).await,
        }
    }
}

async fn look(response: HttpResponse) -> Result<HttpResponse, HttpError> {
    let (parts, body) = response.into_parts();
    let mut bytes = Vec::new();
    let mut stream = body.bytes_stream();
    while let Some(part) = stream.next().await {
        bytes.extend_from_slice(&part?);
        if bytes.len() > BODY_MAX {
            break;
        }
    }
    let text = String::from_utf8_lossy(&bytes);
    let code = parts.headers.get("x-ms-error-code").and_then(|code| code.to_str().ok()).unwrap_or_default();
    let code = if code.is_empty() { element(&text, "Code") } else { code };
    let Some(meaning) = meaning(parts.status, code) else {
        drop(stream);
        return Ok(HttpResponse::from_parts(parts, bytes.into()));
    };
    let shown = shown(&text, code, parts.status);
    let refusal = Refusal { status: parts.status.as_u16(), meaning, text: shown };
    Err(HttpError::new(HttpErrorKind::Unknown, refusal))
}

/// Azure deletes in batches, of one here: the answer about the object is in the body of one that is a success.
async fn look_into_batch(response: HttpResponse) -> Result<HttpResponse, HttpError> {
    let (parts, body) = response.into_parts();
    let bytes = body.bytes().await?;
    let text = String::from_utf8_lossy(&bytes);
    let refused = in_batch(&text).and_then(|(status, code)| Some((status, code, meaning(status, code)?)));
    let Some((status, code, meaning)) = refused else {
        return Ok(HttpResponse::from_parts(parts, bytes.into()));
    };
    let refusal = Refusal { status: status.as_u16(), meaning, text: shown(&text, code, status) };
    Err(HttpError::new(HttpErrorKind::Unknown, refusal))
}

/// The first answer in a batch that is no success: its status, and its code.
fn in_batch(text: &str) -> Option<(StatusCode, &str)> {
    let mut lines = text.lines().map(str::trim);
    let status = lines.by_ref().find_map(|line| {
        let status = line.strip_prefix("HTTP/1.1 ")?.split(' ').next()?;
        StatusCode::from_bytes(status.as_bytes()).ok().filter(|status| !status.is_success())
    })?;
    let header = |line: &'_ str| {
        line.split_once(':').is_some_and(|(name, _)| name.eq_ignore_ascii_case("x-ms-error-code"))
    };
    let code = lines.take_while(|line| !line.is_empty()).find(|line| header(line));
    let code = code.and_then(|line| line.split_once(':')).map(|(_, code)| code.trim());
    Some((status, code.unwrap_or_else(|| element(text, "Code"))))
}

/// `None`: `object_store` tells it apart itself.
fn meaning(status: StatusCode, code: &str) -> Option<Meaning> {
    let full = ["QuotaExceeded", "StorageFull", "AdminBucketQuotaExceeded", "AccountLimitExceeded"];
    if status == StatusCode::INSUFFICIENT_STORAGE || full.iter().any(|full| code.ends_with(full)) {
        return Some(Meaning::Full);
    }
    match (status.as_u16(), code) {
        // Else a missing bucket would look like a missing object, and a wrong clock like a missing right.
        (404, "NoSuchBucket" | "ContainerNotFound") | (403, "RequestTimeTooSkewed") => Some(Meaning::Wrong),
        (304 | 404 | 412, _) | (409, "BlobAlreadyExists") => None,
        // An object under a hold or in its retention period; credentials that are unknown or ran out.
        (409, "BlobImmutableDueToPolicy" | "ObjectUnderActiveHold")
        | (401 | 403, _)
        | (400, "ExpiredToken" | "TokenRefreshRequired") => Some(Meaning::Denied),
        // Of two at once, which says nothing about whether the object is there.
        (408 | 409 | 425 | 429 | 500.., _) | (400, "RequestTimeout") => Some(Meaning::MayPass),
        _ => Some(Meaning::Wrong),
    }
}

/// What stands in `<name>...</name>`; an error of any of these storages is so simple.
fn element<'a>(text: &'a str, name: &str) -> &'a str {
    let inner = text.split_once(&format!("<{name}>")).map(|(_, rest)| rest);
    inner.and_then(|rest| rest.split_once("</")).map_or("", |(inner, _)| inner)
}

fn shown(text: &str, code: &str, status: StatusCode) -> String {
    let message = element(text, "Message");
    let text = match (code, message) {
        ("", "") if text.trim().is_empty() => status.canonical_reason().unwrap_or_default().to_owned(),
        ("", "") => text.split_whitespace().collect::<Vec<_>>().join(" "),
        (code, message) => format!("{code}: {}", message.split_whitespace().collect::<Vec<_>>().join(" ")),
    };
    text.chars().filter(|c| !c.is_control()).take(SHOWN_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_have_their_meaning() {
        for (status, code, expected) in [
            (404, "NoSuchKey", None),
            (404, "NoSuchBucket", Some(Meaning::Wrong)),
            (412, "PreconditionFailed", None),
            (409, "BlobAlreadyExists", None),
            (409, "ConditionalRequestConflict", Some(Meaning::MayPass)),
            (403, "AccessDenied", Some(Meaning::Denied)),
            (403, "QuotaExceeded", Some(Meaning::Full)),
            (507, "", Some(Meaning::Full)),
            (503, "SlowDown", Some(Meaning::MayPass)),
            (500, "", Some(Meaning::MayPass)),
            (400, "RequestTimeout", Some(Meaning::MayPass)),
            (400, "InvalidBucketName", Some(Meaning::Wrong)),
            (416, "InvalidRange", Some(Meaning::Wrong)),
            (301, "PermanentRedirect", Some(Meaning::Wrong)),
            // Kept by a policy or a hold, on each kind of storage.
            (409, "BlobImmutableDueToPolicy", Some(Meaning::Denied)),
            (409, "ObjectUnderActiveHold", Some(Meaning::Denied)),
            (403, "RetentionPolicyNotMet", Some(Meaning::Denied)),
            // Somebody has a lease on it: it runs out.
            (409, "LeaseIdMissing", Some(Meaning::MayPass)),
            (403, "AuthorizationPermissionMismatch", Some(Meaning::Denied)),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(meaning(status, code), expected, "{status} {code}");
        }
    }

    #[test]
    fn a_batch_says_what_became_of_the_object_in_it() {
        let batch = |line: &str, code: &str| {
            format!(
                "--batchresponse_1\r\nContent-Type: application/http\r\nContent-ID: 0\r\n\r\nHTTP/1.1 {line}\r\n\
                 {code}x-ms-version: 2018-11-09\r\n\r\n<?xml?><Error><Code>InBody</Code><Message>m</Message></Error>\r\n\
                 --batchresponse_1--\r\n"
            )
        };
        for (line, code, expected) in [
            ("202 Accepted", "", None),
            (
                "403 Forbidden",
                "AuthorizationPermissionMismatch",
                Some((403, "AuthorizationPermissionMismatch")),
            ),
            ("409 Conflict", "BlobImmutableDueToPolicy", Some((409, "BlobImmutableDueToPolicy"))),
            ("404 Not here", "BlobNotFound", Some((404, "BlobNotFound"))),
            ("409 Conflict", "", Some((409, "InBody"))),
        ] {
            let header = if code.is_empty() { String::new() } else { format!("X-Ms-Error-Code: {code}\r\n") };
            let text = batch(line, &header);
            assert_eq!(in_batch(&text).map(|(status, code)| (status.as_u16(), code)), expected, "{line}");
        }
    }

    #[test]
    fn an_answer_is_shown_on_one_line() {
        let text = "<?xml?><Error><Code>SlowDown</Code><Message>Please\n reduce</Message></Error>";
        assert_eq!(
            shown(text, element(text, "Code"), StatusCode::SERVICE_UNAVAILABLE),
            "SlowDown: Please reduce"
        );
        assert_eq!(shown("", "", StatusCode::BAD_GATEWAY), "Bad Gateway");
        assert_eq!(shown("<html>\nno</html>", "", StatusCode::BAD_GATEWAY), "<html> no</html>");
    }
}
