//! Demo organisations: made by the code that makes real ones.

mod people;
mod show;
mod stripe;

use anyhow::{Context, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use clap::{Args, Subcommand};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use plixo_aws::cognito::UserPool;
use plixo_aws::config;
use plixo_aws::kms::Kms;
use plixo_aws::secrets::{ReadSecret, Vault};
use plixo_domain::audit::{Actor, ActorKind, AuditEvent, Object, Outcome};
use plixo_domain::id::{CustomerId, EndpointId, Ids, InvoiceId, MemberId, OrgId};
use plixo_domain::ledger::staff::set_logo;
use plixo_domain::ledger::{
    Address, Book, Customer, Invoice, InvoiceBody, InvoiceNumber, InvoiceState, Kept, Line, Logo, LogoHash,
    Organisation, Personal, Private, Residency, Row, RowKey,
};
use plixo_domain::money::{Currency, Money};
use plixo_domain::people::{Member, MemberState, Role, add_member};
use plixo_domain::secret::Secret;
use plixo_domain::webhook::{EndpointSecret, EndpointState, Provider, VaultEntry, WebhookEndpoint};
use plixo_lambda::env::Env;
use plixo_lambda::hash::sha256;
use plixo_lambda::{clock, entropy};
use plixo_store::Store;
use plixo_store::dynamo::DynamoTables;
use serde_json::{Value, json};

use people::{Account, Desk};

/// What can be done with demo organisations.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make two demo organisations, or whatever of them is missing, and print them.
    Seed {
        /// Where the HTTP API answers: the beginning of webhook URLs.
        #[arg(long)]
        base_url: String,
    },
    /// Have an organisation's payers pay on a Stripe account, by the restricted key in the variable `STRIPE_KEY`.
    ConnectStripe {
        /// The organisation.
        #[arg(long)]
        org: OrgId,
    },
    /// Print invoices, payments and webhook events of a demo organisation.
    Ledger(Ledger),
}

/// What to print.
#[derive(Args)]
pub(crate) struct Ledger {
    /// The organisation.
    #[arg(long)]
    org: OrgId,
    /// An invoice, with its payments and allocations.
    #[arg(long = "invoice")]
    invoices: Vec<InvoiceId>,
    /// A payment, by Stripe's id of its money: `pi_…`.
    #[arg(long = "payment")]
    payments: Vec<String>,
    /// A customer, by Stripe's id.
    #[arg(long = "customer")]
    customers: Vec<String>,
    /// A webhook event: `whe_…:evt_…`.
    #[arg(long = "events")]
    events: Vec<String>,
}

struct Stack {
    store: Store<DynamoTables, Kms>,
    kms: Kms,
    vault: Vault,
    stripe_keys: Vault,
    storage_key: Option<String>,
    desk: Desk,
}

const OPERATOR: &str = "operator@plixo.example";

/// Runs a command and answers what to print.
pub(crate) async fn run(command: Command) -> anyhow::Result<Value> {
    let env = Env::default();
    let (ledger, events) = (env.required("LEDGER_TABLE"), env.required("WEBHOOK_EVENTS_TABLE"));
    let (audit, key) = (env.required("AUDIT_TABLE"), env.required("ENVELOPE_KEY_ARN"));
    let (people, prefix) = (env.required("PEOPLE_TABLE"), env.required("WEBHOOK_ENDPOINTS_PREFIX"));
    let (pool, client) = (env.required("USER_POOL_ID"), env.required("USER_POOL_CLIENT_ID"));
    let (storage_key, stripe_key) = (env.optional("STORAGE_KEY_ARN"), env.optional("STRIPE_KEY"));
    env.complete()?;
    let config = config::of_command().await;
    let kms = Kms::new(&config, key);
    let tables = DynamoTables::new(&config, ledger, events, audit).with_people(people);
    let store = Store::new(tables, kms.clone(), entropy::bytes_32);
    let beside = prefix.strip_suffix("webhook-endpoints/").context("an odd WEBHOOK_ENDPOINTS_PREFIX")?;
    let desk = Desk {
        pool: UserPool::new(&config, pool, client),
        vault: Vault::new(&config, format!("{beside}demo-accounts/")),
        storage_key: storage_key.clone(),
    };
    let stripe_keys = Vault::new(&config, format!("{beside}stripe-keys/"));
    let stack = Stack { store, kms, vault: Vault::new(&config, prefix), stripe_keys, storage_key, desk };
    match command {
        Command::Seed { base_url } => {
            let (mut orgs, born) = (Vec::new(), stack.desk.born().await?);
            for (n, plan) in PLANS.iter().enumerate() {
                let n = u8::try_from(n).unwrap_or(u8::MAX);
                orgs.push(seed(&stack, n, born, plan, base_url.trim_end_matches('/')).await?);
            }
            let Account { email, password, totp_secret, .. } = stack.desk.account(OPERATOR, true).await?;
            let operator = json!({"email": email, "password": password, "totp_secret": totp_secret});
            Ok(json!({ "operator": operator, "orgs": orgs }))
        }
        Command::ConnectStripe { org } => {
            let key = stripe_key.context("the variable STRIPE_KEY is missing")?;
            stripe::connect(&stack, org, Secret::new(key)).await
        }
        Command::Ledger(wanted) => show::ledger(&stack, &wanted).await,
    }
}

