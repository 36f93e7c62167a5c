#![doc = include_str!("../README.md")]

mod seal;
#[cfg(test)]
mod tests;

use std::time::Duration;

use futures::stream::{self, StreamExt};
use jiff::{SignedDuration, Timestamp};
use plixo_aws::s3::Objects;
use plixo_aws::sign::Sign;
use plixo_domain::id::OrgId;
use plixo_envelope::NoKeys;
use plixo_lambda::batch::TaskError;
use plixo_lambda::clock;
use plixo_lambda::line::Line;
use plixo_seal::hour_of;
use plixo_store::jobs::{self, Organisations};
use plixo_store::{Store, Tables};
use serde::Deserialize;

/// This function's name.
pub const FUNCTION: &str = "job-audit-seal";
/// What a run gets.
pub const BUDGET: Duration = Duration::from_secs(240);

/// An hour is sealed so long after its end: longer than any function works on what it writes of, so that little comes late.
const GRACE: SignedDuration = SignedDuration::from_mins(16);
/// No organisation is begun with after so much of a run.
const LAST_CALL: Duration = Duration::from_secs(200);
/// How many organisations are read at once.
const PAGE: usize = 100;
/// How many organisations are sealed at once.
const AT_ONCE: usize = 8;

/// What is wanted of a run.
#[derive(Debug, Default, Deserialize)]
pub struct Wanted {
    /// Until when, whole seconds and not in the future: the last span is then shorter than an hour. For whoever needs a
    /// checkpoint now. The last full hour, if absent.
    #[serde(default)]
    pub seal_until: Option<Timestamp>,
}

/// The job that seals the audit log.
#[derive(Debug)]
pub struct Job<T, O, S> {
    store: Store<T, NoKeys>,
    objects: O,
    signer: S,
    origin: String,
}

impl<T: Tables, O: Objects, S: Sign> Job<T, O, S> {
    /// One that seals the logs in `store`, whose checkpoints it puts into `objects`. `origin` is what the names of all logs of
    /// this stack begin with.
    pub fn new(store: Store<T, NoKeys>, objects: O, signer: S, origin: String) -> Self {
        Self { store, objects, signer, origin }
    }

    /// Seals what is not sealed yet of every organisation's log. It may be done again at any time, and at once.
    pub async fn run(&self, wanted: Wanted, mut line: Line) -> (Result<(), TaskError>, Line) {
        line.outcome = "sealed";
        let (made, result) = self.seal_all(&wanted, line.timestamp).await;
        line.items = Some(made);
        if result.is_err() {
            line.outcome = "behind";
        }
        (result, line)
    }

    /// How many checkpoints it made, and whether all that there are to make.
    async fn seal_all(&self, wanted: &Wanted, now: Timestamp) -> (usize, Result<(), TaskError>) {
        let begun = clock::instant();
        let until = match wanted.seal_until {
            Some(until) if until > now || until.subsec_nanosecond() != 0 => {
                let why = "seal_until is of whole seconds and not in the future".to_owned();
                return (0, Err(TaskError::Permanent(why)));
            }
            Some(until) => until,
            None => hour_of(now.saturating_sub(GRACE).unwrap_or(now)),
        };
        let key = match self.signer.public_key().await {
            Ok(key) => key,
            Err(error) => return (0, Err(TaskError::Retryable(error.to_string()))),
        };
        let (mut made, mut failed, mut first) = (0, 0, None);
        let mut next = Some(Organisations::START);
        while let Some(from) = next {
            let (orgs, further) = match jobs::organisations(self.store.tables(), from, PAGE).await {
                Ok(read) => read,
                Err(error) => return (made, Err(TaskError::Retryable(error.to_string()))),
            };
            let seal = |org: OrgId| {
                let key = &key;
                async move {
                    if begun.elapsed() > LAST_CALL {
                        return (0, Err("no time was left for it".to_owned()));
                    }
                    self.seal_log(&org, key, until, now, &|| begun.elapsed() > LAST_CALL).await
                }
            };
            let mut done = stream::iter(orgs.into_iter().map(seal)).buffer_unordered(AT_ONCE);
            while let Some((count, result)) = done.next().await {
                made += count;
                if let Err(why) = result {
                    failed += 1;
                    first.get_or_insert(why);
                }
            }
            next = further;
        }
        match first {
            None => (made, Ok(())),
            Some(why) => {
                let why = format!("{failed} logs are not sealed as far as they should be; of one: {why}");
                (made, Err(TaskError::Retryable(why)))
            }
        }
    }
}
