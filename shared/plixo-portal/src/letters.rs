//! The emails that take a link to its payer.

use plixo_aws::ses::{Email, MailError, SendEmail};
use plixo_domain::ledger::{Invoice, Organisation, PortalLink};
use plixo_domain::secret::Secret;
use plixo_pages::{Language, PortalEmail, PortalEmailKind};

use crate::Trouble;

/// What an email is about.
#[derive(Debug)]
pub struct Letter<'a> {
    /// Who asks to be paid.
    pub seller: &'a Organisation,
    /// What is to be paid.
    pub invoice: &'a Invoice,
    /// In which language.
    pub language: Language,
    /// The link, and where it opens; without one, the email says that nothing is left to pay.
    pub link: Option<(&'a PortalLink, &'a Secret)>,
}

impl Letter<'_> {
    /// Hands the email over. False where its address, or the email, will never be taken.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn send(&self, mail: &impl SendEmail, to: &str) -> Result<bool, Trouble> {
        match mail.send_email(&self.email(to)).await {
            Ok(()) => Ok(true),
            Err(MailError::Rejected(_)) => Ok(false),
            Err(MailError::Aws(error)) => Err(error.into()),
        }
    }

    fn email(&self, to: &str) -> Email {
        let kind = match &self.link {
            Some((link, url)) => PortalEmailKind::Link { url: url.reveal(), expires_at: link.expires_at },
            None => PortalEmailKind::Settled,
        };
        let Self { seller, invoice, language, .. } = self;
        let (seller, number) = (seller.name.as_str(), invoice.number.as_str());
        let (open, due_on) = (invoice.balance(), invoice.due_on);
        let email = PortalEmail { language: *language, seller, number, open, due_on, kind };
        Email { to: to.to_owned(), subject: email.subject(), text: email.text() }
    }
}