struct Plan {
    name: &'static str,
    /// A PNG of nothing but its pixels, as `api-organisations` would write it.
    logo: Option<&'static [u8]>,
    currency: &'static str,
    prefix: &'static str,
    domain: &'static str,
    customers: &'static [(&'static str, &'static str, [&'static str; 4])],
    invoices: &'static [PlannedInvoice],
}

struct PlannedInvoice {
    customer: usize,
    state: InvoiceState,
    due_in_days: i64,
    memo: Option<&'static str>,
    lines: &'static [(&'static str, &'static str, i64, &'static str)],
}

const fn open(
    customer: usize,
    due_in_days: i64,
    lines: &'static [(&str, &str, i64, &str)],
) -> PlannedInvoice {
    PlannedInvoice { customer, state: InvoiceState::Open, due_in_days, memo: None, lines }
}

const PLANS: [Plan; 2] = [
    Plan {
        name: "Nordlicht Maschinenbau GmbH",
        logo: Some(include_bytes!("demo/nordlicht.png")),
        currency: "EUR",
        prefix: "RE-2026-",
        domain: "nordlicht.example",
        customers: &[
            (
                "Bäckerei Sonnenschein GmbH",
                "buchhaltung@sonnenschein.example",
                ["Marktplatz 3", "Lüneburg", "21335", "DE"],
            ),
            ("Hofgut Lindenau KG", "rechnung@lindenau.example", ["Lindenallee 12", "Weimar", "99423", "DE"]),
            ("Aveline Roux", "aveline.roux@example.net", ["8 rue des Tanneurs", "Colmar", "68000", "FR"]),
        ],
        invoices: &[
            open(0, 14, &[("Teigknetmaschine TK 40, Wartung", "1", 10_504, "19")]),
            open(0, -9, &[("Ersatzteile Rührwerk", "4", 8_990, "19"), ("Anfahrt", "1", 6_500, "19")]),
            open(
                1,
                30,
                &[("Förderband FB 12", "1", 1_249_000, "19"), ("Montage, Stunden", "7.5", 9_200, "19")],
            ),
            open(2, 7, &[("Getreidemühle GM 3", "1", 189_900, "20")]),
            PlannedInvoice {
                customer: 1,
                state: InvoiceState::Draft,
                due_in_days: 30,
                memo: Some("Liefertermin folgt."),
                lines: &[("Förderband FB 20", "2", 1_790_000, "19")],
            },
        ],
    },
    Plan {
        name: "Blue Harbor Supply Co.",
        logo: None,
        currency: "USD",
        prefix: "BH-",
        domain: "blueharbor.example",
        customers: &[
            (
                "Cedar & Pine Outfitters",
                "ap@cedarpine.example",
                ["14 Wharf Street", "Portland", "04101", "US"],
            ),
            (
                "Marisol Vega",
                "marisol.vega@example.org",
                ["220 Mission Road", "Santa Barbara", "93105", "US"],
            ),
        ],
        invoices: &[
            open(0, 14, &[("Marine rope, 200 m", "6", 18_900, "0"), ("Freight", "1", 7_450, "0")]),
            open(0, 21, &[("Deck paint, 5 gal", "12", 14_275, "5.5")]),
            open(1, -3, &[("Sail repair", "1", 48_000, "0")]),
        ],
    },
];

