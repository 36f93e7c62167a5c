//! How people are invited: a user in the directory, and an email.

use aws_lc_rs::hmac;
use plixo_aws::cognito::{Directory, DirectoryError, Register};
use plixo_aws::ses::{Email as Letter, MailError, SendEmail};
use plixo_domain::people::{Email, Role, UserId};
use plixo_domain::secret::Secret;
use plixo_lambda::http::Request;
use plixo_staff::Refusal;
use plixo_store::StoreError;

/// Bytes of a temporary password: nobody guesses 128 bits.
const TEMPORARY: usize = 16;

/// Invites people.
#[derive(Debug)]
pub(crate) struct Invitations<D, M> {
    directory: D,
    mail: M,
    base_url: Option<String>,
    key: hmac::Key,
}

/// Somebody who is invited.
#[derive(Debug)]
pub(crate) struct Guest {
    /// The person.
    pub(crate) user: UserId,
    /// With what they sign in the first time, if they never did.
    temporary: Option<Secret>,
}

impl<D: Directory + Register, M: SendEmail> Invitations<D, M> {
    pub(crate) fn new((directory, mail): (D, M), base_url: Option<String>, key: hmac::Key) -> Self {
        Self { directory, mail, base_url, key }
    }

    /// The person of that email, who is made unless there is one. A password of their own stays; a temporary one, which nobody
    /// has used yet, stays the same and is good for its full time again. For the inviter all of this looks alike. `field` is
    /// where the request has the email.
    pub(crate) async fn guest(&self, email: &Email, field: &str) -> Result<Guest, Refusal> {
        let name = email.name();
        let temporary = self.temporary(&name);
        let made = match self.directory.invite(&name, &temporary).await {
            Ok(user) => Some(user),
            Err(DirectoryError::Exists) => None,
            Err(error) => return Err(refusal(error)),
        };
        // Also of one who was just made: it takes as long as for one who was there.
        let found = self.directory.find(&name).await.map_err(refusal)?;
        match (made, found) {
            (Some(user), _) => Ok(Guest { user, temporary: Some(temporary) }),
            // An operator has shut them out.
            (None, Some(person)) if !person.enabled => Err(refused(field)),
            (None, Some(person)) if person.waits => {
                self.directory.invite_again(&name, &temporary).await.map_err(refusal)?;
                Ok(Guest { user: person.user, temporary: Some(temporary) })
            }
            (None, Some(person)) => Ok(Guest { user: person.user, temporary: None }),
            (None, None) => {
                Err(Refusal::Unavailable("a person whom the directory has and has not".to_owned()))
            }
        }
    }

    /// Always the same for the same person, so that it is not lost whatever fails between the directory and the email, and
    /// so that an invitation to another organisation voids no earlier one. Nobody can make it without the stack's key.
    fn temporary(&self, name: &str) -> Secret {
        let tag = hmac::sign(&self.key, format!("temporary password of {name}").as_bytes());
        let bytes: Vec<u8> = tag.as_ref().iter().copied().take(TEMPORARY).collect();
        Secret::new(hex::encode(bytes))
    }

    /// Tells somebody that they are invited.
    pub(crate) async fn tell(
        &self,
        (email, field, guest): (&Email, &str, &Guest),
        (organisation, role): (&str, Role),
        request: &Request,
    ) -> Result<(), Refusal> {
        let base_url = request.base_url(self.base_url.as_deref());
        let letter = letter(email, guest, organisation, role, &base_url);
        self.mail.send_email(&letter).await.map_err(|error| match error {
            MailError::Rejected(_) => refused(field),
            MailError::Aws(error) => StoreError::from(error).into(),
        })
    }
}

fn letter(email: &Email, guest: &Guest, organisation: &str, role: Role, base_url: &str) -> Letter {
    let role = role.as_str().replace('_', " ");
    let first_time = guest.temporary.as_ref().map_or_else(String::new, |temporary| {
        format!(
            "Temporary password: {}\n\n\
             It is good for 7 days. You choose a password of your own when you sign in.\n",
            temporary.reveal()
        )
    });
    let to = email.as_str();
    let text = format!(
        "You are invited to work for {organisation} in Plixo, as {role}.\n\n\
         Sign in: {base_url}/sign-in\n\
         Email: {to}\n\
         {first_time}\n\
         If you did not expect this, do nothing: nobody can act in your name.\n"
    );
    let subject = format!("You are invited to {organisation}");
    Letter { to: to.to_owned(), subject, text }
}

/// Nobody is invited at that address, and why is not for the inviter.
fn refused(field: &str) -> Refusal {
    Refusal::State {
        code: "email_refused",
        detail: "no invitation can be sent to this address: check it, or ask whose it is for another"
            .to_owned(),
        pointer: Some(field.to_owned()),
    }
}

fn refusal(error: DirectoryError) -> Refusal {
    match error {
        DirectoryError::Aws(error) => StoreError::from(error).into(),
        error => Refusal::Internal(error.to_string()),
    }
}
