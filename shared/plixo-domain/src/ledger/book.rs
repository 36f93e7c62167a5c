//! The rows that one piece of work has read and changed.

use std::collections::BTreeMap;

use super::{
    Countable, Counted, Customer, CustomerRef, Invoice, InvoiceNumber, InvoiceRef, InvoiceReference, Logo,
    Organisation, PayerHash, PayerHistory, Payment, PaymentPointer, PortalLink, StripeAccount, Totals,
};
use crate::answer::{Answer, AnswerKey, Founding};
use crate::audit::{AuditKept, AuditSeal, Object};
use crate::export::Export;
use crate::hold::{Holds, LegalHold};
use crate::id::{
    CustomerId, EndpointId, ExportId, HoldId, InvoiceId, LinkId, MemberId, PaymentId, PrivacyId, SourceId,
};
use crate::people::{Member, MemberPointer, UserId, UserOrganisation};
use crate::privacy::PrivacyRequest;
use crate::reference::ReferenceKey;
use crate::source::{DataSource, SourceName, SourceProgress};
use crate::webhook::{EventKey, ExternalRef, WebhookEndpoint, WebhookEvent};

/// The name of a row within its organisation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RowKey {
    /// The organisation itself.
    Organisation,
    /// Its logo.
    Logo,
    /// A customer.
    Customer(CustomerId),
    /// Which customer a provider's customer is.
    CustomerRef(ExternalRef),
    /// An invoice.
    Invoice(InvoiceId),
    /// Which invoice has a number.
    InvoiceNumber(String),
    /// Which invoice an ERP's invoice is.
    InvoiceRef(ExternalRef),
    /// Which invoices a reference may name.
    InvoiceReference(ReferenceKey),
    /// A payment, by the name of the money at its source.
    Payment(ExternalRef),
    /// Which payment has this id.
    PaymentPointer(PaymentId),
    /// For whom a payer has paid.
    PayerHistory(PayerHash),
    /// A portal link.
    PortalLink(LinkId),
    /// The organisation's own Stripe account.
    StripeAccount,
    /// A webhook endpoint.
    WebhookEndpoint(EndpointId),
    /// A webhook event.
    WebhookEvent(EventKey),
    /// A data source.
    DataSource(SourceId),
    /// Which data source reads a provider's account.
    SourceName(ExternalRef),
    /// How far a data source was read.
    SourceProgress(SourceId),
    /// An export.
    Export(ExportId),
    /// A legal hold.
    LegalHold(HoldId),
    /// All that legal holds hold.
    Holds,
    /// A privacy request.
    PrivacyRequest(PrivacyId),
    /// A person's membership.
    Member(UserId),
    /// Which person a member is.
    MemberPointer(MemberId),
    /// That a person is in the organisation, noted with the person.
    UserOrganisation(UserId),
    /// What an idempotency key was answered.
    Answer(AnswerKey),
    /// Which organisation came of an operator's idempotency key.
    Founding(AnswerKey),
    /// What is owed and was received, summed up.
    Totals,
    /// How far the audit log is sealed.
    AuditSeal,
    /// Since which day the audit log is kept.
    AuditKept,
    /// What a row last added to the totals.
    Counted(Countable),
}

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// The organisation itself.
    Organisation(Organisation),
    /// Its logo.
    Logo(Logo),
    /// A customer.
    Customer(Customer),
    /// Which customer a provider's customer is.
    CustomerRef(CustomerRef),
    /// An invoice.
    Invoice(Invoice),
    /// Which invoice has a number.
    InvoiceNumber(InvoiceNumber),
    /// Which invoice an ERP's invoice is.
    InvoiceRef(InvoiceRef),
    /// Which invoices a reference may name.
    InvoiceReference(InvoiceReference),
    /// A payment.
    Payment(Payment),
    /// Which payment has an id.
    PaymentPointer(PaymentPointer),
    /// For whom a payer has paid.
    PayerHistory(PayerHistory),
    /// A portal link.
    PortalLink(PortalLink),
    /// The organisation's own Stripe account.
    StripeAccount(StripeAccount),
    /// A webhook endpoint.
    WebhookEndpoint(WebhookEndpoint),
    /// A webhook event.
    WebhookEvent(WebhookEvent),
    /// A data source.
    DataSource(DataSource),
    /// Which data source reads a provider's account.
    SourceName(SourceName),
    /// How far a data source was read.
    SourceProgress(SourceProgress),
    /// An export.
    Export(Export),
    /// A legal hold.
    LegalHold(LegalHold),
    /// All that legal holds hold.
    Holds(Holds),
    /// A privacy request.
    PrivacyRequest(PrivacyRequest),
    /// A person's membership.
    Member(Member),
    /// Which person a member is.
    MemberPointer(MemberPointer),
    /// That a person is in the organisation, noted with the person.
    UserOrganisation(UserOrganisation),
    /// What an idempotency key was answered.
    Answer(Answer),
    /// Which organisation came of an operator's idempotency key.
    Founding(Founding),
    /// What is owed and was received, summed up.
    Totals(Totals),
    /// How far the audit log is sealed.
    AuditSeal(AuditSeal),
    /// Since which day the audit log is kept.
    AuditKept(AuditKept),
    /// What a row last added to the totals.
    Counted(Counted),
}

