//! Payments, and what providers say about them.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::erp::InvoiceRef;
use super::forget::{forget_payer, is_of_another, need_payers};
use super::invoice::{Ask, Share};
use super::settle::{Cause, need, settle};
use super::staff::MAX_CHOICES;
use super::{Book, CustomerRef, Invoice, Kept, PayerHash, Private, Stamp, Told, Unread};
use crate::audit::{Actor, ActorKind};
use crate::id::{AllocationId, CustomerId, Ids, InvoiceId, PaymentId, made_at};
use crate::money::{Currency, Money};
use crate::webhook::{ExternalId, ExternalRef, Provider};

/// Through which of its objects a provider tells of the money. Where they differ, the first of these is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Witness {
    /// A payment intent.
    Intent,
    /// A charge.
    Charge,
    /// A checkout session.
    Session,
    /// A document of an ERP. It tells of the whole payment each time, so the latest counts.
    Document,
    /// A person, from a bank statement.
    Bank,
    /// A person, by hand.
    Manual,
}

/// How far the money has come. A later one outranks an earlier one, whatever the times say: money that was received was
/// received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// On its way.
    Pending,
    /// It did not come; another try may.
    Failed,
    /// It will not come.
    Canceled,
    /// It is here.
    Received,
}

/// What a witness says, and which of two statements counts.
trait Said: Ord + Copy {
    /// The greater, whatever the times say.
    fn rank(self) -> u8;
    /// Of two statements of one rank: whether the earlier one counts, else the later.
    fn first_counts(self) -> bool {
        false
    }
}

impl Said for Stage {
    fn rank(self) -> u8 {
        match self {
            Self::Pending => 0,
            Self::Failed => 1,
            Self::Canceled => 2,
            Self::Received => 3,
        }
    }
}

impl Said for RefundState {
    fn rank(self) -> u8 {
        match self {
            Self::Pending => 0,
            Self::Succeeded => 1,
            Self::Failed => 2,
        }
    }

    // When the money came back is what decides whether the charge's sum counts the refund still.
    fn first_counts(self) -> bool {
        self == Self::Failed
    }
}

impl Said for DisputeState {
    // An appeal can turn what was decided: of two decisions, the later one holds.
    fn rank(self) -> u8 {
        u8::from(self != Self::Open)
    }
}

/// How far a refund has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundState {
    /// On its way: the money is gone from the payment.
    Pending,
    /// It arrived.
    Succeeded,
    /// It came back: the money is the payment's again.
    Failed,
}

/// How a dispute stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisputeState {
    /// Undecided.
    Open,
    /// Ended for the seller.
    Won,
    /// Ended for the payer: the money is gone.
    Lost,
}

/// What a witness said last.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Statement<T> {
    /// What.
    pub state: T,
    /// When.
    pub stamp: Stamp,
    /// Of how much, minor units.
    pub amount: i64,
    /// Of this currency.
    pub currency: Currency,
}

/// Who paid, in the payer's own words: sealed under the organisation's key. For cash application to
/// find an invoice by.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Payer {
    /// The payer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The payer's email.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// What the payment is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remittance: Option<String>,
}

/// A part of a payment applied to an invoice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allocation {
    /// Its id.
    pub id: AllocationId,
    /// To which invoice.
    pub invoice: InvoiceId,
    /// Minor units, more than none.
    pub amount: i64,
    /// Who applied it.
    pub applied_by: Actor,
}

/// A person's choice: so much of the payment for this invoice. What of it the invoice has is an [`Allocation`] of the same
/// id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// The allocation's id.
    pub id: AllocationId,
    /// For which invoice.
    pub invoice: InvoiceId,
    /// Minor units, more than none.
    pub amount: i64,
    /// Whose choice.
    pub by: Actor,
    /// The payer in whose history it stands, and for which customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noted: Option<(PayerHash, CustomerId)>,
}

/// Where the knowledge of a payment comes from, as the contract names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the contract's words")]
pub enum PaymentSource {
    Stripe,
    Erp,
    Bank,
    Manual,
}

