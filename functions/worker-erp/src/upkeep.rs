//! Keeping data sources up: what their notifications missed is read, and Business Central is reminded to send them.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use plixo_aws::secrets::ReadSecret;
use plixo_aws::sqs::SendMessage;
use plixo_domain::id::{EndpointId, OrgId};
use plixo_domain::ledger::{Book, Kept, Row};
use plixo_domain::secret::Secret;
use plixo_domain::source::{DataSource, SourceKind, SourceState, Upkeep};
use plixo_domain::webhook::{Encoding, EndpointState, Envelope, Fingerprint, VaultEntry, WebhookEndpoint};
use plixo_envelope::KeyService;
use plixo_erp::{Answer, Ask, ErpError, Of, ReadErp, Wanted, Which};
use plixo_lambda::batch::{Message, TaskError};
use plixo_lambda::hash::sha256;
use plixo_lambda::line::Line;
use plixo_store::{CommitError, List, Page, Store, StoreError, Tables};
use plixo_webhooks::canonical::{Entity, external_id};
use plixo_worker::{News, Task, failed};
use tokio::time::Instant;

use crate::fetch::note_refused;
use crate::{name, of_document};

/// What is read, what others name first.
const ENTITIES: [Entity; 4] = [Entity::Customer, Entity::Invoice, Entity::CreditNote, Entity::Payment];
/// How long a source may take to answer all of it.
const PATIENCE: Duration = Duration::from_secs(9);
/// How long after its begin a message begins no further document: it may take 20 s.
const BUDGET: Duration = Duration::from_secs(16);
/// How far back the next reading begins: clocks differ, and what is written at a provider is shown a little later.
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
        line.request_id.clone_from(&upkeep.request_id);
        line.source = Some(upkeep.source.to_string());
        let store = self.worker.store();
        let found = self.source(upkeep).await.map_err(|error| failed(&error, line))?;
        let Some(source) = found.filter(|source| source.state() == SourceState::Connected) else {
            line.outcome = "not_connected";
            return Ok(());
        };
        let endpoint = endpoint(store, &org, &source, now).await.map_err(|error| failed(&error, line))?;
        let Some(endpoint) = endpoint else {
            line.outcome = "no_endpoint";
            return Ok(());
        };
        line.endpoint = Some(endpoint.to_string());
        line.who = Some(format!("provider:{}", source.kind.as_str()));
        let of = Of { org: &org, source: &source.id, kind: source.kind, account: &source.account };
        let since = source.changed_since.unwrap_or(source.connected_at);
        let until = begun + PATIENCE;
        let mut errors = Vec::new();
        if source.kind == SourceKind::BusinessCentral {
            errors.extend(self.subscribe(of, &endpoint, until, now).await.err());
        }
        let mut answers = Vec::new();
        for entity in ENTITIES {
            let ask = Ask { of, entity, which: Which::ChangedSince(since) };
            let answer = tokio::time::timeout_at(until, self.erp.read(&ask, now)).await;
            match answer.unwrap_or_else(|_| Err(ErpError::Unavailable("there was no time left".to_owned()))) {
                Ok(answer) => answers.push((entity, answer)),
                Err(error) => errors.push(error),
            }
        }
        let redacted = answers.iter().map(|(_, answer)| answer.cards_redacted).sum();
        line.cards_redacted = Some(redacted).filter(|count| *count > 0);
        let read_to = read_to(&answers, since, now).filter(|_| errors.is_empty());
        let envelope = Arc::new(Envelope {
            v: Envelope::VERSION,
            org,
            endpoint,
            provider: source.kind.provider(),
            event_id: None,
            received_at: now,
            request_id: upkeep.request_id.clone(),
            ip: None,
            user_agent: None,
            encoding: Encoding::Identity,
        });
        let (times, tasks) = tasks(&envelope, answers, since);
        let (done, worked) = self.worker.work_through(&tasks, begun + BUDGET, line).await;
        line.items = Some(done);
        let read_to = match times.get(done) {
            // Some providers tell of what is later than a time, and not of what is just then.
            Some(first) => read_to.map(|to| to.min(*first - SignedDuration::from_secs(1))),
            None => read_to,
        };
        if let Some(to) = read_to.filter(|to| *to > since) {
            self.note(upkeep, to, now).await.map_err(|error| failed(&error, line))?;
        }
        worked.inspect_err(|_| line.outcome = "unavailable")?;
        line.outcome = if done < tasks.len() { "behind" } else { "kept_up" };
        match errors.into_iter().next() {
            None => Ok(()),
            Some(error @ (ErpError::Busy { .. } | ErpError::Unavailable(_))) => {
                line.outcome = "waits";
                Err(TaskError::Retryable(error.to_string()))
            }
            Some(error) => {
                line.outcome = "refused";
                line.error = Some(error.to_string());
                if matches!(error, ErpError::Refused(_)) {
                    // Where it cannot be noted now, the next message that is refused notes it.
                    let _ = note_refused(store, (org, source.id), &upkeep.request_id, now).await;
                }
                Ok(())
            }
        }
    }

    async fn source(&self, upkeep: &Upkeep) -> Result<Option<DataSource>, StoreError> {
        Ok(self.book(upkeep).await?.get::<DataSource>(&upkeep.source).ok().flatten().cloned())
    }

    async fn book(&self, upkeep: &Upkeep) -> Result<Book, StoreError> {
        let mut book = Book::default();
        let names = vec![DataSource::key(&upkeep.source)];
        for (name, stored) in self.worker.store().read(&upkeep.org, names).await? {
            book.learn(name, stored);
        }
        Ok(book)
    }

    /// Has Business Central tell of changes at the endpoint.
    async fn subscribe(
        &self,
        of: Of<'_>,
        endpoint: &EndpointId,
        until: Instant,
        now: Timestamp,
    ) -> Result<(), ErpError> {
        let secret = self.secret(of.org, endpoint, now).await?;
        let url = format!("{}/webhooks/erp/{endpoint}", self.receivers.base_url);
        let wanted = Wanted { url: &url, client_state: &secret };
        let kept = tokio::time::timeout_at(until, self.erp.keep_subscribed(of, &wanted, now)).await;
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

    /// Notes up to when changes were read. Whoever changed the source meanwhile has it read from before again.
    async fn note(&self, upkeep: &Upkeep, to: Timestamp, now: Timestamp) -> Result<(), StoreError> {
        let mut book = self.book(upkeep).await?;
        let Some(source) = book.get::<DataSource>(&upkeep.source).ok().flatten().cloned() else {
            return Ok(());
        };
        let changed_since = source.changed_since.max(Some(to));
        if book.put(DataSource { changed_since, ..source }).is_err() {
            return Ok(());
        }
        match self.worker.store().commit(&upkeep.org, &book, None, &[], now).await {
            Ok(()) | Err(CommitError::Conflict) => Ok(()),
            Err(CommitError::Store(error)) => Err(error),
        }
    }
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

/// Up to when all changes are among the answers.
fn read_to(answers: &[(Entity, Answer)], since: Timestamp, now: Timestamp) -> Option<Timestamp> {
    let behind = answers.iter().filter(|(_, answer)| answer.has_more);
    let behind = behind.map(|(_, answer)| answer.read_to.unwrap_or(since)).min();
    behind.or_else(|| now.checked_sub(OVERLAP).ok())
}

/// A task for each document, the oldest version first, and each one's time.
fn tasks(
    envelope: &Arc<Envelope>,
    answers: Vec<(Entity, Answer)>,
    since: Timestamp,
) -> (Vec<Timestamp>, Vec<Task>) {
    let mut all = Vec::new();
    for (entity, answer) in answers {
        for thing in answer.things {
            match thing.told {
                Ok(events) => all.extend(events.into_iter().filter_map(|event| {
                    let (at, kind) = (event.version().at, event.kind().to_owned());
                    let (event_id, fingerprint) = name(&event)?;
                    let news = of_document(envelope.provider, event);
                    Some((at, (event_id, kind, fingerprint, news)))
                })),
                // It does not say how new it is. Until this time was passed, it is the same failure.
                Err(error) => {
                    let text = format!("{entity:?}:{}:{since}", thing.id);
                    let fingerprint = Fingerprint(sha256(text.as_bytes()));
                    let news = News::Unusable(error.to_string());
                    let named = external_id(&text);
                    all.extend(named.map(|id| (since, (id, UNUSABLE.to_owned(), fingerprint, news))));
                }
            }
        }
    }
    all.sort_by_key(|(at, _)| *at);
    let task = |(at, (event_id, kind, fingerprint, news))| {
        let envelope = Arc::clone(envelope);
        (at, Task { envelope, text: None, event_id, kind, fingerprint, news })
    };
    all.into_iter().map(task).unzip()
}

/// The type of the event that a document is which cannot be used.
const UNUSABLE: &str = "document.changed";
