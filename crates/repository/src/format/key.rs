//! Key files: the master key, sealed under a key that scrypt derives from a password.
//!
//! A key file is the only object that is plain JSON. Whoever can write to the storage can change it, so
//! its scrypt parameters are bounded before memory is spent on them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use rand::RngCore;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::crypto::{Key, KeyBytes};

/// The cost of one password attempt: `log2(N)`, `r`, `p` of scrypt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KdfCost {
    pub log_n: u8,
    pub r: u32,
    pub p: u32,
}

impl Default for KdfCost {
    /// 32 MiB of memory and about a third of a second, as OWASP advises for scrypt.
    fn default() -> Self {
        Self { log_n: 15, r: 8, p: 3 }
    }
}

impl KdfCost {
    /// As cheap as restic still accepts: for tests.
    #[cfg(feature = "testing")]
    pub fn cheapest() -> Self {
        Self { log_n: 4, r: 8, p: 1 }
    }
}

/// Memory that an attempt may take: eight times what restic ever writes.
const KDF_MEMORY_MAX: u64 = 512 << 20;
/// Bound on `N * r * p`: a minute or so.
const KDF_WORK_MAX: u64 = 1 << 26;

#[derive(Serialize, Deserialize)]
pub(crate) struct KeyFile {
    pub(crate) created: Timestamp,
    pub(crate) username: String,
    pub(crate) hostname: String,
    kdf: String,
    #[serde(rename = "N")]
    n: u64,
    r: u64,
    p: u64,
    salt: String,
    data: String,
}

/// Why a key file gives no key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeyFailure {
    /// The password is not the one of this file.
    WrongPassword,
    /// Nothing that this program can use, whatever the password.
    Unusable(String),
}

#[derive(Serialize, Deserialize)]
struct MasterJson {
    mac: MacJson,
    encrypt: String,
}

#[derive(Serialize, Deserialize)]
struct MacJson {
    k: String,
    r: String,
}

impl KeyFile {
    pub(crate) fn create(
        master: &Key,
        password: &SecretString,
        cost: KdfCost,
        hostname: &str,
        username: &str,
        created: Timestamp,
    ) -> Result<Self, KeyFailure> {
        let mut salt = [0; 64];
        rand::rng().fill_bytes(&mut salt);
        let derived = derive(password, &salt, cost)?;
        let secret = master.secret();
        let json = serde_json::to_vec(&MasterJson {
            mac: MacJson { k: STANDARD.encode(secret.mac_k), r: STANDARD.encode(secret.mac_r) },
            encrypt: STANDARD.encode(secret.encrypt),
        })
        .map_err(unusable)?;
        Ok(Self {
            created,
            username: username.to_owned(),
            hostname: hostname.to_owned(),
            kdf: "scrypt".to_owned(),
            n: 1 << cost.log_n,
            r: cost.r.into(),
            p: cost.p.into(),
            salt: STANDARD.encode(salt),
            data: STANDARD.encode(derived.seal(&json)),
        })
    }

    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, KeyFailure> {
        serde_json::from_slice(bytes).map_err(unusable)
    }

    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, KeyFailure> {
        serde_json::to_vec(self).map_err(unusable)
    }

    /// The master key.
    pub(crate) fn open(&self, password: &SecretString) -> Result<Key, KeyFailure> {
        let salt = STANDARD.decode(&self.salt).map_err(unusable)?;
        let mut data = STANDARD.decode(&self.data).map_err(unusable)?;
        let derived = derive(password, &salt, self.cost()?)?;
        let json = derived.open_in_place(&mut data).map_err(|_| KeyFailure::WrongPassword)?;
        let master: MasterJson = serde_json::from_slice(json).map_err(unusable)?;
        Ok(Key::new(KeyBytes {
            encrypt: fixed(&master.encrypt)?,
            mac_k: fixed(&master.mac.k)?,
            mac_r: fixed(&master.mac.r)?,
        }))
    }

