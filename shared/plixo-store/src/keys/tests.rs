use std::collections::BTreeSet;

use plixo_domain::audit::{Actor, ActorKind, Object, Outcome};
use plixo_domain::id::Ids;
use plixo_domain::ledger::Private;
use plixo_domain::webhook::{ExternalRef, Provider};
use proptest::prelude::*;

use super::*;

fn ids(seed: u8) -> Ids {
    Ids::new("2026-11-21T23:59:59.999Z".parse().unwrap(), [seed; 10])
}

fn rows(external: &str, number: &str, seed: u8) -> Vec<RowKey> {
    let reference = ExternalRef { provider: Provider::Stripe, id: external.parse().unwrap() };
    let event =
        EventKey { endpoint: ids(seed).make(), provider_event_id: external.parse().unwrap(), conflict: None };
    let conflict = EventKey { conflict: Some(Fingerprint([seed; 32])), ..event.clone() };
    vec![
        RowKey::Organisation,
        RowKey::Logo,
        RowKey::Customer(ids(seed).make()),
        RowKey::CustomerRef(reference.clone()),
        RowKey::Invoice(ids(seed).make()),
        RowKey::InvoiceNumber(number.to_owned()),
        RowKey::Payment(reference),
        RowKey::SourceName(ExternalRef { provider: Provider::Quickbooks, id: external.parse().unwrap() }),
        RowKey::DataSource(ids(seed).make()),
        RowKey::SourceProgress(ids(seed).make()),
        RowKey::Export(ids(seed).make()),
        RowKey::PaymentPointer(ids(seed).make()),
        RowKey::PortalLink(ids(seed).make()),
        RowKey::WebhookEndpoint(ids(seed).make()),
        RowKey::WebhookEvent(event),
        RowKey::WebhookEvent(conflict),
        RowKey::Totals,
        RowKey::AuditKept,
        RowKey::Counted(Countable::Invoice(ids(seed).make())),
        RowKey::Counted(Countable::Payment(ExternalRef {
            provider: Provider::Member,
            id: external.parse().unwrap(),
        })),
    ]
}