impl PaymentSource {
    /// The contract's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stripe => "stripe",
            Self::Erp => "erp",
            Self::Bank => "bank",
            Self::Manual => "manual",
        }
    }
}

/// A payment's status as the contract names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the contract's words")]
pub enum PaymentStatus {
    Pending,
    Succeeded,
    Failed,
    Refunded,
    PartiallyRefunded,
    Disputed,
}

impl PaymentStatus {
    /// The contract's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Refunded => "refunded",
            Self::PartiallyRefunded => "partially_refunded",
            Self::Disputed => "disputed",
        }
    }
}

/// A payment: what each witness said of it, and where it went. Everything else is derived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// Its id.
    pub id: PaymentId,
    /// The name of the money at its source.
    pub reference: ExternalRef,
    /// How far the money has come, by witness.
    pub money: BTreeMap<Witness, Statement<Stage>>,
    /// When the money was received, Unix seconds: the earliest that any witness said.
    pub received_at: Option<i64>,
    /// The invoice that each witness names.
    pub named: BTreeMap<Witness, (Stamp, InvoiceId)>,
    /// What of it is for which invoice, as a document of an ERP says.
    pub shares: Vec<(InvoiceId, i64)>,
    /// The provider's customer.
    pub customer: Option<ExternalRef>,
    /// The customer, where a person said so.
    pub customer_id: Option<CustomerId>,
    /// Refunded in all, as the charge says, with the time of saying. Of two sums of the same second the larger is later.
    pub refunded_total: Option<(i64, i64)>,
    /// The refunds heard of one by one.
    pub refunds: BTreeMap<ExternalId, Statement<RefundState>>,
    /// The disputes.
    pub disputes: BTreeMap<ExternalId, Statement<DisputeState>>,
    /// Who paid.
    pub payer: Option<(Stamp, Private<Payer>)>,
    /// The hash of who paid, as far as it is stored; for what is told of the payer anew, it is made when that is sealed.
    pub payer_hash: Option<PayerHash>,
    /// What people chose, in the order of their choosing.
    pub choices: Vec<Choice>,
    /// Invoices that a provider may name in vain, for a person took the allocation back.
    pub undone: BTreeSet<InvoiceId>,
    /// Whether a person ever took an allocation of it back. From then on Plixo applies nothing of it by itself.
    pub taken_back: bool,
    /// Where it went.
    pub allocations: BTreeMap<AllocationId, Allocation>,
    /// Whose these of its [`Payment::invoices`] are: an invoice may go before what paid it.
    pub owners: BTreeMap<InvoiceId, CustomerId>,
    /// Whether who paid was erased: then nobody is noted in their place.
    pub erased: bool,
}

/// Which payment has an id: a payment is found by the name of its money, and by its id through this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentPointer {
    /// The payment's id.
    pub id: PaymentId,
    /// The name of its money.
    pub reference: ExternalRef,
}

/// A provider's news of a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentNews {
    /// The name of the money.
    pub reference: ExternalRef,
    /// When the provider said it.
    pub stamp: Stamp,
    /// The currency of all its amounts.
    pub currency: Currency,
    /// What it said.
    pub parts: Vec<PaymentPart>,
    /// The provider's customer, if it named one.
    pub customer: Option<ExternalRef>,
}

/// A part of a provider's news. Amounts are minor units, not below zero.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "named by the types of their fields")]
pub enum PaymentPart {
    /// How far the money has come; for money received, since when.
    Money { witness: Witness, stage: Stage, amount: i64, since: i64 },
    /// The invoice that is paid.
    Names { witness: Witness, invoice: InvoiceId },
    /// Who paid.
    Payer(Payer),
    /// Refunded in all.
    RefundedTotal { amount: i64 },
    /// One refund.
    Refund { id: ExternalId, state: RefundState, amount: i64 },
    /// One dispute.
    Dispute { id: ExternalId, state: DisputeState, amount: i64 },
    /// The document that told of it was withdrawn: there was no such money.
    Withdrawn,
    /// What of it is for which of an ERP's invoices: all of that, in the place of what was said before.
    Shares(Vec<(ExternalRef, i64)>),
}

