//! Encryption as the format has it: AES-256 in counter mode, authenticated by Poly1305-AES over the
//! ciphertext. Sealed bytes are `IV (16) | ciphertext | MAC (16)`.
//!
//! Invariants:
//! - Every sealing takes a fresh random IV, so neither the key stream nor the one-time Poly1305 key (`r |
//!   AES-128_k(IV)`) is ever used twice.
//! - Nothing is decrypted before its MAC was compared, in constant time.

use aes::cipher::generic_array::GenericArray;
use aes::cipher::{BlockEncrypt, InnerIvInit, KeyInit, StreamCipher, StreamCipherCoreWrapper};
use aes::{Aes128, Aes256};
use ctr::CtrCore;
use ctr::flavors::Ctr128BE;
use poly1305::Poly1305;
use rand::RngCore;

pub(crate) const IV_LENGTH: usize = 16;
const MAC_LENGTH: usize = 16;
/// What sealing adds to a plaintext.
pub(crate) const OVERHEAD: u32 = 32;

/// The MAC does not match: changed bytes, or another key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unauthentic;

/// A key pair for encryption and authentication, with its ciphers set up once.
pub(crate) struct Key {
    secret: KeyBytes,
    encrypt: Aes256,
    authenticate: Aes128,
}

/// The bytes of a [`Key`]. No `Debug`: they are secret.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct KeyBytes {
    pub encrypt: [u8; 32],
    pub mac_k: [u8; 16],
    /// Masked ("clamped") where it is used, as Poly1305 demands.
    pub mac_r: [u8; 16],
}

impl KeyBytes {
    pub(crate) fn random() -> Self {
        let mut all = [0; 64];
        rand::rng().fill_bytes(&mut all);
        Self::split(&all)
    }

    /// In the order in which scrypt's output is used: encryption key, `k`, `r`.
    pub(crate) fn split(all: &[u8; 64]) -> Self {
        let at = |from: usize| std::array::from_fn(|i| all[from + i]);
        Self { encrypt: std::array::from_fn(|i| all[i]), mac_k: at(32), mac_r: at(48) }
    }
}

impl Key {
    pub(crate) fn new(secret: KeyBytes) -> Self {
        let encrypt = Aes256::new(GenericArray::from_slice(&secret.encrypt));
        let authenticate = Aes128::new(GenericArray::from_slice(&secret.mac_k));
        Self { secret, encrypt, authenticate }
    }

    pub(crate) fn secret(&self) -> &KeyBytes {
        &self.secret
    }

    pub(crate) fn seal(&self, plaintext: &[u8]) -> Vec<u8> {
        let mut buffer = vec![0; plaintext.len() + IV_LENGTH + MAC_LENGTH];
        buffer[IV_LENGTH..IV_LENGTH + plaintext.len()].copy_from_slice(plaintext);
        self.seal_in_place(&mut buffer);
        buffer
    }

    /// `buffer` is 16 bytes of room for the IV, the plaintext, 16 bytes of room for the MAC.
    pub(crate) fn seal_in_place(&self, buffer: &mut [u8]) {
        let (iv, rest) = buffer.split_at_mut(IV_LENGTH);
        let (body, mac) = rest.split_at_mut(rest.len() - MAC_LENGTH);
        rand::rng().fill_bytes(iv);
        self.apply_key_stream(iv, body);
        mac.copy_from_slice(&self.mac(iv, body));
    }

    /// Whether the MAC matches; nothing is decrypted.
    pub(crate) fn verify(&self, sealed: &[u8]) -> Result<(), Unauthentic> {
        let end = sealed.len().checked_sub(MAC_LENGTH).filter(|end| *end >= IV_LENGTH).ok_or(Unauthentic)?;
        let (iv, ciphertext, mac) = (&sealed[..IV_LENGTH], &sealed[IV_LENGTH..end], &sealed[end..]);
        let expected = self.mac(iv, ciphertext);
        let difference = expected.iter().zip(mac).fold(0, |all, (a, b)| all | (a ^ b));
        if std::hint::black_box(difference) == 0 { Ok(()) } else { Err(Unauthentic) }
    }

    /// Verify, then decrypt in place; the plaintext lies within `sealed`.
    pub(crate) fn open_in_place<'a>(&self, sealed: &'a mut [u8]) -> Result<&'a [u8], Unauthentic> {
        self.verify(sealed)?;
        let end = sealed.len() - MAC_LENGTH;
        let (iv, body) = sealed[..end].split_at_mut(IV_LENGTH);
        self.apply_key_stream(iv, body);
        Ok(body)
    }

    fn apply_key_stream(&self, iv: &[u8], body: &mut [u8]) {
        type Ctr<'a> = CtrCore<&'a Aes256, Ctr128BE>;
        let core = Ctr::inner_iv_init(&self.encrypt, GenericArray::from_slice(iv));
        StreamCipherCoreWrapper::from_core(core).apply_keystream(body);
    }

    fn mac(&self, iv: &[u8], ciphertext: &[u8]) -> [u8; MAC_LENGTH] {
        let mut one_time = [0; 32];
        let (r, pad) = one_time.split_at_mut(16);
        r.copy_from_slice(&self.secret.mac_r);
        self.authenticate.encrypt_block_b2b(GenericArray::from_slice(iv), GenericArray::from_mut_slice(pad));
        Poly1305::new(GenericArray::from_slice(&one_time)).compute_unpadded(ciphertext).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_opens_again() {
        let key = Key::new(KeyBytes::random());
        for length in [0, 1, 15, 16, 17, 127, 128, 129, 1000, 65536] {
            let plaintext = vec![7; length];
            let mut sealed = key.seal(&plaintext);
            assert_eq!(sealed.len(), length + OVERHEAD as usize);
            assert_eq!(key.open_in_place(&mut sealed).unwrap(), plaintext);
        }
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let key = Key::new(KeyBytes::random());
        let sealed = key.seal(b"a tree");
        for at in 0..sealed.len() * 8 {
            let mut damaged = sealed.clone();
            damaged[at / 8] ^= 1 << (at % 8);
            assert_eq!(key.open_in_place(&mut damaged), Err(Unauthentic), "bit {at}");
        }
        for length in 0..sealed.len() {
            assert_eq!(key.open_in_place(&mut sealed[..length].to_vec()), Err(Unauthentic));
        }
    }

    #[test]
    fn two_sealings_of_one_plaintext_differ() {
        let key = Key::new(KeyBytes::random());
        assert_ne!(key.seal(b"same"), key.seal(b"same"));
    }
}
