//! Google Cloud Storage as `fake-gcs-server` plays it: in memory, for anybody.

use std::process::Command;

use super::{Bucket, Running, install, installed, request};
use crate::error::Result;

const VERSION: &str = "1.56.1";
const HINT: &str = "apt-get install -y golang";

#[derive(Debug)]
pub struct FakeGcs(Running);

impl FakeGcs {
    /// Installed if needed (a minute or two), and started.
    pub fn start() -> Result<Self> {
        let folder = installed(&format!("fake-gcs-server-{VERSION}"), |folder| {
            let mut go = Command::new("go");
            go.args(["install", &format!("github.com/fsouza/fake-gcs-server@v{VERSION}")]);
            install(go.env("GOBIN", folder).env("GOFLAGS", "-modcacherw"), HINT)
        })?;
        let running = Running::start(Command::new(folder.join("fake-gcs-server")), |command, port, _| {
            command.args(["-scheme", "http", "-host", "127.0.0.1", "-backend", "memory"]);
            command.args(["-port", &port.to_string(), "-public-host", &format!("127.0.0.1:{port}")]);
        })?;
        Ok(Self(running))
    }

    pub fn bucket(&self, name: &str) -> Result<Bucket> {
        let head = "POST /storage/v1/b?project=test HTTP/1.1\r\nContent-Type: application/json\r\n";
        request(self.0.port, head, format!("{{\"name\":\"{name}\"}}").as_bytes())?;
        let host = format!("127.0.0.1:{}", self.0.port);
        let environment = vec![("STORAGE_EMULATOR_HOST".to_owned(), host)];
        Ok(Bucket { url: format!("gs://{name}"), environment })
    }
}