impl Payment {
    pub(super) fn new(id: PaymentId, reference: ExternalRef) -> Self {
        Self {
            id,
            reference,
            money: BTreeMap::new(),
            received_at: None,
            named: BTreeMap::new(),
            shares: Vec::new(),
            customer: None,
            customer_id: None,
            refunded_total: None,
            refunds: BTreeMap::new(),
            disputes: BTreeMap::new(),
            payer: None,
            payer_hash: None,
            choices: Vec::new(),
            undone: BTreeSet::new(),
            taken_back: false,
            allocations: BTreeMap::new(),
            owners: BTreeMap::new(),
            erased: false,
        }
    }

    /// Where the knowledge of it comes from.
    #[must_use]
    pub fn source(&self) -> PaymentSource {
        match self.reference.provider {
            Provider::Stripe => PaymentSource::Stripe,
            Provider::StandardWebhooks
            | Provider::Xero
            | Provider::Quickbooks
            | Provider::Erpnext
            | Provider::BusinessCentral
            | Provider::GenericHmac => PaymentSource::Erp,
            Provider::Member if self.money.contains_key(&Witness::Bank) => PaymentSource::Bank,
            Provider::Member => PaymentSource::Manual,
        }
    }

    /// Its name at its source; `None` where a person recorded it without one.
    #[must_use]
    pub fn external_id(&self) -> Option<&ExternalId> {
        let id = &self.reference.id;
        let own = self.reference.provider == Provider::Member && id.as_str() == self.id.to_string();
        (!own).then_some(id)
    }

    fn believed(&self) -> Option<&Statement<Stage>> {
        let received = self.money.values().find(|statement| statement.state == Stage::Received);
        received.or_else(|| self.money.values().next())
    }

    pub(super) fn currency(&self) -> Option<Currency> {
        let money = self.believed().map(|statement| statement.currency);
        let refund = || self.refunds.values().map(|statement| statement.currency).next();
        let dispute = || self.disputes.values().map(|statement| statement.currency).next();
        money.or_else(refund).or_else(dispute)
    }

    /// The amount that was received, or is to be. `None` while only refunds or disputes were heard of.
    #[must_use]
    pub fn amount(&self) -> Option<Money> {
        self.believed().map(|statement| Money::new(statement.amount, statement.currency))
    }

    /// What was received, minor units.
    #[must_use]
    pub fn received(&self) -> i64 {
        self.believed().filter(|said| said.state == Stage::Received).map_or(0, |said| said.amount)
    }

    /// What went back by refunds, minor units, never more than was received. It is the larger of the charge's own sum, less
    /// the refunds that failed since it was said, and the sum of the refunds heard of one by one. A refund of another
    /// currency takes all.
    #[must_use]
    pub fn refunded(&self) -> i64 {
        let received = self.received();
        if self
            .refunds
            .values()
            .any(|said| said.state != RefundState::Failed && self.is_foreign(said.currency))
        {
            return received;
        }
        let sum = |of: &dyn Fn(&Statement<RefundState>) -> bool| {
            self.refunds
                .values()
                .filter(|said| of(said))
                .fold(0_i64, |sum, said| sum.saturating_add(said.amount))
        };
        let by_charge = self.refunded_total.map_or(0, |(at, total)| {
            total.saturating_sub(sum(&|said| said.state == RefundState::Failed && said.stamp.at >= at))
        });
        by_charge.max(sum(&|said| said.state != RefundState::Failed)).clamp(0, received)
    }

    /// What went back by lost disputes, minor units, never more than is left after refunds. A dispute lost in another
    /// currency takes all that is left.
    #[must_use]
    pub fn lost(&self) -> i64 {
        let left = self.received().saturating_sub(self.refunded());
        let lost = || self.disputes.values().filter(|said| said.state == DisputeState::Lost);
        if lost().any(|said| self.is_foreign(said.currency)) {
            return left;
        }
        lost().fold(0_i64, |sum, said| sum.saturating_add(said.amount)).clamp(0, left)
    }

    fn is_foreign(&self, currency: Currency) -> bool {
        self.believed().is_some_and(|said| said.currency != currency)
    }

