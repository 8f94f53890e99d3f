//! How a device asks to join a party, and how a party begins.
//!
//! Invariants:
//! - a request holds both credentials that a joining device needs, each signed by everybody but the
//!   member who lets it in; that member adds one signature and changes nothing else;
//! - a request is bound to one party, one device and one feed: replayed elsewhere it is worth nothing;
//! - a request is public. It holds no secret and gives no right before a member has signed it.

#[cfg(test)]
mod tests;

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};
use systole_proto::limits::CREDENTIAL_BYTES_MAX;
use systole_proto::{
    Claim, Credential, DecodeError, FeedKey, PartyKey, PublicKey, SignError, Signer, VerifyError,
};

/// Version of a request's bytes.
const VERSION: u8 = 1;
/// Bytes before each credential: its length.
const LENGTH_BYTES: usize = 4;

/// A device's wish to join a party with one feed.
///
/// The device makes it with [`AdmissionRequest::new`] and sends its bytes to any member, by whatever
/// way they have. The member shows it to somebody who knows whether this device is meant, calls
/// [`AdmissionRequest::countersign`] and writes both credentials into a feed of the party.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdmissionRequest {
    party: PartyKey,
    device: PublicKey,
    feed: FeedKey,
    key_admission: Credential,
    feed_admission: Credential,
}

impl AdmissionRequest {
    /// Most bytes of an encoded request.
    pub const BYTES_MAX: usize = 1 + 2 * (LENGTH_BYTES + CREDENTIAL_BYTES_MAX);

    /// The request of the device that holds both keys.
    pub fn new(
        party: PartyKey,
        device: &dyn Signer,
        feed: &dyn Signer,
    ) -> Result<Self, RequestError> {
        let key = PublicKey(device.public_key());
        let feed_key = FeedKey(feed.public_key());
        let key_claim = Claim::KeyAdmission { party, key };
        let feed_claim = Claim::FeedAdmission { party, feed: feed_key, key };
        Self::from_credentials(
            signed(&key_claim, &[device])?,
            signed(&feed_claim, &[feed, device])?,
        )
    }

    /// The request in `bytes`. Its signatures are not checked yet.
    pub fn decode(bytes: &Bytes) -> Result<Self, RequestError> {
        if bytes.len() > Self::BYTES_MAX {
            return Err(RequestError::Decode(DecodeError::TooLong {
                what: "admission request",
                bytes: bytes.len(),
                bytes_max: Self::BYTES_MAX,
            }));
        }
        let mut rest = bytes.clone();
        match rest.first() {
            None => return Err(DecodeError::Empty { what: "admission request" }.into()),
            Some(&VERSION) => drop(rest.split_to(1)),
            Some(&found) => return Err(DecodeError::Version { found, supported: VERSION }.into()),
        }
        let key_admission = Credential::decode(split_frame(&mut rest)?)?;
        let feed_admission = Credential::decode(split_frame(&mut rest)?)?;
        if !rest.is_empty() {
            return Err(malformed("bytes after its end").into());
        }
        Self::from_credentials(key_admission, feed_admission)
    }

    fn from_credentials(
        key_admission: Credential,
        feed_admission: Credential,
    ) -> Result<Self, RequestError> {
        let (key_claim, feed_claim) = (key_admission.claim()?, feed_admission.claim()?);
        let Claim::KeyAdmission { party, key: device } = key_claim else {
            return Err(RequestError::Inconsistent);
        };
        let Claim::FeedAdmission { feed, .. } = feed_claim else {
            return Err(RequestError::Inconsistent);
        };
        if feed_claim != (Claim::FeedAdmission { party, feed, key: device }) {
            return Err(RequestError::Inconsistent);
        }
        all_distinct([party.0, device.0, feed.0])?;
        Ok(Self { party, device, feed, key_admission, feed_admission })
    }

    /// The request's bytes, at most [`Self::BYTES_MAX`].
    pub fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::new();
        bytes.put_u8(VERSION);
        for credential in [&self.key_admission, &self.feed_admission] {
            let frame = credential.encode();
            bytes.put_u32(u32::try_from(frame.len()).expect("a credential's size is bounded"));
            bytes.put(frame);
        }
        bytes.freeze()
    }

    /// Checks that the device and the feed have signed what they ask for, and that nobody else has.
    pub fn verify(&self) -> Result<(), RequestError> {
        let feed = PublicKey(self.feed.0);
        signed_by_exactly(&self.key_admission, &[self.device])?;
        signed_by_exactly(&self.feed_admission, &[feed, self.device])
    }

    /// Lets the device in on `member`'s authority: the two encoded credentials, in the order in which
    /// they are to be written. Verifies the request first: a member signs nothing unproven.
    ///
    /// The feed's admission gets no further signature. It counts because its owner does.
    pub fn countersign(self, member: &dyn Signer) -> Result<[Bytes; 2], RequestError> {
        self.verify()?;
        let key = member.public_key();
        if [self.device.0, self.feed.0, self.party.0].contains(&key) {
            return Err(RequestError::OwnAuthority);
        }
        let mut key_admission = self.key_admission;
        key_admission.sign(member)?;
        Ok([key_admission.encode(), self.feed_admission.encode()])
    }

    /// The party that the device wants to join.
    pub fn party(&self) -> PartyKey {
        self.party
    }

    /// The device's key, the member to be.
    pub fn device(&self) -> PublicKey {
        self.device
    }

    /// The feed that the device will write.
    pub fn feed(&self) -> FeedKey {
        self.feed
    }
}

