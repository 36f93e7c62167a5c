//! Asking for what was only notified.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use plixo_domain::audit::{Actor, ActorKind, AuditEvent, Object, Outcome};
use plixo_domain::id::{Ids, OrgId, SourceId};
use plixo_domain::ledger::{Book, InvoiceRef, Kept, Payment, Private, Row, RowKey, Witness};
use plixo_domain::source::{DataSource, SourceKind, SourceName};
use plixo_domain::webhook::{EventKey, EventStatus, ExternalId, ExternalRef, Provider};
use plixo_envelope::KeyService;
use plixo_erp::{Answer, Ask, ErpError, Of, ReadErp};
use plixo_lambda::hash::sha256;
use plixo_store::{CommitError, Store, StoreError, Tables};
use plixo_webhooks::canonical::{self, Entity};
use plixo_webhooks::delivery::{Fetch, Which};

/// How long a batch asks ERPs. What is not answered by then comes again.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long after a source was connected the credentials before may still be used.
const SETTLED: SignedDuration = SignedDuration::from_mins(1);

/// What an event of a batch asks for.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) org: OrgId,
    pub(crate) provider: Provider,
    pub(crate) key: EventKey,
    pub(crate) fetch: &'a Fetch,
    /// The request that told of it.
    pub(crate) request_id: &'a str,
}

/// What became of it.
#[derive(Debug, Clone)]
pub(crate) enum Fetched {
    /// The event came before.
    Before,
    /// The ledger knows something newer.
    Known,
    /// This is what the provider has; nothing, where it has no such thing.
    Read(Vec<canonical::Event>),
    /// What it has cannot be used.
    Unusable(String),
    /// It did not answer, and may later.
    Waits(String),
}

/// Of one source and kind: asked for in one go.
type Group = (OrgId, SourceId, SourceKind, ExternalId, Entity);
/// What is asked of each source.
type Questions = BTreeMap<(OrgId, SourceId), Asked>;
/// What was answered of each group.
type Answers<T> = Vec<(Group, Result<T, ErpError>)>;

/// What is asked of a source.
#[derive(Default)]
struct Asked {
    ids: BTreeMap<Group, BTreeSet<String>>,
    since: BTreeMap<Group, Timestamp>,
}

impl Asked {
    async fn ask<E: ReadErp>(
        &self,
        erp: &E,
        until: tokio::time::Instant,
        now: Timestamp,
    ) -> (Answers<HashMap<String, Fetched>>, Answers<(Timestamp, Vec<canonical::Event>)>) {
        let (mut things, mut changes) = (Vec::new(), Vec::new());
        for (group, ids) in &self.ids {
            let ids: Vec<_> = ids.iter().cloned().collect();
            let answer = ask(erp, group, plixo_erp::Which::These(&ids), until, now).await;
            things.push((group.clone(), answer.map(by_id)));
        }
        for (group, since) in &self.since {
            let answer = ask(erp, group, plixo_erp::Which::ChangedSince(*since), until, now).await;
            changes.push((group.clone(), answer.map(|answer| (*since, changed(answer)))));
        }
        (things, changes)
    }
}

