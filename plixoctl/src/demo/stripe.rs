//! The Stripe accounts of demo organisations.

use anyhow::Context;
use plixo_domain::id::OrgId;
use plixo_domain::ledger::{Book, RestrictedKey, RowKey, StripeAccount, StripeKeyEntry};
use plixo_domain::secret::Secret;
use plixo_lambda::clock;
use plixo_portal::cashier::fingerprint;
use serde_json::{Value, json};

use super::{Stack, audit, new_ids};

/// Has an organisation's payers pay by that key, as `PUT /v1/orgs/{org}/stripe-account` does.
pub(super) async fn connect(stack: &Stack, org: OrgId, key: Secret) -> anyhow::Result<Value> {
    let (key, now) = (RestrictedKey::new(key)?, clock::now());
    let account = StripeAccount {
        key_hint: key.hint(),
        connected_at: now,
        refused_at: None,
        fingerprint: fingerprint(key.secret()),
    };
    let mut book = Book::default();
    for (name, stored) in stack.store.read(&org, vec![RowKey::StripeAccount]).await? {
        book.learn(name, stored);
    }
    let before = book.get::<StripeAccount>(&()).ok().flatten();
    if before.is_none_or(|before| before.fingerprint != account.fingerprint) {
        book.put(account).ok().context("a row that was not read")?;
        let mut ids = new_ids(now)?;
        let object = plixo_domain::audit::Object::new("organisation", org);
        let event = plixo_domain::audit::AuditEvent {
            action: "stripe_account.connect".to_owned(),
            fields: vec!["stripe_account".to_owned()],
            ..audit(&mut ids, now, object)
        };
        stack.store.commit(&org, &book, None, &[event], now).await?;
    }
    let entry =
        StripeKeyEntry { v: StripeKeyEntry::VERSION, key: Some(key.secret().clone()), before: Vec::new() };
    let entry = Secret::new(serde_json::to_string(&entry)?);
    stack.stripe_keys.put(&org.to_string(), &entry, stack.storage_key.as_deref()).await?;
    Ok(json!({"org": org, "key_hint": key.hint()}))
}
