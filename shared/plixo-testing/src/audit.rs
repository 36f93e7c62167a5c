//! The audit log of a test.

use jiff::Timestamp;
use plixo_domain::audit::AuditEvent;
use plixo_store::{Store, Table, to_audit_event};

use crate::{FakeKms, FakeTables, Faults, entropy};

/// All audit events of all organisations in the order of their keys, opened as far as there are keys.
pub async fn audit_log(tables: &FakeTables, kms: &FakeKms, now: Timestamp) -> Vec<AuditEvent> {
    let store = Store::new(tables.fork(Faults::default()), kms.with(Faults::default()), entropy);
    let mut log = Vec::new();
    for (key, item) in tables.dump().into_iter().filter(|(key, _)| key.table == Table::Audit) {
        let org = key.pk.split('#').next().unwrap().parse().unwrap();
        log.extend(store.open_origins(&org, vec![to_audit_event(&item).unwrap()], now).await.unwrap());
    }
    log
}
