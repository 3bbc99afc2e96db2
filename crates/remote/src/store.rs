//! The store: each call is one request, or for a listing one a page, within a time that fits its bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use grap_repository::object::check_name;
use grap_repository::{ObjectCall, ObjectError, ObjectInfo, ObjectStore};
use jiff::Timestamp;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, GetResult, ObjectMeta, ObjectStoreExt, PutMode, PutPayload};
use tokio::runtime::Runtime;

use crate::address::Address;
use crate::answer::{Meaning, Refusal, lacks_credentials};
use crate::client::client;
use crate::error::RemoteError;

/// A slower line than this, in bytes a second, counts as broken.
const SLOWEST: u64 = 256 << 10;

#[derive(Debug, Clone)]
pub struct RemoteOptions {
    /// The environment as far as it is about storages: `AWS_*`, `GOOGLE_*`, `AZURE_*`, `HOME` ...
    pub variables: BTreeMap<String, String>,
    pub connect_timeout: Duration,
    /// Of a request, without the time that its bytes take on the slowest line.
    pub request_timeout: Duration,
}

impl Default for RemoteOptions {
    fn default() -> Self {
        Self {
            variables: BTreeMap::new(),
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
        }
    }
}

/// Objects below a prefix of a bucket.
pub struct RemoteStore {
    runtime: Runtime,
    client: Arc<dyn object_store::ObjectStore>,
    prefix: Path,
    request_timeout: Duration,
}

type Answer<T> = object_store::Result<T>;

impl RemoteStore {
    /// The store at `s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`. Nothing is asked of
    /// it yet.
    pub fn open(url: &str, options: &RemoteOptions) -> Result<Self, RemoteError> {
        let address = Address::parse(url)?;
        // The process has one; whoever comes first sets it, and all set the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = client(url, &address, options)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("remote")
            .enable_all()
            .build()
            .map_err(|source| RemoteError::Threads { url: url.to_owned(), source })?;
        Ok(Self { runtime, client, prefix: address.prefix, request_timeout: options.request_timeout })
    }

    fn path(&self, name: &str) -> Result<Path, ObjectError> {
        check_name(name)?;
        Ok(self.prefix.parts().chain(Path::from(name).parts()).collect())
    }

    /// The name of an object below the prefix.
    fn name(&self, path: &Path) -> Option<String> {
        let parts: Vec<String> =
            path.prefix_match(&self.prefix)?.map(|part| part.as_ref().to_owned()).collect();
        Some(parts.join("/")).filter(|name| !name.is_empty())
    }

    /// Wait for an answer, as long as so many bytes may take.
    fn wait<T>(
        &self,
        (call, name): (ObjectCall, &str),
        bytes: u64,
        answer: impl Future<Output = Answer<T>>,
    ) -> Result<T, ObjectError> {
        let limit = self.limit(bytes);
        let limited = async { tokio::time::timeout(limit, answer).await };
        match self.runtime.block_on(limited) {
            Ok(answer) => answer.map_err(|error| failed(call, name, error)),
            Err(_) => Err(ObjectError::failed(call, name, format!("no answer within {} s", limit.as_secs()))),
        }
    }

    fn limit(&self, bytes: u64) -> Duration {
        self.request_timeout + Duration::from_secs(bytes / SLOWEST)
    }

    fn read(&self, call: ObjectCall, name: &str, options: GetOptions) -> Result<Vec<u8>, ObjectError> {
        let path = self.path(name)?;
        let answer = self.wait((call, name), 0, self.client.get_opts(&path, options))?;
        let length = answer.range.end - answer.range.start;
        self.wait((call, name), length, body(answer))
    }

    fn list_all(&self, folder: &Path, name: &str) -> Result<Vec<ObjectMeta>, ObjectError> {
        let mut pages = self.client.list(Some(folder));
        let mut found = Vec::new();
        // A time for each object, which is one for each page: the objects of a page are there at once.
        while let Some(meta) =
            self.wait((ObjectCall::List, name), 0, async { pages.next().await.transpose() })?
        {
            found.push(meta);
        }
        Ok(found)
    }
}

async fn body(answer: GetResult) -> Answer<Vec<u8>> {
    let expected = answer.range.end - answer.range.start;
    let mut bytes = Vec::with_capacity(usize::try_from(expected).unwrap_or(0));
    let mut parts = answer.into_stream();
    while let Some(part) = parts.next().await {
        bytes.extend_from_slice(&part?);
    }
    if bytes.len() as u64 == expected {
        return Ok(bytes);
    }
    let why = format!("{} bytes came, {expected} were announced", bytes.len());
    Err(object_store::Error::Generic { store: "body", source: why.into() })
}

