//! Portal links.

use jiff::{SignedDuration, Timestamp};
use plixo_api::document::{ChangeProblems, InvoiceIdText, PortalLinkIdText, PortalLinkStateText, Problems};
use plixo_api::input::{self, Failed, Limit};
use plixo_api::output::{self, List as Part, made};
use plixo_api::staff::{Staff, deed};
use plixo_authz::Action;
use plixo_aws::secrets::ReadSecret;
use plixo_aws::ses::SendEmail;
use plixo_domain::audit::{Object, Outcome};
use plixo_domain::id::{InvoiceId, LinkId, from_bytes};
use plixo_domain::ledger::{
    Customer, Invoice, Kept, LONGEST_LINK, LinkState, PortalLink, Row, RowKey, SHORTEST_LINK, USUAL_LINK,
    make_link, note_emailed, revoke_link,
};
use plixo_domain::secret::Secret;
use plixo_envelope::KeyService;
use plixo_lambda::http::Response;
use plixo_pages::Language;
use plixo_portal::Trouble;
use plixo_portal::letters::Letter;
use plixo_staff::{Answered, Entered, Made, Refusal};
use plixo_store::{List, Listed, Page, Tables};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::Outside;

/// A portal link.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = PortalLink)]
pub(crate) struct LinkShape {
    #[schema(value_type = PortalLinkIdText)]
    id: LinkId,
    #[schema(value_type = InvoiceIdText)]
    invoice_id: InvoiceId,
    /// Where it opens, once: in the answer to the request that made it, and nowhere else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    url: Option<Secret>,
    #[schema(value_type = PortalLinkStateText)]
    state: StateWord,
    /// Whether it is `revoked` because nothing is left to pay, or because the invoice was withdrawn.
    #[serde(default)]
    #[schema(required)]
    settled: bool,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    /// When the customer was sent it by email.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    emailed_at: Option<Timestamp>,
    /// When it was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    opened_at: Option<Timestamp>,
}

/// The contract's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StateWord {
    Issued,
    Consumed,
    Expired,
    Revoked,
}

impl LinkShape {
    fn new(link: &PortalLink, invoice: &Invoice, now: Timestamp) -> Self {
        let stands = link.state(invoice, now);
        let state = match stands {
            LinkState::Issued => StateWord::Issued,
            LinkState::Consumed => StateWord::Consumed,
            LinkState::Expired => StateWord::Expired,
            LinkState::Revoked | LinkState::Settled => StateWord::Revoked,
        };
        Self {
            id: link.id,
            invoice_id: link.invoice,
            url: None,
            state,
            settled: stands == LinkState::Settled,
            created_at: link.made_at,
            expires_at: link.expires_at,
            emailed_at: link.emailed_at,
            opened_at: link.opened.as_ref().map(|opened| opened.at),
        }
    }
}

/// What a link is to be.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PortalLinkOrder)]
pub(crate) struct LinkOrder {
    /// Seconds, from 5 minutes to 30 days; 7 days if absent.
    #[serde(default, deserialize_with = "seconds")]
    #[schema(value_type = u32, minimum = 300, maximum = 2_592_000)]
    expires_in: Option<i64>,
    /// Whether the customer is sent it by email, if there is an address: so if absent.
    #[serde(default = "yes")]
    #[schema(default = true)]
    send_email: bool,
}

const fn yes() -> bool {
    true
}

/// A number where there is something: `null` is no absence, but a mistake.
fn seconds<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
    i64::deserialize(from).map(Some)
}

impl Default for LinkOrder {
    fn default() -> Self {
        Self { expires_in: None, send_email: true }
    }
}

impl LinkOrder {
    fn lives(&self) -> Result<SignedDuration, Failed> {
        let Some(seconds) = self.expires_in else { return Ok(USUAL_LINK) };
        if (SHORTEST_LINK.as_secs()..=LONGEST_LINK.as_secs()).contains(&seconds) {
            return Ok(SignedDuration::from_secs(seconds));
        }
        let (least, most) = (SHORTEST_LINK.as_secs(), LONGEST_LINK.as_secs());
        Err(input::invalid("/expires_in", format!("has to be {least} to {most} seconds")))
    }
}

/// Which part of the links.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Query {
    /// 1 to 100, 25 if absent.
    #[serde(default)]
    #[param(value_type = Option<u8>, minimum = 1, maximum = 100)]
    limit: Limit,
    /// `next_cursor` of the part before.
    cursor: Option<String>,
}

