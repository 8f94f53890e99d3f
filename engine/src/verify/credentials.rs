//! Stored credentials: the bytes in their blocks, signatures, and the membership that they give.

use std::collections::BTreeSet;

use systole_proto::{Block, Body};
use systole_store::CredentialRecord;

use super::party::Facts;
use super::report::{DamageKind, chain, unreadable};
use super::rules::Derived;
use super::{Context, Sink};
use crate::party::admit::{Membership, Position, Verdict};

/// Admits the stored credentials from nothing and compares the membership with that of the blocks.
pub(super) fn check(
    context: &Context<'_>,
    facts: &mut Facts,
    derived: &Derived,
    sink: &mut Sink<'_>,
) {
    let credentials = match context.stored.meta().credentials(facts.record.no) {
        Ok(credentials) => credentials,
        Err(error) => {
            let reason = unreadable(&error);
            sink.findings.add(facts.damage(DamageKind::Credential, reason));
            return;
        }
    };
    sink.findings.report.credentials += credentials.len() as u64;
    let mut membership = Membership::new(facts.record.key);
    let mut seen = BTreeSet::new();
    let mut sound = true;
    for (n, credential) in credentials {
        let at = (credential.feed, credential.seq);
        let reason = match stands_in_its_block(context, &credential) {
            Ok(()) => admit(&mut membership, facts, &credential).err(),
            Err(reason) => Some(reason),
        };
        seen.insert(at);
        if let Some(reason) = reason {
            sound = false;
            let reason = format!("number {n}: {reason}");
            facts.disagree(sink, DamageKind::Credential, at, reason);
        }
    }
    let comparable = sound && derived.complete && facts.is_certain();
    if !comparable || membership == derived.membership {
        return;
    }
    let missing: Vec<_> = derived.credentials.difference(&seen).copied().collect();
    for at in &missing {
        let reason = "it stands in its block, but is not stored".to_owned();
        facts.disagree(sink, DamageKind::Credential, *at, reason);
    }
    if missing.is_empty() {
        let reason = "those stored give another membership than the blocks";
        sink.findings.add(facts.damage(DamageKind::Credential, reason));
    }
}

fn stands_in_its_block(context: &Context<'_>, credential: &CredentialRecord) -> Result<(), String> {
    let block = context.scratch.feeds().block(credential.feed, credential.seq);
    let block = block.map_err(|error| unreadable(&error))?.ok_or("its block is missing")?;
    match Block::decode(block).map_err(|error| format!("its block cannot be read: {error}"))?.body {
        Body::Credential(bytes) if bytes == credential.bytes => Ok(()),
        Body::Credential(_) => Err("its block holds another credential".to_owned()),
        _ => Err("its block holds no credential".to_owned()),
    }
}

fn admit(
    membership: &mut Membership,
    facts: &Facts,
    credential: &CredentialRecord,
) -> Result<(), String> {
    let feed = facts.feeds.get(&credential.feed).ok_or("its feed is not known")?;
    let at = Position { feed: feed.key, seq: credential.seq };
    match membership.admit(at, &credential.bytes) {
        Verdict::Accepted(_) | Verdict::Known | Verdict::Parked { .. } => Ok(()),
        Verdict::Rejected(rejection) => Err(chain(&rejection)),
        // It was let in before, so the bound did not apply then. Its signatures are good.
        Verdict::Held { .. } => {
            membership.restore(at, &credential.bytes).map_err(|rejection| chain(&rejection))
        }
    }
}
