//! The ledger in the contract's shapes.

use std::collections::BTreeSet;

use anyhow::Context;
use plixo_domain::id::InvoiceId;
use plixo_domain::ledger::{Allocation, Customer, CustomerRef, Invoice, Kept, Payment, RowKey};
use plixo_domain::webhook::{EventKey, ExternalRef, Provider, WebhookEvent};
use plixo_lambda::clock;
use serde_json::{Map, Value, json};

use super::{Ledger, Stack};

pub(super) async fn ledger(stack: &Stack, wanted: &Ledger) -> anyhow::Result<Value> {
    let mut answer = Map::new();
    let mut add = |name: &str, shown: Vec<Value>| {
        if !shown.is_empty() {
            answer.insert(name.to_owned(), shown.into());
        }
    };
    let (mut invoices, mut payments, mut customers, mut events) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for id in &wanted.invoices {
        invoices.push(invoice(stack, wanted, id).await?);
    }
    for id in &wanted.payments {
        let reference = ExternalRef { provider: Provider::Stripe, id: id.parse()? };
        payments.push(payment(stack, wanted, &reference, None).await?);
    }
    for id in &wanted.customers {
        customers.push(customer(stack, wanted, id).await?);
    }
    for name in &wanted.events {
        events.push(event(stack, wanted, name).await?);
    }
    add("invoices", invoices);
    add("payments", payments);
    add("customers", customers);
    add("events", events);
    Ok(answer.into())
}

async fn one<T: Kept + Clone>(stack: &Stack, wanted: &Ledger, name: &T::Name) -> anyhow::Result<Option<T>> {
    let rows = stack.store.read(&wanted.org, vec![T::key(name)]).await?;
    Ok(rows.into_iter().find_map(|(_, row)| row).and_then(|(row, _)| T::of(&row).cloned()))
}

async fn invoice(stack: &Stack, wanted: &Ledger, id: &InvoiceId) -> anyhow::Result<Value> {
    let found: Invoice = one(stack, wanted, id).await?.with_context(|| format!("no invoice {id}"))?;
    let body = stack.store.open_body(&wanted.org, &found, clock::now()).await?;
    let (mut payments, mut allocations) = (Vec::new(), Vec::new());
    let claiming: BTreeSet<_> = found.claims.values().map(|claim| &claim.payment).collect();
    for reference in claiming {
        let paid: Payment = one(stack, wanted, reference).await?.context("a claim without its payment")?;
        let shares = paid.allocations.values().filter(|share| share.invoice == *id);
        allocations.extend(shares.map(|share| allocation(&paid, share)));
        payments.push(payment(stack, wanted, reference, Some(&found)).await?);
    }
    Ok(json!({
        "id": id, "number": found.number, "customer_id": found.customer_id, "status": found.status(),
        "lines": body.lines, "memo": body.memo, "total": found.total, "balance": found.balance(),
        "issued_on": found.issued_on, "due_on": found.due_on, "payments": payments, "allocations": allocations,
    }))
}

fn allocation(payment: &Payment, share: &Allocation) -> Value {
    let currency = payment.amount().map(|amount| amount.currency);
    json!({
        "id": share.id, "payment_id": payment.id, "invoice_id": share.invoice,
        "amount": {"amount": share.amount, "currency": currency}, "applied_by": share.applied_by,
    })
}

async fn payment(
    stack: &Stack,
    wanted: &Ledger,
    reference: &ExternalRef,
    invoice: Option<&Invoice>,
) -> anyhow::Result<Value> {
    let found: Payment =
        one(stack, wanted, reference).await?.with_context(|| format!("no payment {}", reference.id))?;
    let payer = stack.store.open_payer(&wanted.org, &found, clock::now()).await?;
    let allocations: Vec<_> = found.allocations.values().map(|share| allocation(&found, share)).collect();
    Ok(json!({
        "id": found.id, "source": found.source(), "external_id": found.external_id(), "status": found.status(),
        "amount": found.amount(), "unapplied": found.unapplied(), "received_on": found.received_on(),
        "customer_id": invoice.map(|invoice| invoice.customer_id), "payer_name": payer.name,
        "remittance": payer.remittance, "allocations": allocations,
    }))
}

async fn customer(stack: &Stack, wanted: &Ledger, id: &str) -> anyhow::Result<Value> {
    let reference = ExternalRef { provider: Provider::Stripe, id: id.parse()? };
    let link: CustomerRef =
        one(stack, wanted, &reference).await?.with_context(|| format!("no customer {id}"))?;
    let found: Customer = one(stack, wanted, &link.customer).await?.context("a link without its customer")?;
    let personal = stack.store.open_personal(&wanted.org, &found, clock::now()).await?;
    let external: Map<_, _> =
        found.links.keys().map(|of| (of.provider.as_str().to_owned(), of.id.to_string().into())).collect();
    Ok(json!({
        "id": found.id, "name": personal.name, "email": personal.email, "phone": personal.phone,
        "address": personal.address, "tax_id": personal.tax_id, "external_ids": external,
    }))
}

async fn event(stack: &Stack, wanted: &Ledger, name: &str) -> anyhow::Result<Value> {
    let (endpoint, id) = name.split_once(':').context("an event is named `whe_…:evt_…`")?;
    let key = EventKey { endpoint: endpoint.parse()?, provider_event_id: id.parse()?, conflict: None };
    let row = stack.store.read(&wanted.org, vec![RowKey::WebhookEvent(key)]).await?;
    let found = row.into_iter().find_map(|(_, row)| row).and_then(|(row, _)| WebhookEvent::of(&row).cloned());
    let Some(found) = found else { return Ok(json!({"provider_event_id": id, "status": null})) };
    Ok(json!({
        "id": found.id, "endpoint_id": found.key.endpoint, "provider": found.provider, "provider_event_id": id,
        "type": found.kind, "status": found.status, "received_at": found.received_at, "applied_at": found.applied_at,
    }))
}
