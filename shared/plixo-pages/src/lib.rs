#![doc = include_str!("../README.md")]

mod access;
mod amount;
mod assets;
mod audit;
mod cash;
mod chart;
mod collected;
mod customers;
mod exports;
mod form;
mod frame;
mod holds;
mod integrations;
mod invoices;
mod members;
mod organisations;
mod overview;
mod page;
mod payments;
mod portal;
mod privacy;
mod problem;
mod reference;
mod retention;
mod settings;
mod show;

pub use access::{BeginTotp, Carried, Code, NewPassword, Qr, SignIn, Totp};
pub use amount::{AmountError, read_amount, write_amount};
pub use assets::{Asset, assets, portal_headers, security_headers};
pub use audit::{AuditFilter, AuditLog, AuditRow};
pub use cash::{
    CashPage, CashPayment, CashPlace, CashWork, Left, SuggestedAllocation, Suggestion, Suggestions, Undo,
    UndoAllocation,
};
pub use collected::{CollectedEntry, CollectedHead, CollectedSection};
pub use customers::{CustomerForm, CustomerList, CustomerPage, CustomerRow, ErasedCustomer};
pub use exports::{ExportForm, ExportList, ExportPage, ExportRow};
pub use form::{Choice, Errors, Paging};
pub use frame::{Banner, Frame, May, Membership, Severity};
pub use holds::{HeldThing, HoldForm, HoldList, HoldOn, HoldPage, HoldRow, Released};
pub use integrations::{
    ConnectedAccount, EndpointForm, EndpointRow, EventList, EventPage, EventRow, FreshSecret, Integrations,
    SourceForm, SourceRow, provider_name,
};
pub use invoices::{
    Applied, FreshLink, HistoryRow, InvoiceFilter, InvoiceForm, InvoiceLine, InvoiceList, InvoicePage,
    InvoiceRow, LineRow, LinkEmail, LinkRow,
};
pub use members::{InviteForm, MemberRow, Members};
pub use organisations::{OrganisationRow, Organisations};
pub use overview::{MoneyOverview, Month, Overview};
pub use payments::{
    AllocateForm, AllocationRow, Candidate, CustomerLink, PaymentForm, PaymentList, PaymentPage, PaymentRow,
};
pub use portal::{
    GoneWhy, Language, PortalAsked, PortalDoor, PortalEmail, PortalEmailKind, PortalGone, PortalInvoice,
    PortalLine, PortalNote, PortalProblem, PortalProblemKind, PortalStanding, Seller,
};
pub use privacy::{
    Clock, PrivacyConfirm, PrivacyForm, PrivacyList, PrivacyPage, PrivacyRow, RefusedRequest, Subject,
};
pub use problem::{Problem, ProblemKind, SendAgain};
pub use reference::{ApiAnswer, ApiField, ApiShape, ApiType, Operation, OperationGroup, Reference};
pub use retention::{RetentionEffect, RetentionPage, RetentionRow};
pub use settings::{CashForm, ClosedOrganisation, SettingsPage};
