//! Writes an export's file, page by page.

use jiff::{SignedDuration, Timestamp};
use plixo_aws::AwsError;
use plixo_aws::s3::{Objects, Upload};
use plixo_domain::audit::AuditKept;
use plixo_domain::export::{AuditFilter, Export, File, Format, Scope, Why};
use plixo_domain::hold::Holds;
use plixo_domain::id::{OrgId, made_at};
use plixo_domain::ledger::{Organisation, Row, RowKey};
use plixo_domain::retention::{Class, log_since};
use plixo_envelope::KeyService;
use plixo_store::{AuditSpan, List, Page, Store, StoreError, Tables};

use crate::rows::{self, Cells};
use crate::sealed;
use crate::sheet::Sheet;

/// So many rows are read at once.
const PAGE: usize = 100;
/// So many audit events are read at once: about, for the rounds in which they come are taken whole.
const EVENTS: usize = 1_000;

/// Why a file was not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Aws(#[from] AwsError),
    #[error("{0}")]
    Checkpoints(String),
}

impl FileError {
    /// What is told of it, if it is the end.
    pub(crate) fn why(&self) -> Why {
        match self {
            Self::Aws(_)
            | Self::Store(StoreError::Aws(_) | StoreError::Key(_) | StoreError::NoRandomness) => {
                Why::Unavailable
            }
            Self::Store(_) | Self::Checkpoints(_) => Why::Unreadable,
        }
    }

    /// Whether the same may work later.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Store(error) => error.is_passing(),
            Self::Aws(error) => matches!(error, AwsError::Unavailable { .. }),
            Self::Checkpoints(_) => false,
        }
    }
}

/// Writes the file of an export as its rows are now.
pub(crate) async fn write<T: Tables, K: KeyService, O: Objects>(
    store: &Store<T, K>,
    bucket: &O,
    checkpoints: &O,
    org: &OrgId,
    export: &Export,
    now: Timestamp,
) -> Result<File, FileError> {
    let key = export.object(org);
    let mut upload = Upload::begin(bucket, &key, export.content_type()).await?;
    let mut rows = 0;
    let of = Whose::read(store, org).await?;
    let filled = match &export.scope {
        Scope::Audit(AuditFilter { from: None, to }) if export.format == Format::Json => {
            let span = (of.log_begins(now), *to);
            sealed::write(store, checkpoints, &mut upload, org, span, now, &mut rows).await
        }
        _ => fill(store, &mut upload, &of, export, now, &mut rows).await,
    };
    match filled {
        Ok(()) => {
            let days = of.org.settings.retention.days(Class::ExportFile);
            Ok(File { at: now, rows, bytes: upload.finish().await?, days })
        }
        Err(error) => {
            upload.abort().await;
            Err(error)
        }
    }
}

/// Whose rows they are, what keeps those that are due, and what of the audit log is deleted.
struct Whose {
    org: Organisation,
    holds: Holds,
    kept: Option<AuditKept>,
}

impl Whose {
    async fn read<T: Tables, K: KeyService>(store: &Store<T, K>, org: &OrgId) -> Result<Self, StoreError> {
        let (mut of, mut holds, mut kept) = (None, Holds::default(), None);
        let names = vec![RowKey::Organisation, RowKey::Holds, RowKey::AuditKept];
        for (_, stored) in store.read(org, names).await? {
            match stored {
                Some((Row::Organisation(row), _)) => of = Some(row),
                Some((Row::Holds(row), _)) => holds = row,
                Some((Row::AuditKept(row), _)) => kept = Some(row),
                _ => {}
            }
        }
        let org = of.ok_or_else(|| StoreError::Corrupt("an export of no organisation".to_owned()))?;
        Ok(Self { org, holds, kept })
    }

    /// Since when the audit log is whole, and shown.
    fn log_since(&self, now: Timestamp) -> Timestamp {
        log_since(&self.org, &self.holds, self.kept.as_ref(), now)
    }

    /// The same, if it is not from its beginning on.
    fn log_begins(&self, now: Timestamp) -> Option<Timestamp> {
        Some(self.log_since(now)).filter(|since| *since > made_at(&self.org.id))
    }
}