/// Asks for all that a batch wants: each thing once, however many events tell of it, and none that the ledger knows something newer
/// of.
pub(crate) async fn all<T: Tables, K: KeyService, E: ReadErp>(
    store: &Store<T, K>,
    erp: &E,
    wanted: &[Wanted<'_>],
    now: Timestamp,
) -> Result<Vec<Fetched>, StoreError> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let names = wanted.iter().flat_map(|it| it.rows().into_iter().map(|row| (it.org, row)));
    let rows = store.read_many(names.collect()).await?;
    let rows: HashMap<_, _> = rows.into_iter().filter_map(|(name, row)| Some((name, row.ok()??.0))).collect();
    let sorted: Vec<_> = wanted.iter().map(|it| it.sort(&rows)).collect();
    let mut questions = Questions::new();
    for (it, sorted) in wanted.iter().zip(&sorted) {
        let Sorted::Ask(group) = sorted else { continue };
        let (org, source, ..) = group;
        let of_source = questions.entry((*org, *source)).or_default();
        match &it.fetch.which {
            Which::One(id) => {
                of_source.ids.entry(group.clone()).or_default().insert(id.clone());
            }
            Which::ChangedSince(since) => {
                let earliest = of_source.since.entry(group.clone()).or_insert(*since);
                *earliest = (*earliest).min(*since);
            }
        }
    }
    let until = tokio::time::Instant::now() + PATIENCE;
    // Side by side, so that a source that is slow holds up no other; a source's one after the other, for they share its tokens.
    let asked = join_all(questions.values().map(|of_source| of_source.ask(erp, until, now))).await;
    let mut things = HashMap::new();
    let mut changes = HashMap::new();
    for (of_ids, of_changes) in asked {
        things.extend(of_ids);
        changes.extend(of_changes);
    }
    let mut refused = Refused::new();
    let mut fetched = Vec::with_capacity(wanted.len());
    for (it, sorted) in wanted.iter().zip(sorted) {
        fetched.push(match (sorted, &it.fetch.which) {
            (Sorted::Done(done), _) => done,
            (Sorted::Ask(group), Which::One(id)) => match things.get(&group) {
                Some(Ok(found)) => {
                    let missing = || Fetched::Read(it.fetch.withdrawn().into_iter().collect());
                    found.get(id).cloned().unwrap_or_else(missing)
                }
                Some(Err(error)) => failed_of(it, &group, error, &mut refused),
                None => Fetched::Waits("it was not asked for".to_owned()),
            },
            (Sorted::Ask(group), Which::ChangedSince(since)) => match changes.get_mut(&group) {
                // The notice that reaches back the furthest brings all of it, and the others of the batch nothing more.
                Some(Ok((earliest, events))) if since == earliest => Fetched::Read(std::mem::take(events)),
                Some(Ok(_)) => Fetched::Read(Vec::new()),
                Some(Err(error)) => failed_of(it, &group, error, &mut refused),
                None => Fetched::Waits("it was not asked for".to_owned()),
            },
        });
    }
    for (source, request_id) in refused {
        // Where it cannot be noted now, the next message that is refused notes it.
        let _ = note_refused(store, source, request_id, now).await;
    }
    Ok(fetched)
}

enum Sorted {
    Done(Fetched),
    Ask(Group),
}

impl Wanted<'_> {
    fn source(&self) -> ExternalRef {
        ExternalRef { provider: self.provider, id: self.fetch.account.clone() }
    }

    /// The row in which the ledger knows the thing, and its name. Customers' do not say when they were told of.
    fn thing(&self) -> Option<(RowKey, ExternalId)> {
        let id = self.fetch.name(self.provider)?;
        let name = ExternalRef { provider: self.provider, id: id.clone() };
        match self.fetch.entity {
            Entity::Customer => None,
            Entity::Invoice => Some((InvoiceRef::key(&name), id)),
            Entity::Payment | Entity::CreditNote => Some((Payment::key(&name), id)),
        }
    }

    fn rows(&self) -> Vec<RowKey> {
        let mut rows = vec![RowKey::WebhookEvent(self.key.clone()), SourceName::key(&self.source())];
        rows.extend(self.thing().map(|(row, _)| row));
        rows
    }

    fn sort(&self, rows: &HashMap<(OrgId, RowKey), Row>) -> Sorted {
        let row = |key: RowKey| rows.get(&(self.org, key));
        match row(RowKey::WebhookEvent(self.key.clone())) {
            Some(Row::WebhookEvent(before)) if before.status != EventStatus::Failed => {
                return Sorted::Done(Fetched::Before);
            }
            _ => {}
        }
        if let Some((key, name)) = self.thing() {
            let told = match row(key) {
                Some(Row::InvoiceRef(link)) => link.told.as_ref(),
                Some(Row::Payment(payment)) => payment.money.get(&Witness::Document).map(|said| &said.stamp),
                _ => None,
            };
            if told.is_some_and(|told| self.fetch.is_known_to(told, &name)) {
                return Sorted::Done(Fetched::Known);
            }
        }
        let source = row(SourceName::key(&self.source())).and_then(SourceName::of);
        match source.zip(SourceKind::of(self.provider)) {
            Some((source, kind)) => {
                let account = self.fetch.account.clone();
                Sorted::Ask((self.org, source.source, kind, account, self.fetch.entity))
            }
            None => Sorted::Done(failed(&ErpError::NoSource)),
        }
    }
}

