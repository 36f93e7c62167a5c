use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use plixo_aws::secrets::KeepSecret;
use plixo_domain::id::SourceId;
use plixo_domain::money::Currency;
use plixo_domain::secret::Secret;
use plixo_domain::source::SourceEntry;
use plixo_erp::{Answer, Ask, ErpError, Of, ReadErp, Subscribed, Thing, Wanted, Which};
use plixo_webhooks::ReadError;
use plixo_webhooks::canonical::{Entity, Event};

use crate::{FakeVault, Faults};

/// What is told of a thing, by source, kind and id; with the time of its last change.
type Things = BTreeMap<(SourceId, Entity, String), (Timestamp, Result<Vec<Event>, ReadError>)>;

/// What a look at a source finds.
type Looked = Result<Option<Currency>, ErpError>;

/// Of which source it was asked, for what, and for which ids: for none where it was for changes.
pub type AskedErp = (SourceId, Entity, Vec<String>);

/// The ERPs behind the data sources.
#[derive(Debug, Clone, Default)]
pub struct FakeErp {
    things: Arc<Mutex<Things>>,
    failing: Arc<Mutex<BTreeMap<SourceId, ErpError>>>,
    asked: Arc<Mutex<Vec<AskedErp>>>,
    subscribed: Arc<Mutex<BTreeMap<SourceId, (String, String)>>>,
    vault: Option<FakeVault>,
    looks: Arc<Mutex<BTreeMap<String, Looked>>>,
    page: Option<usize>,
    unavailable: Arc<Mutex<Vec<Entity>>>,
    faults: Faults,
}

impl FakeErp {
    /// One that tells of at most so many changes at once.
    #[must_use]
    pub fn paged(self, page: usize) -> Self {
        Self { page: Some(page), ..self }
    }

    /// Answers nothing about things of these kinds from then on.
    pub fn hide(&self, kinds: &[Entity]) {
        *self.unavailable.lock().unwrap() = kinds.to_vec();
    }

    /// Without things; calls go wrong as planned.
    #[must_use]
    pub fn new(faults: Faults) -> Self {
        Self { faults, ..Self::default() }
    }

    /// Without things, over the vault that has the sources' credentials; calls go wrong as planned.
    #[must_use]
    pub fn over(vault: FakeVault, faults: Faults) -> Self {
        Self { vault: Some(vault), faults, ..Self::default() }
    }

    /// Answers a look at a source with this, where its client has that secret.
    pub fn looks(&self, client_secret: &str, found: Looked) {
        self.looks.lock().unwrap().insert(client_secret.to_owned(), found);
    }

    /// What the vault says decides, as it does for the real one; a refresh token is spent, and the next one is in the vault.
    async fn looked(&self, of: Of<'_>) -> Looked {
        let Some(vault) = &self.vault else { return Ok(None) };
        let name = of.source.to_string();
        let (text, version) = vault.read_version(&name).await?.ok_or(ErpError::NoSource)?;
        let mut entry: SourceEntry = serde_json::from_str(text.reveal()).unwrap();
        if entry.org != *of.org || entry.kind != of.kind || !entry.is_connected() {
            return Err(ErpError::NoSource);
        }
        let secret = entry.client_secret.reveal().to_owned();
        let found = self.looks.lock().unwrap().get(&secret).cloned().unwrap_or(Ok(None))?;
        if let Some(spent) = entry.refresh_token.take() {
            entry.refresh_token = Some(Secret::new(format!("{}+", spent.reveal())));
            let written = Secret::new(serde_json::to_string(&entry).unwrap());
            vault.replace_secret(&name, &written, &version).await?;
        }
        Ok(found)
    }

    /// A thing as it is from then on.
    pub fn put(
        &self,
        source: &SourceId,
        entity: Entity,
        id: &str,
        at: Timestamp,
        told: Result<Vec<Event>, ReadError>,
    ) {
        self.things.lock().unwrap().insert((*source, entity, id.to_owned()), (at, told));
    }

    /// It is there no more.
    pub fn take(&self, source: &SourceId, entity: Entity, id: &str) {
        self.things.lock().unwrap().remove(&(*source, entity, id.to_owned()));
    }

