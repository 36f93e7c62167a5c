//! What is held about a customer, collected into two files: for programs, and for people.

use std::collections::BTreeSet;

use futures::future::try_join_all;
use jiff::{SignedDuration, Timestamp};
use plixo_aws::s3::{Objects, Upload};
use plixo_aws::sign::Sign;
use plixo_aws::sqs::LookThrough;
use plixo_domain::audit::{AuditEvent, AuditKept, Outcome};
use plixo_domain::hold::{HeldBy, Holds};
use plixo_domain::id::{InvoiceId, made_at};
use plixo_domain::ledger::{
    Book, Customer, Invoice, Kept, Organisation, Payer, Payment, Personal, PortalLink, Row, RowKey,
};
use plixo_domain::money::Money;
use plixo_domain::privacy::{Done, PrivacyRequest};
use plixo_domain::retention::{Class, log_since};
use plixo_domain::webhook::{ExternalRef, WebhookEvent};
use plixo_envelope::KeyService;
use plixo_pages::{CollectedEntry, CollectedHead, CollectedSection, write_amount};
use plixo_store::{AuditSpan, List, Store, StoreError, Tables};
use serde_json::{Value, json};

use crate::Worker;
use crate::case::{Case, Stop, learn, unread};
use crate::sweep::{OPEN, PAGE, ROWS};
use crate::words::{Named, Words};

/// So many audit events of one thing are read at once.
const EVENTS: usize = 100;
/// So many audit events of one thing are given, the latest: whoever wants more of the log has an export of it.
const MOST_EVENTS: usize = 10_000;

/// The two files.
struct Files<'a, O> {
    json: Upload<'a, O>,
    html: Upload<'a, O>,
    /// Whether the part that is being written has an entry.
    has_entry: bool,
}

impl<O: Objects> Files<'_, O> {
    async fn begin(&mut self, name: &str, title: &'static str, note: &'static str) -> Result<(), Stop> {
        self.has_entry = false;
        self.json.write(format!(",\n\"{name}\":[").as_bytes()).await?;
        self.html.write(CollectedSection { title, note }.render().as_bytes()).await?;
        Ok(())
    }

    /// Writes one thing. `text` is a field of it that is shown as it is.
    async fn entry(&mut self, value: &Value, text: Option<&str>) -> Result<(), Stop> {
        let comma = if self.has_entry { ",\n" } else { "\n" };
        self.has_entry = true;
        self.json.write(format!("{comma}{value}").as_bytes()).await?;
        let mut fields = Vec::new();
        flatten("", value, &mut fields);
        let shown = text.and_then(|name| value.get(name)).and_then(Value::as_str).map(str::to_owned);
        fields.retain(|(name, _)| text != Some(name.as_str()));
        let title = ["number", "id", "class"].into_iter().find_map(|name| value.get(name)?.as_str());
        let title = title.unwrap_or_default().to_owned();
        self.html.write(CollectedEntry { title, fields, text: shown }.render().as_bytes()).await?;
        Ok(())
    }

    async fn end(&mut self) -> Result<(), Stop> {
        self.json.write(b"]").await?;
        self.html.write(CollectedSection::end().as_bytes()).await?;
        Ok(())
    }
}

/// The fields of a value by their paths, with amounts as people write them.
fn flatten(path: &str, value: &Value, fields: &mut Vec<(String, String)>) {
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path} {name}") };
    match value {
        Value::Null => {}
        Value::Object(_) if money(value).is_some() => {
            fields.extend(money(value).map(|text| (path.to_owned(), text)));
        }
        Value::Object(of) => of.iter().for_each(|(name, value)| flatten(&below(name), value, fields)),
        Value::Array(of) => {
            for (n, value) in (1_usize..).zip(of) {
                flatten(&below(&n.to_string()), value, fields);
            }
        }
        Value::String(text) => fields.push((path.to_owned(), text.clone())),
        other => fields.push((path.to_owned(), other.to_string())),
    }
}

fn money(value: &Value) -> Option<String> {
    let of = value.as_object().filter(|of| of.len() == 2)?;
    let currency = of.get("currency")?.as_str()?;
    let money = Money::new(of.get("amount")?.as_i64()?, currency.parse().ok()?);
    Some(format!("{} {currency}", write_amount(money)))
}

/// What is to be collected from.
struct About {
    organisation: Organisation,
    customer: Customer,
    personal: Personal,
}

