//! Keeping data sources up: what their notifications missed is read, and Business Central is reminded to send them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use plixo_aws::secrets::ReadSecret;
use plixo_aws::sqs::SendMessage;
use plixo_domain::id::{EndpointId, OrgId, made_at};
use plixo_domain::ledger::{Book, Kept, Row};
use plixo_domain::secret::Secret;
use plixo_domain::source::{DataSource, SourceKind, SourceProgress, SourceState, Upkeep};
use plixo_domain::webhook::{Encoding, EndpointState, Envelope, Fingerprint, VaultEntry, WebhookEndpoint};
use plixo_envelope::KeyService;
use plixo_erp::{Ask, ErpError, Of, ReadErp, Thing, Wanted, Which};
use plixo_lambda::batch::{Message, TaskError};
use plixo_lambda::hash::sha256;
use plixo_lambda::line::{Level, Line};
use plixo_store::{CommitError, List, Page, Store, StoreError, Tables};
use plixo_webhooks::canonical::{Entity, external_id};
use plixo_worker::{News, Task, failed};
use tokio::time::Instant;

use crate::fetch::note_refused;
use crate::{name, of_document};

/// After how long no further question is begun.
const ASKING: Duration = Duration::from_secs(10);
/// How long an answer may take, so that one that is slow leaves time for others.
const ANSWER: Duration = Duration::from_secs(4);
/// How long after its begin a message begins no further document: it may take 20 s.
const BUDGET: Duration = Duration::from_secs(17);
/// How far back the next reading begins.
const OVERLAP: SignedDuration = SignedDuration::from_mins(10);
/// How many endpoints are read at once, to find a source's.
const ENDPOINTS: usize = 100;

/// Where notifications come in.
#[derive(Debug)]
pub struct Receivers<V> {
    /// Where endpoints' secrets are, each under its endpoint's id.
    pub vault: V,
    /// Where providers reach Plixo, without a slash at the end.
    pub base_url: String,
}

/// Whether that message has a source kept up.
pub(crate) fn is_upkeep(message: &Message) -> bool {
    let (name, value) = Upkeep::ATTRIBUTE;
    message.attribute(name) == Some(value)
}

/// What is kept up, with what.
pub(crate) struct Keeper<'a, T, K, Q, E, V> {
    pub(crate) worker: &'a plixo_worker::Worker<T, K, Q>,
    pub(crate) erp: &'a E,
    pub(crate) receivers: &'a Receivers<V>,
}

