//! Read rows, commit what a book changed.

use std::sync::Arc;
use std::time::SystemTime;

use jiff::{Span, Timestamp};
use plixo_domain::audit::AuditEvent;
use plixo_domain::id::{EventId, OrgId, bytes_of};
use plixo_domain::ledger::{
    Book, Customer, Invoice, InvoiceBody, Payer, Payment, Personal, Private, Row, RowKey,
};
use plixo_domain::webhook::{EventKey, Fingerprint};
use plixo_envelope::{
    KeyFailure, KeyId, KeyRef, KeyService, Keyring, Limits, OrganisationKeys, Place, Sealed, WrappedKey,
    WrappedKeys,
};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::error::{CommitError, StoreError};
use crate::items::{self, Entropy, Sealer};
use crate::keys;
use crate::tables::{Guard, Item, Put, PutError, Tables};

/// The text of a webhook event, to be kept sealed.
#[derive(Debug, Clone, Copy)]
pub struct Payload<'a> {
    /// Our id of the event, which the sealed text is bound to.
    pub id: EventId,
    /// The event.
    pub event: &'a EventKey,
    /// Of this text.
    pub fingerprint: Fingerprint,
    /// The text.
    pub text: &'a str,
    /// When it came.
    pub received_at: Timestamp,
}

/// How long event ids are remembered, days.
const EVENT_DAYS: i64 = 35;
/// How long payloads are kept, days: the default of the class `webhook_payload`.
const PAYLOAD_DAYS: i64 = 30;
/// An item holds 400 KB ([quota](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html));
/// this leaves room for names and seal.
const PIECE: usize = 380_000;
/// What a transaction holds.
const MAX_PUTS: usize = 100;
/// More than any webhook body is.
const MAX_PAYLOAD: usize = 2 << 20;

/// The store of a stack: its tables, and its organisations' keys.
#[derive(Debug)]
pub struct Store<T, K> {
    tables: T,
    keyring: Keyring<K>,
    entropy: Entropy,
}

#[derive(Serialize, Deserialize)]
struct DataKeyItem {
    id: ByteBuf,
    newest: u32,
    wrapped: ByteBuf,
    check: ByteBuf,
    older: Vec<ByteBuf>,
}

#[derive(Serialize, Deserialize)]
struct PieceItem {
    sealed: ByteBuf,
    pieces: usize,
    expires_at: i64,
}

impl<T: Tables, K: KeyService> Store<T, K> {
    /// A store on these tables, whose organisations' keys `service` unwraps.
    pub fn new(tables: T, service: K, entropy: Entropy) -> Self {
        Self { tables, keyring: Keyring::new(service, Limits::default()), entropy }
    }