    /// Answers all that is asked of that source with this, or again with what there is.
    pub fn fail(&self, source: &SourceId, error: Option<ErpError>) {
        let mut failing = self.failing.lock().unwrap();
        match error {
            Some(error) => failing.insert(*source, error),
            None => failing.remove(source),
        };
    }

    /// What was asked, in that order.
    #[must_use]
    pub fn asked(&self) -> Vec<AskedErp> {
        self.asked.lock().unwrap().clone()
    }

    /// Where a source's notifications go, and with which secret.
    #[must_use]
    pub fn subscribed(&self, source: &SourceId) -> Option<(String, String)> {
        self.subscribed.lock().unwrap().get(source).cloned()
    }

    fn subscribe(&self, of: Of<'_>, wanted: &Wanted<'_>) -> Result<Subscribed, ErpError> {
        if let Some(error) = self.failing.lock().unwrap().get(of.source) {
            return Err(error.clone());
        }
        let (url, state) = (wanted.url.to_owned(), wanted.client_state.reveal().to_owned());
        let before = self.subscribed.lock().unwrap().insert(*of.source, (url, state));
        Ok(Subscribed { made: usize::from(before.is_none()), renewed: 0 })
    }

    fn answer(&self, ask: &Ask<'_>) -> Result<Answer, ErpError> {
        let (source, entity) = (*ask.of.source, ask.entity);
        let ids = match ask.which {
            Which::These(ids) => ids.to_vec(),
            Which::ChangedSince(_) => Vec::new(),
        };
        self.asked.lock().unwrap().push((source, entity, ids));
        if let Some(error) = self.failing.lock().unwrap().get(&source) {
            return Err(error.clone());
        }
        if self.unavailable.lock().unwrap().contains(&entity) {
            return Err(ErpError::Unavailable("a planned fault".to_owned()));
        }
        let things = self.things.lock().unwrap();
        let mut answer = Answer::default();
        match ask.which {
            Which::These(ids) => {
                for id in ids {
                    match things.get(&(source, entity, id.clone())) {
                        Some((_, told)) => answer.things.push(Thing { id: id.clone(), told: told.clone() }),
                        None => answer.missing.push(id.clone()),
                    }
                }
            }
            Which::ChangedSince(since) => {
                let own = things.iter().filter(|((of, kind, _), _)| *of == source && *kind == entity);
                let mut changed: Vec<_> = own.filter(|(_, (at, _))| *at >= since).collect();
                changed.sort_by_key(|(_, (at, _))| *at);
                // As the real one, it gets beyond where it began.
                let at_once = changed.iter().take_while(|(_, (at, _))| *at == since).count();
                if let Some(page) =
                    self.page.map(|page| page.max(at_once + 1)).filter(|page| changed.len() > *page)
                {
                    changed.truncate(page);
                    answer.has_more = true;
                }
                answer.read_to = Some(changed.last().map_or(since, |(_, (at, _))| *at));
                let thing = |((_, _, id), (_, told)): (&(SourceId, Entity, String), &(Timestamp, _))| Thing {
                    id: id.clone(),
                    told: Result::clone(told),
                };
                answer.things = changed.into_iter().map(thing).collect();
            }
        }
        Ok(answer)
    }
}

impl ReadErp for FakeErp {
    async fn read(&self, ask: &Ask<'_>, _: Timestamp) -> Result<Answer, ErpError> {
        let down = || ErpError::Unavailable("a planned fault".to_owned());
        self.faults.call(down, || self.answer(ask)).await
    }

    async fn look(&self, of: Of<'_>, _: Timestamp) -> Result<Option<Currency>, ErpError> {
        let down = || ErpError::Unavailable("a planned fault".to_owned());
        self.faults.call(down, || Ok(())).await?;
        self.looked(of).await
    }

    async fn keep_subscribed(
        &self,
        of: Of<'_>,
        wanted: &Wanted<'_>,
        _: Timestamp,
    ) -> Result<Subscribed, ErpError> {
        let down = || ErpError::Unavailable("a planned fault".to_owned());
        self.faults.call(down, || self.subscribe(of, wanted)).await
    }
}