/// A difference here is a migration of every stack that runs.
#[test]
fn keys_are_what_they_were() {
    let org: OrgId = ids(1).make();
    let mut lines: Vec<_> = rows("pi_3Abc", "INV-1", 2).iter().map(|name| row(&org, name)).collect();
    lines.push(data_key(&org));
    lines.push(row(&org, &RowKey::Founding(AnswerKey("0a1b".to_owned()))));
    let event =
        EventKey { endpoint: ids(2).make(), provider_event_id: "evt_1".parse().unwrap(), conflict: None };
    lines.push(payload(&org, &event, Fingerprint([7; 32]), 3));
    lines.push(audit(
        &org,
        &AuditEvent {
            id: ids(3).make(),
            at: "2026-11-21T23:59:59.999Z".parse().unwrap(),
            actor: Actor { kind: ActorKind::Provider, id: "whe".into(), role: None },
            origin: Private::default(),
            customer: None,
            action: "payment.create".into(),
            object: Object::new("payment", "pay"),
            outcome: Outcome::Allowed,
            fields: vec![],
            request_id: "r".into(),
            count: None,
        },
    ));
    let shown: Vec<_> =
        lines.iter().map(|key| format!("{:?} | {} | {}", key.table, key.pk, key.sk)).collect();
    insta::assert_snapshot!(shown.join("\n"), @r"
    Ledger | org_01m808twzze40r2081040g2081 | organisation
    Ledger | org_01m808twzze40r2081040g2081 | logo
    Ledger | org_01m808twzze40r2081040g2081#cus_01m808twzze81840g2081040g2 | customer
    Ledger | org_01m808twzze40r2081040g2081#stripe#pi_3Abc | customer-ref
    Ledger | org_01m808twzze40r2081040g2081#inv_01m808twzze81840g2081040g2 | invoice
    Ledger | org_01m808twzze40r2081040g2081#number#INV-1 | invoice-number
    Ledger | org_01m808twzze40r2081040g2081#stripe#pi_3Abc | payment
    Ledger | org_01m808twzze40r2081040g2081#quickbooks#pi_3Abc | source-name
    Ledger | org_01m808twzze40r2081040g2081#src_01m808twzze81840g2081040g2 | data-source
    Ledger | org_01m808twzze40r2081040g2081#src_01m808twzze81840g2081040g2 | progress
    Ledger | org_01m808twzze40r2081040g2081#exp_01m808twzze81840g2081040g2 | export
    Ledger | org_01m808twzze40r2081040g2081#pay_01m808twzze81840g2081040g2 | payment-pointer
    Ledger | org_01m808twzze40r2081040g2081#lnk_01m808twzze81840g2081040g2 | portal-link
    Ledger | org_01m808twzze40r2081040g2081#whe_01m808twzze81840g2081040g2 | webhook-endpoint
    WebhookEvents | org_01m808twzze40r2081040g2081#whe_01m808twzze81840g2081040g2#pi_3Abc | event
    WebhookEvents | org_01m808twzze40r2081040g2081#whe_01m808twzze81840g2081040g2#pi_3Abc | conflict#0202020202020202020202020202020202020202020202020202020202020202
    Ledger | org_01m808twzze40r2081040g2081 | totals
    Ledger | org_01m808twzze40r2081040g2081 | audit-kept
    Ledger | org_01m808twzze40r2081040g2081#inv_01m808twzze81840g2081040g2 | counted
    Ledger | org_01m808twzze40r2081040g2081#member#pi_3Abc | counted
    Ledger | org_01m808twzze40r2081040g2081 | data-key
    People | founding#0a1b | founding
    WebhookEvents | org_01m808twzze40r2081040g2081#whe_01m808twzze81840g2081040g2#evt_1 | payload#0707070707070707070707070707070707070707070707070707070707070707#03
    Audit | org_01m808twzze40r2081040g2081#2026-11-21#03 | aud_01m808twzzec1r60r30c1g60r3
    ");
}

#[test]
fn an_audit_event_stands_with_what_it_is_about_unless_that_is_the_organisation() {
    let org: OrgId = ids(1).make();
    let places = |object: Object, fields: &[&str]| -> Vec<String> {
        let event = AuditEvent {
            id: ids(3).make(),
            at: "2026-11-21T23:59:59.999Z".parse().unwrap(),
            actor: Actor { kind: ActorKind::Member, id: "mem".into(), role: None },
            origin: Private::default(),
            customer: None,
            action: "invoice.update".into(),
            object,
            outcome: Outcome::Allowed,
            fields: fields.iter().map(|field| (*field).to_owned()).collect(),
            request_id: "r".into(),
            count: None,
        };
        audit_places(&org, &event).map(|(name, at)| format!("{name} = {}", at.as_s().unwrap())).collect()
    };
    let invoice = || Object::new("invoice", "inv_1");
    let shown = [
        places(invoice(), &["memo"]),
        places(invoice(), &[]),
        places(Object::new("organisation", org), &["name"]),
    ];
    insta::assert_snapshot!(shown.concat().join("\n"), @r"
    object_pk = org_01m808twzze40r2081040g2081#inv_1
    object_sk = aud_01m808twzzec1r60r30c1g60r3
    object_pk = org_01m808twzze40r2081040g2081#inv_1#unchanged
    object_sk = aud_01m808twzzec1r60r30c1g60r3
    ");
}

proptest! {
    /// A row with a part in the totals is known by its key, and no other row is.
    #[test]
    fn keys_of_what_is_counted_are_read_back(a in "[A-Za-z0-9_.:-]{1,40}", n in "[ -~]{1,20}", x in 0..4_u8, y in 0..4_u8) {
        let org: OrgId = ids(100 + x).make();
        for name in rows(&a, &n, y) {
            let Key { pk, sk, .. } = row(&org, &name);
            let counted = matches!(name, RowKey::Invoice(_) | RowKey::Payment(_));
            prop_assert_eq!(countable(&pk, &sk).map(|(org, of)| (org, of.row())), counted.then_some((org, name)));
        }
    }

    #[test]
    fn different_rows_have_different_keys_and_all_begin_with_their_organisation(
        a in "[A-Za-z0-9_.:-]{1,40}", b in "[A-Za-z0-9_.:-]{1,40}", m in "[ -~]{1,20}", n in "[ -~]{1,20}", x in 0..4_u8, y in 0..4_u8
    ) {
        let (one, other): (OrgId, OrgId) = (ids(100 + x).make(), ids(100 + y).make());
        let mut names = BTreeSet::new();
        let mut keys = BTreeSet::new();
        for (org, rows) in [(one, rows(&a, &m, x)), (other, rows(&b, &n, y))] {
            for name in rows {
                let key = row(&org, &name);
                let first = key.pk.split('#').next().unwrap_or_default();
                prop_assert_eq!(first, org.to_string());
                keys.insert(key);
                names.insert((org.to_string(), name));
            }
        }
        prop_assert_eq!(keys.len(), names.len());
    }
}
