//! Signed heads: the latest, periodic ones that prove a part of a feed, and evidence of equivocation.

use std::ops::ControlFlow;

use bytes::Bytes;
use systole_proto::SignedHead;

use crate::batch::Batch;
use crate::error::Error;
use crate::family::Family;
use crate::feeds::{FeedStore, seq_of};
use crate::keys::{self, Kind, Range};
use crate::numbers::FeedNo;
use crate::record::{Decoder, Encoder, Malformed};

const EQUIVOCATION_VERSION: u8 = 1;

impl FeedStore<'_> {
    /// Keeps a head of `length` blocks for good. A head's frame brings its own version byte.
    pub fn put_head(&self, batch: &mut Batch, feed: FeedNo, length: u64, head: &SignedHead) {
        batch.put(Family::Feed, &keys::head(feed, length), &head.to_bytes());
    }

    /// Replaces the latest head.
    pub fn put_latest_head(&self, batch: &mut Batch, feed: FeedNo, head: &SignedHead) {
        batch.put(Family::Feed, &keys::latest_head(feed), &head.to_bytes());
    }

    /// The latest head.
    pub fn latest_head(&self, feed: FeedNo) -> Result<Option<SignedHead>, Error> {
        self.store.value(Family::Feed, &keys::latest_head(feed), signed_head)
    }

    /// The kept head of exactly `length` blocks.
    pub fn head_at(&self, feed: FeedNo, length: u64) -> Result<Option<SignedHead>, Error> {
        self.store.value(Family::Feed, &keys::head(feed, length), signed_head)
    }

    /// Visits every kept head of a feed, shortest first, with the length that it is kept under; one
    /// that cannot be read is told as an error and does not end the scan.
    pub fn scan_heads(
        &self,
        feed: FeedNo,
        visit: &mut dyn FnMut(u64, Result<SignedHead, Error>) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let decode = |key: &[u8], value: &[u8]| {
            let head = signed_head(Bytes::copy_from_slice(value));
            Ok((seq_of(key)?, head.map_err(Error::malformed(Family::Feed, key))))
        };
        let range = Range::prefix(&keys::per_feed(Kind::Head, feed));
        self.store.visit(Family::Feed, &range, decode, &mut |(length, head)| visit(length, head))
    }

    /// The shortest head of at least `length` blocks, and its length: a kept one, else the latest.
    pub fn head_at_or_after(
        &self,
        feed: FeedNo,
        length: u64,
    ) -> Result<Option<(u64, SignedHead)>, Error> {
        let range = Range {
            from: keys::head(feed, length).to_vec(),
            to: keys::after_prefix(&keys::per_feed(Kind::Head, feed)),
        };
        let mut kept = None;
        self.store.visit(
            Family::Feed,
            &range,
            |key, value| Ok((seq_of(key)?, signed_head(Bytes::copy_from_slice(value))?)),
            &mut |head| {
                kept = Some(head);
                ControlFlow::Break(())
            },
        )?;
        if kept.is_some() {
            return Ok(kept);
        }
        let key = keys::latest_head(feed);
        let latest = self.store.value(Family::Feed, &key, |value| {
            let signed = signed_head(value)?;
            let head = signed.decode_unverified().map_err(|_| Malformed("not a head"))?;
            Ok((head.length, signed))
        })?;
        Ok(latest.filter(|(found, _)| *found >= length))
    }

    /// Keeps the proof that a feed's owner signed two histories. The first proof stays sufficient, so a
    /// later one may replace it.
    pub fn put_equivocation(
        &self,
        batch: &mut Batch,
        feed: FeedNo,
        first: &SignedHead,
        second: &SignedHead,
    ) {
        batch.put_with(Family::Feed, &keys::equivocation(feed), |out| {
            Encoder::new(out, EQUIVOCATION_VERSION)
                .bytes(&first.to_bytes())
                .bytes(&second.to_bytes());
        });
    }

    /// Two signed heads of the feed that disagree, if its owner equivocated.
    pub fn equivocation(&self, feed: FeedNo) -> Result<Option<(SignedHead, SignedHead)>, Error> {
        self.store.value(Family::Feed, &keys::equivocation(feed), |value| {
            let mut decoder = Decoder::new(&value, EQUIVOCATION_VERSION)?;
            let first = signed_head(value.slice_ref(decoder.bytes()?))?;
            let second = signed_head(value.slice_ref(decoder.bytes()?))?;
            decoder.finish().map(|()| (first, second))
        })
    }
}

fn signed_head(value: Bytes) -> Result<SignedHead, Malformed> {
    SignedHead::from_bytes(value).map_err(|_| Malformed("not a signed head"))
}
