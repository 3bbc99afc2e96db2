//! Sealed documents: index, lock and snapshot objects. The plaintext is `2 | zstd(JSON)`, or, as older
//! writers have it, the JSON itself.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::crypto::Key;

const COMPRESSED: u8 = 2;

pub(crate) fn seal(key: &Key, document: &impl Serialize) -> Result<Vec<u8>, String> {
    let json = serde_json::to_vec(document).map_err(|error| error.to_string())?;
    let mut plaintext = vec![COMPRESSED];
    zstd::stream::copy_encode(json.as_slice(), &mut plaintext, 3).map_err(|error| error.to_string())?;
    Ok(key.seal(&plaintext))
}

pub(crate) fn open<T: DeserializeOwned>(key: &Key, mut sealed: Vec<u8>) -> Result<T, String> {
    let plaintext = key.open_in_place(&mut sealed).map_err(|_| "its MAC does not match")?;
    let json = match plaintext.split_first() {
        Some((&COMPRESSED, compressed)) => {
            zstd::stream::decode_all(compressed).map_err(|error| error.to_string())?
        }
        Some((b'{' | b'[', _)) => plaintext.to_vec(),
        Some((version, _)) => return Err(format!("its encoding {version} is unknown")),
        None => return Err("it is empty".to_owned()),
    };
    serde_json::from_slice(&json).map_err(|error| error.to_string())
}