/// What can be kept as a row.
pub trait Kept: Sized + PartialEq {
    /// How it is named.
    type Name: Clone;
    /// The row's name.
    fn key(name: &Self::Name) -> RowKey;
    /// Its own name.
    fn name(&self) -> Self::Name;
    /// It, if `row` is one.
    fn of(row: &Row) -> Option<&Self>;
    /// As a row.
    fn into_row(self) -> Row;
}

macro_rules! kept {
    ($($kind:ident named $name:ty as |$it:ident| $own:expr;)*) => {
    impl RowKey {
        /// Whether the row is the one of this name.
        #[must_use]
        pub fn is_of(&self, row: &Row) -> bool {
            match (self, row) {
                (Self::Organisation, Row::Organisation(_))
                | (Self::Logo, Row::Logo(_))
                | (Self::StripeAccount, Row::StripeAccount(_))
                | (Self::Totals, Row::Totals(_))
                | (Self::Holds, Row::Holds(_))
                | (Self::AuditKept, Row::AuditKept(_))
                | (Self::AuditSeal, Row::AuditSeal(_)) => true,
                $((Self::$kind(name), Row::$kind(row)) => row.name() == *name,)*
                _ => false,
            }
        }
    }
    $(
        impl Kept for $kind {
            type Name = $name;
            fn key(name: &$name) -> RowKey {
                RowKey::$kind(name.clone())
            }
            fn name(&self) -> $name {
                let $it = self;
                $own
            }
            fn of(row: &Row) -> Option<&Self> {
                match row {
                    Row::$kind(row) => Some(row),
                    _ => None,
                }
            }
            fn into_row(self) -> Row {
                Row::$kind(self)
            }
        }
    )*};
}

kept! {
    Customer named CustomerId as |it| it.id;
    CustomerRef named ExternalRef as |it| it.reference.clone();
    Invoice named InvoiceId as |it| it.id;
    InvoiceNumber named String as |it| it.number.clone();
    InvoiceRef named ExternalRef as |it| it.reference.clone();
    InvoiceReference named ReferenceKey as |it| it.key.clone();
    Payment named ExternalRef as |it| it.reference.clone();
    PaymentPointer named PaymentId as |it| it.id;
    PayerHistory named PayerHash as |it| it.payer.clone();
    PortalLink named LinkId as |it| it.id;
    WebhookEndpoint named EndpointId as |it| it.id;
    WebhookEvent named EventKey as |it| it.key.clone();
    DataSource named SourceId as |it| it.id;
    SourceName named ExternalRef as |it| it.account.clone();
    SourceProgress named SourceId as |it| it.source;
    Export named ExportId as |it| it.id;
    LegalHold named HoldId as |it| it.id;
    PrivacyRequest named PrivacyId as |it| it.id;
    Member named UserId as |it| it.user;
    MemberPointer named MemberId as |it| it.id;
    UserOrganisation named UserId as |it| it.user;
    Answer named AnswerKey as |it| it.key.clone();
    Founding named AnswerKey as |it| it.key.clone();
    Counted named Countable as |it| it.of.clone();
}