    /// What is left to apply to invoices in all, minor units.
    #[must_use]
    pub fn net(&self) -> i64 {
        self.received().saturating_sub(self.refunded()).saturating_sub(self.lost())
    }

    /// What is applied to invoices, minor units.
    #[must_use]
    pub fn allocated(&self) -> i64 {
        self.allocations.values().fold(0, |sum, allocation| sum.saturating_add(allocation.amount))
    }

    /// What is left and not applied. `None` while no currency is known.
    #[must_use]
    pub fn unapplied(&self) -> Option<Money> {
        self.currency().map(|currency| Money::new(self.net().saturating_sub(self.allocated()), currency))
    }

    /// Its status.
    #[must_use]
    pub fn status(&self) -> PaymentStatus {
        let (received, refunded) = (self.received(), self.refunded());
        let stage = self.believed().map(|said| said.state);
        if self.disputes.values().any(|said| said.state != DisputeState::Won) {
            PaymentStatus::Disputed
        } else if matches!(stage, Some(Stage::Failed | Stage::Canceled)) {
            PaymentStatus::Failed
        } else if stage != Some(Stage::Received) {
            PaymentStatus::Pending
        } else if refunded == 0 {
            PaymentStatus::Succeeded
        } else if refunded < received {
            PaymentStatus::PartiallyRefunded
        } else {
            PaymentStatus::Refunded
        }
    }

    /// The invoice that it is to pay.
    #[must_use]
    pub fn names(&self) -> Option<InvoiceId> {
        self.named.values().next().map(|(_, invoice)| *invoice)
    }

    /// The day on which the money was received (UTC).
    #[must_use]
    pub fn received_on(&self) -> Option<Date> {
        let at = Timestamp::from_second(self.received_at?).ok()?;
        Some(at.to_zoned(TimeZone::UTC).date())
    }

    /// Its last day as far as it tells: when the money was received, or what became of it last changed.
    #[must_use]
    pub fn active_at(&self) -> Timestamp {
        let received = self.received_at.and_then(|at| Timestamp::from_second(at).ok());
        let went = (self.refunds.values().map(|said| said.stamp.at))
            .chain(self.disputes.values().map(|said| said.stamp.at))
            .chain(self.refunded_total.filter(|(_, amount)| *amount > 0).map(|(at, _)| at));
        let went = went.filter_map(|at| Timestamp::from_second(at).ok());
        let applied = self.allocations.keys().map(made_at);
        went.chain(applied).fold(received.unwrap_or_else(|| made_at(&self.id)), Timestamp::max)
    }

    /// The invoices that it has anything to do with: what is said to be for them, and what once was.
    pub fn invoices(&self) -> impl Iterator<Item = InvoiceId> {
        let named = self.named.values().map(|(_, invoice)| *invoice);
        let chosen = self.choices.iter().map(|choice| choice.invoice);
        let applied = self.allocations.values().map(|allocation| allocation.invoice);
        let shares = self.shares.iter().map(|(invoice, _)| *invoice);
        named.chain(chosen).chain(applied).chain(shares).chain(self.undone.iter().copied())
    }

    /// Forgets whose invoices are that it has nothing to do with any more.
    pub(super) fn disown(&mut self) {
        let invoices: BTreeSet<InvoiceId> = self.invoices().collect();
        self.owners.retain(|invoice, _| invoices.contains(invoice));
    }

    /// Whether news of a document are older than what the document said since.
    fn knows_later(&self, news: &PaymentNews) -> bool {
        self.money.get(&Witness::Document).is_some_and(|before| before.stamp >= news.stamp)
    }

