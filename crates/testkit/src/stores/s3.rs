//! S3 as `moto` plays it: in memory, with conditional writes; signatures are not checked.

use std::process::Command;

use super::{Bucket, Running, install, installed, request};
use crate::error::Result;

const VERSION: &str = "5.2.5";
const HINT: &str = "apt-get install -y python3-venv";
pub const USER: &str = "testing";
pub const SECRET: &str = "testing-secret";

#[derive(Debug)]
pub struct LocalS3(Running);

impl LocalS3 {
    /// Installed if needed (half a minute), and started.
    pub fn start() -> Result<Self> {
        let folder = installed(&format!("moto-{VERSION}"), |folder| {
            install(Command::new("python3").args(["-m", "venv"]).arg(folder), HINT)?;
            let mut pip = Command::new(folder.join("bin/python"));
            pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
            install(pip.arg(format!("moto[server]=={VERSION}")), HINT)
        })?;
        // Not the script beside it: that names the folder in which it was made.
        let running = Running::start(&folder.join("bin/python"), |command, port, _| {
            command.args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()]);
        })?;
        Ok(Self(running))
    }

    pub fn port(&self) -> u16 {
        self.0.port
    }

    /// A new bucket, spoken to directly.
    pub fn bucket(&self, name: &str) -> Result<Bucket> {
        self.bucket_through(name, self.port())
    }

    /// A new bucket in which every object is kept for a day, whoever deletes it.
    pub fn bucket_with_object_lock(&self, name: &str) -> Result<Bucket> {
        let head = format!("PUT /{name} HTTP/1.1\r\nx-amz-bucket-object-lock-enabled: true\r\n");
        request(self.port(), &head, b"")?;
        let retention = "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>COMPLIANCE</Mode><Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>";
        request(self.port(), &format!("PUT /{name}?object-lock HTTP/1.1\r\n"), retention.as_bytes())?;
        Ok(Self::opened(name, self.port()))
    }

    /// A new bucket, spoken to through another port of this machine.
    pub fn bucket_through(&self, name: &str, port: u16) -> Result<Bucket> {
        request(self.port(), &format!("PUT /{name} HTTP/1.1\r\n"), b"")?;
        Ok(Self::opened(name, port))
    }

    fn opened(name: &str, port: u16) -> Bucket {
        let variables = [
            ("AWS_ACCESS_KEY_ID", USER.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET.to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}")),
        ];
        let environment = variables.map(|(name, value)| (name.to_owned(), value)).to_vec();
        Bucket { url: format!("s3://{name}"), environment }
    }
}
