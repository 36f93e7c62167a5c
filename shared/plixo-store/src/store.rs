//! Read rows, commit what a book changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use futures::future::try_join_all;
use jiff::{SignedDuration, Span, Timestamp};
use plixo_domain::answer::{ANSWER_HOURS, Answer};
use plixo_domain::audit::AuditEvent;
use plixo_domain::hold::LegalHold;
use plixo_domain::id::{CustomerId, EventId, InvoiceId, OrgId, bytes_of};
use plixo_domain::ledger::{
    Book, Countable, Customer, Invoice, InvoiceBody, Payer, Payment, Personal, Private, Row, RowKey,
};
use plixo_domain::people::{Member, UserId};
use plixo_domain::privacy::PrivacyRequest;
use plixo_domain::webhook::{EventKey, Fingerprint, WebhookEvent};
use plixo_envelope::{
    KeyFailure, KeyId, KeyRef, KeyService, Keyring, Limits, MAX_AGE, OrganisationKeys, Place, Sealed,
    WrappedKey, WrappedKeys,
};
use serde::{Deserialize, Serialize};
use serde_with::base64::Base64;
use serde_with::serde_as;

use crate::error::{CommitError, NoDataKey, StoreError};
use crate::items::{self, CustomerKeys, Entropy, Sealer};
use crate::keys::{self, List};
use crate::people::{self, Standing};
use crate::tables::{Act, Guard, Index, Item, Key, Range, Table, Tables, Write, WriteError};

/// Which part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// After this place, as [`Listed::next`] named it.
    pub after: Option<String>,
    /// The last first.
    pub descending: bool,
    /// At most so many, at least one.
    pub limit: usize,
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The rows, each with its version.
    pub rows: Vec<(Row, u64)>,
    /// Where the next part begins; `None` at the end.
    pub next: Option<String>,
}

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

/// A payload that is found without its event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldPayload {
    /// Where its pieces are.
    pub pieces: Vec<Key>,
    /// Our id of its event, where that was noted with it.
    pub id: Option<EventId>,
    /// Its text, as far as the id says how it opens.
    pub text: Option<String>,
}

/// How long event ids are remembered, days.
const EVENT_DAYS: i64 = 35;
/// An item holds 400 KB ([quota](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html));
/// this leaves room for names and seal.
const PIECE: usize = 380_000;
/// What a transaction holds.
const MAX_WRITES: usize = 100;
/// How many customers' keys are kept in memory: some 200 KB.
const MAX_REMEMBERED: usize = 1_000;
/// More than any webhook body is.
const MAX_PAYLOAD: usize = 2 << 20;
/// As many pieces as that becomes, where it does not get smaller.
const MAX_PIECES: usize = MAX_PAYLOAD / PIECE + 2;

/// The store of a stack: its tables, and its organisations' keys.
#[derive(Debug)]
pub struct Store<T, K> {
    pub(crate) tables: T,
    keyring: Keyring<K>,
    entropy: Entropy,
    remembered: Mutex<Remembered>,
}

/// Customers' wrapped keys, for sealing.
type Remembered = BTreeMap<(OrgId, CustomerId), Kept>;

#[derive(Debug)]
struct Kept {
    at: Timestamp,
    key: Vec<u8>,
}

impl Kept {
    fn fresh(&self, now: Timestamp) -> Option<Vec<u8>> {
        let age = self.at.duration_until(now).unsigned_abs();
        (age < MAX_AGE).then(|| self.key.clone())
    }
}

#[serde_as]
#[derive(Serialize, Deserialize)]
struct DataKeyItem {
    #[serde_as(as = "Base64")]
    id: [u8; 16],
    newest: u32,
    #[serde_as(as = "Base64")]
    wrapped: Vec<u8>,
    #[serde_as(as = "Base64")]
    check: [u8; 32],
    #[serde_as(as = "Vec<Base64>")]
    older: Vec<Vec<u8>>,
}