    fn remember(&mut self, news: &PaymentNews) {
        for part in &news.parts {
            let stamp = news.stamp.clone();
            match part {
                PaymentPart::Money { witness, stage, amount, since } => {
                    let said = Statement { state: *stage, stamp, amount: *amount, currency: news.currency };
                    if *witness == Witness::Document {
                        self.money.insert(*witness, said);
                        self.received_at = Some(*since);
                        continue;
                    }
                    keep(&mut self.money, *witness, said);
                    if *stage == Stage::Received {
                        self.received_at = Some(self.received_at.map_or(*since, |before| before.min(*since)));
                    }
                }
                PaymentPart::Names { witness, invoice } => {
                    let said = (stamp, *invoice);
                    if self.named.get(witness).is_none_or(|before| *before < said) {
                        self.named.insert(*witness, said);
                    }
                }
                PaymentPart::Payer(payer) => {
                    if !self.erased && self.payer.as_ref().is_none_or(|(before, _)| *before < stamp) {
                        self.payer = Some((stamp, Private::Plain(payer.clone())));
                    }
                }
                PaymentPart::RefundedTotal { amount } => {
                    self.refunded_total = self.refunded_total.max(Some((stamp.at, *amount)));
                }
                PaymentPart::Refund { id, state, amount } => {
                    let said = Statement { state: *state, stamp, amount: *amount, currency: news.currency };
                    keep(&mut self.refunds, id.clone(), said);
                }
                PaymentPart::Dispute { id, state, amount } => {
                    let said = Statement { state: *state, stamp, amount: *amount, currency: news.currency };
                    keep(&mut self.disputes, id.clone(), said);
                }
                PaymentPart::Withdrawn => {
                    let before = self.money.get(&Witness::Document);
                    let (amount, currency) =
                        before.map_or((0, news.currency), |before| (before.amount, before.currency));
                    let said = Statement { state: Stage::Canceled, stamp, amount, currency };
                    self.money.insert(Witness::Document, said);
                }
                PaymentPart::Shares(_) => {}
            }
        }
        if news.customer.is_some() && (self.customer.is_none() || news.customer < self.customer) {
            self.customer.clone_from(&news.customer);
        }
    }

    fn differences(&self, before: Option<&Self>) -> Vec<&'static str> {
        let Some(before) = before else { return vec!["amount", "status"] };
        let changed = [
            ("amount", self.amount() != before.amount()),
            ("status", self.status() != before.status()),
            ("refunds", self.refunded() != before.refunded()),
            ("disputes", self.disputes != before.disputes),
            ("invoice_id", self.names() != before.names()),
            ("customer_id", self.customer != before.customer),
            ("payer_name", self.payer.is_some() != before.payer.is_some()),
            ("allocations", self.allocations != before.allocations),
        ];
        changed.into_iter().filter(|(_, differs)| *differs).map(|(field, _)| field).collect()
    }
}

fn keep<K: Ord, T: Said>(kept: &mut BTreeMap<K, Statement<T>>, key: K, said: Statement<T>) {
    let counts = |before: &Statement<T>| match before.state.rank().cmp(&said.state.rank()) {
        Ordering::Less => true,
        Ordering::Greater => false,
        Ordering::Equal if said.state.first_counts() => {
            said < Statement { state: said.state, ..before.clone() }
        }
        Ordering::Equal => {
            (&before.stamp, before.state, before.amount) < (&said.stamp, said.state, said.amount)
        }
    };
    if kept.get(&key).is_none_or(counts) {
        kept.insert(key, said);
    }
}

/// Tells the ledger a provider's news of a payment: remembers it, and lets the invoices that it pays serve their claims anew.
///
/// # Errors
/// [`Unread`]: these rows are needed as well. Read them and tell it again; nothing was changed.
pub fn tell_payment(book: &mut Book, news: &PaymentNews, by: &Actor, ids: &mut Ids) -> Result<Told, Unread> {
    let before = book.get::<Payment>(&news.reference)?.cloned();
    let mut payment = before.clone().unwrap_or_else(|| Payment::new(ids.make(), news.reference.clone()));
    if payment.knows_later(news) {
        return Ok(Told::Known);
    }
    let shares = news.shares().map_or(Ok(Vec::new()), |shares| resolve(book, &payment, shares, ids))?;
    // What was applied before was looked at then, and by whoever erased it since.
    let new = shares
        .iter()
        .map(|(link, _)| link.invoice)
        .filter(|of| !payment.shares.iter().any(|(had, _)| had == of));
    let erased = erased_customers(book, news, new.collect())?;
    let customer = news.customer.clone().or_else(|| payment.customer.clone());
    let is_others = is_of_another(book, &Payment { customer, ..payment.clone() }, &erased)?;
    let is_forgotten = !payment.erased && !erased.is_empty() && !is_others;
    if is_forgotten {
        need_payers(book, &payment)?;
    }
    payment.erased |= is_forgotten;
    payment.remember(news);
    if news.shares().is_some() {
        payment.shares = shares.iter().map(|(link, amount)| (link.invoice, *amount)).collect();
    }
    if before.as_ref() == Some(&payment) {
        return Ok(Told::Known);
    }

    let settled = settle(book, before.as_ref(), &mut payment, Cause::Told, by, ids)?;

    // Everything was read above, so from here on nothing is unread.
    settled.enter(book)?;
    if is_forgotten {
        forget_payer(book, &mut payment, &erased)?;
    }
    shares.into_iter().try_for_each(|(link, _)| book.put(link))?;
    let changed = payment.differences(before.as_ref());
    if before.is_none() {
        book.put_new(PaymentPointer { id: payment.id, reference: payment.reference.clone() });
    }
    book.put(payment)?;
    Ok(Told::Learned(changed))
}