impl<T: Tables, K: KeyService, O: Objects, S: Sign, Q: LookThrough> Worker<T, K, O, S, Q> {
    /// Collects what is held about a customer, and notes until when its files are kept.
    pub(crate) async fn collect(
        &self,
        case: &mut Case,
        request: &PrivacyRequest,
    ) -> Result<&'static str, Stop> {
        let Some(request) = self.begin(case, &request.id, false).await? else { return Ok("nothing_to_do") };
        let names = vec![RowKey::Organisation, Customer::key(&request.customer)];
        let (mut organisation, mut customer) = (None, None);
        for (_, stored) in self.store.read(&case.org, names).await? {
            match stored {
                Some((Row::Organisation(it), _)) => organisation = Some(it),
                Some((Row::Customer(it), _)) => customer = Some(it),
                _ => {}
            }
        }
        let (Some(organisation), Some(customer)) = (organisation, customer) else {
            return Err(Stop::Never("there is no such customer".to_owned()));
        };
        let personal = self.store.open_personal(&case.org, &customer, case.now).await?;
        let files_until = organisation.settings.retention.due_at(Class::ExportFile, case.now);
        let about = About { organisation, customer, personal };
        let keys = ["json", "html"].map(|end| request.object(&case.org, end));
        let [json, html] = &keys;
        let json = Upload::begin(&self.exports, json, "application/json").await?;
        let html = match Upload::begin(&self.exports, html, "text/html; charset=utf-8").await {
            Ok(html) => html,
            Err(error) => {
                json.abort().await;
                return Err(error.into());
            }
        };
        let mut files = Files { json, html, has_entry: false };
        if let Err(stop) = self.fill(case, &request, &about, &mut files).await {
            files.json.abort().await;
            files.html.abort().await;
            return Err(stop);
        }
        files.json.finish().await?;
        files.html.finish().await?;
        let still = self.customer(case, &about.customer.id).await?;
        if still.is_none_or(|(still, _)| still.erased != about.customer.erased) {
            for key in &keys {
                self.exports.delete(key).await?;
            }
            return Err(Stop::Later("the customer was erased meanwhile".to_owned()));
        }
        let done = Done {
            at: case.now,
            certificate: None,
            files_until: Some(files_until),
            gone: false,
            going: false,
        };
        let end = |request: &PrivacyRequest| {
            let is_open = request.status().is_open();
            is_open.then(|| PrivacyRequest { done: Some(done.clone()), held: None, ..request.clone() })
        };
        let told = ("privacy_request.collect", Outcome::Allowed, ["status", "files_until"].as_slice());
        Ok(match self.note(case, &request.id, told, false, end).await? {
            Some(_) => "collected",
            None => "overtaken",
        })
    }

    async fn fill(
        &self,
        case: &Case,
        request: &PrivacyRequest,
        about: &About,
        files: &mut Files<'_, O>,
    ) -> Result<(), Stop> {
        let About { organisation, customer, personal } = about;
        let head =
            CollectedHead { organisation: organisation.name.clone(), customer: customer.id, at: case.now };
        let made = json!({
            "request_id": request.id, "organisation": {"id": case.org, "name": organisation.name},
            "customer_id": customer.id, "collected_at": case.now,
        });
        files.json.write(format!("{{\"about\":{made}").as_bytes()).await?;
        files.html.write(head.render().as_bytes()).await?;
        files
            .begin(
                "customer",
                "Personal data",
                "As the organisation keeps it, or else as a provider told it.",
            )
            .await?;
        files.entry(&shown_customer(customer, personal), None).await?;
        files.end().await?;

        let mut words = Words::new(customer, personal);
        let mut objects = BTreeSet::from([customer.id.to_string()]);
        let payments = self.collect_invoices(case, about, files, &mut words, &mut objects).await?;
        self.collect_payments(case, about, files, (payments, &words), &mut objects).await?;
        self.collect_links(case, about, files, &mut objects).await?;
        self.collect_events(case, about, files, &words).await?;
        self.collect_audit(case, about, files, &objects).await?;
        self.collect_rules(case, request, about, files, &words).await?;
        files.json.write(b"\n}\n").await?;
        files.html.write(CollectedHead::end().as_bytes()).await?;
        Ok(())
    }

    /// The rows of a page of a list that are not due.
    async fn shown(
        &self,
        case: &Case,
        about: &About,
        list: &List,
        after: Option<String>,
        limit: usize,
    ) -> Result<(Vec<Row>, Option<String>), StoreError> {
        let (rows, next) = self.page(case, list, after, limit).await?;
        let rows = rows.into_iter().map(|row| (row, 0)).collect();
        let rows = self.store.not_due(&about.organisation, rows, case.now).await?;
        Ok((rows.into_iter().map(|(row, _)| row).collect(), next))
    }

    /// Invoices; the payments on them are answered.
    async fn collect_invoices(
        &self,
        case: &Case,
        about: &About,
        files: &mut Files<'_, O>,
        words: &mut Words,
        objects: &mut BTreeSet<String>,
    ) -> Result<BTreeSet<ExternalRef>, Stop> {
        let (mut payments, mut after) = (BTreeSet::new(), None);
        files.begin("invoices", "Invoices", "What was owed, and for what.").await?;
        loop {
            let list = List::InvoicesOfCustomer(about.customer.id);
            let (rows, next) = self.shown(case, about, &list, after, ROWS).await?;
            for row in rows {
                let Row::Invoice(invoice) = row else { continue };
                let body = self.store.open_body(&case.org, &invoice, case.now).await?;
                let shown = json!({
                    "id": invoice.id, "number": invoice.number, "status": invoice.status(), "total": invoice.total,
                    "balance": invoice.balance(), "issued_on": invoice.issued_on, "due_on": invoice.due_on,
                    "memo": body.memo, "lines": body.lines, "external_id": invoice.reference.as_ref().map(|it| &it.id),
                });
                files.entry(&shown, None).await?;
                payments.extend(invoice.claims.values().map(|claim| claim.payment.clone()));
                words.add(&invoice.id);
                objects.insert(invoice.id.to_string());
            }
            match next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        files.end().await?;
        Ok(payments)
    }

    async fn collect_payments(
        &self,
        case: &Case,
        about: &About,
        files: &mut Files<'_, O>,
        (mut payments, words): (BTreeSet<ExternalRef>, &Words),
        objects: &mut BTreeSet<String>,
    ) -> Result<(), Stop> {
        let links = about.customer.links.keys().cloned().map(List::PaymentsOfReference);
        let lists = links.chain([List::PaymentsOfCustomer(about.customer.id), List::Payments]);
        for list in lists.collect::<Vec<_>>() {
            let mut after = None;
            loop {
                let (rows, next) = self.page(case, &list, after, PAGE).await?;
                let rows = rows.into_iter().filter_map(|row| match row {
                    Row::Payment(payment) => Some(payment),
                    _ => None,
                });
                let mut rows: Vec<Payment> = rows.collect();
                // Among all payments: what was for one of the invoices, whatever became of it, and what its email paid.
                if list == List::Payments {
                    let are_for = self.are_for(case, &rows, &about.customer.id, words).await?;
                    let (mut own, mut perhaps, mut payers) = (Vec::new(), Vec::new(), Vec::new());
                    for (payment, is_for) in rows.into_iter().zip(are_for) {
                        let payer = self.payer_of(case, &payment).await?;
                        if is_for {
                            own.push(payment);
                        } else if words.pay(&payer) == Named::ForCertain {
                            perhaps.push(payment);
                            payers.push(payer);
                        }
                    }
                    let others = self.others(case, &perhaps, &about.customer.id).await?;
                    let perhaps = perhaps.into_iter().zip(payers).zip(others);
                    let paid =
                        perhaps.filter(|((_, payer), other)| is_own_payer(words, payer, other.as_ref()));
                    own.extend(paid.map(|((payment, _), _)| payment));
                    rows = own;
                }
                payments.extend(rows.into_iter().map(|row| row.reference));
                match next {
                    Some(next) => after = Some(next),
                    None => break,
                }
            }
        }
        files
            .begin("payments", "Payments", "Money that was received, who paid it, and what it was for.")
            .await?;
        let names: Vec<RowKey> = payments.iter().map(Payment::key).collect();
        for names in names.chunks(ROWS) {
            let read = self.store.read(&case.org, names.to_vec()).await?;
            let rows = read.into_iter().filter_map(|(_, stored)| stored).collect();
            let rows = self.store.not_due(&about.organisation, rows, case.now).await?;
            let rows: Vec<Payment> = rows.iter().filter_map(|(row, _)| Payment::of(row).cloned()).collect();
            let others = self.others(case, &rows, &about.customer.id).await?;
            for (payment, other) in rows.into_iter().zip(others) {
                let payer = self.payer_of(case, &payment).await?;
                // Money of somebody else may have paid an invoice of this customer.
                let payer =
                    Some(payer).filter(|it| other.is_none() || is_own_payer(words, it, other.as_ref()));
                let allocations = payment.allocations.values();
                let allocations =
                    allocations.map(|it| json!({"id": it.id, "invoice_id": it.invoice, "amount": it.amount}));
                let shown = json!({
                    "id": payment.id, "source": payment.source().as_str(), "status": payment.status().as_str(),
                    "amount": payment.amount(), "unapplied": payment.unapplied(), "received_on": payment.received_on(),
                    "external_id": payment.external_id(), "payer": payer, "allocations": allocations.collect::<Vec<_>>(),
                });
                files.entry(&shown, None).await?;
                objects.insert(payment.id.to_string());
            }
        }
        files.end().await
    }

    async fn collect_links(
        &self,
        case: &Case,
        about: &About,
        files: &mut Files<'_, O>,
        objects: &mut BTreeSet<String>,
    ) -> Result<(), Stop> {
        files
            .begin(
                "portal_links",
                "Links",
                "By which an invoice was opened, or could be. What opens it is not kept.",
            )
            .await?;
        let mut after = None;
        loop {
            let list = List::InvoicesOfCustomer(about.customer.id);
            let (rows, next) = self.page(case, &list, after, ROWS).await?;
            for row in rows {
                let Row::Invoice(Invoice { id, .. }) = row else { continue };
                self.collect_links_of(case, about, files, id, objects).await?;
            }
            match next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        files.end().await
    }

    async fn collect_links_of(
        &self,
        case: &Case,
        about: &About,
        files: &mut Files<'_, O>,
        invoice: InvoiceId,
        objects: &mut BTreeSet<String>,
    ) -> Result<(), Stop> {
        let mut after = None;
        loop {
            let (links, next) = self.shown(case, about, &List::PortalLinksOf(invoice), after, PAGE).await?;
            for link in links {
                let Row::PortalLink(link) = link else { continue };
                let PortalLink { id, invoice, made_at, expires_at, revoked_at, opened, emailed_at, .. } =
                    link;
                let shown = json!({
                    "id": id, "invoice_id": invoice, "made_at": made_at, "expires_at": expires_at, "revoked_at": revoked_at,
                    "opened_at": opened.map(|opened| opened.at), "emailed_at": emailed_at,
                });
                files.entry(&shown, None).await?;
                objects.insert(id.to_string());
            }
            match next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    async fn collect_events(
        &self,
        case: &Case,
        about: &About,
        files: &mut Files<'_, O>,
        words: &Words,
    ) -> Result<(), Stop> {
        let org = &about.organisation;
        let remembered = Store::<T, K>::remembered_since(case.now);
        files
            .begin(
                "webhook_events",
                "What providers told",
                "Texts of payment providers and ERPs that are kept, as they came.",
            )
            .await?;
        let mut after = None;
        loop {
            let (rows, next) = self.page(case, &List::WebhookEvents, after, PAGE).await?;
            let events = rows.into_iter().filter_map(|row| match row {
                // One that is older is found without its event.
                Row::WebhookEvent(event) if event.received_at > remembered => Some(event),
                _ => None,
            });
            let events: Vec<WebhookEvent> = events.collect();
            for events in events.chunks(OPEN) {
                let texts = events.iter().map(|event| self.store.payload_shown(org, event, case.now));
                for (event, text) in events.iter().zip(try_join_all(texts).await?) {
                    let Some(text) = text.filter(|text| words.are_told_in(text)) else { continue };
                    let shown = json!({
                        "id": event.id, "endpoint_id": event.key.endpoint, "provider": event.provider.as_str(),
                        "provider_event_id": event.key.provider_event_id, "type": event.kind,
                        "received_at": event.received_at, "text": text,
                    });
                    files.entry(&shown, Some("text")).await?;
                }
            }
            match next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        self.collect_old_events(case, about, files, words).await?;
        files.end().await
    }

    /// The texts of events that are remembered no more, and that are not due.
    async fn collect_old_events(
        &self,
        case: &Case,
        about: &About,
        files: &mut Files<'_, O>,
        words: &Words,
    ) -> Result<(), Stop> {
        let is_held = !self.store.holds(&case.org).await?.0.is_empty();
        let due = about.organisation.settings.retention.due_since(Class::WebhookPayload, case.now);
        let (from, to) =
            (if is_held { Timestamp::MIN } else { due }, Store::<T, K>::remembered_since(case.now));
        if from >= to {
            return Ok(());
        }
        let mut after = None;
        loop {
            let (firsts, next) = self.store.payloads_between(&case.org, (from, to), after, PAGE).await?;
            for firsts in firsts.chunks(OPEN) {
                let found = firsts.iter().map(|first| self.store.old_payload(&case.org, first, case.now));
                for found in try_join_all(found).await?.into_iter().flatten() {
                    let text = found.text.filter(|text| words.are_told_in(text));
                    let Some((id, text)) = found.id.zip(text) else { continue };
                    let shown = json!({"id": id, "received_at": made_at(&id), "text": text});
                    files.entry(&shown, Some("text")).await?;
                }
            }
            match next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    async fn collect_audit(
        &self,
        case: &Case,
        about: &About,
        files: &mut Files<'_, O>,
        objects: &BTreeSet<String>,
    ) -> Result<(), Stop> {
        files
            .begin(
                "audit_events",
                "What was done",
                "The audit log of all of the above: who did what, when, and how it ended.",
            )
            .await?;
        let to = case.now.saturating_add(SignedDuration::from_secs(1)).unwrap_or(case.now);
        let (holds, _) = self.store.holds(&case.org).await?;
        let mut book = Book::default();
        learn(&self.store, &case.org, &mut book, [RowKey::AuditKept]).await?;
        let kept = book.get::<AuditKept>(&()).map_err(unread)?;
        let span = AuditSpan { from: log_since(&about.organisation, &holds, kept, case.now), to };
        for object in objects {
            let (mut after, mut given) = (None, 0);
            loop {
                let of = (&case.org, object.as_str());
                let page = self.store.audit_of(of, false, span, after.as_deref(), EVENTS, |_| true).await?;
                given += page.events.len();
                for event in self.store.open_origins(&case.org, page.events, case.now).await? {
                    files.entry(&shown_event(&event, case), None).await?;
                }
                match page.next {
                    Some(next) if given < MOST_EVENTS => after = Some(next.place),
                    _ => break,
                }
            }
        }
        files.end().await
    }

    /// For how long what is kept, what may not go, and what was asked for.
    async fn collect_rules(
        &self,
        case: &Case,
        request: &PrivacyRequest,
        about: &About,
        files: &mut Files<'_, O>,
        words: &Words,
    ) -> Result<(), Stop> {
        files.begin("retention", "For how long it is kept", "Days, of each kind of data.").await?;
        for class in Class::ALL {
            let days = about.organisation.settings.retention.days(class);
            files.entry(&json!({"class": class.as_str(), "days": days}), None).await?;
        }
        files.end().await?;
        files
            .begin(
                "legal_holds",
                "Legal holds",
                "That something has to be kept for now, although its time may be over.",
            )
            .await?;
        let (holds, _): (Holds, _) = self.store.holds(&case.org).await?;
        let invoices: BTreeSet<_> = holds.invoices().filter(|invoice| words.has(invoice)).collect();
        let on = [("organisation", HeldBy::Organisation), ("customer", HeldBy::Customer(about.customer.id))];
        for (what, on) in
            on.into_iter().chain(invoices.into_iter().map(|it| ("invoice", HeldBy::Invoice(it))))
        {
            for id in holds.on(&on) {
                files.entry(&json!({"id": id, "on": what, "placed_at": made_at(&id)}), None).await?;
            }
        }
        files.end().await?;
        files.begin("privacy_requests", "Requests", "What was asked for before, and now.").await?;
        let mut after = None;
        loop {
            let (rows, next) = self.page(case, &List::PrivacyRequests, after, PAGE).await?;
            for row in rows {
                let Row::PrivacyRequest(it) = row else { continue };
                if it.customer == request.customer {
                    let shown = json!({
                        "id": it.id, "kind": it.kind, "requested_at": it.requested_at, "due_on": it.due_on,
                        "status": it.status(),
                    });
                    files.entry(&shown, None).await?;
                }
            }
            match next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        files.end().await
    }
}

fn shown_customer(customer: &Customer, personal: &Personal) -> Value {
    let links = customer.links.keys().map(|name| json!({"provider": name.provider.as_str(), "id": name.id}));
    json!({
        "id": customer.id, "name": personal.name, "email": personal.email, "phone": personal.phone,
        "address": personal.address, "tax_id": personal.tax_id, "external_ids": links.collect::<Vec<_>>(),
        "made_at": made_at(&customer.id), "erased_at": customer.erased.as_ref().map(|erased| erased.at),
    })
}

/// Whether the customer's email is who paid, and not also that of whose money it is.
fn is_own_payer(words: &Words, payer: &Payer, other: Option<&Words>) -> bool {
    let words = other.map_or_else(|| words.clone(), |other| words.without(other));
    words.pay(payer) == Named::ForCertain
}

/// An event of the log. From where somebody came is told of the customer's own people alone.
fn shown_event(event: &AuditEvent, case: &Case) -> Value {
    let is_own = event.customer.is_some() && event.customer == case.customer;
    json!({
        "id": event.id, "at": event.at, "actor": {"kind": event.actor.kind, "role": event.actor.role},
        "ip": event.ip().filter(|_| is_own), "user_agent": event.user_agent().filter(|_| is_own),
        "action": event.action, "object": event.object, "outcome": event.outcome, "fields": event.fields,
    })
}
