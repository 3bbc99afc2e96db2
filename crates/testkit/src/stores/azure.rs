//! Azure Blob Storage as `azurite` plays it: in memory, with the well-known account that every azurite has.

use std::path::Path;
use std::process::Command;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use super::{Bucket, Running, install, installed, request};
use crate::error::Result;

const VERSION: &str = "3.35.0";
const HINT: &str = "apt-get install -y npm";
const ACCOUNT: &str = "devstoreaccount1";
/// Public: it is in Microsoft's documentation.
const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
const API: &str = "2021-12-02";

#[derive(Debug)]
pub struct Azurite(Running);

impl Azurite {
    /// Installed if needed (a minute), and started.
    pub fn start() -> Result<Self> {
        let folder = installed(&format!("azurite-{VERSION}"), |folder| {
            let mut npm = Command::new("npm");
            npm.args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"]).arg(folder);
            install(npm.arg(format!("azurite@{VERSION}")), HINT)
        })?;
        let program = folder.join("node_modules/azurite/dist/src/blob/main.js");
        let running = Running::start(Path::new("node"), |command, port, _| {
            command.arg(program).args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string()]);
            command.args([
                "--inMemoryPersistence",
                "--disableTelemetry",
                "--skipApiVersionCheck",
                "--silent",
            ]);
        })?;
        Ok(Self(running))
    }

    pub fn bucket(&self, name: &str) -> Result<Bucket> {
        let port = self.0.port;
        let date = Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT");
        let headers = format!("x-ms-date:{date}\nx-ms-version:{API}\n");
        // The account is in the path, too, where it is not in the host.
        let resource = format!("/{ACCOUNT}/{ACCOUNT}/{name}\nrestype:container");
        let to_sign = format!("PUT\n\n\n\n\n\n\n\n\n\n\n\n{headers}{resource}");
        let signature =
            BASE64_STANDARD.encode(hmac(&BASE64_STANDARD.decode(KEY).unwrap_or_default(), &to_sign));
        let head = format!(
            "PUT /{ACCOUNT}/{name}?restype=container HTTP/1.1\r\nx-ms-date: {date}\r\nx-ms-version: {API}\r\n\
             Authorization: SharedKey {ACCOUNT}:{signature}\r\n"
        );
        request(port, &head, b"")?;
        let variables = [
            ("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT.to_owned()),
            ("AZURE_STORAGE_ACCOUNT_KEY", KEY.to_owned()),
            ("AZURE_STORAGE_ENDPOINT", format!("http://127.0.0.1:{port}/{ACCOUNT}")),
        ];
        let environment = variables.map(|(name, value)| (name.to_owned(), value)).to_vec();
        Ok(Bucket { url: format!("az://{name}"), environment })
    }
}

/// The same bucket, opened by a token that may do everything there but delete. (A token of the whole account will not
/// do: azurite lets none send a batch.)
pub fn without_delete(bucket: &Bucket) -> Bucket {
    const VERSION: &str = "2019-12-12";
    const RIGHTS: &str = "racwl";
    let container = bucket.url.trim_start_matches("az://");
    let expires = Timestamp::now() + SignedDuration::from_hours(24);
    let expires = expires.strftime("%Y-%m-%dT%H:%M:%SZ");
    // Unused: an identifier, addresses, protocols; a snapshot, and headers of the answer.
    let to_sign =
        format!("{RIGHTS}\n\n{expires}\n/blob/{ACCOUNT}/{container}\n\n\n\n{VERSION}\nc\n\n\n\n\n\n");
    let signature = BASE64_STANDARD.encode(hmac(&BASE64_STANDARD.decode(KEY).unwrap_or_default(), &to_sign));
    let signature = signature.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    let token = format!("sv={VERSION}&sr=c&sp={RIGHTS}&se={expires}&sig={signature}");
    let mut environment = bucket.environment.clone();
    environment.retain(|(name, _)| name != "AZURE_STORAGE_ACCOUNT_KEY");
    environment.push(("AZURE_STORAGE_SAS_TOKEN".to_owned(), token));
    Bucket { environment, ..bucket.clone() }
}

/// HMAC-SHA256, for a key that is no longer than a block.
fn hmac(key: &[u8], text: &str) -> [u8; 32] {
    let padded = |with: u8| (0..64).map(|at| key.get(at).copied().unwrap_or(0) ^ with).collect::<Vec<u8>>();
    let inner = Sha256::new().chain_update(padded(0x36)).chain_update(text).finalize();
    Sha256::new().chain_update(padded(0x5c)).chain_update(inner).finalize().into()
}
