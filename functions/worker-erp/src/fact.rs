//! What a canonical event tells the ledger.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use plixo_domain::ledger::{
    CustomerNews, InvoiceDocument, InvoiceNews, Payer, PaymentNews, PaymentPart, Private, Stage, Stamp,
    Witness,
};
use plixo_domain::money::{Currency, Money};
use plixo_domain::webhook::{ExternalId, ExternalRef, Provider};
use plixo_webhooks::canonical::{Applied, CreditNote, Customer, Event, Invoice, Payment, Version, Voided};
use plixo_worker::{Fact, News};

/// More than a payment can have of them: what is beyond stays unapplied, and is not read.
const MAX_SHARES: usize = 100;
/// What nobody has told the currency of.
const NO_CURRENCY: &str = "XXX";

/// The news in a canonical event of a provider. Of the same version of a thing, the one told by the greater `event` is later.
pub(crate) fn of(provider: Provider, event: Event, by: &ExternalId) -> News {
    let of = Of { provider, stamp: event.version().stamp(by) };
    let fact = match event {
        Event::CustomerUpserted(it) => of.customer(it).map(Some),
        Event::InvoiceUpserted(it) => of.invoice(it),
        Event::InvoiceVoided(it) => Ok(Some(of.voided(it))),
        Event::PaymentRecorded(it) => of.payment(it).map(Some),
        Event::CreditNoteRecorded(it) => of.credit_note(it).map(Some),
    };
    fact.map_or_else(News::Unusable, |fact| News::Told(fact.map(Box::new)))
}

struct Of {
    provider: Provider,
    stamp: Stamp,
}

/// What was read a moment ago.
fn plain<T>(value: Private<T>) -> Result<T, String> {
    match value {
        Private::Plain(value) => Ok(value),
        Private::Sealed(_) => Err("its text is sealed".to_owned()),
    }
}

impl Of {
    fn named(&self, id: ExternalId) -> ExternalRef {
        ExternalRef { provider: self.provider, id }
    }

    fn customer(self, it: Customer) -> Result<Fact, String> {
        let personal = it.personal.map(plain).transpose()?;
        let reference = self.named(it.id);
        Ok(Fact::Customer(CustomerNews { reference, stamp: self.stamp, personal, names: it.plixo_id }))
    }

    /// Nothing of a draft that has no number yet.
    fn invoice(self, it: Invoice) -> Result<Option<Fact>, String> {
        let Some(number) = it.number else { return Ok(None) };
        let document = InvoiceDocument {
            customer: self.named(it.customer),
            number,
            state: it.state,
            total: it.total,
            body: plain(it.body)?,
            issued_on: it.issued_on,
            due_on: it.due_on,
        };
        let (reference, document) = (self.named(it.id), Some(document));
        Ok(Some(Fact::Invoice(InvoiceNews { reference, stamp: self.stamp, document, names: it.plixo_id })))
    }

    fn voided(self, it: Voided) -> Fact {
        let reference = self.named(it.id);
        Fact::Invoice(InvoiceNews { reference, stamp: self.stamp, document: None, names: None })
    }

    fn payment(self, it: Payment) -> Result<Fact, String> {
        let Some(record) = it.record else { return self.withdrawn(it.id) };
        let stage = if record.received { Stage::Received } else { Stage::Pending };
        let since = since(record.received_on, it.version);
        let payer = plain(record.payer)?;
        let customer = record.customer;
        Ok(self.money(it.id, stage, record.amount, since, payer, record.applied, customer))
    }

    /// A credit note is money that the customer has, to be applied as any other.
    fn credit_note(self, it: CreditNote) -> Result<Fact, String> {
        let Some(record) = it.record else { return self.withdrawn(it.id) };
        let since = since(record.issued_on, it.version);
        let payer = Payer { name: None, email: None, remittance: record.number };
        let customer = Some(record.customer);
        Ok(self.money(it.id, Stage::Received, record.total, since, payer, record.applied, customer))
    }

    #[expect(clippy::too_many_arguments, reason = "what payments and credit notes have in common")]
    fn money(
        self,
        id: ExternalId,
        stage: Stage,
        Money { amount, currency }: Money,
        since: Timestamp,
        payer: Payer,
        applied: Vec<Applied>,
        customer: Option<ExternalId>,
    ) -> Fact {
        let (witness, since) = (Witness::Document, since.as_second());
        let mut parts = vec![PaymentPart::Money { witness, stage, amount, since }];
        parts.extend((payer != Payer::default()).then_some(PaymentPart::Payer(payer)));
        let share = |it: Applied| (self.named(it.to), it.amount.amount);
        parts.push(PaymentPart::Shares(applied.into_iter().take(MAX_SHARES).map(share).collect()));
        let (reference, customer) = (self.named(id), customer.map(|id| self.named(id)));
        Fact::Payment(PaymentNews { reference, stamp: self.stamp, currency, parts, customer })
    }

    fn withdrawn(self, id: ExternalId) -> Result<Fact, String> {
        let currency: Currency = NO_CURRENCY.parse().map_err(|_| "no currency".to_owned())?;
        let (reference, parts) = (self.named(id), vec![PaymentPart::Withdrawn]);
        Ok(Fact::Payment(PaymentNews { reference, stamp: self.stamp, currency, parts, customer: None }))
    }
}

/// The start of that day (UTC); without one, when the thing last changed.
fn since(day: Option<Date>, version: Version) -> Timestamp {
    let start = day.and_then(|day| day.to_zoned(TimeZone::UTC).ok());
    start.map_or(version.at, |start| start.timestamp())
}
