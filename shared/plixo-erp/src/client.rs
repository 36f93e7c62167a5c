use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use plixo_aws::secrets::KeepSecret;
use plixo_domain::money::Currency;
use plixo_webhooks::canonical::Entity;
use serde_json::Value;

use crate::answer::Page;
use crate::ask::{Cursor, can_be};
use crate::error::sort;
use crate::http::Http;
use crate::session::Session;
use crate::{Answer, Ask, ErpError, Of, Subscribed, Urls, Wanted, Which};

/// How many pages of changes are read in one go, if that gets anywhere: what changes meanwhile moves to the end, and pushes others to
/// the page before.
const PAGES: usize = 1;
/// How long another one who refreshes may take to save.
const PAUSE: Duration = Duration::from_secs(1);

/// The port to what ERPs have of customers, invoices, payments and credit notes.
pub trait ReadErp: Send + Sync {
    /// What a source has of what is asked for, now.
    ///
    /// # Errors
    /// [`ErpError`].
    fn read(&self, ask: &Ask<'_>, now: Timestamp) -> impl Future<Output = Result<Answer, ErpError>> + Send;

    /// Asks for as little as shows that a source can be read: the currency of its books, where documents may name none.
    ///
    /// # Errors
    /// [`ErpError`]; `Refused` also where the provider has no such account.
    fn look(
        &self,
        of: Of<'_>,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<Currency>, ErpError>> + Send;

    /// Makes the subscriptions to a company's customers, sales invoices and sales credit memos that are missing at Business Central,
    /// and renews those that end within 36 hours or have another secret. It calls the URL meanwhile, and expects its handshake.
    ///
    /// # Errors
    /// [`ErpError`], at the first that fails: do it again.
    fn keep_subscribed(
        &self,
        of: Of<'_>,
        wanted: &Wanted<'_>,
        now: Timestamp,
    ) -> impl Future<Output = Result<Subscribed, ErpError>> + Send;
}

/// The ERPs, or what stands in for them. `V` is the vault that holds a [`SourceEntry`](plixo_domain::source::SourceEntry) under the
/// id of each source.
#[derive(Debug)]
pub struct Erp<V> {
    pub(crate) vault: V,
    pub(crate) urls: Urls,
    pub(crate) http: Http,
    pub(crate) pause: Duration,
}

impl<V: KeepSecret> Erp<V> {
    /// Over that vault, at those URLs.
    #[must_use]
    pub fn new(vault: V, urls: Urls) -> Self {
        Self { vault, urls, http: Http::new(), pause: PAUSE }
    }

    #[cfg(test)]
    pub(crate) fn with_patience(self, patience: Duration) -> Self {
        Self { http: Http::with_patience(patience), ..self }
    }

    #[cfg(test)]
    pub(crate) fn without_pause(self) -> Self {
        Self { pause: Duration::ZERO, ..self }
    }

    async fn these(&self, ask: &Ask<'_>, ids: &[String], now: Timestamp) -> Result<Answer, ErpError> {
        // As ids are compared: Xero's and Business Central's are GUIDs.
        let mut wanted: BTreeMap<String, &str> =
            ids.iter().map(|id| (id.to_ascii_lowercase(), id.as_str())).collect();
        let plain: Vec<&str> = wanted.values().copied().filter(|id| can_be(ask.of.kind, id)).collect();
        let mut answer = Answer::default();
        if !plain.is_empty() {
            let mut session = Session::open(self, ask.of, now).await?;
            let groups = session.account()?.groups(ask.entity, &plain);
            for group in groups {
                let request = session.account()?.these(ask.entity, &group);
                let said = session.ask(&request).await?;
                match said.status {
                    200..300 => {}
                    404 if group.len() == 1 => continue,
                    _ => return Err(sort(&said)),
                }
                let page = Page::read(ask.of.kind, ask.entity, &said.body)?;
                for document in &page.documents {
                    let Some(id) = wanted.remove(&document.id.to_ascii_lowercase()) else { continue };
                    let (mut thing, redacted) = document.tell(&session.entry, ask.entity);
                    thing.id = id.to_owned();
                    answer.things.push(thing);
                    answer.cards_redacted += redacted;
                }
            }
        }
        answer.missing.extend(wanted.into_values().map(str::to_owned));
        Ok(answer)
    }

    async fn changed(&self, ask: &Ask<'_>, since: Timestamp, now: Timestamp) -> Result<Answer, ErpError> {
        let mut session = Session::open(self, ask.of, now).await?;
        let mut answer = Answer::default();
        let mut read_to = since;
        let mut cursor = session.account()?.start(since, now);
        for page_number in 1.. {
            let request = session.account()?.changed(ask.entity, since, &cursor);
            let body = session.need(&request).await?;
            let page = Page::read(ask.of.kind, ask.entity, &body)?;
            let next = session.account()?.next(&cursor, &page)?;
            // What QuickBooks captured is in no order. If it was too much, all but deletions is asked for again.
            let is_partial = cursor == Cursor::Captured && next.is_some();
            for document in page.documents.iter().filter(|it| it.is_deletion || !is_partial) {
                let (thing, redacted) = document.tell(&session.entry, ask.entity);
                answer.things.push(thing);
                answer.cards_redacted += redacted;
            }
            if !is_partial {
                read_to = page.documents.iter().filter_map(|it| it.at).fold(read_to, Timestamp::max);
            }
            match next {
                None => break,
                // Whoever asks on begins there, and so must get beyond where this one began.
                Some(_) if page_number >= PAGES && read_to > since => {
                    answer.has_more = true;
                    break;
                }
                Some(next) => cursor = next,
            }
        }
        answer.read_to = Some(read_to);
        Ok(answer)
    }
}

impl<V: KeepSecret> ReadErp for Erp<V> {
    async fn read(&self, ask: &Ask<'_>, now: Timestamp) -> Result<Answer, ErpError> {
        match ask.which {
            Which::These(ids) => self.these(ask, ids, now).await,
            Which::ChangedSince(since) => self.changed(ask, since, now).await,
        }
    }

    async fn look(&self, of: Of<'_>, now: Timestamp) -> Result<Option<Currency>, ErpError> {
        let mut session = Session::open(self, of, now).await?;
        let (request, place) = session.account()?.look();
        let said = session.ask(&request).await?;
        match said.status {
            200..300 => {}
            // An account that is not there.
            400 | 404 => return Err(ErpError::Refused(said.status.to_string())),
            _ => return Err(sort(&said)),
        }
        let body: Value = serde_json::from_slice(&said.body)
            .map_err(|_| ErpError::unavailable("its answer cannot be read"))?;
        let code = body.pointer(place).and_then(Value::as_str);
        Ok(code.and_then(|code| code.parse().ok()))
    }

    async fn keep_subscribed(
        &self,
        of: Of<'_>,
        wanted: &Wanted<'_>,
        now: Timestamp,
    ) -> Result<Subscribed, ErpError> {
        self.subscribe(of, wanted, now).await
    }
}

/// What Business Central tells of by itself.
pub(crate) const TOLD: [Entity; 3] = [Entity::Customer, Entity::Invoice, Entity::CreditNote];
