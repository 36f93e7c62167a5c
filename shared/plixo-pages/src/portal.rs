//! What payers see: the page behind a portal link and what stands around it. They have their own small stylesheet, and read in
//! their own language.

mod email;
mod language;
mod words;

use askama::Template;
use jiff::civil::Date;
use plixo_domain::id::LinkId;
use plixo_domain::money::Money;

pub use self::email::{PortalEmail, PortalEmailKind};
pub use self::language::Language;
pub(crate) use self::words::stop;
use self::words::{Told, Words};
use crate::chart;
use crate::page::pages;
use crate::show::Tone;

/// Who asks to be paid.
#[derive(Debug, Clone)]
pub struct Seller {
    /// Its name.
    pub name: String,
    /// The path of its logo's image. Without one, the first letters of its name are drawn.
    pub logo: Option<String>,
}

impl Seller {
    /// The first letters of the first two words that have some.
    fn monogram(&self) -> String {
        let mut letters = String::new();
        for word in self.name.split_whitespace() {
            let first = word.chars().find(|letter| letter.is_alphanumeric());
            letters.extend(first.into_iter().flat_map(char::to_uppercase).take(1));
            if letters.chars().count() == 2 {
                break;
            }
        }
        if letters.is_empty() { "•".to_owned() } else { letters }
    }
}

/// `GET /p/{token}`, before the link is used: one button. Its form has no fields.
#[derive(Clone, Template)]
#[template(path = "portal/door.html")]
pub struct PortalDoor {
    /// The language.
    pub language: Language,
    /// Who asks to be paid.
    pub seller: Seller,
    /// Where the form posts to.
    pub action: String,
}

/// `GET /p/session`: the invoice. Pays by `POST /p/session/checkout?of={link}`, without fields.
#[derive(Clone, Template)]
#[template(path = "portal/invoice.html")]
pub struct PortalInvoice {
    /// The language.
    pub language: Language,
    /// Who asks to be paid.
    pub seller: Seller,
    /// The invoice's number.
    pub number: String,
    /// Its lines.
    pub lines: Vec<PortalLine>,
    /// The note to the payer.
    pub memo: Option<String>,
    /// What it comes to, with tax.
    pub total: Money,
    /// What of it is paid.
    pub paid: Money,
    /// What is left to pay.
    pub open: Money,
    /// When it is to be paid.
    pub due_on: Option<Date>,
    /// Today, which says how long that is.
    pub today: Date,
    /// How it stands.
    pub standing: PortalStanding,
    /// What became of the last try to pay.
    pub note: Option<PortalNote>,
    /// The link that opened it, which its form names: a browser may have opened another one since.
    pub link: LinkId,
}

/// A line of an invoice.
pub type PortalLine = crate::invoices::InvoiceLine;

/// How an invoice stands, as far as its payer is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortalStanding {
    /// It can be paid here.
    Payable,
    /// It is owed, but cannot be paid here: it is to be paid as the seller's invoice says.
    NotOnline,
    /// It was paid this moment, which is not confirmed yet. There is a link to look again, `/p/session?paid`, and no button to pay.
    Confirming,
    /// A bank debit is on its way, which takes days.
    Processing,
    /// It is paid.
    Paid,
    /// It is void: there is nothing to pay.
    Withdrawn,
}

impl PortalStanding {
    fn is_owed(self) -> bool {
        matches!(self, Self::Payable | Self::NotOnline)
    }
}

/// What became of the last try to pay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortalNote {
    /// The payer came back without paying. Nothing was charged.
    Cancelled,
    /// It failed.
    Failed,
    /// Stripe could not be reached. Nothing was charged.
    TryAgain,
    /// Stripe could not be asked how an earlier try stands: who has paid is not to pay again.
    Unsure,
    /// The page that the payer came from was of another link, which this browser has no session of any more.
    Other,
}

/// The longest amount that two columns of have room beside the others: `−EUR 1,234,567.89`.
const LONGEST_AMOUNT: usize = 17;

/// The longest amount that a small phone has room for in large letters: `EUR 123,456.78`.
const LONGEST_LARGE: usize = 14;

/// A message with its mark.
struct Said {
    text: &'static str,
    shape: &'static str,
    tone: Tone,
}

struct Due {
    text: String,
    shape: &'static str,
    tone: Tone,
}

impl PortalInvoice {
    fn said(&self) -> Option<Said> {
        let words = &self.words().invoice;
        Some(match self.note? {
            PortalNote::Cancelled => Said { text: words.cancelled, shape: "back", tone: Tone::Info },
            PortalNote::Failed => Said { text: words.failed, shape: "alert", tone: Tone::Bad },
            PortalNote::TryAgain => Said { text: words.try_again, shape: "alert", tone: Tone::Warn },
            PortalNote::Unsure => Said { text: words.unsure, shape: "alert", tone: Tone::Warn },
            PortalNote::Other => Said { text: words.other, shape: "alert", tone: Tone::Warn },
        })
    }

    /// When it is to be paid, where it still is.
    fn due(&self) -> Option<Due> {
        let due_on = self.due_on.filter(|_| self.standing.is_owed())?;
        let text = self.words().due(due_on, self.today);
        let is_overdue = due_on < self.today;
        let (shape, tone) = if is_overdue { ("alert", Tone::Bad) } else { ("ring", Tone::Info) };
        Some(Due { text, shape, tone })
    }