/// An invoice's portal links, the youngest first.
#[utoipa::path(get, path = "/v1/orgs/{org}/invoices/{id}/portal-links", tag = "portal-links",
    params(("org" = String, Path), ("id" = String, Path), Query),
    responses((status = 200, body = Part<LinkShape>), Problems), security(("bearer" = [])))]
pub(crate) async fn list<T: Tables, K: KeyService>(staff: &Staff<'_, T, K>) -> Result<Response, Failed> {
    let (id, deed) = staff.about::<InvoiceId>(Action::ReadLedger, "portal_link.list", "invoice").await?;
    let Query { limit, cursor } = staff.taken(&deed, input::query(staff.request)).await?;
    let visit = staff.desk.enter(&staff.caller, &staff.org, &deed, vec![Invoice::key(&id)]).await?;
    let Some(invoice) = visit.book.get::<Invoice>(&id).ok().flatten() else {
        staff.desk.record(&staff.caller, &visit, &deed, Outcome::Failed).await?;
        return Err(Refusal::NotFound.into());
    };
    let (filter, now) = (format!("portal-links invoice={id}"), staff.caller.now);
    let after = staff.place(&visit, &deed, &filter, cursor.as_deref()).await?;
    let page = Page { after, descending: true, limit: limit.get() };
    let listed = staff.store().list(&staff.org, &List::PortalLinksOf(id), page, now).await;
    let Listed { rows, next } = listed.map_err(Refusal::from)?;
    let rows = staff.store().not_due(&visit.org, rows, now).await.map_err(Refusal::from)?;
    let next_cursor = match next {
        Some(place) => Some(staff.desk.cursor(&staff.org, &filter, &place, now).await?),
        None => None,
    };
    let links = rows.iter().filter_map(|(row, _)| PortalLink::of(row));
    let data: Vec<_> = links.map(|link| LinkShape::new(link, invoice, now)).collect();
    staff.desk.record(&staff.caller, &visit, &deed, Outcome::Allowed).await?;
    Ok(Response::json(200, output::json(&Part { data, next_cursor })))
}

/// Makes a portal link, which opens the invoice to its payer once, and sends it to the customer.
#[utoipa::path(post, path = "/v1/orgs/{org}/invoices/{id}/portal-links", tag = "portal-links",
    params(("org" = String, Path), ("id" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    request_body = LinkOrder,
    responses((status = 201, body = LinkShape), Problems, ChangeProblems), security(("bearer" = [])))]
pub(crate) async fn create<T: Tables, K: KeyService, V: ReadSecret, M: SendEmail>(
    staff: &Staff<'_, T, K>,
    outside: &Outside<V, M>,
) -> Result<Response, Failed> {
    let (id, deed) = staff.about::<InvoiceId>(Action::WriteLedger, "portal_link.create", "invoice").await?;
    let order = match staff.request.body_len() {
        0 => LinkOrder::default(),
        _ => staff.taken(&deed, input::body(staff.request)).await?,
    };
    let lives = staff.taken(&deed, order.lives()).await?;
    let (now, drawn) = (staff.caller.now, draw(outside)?);
    let work = async |entered: Entered<'_>| {
        let Entered { book, by, .. } = entered;
        let fields = make_link(book, (drawn, id), lives, by, now)?.fields;
        let made = book.get::<PortalLink>(&drawn)?.zip(book.get::<Invoice>(&id)?);
        let (link, invoice) = made.ok_or(Refusal::NotFound)?;
        let body = output::json(&LinkShape::new(link, invoice, now));
        let changed = vec![(Object::new("portal_link", drawn), fields)];
        Ok(Made { changed, answer: Answered { status: 201, body, version: None } })
    };
    let answered = staff.change(&deed, &[Invoice::key(&id)], work).await?;
    // The token is in no table: it is signed again whenever the answer is given.
    let odd = |_| Refusal::Internal("a remembered answer is none of this route".to_owned());
    let mut shape: LinkShape = serde_json::from_str(&answered.body).map_err(odd)?;
    let sent = send(staff, outside, &shape.id, &id, order.send_email).await?;
    (shape.url, shape.emailed_at) = (Some(sent.url), sent.emailed_at);
    Ok(made(Answered { body: output::json(&shape), ..answered }))
}

/// Takes a portal link back. A payer who has come in by it is shown nothing more.
#[utoipa::path(delete, path = "/v1/orgs/{org}/portal-links/{id}", tag = "portal-links",
    params(("org" = String, Path), ("id" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 204), Problems, ChangeProblems), security(("bearer" = [])))]
