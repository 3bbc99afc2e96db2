//! Where a repository is in an object storage: `s3://bucket/prefix`.

use object_store::path::Path;

use crate::error::RemoteError;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    S3,
    Google,
    Azure,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) kind: Kind,
    /// Azure calls it a container.
    pub(crate) bucket: String,
    /// Taken as it is written: nothing in it is percent-decoded.
    pub(crate) prefix: Path,
}

impl Address {
    pub(crate) fn parse(url: &str) -> Result<Self, RemoteError> {
        let unknown = || RemoteError::UnknownUrl { url: url.to_owned() };
        let (scheme, rest) = url.split_once("://").ok_or_else(unknown)?;
        let kind = match scheme {
            "s3" => Kind::S3,
            "gs" => Kind::Google,
            "az" => Kind::Azure,
            _ => return Err(unknown()),
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(RemoteError::NoBucket { url: url.to_owned() });
        }
        let prefix = Path::parse(prefix)
            .map_err(|error| RemoteError::BadPrefix { url: url.to_owned(), why: error.to_string() })?;
        Ok(Self { kind, bucket: bucket.to_owned(), prefix })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_bucket_and_a_prefix() {
        for (url, kind, bucket, prefix) in [
            ("s3://b", Kind::S3, "b", ""),
            ("s3://b/", Kind::S3, "b", ""),
            ("gs://b/one/Two_3/", Kind::Google, "b", "one/Two_3"),
            ("az://b/one", Kind::Azure, "b", "one"),
        ] {
            let address = Address::parse(url).unwrap();
            assert_eq!(
                (address.kind, address.bucket.as_str(), address.prefix.as_ref()),
                (kind, bucket, prefix)
            );
        }
        for url in
            ["", "/a/b", "s3:/b", "http://b/x", "s3://", "s3:///x", "s3://b/a//b", "s3://b/../x", "S3://b"]
        {
            assert!(Address::parse(url).is_err(), "{url}");
        }
    }
}