/// The credential that begins a party: it must be block 0 of the feed of `feed`. The party's secret
/// key has no further use and is best destroyed afterwards.
pub(crate) fn genesis_credentials(
    party: &dyn Signer,
    device: &dyn Signer,
    feed: &dyn Signer,
) -> Result<Bytes, RequestError> {
    let claim = Claim::PartyGenesis {
        party: PartyKey(party.public_key()),
        key: PublicKey(device.public_key()),
        feed: FeedKey(feed.public_key()),
    };
    all_distinct([party.public_key(), device.public_key(), feed.public_key()])?;
    Ok(signed(&claim, &[party, device, feed])?.encode())
}

fn all_distinct([party, device, feed]: [[u8; 32]; 3]) -> Result<(), RequestError> {
    if party == device || party == feed || device == feed {
        return Err(RequestError::Inconsistent);
    }
    Ok(())
}

fn signed(claim: &Claim, signers: &[&dyn Signer]) -> Result<Credential, SignError> {
    let mut credential = Credential::new(claim);
    for signer in signers {
        credential.sign(*signer)?;
    }
    Ok(credential)
}

fn signed_by_exactly(credential: &Credential, keys: &[PublicKey]) -> Result<(), RequestError> {
    let signers = credential.verified_signers()?;
    // A credential holds each signer once, so equal counts leave no room for anybody else.
    if signers.len() == keys.len() && keys.iter().all(|key| signers.contains(key)) {
        Ok(())
    } else {
        Err(RequestError::WrongSigners)
    }
}

fn split_frame(rest: &mut Bytes) -> Result<Bytes, DecodeError> {
    let Some((length, _)) = rest.split_first_chunk::<LENGTH_BYTES>() else {
        return Err(malformed("a length is cut off"));
    };
    let bytes = u32::from_be_bytes(*length) as usize;
    if bytes > CREDENTIAL_BYTES_MAX {
        let bytes_max = CREDENTIAL_BYTES_MAX;
        return Err(DecodeError::TooLong { what: "credential of a request", bytes, bytes_max });
    }
    let _ = rest.split_to(LENGTH_BYTES);
    if bytes > rest.len() {
        return Err(malformed("a credential is cut off"));
    }
    Ok(rest.split_to(bytes))
}

fn malformed(reason: &str) -> DecodeError {
    DecodeError::Malformed { what: "admission request", reason: reason.to_owned() }
}

/// Why a request cannot be made, read, believed or granted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestError {
    /// Its bytes cannot be read.
    Decode(DecodeError),
    /// A signature in it is bad or missing.
    Verify(VerifyError),
    /// A key that must sign did not.
    Sign(SignError),
    /// Its parts do not belong together: they name different parties or devices, claim something
    /// else, or use one key for two parts.
    Inconsistent,
    /// Others have signed it than the device and its feed.
    WrongSigners,
    /// A key of the request itself, or the party's, is no authority to let it in.
    OwnAuthority,
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decode(_) => write!(f, "admission request cannot be read"),
            Self::Verify(_) => write!(f, "admission request has a bad signature"),
            Self::Sign(_) => write!(f, "a credential could not be signed"),
            Self::Inconsistent => write!(f, "keys or claims of the request do not fit together"),
            Self::WrongSigners => write!(f, "others than the device and its feed have signed"),
            Self::OwnAuthority => write!(f, "only a member can let a device in"),
        }
    }
}

impl std::error::Error for RequestError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Decode(error) => Some(error),
            Self::Verify(error) => Some(error),
            Self::Sign(error) => Some(error),
            Self::Inconsistent | Self::WrongSigners | Self::OwnAuthority => None,
        }
    }
}

impl From<DecodeError> for RequestError {
    fn from(error: DecodeError) -> Self {
        Self::Decode(error)
    }
}

impl From<VerifyError> for RequestError {
    fn from(error: VerifyError) -> Self {
        Self::Verify(error)
    }
}

impl From<SignError> for RequestError {
    fn from(error: SignError) -> Self {
        Self::Sign(error)
    }
}
