//! One request of a payer.

use std::sync::OnceLock;

use jiff::Timestamp;
use plixo_aws::secrets::ReadSecret;
use plixo_aws::ses::SendEmail;
use plixo_domain::audit::{Actor, ActorKind, AuditEvent, Object, Origin, Outcome};
use plixo_domain::id::{CustomerId, Ids};
use plixo_domain::ledger::{
    Book, Invoice, Kept, LinkState, Organisation, PortalLink, Private, RowKey, StripeAccount, Unread,
};
use plixo_envelope::KeyService;
use plixo_lambda::http::{Request, Response};
use plixo_lambda::line::Line;
use plixo_links::{Claims, Purpose, Refused};
use plixo_pages::{GoneWhy, Language, PortalGone, PortalProblem, PortalProblemKind, Seller, portal_headers};
use plixo_portal::Trouble;
use plixo_store::{CommitError, StoreError, Tables};
use plixo_stripe::Checkout;

use crate::Portal;

/// The cookie of a payer's session: a token.
pub(crate) const SESSION_COOKIE: &str = "__Host-plixo-portal";
/// What follows a session cookie's value. It outlives the session, so that whoever comes late is told that it is over.
pub(crate) const SESSION_ATTRIBUTES: &str = "Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=86400";

/// Why there is nothing to show but a page that says why.
#[derive(Debug)]
pub(crate) enum Failed {
    /// There is no such thing, or it was made up.
    NotFound,
    /// A form of another site.
    Foreign,
    /// What was there is there no more.
    Gone(Box<Gone>),
    /// It is nobody's fault outside.
    Trouble(Trouble),
}

/// What is there no more.
#[derive(Debug)]
pub(crate) struct Gone {
    pub(crate) why: GoneWhy,
    /// Who asked to be paid.
    pub(crate) seller: Option<Seller>,
    /// Where to ask for a fresh link.
    pub(crate) ask: Option<String>,
}

impl From<Trouble> for Failed {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::Trouble(error.into())
    }
}

impl From<Unread> for Failed {
    fn from(_: Unread) -> Self {
        Self::Trouble(Trouble::Internal("a row that was not read".to_owned()))
    }
}

/// What a link's token, or a session's, names.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    pub(crate) claims: Claims,
    /// Whether its time is over.
    pub(crate) is_over: bool,
}

/// One request.
pub(crate) struct Visit<'a, T, K, V, C, M> {
    pub(crate) portal: &'a Portal<T, K, V, C, M>,
    pub(crate) request: &'a Request,
    pub(crate) line: Line,
    pub(crate) now: Timestamp,
    pub(crate) language: Language,
    /// Whose person it is, once the invoice was read.
    customer: OnceLock<CustomerId>,
}

impl<'a, T: Tables, K: KeyService, V: ReadSecret, C: Checkout, M: SendEmail> Visit<'a, T, K, V, C, M> {
    pub(crate) fn new(portal: &'a Portal<T, K, V, C, M>, request: &'a Request, line: Line) -> Self {
        let (now, language) = (line.timestamp, Language::accepted(request.header("accept-language")));
        Self { portal, request, line, now, language, customer: OnceLock::new() }
    }

    /// What the token in the path names.
    pub(crate) async fn link(&mut self) -> Result<Named, Failed> {
        let token = self.request.path("token").unwrap_or_default();
        self.named(token, Purpose::Link).await?.ok_or(Failed::NotFound)
    }

    /// What the cookie names.
    pub(crate) async fn session(&mut self) -> Result<Named, Failed> {
        let cookie = self.request.cookie(SESSION_COOKIE).unwrap_or_default();
        let named = self.named(cookie, Purpose::Session).await?;
        named.ok_or_else(|| gone(GoneWhy::NoSession, None, None))
    }

    /// What a token names; `None` of one that is forged.
    async fn named(&mut self, token: &str, purpose: Purpose) -> Result<Option<Named>, Failed> {
        let keyring = self.portal.keys.get(self.now).await?;
        let (claims, is_over) = match keyring.verify(token, purpose, self.now) {
            Ok(claims) => (claims, false),
            Err(Refused::Expired(claims)) => (*claims, true),
            Err(Refused::Forged) => return Ok(None),
        };
        self.line.org = Some(claims.org.to_string());
        self.line.who = Some(format!("payer:{}", claims.link));
        Ok(Some(Named { claims, is_over }))
    }

