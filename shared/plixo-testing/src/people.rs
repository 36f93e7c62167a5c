use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use plixo_domain::people::UserId;
use plixo_store::people::{
    Counted, Counter, OthersEnded, Pending, People, Standing, Tries, others_item, session_item, standing_keys,
};
use plixo_store::{Item, Key, StoreError, keys};

use crate::fakes::unavailable;
use crate::{FakeTables, Faults};

#[derive(Debug, Default)]
struct Kept {
    tries: HashMap<String, Tries>,
    codes: HashMap<(UserId, String), Timestamp>,
    challenges: HashMap<String, (Pending, Timestamp)>,
}

/// What is kept of people, in memory. How sessions stand lies in [`FakeTables`], where others read it.
#[derive(Debug, Clone, Default)]
pub struct FakePeople {
    kept: Arc<Mutex<Kept>>,
    tables: FakeTables,
    faults: Faults,
}

fn down() -> StoreError {
    unavailable("DynamoDB").into()
}

/// Times to live are whole seconds.
fn to_the_second(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap()
}

fn is_gone(forget_at: Timestamp, now: Timestamp) -> bool {
    forget_at.as_second() <= now.as_second()
}

impl FakePeople {
    /// Beside those tables, with calls that go wrong as planned.
    #[must_use]
    pub fn new(tables: FakeTables, faults: Faults) -> Self {
        Self { kept: Arc::default(), tables, faults }
    }

    async fn call<T>(&self, work: impl FnOnce(&mut Kept) -> T) -> Result<T, StoreError> {
        self.faults.call(down, || Ok(work(&mut self.kept.lock().unwrap()))).await
    }
}

impl People for FakePeople {
    async fn count_try(
        &self,
        counter: &Counter,
        free: u32,
        now: Timestamp,
        forget_at: Timestamp,
    ) -> Result<Counted, StoreError> {
        self.call(|kept| {
            let tries = match kept.tries.get(counter.as_str()).copied() {
                None => Tries { count: 1, last: now, until: to_the_second(forget_at) },
                Some(tries) if tries.count < free && !is_gone(tries.until, now) => {
                    Tries { count: tries.count.saturating_add(1), last: now, ..tries }
                }
                Some(tries) => {
                    let count = if is_gone(tries.until, now) { 0 } else { tries.count };
                    return Counted::Held(Tries { count, ..tries });
                }
            };
            kept.tries.insert(counter.as_str().to_owned(), tries);
            Counted::Free
        })
        .await
    }

    async fn count_late_try(
        &self,
        counter: &Counter,
        seen: Tries,
        next: u32,
        now: Timestamp,
        forget_at: Timestamp,
    ) -> Result<bool, StoreError> {
        self.call(|kept| match kept.tries.get_mut(counter.as_str()) {
            Some(tries) if tries.last == seen.last => {
                *tries = Tries { count: next, last: now, until: to_the_second(forget_at) };
                true
            }
            _ => false,
        })
        .await
    }

    async fn take_back_try(&self, counter: &Counter) -> Result<(), StoreError> {
        self.call(|kept| {
            if let Some(tries) = kept.tries.get_mut(counter.as_str()) {
                tries.count = tries.count.saturating_sub(1);
            }
        })
        .await
    }

    async fn take_back_late_try(
        &self,
        counter: &Counter,
        at: Timestamp,
        seen: Tries,
    ) -> Result<(), StoreError> {
        self.call(|kept| {
            if let Some(tries) = kept.tries.get_mut(counter.as_str()).filter(|tries| tries.last == at) {
                *tries = seen;
            }
        })
        .await
    }

    async fn forget_tries(&self, counter: &Counter) -> Result<(), StoreError> {
        self.call(|kept| kept.tries.remove(counter.as_str())).await.map(drop)
    }

    async fn use_code(
        &self,
        user: &UserId,
        hash: &str,
        now: Timestamp,
        forget_at: Timestamp,
    ) -> Result<bool, StoreError> {
        self.call(|kept| {
            let name = (*user, hash.to_owned());
            let fresh = kept.codes.get(&name).is_none_or(|until| is_gone(*until, now));
            if fresh {
                kept.codes.insert(name, forget_at);
            }
            fresh
        })
        .await
    }

    async fn ask(&self, hash: &str, pending: &Pending, forget_at: Timestamp) -> Result<(), StoreError> {
        let asked = (pending.clone(), forget_at);
        self.call(|kept| kept.challenges.insert(hash.to_owned(), asked)).await.map(drop)
    }

    async fn pending(&self, hash: &str, now: Timestamp) -> Result<Option<Pending>, StoreError> {
        self.call(|kept| {
            let found = kept.challenges.get(hash).filter(|(_, until)| !is_gone(*until, now));
            found.map(|(pending, _)| pending.clone())
        })
        .await
    }

    async fn answered(&self, hash: &str) -> Result<(), StoreError> {
        self.call(|kept| kept.challenges.remove(hash)).await.map(drop)
    }

    async fn revoke_session(&self, session: &str, forget_at: Timestamp) -> Result<(), StoreError> {
        self.call(|_| self.tables.place(keys::ended_session(session), session_item(forget_at))).await
    }

    async fn end_others(
        &self,
        user: &UserId,
        others: &OthersEnded,
        forget_at: Timestamp,
    ) -> Result<(), StoreError> {
        let (key, item) = (keys::ended_sessions(user), others_item(others, forget_at));
        let ended_at = |item: &Item| item.get("ended_at").and_then(|at| at.as_s().ok()).cloned();
        self.call(|_| {
            if self.tables.dump().get(&key).and_then(ended_at) <= ended_at(&item) {
                self.tables.place(key, item);
            }
        })
        .await
    }

    async fn note_two_factor(&self, session: &str, forget_at: Timestamp) -> Result<(), StoreError> {
        self.call(|_| self.tables.place(keys::two_factor(session), session_item(forget_at))).await
    }

    async fn standing(&self, user: &UserId, session: &str, now: Timestamp) -> Result<Standing, StoreError> {
        let wanted = standing_keys(user, session);
        let found = |_: &mut Kept| -> HashMap<Key, Item> {
            self.tables.dump().into_iter().filter(|(key, _)| wanted.contains(key)).collect()
        };
        Standing::read(&self.call(found).await?, user, session, now)
    }
}