    /// How much of a bar is paid, where a part is.
    fn progress(&self) -> Option<String> {
        let is_part =
            self.paid.amount > 0 && self.open.amount > 0 && self.standing != PortalStanding::Withdrawn;
        is_part.then(|| chart::part(self.paid.amount, self.total.amount)).flatten()
    }

    fn is_long(&self) -> bool {
        self.words().money(&self.open).chars().count() > LONGEST_LARGE
    }

    fn has_tax(&self) -> bool {
        self.lines.iter().any(|line| line.tax_percent.is_some())
    }

    /// Whether its amounts are short enough for columns on a wide screen: those of rupiahs seldom are.
    fn has_columns(&self) -> bool {
        let amounts = self.lines.iter().flat_map(|line| [&line.unit_price, &line.total]);
        amounts
            .map(|amount| self.words().money(amount).chars().count())
            .all(|length| length <= LONGEST_AMOUNT)
    }

    /// What the prices and the totals are called: where there is tax, prices are without it and totals with it.
    fn names(&self) -> (&'static str, &'static str) {
        let words = &self.words().invoice;
        if self.has_tax() {
            (words.price_before_tax, words.total_with_tax)
        } else {
            (words.price, words.total)
        }
    }
}

/// 410: a link that opens nothing any more, or a visit whose time is over.
#[derive(Clone, Template)]
#[template(path = "portal/gone.html")]
pub struct PortalGone {
    /// The language.
    pub language: Language,
    /// Who asks to be paid, where that is known.
    pub seller: Option<Seller>,
    /// Why.
    pub why: GoneWhy,
    /// Where the form for a fresh link posts to; it has no fields. `None` where none is to be had.
    pub ask: Option<String>,
}

/// Why a link opens nothing any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GoneWhy {
    /// It has opened its invoice.
    Used,
    /// Its time is over.
    Expired,
    /// Somebody took it back, or replaced it.
    Revoked,
    /// The invoice is paid or withdrawn. The email that can be asked for says so.
    Settled,
    /// This browser has opened none.
    NoSession,
    /// The 30 minutes after it was opened are over.
    SessionOver,
}

impl PortalGone {
    fn told(&self) -> &'static Told {
        let words = &self.words().gone;
        match self.why {
            GoneWhy::Used => &words.used,
            GoneWhy::Expired => &words.expired,
            GoneWhy::Revoked => &words.revoked,
            GoneWhy::Settled => &words.settled,
            GoneWhy::NoSession => &words.no_session,
            GoneWhy::SessionOver => &words.session_over,
        }
    }

    fn offer(&self) -> Told {
        let words = &self.words().gone;
        match self.why {
            GoneWhy::Settled => (words.settled_offer, words.settled_send),
            _ => (words.offer, words.send),
        }
    }
}

/// After a fresh link was asked for: the same, whatever came of it.
#[derive(Clone, Template)]
#[template(path = "portal/asked.html")]
pub struct PortalAsked {
    /// The language.
    pub language: Language,
    /// Who asks to be paid, where that is known.
    pub seller: Option<Seller>,
}

/// What went wrong.
#[derive(Clone, Template)]
#[template(path = "portal/problem.html")]
pub struct PortalProblem {
    /// The language.
    pub language: Language,
    /// What it is.
    pub kind: PortalProblemKind,
    /// The request's id, for the operator.
    pub request_id: String,
}

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortalProblemKind {
    /// 404: tells nothing of whether anything is there.
    NotFound,
    /// 400: the request could not be read.
    BadRequest,
    /// 429: too many tries.
    TooManyTries,
    /// 500: our mistake.
    Internal,
    /// 503: AWS did not do its part, or maintenance.
    Unavailable,
}

impl PortalProblemKind {
    /// The status to answer with.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::NotFound => 404,
            Self::BadRequest => 400,
            Self::TooManyTries => 429,
            Self::Internal => 500,
            Self::Unavailable => 503,
        }
    }
}

impl PortalProblem {
    fn told(&self) -> &'static Told {
        let words = &self.words().problem;
        match self.kind {
            PortalProblemKind::NotFound => &words.not_found,
            PortalProblemKind::BadRequest => &words.bad_request,
            PortalProblemKind::TooManyTries => &words.too_many_tries,
            PortalProblemKind::Internal => &words.internal,
            PortalProblemKind::Unavailable => &words.unavailable,
        }
    }
}

/// Gives payers' pages what the frame around them asks for.
macro_rules! framed {
    ($($page:ident: |$self:ident| $seller:expr),* $(,)?) => {$(
        impl $page {
            fn words(&self) -> &'static Words {
                self.language.words()
            }

            fn shown_seller(&self) -> Option<&Seller> {
                let $self = self;
                $seller
            }
        }
    )*};
}

framed!(
    PortalDoor: |page| Some(&page.seller),
    PortalInvoice: |page| Some(&page.seller),
    PortalGone: |page| page.seller.as_ref(),
    PortalAsked: |page| page.seller.as_ref(),
    PortalProblem: |_page| None,
);

pages!(PortalDoor, PortalInvoice, PortalGone, PortalAsked, PortalProblem);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_monogram_has_the_first_letters_of_two_words() {
        let of = |name: &str| Seller { name: name.to_owned(), logo: None }.monogram();
        assert_eq!(of("Nordwind Instruments GmbH"), "NI");
        assert_eq!(of("  öko  "), "Ö");
        assert_eq!(of("& Söhne (Zürich)"), "SZ");
        assert_eq!(of("ßig 7"), "S7");
        assert_eq!(of("株式会社"), "株");
        assert_eq!(of("<>"), "•");
        assert_eq!(of(""), "•");
    }
}