impl<T: Tables, K: KeyService, Q: SendMessage, E: ReadErp, V: ReadSecret> Keeper<'_, T, K, Q, E, V> {
    /// Keeps the source up that a message names.
    pub(crate) async fn run(&self, message: &Message, mut line: Line) -> (Result<(), TaskError>, Line) {
        // Nobody's request told of it: what it changes is found by its message.
        line.request_id.clone_from(&message.message_id);
        let done = match read(message) {
            Ok(upkeep) => self.keep_up(&upkeep, &mut line).await,
            Err(why) => {
                line.outcome = "poison";
                Err(TaskError::Permanent(why.to_owned()))
            }
        };
        (done, line)
    }

    async fn keep_up(&self, upkeep: &Upkeep, line: &mut Line) -> Result<(), TaskError> {
        let (org, now, begun) = (upkeep.org, line.timestamp, Instant::now());
        line.org = Some(org.to_string());
        line.source = Some(upkeep.source.to_string());
        let store = self.worker.store();
        let book = self.book(upkeep).await.map_err(|error| failed(&error, line))?;
        let source = book.get::<DataSource>(&upkeep.source).ok().flatten();
        let Some(source) = source.filter(|source| source.state() == SourceState::Connected) else {
            line.outcome = "not_connected";
            return Ok(());
        };
        let endpoint = endpoint(store, &org, source, now).await.map_err(|error| failed(&error, line))?;
        let Some(endpoint) = endpoint else {
            line.outcome = "no_endpoint";
            return Ok(());
        };
        line.endpoint = Some(endpoint.to_string());
        line.who = Some(format!("provider:{}", source.kind.as_str()));
        let of = Of { org: &org, source: &source.id, kind: source.kind, account: &source.account };
        let mut errors = Vec::new();
        if source.kind == SourceKind::BusinessCentral {
            errors.extend(self.subscribe(of, &endpoint, now).await.err());
        }
        let envelope = Arc::new(Envelope {
            v: Envelope::VERSION,
            org,
            endpoint,
            provider: source.kind.provider(),
            event_id: None,
            received_at: now,
            request_id: line.request_id.clone(),
            ip: None,
            user_agent: None,
            encoding: Encoding::Identity,
        });
        let progress = book.get::<SourceProgress>(&upkeep.source).ok().flatten();
        let since =
            |kind: &str| progress.and_then(|it| it.read_to.get(kind)).copied().unwrap_or(made_at(&source.id));
        let mut kinds: Vec<_> =
            kinds(source.kind).iter().map(|(it, kind)| (since(kind), *it, *kind)).collect();
        // Each comes first every few hours, so that none is starved by another.
        let hour = usize::try_from(now.as_second() / 3_600).unwrap_or(0);
        let first = hour.checked_rem(kinds.len()).unwrap_or(0);
        kinds.rotate_left(first);
        let (mut is_behind, mut stopped) = (false, None);
        for (since, entity, kind) in kinds {
            let reading = Reading { of, entity, kind, envelope: &envelope, begun, now };
            match self.catch_up(&reading, upkeep, since, line).await {
                Ok(Ok(all)) => is_behind |= !all,
                Ok(Err(error)) => errors.push(error),
                Err(error) => stopped = stopped.or(Some(error)),
            }
        }
        if let Some(error) = stopped {
            let passes = matches!(error, TaskError::Retryable(_));
            line.outcome = if passes { "unavailable" } else { "store_refused" };
            return Err(error);
        }
        line.outcome = "kept_up";
        let Some(error) = errors.into_iter().max_by_key(|error| matches!(error, ErpError::Refused(_))) else {
            if is_behind {
                line.outcome = "behind";
                return Err(TaskError::Retryable("there is more than a message has time for".to_owned()));
            }
            return Ok(());
        };
        // An hour later it is tried again.
        line.level = Level::Warn;
        line.error = Some(error.to_string());
        line.outcome = match error {
            ErpError::Busy { .. } | ErpError::Unavailable(_) => "waits",
            ErpError::Refused(_) => {
                // Where it cannot be noted now, the next message that is refused notes it.
                let _ = note_refused(store, (org, source.id), &line.request_id, now).await;
                "refused"
            }
            ErpError::NoSource => "not_connected",
            ErpError::Unreadable(_) => {
                (line.level, line.metrics.errors) = (Level::Error, 1);
                "unreadable"
            }
        };
        Ok(())
    }

    /// Reads what changed of one kind of thing, a page after the other, and notes how far: whether that is all.
    async fn catch_up(
        &self,
        reading: &Reading<'_>,
        upkeep: &Upkeep,
        mut since: Timestamp,
        line: &mut Line,
    ) -> Result<Result<bool, ErpError>, TaskError> {
        let Reading { of, entity, kind, envelope, begun, now } = *reading;
        while begun.elapsed() < ASKING {
            let ask = Ask { of, entity, which: Which::ChangedSince(since) };
            let answer = tokio::time::timeout(ANSWER, self.erp.read(&ask, now)).await;
            let answer = match answer {
                Ok(Ok(answer)) => answer,
                Ok(Err(error)) => return Ok(Err(error)),
                Err(_) => return Ok(Err(ErpError::Unavailable("it took too long".to_owned()))),
            };
            let redacted = line.cards_redacted.unwrap_or(0) + answer.cards_redacted;
            line.cards_redacted = Some(redacted).filter(|count| *count > 0);
            let (times, tasks) = tasks(envelope, kind, answer.things, (since, now));
            let (done, worked) = self.worker.work_through(&tasks, begun + BUDGET, line).await;
            line.items = Some(line.items.unwrap_or(0) + done);
            let read_to = answer.read_to.filter(|_| answer.has_more).unwrap_or(now);
            let recorded_to = times.get(done).map_or(read_to, |first| read_to.min(*first));
            // Clocks differ, and what is written at a provider is shown a little later.
            let settled = now.checked_sub(OVERLAP).unwrap_or(since).min(recorded_to);
            if settled > since {
                self.note(upkeep, kind, settled, now).await.map_err(|error| failed(&error, line))?;
            }
            worked?;
            let gets_on = recorded_to > since;
            since = since.max(recorded_to);
            if !answer.has_more || done < tasks.len() || !gets_on {
                return Ok(Ok(!answer.has_more && done == tasks.len()));
            }
        }
        Ok(Ok(false))
    }

    async fn book(&self, upkeep: &Upkeep) -> Result<Book, StoreError> {
        let mut book = Book::default();
        let names = vec![DataSource::key(&upkeep.source), SourceProgress::key(&upkeep.source)];
        for (name, stored) in self.worker.store().read(&upkeep.org, names).await? {
            book.learn(name, stored);
        }
        Ok(book)
    }

    /// Has Business Central tell of changes at the endpoint.
    async fn subscribe(&self, of: Of<'_>, endpoint: &EndpointId, now: Timestamp) -> Result<(), ErpError> {
        let secret = self.secret(of.org, endpoint, now).await?;
        let url = format!("{}/webhooks/erp/{endpoint}", self.receivers.base_url);
        let wanted = Wanted { url: &url, client_state: &secret };
        let kept = tokio::time::timeout(ANSWER, self.erp.keep_subscribed(of, &wanted, now)).await;
        kept.map_or_else(
            |_| Err(ErpError::Unavailable("there was no time left".to_owned())),
            |it| it.map(drop),
        )
    }

    /// The secret of an endpoint that is the last to verify.
    async fn secret(&self, org: &OrgId, endpoint: &EndpointId, now: Timestamp) -> Result<Secret, ErpError> {
        let text = self.receivers.vault.read_secret(&endpoint.to_string()).await?;
        let entry = text.and_then(|text| serde_json::from_str::<VaultEntry>(text.reveal()).ok());
        let entry = entry.filter(|entry| entry.v == VaultEntry::VERSION && entry.org == *org);
        let live = entry.into_iter().flat_map(|entry| entry.secrets);
        let live = live.filter(|it| !it.pending && it.expires_at.is_none_or(|until| now < until));
        let last = live.max_by_key(|it| it.expires_at.unwrap_or(Timestamp::MAX));
        let none = || ErpError::Unavailable("the endpoint has no secret".to_owned());
        last.map(|it| it.secret).ok_or_else(none)
    }

    /// Notes up to when changes were read. Where somebody else notes something meanwhile, they are read from before again.
    async fn note(
        &self,
        upkeep: &Upkeep,
        kind: &str,
        to: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut book = self.book(upkeep).await?;
        if !matches!(book.get::<DataSource>(&upkeep.source), Ok(Some(_))) {
            return Ok(());
        }
        let noted = book.get::<SourceProgress>(&upkeep.source).ok().flatten().cloned();
        let mut noted = noted.unwrap_or(SourceProgress { source: upkeep.source, read_to: BTreeMap::new() });
        let read_to = noted.read_to.entry(kind.to_owned()).or_insert(to);
        *read_to = to.max(*read_to);
        if book.put(noted).is_err() {
            return Ok(());
        }
        match self.worker.store().commit(&upkeep.org, &book, None, &[], now).await {
            Ok(()) | Err(CommitError::Conflict) => Ok(()),
            Err(CommitError::Store(error)) => Err(error),
        }
    }
}