/// What an organisation has one of.
macro_rules! kept_once {
    ($($kind:ident)*) => {$(
        impl Kept for $kind {
            type Name = ();
            fn key((): &()) -> RowKey {
                RowKey::$kind
            }
            fn name(&self) {}
            fn of(row: &Row) -> Option<&Self> {
                match row {
                    Row::$kind(row) => Some(row),
                    _ => None,
                }
            }
            fn into_row(self) -> Row {
                Row::$kind(self)
            }
        }
    )*};
}

kept_once!(Organisation Logo StripeAccount Totals AuditSeal AuditKept Holds);

/// A row was asked for that nobody has read yet: read it, and ask again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread(pub Vec<RowKey>);

#[derive(Debug, Clone)]
struct Slot {
    version: Option<u64>,
    row: Option<Row>,
    changed: bool,
    /// Written as it is, so that nobody changes it meanwhile.
    held: bool,
    /// Looked at once more, and not written.
    checked: bool,
}

/// The rows that a piece of work has read, each with the version that it had (or as known to be absent), and what the
/// work made of them. Nothing is changed in the store until all of it is committed as one.
#[derive(Debug, Clone, Default)]
pub struct Book {
    slots: BTreeMap<RowKey, Slot>,
}

impl Book {
    /// Notes what the store holds under `key`: a row with its version, or nothing.
    pub fn learn(&mut self, key: RowKey, stored: Option<(Row, u64)>) {
        let (row, version) = stored.unzip();
        self.slots.insert(key, Slot { version, row, changed: false, held: false, checked: false });
    }

    /// Whether `key` was read.
    #[must_use]
    pub fn knows(&self, key: &RowKey) -> bool {
        self.slots.contains_key(key)
    }

    /// The row of that name, or `None` where the store holds none.
    ///
    /// # Errors
    /// [`Unread`] when it was never read.
    pub fn get<T: Kept>(&self, name: &T::Name) -> Result<Option<&T>, Unread> {
        let key = T::key(name);
        match self.slots.get(&key) {
            Some(slot) => Ok(slot.row.as_ref().and_then(T::of)),
            None => Err(Unread(vec![key])),
        }
    }

    /// Puts a row in the place of what was there. An equal row changes nothing.
    ///
    /// # Errors
    /// [`Unread`] when what is there was never read.
    pub fn put<T: Kept>(&mut self, row: T) -> Result<(), Unread> {
        let key = T::key(&row.name());
        let Some(slot) = self.slots.get_mut(&key) else { return Err(Unread(vec![key])) };
        if slot.row.as_ref().and_then(T::of) != Some(&row) {
            slot.row = Some(row.into_row());
            slot.changed = true;
        }
        Ok(())
    }

    /// Has a row that was read, and is not changed, be as it was read when the rest is committed: something follows from it.
    ///
    /// # Errors
    /// [`Unread`] when it was never read.
    pub fn hold<T: Kept>(&mut self, name: &T::Name) -> Result<(), Unread> {
        let key = T::key(name);
        let Some(slot) = self.slots.get_mut(&key) else { return Err(Unread(vec![key])) };
        slot.held = slot.row.is_some();
        Ok(())
    }

    /// Has what was read, a row or none, be as it was read when the rest is committed, and does not write it: many do so at once.
    ///
    /// # Errors
    /// [`Unread`] when it was never read.
    pub fn check<T: Kept>(&mut self, name: &T::Name) -> Result<(), Unread> {
        let key = T::key(name);
        let Some(slot) = self.slots.get_mut(&key) else { return Err(Unread(vec![key])) };
        slot.checked = true;
        Ok(())
    }

    /// What is to be as it was read, and is not written, each with the version that the store must still hold (`None`: must hold
    /// nothing).
    pub fn checks(&self) -> impl Iterator<Item = (&RowKey, Option<u64>)> {
        let checked = self.slots.iter().filter(|(_, slot)| slot.checked && !slot.changed && !slot.held);
        checked.map(|(key, slot)| (key, slot.version))
    }

