//! What a row shows in an export.

use plixo_domain::audit::{Actor, AuditEvent};
use plixo_domain::ledger::{Customer, Invoice, InvoiceBody, Payer, Payment, Personal};
use plixo_domain::money::Money;
use serde::Serialize;

use crate::sheet::Cell;

pub(crate) type Cells = Vec<(&'static str, Cell)>;

pub(crate) fn invoice(row: &Invoice, body: InvoiceBody) -> Cells {
    vec![
        ("id", Cell::word(row.id)),
        ("number", Cell::Text(row.number.clone())),
        ("customer_id", Cell::word(row.customer_id)),
        ("status", Cell::word(row.status().as_str())),
        ("currency", Cell::word(row.total.currency)),
        ("total", Cell::Money(row.total)),
        ("balance", Cell::Money(row.balance())),
        ("issued_on", Cell::some_word(row.issued_on)),
        ("due_on", Cell::some_word(row.due_on)),
        ("memo", Cell::text(body.memo)),
    ]
}

pub(crate) fn payment(row: &Payment, payer: Payer) -> Cells {
    let amount = row.amount();
    let back = row.refunded().saturating_add(row.lost());
    vec![
        ("id", Cell::word(row.id)),
        ("source", Cell::word(row.source().as_str())),
        ("status", Cell::word(row.status().as_str())),
        ("currency", Cell::some_word(amount.map(|amount| amount.currency))),
        ("amount", Cell::money(amount)),
        ("unapplied", Cell::money(row.unapplied())),
        ("refunded", Cell::money(amount.map(|amount| Money::new(back, amount.currency)))),
        ("customer_id", Cell::some_word(row.customer_id)),
        ("payer_name", Cell::text(payer.name)),
        ("remittance", Cell::text(payer.remittance)),
        ("received_on", Cell::some_word(row.received_on())),
        ("external_id", Cell::text(row.external_id().map(ToString::to_string))),
    ]
}

pub(crate) fn customer(row: &Customer, personal: Personal) -> Cells {
    let Personal { name, email, phone, address, tax_id } = personal;
    // What is left of one that was erased is its id.
    let links = row.links.keys().filter(|_| row.erased.is_none());
    let names = links.map(|of| format!("{}:{}", of.provider.as_str(), of.id));
    let names: Vec<_> = names.collect();
    let address = address.as_ref();
    let part =
        |part: fn(&plixo_domain::ledger::Address) -> &String| Cell::text(address.map(|it| part(it).clone()));
    vec![
        ("id", Cell::word(row.id)),
        ("name", Cell::text(name)),
        ("email", Cell::text(email)),
        ("phone", Cell::text(phone)),
        ("line1", part(|it| &it.line1)),
        ("line2", Cell::text(address.and_then(|it| it.line2.clone()))),
        ("city", part(|it| &it.city)),
        ("postal_code", part(|it| &it.postal_code)),
        ("country", part(|it| &it.country)),
        ("tax_id", Cell::text(tax_id)),
        ("external_ids", Cell::text((!names.is_empty()).then(|| names.join(" ")))),
    ]
}

pub(crate) fn event(row: AuditEvent) -> Cells {
    let (ip, user_agent) = (row.ip().map(str::to_owned), row.user_agent().map(str::to_owned));
    let AuditEvent { id, at, actor, action, object, outcome, fields, request_id, .. } = row;
    let Actor { kind, id: who, role } = actor;
    vec![
        ("id", Cell::word(id)),
        ("at", Cell::word(at)),
        ("actor_kind", Cell::Word(named(kind))),
        ("actor_id", Cell::Text(who)),
        ("actor_role", Cell::text(role)),
        ("ip", Cell::text(ip)),
        ("user_agent", Cell::text(user_agent)),
        ("action", Cell::Text(action)),
        ("object_kind", Cell::Text(object.kind)),
        ("object_id", Cell::Text(object.id)),
        ("outcome", Cell::Word(named(outcome))),
        ("fields", Cell::text((!fields.is_empty()).then(|| fields.join(" ")))),
        ("request_id", Cell::Text(request_id)),
    ]
}

/// The contract's word.
fn named(word: impl Serialize) -> String {
    serde_json::to_value(word).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}
