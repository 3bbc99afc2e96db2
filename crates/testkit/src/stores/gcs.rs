//! Google Cloud Storage as `fake-gcs-server` plays it: in memory, for anybody.
//!
//! Of Google's two interfaces it knows XML only for reading, listing and deleting. `object_store` puts over XML,
//! too; a proxy says each such put in JSON, with its condition. So these tests say nothing about how Google
//! itself answers a put.

use std::process::Command;

use super::proxy::{Proxy, Translation};
use super::{Bucket, Running, install, installed, request};
use crate::error::Result;

const VERSION: &str = "1.56.1";
const HINT: &str = "install Go 1.21 or newer: https://go.dev/dl/";

#[derive(Debug)]
pub struct FakeGcs {
    server: Running,
    translator: Proxy,
}

impl FakeGcs {
    /// Installed if needed (a minute or two), and started.
    pub fn start() -> Result<Self> {
        let folder = installed(&format!("fake-gcs-server-{VERSION}"), |folder| {
            let mut go = Command::new("go");
            go.args(["install", &format!("github.com/fsouza/fake-gcs-server@v{VERSION}")]);
            install(go.env("GOBIN", folder).env("GOFLAGS", "-modcacherw"), HINT)
        })?;
        let running = Running::start(&folder.join("fake-gcs-server"), |command, port, _| {
            command.args(["-scheme", "http", "-host", "127.0.0.1", "-backend", "memory"]);
            command.args(["-port", &port.to_string(), "-public-host", &format!("127.0.0.1:{port}")]);
        })?;
        let translation =
            Translation { request: put_in_json, answer: "ETag: \"none\"\r\nx-goog-generation: 1\r\n" };
        let translator = Proxy::translating(running.port, Some(translation))?;
        Ok(Self { server: running, translator })
    }

    /// What is between the clients and the server, to make its faults.
    pub fn proxy(&self) -> &Proxy {
        &self.translator
    }

    pub fn bucket(&self, name: &str) -> Result<Bucket> {
        let head = "POST /storage/v1/b?project=test HTTP/1.1\r\nContent-Type: application/json\r\n";
        request(self.server.port, head, format!("{{\"name\":\"{name}\"}}").as_bytes())?;
        let host = format!("127.0.0.1:{}", self.translator.port());
        let environment = vec![("STORAGE_EMULATOR_HOST".to_owned(), host)];
        Ok(Bucket { url: format!("gs://{name}"), environment })
    }
}

/// `PUT /bucket/name` with `x-goog-if-generation-match: 0`, as an upload in JSON.
fn put_in_json(head: &str) -> String {
    let (line, rest) = head.split_once("\r\n").unwrap_or((head, ""));
    let Some((bucket, name)) = line
        .strip_prefix("PUT /")
        .and_then(|line| line.split(' ').next())
        .and_then(|path| path.split_once('/'))
    else {
        return head.to_owned();
    };
    let condition = if rest.to_lowercase().contains("x-goog-if-generation-match: 0") {
        "&ifGenerationMatch=0"
    } else {
        ""
    };
    let name = name.replace('/', "%2F");
    let target = format!("/upload/storage/v1/b/{bucket}/o?uploadType=media&name={name}{condition}");
    format!("POST {target} HTTP/1.1\r\n{rest}")
}