/// What is read of a source, and since when.
#[derive(Clone, Copy)]
struct Reading<'a> {
    of: Of<'a>,
    entity: Entity,
    kind: &'static str,
    envelope: &'a Arc<Envelope>,
    begun: Instant,
    now: Timestamp,
}

/// What is read of a source, each with its name in [`SourceProgress`]. Business Central has lists of payments for each journal only, and
/// those are not posted: what was paid is in its invoices.
fn kinds(kind: SourceKind) -> &'static [(Entity, &'static str)] {
    const ALL: [(Entity, &str); 4] = [
        (Entity::Customer, "customer"),
        (Entity::Invoice, "invoice"),
        (Entity::CreditNote, "credit_note"),
        (Entity::Payment, "payment"),
    ];
    let [customer_to_credit_note @ .., _] = &ALL;
    if kind == SourceKind::BusinessCentral { customer_to_credit_note } else { &ALL }
}

fn read(message: &Message) -> Result<Upkeep, &'static str> {
    let upkeep: Upkeep = serde_json::from_str(&message.body).map_err(|_| "the message is no upkeep")?;
    if upkeep.v == Upkeep::VERSION {
        Ok(upkeep)
    } else {
        Err("the message has a version that this worker does not read")
    }
}

/// The enabled endpoint to which a source's provider sends, if there is one.
async fn endpoint<T: Tables, K: KeyService>(
    store: &Store<T, K>,
    org: &OrgId,
    source: &DataSource,
    now: Timestamp,
) -> Result<Option<EndpointId>, StoreError> {
    let is_its = |row: &WebhookEndpoint| {
        let account = row.account.as_ref();
        let is_of = row.provider == source.kind.provider() && account == Some(&source.account);
        is_of && row.state == EndpointState::Enabled
    };
    let mut page = Some(Page { after: None, descending: true, limit: ENDPOINTS });
    while let Some(wanted) = page.take() {
        let listed = store.list(org, &List::WebhookEndpoints, wanted, now).await?;
        let found = listed.rows.into_iter().find_map(|(row, _)| match row {
            Row::WebhookEndpoint(row) if is_its(&row) => Some(row.id),
            _ => None,
        });
        if found.is_some() {
            return Ok(found);
        }
        page = listed.next.map(|after| Page { after: Some(after), descending: true, limit: ENDPOINTS });
    }
    Ok(None)
}