    /// The rows of those names, each with its version; `None` where there is none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn read(
        &self,
        org: &OrgId,
        names: Vec<RowKey>,
    ) -> Result<Vec<(RowKey, Option<(Row, u64)>)>, StoreError> {
        let rows = self.read_many(names.into_iter().map(|name| (*org, name)).collect()).await?;
        rows.into_iter().map(|((_, name), row)| row.map(|row| (name, row))).collect()
    }

    /// [`Store::read`] for rows of several organisations in one request: those of the messages of one batch, some of
    /// them perhaps named by several messages. A row that cannot be read is an error of its own and hinders no other.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn read_many(&self, names: Vec<(OrgId, RowKey)>) -> Result<Vec<NamedRow>, StoreError> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let keys = names.iter().map(|(org, name)| keys::row(org, name)).collect();
        let found = self.tables.get(keys).await?;
        let row = |(org, name): (OrgId, RowKey)| {
            let stored = found.get(&keys::row(&org, &name)).cloned();
            let row = stored.map(|item| items::to_row(&name, item)).transpose();
            ((org, name), row)
        };
        Ok(names.into_iter().map(row).collect())
    }

    /// Writes what `book` changed, the payload and the audit events, all or nothing, if every row is still as it was read.
    ///
    /// # Errors
    /// [`CommitError`].
    pub async fn commit(
        &self,
        org: &OrgId,
        book: &Book,
        payload: Option<Payload<'_>>,
        audit: &[AuditEvent],
        now: Timestamp,
    ) -> Result<(), CommitError> {
        let needs_key = payload.is_some() || book.changes().any(|(_, row, _)| items::needs_key(row));
        let puts = |sealer: Option<&Sealer<'_>>| puts(org, book, payload, audit, sealer);
        let puts = if needs_key {
            self.with_keys(org, now, |keys| puts(Some(&Sealer { keys, entropy: self.entropy }))).await?
        } else {
            puts(None)?
        };
        if puts.len() > MAX_PUTS {
            return Err(StoreError::TooManyRows(puts.len()).into());
        }
        Ok(self.tables.put_all(puts).await?)
    }

    /// The text of an event's payload; `None` if it is not, or no longer, kept.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn payload(
        &self,
        org: &OrgId,
        id: EventId,
        event: &EventKey,
        fingerprint: Fingerprint,
        now: Timestamp,
    ) -> Result<Option<String>, StoreError> {
        let key = |n| keys::payload(org, event, fingerprint, n);
        let mut sealed = Vec::new();
        let mut pieces = 1;
        while sealed.len() < pieces {
            let key = key(sealed.len());
            let Some(item) = self.tables.get(vec![key.clone()]).await?.remove(&key) else { return Ok(None) };
            let piece: PieceItem = items::from_item(item)?;
            if piece.expires_at <= now.as_second() {
                return Ok(None);
            }
            pieces = piece.pieces;
            sealed.push(piece.sealed);
        }
        let open = |keys: &OrganisationKeys| {
            let mut packed = Vec::new();
            for (n, sealed) in sealed.iter().enumerate() {
                let (record, field) = piece_place(id, n);
                packed.extend(items::open(keys, &Place { record: &record, field: &field }, sealed)?);
            }
            inflate(&packed).ok_or_else(|| StoreError::Corrupt("a payload does not unpack".to_owned()))
        };
        self.with_keys(org, now, open).await.map(Some)
    }

    /// Makes an organisation's data key, unless it has one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn create_data_key(&self, org: &OrgId, service: &K) -> Result<(), StoreError> {
        let wrapped = WrappedKeys::create(service, &org.to_string(), KeyId::new(bytes_of(org))).await?;
        let stored = DataKeyItem {
            id: ByteBuf::from(wrapped.newest.key.id.as_bytes().to_vec()),
            newest: wrapped.newest.key.version,
            wrapped: ByteBuf::from(wrapped.newest.wrapped),
            check: ByteBuf::from(wrapped.newest.check.to_vec()),
            older: wrapped.older.into_iter().map(|sealed| ByteBuf::from(sealed.into_bytes())).collect(),
        };
        let item = items::framed(items::item(&stored)?, "data_key", 1);
        match self.tables.put_all(vec![Put { key: keys::data_key(org), item, guard: Guard::Absent }]).await {
            Ok(()) | Err(PutError::Conflict) => Ok(()),
            Err(PutError::Store(error)) => Err(error),
        }
    }

    /// The organisation's keys, unwrapped; from memory for up to 5 minutes, unless they are `stale`.
    async fn keys(
        &self,
        org: &OrgId,
        now: Timestamp,
        stale: Option<&Arc<OrganisationKeys>>,
    ) -> Result<Arc<OrganisationKeys>, StoreError> {
        let load = || async {
            let key = keys::data_key(org);
            let found = self.tables.get(vec![key.clone()]).await.map_err(as_key_failure)?.remove(&key);
            let item = found.ok_or_else(|| KeyFailure::refused("the organisation has no data key"))?;
            wrapped_keys(item).map_err(as_key_failure)
        };
        Ok(match stale {
            None => self.keyring.get(&org.to_string(), SystemTime::from(now), load).await?,
            Some(stale) => self.keyring.renew(&org.to_string(), stale, SystemTime::from(now), load).await?,
        })
    }

    /// Does work with the organisation's keys; once more with keys just fetched, if they were rotated meanwhile.
    async fn with_keys<R>(
        &self,
        org: &OrgId,
        now: Timestamp,
        work: impl Fn(&OrganisationKeys) -> Result<R, StoreError>,
    ) -> Result<R, StoreError> {
        let keys = self.keys(org, now, None).await?;
        match work(&keys) {
            Err(StoreError::Sealed(plixo_envelope::Error::UnknownKey(_))) => {
                work(&*self.keys(org, now, Some(&keys)).await?)
            }
            done => done,
        }
    }

    /// An invoice's lines and memo.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open_body(
        &self,
        org: &OrgId,
        invoice: &Invoice,
        now: Timestamp,
    ) -> Result<InvoiceBody, StoreError> {
        match &invoice.body {
            Private::Plain(body) => Ok(body.clone()),
            Private::Sealed(sealed) => {
                self.with_keys(org, now, |keys| items::open_body(keys, &invoice.id, sealed)).await
            }
        }
    }

    /// A customer's personal data.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open_personal(
        &self,
        org: &OrgId,
        customer: &Customer,
        now: Timestamp,
    ) -> Result<Personal, StoreError> {
        self.with_keys(org, now, |keys| items::open_personal(keys, customer)).await
    }

    /// Who paid, as far as it is known.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open_payer(
        &self,
        org: &OrgId,
        payment: &Payment,
        now: Timestamp,
    ) -> Result<Payer, StoreError> {
        match &payment.payer {
            None => Ok(Payer::default()),
            Some((_, Private::Plain(payer))) => Ok(payer.clone()),
            Some((_, Private::Sealed(sealed))) => {
                self.with_keys(org, now, |keys| items::open_payer(keys, &payment.id, sealed)).await
            }
        }
    }
}

