#![doc = include_str!("../README.md")]

mod file;
mod rows;
mod sealed;
mod sheet;
#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use plixo_authz::{Action, Authz, Principal, Resource};
use plixo_aws::s3::Objects;
use plixo_domain::audit::{Actor, ActorKind, AuditEvent, Object, Outcome};
use plixo_domain::export::{Export, ExportStatus, ExportTask, File, Run, Why, still};
use plixo_domain::id::{ExportId, Ids, OrgId};
use plixo_domain::ledger::{Book, Kept, Private, RowKey};
use plixo_domain::people::Member;
use plixo_envelope::KeyService;
use plixo_lambda::batch::{self, Batch, BatchResponse, Message, TaskError};
use plixo_lambda::hash::sha256;
use plixo_lambda::line::Line;
use plixo_store::{CommitError, Entropy, Store, StoreError, Tables, pause};

/// This function's name.
pub const FUNCTION: &str = "worker-export";

/// How long a file may take. The function's time-out leaves some for what comes before and after.
pub const BUDGET: Duration = Duration::from_secs(270);
/// How long a message may take.
const MESSAGE: Duration = Duration::from_secs(290);
/// After so long without an end, whoever ran an export is gone: the function's time-out, and a minute.
const LEASE: SignedDuration = SignedDuration::from_secs(360);
/// How often a change is done anew because somebody else changed a row meanwhile.
const TRIES: u32 = 8;
/// How often more rows turn out to be needed.
const READS: u32 = 4;
/// How often the queue hands a message out.
const ATTEMPTS: u32 = 5;

/// The worker that writes files.
#[derive(Debug)]
pub struct Worker<T, K, O> {
    store: Store<T, K>,
    authz: Authz,
    bucket: O,
    checkpoints: O,
    entropy: Entropy,
}

/// What is noted of an export, with its audit event.
struct Note {
    export: Export,
    action: &'static str,
    outcome: Outcome,
    fields: Vec<&'static str>,
}

/// What to do with an export.
enum Step {
    /// Note that, and go on.
    Note(Box<Note>),
    /// Nothing. The word is for the log.
    Nothing(&'static str),
    /// Nothing now: somebody else is at it.
    Later,
}

/// What was noted, or why nothing was.
enum Noted {
    As(Box<Export>),
    Nothing(&'static str),
    Later,
}

impl<T: Tables, K: KeyService, O: Objects> Worker<T, K, O> {
    /// A worker that writes into `bucket`. Checkpoints of the audit log are in another one.
    pub fn new(store: Store<T, K>, authz: Authz, bucket: O, checkpoints: O, entropy: Entropy) -> Self {
        Self { store, authz, bucket, checkpoints, entropy }
    }

    /// Works a batch off.
    pub async fn run(&self, batch: Batch) -> BatchResponse {
        let messages = &batch.records;
        batch::run_within(MESSAGE, FUNCTION, &batch, |n, line| async move {
            match messages.get(n) {
                Some(message) => self.take(message, line).await,
                None => (Err(TaskError::Permanent("a message that is not in its batch".to_owned())), line),
            }
        })
        .await
    }

    /// Does what one message says, at the line's time.
    pub async fn take(&self, message: &Message, mut line: Line) -> (Result<(), TaskError>, Line) {
        let done = match read(message) {
            Ok(task) => self.work(&task, &mut line).await,
            Err(why) => {
                line.outcome = "poison";
                Err(TaskError::Permanent(why.to_owned()))
            }
        };
        (done, line)
    }