/// The customers who were erased, and of whom the money is: as its provider calls the customer, or as the invoice says that it names,
/// or these that it has shares of.
fn erased_customers(
    book: &Book,
    news: &PaymentNews,
    mut invoices: Vec<InvoiceId>,
) -> Result<BTreeSet<CustomerId>, Unread> {
    invoices.extend(news.names());
    need(book, news.customer.iter().map(CustomerRef::key).chain(invoices.iter().map(Invoice::key)))?;
    let customer = news.customer.as_ref().map_or(Ok(None), |of| book.get::<CustomerRef>(of))?;
    let mut erased: BTreeSet<_> = customer.filter(|it| it.erased).map(|it| it.customer).into_iter().collect();
    for of in invoices {
        erased.extend(book.get::<Invoice>(&of)?.filter(|it| it.erased).map(|it| it.customer_id));
    }
    Ok(erased)
}

/// Which of our invoices an ERP's are, each with its share. Of one that nobody has told of yet, it will be, and the payment waits
/// for it there. So many as a payment can have with what people chose; what is beyond stays unapplied.
fn resolve(
    book: &Book,
    payment: &Payment,
    shares: &[(ExternalRef, i64)],
    ids: &mut Ids,
) -> Result<Vec<(InvoiceRef, i64)>, Unread> {
    need(book, shares.iter().map(|(of, _)| InvoiceRef::key(of)))?;
    let mut resolved: Vec<(InvoiceRef, i64)> = Vec::new();
    for (of, amount) in shares {
        if let Some((_, sum)) = resolved.iter_mut().find(|(link, _)| link.reference == *of) {
            *sum = sum.saturating_add(*amount);
            continue;
        }
        if resolved.len().saturating_add(payment.choices.len()) >= MAX_CHOICES {
            break;
        }
        let link = book.get::<InvoiceRef>(of)?.cloned();
        let mut link = link.unwrap_or_else(|| InvoiceRef::new(of.clone(), ids.make()));
        if link.waits() && !link.waiting.contains(&payment.reference) {
            link.waiting.push(payment.reference.clone());
        }
        resolved.push((link, *amount));
    }
    Ok(resolved)
}

impl Payment {
    /// What it can give to each of its people's choices, minor units: what is left of it goes to the earliest choice first. So
    /// when it shrinks, what its provider names gives way first, then the latest choice.
    pub(super) fn covered(&self) -> impl Iterator<Item = (&Choice, i64)> {
        let mut left = self.net();
        self.choices.iter().map(move |choice| {
            let covered = choice.amount.min(left);
            left = left.saturating_sub(covered);
            (choice, covered)
        })
    }

