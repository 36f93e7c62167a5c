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
    let (places, further) = part_of(tables, keys::upkeep_partition(part), after, limit).await?;
    let next = match further {
        Some(after) => Some(Upkeep { part, after: Some(after) }),
        None => Some(Upkeep { part: part + 1, after: None }).filter(|next| next.part < UPKEEP_PARTS),
    };
    let named = |key| keys::source_at(key).ok_or_else(|| StoreError::Corrupt("a list of sources".to_owned()));
    let sources = places.iter().map(|(_, key)| named(key)).collect::<Result<_, _>>()?;
    Ok((sources, next))
}

/// Where reading of the organisations goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organisations {
    part: u8,
    after: Option<String>,
    /// So many partitions come after this one, the first one after the last.
    left: u8,
}

impl Organisations {
    /// At the first one.
    pub const START: Self = Self { part: 0, after: None, left: ORGANISATION_PARTS - 1 };

    /// All of them as well, from another place on for each number of a row of as many as there are partitions.
    #[must_use]
    pub fn beginning(n: i64) -> Self {
        let part = n.rem_euclid(i64::from(ORGANISATION_PARTS));
        Self { part: u8::try_from(part).unwrap_or_default(), ..Self::START }
    }
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
    let Organisations { part, after, left } = from;
    let (places, further) = part_of(tables, keys::organisations_partition(part), after, limit).await?;
    let next = match further {
        Some(after) => Some(Organisations { part, after: Some(after), left }),
        None => left.checked_sub(1).map(|left| Organisations {
            part: (part + 1) % ORGANISATION_PARTS,
            after: None,
            left,
        }),
    };
    let named = |(at, _): &(String, _)| {
        at.parse().map_err(|_| StoreError::Corrupt("a list of organisations".to_owned()))
    };
    let orgs = places.iter().map(named).collect::<Result<_, _>>()?;
    Ok((orgs, next))
}

/// A part of one of the partitions of a list, and after which place that goes on; `None` at the partition's end.
async fn part_of<T: Tables>(
    tables: &T,
    partition: String,
    after: Option<String>,
    limit: usize,
) -> Result<(Vec<(String, Key)>, Option<String>), StoreError> {
    let range = Range {
        table: Table::Ledger,
        index: Index::ByState,
        partition,
        from: after.clone(),
        to: None,
        descending: false,
        // The range begins with the place itself.
        limit: limit.saturating_add(1),
    };
    let mut places = tables.range(range).await?;
    places.retain(|(at, _)| Some(at) != after.as_ref());
    places.truncate(limit);
    let further = places.last().filter(|_| places.len() >= limit).map(|(at, _)| at.clone());
    Ok((places, further))
}