    /// The rows that a token is about, in one request.
    pub(crate) async fn read(&self, claims: &Claims) -> Result<Book, Failed> {
        let names = vec![
            RowKey::Organisation,
            PortalLink::key(&claims.link),
            Invoice::key(&claims.invoice),
            StripeAccount::key(&()),
        ];
        let mut book = Book::default();
        let rows = self.portal.store.read_shown(&claims.org, names, self.now).await?;
        rows.into_iter().for_each(|(name, stored)| book.learn(name, stored));
        if let Some(invoice) = book.get::<Invoice>(&claims.invoice)? {
            self.customer.get_or_init(|| invoice.customer_id);
        }
        Ok(book)
    }

    /// The rows of a session that is not over. A try in one that is, or was ended, is in the audit log.
    pub(crate) async fn entered(&mut self, action: &str) -> Result<(Claims, Book), Failed> {
        let Named { claims, is_over } = self.session().await?;
        let entered = self.inside(&claims, is_over).await;
        if let Err(Failed::Gone(_)) = &entered {
            let denied = (action, Object::new("invoice", claims.invoice), Outcome::Denied, &[][..]);
            self.commit(&claims, &Book::default(), &[denied]).await?;
        }
        Ok((claims, entered?))
    }

    /// The rows of that session, if it is not over.
    pub(crate) async fn inside(&self, claims: &Claims, is_over: bool) -> Result<Book, Failed> {
        let book = self.read(claims).await?;
        let (seller, ask) = (seller(&book)?, Some("/p/session/fresh-link".to_owned()));
        let (link, invoice) = (book.get::<PortalLink>(&claims.link)?, book.get::<Invoice>(&claims.invoice)?);
        let Some((link, _)) = link.zip(invoice).filter(|(link, _)| link.invoice == claims.invoice) else {
            return Err(gone(GoneWhy::SessionOver, seller, None));
        };
        match link.session_until() {
            None => Err(gone(GoneWhy::Revoked, seller, ask)),
            Some(until) if is_over || until <= self.now => Err(gone(GoneWhy::SessionOver, seller, ask)),
            Some(_) => Ok(book),
        }
    }

    /// Back to the page that a form stands on.
    pub(crate) fn back(&self) -> Response {
        let is_plain =
            |token: &&str| token.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        let token = self.request.path("token").filter(is_plain);
        let at = token.map_or_else(|| "/p/session".to_owned(), |token| format!("/p/{token}"));
        Response::redirect(303, at)
    }

    /// Whether the query has that word.
    pub(crate) fn says(&self, word: &str) -> bool {
        self.request.query().split('&').any(|said| said == word)
    }

    /// Whether the page that was asked from is of another link: this browser has opened one since.
    pub(crate) fn is_of_another(&self, claims: &Claims) -> bool {
        let of = self.request.query().split('&').find_map(|said| said.strip_prefix("of="));
        of.is_some_and(|of| of != claims.link.to_string())
    }

    /// Whether another site made the browser send this form. The session's cookie does not come with those anyway; browsers that
    /// say nothing, or `null` because our pages tell no referrer, are believed.
    pub(crate) fn refuse_foreign(&mut self) -> Result<(), Failed> {
        let is_foreign = match (self.request.header("sec-fetch-site"), self.request.header("origin")) {
            (Some(site), _) => !matches!(site, "same-origin" | "none"),
            (None, Some("null") | None) => false,
            (None, Some(origin)) => {
                let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
                host.is_none() || host != self.request.header("host")
            }
        };
        if is_foreign { Err(Failed::Foreign) } else { Ok(()) }
    }

    /// Commits what a book changed, with its audit event. False where others changed the same rows meanwhile.
    pub(crate) async fn commit(
        &self,
        claims: &Claims,
        book: &Book,
        deeds: &[(&str, Object, Outcome, &[&str])],
    ) -> Result<bool, Failed> {
        let mut ids = Ids::drawn(self.now, self.drawn()?);
        let actor = payer(claims);
        // Of whom nothing is known, nothing is kept that could not be taken away with them.
        let customer = self.customer.get().copied();
        let origin = customer.map_or_else(Origin::default, |_| Origin {
            ip: self.request.ip().map(str::to_owned),
            user_agent: self.request.user_agent(),
        });
        let event = |(action, object, outcome, fields): &(&str, Object, Outcome, &[&str])| AuditEvent {
            id: ids.make(),
            at: self.now,
            actor: actor.clone(),
            origin: Private::Plain(origin.clone()),
            customer,
            action: (*action).to_owned(),
            object: object.clone(),
            outcome: *outcome,
            fields: fields.iter().map(|field| (*field).to_owned()).collect(),
            request_id: self.request.id().to_owned(),
            count: None,
        };
        let events: Vec<_> = deeds.iter().map(event).collect();
        match self.portal.store.commit(&claims.org, book, None, &events, self.now).await {
            Ok(()) => Ok(true),
            Err(CommitError::Conflict) => Ok(false),
            Err(CommitError::Store(error)) => Err(error.into()),
        }
    }

