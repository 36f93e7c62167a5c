//! Portal links: what opens one invoice to its payer, once and for a time.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::staff::{Changed, StaffError, Stopped};
use super::{Book, Invoice, Unread};
use crate::audit::Actor;
use crate::id::{InvoiceId, LinkId};

/// The shortest that a link is good for.
pub const SHORTEST_LINK: SignedDuration = SignedDuration::from_mins(5);
/// How long a link is good for where nobody says how long.
pub const USUAL_LINK: SignedDuration = SignedDuration::from_hours(7 * 24);
/// The longest that a link is good for.
pub const LONGEST_LINK: SignedDuration = SignedDuration::from_hours(30 * 24);
/// How long a payer may look at the invoice and pay it, once the link was opened.
pub const SESSION: SignedDuration = SignedDuration::from_mins(30);
/// How long the browser that opened a link may open it again: it perhaps did not hear that it had.
pub const AGAIN: SignedDuration = SignedDuration::from_secs(60);
/// How long one waits before asking for a fresh link once more.
const BETWEEN_ASKING: SignedDuration = SignedDuration::from_mins(10);
/// How often one may ask for a fresh link to one invoice within a day.
const MOST_ASKED: u8 = 5;
/// After how long without it that begins anew.
const ASKING_FORGOTTEN: SignedDuration = SignedDuration::from_hours(24);

/// A portal link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortalLink {
    /// Its id.
    pub id: LinkId,
    /// The one invoice that it opens.
    pub invoice: InvoiceId,
    /// Who made it.
    pub made_by: Actor,
    /// When it was made.
    pub made_at: Timestamp,
    /// From then on it opens nothing.
    pub expires_at: Timestamp,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
    /// When it was heard that nothing was left to pay. A refund opens no link again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_at: Option<Timestamp>,
    /// That it was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opened: Option<Opening>,
    /// When the customer was sent it by email.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emailed_at: Option<Timestamp>,
}

/// That somebody who had a link to an invoice asked for a fresh one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// When, the last time.
    pub at: Timestamp,
    /// How often.
    pub times: u8,
}

/// That a link was used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// When.
    pub at: Timestamp,
    /// By which browser: a hash of what only that browser was told.
    pub browser: BrowserHash,
}

/// A hash of what only one browser was told.
pub type BrowserHash = [u8; 32];

/// How a link stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkState {
    /// It opens its invoice.
    Issued,
    /// It has opened it.
    Consumed,
    /// Its time is over.
    Expired,
    /// Somebody took it back.
    Revoked,
    /// Nothing is left to pay, or the invoice was withdrawn.
    Settled,
}

impl PortalLink {
    /// How it stands. Whether there is something left to pay is the invoice's to say, so that whatever settles it closes all of
    /// its links in that moment.
    #[must_use]
    pub fn state(&self, invoice: &Invoice, now: Timestamp) -> LinkState {
        if self.revoked_at.is_some() {
            LinkState::Revoked
        } else if self.settled_at.is_some() || !invoice.takes_payment() {
            LinkState::Settled
        } else if self.opened.is_some() {
            LinkState::Consumed
        } else if self.expires_at <= now {
            LinkState::Expired
        } else {
            LinkState::Issued
        }
    }

    /// Whether it opens its invoice, or does so once more: to the browser that opened it, which perhaps did not hear that it had.
    ///
    /// # Errors
    /// How it stands, where it opens nothing.
    pub fn opens(&self, invoice: &Invoice, browser: &BrowserHash, now: Timestamp) -> Result<(), LinkState> {
        let again = |opened: &Opening| opened.browser == *browser && now < later(opened.at, AGAIN);
        match self.state(invoice, now) {
            LinkState::Issued => Ok(()),
            LinkState::Consumed if self.opened.as_ref().is_some_and(again) => Ok(()),
            state => Err(state),
        }
    }

    /// Until when whoever opened it may look at the invoice, settled or not: they may want to see that it is. Nobody may where the
    /// link was taken back.
    #[must_use]
    pub fn session_until(&self) -> Option<Timestamp> {
        let opened = self.opened.as_ref().filter(|_| self.revoked_at.is_none())?;
        Some(later(opened.at, SESSION))
    }
}

fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.saturating_add(by).unwrap_or(Timestamp::MAX)
}

/// What using a link came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opened {
    /// A session until then. The same browser may hear it again.
    Until(Timestamp),
    /// No session: the link stands so.
    Not(LinkState),
}