impl ObjectStore for RemoteStore {
    fn put(&self, name: &str, parts: &[&[u8]]) -> Result<(), ObjectError> {
        let path = self.path(name)?;
        let payload = PutPayload::from(Bytes::from(parts.concat()));
        let length = payload.content_length() as u64;
        let put = self.client.put_opts(&path, payload, PutMode::Create.into());
        self.wait((ObjectCall::Put, name), length, put).map(drop)
    }

    fn get(&self, name: &str) -> Result<Vec<u8>, ObjectError> {
        self.read(ObjectCall::Get, name, GetOptions::default())
    }

    fn get_range(&self, name: &str, offset: u64, length: usize) -> Result<Vec<u8>, ObjectError> {
        let call = ObjectCall::GetRange;
        if length == 0 {
            self.size(name)?;
            return Ok(Vec::new());
        }
        let range = GetRange::Bounded(offset..offset.saturating_add(length as u64));
        match self.read(call, name, GetOptions { range: Some(range), ..GetOptions::default() }) {
            // Beyond the end there is nothing; storages say it in several ways, so that the size decides.
            Err(ObjectError::Failed { .. } | ObjectError::Refused { .. }) if self.size(name)? <= offset => {
                Ok(Vec::new())
            }
            other => other,
        }
    }

    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, ObjectError> {
        let folder = self.path(prefix)?;
        let info = |meta: ObjectMeta| {
            Some(ObjectInfo {
                name: self.name(&meta.location)?,
                size: meta.size,
                modified: Timestamp::from_millisecond(meta.last_modified.timestamp_millis()).ok(),
            })
        };
        let found = self.list_all(&folder, prefix)?;
        // Some tools put an empty object for a folder; it has the name of the folder.
        let below = |meta: &ObjectMeta| meta.location != folder;
        Ok(found.into_iter().filter(below).filter_map(info).collect())
    }

    fn size(&self, name: &str) -> Result<u64, ObjectError> {
        let path = self.path(name)?;
        self.wait((ObjectCall::Size, name), 0, self.client.head(&path)).map(|meta| meta.size)
    }

    fn delete(&self, name: &str) -> Result<(), ObjectError> {
        let path = self.path(name)?;
        match self.wait((ObjectCall::Delete, name), 0, self.client.delete(&path)) {
            Err(ObjectError::NotFound { .. }) => Ok(()),
            other => other,
        }
    }

    fn top_level(&self) -> Result<Vec<String>, ObjectError> {
        let folder = (!self.prefix.is_root()).then_some(&self.prefix);
        let listed = self.client.list_with_delimiter(folder);
        let listed = self.wait((ObjectCall::List, "the repository"), 0, listed)?;
        let objects = listed.objects.into_iter().map(|meta| meta.location);
        let names: BTreeSet<String> =
            objects.chain(listed.common_prefixes).filter_map(|path| self.name(&path)).collect();
        Ok(names.into_iter().collect())
    }
}

fn failed(call: ObjectCall, name: &str, error: object_store::Error) -> ObjectError {
    let named = || name.to_owned();
    if let Some(refusal) = Refusal::in_chain(&error) {
        let (meaning, source) = (refusal.meaning, refusal.to_string().into());
        return match meaning {
            Meaning::MayPass => ObjectError::Failed { call, name: named(), source },
            Meaning::Denied => ObjectError::Denied { call, name: named(), source },
            Meaning::Full => ObjectError::Full { call, name: named(), source },
            Meaning::Wrong => ObjectError::Refused { call, name: named(), source },
        };
    }
    if lacks_credentials(&error) {
        return ObjectError::Denied { call, name: named(), source: Box::new(error) };
    }
    match error {
        object_store::Error::NotFound { .. } if matches!(call, ObjectCall::Put | ObjectCall::List) => {
            ObjectError::Refused { call, name: named(), source: "there is no such bucket".into() }
        }
        object_store::Error::NotFound { .. } => ObjectError::NotFound { name: named() },
        object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }
            if call == ObjectCall::Put =>
        {
            ObjectError::AlreadyExists { name: named() }
        }
        object_store::Error::NotSupported { .. } | object_store::Error::NotImplemented { .. } => {
            ObjectError::Refused { call, name: named(), source: Box::new(error) }
        }
        error => ObjectError::failed(call, name, in_short(&error)),
    }
}

/// What the network said, without the layers above, which repeat each other.
fn in_short(error: &object_store::Error) -> String {
    let causes = || std::iter::successors(Some(error as &dyn std::error::Error), |cause| cause.source());
    let from = causes().position(<dyn std::error::Error>::is::<reqwest::Error>);
    let Some(from) = from else { return error.to_string() };
    causes().skip(from).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