/// A task for each document, the oldest version first, and each one's time.
fn tasks(
    envelope: &Arc<Envelope>,
    kind: &str,
    things: Vec<Thing>,
    (since, now): (Timestamp, Timestamp),
) -> (Vec<Timestamp>, Vec<Task>) {
    let mut all = Vec::new();
    for thing in things {
        match thing.told {
            Ok(events) => all.extend(events.into_iter().filter_map(|event| {
                let (at, kind) = (event.version().at, event.kind().to_owned());
                let (event_id, fingerprint) = name(&event)?;
                let news = of_document(envelope.provider, event);
                Some((at, (event_id, kind, fingerprint, news)))
            })),
            // It does not say how new it is. On one day it is the same failure.
            Err(error) => {
                let text = format!("{kind}:{}:{:.10}:{error}", thing.id, now.to_string());
                let fingerprint = Fingerprint(sha256(text.as_bytes()));
                let news = News::Unusable(error.to_string());
                let named = external_id(&text);
                all.extend(named.map(|id| (since, (id, format!("{kind}.changed"), fingerprint, news))));
            }
        }
    }
    all.sort_by_key(|(at, _)| *at);
    let task = |(at, (event_id, kind, fingerprint, news))| {
        let envelope = Arc::clone(envelope);
        (at, Task { envelope, text: None, event_id, kind, fingerprint, news, about: Vec::new() })
    };
    all.into_iter().map(task).unzip()
}