/// Makes a link of that id, which has to be random. The invoice must have something left to pay.
///
/// # Errors
/// [`Stopped::Unread`], [`StaffError::Missing`], [`StaffError::WrongStatus`].
pub fn make_link(
    book: &mut Book,
    (id, invoice): (LinkId, InvoiceId),
    lives: SignedDuration,
    by: &Actor,
    now: Timestamp,
) -> Result<Changed<LinkId>, Stopped> {
    let owed = book.get::<Invoice>(&invoice)?.ok_or(StaffError::Missing("invoice"))?;
    if !owed.takes_payment() {
        return Err(StaffError::WrongStatus(owed.status()).into());
    }
    let until = later(now, lives.clamp(SHORTEST_LINK, LONGEST_LINK));
    // Tokens tell whole seconds.
    let expires_at = Timestamp::from_second(until.as_second()).unwrap_or(until);
    let made_by = by.clone();
    book.put_new(PortalLink {
        id,
        invoice,
        made_by,
        made_at: now,
        expires_at,
        revoked_at: None,
        settled_at: None,
        opened: None,
        emailed_at: None,
    });
    Ok(Changed { id, fields: vec!["invoice_id", "expires_at"] })
}

/// Takes a link back, and ends the session that it opened. One that was taken back before stays as it is.
///
/// # Errors
/// [`Stopped::Unread`], [`StaffError::Missing`].
pub fn revoke_link(book: &mut Book, id: &LinkId, now: Timestamp) -> Result<Changed<LinkId>, Stopped> {
    let link = book.get::<PortalLink>(id)?.ok_or(StaffError::Missing("portal_link"))?;
    if link.revoked_at.is_some() {
        return Ok(Changed { id: *id, fields: Vec::new() });
    }
    let revoked = PortalLink { revoked_at: Some(now), ..link.clone() };
    book.put(revoked)?;
    Ok(Changed { id: *id, fields: vec!["revoked_at"] })
}

/// Notes that a link's invoice has nothing left to pay. True where that was not noted before, and the link not taken back.
///
/// # Errors
/// [`Unread`].
pub fn settle_link(book: &mut Book, id: &LinkId, now: Timestamp) -> Result<bool, Unread> {
    let link = book.get::<PortalLink>(id)?.filter(|it| it.settled_at.is_none() && it.revoked_at.is_none());
    let Some(link) = link.cloned() else { return Ok(false) };
    book.put(PortalLink { settled_at: Some(now), ..link })?;
    Ok(true)
}

/// Notes that the customer was sent a link.
///
/// # Errors
/// [`Unread`].
pub fn note_emailed(book: &mut Book, id: &LinkId, now: Timestamp) -> Result<(), Unread> {
    match book.get::<PortalLink>(id)?.cloned() {
        Some(link) => book.put(PortalLink { emailed_at: Some(now), ..link }),
        None => Ok(()),
    }
}

/// What asking for a fresh link came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asking {
    /// It may be sent.
    Granted,
    /// That was asked a moment ago, or too often.
    TooOften,
    /// The link opens its invoice still.
    Opens,
}

/// Asks for a fresh link in the place of one that opens nothing any more. `None` where there is no such link of that invoice.
///
/// # Errors
/// [`Unread`].
pub fn ask_for_fresh_link(
    book: &mut Book,
    (id, invoice): (&LinkId, &InvoiceId),
    now: Timestamp,
) -> Result<Option<Asking>, Unread> {
    let link = book.get::<PortalLink>(id)?.filter(|link| link.invoice == *invoice).cloned();
    let Some((link, owed)) = link.zip(book.get::<Invoice>(invoice)?) else { return Ok(None) };
    if link.state(owed, now) == LinkState::Issued {
        return Ok(Some(Asking::Opens));
    }
    let owed = owed.clone();
    let before = owed.asked.filter(|asked| now < later(asked.at, ASKING_FORGOTTEN));
    let is_too_much = |asked: Asked| asked.times >= MOST_ASKED || now < later(asked.at, BETWEEN_ASKING);
    if before.is_some_and(is_too_much) {
        return Ok(Some(Asking::TooOften));
    }
    let times = before.map_or(0, |asked| asked.times).saturating_add(1);
    book.put(Invoice { asked: Some(Asked { at: now, times }), ..owed })?;
    Ok(Some(Asking::Granted))
}

/// Uses a link that was read with its invoice. Of any number of tries at once, one is committed; the others read again, and find
/// it used. `None` where there is no such link of that invoice.
///
/// # Errors
/// [`Unread`].
pub fn open_link(
    book: &mut Book,
    (id, invoice): (&LinkId, &InvoiceId),
    browser: BrowserHash,
    now: Timestamp,
) -> Result<Option<Opened>, Unread> {
    let link = book.get::<PortalLink>(id)?.filter(|link| link.invoice == *invoice).cloned();
    let Some((link, owed)) = link.zip(book.get::<Invoice>(invoice)?) else { return Ok(None) };
    Ok(Some(match (link.opens(owed, &browser, now), link.session_until()) {
        (Ok(()), Some(until)) => Opened::Until(until),
        (Ok(()), None) => {
            let opened = PortalLink { opened: Some(Opening { at: now, browser }), ..link };
            book.put(opened)?;
            Opened::Until(later(now, SESSION))
        }
        (Err(state), _) => Opened::Not(state),
    }))
}

#[cfg(test)]
mod tests;