/// All that a demo organisation is made of. Names follow from its number and its birthday, so that seeding again finds them.
async fn seed(
    stack: &Stack,
    number: u8,
    born: Timestamp,
    plan: &Plan,
    base_url: &str,
) -> anyhow::Result<Value> {
    let now = clock::now();
    let mut ids = Ids::new(born, [0xd0 + number, 1, 2, 3, 4, 5, 6, 7, 0, 0]);
    let org: OrgId = ids.make();
    let endpoint: EndpointId = ids.make();
    let customers: Vec<CustomerId> = plan.customers.iter().map(|_| ids.make()).collect();
    let invoices: Vec<InvoiceId> = plan.invoices.iter().map(|_| ids.make()).collect();
    let mut members: Vec<(MemberId, Role, Account)> = Vec::new();
    for role in Role::ALL {
        let email = format!("{}@{}", role.as_str().replace('_', "."), plan.domain);
        members.push((ids.make(), *role, stack.desk.account(&email, false).await?));
    }
    stack.store.create_data_key(&org, &stack.kms).await?;

    let mut book = Book::default();
    let mut names = vec![RowKey::Organisation, RowKey::Logo, RowKey::WebhookEndpoint(endpoint)];
    names.extend(customers.iter().map(|id| RowKey::Customer(*id)));
    names.extend(invoices.iter().map(|id| RowKey::Invoice(*id)));
    names.extend((1..=invoices.len()).map(|n| RowKey::InvoiceNumber(number_of(plan, n))));
    for (id, _, account) in &members {
        let (pointer, user) = (RowKey::MemberPointer(*id), account.user);
        names.extend([pointer, RowKey::Member(user), RowKey::UserOrganisation(user)]);
    }
    for (name, stored) in stack.store.read(&org, names).await? {
        book.learn(name, stored);
    }
    let organisation = Organisation {
        id: org,
        name: plan.name.to_owned(),
        residency: Residency::Eu,
        controllers: Default::default(),
        settings: Default::default(),
        logo: None,
        closed: None,
    };
    let is_new = book.get::<Organisation>(&()).ok().flatten().is_none();
    add(&mut book, organisation)?;
    // Of one that was there, somebody may have taken it away.
    if is_new && set_logo(&mut book, plan.logo.map(logo)).is_err() {
        bail!("a row that was not read");
    }
    for (id, role, account) in &members {
        let (user, email) = (account.user, Private::Plain(account.email.clone()));
        if book.get::<Member>(&user).ok().context("a member that was not read")?.is_none() {
            add_member(&mut book, Member { id: *id, user, role: *role, state: MemberState::Active, email })?;
        }
    }
    let (provider, state) = (Provider::Stripe, EndpointState::Enabled);
    add(&mut book, WebhookEndpoint { id: endpoint, provider, state, account: None, hmac: None })?;
    for (id, (name, email, address)) in customers.iter().zip(plan.customers) {
        add(&mut book, Customer::new(*id, personal(name, email, address)))?;
    }
    for (n, (id, planned)) in (1..).zip(invoices.iter().zip(plan.invoices)) {
        let customer = customers.get(planned.customer).context("a planned invoice has a planned customer")?;
        let number = number_of(plan, n);
        add(&mut book, InvoiceNumber { number: number.clone(), invoice: *id })?;
        add(&mut book, invoice(*id, number, *customer, planned, plan.currency.parse()?, now)?)?;
    }
    let mut audit_ids = new_ids(now)?;
    let made = book.changes().filter_map(|(_, row, _)| Some(audit(&mut audit_ids, now, object(row, org)?)));
    let made: Vec<AuditEvent> = made.collect();
    if !made.is_empty() {
        stack.store.commit(&org, &book, None, &made, now).await?;
    }
    let secret = endpoint_secret(stack, org, endpoint).await?;

    let invoices = invoices.iter().map(|id| {
        let invoice = book.get::<Invoice>(id).ok().flatten().context("a seeded invoice")?;
        Ok(json!({"id": id, "number": invoice.number, "status": invoice.status(), "total": invoice.total}))
    });
    let emails =
        customers.iter().zip(plan.customers).map(|(id, (_, email, _))| json!({"id": id, "email": email}));
    Ok(json!({
        "id": org,
        "name": plan.name,
        "members": members.iter().map(member).collect::<Vec<_>>(),
        "webhook_endpoints": [{
            "id": endpoint,
            "provider": "stripe",
            "url": format!("{base_url}/webhooks/stripe/{endpoint}"),
            "secret": secret.reveal(),
        }],
        "customers": emails.collect::<Vec<_>>(),
        "invoices": invoices.collect::<anyhow::Result<Vec<_>>>()?,
    }))
}

fn member((id, role, account): &(MemberId, Role, Account)) -> Value {
    let Account { email, password, totp_secret, .. } = account;
    json!({"id": id, "role": role, "email": email, "password": password, "totp_secret": totp_secret})
}

fn logo(png: &[u8]) -> Logo {
    Logo { hash: LogoHash::of(sha256(png)), png: png.to_vec() }
}