    /// What it asks of which invoice. What people did not choose is for the invoices that its provider names, unless a person
    /// took that back.
    pub(super) fn asks(&self) -> BTreeMap<InvoiceId, Vec<Ask>> {
        let mut asks: BTreeMap<_, Vec<_>> = BTreeMap::new();
        let Some((received_at, currency)) = self.received_at.zip(self.currency()) else { return asks };
        let net = self.net();
        let mut left = net;
        for (choice, covered) in self.covered() {
            left = left.saturating_sub(covered);
            let (chosen, wanted) = (Some(choice.id), Money::new(covered, currency));
            asks.entry(choice.invoice).or_default().push(Ask { chosen, received_at, wanted });
        }
        for (invoice, amount) in self.shares.iter().filter(|(of, _)| net > 0 && !self.undone.contains(of)) {
            let share = (*amount).min(left);
            left = left.saturating_sub(share);
            let wanted = Money::new(share, currency);
            asks.entry(*invoice).or_default().push(Ask { chosen: None, received_at, wanted });
        }
        // With nothing left for it, the claim keeps its place while there is money: a choice that is taken back gives it back.
        let named = self.names().filter(|named| !self.shares.iter().any(|(of, _)| of == named));
        if let Some(invoice) = named.filter(|invoice| net > 0 && !self.undone.contains(invoice)) {
            let wanted = Money::new(left, currency);
            asks.entry(invoice).or_default().push(Ask { chosen: None, received_at, wanted });
        }
        asks
    }

    /// What a person may still choose, minor units: what is neither applied nor kept for an earlier choice.
    #[must_use]
    pub fn free(&self) -> i64 {
        let chosen = self.covered().fold(0_i64, |sum, (_, covered)| sum.saturating_add(covered));
        let named = self.allocations.values().filter(|it| self.choice(&it.id).is_none());
        let named = named.fold(0_i64, |sum, allocation| sum.saturating_add(allocation.amount));
        self.net().saturating_sub(chosen).saturating_sub(named).max(0)
    }

    /// Whether Plixo may apply what is unapplied by itself: money that is here and undisputed, of which no provider says what it is
    /// for, and that no person has applied in part or taken back.
    #[must_use]
    pub fn may_apply_itself(&self) -> bool {
        let settled = matches!(self.status(), PaymentStatus::Succeeded | PaymentStatus::PartiallyRefunded);
        let unapplied = self.unapplied().map_or(0, |money| money.amount);
        let told = !self.named.is_empty() || !self.shares.is_empty();
        let by_people = self.choices.iter().any(|choice| choice.by.kind != ActorKind::Function);
        settled && unapplied > 0 && self.free() == unapplied && !told && !by_people && !self.taken_back
    }

    /// Ends the choices for a withdrawn invoice. What a person chose, and has to choose again, is not for a function to choose.
    pub(super) fn end_choices(&mut self, invoice: &InvoiceId) {
        let ended = self.choices.extract_if(.., |choice| choice.invoice == *invoice);
        self.taken_back |= ended.filter(|choice| choice.by.kind != ActorKind::Function).count() > 0;
    }

    /// The choice that an allocation is, if a person made it.
    #[must_use]
    pub fn choice(&self, id: &AllocationId) -> Option<&Choice> {
        self.choices.iter().find(|choice| choice.id == *id)
    }

    /// Notes what an invoice took, or no longer takes.
    pub(super) fn note(&mut self, share: &Share, by: &Actor) {
        self.owners.insert(share.invoice, share.customer);
        if share.amount == 0 {
            self.allocations.remove(&share.allocation);
            self.disown();
        } else if let Some(allocation) = self.allocations.get_mut(&share.allocation) {
            allocation.amount = share.amount;
        } else {
            let by = self.choice(&share.allocation).map_or(by, |choice| &choice.by);
            let (id, invoice, amount) = (share.allocation, share.invoice, share.amount);
            self.allocations.insert(id, Allocation { id, invoice, amount, applied_by: by.clone() });
        }
    }
}

impl PaymentNews {
    fn shares(&self) -> Option<&[(ExternalRef, i64)]> {
        self.parts.iter().find_map(|part| match part {
            PaymentPart::Shares(shares) => Some(shares.as_slice()),
            _ => None,
        })
    }

    /// The invoice that it names, if it names one.
    #[must_use]
    pub fn names(&self) -> Option<InvoiceId> {
        self.parts.iter().find_map(|part| match part {
            PaymentPart::Names { invoice, .. } => Some(*invoice),
            _ => None,
        })
    }
}
