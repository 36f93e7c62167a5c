//! People and what they may be in an organisation.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use email_address::{EmailAddress, Options};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::id::{MemberId, OrgId};
use crate::ledger::{Book, Organisation, Private, Unread};

/// A member as they were when they did something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct By {
    /// The member.
    pub member: MemberId,
    /// The person, by whom the membership is found.
    pub user: UserId,
}

impl By {
    /// That member.
    #[must_use]
    pub fn of(member: &Member) -> Self {
        Self { member: member.id, user: member.user }
    }
}

/// A person, by Cognito's `sub`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UserId(pub Uuid);

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for UserId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        text.parse().map(Self)
    }
}

macro_rules! words {
    ($(#[doc = $doc:literal])* $name:ident { $($(#[doc = $word_doc:literal])* $word:ident = $text:literal,)* }) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name {
            $($(#[doc = $word_doc])* $word,)*
        }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$word),*];

            /// The contract's word.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$word => $text,)*
                }
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                Self::ALL.iter().copied().find(|word| word.as_str() == text).ok_or(UnknownWord)
            }
        }
    };
}

/// A word that is none of those that are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the word is none of those that are known")]
pub struct UnknownWord;

words! {
    /// What a member is in an organisation. What that allows is in `infra/authz`.
    Role {
        /// Responsible for the money: everything, and the approvals.
        Controller = "controller",
        /// Does the daily work: invoices, customers, integrations.
        BillingAdmin = "billing_admin",
        /// Reads everything of the organisation.
        Cfo = "cfo",
        /// Audit log, retention, privacy.
        Compliance = "compliance",
        /// Reads invoices and payments.
        Viewer = "viewer",
    }
}

words! {
    /// Whether a member has come in yet.
    MemberState {
        /// Invited, and never signed in since.
        Invited = "invited",
        /// Signed in once.
        Active = "active",
    }
}

/// The longest email of a person, characters: it is their name in the directory, and Cognito's names are no longer
/// ([limit](https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_AdminCreateUser.html)).
pub const LONGEST_EMAIL: usize = 128;

/// One email address of a person who signs in: ASCII, without comments, quotes or a display name. Its domain is in lower case.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Email(String);

impl TryFrom<String> for Email {
    type Error = EmailError;

    fn try_from(text: String) -> Result<Self, EmailError> {
        text.parse()
    }
}

impl Email {
    /// The address, to write to and to show.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address as the directory names its person: people sign in with it in whatever case.
    #[must_use]
    pub fn name(&self) -> String {
        self.0.to_lowercase()
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(…)")
    }
}

/// Why a text is no [`Email`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EmailError {
    /// It is none, or a rare form that mail does not reach everywhere.
    #[error("is not one email address of at most {LONGEST_EMAIL} ASCII characters, like name@example.com")]
    Malformed,
    /// It holds a card number.
    #[error("holds a card number, which is kept nowhere")]
    HoldsCard,
}

impl FromStr for Email {
    type Err = EmailError;

    fn from_str(text: &str) -> Result<Self, EmailError> {
        let options = Options::default().without_display_text().without_domain_literal().with_required_tld();
        let fits = text.len() <= LONGEST_EMAIL && text.is_ascii() && !text.contains(['"', '(', ')']);
        if !fits || EmailAddress::parse_with_options(text, options).is_err() {
            return Err(EmailError::Malformed);
        }
        if plixo_cards::contains(text) {
            return Err(EmailError::HoldsCard);
        }
        let (local, domain) = text.rsplit_once('@').ok_or(EmailError::Malformed)?;
        Ok(Self(format!("{local}@{}", domain.to_lowercase())))
    }
}

/// A member: a user's role in one organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub id: MemberId,
    /// The person.
    pub user: UserId,
    /// The role.
    pub role: Role,
    /// Whether the person has come in yet.
    pub state: MemberState,
    /// The person's email: sealed under the organisation's key.
    pub email: Private<String>,
}

