//! A password among the arguments: it travels with them to whoever does the work, and is never shown.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Clone)]
pub(crate) struct Secret(pub(crate) SecretString);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose_secret())
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(String::deserialize(deserializer)?.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_travels_and_is_not_shown() {
        let secret = Secret("correct horse".to_owned().into());
        let sent = serde_json::to_string(&secret).unwrap();
        let got: Secret = serde_json::from_str(&sent).unwrap();
        assert_eq!(got.0.expose_secret(), "correct horse");
        assert!(!format!("{got:?}").contains("horse"));
    }
}