    fn cost(&self) -> Result<KdfCost, KeyFailure> {
        let outside = || {
            KeyFailure::Unusable(format!("scrypt N={} r={} p={} is out of bounds", self.n, self.r, self.p))
        };
        if self.kdf != "scrypt" {
            return Err(KeyFailure::Unusable(format!("key derivation {:?} is unknown", self.kdf)));
        }
        let memory = self.n.checked_mul(self.r).and_then(|product| product.checked_mul(128));
        let work = self.n.checked_mul(self.r).and_then(|product| product.checked_mul(self.p));
        let bounded = self.n.is_power_of_two()
            && self.n > 1
            && memory.is_some_and(|memory| (1..=KDF_MEMORY_MAX).contains(&memory))
            && work.is_some_and(|work| (1..=KDF_WORK_MAX).contains(&work));
        if !bounded {
            return Err(outside());
        }
        Ok(KdfCost {
            log_n: u8::try_from(self.n.trailing_zeros()).map_err(|_| outside())?,
            r: u32::try_from(self.r).map_err(|_| outside())?,
            p: u32::try_from(self.p).map_err(|_| outside())?,
        })
    }
}

fn derive(password: &SecretString, salt: &[u8], cost: KdfCost) -> Result<Key, KeyFailure> {
    let params = scrypt::Params::new(cost.log_n, cost.r, cost.p, 64).map_err(unusable)?;
    let mut derived = [0; 64];
    scrypt::scrypt(password.expose_secret().as_bytes(), salt, &params, &mut derived).map_err(unusable)?;
    Ok(Key::new(KeyBytes::split(&derived)))
}

fn fixed<const N: usize>(text: &str) -> Result<[u8; N], KeyFailure> {
    let bytes = STANDARD.decode(text).map_err(unusable)?;
    bytes.try_into().map_err(|_| KeyFailure::Unusable("a key of the wrong length".to_owned()))
}

fn unusable(error: impl std::fmt::Display) -> KeyFailure {
    KeyFailure::Unusable(error.to_string())
}

/// A second password for the same repository: 200 random bits in letters that cannot be mistaken for one
/// another. Printed once by the caller, to be kept on paper; it opens the repository in stock restic, too.
pub struct RecoveryKey(SecretString);

impl RecoveryKey {
    pub(crate) fn random() -> Self {
        const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz023456789";
        let mut bytes = [0; 40];
        rand::rng().fill_bytes(&mut bytes);
        let letters: Vec<char> = bytes.iter().map(|byte| LETTERS[usize::from(byte % 32)].into()).collect();
        let groups: Vec<String> = letters.chunks(5).map(|group| group.iter().collect()).collect();
        Self(groups.join("-").into())
    }

    pub fn secret(&self) -> &SecretString {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(change: impl Fn(&mut KeyFile)) -> KeyFile {
        let cost = KdfCost { log_n: 4, r: 8, p: 1 };
        let master = Key::new(KeyBytes::random());
        let mut file =
            KeyFile::create(&master, &"right".into(), cost, "host", "user", Timestamp::UNIX_EPOCH).unwrap();
        assert!(file.open(&"right".into()).unwrap().secret() == master.secret());
        change(&mut file);
        file
    }

    #[test]
    fn another_password_is_told_apart_from_an_unusable_file() {
        assert!(matches!(file(|_| ()).open(&"wrong".into()), Err(KeyFailure::WrongPassword)));
        let changes: [fn(&mut KeyFile); 8] = [
            |file| file.kdf = "argon2".to_owned(),
            |file| file.n = 1 << 40,
            |file| file.n = 3,
            |file| file.r = u64::MAX,
            |file| file.p = 1 << 30,
            |file| file.p = 0,
            // scrypt itself would do it, in a second or so.
            |file| file.p = 1 << 20,
            |file| file.salt = "!".to_owned(),
        ];
        for change in changes {
            assert!(matches!(file(change).open(&"right".into()), Err(KeyFailure::Unusable(_))));
        }
    }

    #[test]
    fn recovery_keys_are_long_and_differ() {
        let [a, b] = [RecoveryKey::random(), RecoveryKey::random()];
        assert_eq!(a.secret().expose_secret().len(), 47);
        assert_ne!(a.secret().expose_secret(), b.secret().expose_secret());
    }
}