/// Which person a member is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberPointer {
    /// The member.
    pub id: MemberId,
    /// The person.
    pub user: UserId,
}

/// That a person is in an organisation, noted with the person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserOrganisation {
    /// The person.
    pub user: UserId,
    /// The organisation.
    pub org: OrgId,
}

/// Why a change to the members is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeopleError {
    /// There is no such member, or no organisation.
    #[error("there is no such member")]
    NotFound,
    /// The person is a member already.
    #[error("the person is a member already")]
    AlreadyMember,
    /// It would leave the organisation without a Controller who has come in.
    #[error(
        "an organisation keeps at least one Controller who has come in: let another member become one first"
    )]
    LastController,
    /// These rows are needed as well.
    #[error("rows are unread")]
    Unread(Unread),
}

impl From<Unread> for PeopleError {
    fn from(unread: Unread) -> Self {
        Self::Unread(unread)
    }
}

/// Adds a member.
///
/// # Errors
/// [`PeopleError`]; nothing was changed.
pub fn add_member(book: &mut Book, member: Member) -> Result<(), PeopleError> {
    let mut org = organisation(book)?;
    if book.get::<Member>(&member.user)?.is_some() {
        return Err(PeopleError::AlreadyMember);
    }
    book.get::<UserOrganisation>(&member.user)?;
    count(&mut org.controllers, &member);
    book.put_new(MemberPointer { id: member.id, user: member.user });
    book.put(UserOrganisation { user: member.user, org: org.id })?;
    book.put(org)?;
    book.put(member)?;
    Ok(())
}

/// Changes a member: its role, its state, its email.
///
/// # Errors
/// [`PeopleError`]; nothing was changed.
pub fn change_member(book: &mut Book, member: Member) -> Result<(), PeopleError> {
    let mut org = organisation(book)?;
    let before = book.get::<Member>(&member.user)?.ok_or(PeopleError::NotFound)?;
    if before.id != member.id {
        return Err(PeopleError::NotFound);
    }
    let counted = org.controllers.len();
    count(&mut org.controllers, &member);
    if org.controllers.is_empty() && counted > 0 {
        return Err(PeopleError::LastController);
    }
    book.put(org)?;
    book.put(member)?;
    Ok(())
}

/// Notes that an invited member has come in. One who is active already stays as they are.
///
/// # Errors
/// [`PeopleError`]; nothing was changed.
pub fn come_in(book: &mut Book, user: UserId) -> Result<(), PeopleError> {
    let member = book.get::<Member>(&user)?.ok_or(PeopleError::NotFound)?;
    let member = Member { state: MemberState::Active, ..member.clone() };
    change_member(book, member)
}

/// Takes a member out of the organisation.
///
/// # Errors
/// [`PeopleError`]; nothing was changed.
pub fn remove_member(book: &mut Book, user: UserId) -> Result<Member, PeopleError> {
    let mut org = organisation(book)?;
    let member = book.get::<Member>(&user)?.ok_or(PeopleError::NotFound)?.clone();
    book.get::<MemberPointer>(&member.id)?;
    book.get::<UserOrganisation>(&user)?;
    if org.controllers.remove(&member.id) && org.controllers.is_empty() {
        return Err(PeopleError::LastController);
    }
    book.put(org)?;
    book.remove::<Member>(&user)?;
    book.remove::<MemberPointer>(&member.id)?;
    book.remove::<UserOrganisation>(&user)?;
    Ok(member)
}

fn organisation(book: &Book) -> Result<Organisation, PeopleError> {
    book.get::<Organisation>(&())?.cloned().ok_or(PeopleError::NotFound)
}

/// The organisation's row names its Controllers, so that two changes at once cannot take the last two away. One who is only
/// invited can do nothing yet, and may never come in: they do not count.
fn count(controllers: &mut BTreeSet<MemberId>, member: &Member) {
    if member.role == Role::Controller && member.state == MemberState::Active {
        controllers.insert(member.id);
    } else {
        controllers.remove(&member.id);
    }
}

#[cfg(test)]
mod tests;