    async fn work(&self, task: &ExportTask, line: &mut Line) -> Result<(), TaskError> {
        let ExportTask { org, export: id, .. } = task;
        line.org = Some(org.to_string());
        line.who = Some(format!("function:{FUNCTION}"));
        line.request_id = line.message_id.clone().unwrap_or_default();
        // One attempt is one delivery of a message.
        let attempt = format!("{}#{}", line.request_id, line.receive_count.unwrap_or_default());
        let now = line.timestamp;
        let begin = |book: &mut Book| self.begin(book, org, id, &attempt, now);
        let export = match self.note(org, id, line, begin).await? {
            Noted::As(export) => export,
            Noted::Nothing(outcome) => {
                line.outcome = outcome;
                return Ok(());
            }
            Noted::Later => {
                line.outcome = "in_work";
                return Err(TaskError::Retryable("another worker is at it, or was and is gone".to_owned()));
            }
        };
        if export.failed.is_some() {
            line.outcome = "denied";
            return Ok(());
        }
        let written = file::write(&self.store, &self.bucket, &self.checkpoints, org, &export, now);
        let written = match tokio::time::timeout(BUDGET, written).await {
            Ok(Ok(file)) => Ok(file),
            Ok(Err(error)) => {
                let is_last = line.receive_count.unwrap_or_default() >= ATTEMPTS;
                if error.is_passing() && !is_last {
                    line.outcome = "unavailable";
                    self.give_back(org, id, &attempt, line).await?;
                    return Err(TaskError::Retryable(error.to_string()));
                }
                Err((error.why(), error.to_string()))
            }
            Err(_) => Err((Why::TooLarge, format!("it was not written within {} s", BUDGET.as_secs()))),
        };
        self.end(org, id, &attempt, written, line).await
    }

    /// Whether an export may be written, by who asked for it and who approved it as they are now.
    fn begin(
        &self,
        book: &mut Book,
        org: &OrgId,
        id: &ExportId,
        attempt: &str,
        now: Timestamp,
    ) -> Result<Step, plixo_domain::ledger::Unread> {
        let Some(export) = book.get::<Export>(id)?.cloned() else { return Ok(Step::Nothing("unknown")) };
        let is_over = |run: &Run| run.at.saturating_add(LEASE).unwrap_or(Timestamp::MAX) <= now;
        match (export.status(now), &export.run) {
            (ExportStatus::Approved, _) => {}
            (ExportStatus::Running, Some(run)) if run.attempt == attempt || is_over(run) => {}
            (ExportStatus::Running, _) => return Ok(Step::Later),
            _ => return Ok(Step::Nothing("nothing_to_do")),
        }
        let Some(approval) = export.approved.clone() else { return Ok(Step::Nothing("nothing_to_do")) };
        let (requester, approver) = (still(book, &export.requested_by)?, still(book, &approval.by)?);
        let principal = |member: &Member| Principal::of(org, member);
        let resource = Resource::Export { org: *org, requested_by: export.requested_by.member };
        let is_allowed = requester
            .is_some_and(|it| self.authz.lets_export(&principal(&it), export.scope.is_audit()))
            && approver
                .is_some_and(|it| self.authz.allows(&principal(&it), Action::ApproveExport, &resource));
        let is_approved = approval.digest == hex::encode(sha256(export.asked(org).as_bytes()));
        let failed = match (is_allowed, is_approved) {
            (true, true) => None,
            (false, _) => Some(Why::NotAllowed),
            (true, false) => Some(Why::NotApproved),
        };
        let action = "export.run";
        Ok(Step::Note(Box::new(if failed.is_some() {
            let fields = vec!["status", "failure"];
            Note { export: Export { failed, ..export }, action, outcome: Outcome::Denied, fields }
        } else {
            let run = Some(Run { at: now, attempt: attempt.to_owned() });
            Note {
                export: Export { run, ..export },
                action,
                outcome: Outcome::Allowed,
                fields: vec!["status"],
            }
        })))
    }

    /// Notes how it ended, if this attempt is still the one.
    async fn end(
        &self,
        org: &OrgId,
        id: &ExportId,
        attempt: &str,
        written: Result<File, (Why, String)>,
        line: &mut Line,
    ) -> Result<(), TaskError> {
        let note = |book: &mut Book| {
            let Some(export) = own(book, id, attempt)? else { return Ok(Step::Nothing("overtaken")) };
            Ok(Step::Note(Box::new(match &written {
                Ok(file) => Note {
                    export: Export { file: Some(*file), ..export },
                    action: "export.finish",
                    outcome: Outcome::Allowed,
                    fields: vec!["status", "rows", "ready_at"],
                },
                Err((why, _)) => Note {
                    export: Export { failed: Some(*why), ..export },
                    action: "export.finish",
                    outcome: Outcome::Failed,
                    fields: vec!["status", "failure"],
                },
            })))
        };
        line.outcome = match (self.note(org, id, line, note).await?, &written) {
            (Noted::As(_), Ok(file)) => {
                line.items = usize::try_from(file.rows).ok();
                "written"
            }
            (Noted::As(_), Err((why, error))) => {
                line.outcome = why.as_str();
                return Err(TaskError::Permanent(error.clone()));
            }
            (Noted::Nothing(_) | Noted::Later, _) => "overtaken",
        };
        Ok(())
    }