    pub(crate) fn drawn(&self) -> Result<[u8; 32], Failed> {
        (self.portal.entropy)().ok_or_else(|| Trouble::Internal("no randomness to be had".to_owned()).into())
    }

    pub(crate) fn page(&self, status: u16, html: String) -> Response {
        portal_headers(&self.portal.place.checkout_origin)
            .into_iter()
            .fold(Response::of(status, "text/html; charset=utf-8", html), |response, (name, value)| {
                response.with(name, value)
            })
    }

    /// The answer, and the line that tells of it.
    pub(crate) fn answer(mut self, done: Result<Response, Failed>) -> (Response, Line) {
        let response = match done {
            Ok(response) => response,
            Err(Failed::Gone(gone)) => {
                let Gone { why, seller, ask } = *gone;
                self.line.outcome = word(why);
                self.page(410, PortalGone { language: self.language, seller, why, ask }.render())
            }
            Err(Failed::NotFound) => self.problem("not_found", PortalProblemKind::NotFound),
            Err(Failed::Foreign) => self.problem("foreign_form", PortalProblemKind::BadRequest),
            Err(Failed::Trouble(trouble)) => {
                self.line.error = Some(trouble.to_string());
                match trouble {
                    Trouble::Unavailable(_) => self
                        .problem("unavailable", PortalProblemKind::Unavailable)
                        .with("retry-after", "1".to_owned()),
                    Trouble::Internal(_) => self.problem("internal", PortalProblemKind::Internal),
                }
            }
        };
        (response, self.line)
    }

    fn problem(&mut self, outcome: &'static str, kind: PortalProblemKind) -> Response {
        self.line.outcome = outcome;
        let request_id = self.request.id().to_owned();
        self.page(kind.status(), PortalProblem { language: self.language, kind, request_id }.render())
    }
}

/// What is there no more.
pub(crate) fn gone(why: GoneWhy, seller: Option<Seller>, ask: Option<String>) -> Failed {
    Failed::Gone(Box::new(Gone { why, seller, ask }))
}

/// Why a link that stands so opens nothing. One that was settled tells nothing of an invoice that is owed again.
pub(crate) fn why(state: LinkState, book: &Book, claims: &Claims) -> Result<GoneWhy, Unread> {
    let is_owed = book.get::<Invoice>(&claims.invoice)?.is_some_and(Invoice::takes_payment);
    Ok(match state {
        LinkState::Settled if is_owed => GoneWhy::Revoked,
        LinkState::Issued | LinkState::Consumed => GoneWhy::Used,
        LinkState::Expired => GoneWhy::Expired,
        LinkState::Revoked => GoneWhy::Revoked,
        LinkState::Settled => GoneWhy::Settled,
    })
}

fn word(why: GoneWhy) -> &'static str {
    match why {
        GoneWhy::Used => "link_used",
        GoneWhy::Expired => "link_expired",
        GoneWhy::Revoked => "link_revoked",
        GoneWhy::Settled => "link_settled",
        GoneWhy::NoSession => "no_session",
        GoneWhy::SessionOver => "session_over",
    }
}

/// Who asks to be paid; of an organisation that is no more, there is nothing.
pub(crate) fn seller(book: &Book) -> Result<Option<Seller>, Unread> {
    Ok(book.get::<Organisation>(&())?.map(shown))
}

fn shown(org: &Organisation) -> Seller {
    Seller { name: org.name.clone(), logo: org.logo_path() }
}

/// Whoever came in by a link, as the audit log names them.
pub(crate) fn payer(claims: &Claims) -> Actor {
    Actor { kind: ActorKind::Payer, id: claims.link.to_string(), role: None }
}
