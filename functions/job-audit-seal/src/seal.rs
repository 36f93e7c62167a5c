//! One organisation's log.

use std::collections::BTreeSet;
use std::fmt::Display;

use jiff::{SignedDuration, Timestamp};
use plixo_aws::AwsError;
use plixo_aws::s3::Objects;
use plixo_aws::sign::Sign;
use plixo_domain::audit::{AuditSeal, SealedSpan};
use plixo_domain::id::{AuditId, OrgId, made_at};
use plixo_domain::ledger::{Book, RowKey};
use plixo_seal::{
    Checkpoint, Entry, Head, LATEST, List, Note, PublicKey, Range, SignError, Signer, Span, beginning,
    checkpoint_name, hour_of, list_name,
};
use plixo_store::{AuditSpan, CommitError, Tables};

use crate::Job;

/// How many events are read at once.
const PIECE: usize = 2_000;

/// What signs, for [`PublicKey::sign`].
struct Signing<'a, S>(&'a S);

impl<S: Sign> Signer for Signing<'_, S> {
    type Error = AwsError;

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, AwsError> {
        self.0.sign(message).await
    }
}

/// Where an organisation's log stands.
struct Log {
    book: Book,
    head: Head,
    recent: Vec<SealedSpan>,
}

impl<T: Tables, O: Objects, S: Sign> Job<T, O, S> {
    /// Seals a log up to that time, and says how many checkpoints that made.
    pub(crate) async fn seal_log(
        &self,
        org: &OrgId,
        key: &[u8],
        until: Timestamp,
        now: Timestamp,
        is_late: &(dyn Fn() -> bool + Sync),
    ) -> (usize, Result<(), String>) {
        let origin = format!("{}/{org}", self.origin);
        let mut made = 0;
        let result = async {
            let key = PublicKey::new(&origin, key).map_err(text)?;
            let mut log = self.log(org, &origin, &key).await?;
            loop {
                let from = log.head.sealed_to().unwrap_or_else(|| beginning(org));
                if from >= until {
                    return Ok(());
                }
                if is_late() {
                    return Err("no time was left for all of it".to_owned());
                }
                let hour = hour_of(from).saturating_add(SignedDuration::from_hours(1)).unwrap_or(until);
                // What was written before there was a seal is sealed as one.
                let to = if log.head.sealed_to().is_none() { until } else { hour.min(until) };
                let span = Span { from, to };
                match self.seal_span(org, &key, log, span, now).await? {
                    Some(next) => log = next,
                    // Another run is at it as well: what it has done need not be done again.
                    None => log = self.log(org, &origin, &key).await?,
                }
                made += 1;
            }
        };
        let result = result.await;
        (made, result)
    }

    async fn log(&self, org: &OrgId, origin: &str, key: &PublicKey) -> Result<Log, String> {
        let mut book = Book::default();
        for (name, stored) in self.store.read(org, vec![RowKey::AuditSeal]).await.map_err(text)? {
            book.learn(name, stored);
        }
        let seal = book.get::<AuditSeal>(&()).ok().flatten().cloned();
        let (head, recent) = match seal {
            None => (Head::new(origin).map_err(text)?, Vec::new()),
            Some(seal) => {
                let checkpoint = verified(seal.note.as_bytes(), key)?;
                let range = Range::from_bytes(&seal.range).ok_or("the row of the seal has no tree")?;
                (Head::at(&checkpoint, range).map_err(text)?, seal.recent)
            }
        };
        Ok(Log { book, head, recent })
    }

