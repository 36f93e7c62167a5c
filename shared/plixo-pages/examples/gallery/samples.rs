//! Every page in every state, made of the text that the caller gives.

#![expect(clippy::unwrap_used, reason = "samples are right or the build of the gallery fails")]

use jiff::Timestamp;
use jiff::civil::{Date, date};
use plixo_domain::audit::{Actor, ActorKind, AuditEvent, Object, Origin, Outcome};
use plixo_domain::export::ExportStatus;
use plixo_domain::id::Ids;
use plixo_domain::ledger::{InvoiceStatus, LinkState, PaymentStatus, Private, Residency};
use plixo_domain::money::{Currency, Money};
use plixo_domain::people::{MemberState, Role};
use plixo_domain::privacy::{PrivacyKind, PrivacyStatus};
use plixo_domain::retention::Class;
use plixo_domain::secret::Secret;
use plixo_domain::webhook::{Digest, EndpointState, EventStatus, HmacScheme, SignatureEncoding};
use plixo_pages::{
    AllocateForm, AllocationRow, Applied, AuditFilter, AuditLog, AuditRow, Banner, BeginTotp, Candidate,
    Carried, CashForm, CashPage, CashPayment, CashPlace, CashWork, Choice, Clock, ClosedOrganisation, Code,
    ConnectedAccount, CustomerForm, CustomerLink, CustomerList, CustomerPage, CustomerRow, EndpointForm,
    EndpointRow, ErasedCustomer, Errors, EventList, EventPage, EventRow, ExportForm, ExportList, ExportPage,
    ExportRow, Frame, FreshLink, FreshSecret, GoneWhy, HeldThing, HistoryRow, HoldForm, HoldList, HoldOn,
    HoldPage, HoldRow, Integrations, InviteForm, InvoiceFilter, InvoiceForm, InvoiceLine, InvoiceList,
    InvoicePage, InvoiceRow, Language, Left, LineRow, LinkEmail, LinkRow, May, MemberRow, Members,
    Membership, MoneyOverview, Month, NewPassword, OrganisationRow, Organisations, Overview, Paging,
    PaymentForm, PaymentList, PaymentPage, PaymentRow, PortalAsked, PortalDoor, PortalGone, PortalInvoice,
    PortalLine, PortalNote, PortalProblem, PortalProblemKind, PortalStanding, PrivacyConfirm, PrivacyForm,
    PrivacyList, PrivacyPage, PrivacyRow, Problem, ProblemKind, Qr, RefusedRequest, Released,
    RetentionEffect, RetentionPage, RetentionRow, Seller, SendAgain, SettingsPage, Severity, SignIn,
    SourceForm, SourceRow, Subject, SuggestedAllocation, Suggestion, Suggestions, Totp, Undo, UndoAllocation,
};

/// A page and what it is called.
pub(crate) struct Sample {
    /// Page and state: `invoices-empty`.
    pub(crate) name: String,
    /// The HTML.
    pub(crate) html: String,
}

/// Makes the samples. `text` gets what a person might have typed and answers what they did type.
pub(crate) fn samples(text: &dyn Fn(&str) -> String) -> Vec<Sample> {
    let mut make = Make { text, ids: Ids::new(moment(), [7; 10]), made: Vec::new() };
    make.access();
    make.organisations();
    make.overview();
    make.invoices();
    make.invoice();
    make.invoice_form();
    make.customers();
    make.payments();
    make.payment();
    make.cash();
    make.members();
    make.integrations();
    make.events();
    make.audit();
    make.exports();
    make.retention();
    make.holds();
    make.privacy();
    make.settings();
    make.problems();
    for language in [Language::English, Language::German] {
        make.portal(language);
    }
    make.made
}

/// What an erasure is certified with.
const CERTIFICATE: &str = "\
plixo.example/audit/erasure/org_01h2xcejqtf2nbrexx3vqjhp41
Certificate of erasure
request: prv_01h2xcejqtf2nbrexx3vqjhp42
customer: cus_01h2xcejqtf2nbrexx3vqjhp43
requested: 2026-10-01T08:14:03Z by mem_01h2xcejqtf2nbrexx3vqjhp44
begun: 2026-11-03T09:12:38Z
finished: 2026-11-03T09:12:44Z
erased: 3 invoices: their memos
erased: the customer's data key
kept: invoices: the law requires it

— plixo.example/audit/org_01h2xcejqtf2nbrexx3vqjhp41 MEUCIQDJ5cUx0dQ2Yv0bJ3l9v8m1rRkqj0n3oQ1Z
";

/// Who can send to an endpoint.
const PROVIDERS: [&str; 7] =
    ["stripe", "xero", "quickbooks", "business_central", "erpnext", "standard_webhooks", "generic_hmac"];

struct Make<'a> {
    text: &'a dyn Fn(&str) -> String,
    ids: Ids,
    made: Vec<Sample>,
}

fn moment() -> Timestamp {
    "2026-11-21T15:30:54Z".parse().unwrap()
}

fn currency(code: &str) -> Currency {
    code.parse().unwrap()
}

fn eur(amount: i64) -> Money {
    Money::new(amount, currency("EUR"))
}

fn day(day: i8) -> Option<Date> {
    Some(date(2026, 11, day))
}

fn first() -> Paging {
    Paging { next: None, is_first: true }
}

const ALL: May = May {
    read_ledger: true,
    write_ledger: true,
    manage_integrations: true,
    manage_organisation: true,
    read_audit: true,
    request_exports: true,
    approve_exports: true,
    manage_privacy: true,
};

