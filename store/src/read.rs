//! Reading typed values: every value that cannot be decoded becomes an error that names its place.

use std::ops::ControlFlow;

use bytes::Bytes;

use crate::error::Error;
use crate::family::Family;
use crate::keys::Range;
use crate::record::Malformed;
use crate::store::Store;

impl Store {
    /// The value under `key`, decoded.
    pub(crate) fn value<T>(
        &self,
        family: Family,
        key: &[u8],
        decode: impl FnOnce(Bytes) -> Result<T, Malformed>,
    ) -> Result<Option<T>, Error> {
        let value = self.backend().get(family, key)?;
        value.map(|value| decode(value).map_err(Error::malformed(family, key))).transpose()
    }

    /// Visits the records in `range` upwards.
    pub(crate) fn visit<T>(
        &self,
        family: Family,
        range: &Range,
        decode: impl Fn(&[u8], &[u8]) -> Result<T, Malformed>,
        visit: &mut dyn FnMut(T) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let mut failure = None;
        self.backend().scan(family, &range.from, &range.to, &mut |key, value| match decode(
            key, value,
        ) {
            Ok(record) => visit(record),
            Err(malformed) => {
                failure = Some(Error::corrupt(family, key, malformed.0));
                ControlFlow::Break(())
            }
        })?;
        failure.map_or(Ok(()), Err)
    }

    /// The records in `range`, for ranges that are known to be small, up to `count_max` of them.
    pub(crate) fn list<T>(
        &self,
        family: Family,
        range: &Range,
        count_max: usize,
        decode: impl Fn(&[u8], &[u8]) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Error> {
        let mut records = Vec::new();
        if count_max == 0 {
            return Ok(records);
        }
        self.visit(family, range, decode, &mut |record| {
            records.push(record);
            if records.len() == count_max {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        Ok(records)
    }

    /// The number of keys in `range`.
    pub(crate) fn count(&self, family: Family, range: &Range) -> Result<u64, Error> {
        let mut count = 0;
        self.backend().scan(family, &range.from, &range.to, &mut |_, _| {
            count += 1;
            ControlFlow::Continue(())
        })?;
        Ok(count)
    }
}