    /// Lets the next attempt begin as soon as the queue hands the message out.
    async fn give_back(
        &self,
        org: &OrgId,
        id: &ExportId,
        attempt: &str,
        line: &mut Line,
    ) -> Result<(), TaskError> {
        let note = |book: &mut Book| {
            let Some(export) = own(book, id, attempt)? else { return Ok(Step::Nothing("overtaken")) };
            let (export, outcome) = (Export { run: None, ..export }, Outcome::Failed);
            Ok(Step::Note(Box::new(Note { export, action: "export.run", outcome, fields: vec!["status"] })))
        };
        self.note(org, id, line, note).await.map(drop)
    }

    /// Reads an export and what a step needs besides, and commits what it notes with its audit event.
    async fn note(
        &self,
        org: &OrgId,
        id: &ExportId,
        line: &mut Line,
        step: impl Fn(&mut Book) -> Result<Step, plixo_domain::ledger::Unread>,
    ) -> Result<Noted, TaskError> {
        for tried in 0..TRIES {
            let drawn = (self.entropy)().ok_or(StoreError::NoRandomness).map_err(|e| failed(&e, line))?;
            let mut book = Book::default();
            let mut names: Vec<RowKey> = vec![Export::key(id)];
            let mut noted = None;
            for _ in 0..READS {
                let read = self.store.read(org, names).await.map_err(|error| failed(&error, line))?;
                read.into_iter().for_each(|(name, stored)| book.learn(name, stored));
                match step(&mut book) {
                    Ok(done) => {
                        noted = Some(done);
                        break;
                    }
                    Err(unread) => names = unread.0,
                }
            }
            let Note { export, action, outcome, fields } = match noted {
                Some(Step::Note(note)) => *note,
                Some(Step::Nothing(outcome)) => return Ok(Noted::Nothing(outcome)),
                Some(Step::Later) => return Ok(Noted::Later),
                None => return Err(TaskError::Permanent("an export needs ever more rows".to_owned())),
            };
            let event = AuditEvent {
                id: Ids::drawn(line.timestamp, drawn).make(),
                at: line.timestamp,
                actor: Actor { kind: ActorKind::Function, id: FUNCTION.to_owned(), role: None },
                origin: Private::default(),
                customer: None,
                action: action.to_owned(),
                object: Object::new("export", id),
                outcome,
                fields: fields.into_iter().map(str::to_owned).collect(),
                request_id: line.request_id.clone(),
                count: None,
            };
            let unread = |_| TaskError::Permanent("an export that was not read".to_owned());
            book.put(export.clone()).map_err(unread)?;
            match self.store.commit(org, &book, None, &[event], line.timestamp).await {
                Ok(()) => return Ok(Noted::As(Box::new(export))),
                Err(CommitError::Conflict) => tokio::time::sleep(pause(tried, drawn)).await,
                Err(CommitError::Store(error)) => return Err(failed(&error, line)),
            }
        }
        line.outcome = "overtaken";
        Err(TaskError::Retryable(format!("others changed the same rows {TRIES} times")))
    }
}

/// The export, if that attempt is the one that writes it.
fn own(book: &Book, id: &ExportId, attempt: &str) -> Result<Option<Export>, plixo_domain::ledger::Unread> {
    let is_own = |it: &&Export| {
        it.file.is_none() && it.failed.is_none() && it.run.as_ref().is_some_and(|run| run.attempt == attempt)
    };
    Ok(book.get::<Export>(id)?.filter(is_own).cloned())
}

/// Reads a message, or says why no try will ever read it.
fn read(message: &Message) -> Result<ExportTask, &'static str> {
    let version = |task: &ExportTask| task.v == ExportTask::VERSION;
    let task: ExportTask =
        serde_json::from_str(&message.body).map_err(|_| "the message is none for this worker")?;
    Some(task).filter(version).ok_or("the message has a version that this worker does not read")
}

fn failed(error: &StoreError, line: &mut Line) -> TaskError {
    if error.is_passing() {
        line.outcome = "unavailable";
        TaskError::Retryable(error.to_string())
    } else {
        line.outcome = "store_refused";
        TaskError::Permanent(error.to_string())
    }
}
