//! The webhook: the event as JSON, by POST. Taken when the answer is 2xx within the limit.

use std::time::Duration;

use reqwest::blocking::Client;
use reqwest::header::CONTENT_TYPE;

use super::sink::Message;

/// From the name's resolution to the answer.
pub(super) const LIMIT: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 10 });

pub(super) fn post(url: &str, message: &Message<'_>) -> Result<(), String> {
    // The process has one; whoever comes first sets it, and all set the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder().timeout(LIMIT).user_agent(message.program.replace(' ', "/")).build();
    let request = client.map_err(said)?.post(url);
    let answer =
        request.header(CONTENT_TYPE, "application/json").body(message.to_json()).send().map_err(said)?;
    if answer.status().is_success() { Ok(()) } else { Err(format!("the answer is {}", answer.status())) }
}

/// Without the URL, which may hold a secret.
fn said(error: reqwest::Error) -> String {
    grap::in_one_line(&error.without_url())
}
