//! A sealed value: 32 secret bytes under XChaCha20-Poly1305.
//!
//! version ‖ nonce (24) ‖ ciphertext (32) ‖ tag (16). The nonce is random: with 24 bytes no counter has
//! to be kept. The context, authenticated with it, says what the bytes are for and whose they are, so
//! that a value moved to another key does not open.

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use zeroize::{Zeroize, Zeroizing};

use crate::error::Error;
use crate::record::{Decoder, Encoder, Malformed};

const VERSION: u8 = 1;
const NONCE: usize = 24;

/// Binds a seed to its public key.
pub(super) fn secret_context(public: &[u8; 32]) -> Vec<u8> {
    [b"systole/vault/secret/v1\0".as_slice(), public].concat()
}

pub(super) fn seal(
    cipher: &XChaCha20Poly1305,
    context: &[u8],
    secret: &[u8; 32],
) -> Result<Vec<u8>, Error> {
    let nonce: [u8; NONCE] = random()?;
    let payload = Payload { msg: secret, aad: context };
    let ciphertext = cipher
        .encrypt(&XNonce::from(nonce), payload)
        .expect("32 bytes are far below the cipher's limit");
    let mut out = Vec::with_capacity(1 + NONCE + ciphertext.len());
    Encoder::new(&mut out, VERSION).raw(&nonce).raw(&ciphertext);
    Ok(out)
}

/// The secret, or nothing if another key or context sealed it.
pub(super) fn open(
    cipher: &XChaCha20Poly1305,
    context: &[u8],
    sealed: &[u8],
) -> Result<Option<Zeroizing<[u8; 32]>>, Malformed> {
    let mut decoder = Decoder::new(sealed, VERSION)?;
    let nonce: [u8; NONCE] = decoder.array()?;
    let payload = Payload { msg: decoder.rest(), aad: context };
    let Ok(mut plaintext) = cipher.decrypt(&XNonce::from(nonce), payload) else { return Ok(None) };
    let mut secret = Zeroizing::new([0; 32]);
    let fits = plaintext.len() == secret.len();
    if fits {
        secret.copy_from_slice(&plaintext);
    }
    plaintext.zeroize();
    if fits { Ok(Some(secret)) } else { Err(Malformed("secret is not 32 bytes")) }
}

/// Bytes from the operating system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::NoRandomness { reason: error.to_string() })?;
    Ok(bytes)
}
