//! The door of a link: looking at it changes nothing, opening it uses the link.

use plixo_aws::secrets::ReadSecret;
use plixo_aws::ses::SendEmail;
use plixo_domain::audit::{Object, Outcome};
use plixo_domain::ledger::{BrowserHash, Invoice, Opened, PortalLink, open_link};
use plixo_envelope::KeyService;
use plixo_lambda::hash::sha256;
use plixo_lambda::http::Response;
use plixo_links::{Claims, Purpose};
use plixo_pages::{GoneWhy, PortalDoor};
use plixo_portal::Trouble;
use plixo_store::{Tables, pause};
use plixo_stripe::Checkout;

use crate::visit::{Failed, Named, SESSION_ATTRIBUTES, SESSION_COOKIE, Visit, gone, seller, why};

/// The cookie of what only this browser was told.
const BROWSER_COOKIE: &str = "__Host-plixo-browser";
/// It lasts as long as it takes to press a button.
const BROWSER_ATTRIBUTES: &str = "Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=3600";
/// How often opening is done anew because somebody else changed the link meanwhile.
const TRIES: u32 = 8;

impl<T: Tables, K: KeyService, V: ReadSecret, C: Checkout, M: SendEmail> Visit<'_, T, K, V, C, M> {
    /// `GET` and `HEAD`: a page with one button. Mail scanners look at it before people do.
    pub(crate) async fn door(&mut self) -> Result<Response, Failed> {
        let Named { claims, is_over } = self.link().await?;
        let book = self.read(&claims).await?;
        let seller = seller(&book)?.ok_or(Failed::NotFound)?;
        let (link, invoice) = (book.get::<PortalLink>(&claims.link)?, book.get::<Invoice>(&claims.invoice)?);
        let Some((link, invoice)) = link.zip(invoice).filter(|(link, _)| link.invoice == claims.invoice)
        else {
            // Its time is over, or it was deleted long after.
            return Err(gone(GoneWhy::Expired, Some(seller), None));
        };
        let known = self.browser();
        if let Err(state) = link.opens(invoice, &known.unwrap_or_default(), self.now) {
            return if self.is_inside(&claims).await? {
                Ok(Response::redirect(303, "/p/session".to_owned()))
            } else {
                Err(gone(why(state, &book, &claims)?, Some(seller), self.ask()))
            };
        }
        if is_over {
            return Err(gone(GoneWhy::Expired, Some(seller), self.ask()));
        }
        let action = format!("/p/{}", self.request.path("token").unwrap_or_default());
        let door = PortalDoor { language: self.language, seller, action };
        let page = self.page(200, door.render());
        if known.is_some() {
            return Ok(page);
        }
        let told = hex::encode(self.drawn()?);
        Ok(page.with_cookie(format!("{BROWSER_COOKIE}={told}; {BROWSER_ATTRIBUTES}")))
    }

    /// `POST`: of any number at once, one uses the link, and has a session.
    pub(crate) async fn open(&mut self) -> Result<Response, Failed> {
        let Named { claims, is_over } = self.link().await?;
        self.refuse_foreign()?;
        // One that was told nothing cannot say so again.
        let browser = self.browser().map_or_else(|| self.drawn(), Ok)?;
        let object = Object::new("portal_link", claims.link);
        for tried in 0..TRIES {
            let mut book = self.read(&claims).await?;
            let seller = seller(&book)?.ok_or(Failed::NotFound)?;
            let opened = open_link(&mut book, (&claims.link, &claims.invoice), browser, self.now)?;
            let is_use = book.changes().next().is_some();
            let (outcome, fields): (_, &[&str]) = match opened {
                Some(Opened::Until(_)) if !is_over => {
                    (Outcome::Allowed, if is_use { &["opened"] } else { &[] })
                }
                _ => (Outcome::Denied, &[]),
            };
            let kept = if outcome == Outcome::Allowed { book.clone() } else { Default::default() };
            let deeds = [("portal_link.open", object.clone(), outcome, fields)];
            if !self.commit(&claims, &kept, &deeds).await? {
                tokio::time::sleep(pause(tried, self.drawn()?)).await;
                continue;
            }
            return match opened {
                Some(Opened::Until(until)) if !is_over => {
                    let session = Claims { purpose: Purpose::Session, expires_at: until, ..claims };
                    let token = self.portal.keys.get(self.now).await?.sign(&session, self.now);
                    let token =
                        token.ok_or_else(|| Trouble::Internal("a session beyond all times".to_owned()))?;
                    let cookie = format!("{SESSION_COOKIE}={}; {SESSION_ATTRIBUTES}", token.reveal());
                    Ok(Response::redirect(303, "/p/session".to_owned()).with_cookie(cookie))
                }
                Some(Opened::Until(_)) => Err(gone(GoneWhy::Expired, Some(seller), self.ask())),
                Some(Opened::Not(_)) if self.is_inside(&claims).await? => {
                    Ok(Response::redirect(303, "/p/session".to_owned()))
                }
                Some(Opened::Not(state)) => Err(gone(why(state, &book, &claims)?, Some(seller), self.ask())),
                None => Err(gone(GoneWhy::Expired, Some(seller), None)),
            };
        }
        Err(Trouble::Unavailable(format!("others changed the link {TRIES} times")).into())
    }

    /// Whether this browser has a session of that very link.
    async fn is_inside(&self, claims: &Claims) -> Result<bool, Failed> {
        let cookie = self.request.cookie(SESSION_COOKIE).unwrap_or_default();
        let keyring = self.portal.keys.get(self.now).await?;
        let session = keyring.verify(cookie, Purpose::Session, self.now);
        let own = session.is_ok_and(|own| own.link == claims.link && own.org == claims.org);
        Ok(own && self.inside(claims, false).await.is_ok())
    }

    /// Where to ask for a fresh link in the place of this one.
    fn ask(&self) -> Option<String> {
        self.request.path("token").map(|token| format!("/p/{token}/fresh-link"))
    }

    /// The hash of what only this browser was told.
    fn browser(&self) -> Option<BrowserHash> {
        let told = self.request.cookie(BROWSER_COOKIE).filter(|told| told.len() == 64)?;
        Some(sha256(told.as_bytes()))
    }
}