async fn ask<E: ReadErp>(
    erp: &E,
    (org, source, kind, account, entity): &Group,
    which: plixo_erp::Which<'_>,
    until: tokio::time::Instant,
    now: Timestamp,
) -> Result<Answer, ErpError> {
    let of = Of { org, source, kind: *kind, account };
    let ask = Ask { of, entity: *entity, which };
    let answer = tokio::time::timeout_at(until, erp.read(&ask, now)).await;
    answer.unwrap_or_else(|_| Err(ErpError::Unavailable("there was no time left to ask".to_owned())))
}

/// The sources that providers refused, each with the request that told of something there.
type Refused<'a> = BTreeMap<(OrgId, SourceId), &'a str>;

/// What an error is to an event.
fn failed_of<'a>(
    it: &Wanted<'a>,
    (org, source, ..): &Group,
    error: &ErpError,
    refused: &mut Refused<'a>,
) -> Fetched {
    if matches!(error, ErpError::Refused(_)) {
        refused.insert((*org, *source), it.request_id);
    }
    failed(error)
}

/// Notes that a provider refuses a source, so that people connect it again; once, however often it refuses.
pub(crate) async fn note_refused<T: Tables, K: KeyService>(
    store: &Store<T, K>,
    (org, source): (OrgId, SourceId),
    request_id: &str,
    now: Timestamp,
) -> Result<(), CommitError> {
    let mut book = Book::default();
    for (name, stored) in store.read(&org, vec![DataSource::key(&source)]).await? {
        book.learn(name, stored);
    }
    let row = book.get::<DataSource>(&source).ok().flatten().cloned();
    // What was connected a moment ago may have been asked with the credentials before.
    let settled = now.saturating_sub(SETTLED).unwrap_or(now);
    let Some(row) = row.filter(|row| row.refused_at.is_none() && row.connected_at <= settled) else {
        return Ok(());
    };
    if book.put(DataSource { refused_at: Some(now), ..row }).is_err() {
        return Ok(());
    }
    let hash = sha256(format!("{source}{request_id}").as_bytes());
    let event = AuditEvent {
        id: Ids::drawn(now, hash).make(),
        at: now,
        actor: Actor { kind: ActorKind::Function, id: crate::FUNCTION.to_owned(), role: None },
        origin: Private::default(),
        customer: None,
        action: "data_source.refuse".to_owned(),
        object: Object::new("data_source", source),
        outcome: Outcome::Allowed,
        fields: vec!["state".to_owned()],
        request_id: request_id.to_owned(),
        count: None,
    };
    store.commit(&org, &book, None, &[event], now).await
}

fn by_id(answer: Answer) -> HashMap<String, Fetched> {
    let thing = |thing: plixo_erp::Thing| {
        let told = thing.told.map_or_else(|error| Fetched::Unusable(error.to_string()), Fetched::Read);
        (thing.id, told)
    };
    answer.things.into_iter().map(thing).collect()
}

/// All that changed. What cannot be used of it, and what is more than is read at once, comes when the source is kept up.
fn changed(answer: Answer) -> Vec<canonical::Event> {
    answer.things.into_iter().filter_map(|thing| thing.told.ok()).flatten().collect()
}

fn failed(error: &ErpError) -> Fetched {
    match error {
        ErpError::Busy { .. } | ErpError::Unavailable(_) => Fetched::Waits(error.to_string()),
        ErpError::Refused(_) | ErpError::NoSource | ErpError::Unreadable(_) => {
            Fetched::Unusable(error.to_string())
        }
    }
}