    /// Puts a row of a name that was made this moment, so that nothing can be there.
    pub fn put_new<T: Kept>(&mut self, row: T) {
        let key = T::key(&row.name());
        let row = Some(row.into_row());
        self.slots.insert(key, Slot { version: None, row, changed: true, held: false, checked: false });
    }

    /// The changed rows and those that are held, each with the version that the store must still hold (`None`: must hold nothing).
    pub fn changes(&self) -> impl Iterator<Item = (&RowKey, &Row, Option<u64>)> {
        self.slots
            .iter()
            .filter(|(_, slot)| slot.changed || slot.held)
            .filter_map(|(key, slot)| slot.row.as_ref().map(|row| (key, row, slot.version)))
    }

    /// The changed payments, invoices and customers, each by its name and as the audit log names it, and whether it is new. Each
    /// has an audit event of its own. What work changes beside the rows that it is about is their allocations.
    pub fn touched(&self) -> impl Iterator<Item = (&RowKey, Object, bool)> {
        self.slots.iter().filter(|(_, slot)| slot.changed).filter_map(|(name, slot)| {
            let object = match slot.row.as_ref()? {
                Row::Payment(row) => Object::new("payment", row.id),
                Row::Invoice(row) => Object::new("invoice", row.id),
                Row::Customer(row) => Object::new("customer", row.id),
                _ => return None,
            };
            Some((name, object, slot.version.is_none()))
        })
    }

    /// Takes a row away. Where there is none, nothing changes.
    ///
    /// # Errors
    /// [`Unread`] when what is there was never read.
    pub fn remove<T: Kept>(&mut self, name: &T::Name) -> Result<(), Unread> {
        let key = T::key(name);
        let Some(slot) = self.slots.get_mut(&key) else { return Err(Unread(vec![key])) };
        if slot.row.take().is_some() {
            slot.changed = true;
        }
        Ok(())
    }

    /// The rows to take away, each with the version that the store must still hold.
    pub fn removals(&self) -> impl Iterator<Item = (&RowKey, u64)> {
        let gone = self.slots.iter().filter(|(_, slot)| slot.changed && slot.row.is_none());
        gone.filter_map(|(key, slot)| slot.version.map(|version| (key, version)))
    }

    /// The version that a row had when it was read.
    #[must_use]
    pub fn version<T: Kept>(&self, name: &T::Name) -> Option<u64> {
        self.slots.get(&T::key(name)).and_then(|slot| slot.version)
    }

    /// The version that a row has when what was changed is committed.
    #[must_use]
    pub fn next_version<T: Kept>(&self, name: &T::Name) -> u64 {
        let slot = self.slots.get(&T::key(name));
        let before = slot.and_then(|slot| slot.version).unwrap_or_default();
        before.saturating_add(u64::from(slot.is_some_and(|slot| slot.changed || slot.held)))
    }

    /// The book once what was changed is committed: of what has changed since, nothing is known.
    #[must_use]
    pub fn committed(mut self) -> Self {
        for slot in self.slots.values_mut().filter(|slot| slot.changed || slot.held) {
            let next = slot.version.unwrap_or_default().saturating_add(1);
            slot.version = slot.row.is_some().then_some(next);
            (slot.changed, slot.held, slot.checked) = (false, false, false);
        }
        self
    }

    /// Whether any of it is of a customer who was erased: then nothing more is kept of what was told.
    #[must_use]
    pub fn is_of_erased(&self) -> bool {
        self.rows().any(|(_, row)| match row {
            Row::Customer(customer) => customer.erased.is_some(),
            Row::CustomerRef(reference) => reference.erased,
            Row::Invoice(invoice) => invoice.erased,
            Row::Payment(payment) => payment.erased,
            _ => false,
        })
    }

    /// All rows that are there.
    pub fn rows(&self) -> impl Iterator<Item = (&RowKey, &Row)> {
        self.slots.iter().filter_map(|(key, slot)| slot.row.as_ref().map(|row| (key, row)))
    }
}
