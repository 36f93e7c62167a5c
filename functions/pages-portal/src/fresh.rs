//! A fresh link, in the place of one that opens nothing any more: by email to the customer's own address, which is shown nowhere.

use plixo_aws::secrets::ReadSecret;
use plixo_aws::ses::SendEmail;
use plixo_domain::audit::{Object, Outcome};
use plixo_domain::id::{LinkId, from_bytes};
use plixo_domain::ledger::{
    Asked, Asking, Book, Customer, Invoice, Kept, Organisation, PortalLink, USUAL_LINK, ask_for_fresh_link,
    make_link, note_emailed, revoke_link,
};
use plixo_envelope::KeyService;
use plixo_lambda::http::Response;
use plixo_links::Claims;
use plixo_pages::PortalAsked;
use plixo_portal::Trouble;
use plixo_portal::letters::Letter;
use plixo_store::{Tables, pause};
use plixo_stripe::Checkout;

use crate::visit::{Failed, Named, Visit, payer, seller};

const TRIES: u32 = 8;

impl<T: Tables, K: KeyService, V: ReadSecret, C: Checkout, M: SendEmail> Visit<'_, T, K, V, C, M> {
    /// Answers the same whether or not there is an address.
    pub(crate) async fn fresh_link(&mut self) -> Result<Response, Failed> {
        self.refuse_foreign()?;
        let is_of_session = self.request.path("token").is_none();
        let Named { claims, .. } = if is_of_session { self.session().await? } else { self.link().await? };
        let drawn = self.drawn()?;
        let fresh: LinkId = from_bytes(drawn.first_chunk::<16>().copied().unwrap_or_default());
        for tried in 0..TRIES {
            let mut book = self.read(&claims).await?;
            let before = book.get::<Invoice>(&claims.invoice)?.and_then(|invoice| invoice.asked);
            let Some(seller) = seller(&book)? else { return Err(Failed::NotFound) };
            match ask_for_fresh_link(&mut book, (&claims.link, &claims.invoice), self.now)? {
                None => return Err(Failed::NotFound),
                Some(Asking::TooOften) => {
                    let object = Object::new("portal_link", claims.link);
                    let denied = ("portal_link.ask", object, Outcome::Denied, &[][..]);
                    self.commit(&claims, &Book::default(), &[denied]).await?;
                    self.line.outcome = "too_often";
                    let (language, seller) = (self.language, Some(seller));
                    let page = self.page(429, PortalAsked { language, seller }.render());
                    return Ok(page.with("retry-after", "600".to_owned()));
                }
                Some(Asking::Opens) => return Ok(self.back()),
                Some(Asking::Granted) => {}
            }
            let is_owed = book.get::<Invoice>(&claims.invoice)?.is_some_and(Invoice::takes_payment);
            let asked = (
                "portal_link.ask",
                Object::new("portal_link", claims.link),
                Outcome::Allowed,
                &["asked"][..],
            );
            let mut deeds = vec![asked];
            if is_owed {
                let made =
                    make_link(&mut book, (fresh, claims.invoice), USUAL_LINK, &payer(&claims), self.now);
                made.map_err(|_| Trouble::Internal("no link can be made of what is owed".to_owned()))?;
                let fields = &["invoice_id", "expires_at"][..];
                deeds.push((
                    "portal_link.create",
                    Object::new("portal_link", fresh),
                    Outcome::Allowed,
                    fields,
                ));
            }
            if !self.commit(&claims, &book, &deeds).await? {
                tokio::time::sleep(pause(tried, self.drawn()?)).await;
                continue;
            }
            let (book, fresh) = (book.committed(), is_owed.then_some(fresh));
            if let Err(failed) = self.post(&claims, book.clone(), fresh).await {
                // So that it may be asked for again at once. Where this fails too, it may in ten minutes.
                let _ = self.take_back(&claims, book, before, fresh).await;
                return Err(failed);
            }
            let (language, seller) = (self.language, Some(seller));
            return Ok(self.page(200, PortalAsked { language, seller }.render()));
        }
        Err(Trouble::Unavailable(format!("others changed the link {TRIES} times")).into())
    }

    /// Sends the customer the fresh link, or that nothing is left to pay.
    async fn post(&self, claims: &Claims, mut book: Book, fresh: Option<LinkId>) -> Result<(), Failed> {
        let (org, now) = (&claims.org, self.now);
        let Some((seller, invoice)) =
            book.get::<Organisation>(&())?.zip(book.get::<Invoice>(&claims.invoice)?)
        else {
            return Ok(());
        };
        let rows = self.portal.store.read(org, vec![Customer::key(&invoice.customer_id)]).await?;
        let customer = rows.iter().find_map(|(_, stored)| stored.as_ref());
        let Some(customer) = customer.and_then(|(row, _)| Customer::of(row)) else { return Ok(()) };
        let personal = self.portal.store.open_personal(org, customer, now).await?;
        let Some(to) = personal.email else { return Ok(()) };
        let link = match fresh {
            Some(id) => book.get::<PortalLink>(&id)?,
            None => None,
        };
        let base_url = self.request.base_url(self.portal.place.base_url.as_deref());
        let url = match link {
            Some(link) => Some(self.portal.keys.url(&base_url, org, link, now).await?),
            None => None,
        };
        // In the language of whoever asks: most likely the customer.
        let letter = Letter { seller, invoice, language: self.language, link: link.zip(url.as_ref()) };
        let sent = letter.send(&self.portal.mail, &to).await?;
        if let Some(id) = fresh.filter(|_| sent) {
            note_emailed(&mut book, &id, now)?;
            let deed =
                ("portal_link.email", Object::new("portal_link", id), Outcome::Allowed, &["emailed_at"][..]);
            // It is sent, noted or not.
            let _ = self.commit(claims, &book, &[deed]).await;
        }
        Ok(())
    }

    /// As if nobody had asked: the fresh link opens nothing.
    async fn take_back(
        &self,
        claims: &Claims,
        mut book: Book,
        before: Option<Asked>,
        fresh: Option<LinkId>,
    ) -> Result<(), Failed> {
        if let Some(invoice) = book.get::<Invoice>(&claims.invoice)?.cloned() {
            book.put(Invoice { asked: before, ..invoice })?;
        }
        if let Some(fresh) = fresh {
            revoke_link(&mut book, &fresh, self.now).map_err(|_| Failed::NotFound)?;
        }
        let object = Object::new("portal_link", claims.link);
        self.commit(claims, &book, &[("portal_link.ask", object, Outcome::Failed, &["asked"])])
            .await
            .map(drop)
    }
}