#[derive(Serialize, Deserialize)]
struct PieceItem {
    pieces: usize,
    /// By which it opens, also when its event is remembered no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    event: Option<EventId>,
}

/// A payload as it is stored: its pieces, each with what is sealed in it, and its event's id.
type StoredPieces = (Vec<(Key, Vec<u8>)>, Option<EventId>);

/// The attribute of a payload's sealed bytes: as text they would be a third longer.
const SEALED: &str = "sealed";
/// The attribute that DynamoDB's time to live looks at, Unix seconds.
const EXPIRES_AT: &str = "expires_at";

impl<T: Tables, K: KeyService> Store<T, K> {
    /// A store on these tables, whose organisations' keys `service` unwraps.
    pub fn new(tables: T, service: K, entropy: Entropy) -> Self {
        Self {
            tables,
            keyring: Keyring::new(service, Limits::default()),
            entropy,
            remembered: Mutex::default(),
        }
    }

    /// The tables, for jobs.
    pub fn tables(&self) -> &T {
        &self.tables
    }

    /// The rows of those names, each with its version; `None` where there is none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn read(&self, org: &OrgId, names: Vec<RowKey>) -> Result<Vec<StoredRow>, StoreError> {
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
        let keys: Vec<Key> = names.iter().map(|(org, name)| keys::row(org, name)).collect();
        let found = self.tables.get(keys.clone()).await?;
        let row = |((org, name), key): ((OrgId, RowKey), &Key)| {
            let row = found.get(key).map(|item| items::to_named_row(&name, item)).transpose();
            ((org, name), row)
        };
        Ok(names.into_iter().zip(&keys).map(row).collect())
    }

    /// [`Store::read`], and in the same request how the session stands in which somebody asks.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn read_with_standing(
        &self,
        org: &OrgId,
        names: Vec<RowKey>,
        user: &UserId,
        session: &str,
        now: Timestamp,
    ) -> Result<(Vec<StoredRow>, Standing), StoreError> {
        let keys: Vec<Key> = names.iter().map(|name| keys::row(org, name)).collect();
        let mut wanted = keys.clone();
        wanted.extend(people::standing_keys(user, session));
        let found = self.tables.get(wanted).await?;
        let standing = Standing::read(&found, user, session, now)?;
        let row = |(name, key): (RowKey, &Key)| {
            let row = found.get(key).map(|item| items::to_named_row(&name, item)).transpose()?;
            Ok((name, row))
        };
        let rows = names.into_iter().zip(&keys).map(row).collect::<Result<_, StoreError>>()?;
        Ok((rows, standing))
    }

    /// A page of a list. Lists follow the rows with some delay; the rows themselves are as of now, and one that is gone, or no
    /// longer of the list, or whose time was over at `now`, is left out.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list(
        &self,
        org: &OrgId,
        list: &List,
        page: Page,
        now: Timestamp,
    ) -> Result<Listed, StoreError> {
        let (table, index, partition) = list.place(org);
        let range = Range {
            table,
            index,
            partition,
            from: None,
            to: None,
            descending: page.descending,
            limit: page.limit.saturating_add(2),
        };
        let range = match page.after.clone() {
            Some(after) if page.descending => Range { to: Some(after), ..range },
            after => Range { from: after, ..range },
        };
        let mut places = self.tables.range(range).await?;
        // The range begins with the place itself.
        places.retain(|(at, _)| Some(at) != page.after.as_ref());
        let next = places.get(page.limit.saturating_sub(1)).filter(|_| places.len() > page.limit);
        let next = next.map(|(at, _)| at.clone());
        places.truncate(page.limit);
        let mut found = self.tables.get(places.iter().map(|(_, key)| key.clone()).collect()).await?;
        let mut rows = Vec::with_capacity(places.len());
        for (at, key) in places {
            let Some(item) = found.remove(&key) else { continue };
            if is_over(&item, now)? {
                continue;
            }
            let (row, version) = items::to_row(&item)?;
            if keys::lists(&row).contains(&(list.clone(), at)) {
                rows.push((row, version));
            }
        }
        Ok(Listed { rows, next })
    }

    /// The invoices or payments of a list, by name and as far as lists know by now: those after a place, up to `limit`, and the
    /// place of the last one. A row that cannot be read is among them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn countables(
        &self,
        org: &OrgId,
        list: &List,
        after: Option<String>,
        limit: usize,
    ) -> Result<(Vec<Countable>, Option<String>), StoreError> {
        let (table, index, partition) = list.place(org);
        let (from, most) = (after.clone(), limit.saturating_add(1));
        let range = Range { table, index, partition, from, to: None, descending: false, limit: most };
        let mut places = self.tables.range(range).await?;
        // The range begins with the place itself.
        places.retain(|(at, _)| Some(at) != after.as_ref());
        places.truncate(limit);
        let last = places.last().map(|(at, _)| at.clone());
        let named = |(_, key): &(String, Key)| Some(keys::countable(&key.pk, &key.sk)?.1);
        Ok((places.iter().filter_map(named).collect(), last))
    }

    /// The invoices of a list of what is owed, each with its customer, earliest due first and as far as lists know by now: up to
    /// `limit`, and whether there are more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn owed(
        &self,
        org: &OrgId,
        list: &List,
        limit: usize,
    ) -> Result<(Vec<(InvoiceId, CustomerId)>, bool), StoreError> {
        let (table, index, partition) = list.place(org);
        let limit_and_one = limit.saturating_add(1);
        let range =
            Range { table, index, partition, from: None, to: None, descending: false, limit: limit_and_one };
        let mut places = self.tables.range(range).await?;
        let more = places.len() > limit;
        places.truncate(limit);
        let owed = |(at, key): (String, Key)| match keys::countable(&key.pk, &key.sk) {
            Some((_, Countable::Invoice(invoice))) => {
                Some((invoice, list.customer().or_else(|| keys::customer_at(&at))?))
            }
            _ => None,
        };
        let owed: Option<Vec<_>> = places.into_iter().map(owed).collect();
        let owed = owed.ok_or_else(|| StoreError::Corrupt("a place that names no invoice".to_owned()))?;
        Ok((owed, more))
    }

    /// How many rows a list has, as far as lists know by now: up to `most`, and whether there are more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn count(&self, org: &OrgId, list: &List, most: usize) -> Result<(usize, bool), StoreError> {
        let (table, index, partition) = list.place(org);
        let limit = most.saturating_add(1);
        let range = Range { table, index, partition, from: None, to: None, descending: false, limit };
        let found = self.tables.range(range).await?.len();
        Ok((found.min(most), found > most))
    }

    /// The version of a row, whether or not the rest of it can be read; `None` where there is no row.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn version(&self, org: &OrgId, name: &RowKey) -> Result<Option<u64>, StoreError> {
        let key = keys::row(org, name);
        let found = self.tables.get(vec![key.clone()]).await?;
        found.get(&key).map(|item| items::number(item, "version")).transpose()
    }

    /// The row at one place of a list, with its version, unless its time was over at `now`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find(
        &self,
        org: &OrgId,
        list: &List,
        at: &str,
        now: Timestamp,
    ) -> Result<Option<(Row, u64)>, StoreError> {
        let (table, index, partition) = list.place(org);
        let (from, to) = (Some(at.to_owned()), Some(at.to_owned()));
        let range = Range { table, index, partition, from, to, descending: false, limit: 1 };
        let Some((_, key)) = self.tables.range(range).await?.pop() else { return Ok(None) };
        let Some(item) = self.tables.get(vec![key.clone()]).await?.remove(&key) else { return Ok(None) };
        if is_over(&item, now)? {
            return Ok(None);
        }
        let (row, version) = items::to_row(&item)?;
        let listed = keys::lists(&row).contains(&(list.clone(), at.to_owned()));
        Ok(listed.then_some((row, version)))
    }

    /// The organisations that a person is in, up to 100.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn organisations_of(&self, user: &UserId) -> Result<Vec<OrgId>, StoreError> {
        self.organisations_after(user, None, 100).await
    }

    /// The organisations that a person is in, by their ids, those that come after one of them, up to `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn organisations_after(
        &self,
        user: &UserId,
        after: Option<&OrgId>,
        limit: usize,
    ) -> Result<Vec<OrgId>, StoreError> {
        let range = Range {
            table: Table::People,
            index: Index::Primary,
            partition: keys::user_partition(user),
            from: Some(after.map_or_else(|| "org#".to_owned(), |org| format!("org#{org}"))),
            to: Some("org#~".to_owned()),
            descending: false,
            limit: limit.saturating_add(1),
        };
        let found = self.tables.range(range).await?;
        let ids = found.iter().filter_map(|(at, _)| at.strip_prefix("org#")?.parse().ok());
        // The range begins with the place itself.
        Ok(ids.filter(|id| Some(id) != after).take(limit).collect())
    }

    /// How the session stands in which somebody asks.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn standing(
        &self,
        user: &UserId,
        session: &str,
        now: Timestamp,
    ) -> Result<Standing, StoreError> {
        let found = self.tables.get(people::standing_keys(user, session).to_vec()).await?;
        Standing::read(&found, user, session, now)
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
        self.commit_with(org, book, payload, Vec::new(), audit, now).await
    }

    /// [`Store::commit`] with further writes.
    pub(crate) async fn commit_with(
        &self,
        org: &OrgId,
        book: &Book,
        payload: Option<Payload<'_>>,
        further: Vec<Write>,
        audit: &[AuditEvent],
        now: Timestamp,
    ) -> Result<(), CommitError> {
        let needs_key = payload.is_some()
            || book.changes().any(|(_, row, _)| items::needs_key(row))
            || audit.iter().any(|event| items::private_origin(event).is_some());
        let customers = self.customer_keys_to_seal(org, audit, now).await?;
        let writes = |sealer: Option<&Sealer<'_>>| writes(org, book, payload, (audit, &customers), sealer);
        let mut writes = if needs_key {
            self.with_keys(org, now, |keys| writes(Some(&Sealer { keys, entropy: self.entropy }))).await?
        } else {
            writes(None)?
        };
        writes.extend(further);
        if writes.len() > MAX_WRITES {
            return Err(StoreError::TooManyRows(writes.len()).into());
        }
        Ok(self.tables.write_all(writes).await?)
    }

    /// [`Self::commit`], and in the same transaction takes the payloads of these events away, each of which is there. It is a
    /// conflict where one is gone already. At most [`MOST_PAYLOADS`](Self::MOST_PAYLOADS).
    ///
    /// # Errors
    /// [`CommitError`].
    pub async fn delete_payloads(
        &self,
        org: &OrgId,
        book: &Book,
        events: &[WebhookEvent],
        audit: &[AuditEvent],
        now: Timestamp,
    ) -> Result<(), CommitError> {
        let piece = |event: &WebhookEvent, n| {
            let key = keys::payload(org, &event.key, event.fingerprint, n);
            let guard = if n == 0 { Guard::Version(1) } else { Guard::Anything };
            Write { key, act: Act::Delete, guard }
        };
        let gone = events.iter().flat_map(|event| (0..MAX_PIECES).map(move |n| piece(event, n)));
        self.commit_with(org, book, None, gone.collect(), audit, now).await
    }

    /// So many payloads are taken away at once.
    pub const MOST_PAYLOADS: usize = 10;

    /// The text of an event's payload; `None` if it is not, or no longer, kept. [`Store::payload_shown`] is for whoever shows it.
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
        let first = keys::payload(org, event, fingerprint, 0);
        match self.stored_pieces(&first).await? {
            Some((pieces, _)) => self.open_pieces(org, id, &pieces, now).await.map(Some),
            None => Ok(None),
        }
    }

    /// A payload by its first piece; `None` if it is not, or no longer, kept.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn old_payload(
        &self,
        org: &OrgId,
        first: &Key,
        now: Timestamp,
    ) -> Result<Option<OldPayload>, StoreError> {
        let Some((pieces, id)) = self.stored_pieces(first).await? else { return Ok(None) };
        let text = match id {
            Some(id) => match self.open_pieces(org, id, &pieces, now).await {
                Ok(text) => Some(text),
                Err(StoreError::Sealed(_) | StoreError::Corrupt(_)) => None,
                Err(error) => return Err(error),
            },
            None => None,
        };
        Ok(Some(OldPayload { pieces: pieces.into_iter().map(|(key, _)| key).collect(), id, text }))
    }

    /// What is stored of the payload that begins with that piece, if all of it is there.
    async fn stored_pieces(&self, first: &Key) -> Result<Option<StoredPieces>, StoreError> {
        let (mut pieces, mut event, mut count) = (Vec::new(), None, 1);
        while pieces.len() < count {
            let key = keys::piece(first, pieces.len());
            let Some(mut item) = self.tables.get(vec![key.clone()]).await?.remove(&key) else {
                return Ok(None);
            };
            let stored: PieceItem = items::from_item(&item)?;
            (count, event) = (stored.pieces, stored.event);
            let Some(AttributeValue::B(piece)) = item.remove(SEALED) else {
                return Err(StoreError::Corrupt("a payload without its text".to_owned()));
            };
            pieces.push((key, piece.into_inner()));
        }
        Ok(Some((pieces, event)))
    }

    async fn open_pieces(
        &self,
        org: &OrgId,
        id: EventId,
        pieces: &[(Key, Vec<u8>)],
        now: Timestamp,
    ) -> Result<String, StoreError> {
        let open = |keys: &OrganisationKeys| {
            let mut packed = Vec::new();
            for (n, (_, sealed)) in pieces.iter().enumerate() {
                let (record, field) = piece_place(id, n);
                packed.extend(items::open(keys, &Place { record: &record, field: &field }, sealed)?);
            }
            inflate(&packed).ok_or_else(|| StoreError::Corrupt("a payload does not unpack".to_owned()))
        };
        self.with_keys(org, now, open).await
    }

    /// Events that came at that time or before are remembered no more.
    #[must_use]
    pub fn remembered_since(now: Timestamp) -> Timestamp {
        now.saturating_sub(SignedDuration::from_hours(EVENT_DAYS * 24)).unwrap_or(Timestamp::MIN)
    }

    /// Writes audit events that go with no change, of several organisations, all or none. At most 100.
    ///
    /// # Errors
    /// [`CommitError`].
    pub async fn append(&self, events: &[(OrgId, AuditEvent)], now: Timestamp) -> Result<(), CommitError> {
        if events.is_empty() {
            return Ok(());
        }
        // Those of several organisations are fetched at once.
        let write = async |(org, event): &(OrgId, AuditEvent)| {
            let (events, none) = (std::slice::from_ref(event), Book::default());
            let seal = |keys: &OrganisationKeys| {
                let sealer = Sealer { keys, entropy: self.entropy };
                writes(org, &none, None, (events, &CustomerKeys::new()), Some(&sealer))
            };
            if items::private_origin(event).is_some() {
                self.with_keys(org, now, seal).await
            } else {
                writes(org, &none, None, (events, &CustomerKeys::new()), None)
            }
        };
        let writes = try_join_all(events.iter().map(write)).await?.concat();
        Ok(self.tables.write_all(writes).await?)
    }

    /// [`Store::customer_keys`], from memory for up to 5 minutes. Of a customer that was erased meanwhile, what is sealed under
    /// its key from memory opens for nobody.
    async fn customer_keys_to_seal(
        &self,
        org: &OrgId,
        audit: &[AuditEvent],
        now: Timestamp,
    ) -> Result<CustomerKeys, StoreError> {
        let customers: BTreeSet<_> = audit.iter().filter_map(|event| event.customer).collect();
        let known = |cached: &Remembered| {
            let known = customers.iter().filter_map(|of| Some((*of, cached.get(&(*org, *of))?.fresh(now)?)));
            known.collect::<CustomerKeys>()
        };
        let cached = known(&self.remembered.lock().unwrap_or_else(PoisonError::into_inner));
        if cached.len() == customers.len() {
            return Ok(cached);
        }
        let found = self.customer_keys(org, audit).await?;
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.retain(|_, kept| kept.fresh(now).is_some());
        if remembered.len() < MAX_REMEMBERED {
            let kept = |(of, key): (&CustomerId, &Vec<u8>)| ((*org, *of), Kept { at: now, key: key.clone() });
            remembered.extend(found.iter().map(kept));
        }
        Ok(found)
    }

    /// The wrapped keys of the customers whose people acted, as far as they have one.
    async fn customer_keys(&self, org: &OrgId, audit: &[AuditEvent]) -> Result<CustomerKeys, StoreError> {
        let customers: BTreeSet<_> = audit.iter().filter_map(|event| event.customer).collect();
        let rows = self.read(org, customers.into_iter().map(RowKey::Customer).collect()).await?;
        let key = |(_, row): StoredRow| match row {
            Some((Row::Customer(customer), _)) => Some((customer.id, customer.key?)),
            _ => None,
        };
        Ok(rows.into_iter().filter_map(key).collect())
    }

    /// Audit events with their origins opened; sealed stay those whose customer's key is gone.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open_origins(
        &self,
        org: &OrgId,
        mut events: Vec<AuditEvent>,
        now: Timestamp,
    ) -> Result<Vec<AuditEvent>, StoreError> {
        let is_sealed = |event: &AuditEvent| matches!(event.origin, Private::Sealed(_));
        if !events.iter().any(is_sealed) {
            return Ok(events);
        }
        let customers = self.customer_keys(org, &events).await?;
        let open = |keys: &OrganisationKeys| {
            let opened = events.iter().map(|event| match &event.origin {
                Private::Sealed(sealed) => items::open_origin(keys, event, sealed, &customers),
                Private::Plain(_) => Ok(None),
            });
            opened.collect::<Result<Vec<_>, _>>()
        };
        let opened = self.with_keys(org, now, open).await?;
        for (event, opened) in events.iter_mut().zip(opened) {
            if let Some(origin) = opened {
                event.origin = Private::Plain(origin);
            }
        }
        Ok(events)
    }

    /// Writes what makes an organisation: its data key, its first rows and the audit events, all or nothing.
    ///
    /// # Errors
    /// [`CommitError`].
    pub async fn found(
        &self,
        org: &OrgId,
        service: &K,
        book: &Book,
        audit: &[AuditEvent],
    ) -> Result<(), CommitError> {
        let wrapped = WrappedKeys::create(service, &org.to_string(), KeyId::new(bytes_of(org))).await;
        let wrapped = wrapped.map_err(StoreError::from)?;
        // What is sealed under the key is stored together with it, or not at all.
        let keys = wrapped.unlock(service, &org.to_string()).await.map_err(StoreError::from)?;
        let sealer = Sealer { keys: &keys, entropy: self.entropy };
        let mut writes = writes(org, book, None, (audit, &CustomerKeys::new()), Some(&sealer))?;
        writes.push(data_key_write(org, wrapped)?);
        Ok(self.tables.write_all(writes).await?)
    }

    /// Makes an organisation's data key, unless it has one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn create_data_key(&self, org: &OrgId, service: &K) -> Result<(), StoreError> {
        let wrapped = WrappedKeys::create(service, &org.to_string(), KeyId::new(bytes_of(org))).await?;
        match self.tables.write_all(vec![data_key_write(org, wrapped)?]).await {
            Ok(()) | Err(WriteError::Conflict) => Ok(()),
            Err(WriteError::Store(error)) => Err(error),
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
            let item = found.ok_or_else(|| KeyFailure::refused(NoDataKey))?;
            wrapped_keys(&item).map_err(as_key_failure)
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

    /// A member's email.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open_email(
        &self,
        org: &OrgId,
        member: &Member,
        now: Timestamp,
    ) -> Result<String, StoreError> {
        self.open_text(org, &member.email, &member.id.to_string(), "email", now).await
    }

    /// The body of a remembered answer.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open_answer(
        &self,
        org: &OrgId,
        answer: &Answer,
        now: Timestamp,
    ) -> Result<String, StoreError> {
        self.open_text(org, &answer.body, &answer.key.0, "answer", now).await
    }

    /// Why a legal hold was placed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open_hold_reason(
        &self,
        org: &OrgId,
        hold: &LegalHold,
        now: Timestamp,
    ) -> Result<String, StoreError> {
        self.open_text(org, &hold.reason, &hold.id.to_string(), "reason", now).await
    }

    /// Why a privacy request was refused, if it was.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open_refusal(
        &self,
        org: &OrgId,
        request: &PrivacyRequest,
        now: Timestamp,
    ) -> Result<Option<String>, StoreError> {
        let Some(refused) = &request.refused else { return Ok(None) };
        self.open_text(org, &refused.reason, &request.id.to_string(), "reason", now).await.map(Some)
    }

    async fn open_text(
        &self,
        org: &OrgId,
        text: &Private<String>,
        record: &str,
        field: &str,
        now: Timestamp,
    ) -> Result<String, StoreError> {
        let sealed = match text {
            Private::Plain(text) => return Ok(text.clone()),
            Private::Sealed(sealed) => sealed,
        };
        let open = |keys: &OrganisationKeys| items::open(keys, &Place { record, field }, sealed);
        let bytes = self.with_keys(org, now, open).await?;
        String::from_utf8(bytes).map_err(|_| StoreError::Corrupt("an opened field is no text".to_owned()))
    }

    /// The keyed hash of a text, for that purpose: nobody without the organisation's key can make it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn keyed_hash(
        &self,
        org: &OrgId,
        purpose: &str,
        text: &str,
        now: Timestamp,
    ) -> Result<[u8; 32], StoreError> {
        self.with_keys(org, now, |keys| Ok(keys.lookup_key(purpose)?.hash(text))).await
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

/// A row with its name and version; `None` where there is none.
pub type StoredRow = (RowKey, Option<(Row, u64)>);

/// A row with its organisation and name; `None` where there is none.
pub type NamedRow = ((OrgId, RowKey), Result<Option<(Row, u64)>, StoreError>);

fn as_key_failure(error: StoreError) -> KeyFailure {
    if error.is_passing() { KeyFailure::retryable(error) } else { KeyFailure::refused(error) }
}

fn data_key_write(org: &OrgId, wrapped: WrappedKeys) -> Result<Write, StoreError> {
    let stored = DataKeyItem {
        id: *wrapped.newest.key.id.as_bytes(),
        newest: wrapped.newest.key.version,
        wrapped: wrapped.newest.wrapped,
        check: wrapped.newest.check,
        older: wrapped.older.into_iter().map(Sealed::into_bytes).collect(),
    };
    let item = items::framed(items::item(&stored)?, "data_key", 1);
    Ok(Write { key: keys::data_key(org), act: Act::Put(item), guard: Guard::Absent })
}

fn audit_write(
    org: &OrgId,
    event: &AuditEvent,
    customers: &CustomerKeys,
    sealer: Option<&Sealer<'_>>,
) -> Result<Write, StoreError> {
    let mut item = items::of_audit_event(event, customers, sealer)?;
    item.extend(keys::audit_places(org, event));
    Ok(Write { key: keys::audit(org, event), act: Act::Put(item), guard: Guard::Absent })
}

fn wrapped_keys(item: &Item) -> Result<WrappedKeys, StoreError> {
    let stored: DataKeyItem = items::from_item(item)?;
    let older = stored.older.into_iter().map(Sealed::try_from);
    Ok(WrappedKeys {
        newest: WrappedKey {
            key: KeyRef { id: KeyId::new(stored.id), version: stored.newest },
            wrapped: stored.wrapped,
            check: stored.check,
        },
        older: older.collect::<Result<_, _>>()?,
    })
}

fn writes(
    org: &OrgId,
    book: &Book,
    payload: Option<Payload<'_>>,
    (audit, customers): (&[AuditEvent], &CustomerKeys),
    sealer: Option<&Sealer<'_>>,
) -> Result<Vec<Write>, StoreError> {
    let mut writes = Vec::new();
    for (name, row, version) in book.changes() {
        let guard = version.map_or(Guard::Absent, Guard::Version);
        let mut item = items::of_row(row, version.unwrap_or(0).saturating_add(1), sealer)?;
        match row {
            Row::WebhookEvent(event) => expire(&mut item, event.received_at, EVENT_DAYS * 24)?,
            Row::Answer(answer) => expire(&mut item, answer.at, ANSWER_HOURS)?,
            Row::Founding(founding) => expire(&mut item, founding.at, ANSWER_HOURS)?,
            _ => {}
        }
        item.extend(keys::places(org, row));
        writes.push(Write { key: keys::row(org, name), act: Act::Put(item), guard });
    }
    for (name, version) in book.checks() {
        let guard = version.map_or(Guard::Absent, Guard::Version);
        writes.push(Write { key: keys::row(org, name), act: Act::Check, guard });
    }
    for (name, version) in book.removals() {
        writes.push(Write { key: keys::row(org, name), act: Act::Delete, guard: Guard::Version(version) });
    }
    if let (Some(payload), Some(sealer)) = (payload, sealer) {
        writes.extend(pieces(org, &payload, sealer)?);
    }
    for event in audit {
        writes.push(audit_write(org, event, customers, sealer)?);
    }
    Ok(writes)
}

/// Whether an item's time is over: DynamoDB takes such items away within days, not at once.
fn is_over(item: &Item, now: Timestamp) -> Result<bool, StoreError> {
    let expires = item.contains_key(EXPIRES_AT);
    Ok(expires && items::number::<i64>(item, EXPIRES_AT)? <= now.as_second())
}

fn expire(item: &mut Item, from: Timestamp, hours: i64) -> Result<(), StoreError> {
    let hours = Span::new().try_hours(hours);
    let at = hours
        .and_then(|span| from.checked_add(span))
        .map_err(|error| StoreError::Corrupt(error.to_string()))?;
    item.insert(EXPIRES_AT.to_owned(), AttributeValue::N(at.as_second().to_string()));
    Ok(())
}

fn pieces(org: &OrgId, payload: &Payload<'_>, sealer: &Sealer<'_>) -> Result<Vec<Write>, StoreError> {
    let compressed = lz4_flex::block::compress_prepend_size(payload.text.as_bytes());
    let pieces = compressed.chunks(PIECE);
    let count = pieces.len();
    let piece = |(n, piece): (usize, &[u8])| {
        let (record, field) = piece_place(payload.id, n);
        let sealed = sealer.seal(&Place { record: &record, field: &field }, piece)?;
        let mut item = items::item(&PieceItem { pieces: count, event: Some(payload.id) })?;
        item.insert(SEALED.to_owned(), AttributeValue::B(Blob::new(sealed)));
        // It has no time of its own: how long it is kept is its organisation's to say, and a legal hold may keep it for longer.
        let key = keys::payload(org, payload.event, payload.fingerprint, n);
        item.extend(keys::payload_places(org, payload.received_at, &record_of(&key)));
        let act = Act::Put(items::framed(item, "payload", 1));
        Ok(Write { key, act, guard: Guard::Absent })
    };
    pieces.enumerate().map(piece).collect()
}

/// What tells a piece from all others.
fn record_of(key: &Key) -> String {
    format!("{}#{}", key.pk, key.sk)
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