async fn fill<T: Tables, K: KeyService, O: Objects>(
    store: &Store<T, K>,
    upload: &mut Upload<'_, O>,
    of: &Whose,
    export: &Export,
    now: Timestamp,
    rows: &mut u64,
) -> Result<(), FileError> {
    let columns = export.columns.clone();
    let sheet = match export.format {
        Format::Csv => Some(Sheet::csv(columns)),
        // Each event as it is stored, for whoever verifies the log.
        Format::Json if export.scope.is_audit() => None,
        Format::Json => Some(Sheet::json(columns)),
    };
    let Scope::Audit(filter) = &export.scope else {
        let Some(sheet) = sheet else { return Ok(()) };
        return list(store, upload, &of.org, export, sheet, now, rows).await;
    };
    events(store, upload, of, filter, sheet, now, rows).await
}

async fn list<T: Tables, K: KeyService, O: Objects>(
    store: &Store<T, K>,
    upload: &mut Upload<'_, O>,
    org: &Organisation,
    export: &Export,
    mut sheet: Sheet,
    now: Timestamp,
    rows: &mut u64,
) -> Result<(), FileError> {
    let Some(list) = List::of_export(&export.scope) else { return Ok(()) };
    let mut after = None;
    upload.write(&sheet.head()).await?;
    loop {
        let page = Page { after, descending: list.is_youngest_first(), limit: PAGE };
        let listed = store.list(&org.id, &list, page, now).await?;
        let mut text = Vec::new();
        for (row, _) in store.not_due(org, listed.rows, now).await? {
            if let Some(cells) = cells(store, &org.id, &export.scope, row, now).await? {
                text.extend(sheet.row(cells));
                *rows = rows.saturating_add(1);
            }
        }
        upload.write(&text).await?;
        match listed.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    Ok(upload.write(&sheet.tail()).await?)
}

/// What a row shows, if it is wanted.
async fn cells<T: Tables, K: KeyService>(
    store: &Store<T, K>,
    org: &OrgId,
    scope: &Scope,
    row: Row,
    now: Timestamp,
) -> Result<Option<Cells>, StoreError> {
    Ok(match (scope, row) {
        (Scope::Invoices(filter), Row::Invoice(row)) if filter.takes(&row) => {
            Some(rows::invoice(&row, store.open_body(org, &row, now).await?))
        }
        (Scope::Payments(filter), Row::Payment(row)) if filter.takes(&row) => {
            Some(rows::payment(&row, store.open_payer(org, &row, now).await?))
        }
        (Scope::Customers(_), Row::Customer(row)) => {
            Some(rows::customer(&row, store.open_personal(org, &row, now).await?))
        }
        _ => None,
    })
}

async fn events<T: Tables, K: KeyService, O: Objects>(
    store: &Store<T, K>,
    upload: &mut Upload<'_, O>,
    of: &Whose,
    filter: &AuditFilter,
    mut sheet: Option<Sheet>,
    now: Timestamp,
    rows: &mut u64,
) -> Result<(), FileError> {
    let org = &of.org.id;
    // Events of this very moment are of before its end.
    let from = filter.from.unwrap_or(Timestamp::MIN).max(of.log_since(now));
    let end = now.saturating_add(SignedDuration::from_secs(1)).unwrap_or(now);
    let span = AuditSpan { from, to: filter.to.unwrap_or(Timestamp::MAX).min(end) };
    let mut after: Option<String> = None;
    if let Some(sheet) = &sheet {
        upload.write(&sheet.head()).await?;
    }
    loop {
        let (events, next) = store.audit_texts(org, span, after.as_deref(), EVENTS).await?;
        let mut text = Vec::new();
        let (events, lines): (Vec<_>, Vec<_>) = events.into_iter().unzip();
        // Whoever gets the stored text opens nothing.
        let events = if sheet.is_some() { store.open_origins(org, events, now).await? } else { events };
        for (event, line) in events.into_iter().zip(lines) {
            match &mut sheet {
                Some(sheet) => text.extend(sheet.row(rows::event(event))),
                None => {
                    text.extend(line.into_bytes());
                    text.push(b'\n');
                }
            }
            *rows = rows.saturating_add(1);
        }
        upload.write(&text).await?;
        match next {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
    }
}