pub(crate) async fn revoke<T: Tables, K: KeyService>(staff: &Staff<'_, T, K>) -> Result<Response, Failed> {
    let (id, deed) = staff.about::<LinkId>(Action::WriteLedger, "portal_link.revoke", "portal_link").await?;
    staff.taken(&deed, input::no_body(staff.request)).await?;
    let now = staff.caller.now;
    let work = async |entered: Entered<'_>| {
        let fields = revoke_link(entered.book, &id, now)?.fields;
        let changed = vec![(Object::new("portal_link", id), fields)];
        Ok(Made { changed, answer: Answered { status: 204, body: String::new(), version: None } })
    };
    Ok(made(staff.change(&deed, &[PortalLink::key(&id)], work).await?))
}

/// A link as it was sent, or not.
struct Sent {
    url: Secret,
    emailed_at: Option<Timestamp>,
}

/// Sends the customer a link that was made, once, and says where it opens.
async fn send<T: Tables, K: KeyService, V: ReadSecret, M: SendEmail>(
    staff: &Staff<'_, T, K>,
    outside: &Outside<V, M>,
    id: &LinkId,
    invoice: &InvoiceId,
    wanted: bool,
) -> Result<Sent, Failed> {
    let (org, now) = (&staff.org, staff.caller.now);
    let rows = vec![RowKey::Organisation, PortalLink::key(id), Invoice::key(invoice)];
    let rows = staff.store().read_shown(org, rows, now).await.map_err(Refusal::from)?;
    let (mut seller, mut link, mut owed) = (None, None, None);
    for row in rows.into_iter().filter_map(|(_, stored)| stored) {
        match row.0 {
            Row::Organisation(row) => seller = Some(row),
            Row::PortalLink(row) => link = Some(row),
            Row::Invoice(row) => owed = Some(row),
            _ => {}
        }
    }
    let ((seller, link), owed) = seller.zip(link).zip(owed).ok_or(Refusal::NotFound)?;
    let base_url = staff.request.base_url(outside.base_url.as_deref());
    let url = outside.keys.url(&base_url, org, &link, now).await.map_err(trouble)?;
    let is_due = wanted && link.emailed_at.is_none() && link.state(&owed, now) == LinkState::Issued;
    if !is_due {
        return Ok(Sent { url, emailed_at: link.emailed_at });
    }
    // Whoever owes is nobody whose time is over.
    let customer = staff.store().read(org, vec![Customer::key(&owed.customer_id)]).await;
    let customer = customer.map_err(Refusal::from)?.into_iter().find_map(|(_, stored)| stored);
    let Some((Row::Customer(customer), _)) = customer else { return Ok(Sent { url, emailed_at: None }) };
    let personal = staff.store().open_personal(org, &customer, now).await.map_err(Refusal::from)?;
    let country = personal.address.as_ref().map(|address| address.country.as_str());
    let language = Language::of_country(country);
    let letter = Letter { seller: &seller, invoice: &owed, language, link: Some((&link, &url)) };
    let sent = match &personal.email {
        Some(to) => letter.send(&outside.mail, to).await.map_err(trouble)?,
        None => false,
    };
    if !sent {
        return Ok(Sent { url, emailed_at: None });
    }
    let deed = deed(Action::WriteLedger, "portal_link.email", Object::new("portal_link", id));
    let work = async |entered: Entered<'_>| {
        note_emailed(entered.book, id, now)?;
        let changed = vec![(deed.object.clone(), vec!["emailed_at"])];
        Ok(Made { changed, answer: Answered { status: 204, body: String::new(), version: None } })
    };
    staff.desk.change(&staff.caller, org, &deed, &[PortalLink::key(id)], None, work).await?;
    Ok(Sent { url, emailed_at: Some(now) })
}

/// 128 random bits: nobody guesses a link's id.
fn draw<V, M>(outside: &Outside<V, M>) -> Result<LinkId, Refusal> {
    let bytes = (outside.entropy)().and_then(|bytes| bytes.first_chunk::<16>().copied());
    bytes.map(from_bytes).ok_or_else(|| Refusal::Unavailable("no randomness to be had".to_owned()))
}

fn trouble(trouble: Trouble) -> Failed {
    match trouble {
        Trouble::Unavailable(cause) => Refusal::Unavailable(cause).into(),
        Trouble::Internal(cause) => Refusal::Internal(cause).into(),
    }
}