fn number_of(plan: &Plan, n: usize) -> String {
    format!("{}{n:04}", plan.prefix)
}

fn add<T: Kept>(book: &mut Book, row: T) -> anyhow::Result<()> {
    let there = book.get::<T>(&row.name()).map(|row| row.is_some());
    if !there.ok().context("a row that was not read")? && book.put(row).is_err() {
        bail!("a row that was not read");
    }
    Ok(())
}

fn personal(name: &str, email: &str, [line1, city, postal_code, country]: &[&str; 4]) -> Personal {
    let address = Address {
        line1: (*line1).to_owned(),
        line2: None,
        city: (*city).to_owned(),
        postal_code: (*postal_code).to_owned(),
        country: (*country).to_owned(),
    };
    Personal {
        name: Some(name.to_owned()),
        email: Some(email.to_owned()),
        address: Some(address),
        ..Personal::default()
    }
}

fn invoice(
    id: InvoiceId,
    number: String,
    customer_id: CustomerId,
    planned: &PlannedInvoice,
    currency: Currency,
    now: Timestamp,
) -> anyhow::Result<Invoice> {
    let line = |(description, quantity, price, tax): &(&str, &str, i64, &str)| {
        Ok(Line {
            description: (*description).to_owned(),
            quantity: quantity.parse()?,
            unit_price: Money::new(*price, currency),
            tax_percent: Some(tax.parse()?),
        })
    };
    let lines = planned.lines.iter().map(line).collect::<anyhow::Result<_>>()?;
    let body = InvoiceBody { lines, memo: planned.memo.map(str::to_owned) };
    let today = now.to_zoned(TimeZone::UTC).date();
    Ok(Invoice {
        id,
        number,
        customer_id,
        state: planned.state,
        total: body.total()?,
        issued_on: (planned.state == InvoiceState::Open).then_some(today),
        due_on: Some(today.checked_add(planned.due_in_days.days())?),
        body: Private::Plain(body),
        claims: Default::default(),
        checkout: None,
        asked: None,
        ended_at: None,
        reference: None,
        erased: false,
    })
}

fn object(row: &Row, org: OrgId) -> Option<Object> {
    Some(match row {
        Row::Organisation(_) => Object::new("organisation", org),
        Row::WebhookEndpoint(row) => Object::new("webhook_endpoint", row.id),
        Row::Customer(row) => Object::new("customer", row.id),
        Row::Invoice(row) => Object::new("invoice", row.id),
        Row::Member(row) => Object::new("member", row.id),
        _ => return None,
    })
}

fn audit(ids: &mut Ids, at: Timestamp, object: Object) -> AuditEvent {
    AuditEvent {
        id: ids.make(),
        at,
        actor: Actor { kind: ActorKind::Operator, id: "plixoctl".to_owned(), role: None },
        origin: Private::default(),
        customer: None,
        action: format!("{}.create", object.kind),
        object,
        outcome: Outcome::Allowed,
        fields: Vec::new(),
        request_id: "demo-seed".to_owned(),
        count: None,
    }
}

fn new_ids(at: Timestamp) -> anyhow::Result<Ids> {
    Ok(Ids::drawn(at, entropy::bytes_32().context("no randomness to be had")?))
}

/// The endpoint's signing secret: the one that the vault holds, or a new one.
async fn endpoint_secret(stack: &Stack, org: OrgId, endpoint: EndpointId) -> anyhow::Result<Secret> {
    let name = endpoint.to_string();
    if let Some(kept) = stack.vault.read_secret(&name).await? {
        let entry: VaultEntry =
            serde_json::from_str(kept.reveal()).context("the vault's entry of the demo endpoint")?;
        return entry
            .secrets
            .into_iter()
            .next()
            .map(|live| live.secret)
            .context("an endpoint without a secret");
    }
    let random = entropy::bytes_32().context("no randomness to be had")?;
    let letters: String =
        STANDARD_NO_PAD.encode(random).chars().filter(char::is_ascii_alphanumeric).collect();
    let secret = Secret::new(format!("whsec_{letters}"));
    let entry = VaultEntry {
        v: VaultEntry::VERSION,
        org,
        provider: Provider::Stripe,
        state: EndpointState::Enabled,
        account: None,
        hmac: None,
        secrets: vec![EndpointSecret {
            secret: secret.clone(),
            expires_at: None,
            added_at: None,
            pending: false,
        }],
    };
    let entry = Secret::new(serde_json::to_string(&entry)?);
    stack.vault.put(&name, &entry, stack.storage_key.as_deref()).await?;
    Ok(secret)
}