impl Make<'_> {
    fn t(&self, text: &str) -> String {
        (self.text)(text)
    }

    fn some(&self, text: &str) -> Option<String> {
        Some(self.t(text))
    }

    fn add(&mut self, name: &str, html: String) {
        self.made.push(Sample { name: name.to_owned(), html });
    }

    fn frame(&self) -> Frame {
        Frame { form_key: "k3y".to_owned(), banners: Vec::new(), done: None }
    }

    fn done(&self, text: &str) -> Frame {
        Frame { done: self.some(text), ..self.frame() }
    }

    fn org(&self) -> Membership {
        Membership {
            id: Ids::new(moment(), [1; 10]).make(),
            name: self.t("Nordwind Instruments GmbH"),
            email: self.some("clara.controller@nordwind.example"),
            role: Role::Controller,
            may: ALL,
            has_others: true,
            closed_until: None,
        }
    }

    fn viewer(&self) -> Membership {
        let may = May { read_ledger: true, ..May::default() };
        Membership { role: Role::Viewer, may, has_others: false, ..self.org() }
    }

    fn errors(&self, fields: &[(&str, &str)]) -> Errors {
        fields.iter().fold(Errors::default(), |errors, (name, message)| errors.field(*name, self.t(message)))
    }

    fn customers_to_choose(&mut self) -> Vec<Choice> {
        ["Alpine Optics AG", "Baltic Sensors OÜ", "Café Zürich, Löwenstraße"]
            .map(|name| Choice::new(self.ids.make::<plixo_domain::id::Customer>().to_string(), self.t(name)))
            .to_vec()
    }

    fn access(&mut self) {
        let carried = vec![Carried { name: "session", value: self.t("AYABeC-session") }];
        let sign_in = SignIn {
            frame: self.frame(),
            email: String::new(),
            note: None,
            carried: carried.clone(),
            errors: Errors::default(),
        };
        self.add("sign-in", sign_in.clone().render());
        let wrong = SignIn {
            email: self.t("clara.controller@nordwind.example"),
            errors: Errors::default()
                .whole(self.t("That email and password do not fit together. Check both and try again.")),
            ..sign_in.clone()
        };
        self.add("sign-in-wrong", wrong.render());
        let ended = SignIn {
            frame: Frame { banners: self.banners(), ..self.frame() },
            note: self.some("Your session has ended. Sign in again to go on."),
            errors: self.errors(&[("email", "Enter your email"), ("password", "Enter your password")]),
            ..sign_in
        };
        self.add("sign-in-ended", ended.render());

        let again = "/sign-in?next=%2Forgs".to_owned();
        let code = Code { frame: self.frame(), again, carried: carried.clone(), errors: Errors::default() };
        self.add("code", code.clone().render());
        let errors =
            self.errors(&[("code", "That code was not right, or was used before. Wait for the next one.")]);
        self.add("code-wrong", Code { errors, ..code }.render());

        let begin = BeginTotp { frame: self.frame(), later: "/orgs".to_owned(), carried: carried.clone() };
        self.add("totp-begin", begin.render());
        let url = "otpauth://totp/Plixo:clara%40nordwind.example?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Plixo";
        let svg = qrcode::QrCode::new(url).unwrap().render::<qrcode::render::svg::Color>().build();
        let svg = svg.replacen("<svg ", r#"<svg role="img" aria-label="QR code" "#, 1);
        let totp = Totp {
            frame: self.frame(),
            qr: Some(Qr::new(&svg).unwrap()),
            secret: Secret::new("JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP".to_owned()),
            otpauth_url: Secret::new(url.to_owned()),
            required_by: None,
            later: Some("/orgs".to_owned()),
            carried: carried.clone(),
            errors: Errors::default(),
        };
        self.add("totp", totp.clone().render());
        let required = Totp {
            qr: None,
            required_by: self.some("Nordwind Instruments GmbH"),
            later: None,
            errors: self.errors(&[("code", "That code was not right. Check the clock of your device.")]),
            ..totp
        };
        self.add("totp-required-wrong", required.render());

        let password = NewPassword {
            frame: self.frame(),
            email: self.some("clara.controller@nordwind.example"),
            is_first: true,
            carried,
            errors: Errors::default(),
        };
        self.add("password", password.clone().render());
        let wrong = NewPassword {
            is_first: false,
            errors: self.errors(&[
                ("password", "Choose a longer password: this one has 9 characters"),
                ("repeat", "Type the same password twice"),
            ]),
            ..password
        };
        self.add("password-wrong", wrong.clone().render());
        let unknown = NewPassword {
            email: None,
            errors: self.errors(&[("current", "It is not your password.")]),
            ..wrong
        };
        self.add("password-unknown", unknown.render());
    }

    fn organisations(&mut self) {
        let row = |make: &mut Self, name: &str, role, residency| OrganisationRow {
            id: make.ids.make(),
            name: make.t(name),
            role,
            residency,
        };
        let rows = vec![
            row(self, "Nordwind Instruments GmbH", Role::Controller, Residency::Eu),
            row(self, "Pacific Lens Company Inc.", Role::Cfo, Residency::Us),
        ];
        let email = self.some("clara.controller@nordwind.example");
        let paging = Paging { next: self.some("more"), is_first: true };
        let page = Organisations { frame: self.frame(), email, rows, paging };
        self.add("organisations", page.clone().render());
        let end = Organisations { rows: Vec::new(), paging: Paging::default(), ..page.clone() };
        self.add("organisations-end", end.render());
        let frame = self.done("You are signed in.");
        let empty = Organisations { frame, rows: Vec::new(), paging: first(), ..page };
        self.add("organisations-empty", empty.clone().render());
        self.add("organisations-nobody", Organisations { email: None, ..empty }.render());
    }

    fn banners(&self) -> Vec<Banner> {
        let banner = |severity, text| Banner { severity, text: self.t(text) };
        vec![
            banner(Severity::Critical, "Card payments are blocked for some payers. We are working on it."),
            banner(Severity::Warning, "Webhooks from Xero arrive up to ten minutes late."),
            banner(Severity::Notice, "Maintenance on Sunday, 22 November, from 02:00 to 02:30 UTC."),
        ]
    }

    fn overview(&mut self) {
        let months = |received: [i64; 12]| {
            let days = std::iter::once(date(2025, 12, 1)).chain((1..12).map(|month| date(2026, month, 1)));
            days.zip(received).map(|(first_day, received)| Month { first_day, received }).collect()
        };
        let money = |code: &str, received, open, overdue| MoneyOverview {
            currency: currency(code),
            months: months(received),
            open,
            overdue,
        };
        let mut euros = [0; 12];
        for (month, thousands) in euros.iter_mut().zip([31, 42, 38, 55, 61, 48, 72, 66, 81, 77, 90, 34]) {
            *month = thousands * 100_000 + 4_217;
        }
        let page = Overview {
            frame: self.frame(),
            org: self.org(),
            currencies: vec![money("EUR", euros, 12_845_310, 3_120_000)],
        };
        self.add("overview", page.clone().render());
        let many = Overview {
            frame: Frame { banners: self.banners(), ..self.frame() },
            org: self.viewer(),
            currencies: vec![
                money("JPY", [0, 0, 0, -200_000, 0, 0, 1_200_000, 0, 0, 30_000, 0, 0], 4_000_000, 0),
                money("KWD", [0; 12], 12_345, 12_345),
                money("USD", [i64::MAX; 12], i64::MAX, i64::MAX / 2),
            ],
        };
        self.add("overview-many", many.render());
        self.add("overview-empty", Overview { currencies: Vec::new(), ..page.clone() }.render());
        let org = self.viewer();
        self.add("overview-empty-viewer", Overview { currencies: Vec::new(), org, ..page }.render());
    }

    fn invoices(&mut self) {
        let mut row =
            |number: &str, customer: &str, status, issued_on, due_on, is_overdue, total, balance| {
                InvoiceRow {
                    id: self.ids.make(),
                    number: (self.text)(number),
                    customer: (self.text)(customer),
                    status,
                    issued_on,
                    due_on,
                    is_overdue,
                    total,
                    balance,
                }
            };
        use InvoiceStatus as S;
        let big = |code: &str, amount| Money::new(amount, currency(code));
        let rows = vec![
            row(
                "NW-2026-0107",
                "Alpine Optics AG",
                S::Draft,
                None,
                day(30),
                false,
                eur(124_000),
                eur(124_000),
            ),
            row(
                "NW-2026-0106",
                "Baltic Sensors OÜ",
                S::Open,
                day(3),
                day(17),
                true,
                eur(1_999_900),
                eur(1_999_900),
            ),
            row(
                "NW-2026-0105",
                "Café Zürich",
                S::PartiallyPaid,
                day(2),
                day(30),
                false,
                eur(50_000),
                eur(20_000),
            ),
            row(
                "NW-2026-0104",
                "Kyoto Lens KK",
                S::Paid,
                day(1),
                day(15),
                false,
                big("JPY", 1_250_000),
                big("JPY", 0),
            ),
            row(
                "NW-2026-0103",
                "Gulf Imaging WLL",
                S::Void,
                day(1),
                None,
                false,
                big("KWD", 1_234_567),
                big("KWD", 0),
            ),
            row(
                "NW-2026-0102",
                "Alpine Optics AG",
                S::Uncollectible,
                day(1),
                day(2),
                false,
                eur(1_234_567_890),
                eur(1_234_567_890),
            ),
        ];
        let page = InvoiceList {
            frame: self.frame(),
            org: self.org(),
            filter: InvoiceFilter::default(),
            customers: self.customers_to_choose(),
            has_more_customers: true,
            rows,
            paging: Paging { next: self.some("eyJjdXJzb3IiOiJ4In0=&?"), is_first: true },
            errors: Errors::default(),
        };
        self.add("invoices", page.clone().render());
        let filter = InvoiceFilter {
            status: Some(S::Open),
            customer: Some(self.ids.make()),
            ..InvoiceFilter::default()
        };
        let filtered = InvoiceList {
            org: self.viewer(),
            filter: filter.clone(),
            paging: Paging { is_first: false, next: None },
            ..page.clone()
        };
        self.add("invoices-viewer", filtered.render());
        let empty = InvoiceList { rows: Vec::new(), paging: first(), ..page };
        self.add("invoices-empty", empty.clone().render());
        self.add("invoices-empty-viewer", InvoiceList { org: self.viewer(), ..empty.clone() }.render());
        let end = Paging { is_first: false, next: None };
        self.add("invoices-end", InvoiceList { paging: end, ..empty.clone() }.render());
        let errors = Errors::default().whole(self.t("That page of the list is gone. Here is the first one."));
        self.add("invoices-none-fits", InvoiceList { filter, errors, ..empty }.render());
    }

    fn invoice(&mut self) {
        let line =
            |make: &Self, text: &str, quantity: &str, unit: i64, tax: Option<&str>, total| InvoiceLine {
                description: make.t(text),
                quantity: quantity.parse().unwrap(),
                unit_price: eur(unit),
                tax_percent: tax.map(|tax| tax.parse().unwrap()),
                total: eur(total),
            };
        let lines = vec![
            line(self, "Lens assembly LX-40, coated", "12", 48_000, Some("19"), 685_440),
            line(self, "Calibration on site, by the hour", "7.5", 12_500, Some("19"), 111_563),
            line(self, "Discount for the delay", "1", -20_000, None, -20_000),
        ];
        let applied = |make: &mut Self, source: &str, payer: Option<&str>, received_on, amount| Applied {
            payment_id: make.ids.make(),
            received_on,
            source: source.to_owned(),
            payer: payer.map(|payer| make.t(payer)),
            amount: eur(amount),
        };
        let paid = vec![
            applied(self, "stripe", Some("Baltic Sensors OÜ"), day(20), 300_000),
            applied(self, "bank", None, None, 77_003),
        ];
        let history = |make: &Self, who: &str, what: &str| HistoryRow {
            at: moment(),
            who: make.t(who),
            what: make.t(what),
        };
        let history = vec![
            history(self, "Stripe", "paid 3,000.00 EUR"),
            history(self, "bo.billing@nordwind.example", "finalized the invoice"),
            history(self, "bo.billing@nordwind.example", "wrote the draft"),
        ];
        let open = InvoicePage {
            frame: self.done("Invoice finalized."),
            org: self.org(),
            id: self.ids.make(),
            version: "4".to_owned(),
            number: self.t("NW-2026-0106"),
            customer_id: self.ids.make(),
            customer: self.t("Baltic Sensors OÜ"),
            address: vec![self.t("Pärnu maantee 12"), self.t("10141 Tallinn"), self.t("EE")],
            tax_id: self.some("EE102345678"),
            status: InvoiceStatus::PartiallyPaid,
            issued_on: day(3),
            due_on: day(17),
            is_overdue: true,
            lines,
            total: eur(777_003),
            balance: eur(400_000),
            memo: self.some("Thank you for your order.\nPlease name the invoice number when you pay."),
            applied: paid,
            links: Vec::new(),
            has_more_links: false,
            can_link: true,
            can_email: true,
            fresh: None,
            history: Some(history),
            can_edit: false,
            can_finalize: false,
            can_void: false,
            can_give_up: true,
            errors: Errors::default(),
        };
        self.add("invoice", open.clone().render());
        let links = self.portal_links(&open);
        let draft = InvoicePage {
            frame: self.frame(),
            status: InvoiceStatus::Draft,
            issued_on: None,
            due_on: None,
            is_overdue: false,
            balance: eur(777_003),
            memo: None,
            tax_id: None,
            address: Vec::new(),
            applied: Vec::new(),
            can_link: false,
            history: Some(Vec::new()),
            can_edit: true,
            can_finalize: true,
            can_void: true,
            can_give_up: false,
            errors: Errors::default().whole(self.t("Give the invoice a due day before you finalize it.")),
            ..open.clone()
        };
        self.add(
            "invoice-draft-stale",
            InvoicePage { errors: Errors::default().stale(), ..draft.clone() }.render(),
        );
        self.add("invoice-draft-refused", draft.render());
        let viewer = InvoicePage {
            frame: self.frame(),
            org: self.viewer(),
            history: None,
            applied: Vec::new(),
            links,
            can_link: false,
            can_give_up: false,
            ..open
        };
        self.add("invoice-viewer", viewer.render());
    }

    fn portal_links(&mut self, invoice: &InvoicePage) -> Vec<LinkRow> {
        use LinkState as S;
        let states = [S::Issued, S::Consumed, S::Expired, S::Revoked, S::Settled];
        let rows = states.map(|state| LinkRow {
            id: self.ids.make(),
            state,
            made_at: moment(),
            expires_at: "2026-11-28T15:30:54Z".parse().unwrap(),
            emailed_at: (state != S::Expired).then(moment),
            opened_at: (state == S::Consumed).then(moment),
        });
        let page = InvoicePage { frame: self.frame(), links: rows.to_vec(), ..invoice.clone() };
        self.add("invoice-links", InvoicePage { has_more_links: true, ..page.clone() }.render());
        let fresh = |email| {
            let url = Secret::new(format!("https://plixo.example/p/{}", "AQE4kRcJ4lVnHTd4".repeat(9)));
            Some(FreshLink { url, expires_at: moment(), email })
        };
        for (name, email) in [
            ("invoice-link-sent", LinkEmail::Sent),
            ("invoice-link-not-sent", LinkEmail::NotSent),
            ("invoice-link-made", LinkEmail::NotWanted),
        ] {
            let can_email = email != LinkEmail::NotSent;
            self.add(name, InvoicePage { fresh: fresh(email), can_email, ..page.clone() }.render());
        }
        let refused = Errors::default().whole(self.t("The invoice has the status paid."));
        let status = InvoiceStatus::Paid;
        let paid = InvoicePage { status, can_link: false, errors: refused, ..page };
        self.add("invoice-link-refused", paid.render());
        rows.to_vec()
    }

    fn invoice_form(&mut self) {
        let row = |make: &Self, description: &str, quantity: &str, unit_price: &str, tax: &str| LineRow {
            description: make.t(description),
            quantity: make.t(quantity),
            unit_price: make.t(unit_price),
            tax_percent: make.t(tax),
        };
        let empty = || vec![LineRow::default(); 3];
        let new = InvoiceForm {
            frame: self.frame(),
            org: self.org(),
            id: None,
            version: None,
            customers: self.customers_to_choose(),
            has_more_customers: true,
            customer_id: String::new(),
            number: self.t("NW-2026-0108"),
            currencies: ["EUR", "USD", "JPY"].map(str::to_owned).to_vec(),
            currency: "EUR".to_owned(),
            due_on: String::new(),
            memo: String::new(),
            rows: empty(),
            errors: Errors::default(),
        };
        self.add("invoice-new", new.clone().render());
        let mut rows = vec![
            row(self, "Lens assembly LX-40, coated", "12", "480.00", "19"),
            row(self, "Calibration on site", "seven", "125,00", "19"),
        ];
        rows.extend(empty());
        let wrong = InvoiceForm {
            id: Some(self.ids.make()),
            version: Some("2".to_owned()),
            has_more_customers: false,
            customer_id: new.customers.first().map(|choice| choice.value.clone()).unwrap_or_default(),
            due_on: self.t("2026-12-05"),
            memo: self.t("\nThank you for your order."),
            rows,
            errors: self
                .errors(&[
                    ("customer_id", "Choose a customer"),
                    ("number", "Another invoice has this number"),
                    ("due_on", "Enter a day that is not past"),
                    ("currency", "Choose one currency"),
                    ("lines", "Enter at least one line"),
                    ("lines.1.quantity", "Line 2: enter the quantity in digits, such as 7.5"),
                    ("lines.1.unit_price", "Line 2: enter the price with a point before the decimals"),
                    ("memo", "Leave the card number out"),
                ])
                .whole(self.t("The draft cannot be saved like this.")),
            ..new.clone()
        };
        let now = format!("/orgs/{}/invoices/inv_1", wrong.org.id);
        let overtaken = InvoiceForm { errors: Errors::default().stale_at(now), ..wrong.clone() };
        self.add("invoice-edit-wrong", wrong.render());
        self.add("invoice-edit-stale", overtaken.render());
        let none = InvoiceForm { customers: Vec::new(), has_more_customers: false, ..new };
        self.add("invoice-new-no-customer", none.render());
    }

    fn customers(&mut self) {
        let row = |make: &mut Self, name: &str, email: Option<&str>, country: Option<&str>| CustomerRow {
            id: make.ids.make(),
            name: make.t(name),
            email: email.map(|email| make.t(email)),
            country: country.map(|country| make.t(country)),
            erased_at: None,
        };
        let rows = vec![
            row(self, "Alpine Optics AG", Some("accounts@alpine-optics.example"), Some("CH")),
            row(self, "Baltic Sensors OÜ", Some("ap@baltic-sensors.example"), Some("EE")),
            row(self, "Café Zürich", None, None),
        ];
        let erased = CustomerRow { erased_at: Some(moment()), ..row(self, "Erased customer", None, None) };
        let rows = rows.into_iter().chain([erased]).collect();
        let page = CustomerList {
            frame: self.frame(),
            org: self.org(),
            rows,
            paging: Paging { next: self.some("abc"), is_first: false },
        };
        self.add("customers", page.clone().render());
        let empty = CustomerList { rows: Vec::new(), paging: first(), ..page };
        self.add("customers-empty", empty.clone().render());
        self.add("customers-empty-viewer", CustomerList { org: self.viewer(), ..empty.clone() }.render());
        self.add("customers-end", CustomerList { paging: Paging::default(), ..empty }.render());

        let page = CustomerPage {
            frame: self.done("Customer saved."),
            org: self.org(),
            id: self.ids.make(),
            name: self.t("Baltic Sensors OÜ"),
            email: self.some("ap@baltic-sensors.example"),
            phone: self.some("+372 600 0000"),
            address: vec![self.t("Pärnu maantee 12"), self.t("10141 Tallinn"), self.t("EE")],
            tax_id: self.some("EE102345678"),
            external_ids: vec![(self.t("stripe"), self.t("cus_NffrFeUfNV2Hib"))],
            erased: None,
        };
        self.add("customer", page.clone().render());
        let nothing = CustomerPage {
            frame: self.frame(),
            name: "Erased customer".to_owned(),
            email: None,
            phone: None,
            address: Vec::new(),
            tax_id: None,
            ..page.clone()
        };
        let erased = |request| Some(ErasedCustomer { at: moment(), request });
        let request = Some(self.ids.make());
        self.add("customer-erased", CustomerPage { erased: erased(request), ..nothing.clone() }.render());
        let org = self.viewer();
        let by_policy = CustomerPage { erased: erased(None), org: org.clone(), ..nothing.clone() };
        self.add("customer-erased-by-policy-viewer", by_policy.render());
        let of_viewer = CustomerPage { erased: erased(request), org, ..nothing };
        self.add("customer-erased-viewer", of_viewer.render());
        let may = May { write_ledger: false, manage_integrations: false, manage_organisation: false, ..ALL };
        let org = Membership { role: Role::Compliance, may, ..self.org() };
        self.add("customer-compliance", CustomerPage { frame: self.frame(), org, ..page.clone() }.render());
        let bare = CustomerPage {
            frame: self.frame(),
            org: self.viewer(),
            email: None,
            phone: None,
            address: Vec::new(),
            tax_id: None,
            external_ids: Vec::new(),
            ..page
        };
        self.add("customer-viewer", bare.render());

        let form = CustomerForm {
            frame: self.frame(),
            org: self.org(),
            id: None,
            version: None,
            name: String::new(),
            email: String::new(),
            phone: String::new(),
            line1: String::new(),
            line2: String::new(),
            city: String::new(),
            postal_code: String::new(),
            country: String::new(),
            tax_id: String::new(),
            errors: Errors::default(),
        };
        self.add("customer-new", form.clone().render());
        let wrong = CustomerForm {
            id: Some(self.ids.make()),
            version: Some("3".to_owned()),
            name: self.t("Baltic Sensors OÜ"),
            email: self.t("ap at baltic"),
            phone: self.t("+372 600 0000"),
            line1: self.t("Pärnu maantee 12"),
            line2: self.t("Second floor"),
            city: self.t("Tallinn"),
            postal_code: self.t("10141"),
            country: self.t("Estonia"),
            tax_id: self.t("EE102345678"),
            errors: self.errors(&[
                ("email", "Enter an email such as name@company.com"),
                ("country", "Enter two letters, such as EE"),
            ]),
            ..form
        };
        self.add("customer-edit-wrong", wrong.render());
    }

    fn payments(&mut self) {
        use PaymentStatus as S;
        let mut row =
            |received_on, payer: Option<&str>, source: &str, status, amount, unapplied| PaymentRow {
                id: self.ids.make(),
                received_on,
                payer: payer.map(self.text),
                source: source.to_owned(),
                status,
                amount,
                unapplied,
            };
        let rows = vec![
            row(None, Some("Alpine Optics AG"), "stripe", S::Pending, Some(eur(124_000)), None),
            row(day(20), Some("Baltic Sensors OÜ"), "stripe", S::Succeeded, Some(eur(300_000)), Some(eur(0))),
            row(day(19), None, "bank", S::Succeeded, Some(eur(77_003)), Some(eur(77_003))),
            row(
                day(18),
                Some("Café Zürich"),
                "manual",
                S::PartiallyRefunded,
                Some(eur(50_000)),
                Some(eur(100)),
            ),
            row(day(17), Some("Kyoto Lens KK"), "erp", S::Refunded, Some(eur(1_000)), Some(eur(0))),
            row(day(16), Some("Gulf Imaging WLL"), "stripe", S::Disputed, Some(eur(9_999)), Some(eur(0))),
            row(None, Some("Alpine Optics AG"), "stripe", S::Failed, None, None),
        ];
        let page = PaymentList {
            frame: self.frame(),
            org: self.org(),
            is_unapplied: false,
            rows,
            paging: Paging { next: self.some("next"), is_first: true },
        };
        self.add("payments", page.clone().render());
        self.add("payments-unapplied", PaymentList { is_unapplied: true, ..page.clone() }.render());
        let empty = PaymentList { rows: Vec::new(), paging: first(), ..page };
        self.add("payments-empty", empty.clone().render());
        self.add("payments-end", PaymentList { paging: Paging::default(), ..empty.clone() }.render());
        self.add("payments-empty-viewer", PaymentList { org: self.viewer(), ..empty.clone() }.render());
        self.add("payments-unapplied-empty", PaymentList { is_unapplied: true, ..empty }.render());

        let form = PaymentForm {
            frame: self.frame(),
            org: self.org(),
            source: "bank".to_owned(),
            amount: String::new(),
            currencies: ["EUR", "USD", "JPY"].map(str::to_owned).to_vec(),
            currency: "EUR".to_owned(),
            received_on: "2026-11-21".to_owned(),
            customers: self.customers_to_choose(),
            has_more_customers: true,
            customer_id: String::new(),
            payer_name: String::new(),
            remittance: String::new(),
            external_id: String::new(),
            errors: Errors::default(),
        };
        self.add("payment-new", form.clone().render());
        let wrong = PaymentForm {
            has_more_customers: false,
            source: String::new(),
            amount: self.t("1.250,00"),
            payer_name: self.t("BALTIC SENSORS OU"),
            remittance: self.t("NW-2026-0106"),
            errors: self.errors(&[
                ("source", "Choose how the money came"),
                ("amount", "Enter an amount in digits, with a point before the decimals, such as 1250.00"),
                ("received_on", "Enter a day that is not in the future"),
                ("customer_id", "There is no such customer"),
                ("remittance", "Leave the card number out"),
            ]),
            ..form
        };
        self.add("payment-new-wrong", wrong.render());
    }

    fn payment(&mut self) {
        let mut candidate =
            |number: &str, customer: &str, due_on, is_overdue, balance, amount: &str| Candidate {
                invoice_id: self.ids.make(),
                number: (self.text)(number),
                customer: (self.text)(customer),
                due_on,
                is_overdue,
                balance: eur(balance),
                amount: amount.to_owned(),
            };
        let candidates = vec![
            candidate("NW-2026-0106", "Baltic Sensors OÜ", day(17), true, 400_000, "500.00"),
            candidate("NW-2026-0105", "Café Zürich", day(30), false, 20_000, ""),
            candidate("NW-2026-0090", "Baltic Sensors OÜ", None, false, 9_000, ""),
        ];
        let mut allocation = |number: &str, by: &str, amount, can_remove| AllocationRow {
            id: self.ids.make(),
            invoice_id: self.ids.make(),
            number: (self.text)(number),
            amount: eur(amount),
            applied_by: (self.text)(by),
            can_remove,
        };
        let allocations = vec![
            allocation("NW-2026-0101", "bo.billing@nordwind.example", 20_000, true),
            allocation("NW-2026-0099", "Stripe", 7_003, false),
        ];
        let untouched = candidates.iter().cloned();
        let untouched = untouched.map(|it| Candidate { amount: String::new(), ..it }).collect();
        let suggestions = self.suggestions();
        let page = PaymentPage {
            frame: self.frame(),
            org: self.org(),
            id: self.ids.make(),
            version: "5".to_owned(),
            source: "bank".to_owned(),
            status: PaymentStatus::PartiallyRefunded,
            amount: Some(eur(77_003)),
            unapplied: Some(eur(50_000)),
            refunded: Some(eur(0)),
            customer: Some(CustomerLink { id: self.ids.make(), name: self.t("Baltic Sensors OÜ") }),
            payer_name: self.some("BALTIC SENSORS OU"),
            remittance: self.some("Invoice NW 2026 106 / order 7781"),
            received_on: day(19),
            external_id: self.some("pi_3MtwBwLkdIwHu7ix28a3tqPa"),
            allocations,
            suggestions: Some(suggestions.clone()),
            place: None,
            allocate: Some(AllocateForm {
                candidates: untouched,
                other_number: String::new(),
                other_amount: String::new(),
            }),
            errors: Errors::default(),
        };
        self.add("payment", page.clone().render());
        let change = PaymentPage {
            suggestions: None,
            place: Some(CashPlace { cursor: self.t("c0"), next: self.t("c1") }),
            allocations: Vec::new(),
            allocate: Some(AllocateForm {
                candidates: candidates.clone(),
                other_number: String::new(),
                other_amount: String::new(),
            }),
            ..page.clone()
        };
        self.add("payment-change", change.clone().render());
        let first = candidates.first().map(|it| format!("apply.{}", it.invoice_id)).unwrap_or_default();
        let wrong = PaymentPage {
            suggestions: None,
            allocations: Vec::new(),
            allocate: Some(AllocateForm {
                candidates,
                other_number: self.t("NW-1999-0001"),
                other_amount: self.t("all"),
            }),
            errors: self.errors(&[
                (&first, "NW-2026-0106: that is more than is left of the payment"),
                ("other_number", "There is no open invoice of that number"),
                ("other_amount", "Enter an amount in digits, such as 1250.00"),
            ]),
            ..page.clone()
        };
        self.add("payment-apply-wrong", wrong.clone().render());
        self.add("payment-change-wrong", PaymentPage { place: change.place.clone(), ..wrong }.render());
        let nothing =
            AllocateForm { candidates: Vec::new(), other_number: String::new(), other_amount: String::new() };
        let by_hand = PaymentPage { allocate: Some(nothing), ..change };
        self.add("payment-change-no-candidate", by_hand.render());
        let first = PaymentPage {
            suggestions: Some(Suggestions { rows: Vec::new(), stopped_early: true }),
            allocations: Vec::new(),
            allocate: Some(AllocateForm {
                candidates: Vec::new(),
                other_number: String::new(),
                other_amount: String::new(),
            }),
            ..page.clone()
        };
        self.add("payment-no-candidate", first.render());
        let reader =
            PaymentPage { org: self.viewer(), allocations: Vec::new(), allocate: None, ..page.clone() };
        self.add("payment-suggestions-viewer", reader.render());
        let viewer = PaymentPage {
            org: self.viewer(),
            status: PaymentStatus::Pending,
            amount: None,
            unapplied: None,
            refunded: None,
            customer: None,
            payer_name: None,
            remittance: None,
            received_on: None,
            external_id: None,
            allocations: Vec::new(),
            suggestions: None,
            allocate: None,
            ..page
        };
        self.add("payment-viewer", viewer.render());
    }

    fn suggestions(&mut self) -> Suggestions {
        let mut allocation = |number: &str, amount| SuggestedAllocation {
            invoice_id: self.ids.make(),
            number: (self.text)(number),
            amount: eur(amount),
        };
        let mut suggestion = |shares: &[(&str, i64)], unapplied, percent, reasons: &[&str]| Suggestion {
            allocations: shares.iter().map(|(number, amount)| allocation(number, *amount)).collect(),
            unapplied: eur(unapplied),
            percent,
            reasons: reasons.iter().map(|reason| (self.text)(reason)).collect(),
        };
        let rows = vec![
            suggestion(
                &[("NW-2026-0106", 32_000), ("NW-2026-0107", 18_000)],
                0,
                97,
                &[
                    "invoice number NW-2026-0106 is in the remittance text",
                    "invoice number NW-2026-0107 is part of a list or range in the remittance text",
                    "the amount is exactly what is open of 2 invoices",
                ],
            ),
            suggestion(
                &[("NW-2026-0106", 32_000)],
                18_000,
                84,
                &[
                    "invoice number NW-2026-0106 is in the remittance text",
                    "EUR 180.00 too much, which stay unapplied",
                    "the remittance text also names NW-2026-0107",
                ],
            ),
            suggestion(
                &[("NW-2026-0090", 9_000), ("NW-2026-0091", 40_900), ("NW-2026-0105", 100)],
                0,
                61,
                &["applied to what is due first"],
            ),
        ];
        Suggestions { rows, stopped_early: false }
    }

    fn cash(&mut self) {
        let suggestions = self.suggestions();
        let payment = CashPayment {
            id: self.ids.make(),
            version: "5".to_owned(),
            payer_name: self.some("BALTIC SENSORS OU"),
            customer: Some(CustomerLink { id: self.ids.make(), name: self.t("Baltic Sensors OÜ") }),
            remittance: self.some("Invoices NW 2026 106/107, order 7781, thank you"),
            received_on: day(19),
            source: "bank".to_owned(),
            amount: Some(eur(50_000)),
            unapplied: Some(eur(50_000)),
            left: Left { count: 20, has_more: false },
            next: self.t("c1"),
            suggestions: Some(suggestions.clone()),
        };
        let of = |it: CashPayment| CashWork::Payment(Box::new(it));
        let page = CashPage {
            frame: self.frame(),
            org: self.org(),
            cursor: self.t("c0"),
            undo: None,
            work: of(payment.clone()),
            errors: Errors::default(),
        };
        self.add("cash", page.clone().render());
        let mut back = |number: &str, amount| UndoAllocation {
            id: self.ids.make(),
            number: (self.text)(number),
            amount: eur(amount),
        };
        let allocations = vec![back("NW-2026-0101", 20_000), back("NW-2026-0102", 5_000)];
        let payer = self.some("Alpine Optics AG");
        let undo = Undo { payment: self.ids.make(), payer, allocations, from: self.t("c9") };
        let applied = CashPage { undo: Some(undo.clone()), ..page.clone() };
        self.add("cash-applied", applied.clone().render());
        let undone =
            CashPage { frame: self.done("That is taken back: here is the payment again."), ..page.clone() };
        self.add("cash-undone", undone.render());
        let kept = CashPage {
            errors: Errors::default()
                .whole(self.t("NW-2026-0102 keeps its part: its invoice was changed meanwhile")),
            ..applied.clone()
        };
        self.add("cash-undo-refused", kept.render());
        self.add("cash-stale", CashPage { errors: Errors::default().stale(), ..page.clone() }.render());
        let partly = CashPayment {
            amount: Some(eur(77_003)),
            left: Left { count: 25, has_more: true },
            suggestions: Some(Suggestions { stopped_early: true, ..suggestions.clone() }),
            ..payment.clone()
        };
        self.add("cash-stopped-early", CashPage { work: of(partly), ..page.clone() }.render());
        let bare = CashPayment {
            payer_name: None,
            customer: None,
            remittance: None,
            received_on: None,
            left: Left { count: 1, has_more: false },
            suggestions: Some(Suggestions { rows: Vec::new(), stopped_early: false }),
            ..payment.clone()
        };
        self.add("cash-nothing-suggested", CashPage { work: of(bare.clone()), ..page.clone() }.render());
        let unknown = CashPayment { suggestions: None, ..bare };
        self.add("cash-unavailable", CashPage { work: of(unknown.clone()), ..page.clone() }.render());
        let gone = CashPayment { unapplied: None, suggestions: None, ..payment.clone() };
        self.add("cash-gone", CashPage { work: of(gone), ..page.clone() }.render());
        let rest = CashWork::Rest(Left { count: 3, has_more: false });
        self.add("cash-rest", CashPage { work: rest, ..applied.clone() }.render());
        let rest = CashWork::Rest(Left { count: 1, has_more: false });
        let org = self.viewer();
        self.add("cash-rest-viewer", CashPage { work: rest, org, ..page.clone() }.render());
        let rest = CashWork::Rest(Left { count: 25, has_more: true });
        self.add("cash-rest-many", CashPage { work: rest, ..page.clone() }.render());
        self.add("cash-done", CashPage { work: CashWork::Nothing, ..applied }.render());
        let org = self.viewer();
        self.add("cash-viewer", CashPage { org, ..page.clone() }.render());
        let org = self.viewer();
        self.add("cash-unavailable-viewer", CashPage { org, work: of(unknown), ..page.clone() }.render());
        let many = Suggestion {
            allocations: (0..20)
                .map(|n| SuggestedAllocation {
                    invoice_id: self.ids.make(),
                    number: self.t(&format!("NW-2026-02{n:02}")),
                    amount: eur(if n == 0 { 46_200 } else { 100 }),
                })
                .collect(),
            unapplied: eur(1_900),
            percent: 72,
            reasons: vec![self.t("named ones, and others of the customer that make up the rest")],
        };
        let many = CashPayment {
            suggestions: Some(Suggestions { rows: vec![many], stopped_early: false }),
            ..payment
        };
        self.add("cash-many", CashPage { work: of(many), ..page }.render());
    }

    fn members(&mut self) {
        let mut row = |email: &str, role, state, is_self| MemberRow {
            id: self.ids.make(),
            version: "1".to_owned(),
            email: (self.text)(email),
            role,
            state,
            is_self,
            is_last_controller: is_self,
        };
        let rows = vec![
            row("clara.controller@nordwind.example", Role::Controller, MemberState::Active, true),
            row("bo.billing@nordwind.example", Role::BillingAdmin, MemberState::Active, false),
            row("carl.cfo@nordwind.example", Role::Cfo, MemberState::Invited, false),
            row("lea.legal@nordwind.example", Role::Compliance, MemberState::Active, false),
            row("vic@nordwind.example", Role::Viewer, MemberState::Active, false),
        ];
        let page = Members {
            frame: self.done("The invitation is on its way."),
            org: self.org(),
            rows,
            paging: first(),
            cursor: String::new(),
            invite: InviteForm { email: String::new(), role: Role::Viewer },
            errors: Errors::default(),
        };
        self.add("members", page.clone().render());
        let row = page.rows.get(1).map(|row| format!("role-{}", row.id)).unwrap_or_default();
        let wrong = Members {
            frame: self.frame(),
            invite: InviteForm { email: self.t("carl at nordwind"), role: Role::Cfo },
            errors: self.errors(&[
                ("email", "Enter an email such as name@company.com"),
                ("role", "Choose a role"),
                (&row, "An organisation keeps at least one Controller: make another member Controller first"),
            ]),
            ..page.clone()
        };
        self.add("members-wrong", wrong.render());
        let later = Members {
            frame: self.frame(),
            paging: Paging { next: self.some("after these"), is_first: false },
            cursor: self.t("after those"),
            errors: Errors::default().stale(),
            ..page.clone()
        };
        self.add("members-later-stale", later.render());
        self.add("members-viewer", Members { frame: self.frame(), org: self.viewer(), ..page }.render());
    }

    fn integrations(&mut self) {
        let url = "https://api.plixo.example/webhooks/stripe/whe_01kajw7k2pfh8b6q1yq3m9t5zr";
        let row = |make: &mut Self, provider: &str, account: Option<&str>, hmac, state| EndpointRow {
            id: make.ids.make(),
            version: "1".to_owned(),
            provider: provider.to_owned(),
            url: url.to_owned(),
            account: account.map(|account| make.t(account)),
            hmac,
            state,
        };
        let unknown = self.t("another");
        let hash = "sha256:4f2b1c0e9d8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a3b2c";
        let header = |name: &str| name.parse().unwrap();
        let own = HmacScheme::new(
            header("x-netsuite-signature"),
            "v1:".to_owned(),
            SignatureEncoding::Hex,
            Digest::Sha512,
            Some(header("x-netsuite-time")),
        );
        use EndpointState as S;
        let endpoints = vec![
            row(self, "stripe", Some("acct_1Nv0FGQ9RKHgCVdK"), None, S::Enabled),
            row(self, "erpnext", Some(hash), None, S::Disabled),
            row(self, "xero", Some("c2cc9b6e-9458-4c7d-93cc-f02b81b0594f"), None, S::Enabled),
            row(self, "standard_webhooks", None, None, S::Enabled),
            row(self, "generic_hmac", None, own.ok(), S::Enabled),
            row(self, &unknown, None, None, S::Disabled),
        ];
        let page = Integrations {
            frame: self.frame(),
            org: self.org(),
            endpoints,
            paging: first(),
            cursor: String::new(),
            fresh: None,
            form: EndpointForm::default(),
            account: None,
            sources: Vec::new(),
            source_form: SourceForm::default(),
            errors: Errors::default(),
        };
        self.add("integrations", page.clone().render());
        let mut source = |kind: &str, name: &str, place: Option<&str>, refused_at| SourceRow {
            id: self.ids.make(),
            name: (self.text)(name),
            kind: kind.to_owned(),
            account: (self.text)("b18aed47-c385-49d2-b954-dbdf8ad71780"),
            place: place.map(|it| ((self.text)("contoso.com"), (self.text)(it))),
            connected_at: moment(),
            refused_at,
        };
        let sources = vec![
            source("xero", "Books", None, None),
            source("quickbooks", "Shop in Boston", None, Some(moment())),
            source("business_central", "Werk", Some("production"), None),
        ];
        let page_of_sources = Integrations { sources, endpoints: Vec::new(), ..page.clone() };
        self.add("integrations-sources", page_of_sources.clone().render());
        for kind in ["xero", "quickbooks", "business_central"] {
            let source_form = SourceForm { kind: kind.to_owned(), ..SourceForm::default() };
            let chosen = Integrations { source_form, endpoints: Vec::new(), ..page.clone() };
            self.add(&format!("integrations-source-{kind}"), chosen.render());
        }
        let of = |field: &str| page_of_sources.sources.first().map(|row| format!("{field}-{}", row.id));
        let again =
            ["client_id", "client_secret", "refresh_token"].map(|field| of(field).unwrap_or_default());
        let wrong = Integrations {
            source_form: SourceForm {
                kind: "business_central".to_owned(),
                name: self.t("4242 4242 4242 4242"),
                account: self.t("CRONUS"),
                tenant: self.t("common"),
                environment: self.t("a/b"),
                client_id: self.t("a b"),
            },
            errors: self.errors(&[
                ("source-name", "Holds what could be a card number"),
                ("source-account", "Has to be the id of a Business Central company, a UUID"),
                ("source-tenant", "A tenant is a GUID, or a domain such as contoso.com"),
                ("source-environment", "An environment has 1 to 30 letters, digits or -"),
                ("source-client_id", "Has to be 1 to 512 visible ASCII characters"),
                ("source-client_secret", "Is refused by the provider"),
                (&again[0], "Has to be 1 to 512 visible ASCII characters"),
                (&again[1], "Is refused by the provider"),
                (&again[2], "Is refused by the provider"),
            ]),
            ..page_of_sources.clone()
        };
        self.add("integrations-source-wrong", wrong.render());
        let account =
            ConnectedAccount {
                key_hint: self.t("rk_live_…a1B2"), connected_at: moment(), is_refused: false
            };
        let connected = Integrations { account: Some(account), ..page.clone() };
        self.add("integrations-connected", connected.clone().render());
        let wrong = [("restricted_key", "Has to be a restricted key of Stripe, rk_live_… or rk_test_…")];
        let errors = self.errors(&wrong);
        self.add("integrations-connected-wrong", Integrations { errors, ..connected }.render());
        let errors = self.errors(&wrong);
        self.add("integrations-key-wrong", Integrations { errors, ..page.clone() }.render());
        let secret = Some(Secret::new("whsec_kRcJ4lVnHTd4tqSgkdHAk7GuVv2OEHmo".to_owned()));
        let fresh = |provider: &str, is_rotated, secret| {
            let (provider, url) = (provider.to_owned(), url.to_owned());
            Some(FreshSecret { provider, url, secret, is_rotated })
        };
        let bare = Integrations { endpoints: Vec::new(), ..page.clone() };
        for provider in PROVIDERS {
            let form = EndpointForm { provider: provider.to_owned(), ..EndpointForm::default() };
            self.add(&format!("integrations-new-{provider}"), Integrations { form, ..bare.clone() }.render());
        }
        let brought = Integrations { fresh: fresh("xero", false, None), ..bare };
        self.add("integrations-brought", brought.render());
        let made = Integrations { fresh: fresh("stripe", false, secret.clone()), ..page.clone() };
        self.add("integrations-made", made.render());
        let rotated = Integrations { fresh: fresh("stripe", true, None), ..page.clone() };
        self.add("integrations-rotated", rotated.render());
        let row = |n: usize, field: &str| {
            page.endpoints.get(n).map(|row| format!("{field}-{}", row.id)).unwrap_or_default()
        };
        let wrong = Integrations {
            form: EndpointForm {
                provider: "generic_hmac".to_owned(),
                account: self.t("acct 1"),
                header: self.t("cookie"),
                prefix: self.t("sha256 ="),
                encoding: "base64".to_owned(),
                digest: "sha512".to_owned(),
                timestamp_header: self.t("date"),
                public_key: String::new(),
            },
            errors: self.errors(&[
                (&row(0, "secret"), "Paste the whole secret: it begins with whsec_"),
                (&row(3, "public_key"), "Is no Ed25519 public key: whpk_ and the Base64 of its 32 bytes"),
                ("account", "Enter an account such as acct_1Nv0FGQ9RKHgCVdK"),
                ("secret", "Has to be 16 to 256 visible ASCII characters"),
                ("header", "Is a header with a meaning of its own; choose another, such as x-signature"),
                ("prefix", "Has to be at most 32 visible ASCII characters without , and ;"),
                ("encoding", "Choose one"),
                ("digest", "Choose one"),
                ("timestamp_header", "Has to be another header than the signature’s"),
            ]),
            ..page.clone()
        };
        self.add("integrations-wrong", wrong.render());
        let wrong = Integrations {
            form: EndpointForm {
                provider: "standard_webhooks".to_owned(),
                public_key: self.t("whsec_no"),
                ..EndpointForm::default()
            },
            errors: self.errors(&[
                ("public_key", "Is no Ed25519 public key: whpk_ and the Base64 of its 32 bytes"),
                ("secret", "Is no secret of Standard Webhooks: whsec_ and the Base64 of 24 to 64 bytes"),
            ]),
            ..page.clone()
        };
        self.add("integrations-wrong-key", wrong.render());
        let end = Integrations { endpoints: Vec::new(), paging: Paging::default(), ..page.clone() };
        self.add("integrations-end", end.render());
        let paging = Paging { next: self.some("next"), is_first: true };
        self.add("integrations-many", Integrations { paging, ..page.clone() }.render());
        self.add("integrations-empty", Integrations { endpoints: Vec::new(), ..page }.render());
    }

    fn events(&mut self) {
        let mut row = |kind: &str, provider: &str, status| EventRow {
            id: self.ids.make(),
            kind: (self.text)(kind),
            provider: (self.text)(provider),
            status,
            received_at: moment(),
        };
        use EventStatus as S;
        let rows = vec![
            row("checkout.session.async_payment_succeeded", "Stripe", S::Applied),
            row("invoice.created", "Stripe", S::Ignored),
            row("charge.succeeded", "Stripe", S::Superseded),
            row("payment.recorded", "ERPNext", S::Conflict),
            row("customer.upserted", "ERPNext", S::Failed),
        ];
        let page = EventList {
            frame: self.frame(),
            org: self.org(),
            rows,
            paging: Paging { next: self.some("next"), is_first: true },
        };
        self.add("events", page.clone().render());
        let empty = EventList { rows: Vec::new(), paging: first(), ..page };
        self.add("events-empty", empty.clone().render());
        self.add("events-end", EventList { paging: Paging::default(), ..empty }.render());

        let page = EventPage {
            frame: self.frame(),
            org: self.org(),
            id: self.ids.make(),
            endpoint_id: self.ids.make(),
            provider: self.t("Stripe"),
            provider_event_id: self.some("evt_1NG8Du2eZvKYlo2CUI79vXWy"),
            kind: self.t("checkout.session.async_payment_succeeded"),
            status: S::Failed,
            received_at: moment(),
            applied_at: None,
            payload: self.some("{\n  \"type\": \"checkout.session.async_payment_succeeded\",\n  \"api_version\": \"2026-10-29.basil\",\n  \"livemode\": false\n}"),
            can_replay: true,
            errors: Errors::default(),
        };
        let again = EventPage {
            payload: None,
            errors: Errors::default()
                .whole(self.t("Its content is no longer stored, so it cannot be replayed.")),
            ..page.clone()
        };
        self.add("event-replay-refused", again.render());
        let applied = EventPage {
            frame: self.done("The event is on its way again."),
            status: S::Applied,
            applied_at: Some(moment()),
            provider_event_id: None,
            can_replay: false,
            ..page
        };
        self.add("event", applied.render());
    }

    fn exports(&mut self) {
        use ExportStatus::{Approved, Expired, Failed, PendingApproval, Ready, Rejected, Running};
        let kinds = ["invoices", "payments", "customers", "audit"];
        let statuses = [PendingApproval, Approved, Running, Ready, Rejected, Expired, Failed];
        let mut rows = Vec::new();
        for (n, status) in statuses.into_iter().enumerate() {
            rows.push(ExportRow {
                id: self.ids.make(),
                kind: kinds.iter().cycle().nth(n).map(ToString::to_string).unwrap(),
                format: if n % 2 == 0 { "csv" } else { "json" }.to_owned(),
                status,
                requested_by: if n == 5 { None } else { self.some("bruno.billing@nordwind.example") },
                requested_at: moment(),
            });
        }
        let form =
            ExportForm { kind: "invoices".to_owned(), format: "csv".to_owned(), ..ExportForm::default() };
        let list = ExportList {
            frame: self.frame(),
            org: self.org(),
            rows: rows.clone(),
            paging: Paging { next: self.some("next"), is_first: true },
            form,
            errors: Errors::default(),
        };
        self.add("exports", list.clone().render());
        let empty = ExportList { rows: Vec::new(), paging: first(), ..list.clone() };
        self.add("exports-empty", empty.clone().render());
        self.add("exports-end", ExportList { paging: Paging::default(), ..empty }.render());
        let form = ExportForm {
            kind: "payments".to_owned(),
            format: "csv".to_owned(),
            status: self.t("open"),
            customer_id: self.t("cus_1"),
            from: "2026-02-01".to_owned(),
            to: "2026-01-01".to_owned(),
        };
        let errors = Errors::default()
            .field("status", self.t("Is no status of this kind"))
            .field("customer_id", self.t("Does not narrow exports of this kind"))
            .field("to", self.t("Is before from"));
        self.add("exports-wrong", ExportList { form, errors, ..list }.render());
        for (row, name) in
            rows.iter().zip(["pending", "approved", "running", "ready", "rejected", "expired", "failed"])
        {
            let is_file = matches!(row.status, Ready | Expired);
            let is_approved = !matches!(row.status, PendingApproval | Rejected);
            let page = ExportPage {
                frame: self.frame(),
                org: self.org(),
                row: row.clone(),
                version: "\"3\"".to_owned(),
                digest: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".to_owned(),
                filter: if row.kind == "invoices" {
                    vec![("status".to_owned(), self.t("open")), ("from".to_owned(), "2026-01-01".to_owned())]
                } else {
                    Vec::new()
                },
                columns: if row.kind == "audit" {
                    Vec::new()
                } else {
                    ["id", "number", "total", "balance"].map(str::to_owned).to_vec()
                },
                asked_rows: (row.kind != "audit").then_some((1_000, true)),
                file: is_file.then_some((1_234, 98_765)),
                failure: (row.status == Failed).then(|| "too_large".to_owned()),
                approved_by: if is_approved { self.some("clara.controller@nordwind.example") } else { None },
                approved_at: is_approved.then(moment),
                expires_at: (is_file || row.status == PendingApproval).then(moment),
                is_own: false,
                errors: Errors::default(),
            };
            self.add(&format!("export-{name}"), page.clone().render());
            if row.status == PendingApproval {
                self.add("export-own", ExportPage { is_own: true, ..page.clone() }.render());
                self.add("export-stale", ExportPage { errors: Errors::default().stale(), ..page }.render());
            }
        }
    }

    fn audit(&mut self) {
        let org = self.org();
        let mut row =
            |who: Option<&str>, kind, role: Option<&str>, action: &str, object: &str, outcome| AuditRow {
                who: who.map(self.text),
                event: AuditEvent {
                    id: self.ids.make(),
                    at: moment(),
                    actor: Actor {
                        kind,
                        id: (self.text)("mem_01kajw7k2pfh8b6q1yq3m9t5zr"),
                        role: role.map(str::to_owned),
                    },
                    origin: Private::Plain(Origin {
                        ip: role.map(|_| (self.text)("2001:db8:85a3::8a2e:370:7334")),
                        user_agent: role
                            .map(|_| (self.text)("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36")),
                    }),
                    customer: None,
                    action: (self.text)(action),
                    object: Object::new(&(self.text)(object), (self.text)("inv_01kajw7k2pfh8b6q1yq3m9t5zr")),
                    outcome,
                    fields: role
                        .map(|_| vec![(self.text)("due_on"), (self.text)("memo")])
                        .unwrap_or_default(),
                    request_id: (self.text)("Kq1xXjTfDoEEJvA="),
                    count: None,
                },
            };
        let clara = Some("clara.controller@nordwind.example");
        let rows = vec![
            row(clara, ActorKind::Member, Some("controller"), "invoice.update", "invoice", Outcome::Allowed),
            row(None, ActorKind::Member, Some("billing_admin"), "member.remove", "member", Outcome::Denied),
            row(None, ActorKind::Function, None, "payment.record", "webhook_event", Outcome::Failed),
        ];
        let page = AuditLog {
            frame: self.frame(),
            org,
            filter: AuditFilter::default(),
            rows,
            paging: Paging { next: self.some("next"), is_first: true },
            looked_back_to: day(1),
            sealed_to: Some(moment()),
            errors: Errors::default(),
        };
        self.add("audit", page.clone().render());
        let filter = AuditFilter {
            from: self.t("2026-11-30"),
            to: self.t("2026-11-01"),
            actor: self.t("clara"),
            action: self.t("invoice.update"),
            object: self.t("inv_1"),
        };
        let wrong = AuditLog {
            filter: filter.clone(),
            errors: self.errors(&[
                ("from", "Enter a day that is not after the other one"),
                ("actor", "Enter an id such as mem_01kajw7k2pfh8b6q1yq3m9t5zr"),
            ]),
            paging: Paging { next: self.some("next"), is_first: false },
            ..page.clone()
        };
        self.add("audit-wrong", wrong.render());
        let part = AuditLog { rows: Vec::new(), filter: filter.clone(), ..page.clone() };
        self.add("audit-nothing-in-part", part.render());
        let empty =
            AuditLog { rows: Vec::new(), paging: first(), looked_back_to: None, sealed_to: None, ..page };
        self.add("audit-none-fits", AuditLog { filter, ..empty.clone() }.render());
        self.add("audit-end", AuditLog { paging: Paging::default(), ..empty.clone() }.render());
        self.add("audit-empty", empty.render());
    }

    fn retention(&mut self) {
        let days = [14, 30, 90, 7, 730, 3650, 3650, 2555];
        let row = |(class, days): (Class, u16)| {
            let (least_days, most_days) = class.bounds().into_inner();
            let (usual_days, typed) = (class.usual_days(), days.to_string());
            RetentionRow { class, days, usual_days, least_days, most_days, typed, effect: None }
        };
        let page = RetentionPage {
            frame: self.done("The retention policy is saved."),
            org: self.org(),
            version: "\"9\"".to_owned(),
            rows: Class::ALL.into_iter().zip(days).map(row).collect(),
            errors: Errors::default(),
        };
        self.add("retention", page.clone().render());
        let preview = |then: [(u16, u64, bool, u64); 8]| {
            let rows = page.rows.clone().into_iter().zip(then).map(|(row, (days, due, or_more, held))| {
                let effect = Some(RetentionEffect { days, due, or_more, held });
                RetentionRow { typed: days.to_string(), effect, ..row }
            });
            RetentionPage { frame: self.frame(), rows: rows.collect(), ..page.clone() }
        };
        let none = |days| (days, 0, false, 0);
        let deletes = preview([
            (7, 1_000, true, 0),
            none(30),
            (60, 41, false, 3),
            none(14),
            (365, 12, false, 2),
            none(3650),
            none(3650),
            (1825, 97, false, 0),
        ]);
        let nothing = preview([14, 30, 90, 7, 730, 3650, 3650, 2555].map(none));
        let longer = preview([30, 30, 365, 7, 1460, 7300, 3650, 2555].map(none));
        let now = format!("/orgs/{}/retention", page.org.id);
        let stale = RetentionPage { errors: Errors::default().stale_at(now), ..deletes.clone() };
        let mut wrong = RetentionPage { frame: self.frame(), ..page.clone() };
        for (row, typed) in wrong.rows.iter_mut().zip(["0", "soon"]) {
            row.typed = self.t(typed);
        }
        wrong.errors = self.errors(&[
            ("webhook_payload", "Is from 1 to 365 days"),
            ("portal_link", "Enter a whole number of days"),
        ]);
        for (name, page) in [
            ("retention-preview", deletes),
            ("retention-preview-nothing", nothing),
            ("retention-preview-longer", longer),
            ("retention-preview-stale", stale),
            ("retention-wrong", wrong),
        ] {
            self.add(name, page.render());
        }
    }

    fn hold(&mut self, on: HeldThing, reason: &str, is_released: bool) -> HoldRow {
        HoldRow {
            id: self.ids.make(),
            on,
            reason: self.t(reason),
            placed_by: None,
            placed_at: moment(),
            released: is_released.then(|| Released { by: None, at: moment() }),
        }
    }

    fn holds(&mut self) {
        let customer = HeldThing::Customer(self.ids.make(), self.t("Baltic Sensors OÜ"));
        let invoice = HeldThing::Invoice(self.ids.make(), self.t("NW-2026-0106"));
        let rows = vec![
            self.hold(customer.clone(), "Dispute about a delivery, LG Hamburg 301 O 12/26", false),
            self.hold(HeldThing::Organisation, "Tax audit of 2024 and 2025", false),
            self.hold(invoice, "Asked for by the insurer", true),
        ];
        let who = self.some("carl.compliance@nordwind.example");
        let rows: Vec<_> = rows.into_iter().map(|row| HoldRow { placed_by: who.clone(), ..row }).collect();
        let list = HoldList {
            frame: self.done("The hold is placed."),
            org: self.org(),
            rows: rows.clone(),
            paging: Paging { next: self.some("next"), is_first: true },
        };
        self.add("holds", list.clone().render());
        let released = rows.iter().filter(|row| row.released.is_some()).cloned().collect();
        let paging = Paging::default();
        self.add(
            "holds-released",
            HoldList { frame: self.frame(), rows: released, paging, ..list.clone() }.render(),
        );
        let empty = HoldList { frame: self.frame(), rows: Vec::new(), paging: first(), ..list };
        self.add("holds-empty", empty.clone().render());
        self.add("holds-end", HoldList { paging: Paging::default(), ..empty }.render());
        let form = HoldForm {
            frame: self.frame(),
            org: self.org(),
            customers: self.customers_to_choose(),
            has_more_customers: true,
            on: HoldOn::Customer,
            customer_id: String::new(),
            number: String::new(),
            reason: String::new(),
            errors: Errors::default(),
        };
        self.add("hold-new", form.clone().render());
        let wrong = HoldForm {
            on: HoldOn::Invoice,
            number: self.t("NW-1"),
            reason: self.t("Dispute 4242 4242 4242 4242"),
            errors: self.errors(&[
                ("customer_id", "Choose a customer"),
                ("number", "There is no invoice of this number"),
                ("reason", "Holds a card number: leave it out"),
            ]),
            ..form
        };
        self.add("hold-new-wrong", wrong.render());
        for (row, name) in rows.into_iter().zip(["hold", "hold-organisation", "hold-released"]) {
            let (frame, org, errors) = (self.frame(), self.org(), Errors::default());
            let page = HoldPage { frame, org, row, version: "\"2\"".to_owned(), errors };
            self.add(name, page.clone().render());
            if name == "hold" {
                self.add("hold-stale", HoldPage { errors: Errors::default().stale(), ..page }.render());
            }
        }
    }

    fn privacy(&mut self) {
        use PrivacyKind::{Access, Erasure};
        use PrivacyStatus::{Done, Held, Open, Refused, Running};
        let (baltic, reason) = (HeldThing::Customer(self.ids.make(), self.t("Baltic Sensors OÜ")), "Dispute");
        let holds = vec![
            self.hold(baltic, reason, false),
            self.hold(HeldThing::Organisation, "Tax audit of 2024 and 2025", false),
        ];
        let clock = |from: Date, due: Date, on: Date, status: PrivacyStatus| Clock {
            entered_on: from,
            due_on: due,
            on,
            is_open: status.is_open(),
        };
        let today = date(2026, 11, 21);
        let mut row = |kind, name: Option<&str>, status, from: Date, due: Date, on| PrivacyRow {
            id: self.ids.make(),
            kind,
            of: Subject { id: self.ids.make(), name: name.map(|name| (self.text)(name)) },
            status,
            clock: clock(from, due, on, status),
        };
        let (oct, nov) = (|day| date(2026, 10, day), |day| date(2026, 11, day));
        let dec = |day| date(2026, 12, day);
        let rows = vec![
            row(Access, Some("Alpine Optics AG"), Open, today, dec(21), today),
            row(Erasure, Some("Baltic Sensors OÜ"), Held, oct(18), nov(18), today),
            row(Erasure, Some("Café Zürich, Löwenstraße"), Running, oct(24), nov(24), today),
            row(Access, Some("Delta Lasers Ltd"), Done, nov(2), dec(2), nov(2)),
            row(Erasure, None, Done, oct(1), nov(1), nov(3)),
            row(Access, Some("Echo Prisms SA"), Refused, nov(5), dec(5), nov(9)),
            row(Erasure, Some("Alpine Optics AG"), Open, oct(21), today, today),
        ];
        let list = PrivacyList {
            frame: self.frame(),
            org: self.org(),
            rows: rows.clone(),
            paging: Paging { next: self.some("next"), is_first: true },
        };
        self.add("privacy-requests", list.clone().render());
        let empty = PrivacyList { rows: Vec::new(), paging: first(), ..list };
        self.add("privacy-requests-empty", empty.clone().render());
        self.add("privacy-requests-end", PrivacyList { paging: Paging::default(), ..empty }.render());

        let form = PrivacyForm {
            frame: self.frame(),
            org: self.org(),
            customers: self.customers_to_choose(),
            has_more_customers: true,
            customer: String::new(),
            kind: Access,
            errors: Errors::default(),
        };
        self.add("privacy-request-new", form.clone().render());
        let errors = self.errors(&[("customer", "Choose a customer")]);
        self.add("privacy-request-new-wrong", PrivacyForm { kind: Erasure, errors, ..form }.render());
        let confirm = PrivacyConfirm {
            frame: self.frame(),
            org: self.org(),
            of: Subject { id: self.ids.make(), name: self.some("Baltic Sensors OÜ") },
            kind: Access,
            due_on: dec(21),
            holds: Vec::new(),
            is_sure: false,
            errors: Errors::default(),
        };
        self.add("privacy-confirm-access", confirm.clone().render());
        let erasure = PrivacyConfirm { kind: Erasure, ..confirm };
        self.add("privacy-confirm-erasure", erasure.clone().render());
        let errors = self.errors(&[("sure", "Say that you are sure")]);
        let held = PrivacyConfirm { holds: holds.clone(), errors, ..erasure };
        self.add("privacy-confirm-erasure-held", held.render());

        for (row, name) in rows.into_iter().zip([
            "open",
            "held",
            "running",
            "access-done",
            "erasure-done",
            "refused",
            "last-day",
        ]) {
            let (is_held, is_done) = (row.status == Held, row.status == Done);
            let has_begun = is_done || row.status == Running;
            let is_certified = is_done && row.kind == Erasure;
            let page = PrivacyPage {
                frame: self.frame(),
                org: self.org(),
                version: "\"2\"".to_owned(),
                requested_by: self.some("carl.compliance@nordwind.example"),
                requested_at: moment(),
                held_since: (is_held || row.status == Refused).then(moment),
                holds: if is_held { holds.clone() } else { Vec::new() },
                begun_at: has_begun.then(moment),
                done_at: is_done.then(moment),
                refused: (row.status == Refused).then(|| RefusedRequest {
                    by: None,
                    at: moment(),
                    reason: self.t("Nobody of that name can be told from who asks"),
                }),
                files_until: (is_done && row.kind == Access).then(moment),
                certificate: is_certified.then(|| self.t(CERTIFICATE)),
                reason: String::new(),
                errors: Errors::default(),
                row,
            };
            self.add(&format!("privacy-request-{name}"), page.clone().render());
            if name == "held" {
                let holds = Vec::new();
                self.add("privacy-request-held-no-more", PrivacyPage { holds, ..page }.render());
            } else if name == "open" {
                let reason = self.t("4242 4242 4242 4242");
                let errors = self.errors(&[("reason", "Holds a card number: leave it out")]);
                self.add("privacy-request-refuse-wrong", PrivacyPage { reason, errors, ..page }.render());
            }
        }
    }

    fn settings(&mut self) {
        let page = SettingsPage {
            frame: self.done("Settings saved."),
            org: self.org(),
            version: "9".to_owned(),
            name: self.t("Nordwind Instruments GmbH"),
            ip_allow_list: self.t("203.0.113.0/24\n2001:db8::/48"),
            require_two_factor: true,
            residency: Residency::Eu,
            own_ip: self.some("203.0.113.7"),
            cash: CashForm { automatic: true, threshold: "0.95".to_owned(), ..CashForm::default() },
            logo: None,
            closed: None,
            close_name: String::new(),
            errors: Errors::default(),
        };
        self.add("settings", page.clone().render());
        let until = "2026-12-21T15:30:54Z".parse().unwrap();
        let closed = SettingsPage {
            frame: self.done("The organisation is closed."),
            org: Membership { closed_until: Some(until), ..self.org() },
            closed: Some(ClosedOrganisation {
                by: self.some("clara.controller@nordwind.example"),
                at: moment(),
                until,
            }),
            ..page.clone()
        };
        self.add("settings-closed", closed.render());
        let not_closed = SettingsPage {
            frame: self.frame(),
            close_name: self.t("Nordwind"),
            errors: self.errors(&[("close_name", "Is not the organisation’s name")]),
            ..page.clone()
        };
        self.add("settings-close-wrong", not_closed.render());
        let [_, _, icon] = plixo_pages::assets() else { return };
        let with_logo = SettingsPage {
            frame: self.done("Payers see the logo from now on."),
            logo: Some(icon.path.clone()),
            ..page.clone()
        };
        self.add("settings-logo", with_logo.clone().render());
        let errors = self.errors(&[("logo", "The image is no PNG, or is damaged; save it as PNG anew")]);
        self.add("settings-logo-wrong", SettingsPage { frame: self.frame(), errors, ..with_logo }.render());
        let wrong = SettingsPage {
            frame: self.frame(),
            require_two_factor: false,
            own_ip: None,
            errors: self.errors(&[
                ("name", "Enter a name"),
                ("require_two_factor", "Set up two-factor sign-in for yourself first"),
                ("ip_allow_list", "This would lock you out: add a network that holds your own address"),
            ]),
            ..page
        };
        let now = format!("/orgs/{}/settings", wrong.org.id);
        self.add(
            "settings-stale",
            SettingsPage { errors: Errors::default().stale_at(now), ..wrong.clone() }.render(),
        );
        self.add("settings-wrong", wrong.render());
    }

    fn problems(&mut self) {
        let message = self.some("We are moving to a larger database. Payments go on.");
        let problems = [
            ("problem-400", ProblemKind::BadRequest),
            ("problem-403", ProblemKind::Forbidden),
            ("problem-403-ip", ProblemKind::IpNotAllowed),
            ("problem-404", ProblemKind::NotFound),
            ("problem-409", ProblemKind::Conflict),
            ("problem-410", ProblemKind::Gone),
            ("problem-412", ProblemKind::Stale),
            ("problem-429", ProblemKind::TooManyTries),
            ("problem-500", ProblemKind::Internal),
            ("problem-503", ProblemKind::Unavailable),
            ("problem-503-maintenance", ProblemKind::Maintenance { message: None, until: None }),
            ("problem-503-maintenance-until", ProblemKind::Maintenance { message, until: Some(moment()) }),
        ];
        for (name, kind) in problems {
            let back = (kind.status() == 412).then(|| "/orgs".to_owned());
            let banners = if kind.status() == 500 { self.banners() } else { Vec::new() };
            let frame = Frame { banners, ..Frame::default() };
            self.add(name, Problem { frame, kind, request_id: self.t("Kq1xXjTfDoEEJvA="), back }.render());
        }
        let fields = [("idempotency_key", "k3y.save".to_owned()), ("memo", self.t("Thank you\nvery much"))];
        let again = SendAgain {
            frame: Frame::default(),
            path: "/orgs/org_1/invoices/new".to_owned(),
            fields: fields.map(|(name, value)| (name.to_owned(), value)).to_vec(),
            request_id: self.t("Kq1xXjTfDoEEJvA="),
        };
        self.add("problem-503-again", again.render());
    }

    fn portal(&mut self, language: Language) {
        let end = language.tag();
        let name = |page: &str| format!("portal-{page}-{end}");
        let seller = || Seller { name: self.t("Nordwind Instruments GmbH"), logo: None };
        let icon = plixo_pages::assets().iter().find(|asset| asset.content_type == "image/svg+xml").unwrap();
        let with_logo = || Seller { logo: Some(icon.path.clone()), ..seller() };
        let door = PortalDoor { language, seller: seller(), action: "/p/AQEB".to_owned() };
        let door_with_logo = PortalDoor { seller: with_logo(), ..door.clone() };
        let mut made = vec![(name("door"), door.render()), (name("door-logo"), door_with_logo.render())];

        let line = |text: &str, quantity: &str, unit: i64, tax: Option<&str>, total| PortalLine {
            description: self.t(text),
            quantity: quantity.parse().unwrap(),
            unit_price: eur(unit),
            tax_percent: tax.map(|tax| tax.parse().unwrap()),
            total: eur(total),
        };
        let lines = vec![
            line("Lens assembly LX-40, coated", "12", 48_000, Some("19"), 685_440),
            line("Calibration on site, by the hour", "7.5", 12_500, Some("19"), 111_563),
            line("Discount for the delay", "1", -20_000, None, -20_000),
        ];
        let payable = PortalInvoice {
            link: "lnk_01h2xcejqtf2nbrexx3vqjhp49".parse().unwrap(),
            language,
            seller: seller(),
            number: self.t("NW-2026-0106"),
            lines,
            memo: self.some("Thank you for your order.\nPlease name the number when you pay."),
            total: eur(777_003),
            paid: eur(0),
            open: eur(777_003),
            due_on: day(26),
            today: date(2026, 11, 21),
            standing: PortalStanding::Payable,
            note: None,
        };
        let part = PortalInvoice { paid: eur(300_000), open: eur(477_003), ..payable.clone() };
        let paid = PortalInvoice { paid: eur(777_003), open: eur(0), ..payable.clone() };
        let one = |quantity: &str, unit: i64| PortalLine {
            description: self.t("Membership"),
            quantity: quantity.parse().unwrap(),
            unit_price: Money::new(unit, currency("JPY")),
            tax_percent: None,
            total: Money::new(unit, currency("JPY")),
        };
        let yen = Money::new(123_456, currency("JPY"));
        let bare = PortalInvoice {
            seller: with_logo(),
            lines: vec![one("1", 123_456)],
            memo: None,
            total: yen,
            paid: Money::new(0, currency("JPY")),
            open: yen,
            due_on: None,
            ..payable.clone()
        };
        let many = PortalInvoice {
            lines: (1..=20)
                .map(|place| {
                    line(
                        "Calibration on site, by the hour",
                        "7.5",
                        12_500 * place,
                        Some("19"),
                        111_563 * place,
                    )
                })
                .collect(),
            ..part.clone()
        };
        let huge = PortalInvoice {
            lines: vec![line("Everything", "123456.789", i64::MAX / 200_000, Some("7.7"), i64::MAX)],
            total: eur(i64::MAX),
            paid: eur(1),
            open: eur(i64::MAX - 1),
            ..payable.clone()
        };
        let noted = |note| PortalInvoice { note: Some(note), ..payable.clone() };
        let due = |due_on| PortalInvoice { due_on, ..payable.clone() };
        let standing = |standing, invoice: &PortalInvoice| PortalInvoice { standing, ..invoice.clone() };
        let invoices = [
            ("invoice", payable.clone()),
            ("invoice-today", due(day(21))),
            ("invoice-tomorrow", due(day(22))),
            ("invoice-overdue", due(day(20))),
            ("invoice-part", part.clone()),
            ("invoice-bare", bare),
            ("invoice-many", many),
            ("invoice-huge", huge),
            ("invoice-cancelled", noted(PortalNote::Cancelled)),
            (
                "invoice-failed",
                PortalInvoice { note: Some(PortalNote::Failed), due_on: day(1), ..part.clone() },
            ),
            ("invoice-try-again", noted(PortalNote::TryAgain)),
            ("invoice-unsure", noted(PortalNote::Unsure)),
            ("invoice-other", noted(PortalNote::Other)),
            ("invoice-not-online", standing(PortalStanding::NotOnline, &payable)),
            ("invoice-confirming", standing(PortalStanding::Confirming, &payable)),
            ("invoice-processing", standing(PortalStanding::Processing, &part)),
            ("invoice-paid", standing(PortalStanding::Paid, &paid)),
            ("invoice-withdrawn", standing(PortalStanding::Withdrawn, &payable)),
        ];
        made.extend(invoices.map(|(page, invoice)| (name(page), invoice.render())));

        let ask = Some("/p/AQEB/fresh".to_owned());
        let gone = |why, seller, ask| PortalGone { language, seller, why, ask };
        let all_gone = [
            ("gone-used", gone(GoneWhy::Used, Some(seller()), ask.clone())),
            ("gone-expired", gone(GoneWhy::Expired, Some(seller()), ask.clone())),
            ("gone-revoked", gone(GoneWhy::Revoked, Some(with_logo()), ask.clone())),
            ("gone-settled", gone(GoneWhy::Settled, Some(seller()), ask.clone())),
            ("gone-no-session", gone(GoneWhy::NoSession, None, None)),
            ("gone-session", gone(GoneWhy::SessionOver, None, ask)),
            ("gone-for-good", gone(GoneWhy::Expired, None, None)),
        ];
        made.extend(all_gone.map(|(page, gone)| (name(page), gone.render())));
        let asked = PortalAsked { language, seller: Some(seller()) };
        made.push((name("asked"), asked.render()));
        made.push((name("asked-of-nobody"), PortalAsked { language, seller: None }.render()));

        for kind in [
            PortalProblemKind::NotFound,
            PortalProblemKind::BadRequest,
            PortalProblemKind::TooManyTries,
            PortalProblemKind::Internal,
            PortalProblemKind::Unavailable,
        ] {
            let problem = PortalProblem { language, kind, request_id: self.t("Kq1xXjTfDoEEJvA=") };
            made.push((name(&format!("problem-{}", kind.status())), problem.render()));
        }
        for (name, html) in made {
            self.add(&name, html);
        }
    }
}
