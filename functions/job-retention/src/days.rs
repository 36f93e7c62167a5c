//! The audit log, which is deleted by whole days.

use jiff::civil::Date;
use plixo_aws::s3::Objects;
use plixo_aws::sqs::SendMessage;
use plixo_domain::audit::{AuditKept, Object};
use plixo_domain::id::{Ids, OrgId, made_at};
use plixo_domain::ledger::{Book, RowKey};
use plixo_domain::retention::Class;
use plixo_store::{Key, Tables, pause};

use crate::{Done, Failed, Job, Rules, Run, TRIES, committed, day};

/// So many events are deleted in one transaction, which has four writes more: two conditions, how far it is, and its audit event.
const AT_ONCE: usize = 96;

impl<T: Tables, O: Objects, Q: SendMessage> Job<T, O, Q> {
    /// Deletes the days of an organisation's log that are due, the oldest first. That a day goes is written down before its first
    /// event does, so that nobody takes what is left of it for the whole.
    pub(crate) async fn delete_days(
        &self,
        org: &OrgId,
        run: &Run<'_>,
        done: &mut Done,
    ) -> Result<(), Failed> {
        let mut tried = 0;
        while tried < TRIES {
            let Some(Rules { org: of, holds, mut book }) = self.rules(org, vec![RowKey::AuditKept]).await?
            else {
                return Ok(());
            };
            if !holds.is_empty() {
                return Ok(());
            }
            let end = day(of.settings.retention.due_since(Class::AuditEvent, run.now));
            let kept = book.get::<AuditKept>(&())?.copied();
            let kept = kept.unwrap_or(AuditKept { from: day(made_at(org)), is_gone: true });
            let next = if kept.is_gone { kept.from } else { yesterday(kept.from) };
            if next >= end {
                return Ok(());
            }
            if run.over() {
                done.is_unfinished = true;
                done.late = done.late.saturating_add(usize::from(tomorrow(next) < end));
                return Ok(());
            }
            if kept.is_gone {
                book.put(AuditKept { from: tomorrow(next), is_gone: false })?;
                if !committed(self.store.commit(org, &book, None, &[], run.now).await)? {
                    tokio::time::sleep(pause(tried, self.drawn()?)).await;
                    tried += 1;
                }
                continue;
            }
            if self.delete_day(org, next, end, book, run, done).await? {
                tried = 0;
            } else {
                tokio::time::sleep(pause(tried, self.drawn()?)).await;
                tried += 1;
            }
        }
        Err(Failed::Overtaken)
    }

    /// Deletes events of a day, and goes on to the next day when it has none left. False where others were at it as well.
    async fn delete_day(
        &self,
        org: &OrgId,
        day: Date,
        end: Date,
        mut book: Book,
        run: &Run<'_>,
        done: &mut Done,
    ) -> Result<bool, Failed> {
        let (events, _) = self.store.audit_of_day(org, day, AT_ONCE).await?;
        if events.is_empty() {
            let from = tomorrow(day);
            let kept = if from < end {
                AuditKept { from: tomorrow(from), is_gone: false }
            } else {
                AuditKept { from, is_gone: true }
            };
            book.put(kept)?;
            return committed(self.store.commit(org, &book, None, &[], run.now).await);
        }
        for events in events.chunks(AT_ONCE) {
            if run.over() {
                return Ok(true);
            }
            // It is written as it is, so that of two runs at once one counts what it deleted.
            book.hold::<AuditKept>(&())?;
            if !self.delete_events(org, events, &book, run).await? {
                return Ok(false);
            }
            book = book.committed();
            done.deleted = done.deleted.saturating_add(events.len());
        }
        Ok(true)
    }

    async fn delete_events(
        &self,
        org: &OrgId,
        events: &[Key],
        book: &Book,
        run: &Run<'_>,
    ) -> Result<bool, Failed> {
        let object = Object::new(Class::AuditEvent.as_str(), org);
        let mut ids = Ids::drawn(run.now, self.drawn()?);
        let event = run.event(&mut ids, "retention.delete", object, "deleted", Some(events.len()));
        committed(self.store.delete(org, book, events.to_vec(), &[event], run.now).await)
    }
}

fn tomorrow(day: Date) -> Date {
    day.tomorrow().unwrap_or(day)
}

fn yesterday(day: Date) -> Date {
    day.yesterday().unwrap_or(day)
}
