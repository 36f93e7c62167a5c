//! What jobs read of all organisations. Nothing else does: whoever works for an organisation names it first.

use plixo_domain::id::{OrgId, SourceId};

use crate::StoreError;
use crate::keys::{self, ORGANISATION_PARTS, UPKEEP_PARTS};
use crate::tables::{Index, Key, Range, Table, Tables};

/// Where reading of the data sources goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upkeep {
    part: u8,
    after: Option<String>,
}

impl Upkeep {
    /// At the first one.
    pub const START: Self = Self { part: 0, after: None };
}

/// The data sources of all organisations that are to be kept up, as far as lists know by now: up to `limit` of them, and where the
/// others are; `None` at the end. One that its provider refuses is not among them.
///
/// # Errors
/// [`StoreError`].
pub async fn data_sources<T: Tables>(
    tables: &T,
    from: Upkeep,
    limit: usize,
) -> Result<(Vec<(OrgId, SourceId)>, Option<Upkeep>), StoreError> {
    let Upkeep { part, after } = from;
    let (places, next) = spread(tables, keys::upkeep_partition, UPKEEP_PARTS, (part, after), limit).await?;
    let next = next.map(|(part, after)| Upkeep { part, after });
    let named = |key| keys::source_at(key).ok_or_else(|| StoreError::Corrupt("a list of sources".to_owned()));
    let sources = places.iter().map(|(_, key)| named(key)).collect::<Result<_, _>>()?;
    Ok((sources, next))
}

/// Where reading of the organisations goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organisations {
    part: u8,
    after: Option<String>,
}

impl Organisations {
    /// At the first one.
    pub const START: Self = Self { part: 0, after: None };
}

/// All organisations, as far as lists know by now: up to `limit` of them, and where the others are; `None` at the end.
///
/// # Errors
/// [`StoreError`].
pub async fn organisations<T: Tables>(
    tables: &T,
    from: Organisations,
    limit: usize,
) -> Result<(Vec<OrgId>, Option<Organisations>), StoreError> {
    let Organisations { part, after } = from;
    let read = spread(tables, keys::organisations_partition, ORGANISATION_PARTS, (part, after), limit);
    let (places, next) = read.await?;
    let next = next.map(|(part, after)| Organisations { part, after });
    let named = |(at, _): &(String, _)| {
        at.parse().map_err(|_| StoreError::Corrupt("a list of organisations".to_owned()))
    };
    let orgs = places.iter().map(named).collect::<Result<_, _>>()?;
    Ok((orgs, next))
}

/// Where a list goes on: in which of its partitions, and after which place there.
type From = (u8, Option<String>);

/// A part of a list that is spread over several partitions.
async fn spread<T: Tables>(
    tables: &T,
    partition: fn(u8) -> String,
    parts: u8,
    (part, after): From,
    limit: usize,
) -> Result<(Vec<(String, Key)>, Option<From>), StoreError> {
    let range = Range {
        table: Table::Ledger,
        index: Index::ByState,
        partition: partition(part),
        from: after.clone(),
        to: None,
        descending: false,
        // The range begins with the place itself.
        limit: limit.saturating_add(1),
    };
    let mut places = tables.range(range).await?;
    places.retain(|(at, _)| Some(at) != after.as_ref());
    places.truncate(limit);
    let next = match places.last() {
        Some((at, _)) if places.len() >= limit => Some((part, Some(at.clone()))),
        _ => Some(part + 1).filter(|part| *part < parts).map(|part| (part, None)),
    };
    Ok((places, next))
}
