//! The vault's header: how its key is made, and a value that tells the right key from a wrong one.

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::{Key, KeyInit, XChaCha20Poly1305};
use zeroize::Zeroizing;

use crate::batch::Batch;
use crate::error::Error;
use crate::family::Family;
use crate::keys;
use crate::record::{Decoder, Encoder, Malformed};
use crate::store::{Durability, Store};
use crate::vault::VaultKey;
use crate::vault::key::Source;
use crate::vault::sealed;

const VERSION: u8 = 1;
const SALT: usize = 16;
const CHECK_CONTEXT: &[u8] = b"systole/vault/check/v1\0";
const CHECK: [u8; 32] = [0; 32];

/// The strength of new vaults: OWASP's first recommendation for Argon2id, 30 ms on a small machine.
const STRETCHING: Stretching = Stretching { memory_kib: 19 * 1024, passes: 2, lanes: 1 };

/// Bounds on what a header may ask for: a damaged one must not take all memory or all day.
const STRETCHING_MAX: Stretching = Stretching { memory_kib: 1 << 20, passes: 64, lanes: 16 };

/// Parameters of Argon2id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stretching {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// How the key is made from what the caller gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Derivation {
    /// It is the key.
    Direct,
    /// Argon2id.
    Stretched(Stretching, [u8; SALT]),
}

struct Header {
    derivation: Derivation,
    check: Vec<u8>,
}

/// The cipher that `key` stands for. Writes the header if there is none.
pub(super) fn unlock(store: &Store, key: &VaultKey) -> Result<XChaCha20Poly1305, Error> {
    let _turn = store.vault_turn();
    let place = keys::vault_header();
    let Some(header) = store.value(Family::Key, &place, |value| decode(&value))? else {
        return initialise(store, key);
    };
    let cipher = cipher(key, &header.derivation)?;
    let opened = sealed::open(&cipher, CHECK_CONTEXT, &header.check)
        .map_err(Error::malformed(Family::Key, &place))?;
    match opened {
        Some(check) if *check == CHECK => Ok(cipher),
        _ => Err(Error::WrongKey),
    }
}

fn initialise(store: &Store, key: &VaultKey) -> Result<XChaCha20Poly1305, Error> {
    let derivation = match key.source {
        Source::Key(_) => Derivation::Direct,
        Source::Passphrase(_) => Derivation::Stretched(STRETCHING, sealed::random()?),
    };
    let cipher = cipher(key, &derivation)?;
    let check = sealed::seal(&cipher, CHECK_CONTEXT, &CHECK)?;
    let mut batch = Batch::new();
    batch.put_with(Family::Key, &keys::vault_header(), |out| {
        encode(out, &Header { derivation, check });
    });
    // Secrets follow that only this header's salt can open.
    store.commit(batch, Durability::Synced)?;
    Ok(cipher)
}

fn cipher(key: &VaultKey, derivation: &Derivation) -> Result<XChaCha20Poly1305, Error> {
    let key = match (&key.source, derivation) {
        (Source::Key(key), Derivation::Direct) => key.clone(),
        (Source::Passphrase(passphrase), Derivation::Stretched(stretching, salt)) => {
            stretch(passphrase, stretching, salt)?
        }
        _ => return Err(Error::WrongKey),
    };
    Ok(XChaCha20Poly1305::new(&Key::from(*key)))
}

fn stretch(
    passphrase: &[u8],
    stretching: &Stretching,
    salt: &[u8; SALT],
) -> Result<Zeroizing<[u8; 32]>, Error> {
    let mut key = Zeroizing::new([0; 32]);
    let Stretching { memory_kib, passes, lanes } = *stretching;
    let stretched = Params::new(memory_kib, passes, lanes, Some(key.len())).and_then(|params| {
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        argon.hash_password_into(passphrase, salt, &mut *key)
    });
    match stretched {
        Ok(()) => Ok(key),
        Err(error) => Err(Error::Passphrase { reason: error.to_string() }),
    }
}

fn encode(out: &mut Vec<u8>, header: &Header) {
    let mut encoder = Encoder::new(out, VERSION);
    let stretched = match header.derivation {
        Derivation::Direct => None,
        Derivation::Stretched(stretching, salt) => Some((stretching, salt)),
    };
    encoder
        .option(stretched, |encoder, (stretching, salt)| {
            encoder
                .number(stretching.memory_kib.into())
                .number(stretching.passes.into())
                .number(stretching.lanes.into())
                .raw(&salt)
        })
        .bytes(&header.check);
}

fn decode(value: &[u8]) -> Result<Header, Malformed> {
    let mut decoder = Decoder::new(value, VERSION)?;
    let stretched = decoder.option(|decoder| {
        let stretching = Stretching {
            memory_kib: decoder.number_u32()?,
            passes: decoder.number_u32()?,
            lanes: decoder.number_u32()?,
        };
        Ok((stretching, decoder.array()?))
    })?;
    let derivation = match stretched {
        None => Derivation::Direct,
        Some((stretching, salt)) => {
            let max = STRETCHING_MAX;
            let bounded = stretching.memory_kib <= max.memory_kib
                && (1..=max.passes).contains(&stretching.passes)
                && (1..=max.lanes).contains(&stretching.lanes)
                && stretching.memory_kib >= 8 * stretching.lanes;
            if !bounded {
                return Err(Malformed("the passphrase's parameters are out of bounds"));
            }
            Derivation::Stretched(stretching, salt)
        }
    };
    let check = decoder.bytes()?.to_vec();
    decoder.finish()?;
    Ok(Header { derivation, check })
}
