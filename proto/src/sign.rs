//! Ed25519 signatures under a context each.
//!
//! Invariants: the same bytes are accepted by every replica or by none. So signatures are checked
//! one by one with `verify_strict`, never in batches, and weak or oddly encoded keys are refused.
//! What is signed for one purpose proves nothing for another: the context stands before the
//! message, ends in a zero byte and has no other.

use std::fmt;

use ed25519_dalek::{SigningKey, VerifyingKey};
use zeroize::Zeroizing;

use crate::error::{DecodeError, VerifyError};

/// Context of signed heads.
pub const HEAD_CONTEXT: &[u8] = b"systole/head/v1\0";
/// Context of signed claims.
pub const CREDENTIAL_CONTEXT: &[u8] = b"systole/credential/v1\0";

/// An ed25519 signature.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature(pub [u8; 64]);

impl Signature {
    /// Bytes of a signature.
    pub const BYTES: usize = 64;

    /// The signature that `bytes` hold.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        bytes.try_into().map(Self).map_err(|_| DecodeError::WrongSize {
            what: "signature",
            found: bytes.len(),
            expected: Self::BYTES,
        })
    }

    /// The bytes of the signature.
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "Signature({a:02x}{b:02x}{c:02x}{d:02x}…)")
    }
}

/// Whoever holds a secret key. The key may live elsewhere, so signing can fail.
pub trait Signer: Send + Sync {
    /// The public half of the key.
    fn public_key(&self) -> [u8; 32];

    /// Signs exactly `message`. Call [`sign`] instead: it puts the context before it.
    fn sign(&self, message: &[u8]) -> Result<Signature, SignError>;
}

/// Signs `message` for the purpose that `context` names.
pub fn sign(signer: &dyn Signer, context: &[u8], message: &[u8]) -> Result<Signature, SignError> {
    signer.sign(&[context, message].concat())
}

/// Checks that `signature` is `key`'s signature of `message` for the purpose that `context` names.
pub fn verify(
    key: &[u8; 32],
    context: &[u8],
    message: &[u8],
    signature: &Signature,
) -> Result<(), VerifyError> {
    Verifier::new(key)?.verify(context, message, signature)
}

/// A public key that has passed the checks and is ready to verify: keep one per feed and save its
/// unpacking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verifier {
    key: VerifyingKey,
}

impl Verifier {
    /// Unpacks `key`; refuses what is no key, what is weak, and what is not the one encoding of its
    /// point.
    pub fn new(key: &[u8; 32]) -> Result<Self, VerifyError> {
        if !is_canonical(key) {
            return Err(VerifyError::InvalidKey);
        }
        let key = VerifyingKey::from_bytes(key).map_err(|_| VerifyError::InvalidKey)?;
        if key.is_weak() {
            return Err(VerifyError::WeakKey);
        }
        Ok(Self { key })
    }

    /// Checks one signature.
    pub fn verify(
        &self,
        context: &[u8],
        message: &[u8],
        signature: &Signature,
    ) -> Result<(), VerifyError> {
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        self.key
            .verify_strict(&[context, message].concat(), &signature)
            .map_err(|_| VerifyError::BadSignature)
    }

    /// The key's bytes.
    pub fn public_key(&self) -> [u8; 32] {
        self.key.to_bytes()
    }
}

/// Whether the y coordinate is below the field's prime 2^255 - 19. Without this a few keys would
/// have two encodings.
fn is_canonical(key: &[u8; 32]) -> bool {
    key[31] & 0x7f != 0x7f || key[0] < 0xed || key[1..31].iter().any(|&byte| byte != 0xff)
}

/// A secret key in memory. It is wiped when dropped, and never printed.
pub struct Ed25519Signer {
    key: SigningKey,
}

impl Ed25519Signer {
    /// A key from the operating system's randomness.
    #[expect(clippy::disallowed_methods, reason = "the one place where new keys come from")]
    pub fn generate() -> Result<Self, SignError> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut())
            .map_err(|error| SignError::new(format!("no randomness: {error}")))?;
        Ok(Self::from_seed(&seed))
    }

    /// The key that `seed` determines.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self { key: SigningKey::from_bytes(seed) }
    }

    /// The seed, for a key store that encrypts it.
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.key.to_bytes())
    }
}

impl Signer for Ed25519Signer {
    fn public_key(&self) -> [u8; 32] {
        self.key.verifying_key().to_bytes()
    }

    fn sign(&self, message: &[u8]) -> Result<Signature, SignError> {
        use ed25519_dalek::Signer as _;
        Ok(Signature(self.key.sign(message).to_bytes()))
    }
}

impl fmt::Debug for Ed25519Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ed25519Signer({:?})", crate::PublicKey(self.public_key()))
    }
}

/// Why a signer did not sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignError {
    reason: String,
}

impl SignError {
    /// An error with its reason.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}

impl fmt::Display for SignError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot sign: {}", self.reason)
    }
}

impl std::error::Error for SignError {}