    /// Seals one span. `None` where somebody else did meanwhile.
    async fn seal_span(
        &self,
        org: &OrgId,
        key: &PublicKey,
        log: Log,
        span: Span,
        now: Timestamp,
    ) -> Result<Option<Log>, String> {
        let late = span.from.saturating_sub(LATEST).unwrap_or(span.from);
        let recent: Vec<_> = log.recent.into_iter().filter(|sealed| sealed.to > late).collect();
        let mut known = BTreeSet::new();
        for sealed in &recent {
            let list = self.list(&sealed.list).await?;
            known.extend(list.iter().map(|entry| entry.id).filter(|id| made_at(id) >= late));
        }
        let entries = self.entries(org, AuditSpan { from: late, to: span.to }, &known).await?;
        let (checkpoint, head) = log.head.seal(span, &entries).map_err(text)?;
        if !entries.is_empty() {
            // The list first: a checkpoint without its list could not be verified.
            let (name, list) = (list_name(org, &checkpoint), List::new(head.range().clone(), &entries));
            let put = self.objects.put_if_absent(&name, "application/octet-stream", list.to_bytes());
            put.await.map_err(text)?;
        }
        let note = key.sign(&checkpoint.to_string(), &Signing(&self.signer)).await.map_err(unsigned)?;
        let (name, note) = (checkpoint_name(org, span.from), note.to_string());
        let put = self.objects.put_if_absent(&name, "text/plain; charset=utf-8", note.clone().into_bytes());
        if put.await.map_err(text)? {
            return self.keep(org, log.book, &log.head, Next { head, checkpoint, note }, recent, now).await;
        }
        // There is one: of a run that was at it as well, or that did not live to note it.
        let kept =
            self.objects.get(&name).await.map_err(text)?.ok_or_else(|| format!("{name} is not there"))?;
        let checkpoint = verified(&kept, key)?;
        let entries: Vec<_> = if checkpoint.size == log.head.range().size() {
            Vec::new()
        } else {
            self.list(&list_name(org, &checkpoint)).await?.iter().collect()
        };
        let (same, head) = log.head.seal(checkpoint.span, &entries).map_err(text)?;
        if same != checkpoint {
            return Err(format!("{name} is no checkpoint that follows the last one"));
        }
        let note = String::from_utf8(kept).map_err(text)?;
        self.keep(org, log.book, &log.head, Next { head, checkpoint, note }, recent, now).await
    }

    /// Notes how far the log is sealed.
    async fn keep(
        &self,
        org: &OrgId,
        mut book: Book,
        before: &Head,
        Next { head, checkpoint, note }: Next,
        mut recent: Vec<SealedSpan>,
        now: Timestamp,
    ) -> Result<Option<Log>, String> {
        if checkpoint.size > before.range().size() {
            recent.push(SealedSpan { to: checkpoint.span.to, list: list_name(org, &checkpoint) });
        }
        let (to, size, range) = (checkpoint.span.to, checkpoint.size, head.range().to_bytes());
        let seal = AuditSeal { to, size, note, range, recent: recent.clone(), sealed_at: now };
        book.put(seal).map_err(|_| "the row of the seal was not read")?;
        match self.store.commit(org, &book, None, &[], now).await {
            Ok(()) => Ok(Some(Log { book: book.committed(), head, recent })),
            Err(CommitError::Conflict) => Ok(None),
            Err(CommitError::Store(error)) => Err(error.to_string()),
        }
    }

    /// The entries of a span's events, but for those that are known, in the order of their ids.
    async fn entries(
        &self,
        org: &OrgId,
        span: AuditSpan,
        known: &BTreeSet<AuditId>,
    ) -> Result<Vec<Entry>, String> {
        let (mut entries, mut after) = (Vec::new(), None);
        loop {
            let (texts, is_last) =
                self.store.audit_in_order(org, span, after.as_ref(), PIECE).await.map_err(text)?;
            after = texts.last().map(|(id, _)| *id).or(after);
            for (id, event) in texts.iter().filter(|(id, _)| !known.contains(id)) {
                let entry = Entry::of(event.as_bytes()).filter(|entry| entry.id == *id);
                entries.push(entry.ok_or_else(|| format!("{id} is no audit event"))?);
            }
            if is_last {
                return Ok(entries);
            }
        }
    }

    async fn list(&self, name: &str) -> Result<List, String> {
        let bytes =
            self.objects.get(name).await.map_err(text)?.ok_or_else(|| format!("{name} is not there"))?;
        List::from_bytes(bytes).ok_or_else(|| format!("{name} is no list"))
    }
}

/// A checkpoint, and the head that it makes.
struct Next {
    head: Head,
    checkpoint: Checkpoint,
    note: String,
}

fn verified(note: &[u8], key: &PublicKey) -> Result<Checkpoint, String> {
    let note = Note::parse(note).map_err(text)?;
    note.verify(std::slice::from_ref(key)).map_err(text)?;
    note.text().parse().map_err(text)
}

fn unsigned(error: SignError<AwsError>) -> String {
    match error {
        SignError::Signer(cause) => cause.to_string(),
        other => other.to_string(),
    }
}

fn text(error: impl Display) -> String {
    error.to_string()
}
