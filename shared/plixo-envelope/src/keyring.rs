use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use tokio::sync::OnceCell;

use crate::{KeyFailure, KeyService, OrganisationKeys, WrappedKeys};

/// The longest that unwrapped keys are cached.
pub const MAX_AGE: Duration = Duration::from_secs(300);

/// How much a [`Keyring`] keeps. All three limit what someone who reads the process's memory gets, none the number of
/// encryptions: each record has its own key.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Age from which keys are fetched again; above [`MAX_AGE`] it counts as that.
    pub max_age: Duration,
    /// How often cached keys are handed out. The call that fetched them, and those that waited for it, are not counted.
    pub max_uses: u64,
    /// How many organisations' keys are kept; the oldest give way.
    pub max_organisations: usize,
}

impl Default for Limits {
    /// 5 minutes, 1,000,000 uses, 1,000 organisations (about 0.5 MB).
    fn default() -> Self {
        Self { max_age: MAX_AGE, max_uses: 1_000_000, max_organisations: 1_000 }
    }
}

/// Organisations' keys, unwrapped and cached in memory, with one call to the key service at a time per organisation.
#[derive(Debug)]
pub struct Keyring<S> {
    service: S,
    limits: Limits,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    cached: BTreeMap<Box<str>, Cached>,
    fetches: BTreeMap<Box<str>, Weak<Fetch>>,
}

#[derive(Debug)]
struct Cached {
    keys: Arc<OrganisationKeys>,
    fetched_at: SystemTime,
    uses: u64,
}

/// One fetch, shared by all who want its outcome. If whoever runs it is dropped, another who waits runs it anew.
type Fetch = OnceCell<Result<Arc<OrganisationKeys>, KeyFailure>>;

impl<S: KeyService> Keyring<S> {
    /// An empty keyring.
    pub fn new(service: S, limits: Limits) -> Self {
        let limits = Limits { max_age: limits.max_age.min(MAX_AGE), ..limits };
        Self { service, limits, state: Mutex::default() }
    }

    /// The organisation's keys, to hold for one message or request and no longer. `now` is the wall clock's time, which
    /// also counts while a function is frozen. `load` reads the organisation's row and runs only if the keys are not
    /// cached; give it a timeout. Whoever asks while the keys are being fetched waits for that fetch and shares its
    /// outcome; a failure is not remembered.
    ///
    /// # Errors
    /// `load`'s; those of [`WrappedKeys::unlock`].
    pub async fn get<L, F>(
        &self,
        organisation: &str,
        now: SystemTime,
        load: L,
    ) -> Result<Arc<OrganisationKeys>, KeyFailure>
    where
        L: FnOnce() -> F,
        F: Future<Output = Result<WrappedKeys, KeyFailure>>,
    {
        let fetch = match self.state().find(organisation, now, &self.limits) {
            Ok(keys) => return Ok(keys),
            Err(fetch) => fetch,
        };
        let run = || async {
            let outcome = self.fetch(organisation, load).await;
            self.state().settle(organisation, now, &outcome, &self.limits);
            outcome
        };
        fetch.get_or_init(run).await.clone()
    }

    /// [`Keyring::get`], but never answers with `stale`, whose versions turned out not to hold the one that is needed
    /// ([`Error::UnknownKey`](crate::Error::UnknownKey)).
    ///
    /// # Errors
    /// Those of [`Keyring::get`].
    pub async fn renew<L, F>(
        &self,
        organisation: &str,
        stale: &Arc<OrganisationKeys>,
        now: SystemTime,
        load: L,
    ) -> Result<Arc<OrganisationKeys>, KeyFailure>
    where
        L: FnOnce() -> F,
        F: Future<Output = Result<WrappedKeys, KeyFailure>>,
    {
        self.state().cached.retain(|_, cached| !Arc::ptr_eq(&cached.keys, stale));
        self.get(organisation, now, load).await
    }

    async fn fetch<F>(
        &self,
        organisation: &str,
        load: impl FnOnce() -> F,
    ) -> Result<Arc<OrganisationKeys>, KeyFailure>
    where
        F: Future<Output = Result<WrappedKeys, KeyFailure>>,
    {
        load().await?.unlock(&self.service, organisation).await.map(Arc::new)
    }

    #[cfg(test)]
    pub(crate) fn fetches(&self) -> usize {
        self.state().fetches.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The cached keys, or the fetch to join.
    fn find(
        &mut self,
        organisation: &str,
        now: SystemTime,
        limits: &Limits,
    ) -> Result<Arc<OrganisationKeys>, Arc<Fetch>> {
        if let Some(cached) = self.cached.get_mut(organisation)
            && cached.is_fresh(now, limits)
        {
            cached.uses += 1;
            return Ok(Arc::clone(&cached.keys));
        }
        self.cached.retain(|_, cached| cached.is_fresh(now, limits));
        self.fetches.retain(|_, fetch| fetch.strong_count() > 0);
        let joined = self.fetches.get(organisation).and_then(Weak::upgrade);
        Err(joined.unwrap_or_else(|| {
            let fetch = Arc::new(Fetch::new());
            self.fetches.insert(organisation.into(), Arc::downgrade(&fetch));
            fetch
        }))
    }

    fn settle(
        &mut self,
        organisation: &str,
        now: SystemTime,
        outcome: &Result<Arc<OrganisationKeys>, KeyFailure>,
        limits: &Limits,
    ) {
        self.fetches.remove(organisation);
        if let Ok(keys) = outcome {
            self.cached
                .insert(organisation.into(), Cached { keys: Arc::clone(keys), fetched_at: now, uses: 0 });
        }
        while self.cached.len() > limits.max_organisations {
            let oldest = self.cached.iter().min_by_key(|(_, cached)| cached.fetched_at);
            let Some(oldest) = oldest.map(|(organisation, _)| organisation.clone()) else { break };
            self.cached.remove(&oldest);
        }
    }
}

impl Cached {
    fn is_fresh(&self, now: SystemTime, limits: &Limits) -> bool {
        // A clock set back must not keep keys for ever, but callers' times may be a little out of order.
        let age = now.duration_since(self.fetched_at).unwrap_or_else(|earlier| earlier.duration());
        age < limits.max_age && self.uses < limits.max_uses
    }
}