/// A row with its organisation and name; `None` where there is none.
pub type NamedRow = ((OrgId, RowKey), Result<Option<(Row, u64)>, StoreError>);

fn as_key_failure(error: StoreError) -> KeyFailure {
    if error.is_passing() { KeyFailure::retryable(error) } else { KeyFailure::refused(error) }
}

fn wrapped_keys(item: Item) -> Result<WrappedKeys, StoreError> {
    let stored: DataKeyItem = items::from_item(item)?;
    let id: [u8; 16] = array(&stored.id)?;
    let older = stored.older.into_iter().map(|sealed| Sealed::try_from(sealed.into_vec()));
    Ok(WrappedKeys {
        newest: WrappedKey {
            key: KeyRef { id: KeyId::new(id), version: stored.newest },
            wrapped: stored.wrapped.into_vec(),
            check: array(&stored.check)?,
        },
        older: older.collect::<Result<_, _>>()?,
    })
}

fn array<const N: usize>(bytes: &[u8]) -> Result<[u8; N], StoreError> {
    bytes.try_into().map_err(|_| StoreError::Corrupt("a field of the wrong length".to_owned()))
}

fn puts(
    org: &OrgId,
    book: &Book,
    payload: Option<Payload<'_>>,
    audit: &[AuditEvent],
    sealer: Option<&Sealer<'_>>,
) -> Result<Vec<Put>, StoreError> {
    let mut puts = Vec::new();
    for (name, row, version) in book.changes() {
        let guard = version.map_or(Guard::Absent, Guard::Version);
        let mut item = items::of_row(row, version.unwrap_or(0).saturating_add(1), sealer)?;
        if let Row::WebhookEvent(event) = row {
            item.extend(expiry(event.received_at, EVENT_DAYS)?);
        }
        puts.push(Put { key: keys::row(org, name), item, guard });
    }
    if let (Some(payload), Some(sealer)) = (payload, sealer) {
        puts.extend(pieces(org, &payload, sealer)?);
    }
    for event in audit {
        let item = items::framed(items::item(event)?, "audit_event", 1);
        puts.push(Put { key: keys::audit(org, event), item, guard: Guard::Absent });
    }
    Ok(puts)
}

fn expiry(from: Timestamp, days: i64) -> Result<Item, StoreError> {
    #[derive(Serialize)]
    struct Expiry {
        expires_at: i64,
    }
    items::item(&Expiry { expires_at: expires_at(from, days)? })
}

fn expires_at(from: Timestamp, days: i64) -> Result<i64, StoreError> {
    let hours = Span::new().try_hours(days.saturating_mul(24));
    let at = hours
        .and_then(|span| from.checked_add(span))
        .map_err(|error| StoreError::Corrupt(error.to_string()))?;
    Ok(at.as_second())
}

fn pieces(org: &OrgId, payload: &Payload<'_>, sealer: &Sealer<'_>) -> Result<Vec<Put>, StoreError> {
    let compressed = lz4_flex::block::compress_prepend_size(payload.text.as_bytes());
    let expires_at = expires_at(payload.received_at, PAYLOAD_DAYS)?;
    let pieces = compressed.chunks(PIECE);
    let count = pieces.len();
    let piece = |(n, piece): (usize, &[u8])| {
        let (record, field) = piece_place(payload.id, n);
        let sealed = sealer.seal(&Place { record: &record, field: &field }, piece)?;
        let item = items::item(&PieceItem { sealed, pieces: count, expires_at })?;
        let key = keys::payload(org, payload.event, payload.fingerprint, n);
        Ok(Put { key, item: items::framed(item, "payload", 1), guard: Guard::Absent })
    };
    pieces.enumerate().map(piece).collect()
}

fn piece_place(id: EventId, n: usize) -> (String, String) {
    (id.to_string(), format!("payload#{n}"))
}

fn inflate(compressed: &[u8]) -> Option<String> {
    let (size, block) = lz4_flex::block::uncompressed_size(compressed).ok()?;
    if size > MAX_PAYLOAD {
        return None;
    }
    String::from_utf8(lz4_flex::block::decompress(block, size).ok()?).ok()
}
