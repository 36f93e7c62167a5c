//! Email. Errors hold the code of an answer and never its text: that may name who was written to.

use aws_config::SdkConfig;
use aws_sdk_sesv2::Client;
use aws_sdk_sesv2::error::BuildError;
use aws_sdk_sesv2::types::{Body, Content, Destination, EmailContent, Message};

use crate::{AwsError, from_sdk_by_code};

const SERVICE: &str = "SES";

/// An email to one address. It may hold a secret, so it shows nothing of itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Email {
    /// To whom.
    pub to: String,
    /// One line.
    pub subject: String,
    /// Plain text.
    pub text: String,
}

impl std::fmt::Debug for Email {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Email(…)")
    }
}

/// Why an email was not taken.
#[derive(Debug, Clone, thiserror::Error)]
pub enum MailError {
    /// Not this email: to this address, or of this content. Sending it again will not help.
    #[error("SES refuses the email: {0}")]
    Rejected(String),
    /// It is ours or AWS's fault, and nobody knows whether it was taken.
    #[error(transparent)]
    Aws(#[from] AwsError),
}

/// The port to those who carry email.
pub trait SendEmail: Send + Sync {
    /// Hands one email over. That it arrives, nobody can say.
    ///
    /// # Errors
    /// [`MailError`].
    fn send_email(&self, email: &Email) -> impl Future<Output = Result<(), MailError>> + Send;
}

/// SES, for one sender.
#[derive(Debug, Clone)]
pub struct Mailer {
    client: Client,
    sender: String,
}

impl Mailer {
    /// Mail from that address, which is a verified identity of the account.
    #[must_use]
    pub fn new(config: &SdkConfig, sender: String) -> Self {
        let config = aws_sdk_sesv2::config::Builder::from(config).interceptor(crate::calls::Calls).build();
        Self { client: Client::from_conf(config), sender }
    }
}

fn message(email: &Email) -> Result<Message, BuildError> {
    let content = |text: &str| Content::builder().data(text).charset("UTF-8").build();
    let body = Body::builder().text(content(&email.text)?).build();
    Ok(Message::builder().subject(content(&email.subject)?).body(body).build())
}

impl SendEmail for Mailer {
    async fn send_email(&self, email: &Email) -> Result<(), MailError> {
        let message = message(email)
            .map_err(|error| AwsError::Refused { service: SERVICE, cause: error.to_string() })?;
        let asked = self
            .client
            .send_email()
            .from_email_address(&self.sender)
            .destination(Destination::builder().to_addresses(&email.to).build())
            .content(EmailContent::builder().simple(message).build());
        asked.send().await.map(drop).map_err(|error| {
            let rejected = error.as_service_error().and_then(|error| error.meta().code());
            match rejected {
                // `MessageRejected` is about our sender, or about an account that is still in SES's sandbox.
                Some(code @ "BadRequestException") => MailError::Rejected(code.to_owned()),
                _ => MailError::Aws(from_sdk_by_code(SERVICE, error)),
            }
        })
    }
}
