#![doc = include_str!("../README.md")]

mod change;
mod cursor;
mod organisations;
mod refusal;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use jiff::Timestamp;
use plixo_authz::{Action, Authz, Principal, Resource};
use plixo_domain::audit::{Actor, ActorKind, AuditEvent, Object, Origin, Outcome};
use plixo_domain::id::{Ids, OrgId};
use plixo_domain::ledger::{Book, Organisation, Private, Row, RowKey};
use plixo_domain::people::{Member, MemberState, UserId, come_in};
use plixo_envelope::KeyService;
use plixo_store::{Entropy, Store, Tables};

pub use change::{Answered, Entered, Key, Made, Not};
pub use organisations::{Own, Wanted};
pub use refusal::{FieldError, Refusal};

/// Who asks, as the authorizer and the gateway say.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The person.
    pub user: UserId,
    /// The session's name, the token's `origin_jti`.
    pub session: String,
    /// When the session began.
    pub signed_in_at: Timestamp,
    /// The address that the gateway saw.
    pub ip: Option<IpAddr>,
    /// The user agent, as the caller gave it.
    pub user_agent: Option<String>,
    /// The request's id.
    pub request_id: String,
    /// When the request came.
    pub now: Timestamp,
}

/// A thing that is done: what the policies call it, and what the audit log does.
#[derive(Debug, Clone)]
pub struct Deed {
    /// What the policies decide on.
    pub action: Action,
    /// The audit event's `action`: a noun and a verb, `invoice.read`.
    pub name: &'static str,
    /// To what it is done.
    pub object: Object,
}

/// A member in the organisation, allowed to do what was asked.
#[derive(Debug)]
pub struct Visit {
    /// The organisation.
    pub org: Organisation,
    /// Its version.
    pub org_version: u64,
    /// The member.
    pub member: Member,
    /// Whether the session has shown two factors.
    pub two_factor: bool,
    /// The rows that were read.
    pub book: Book,
}

impl Visit {
    /// The member as the audit log names it.
    #[must_use]
    pub fn actor(&self) -> Actor {
        actor(&self.member)
    }

    fn principal(&self) -> Principal {
        let Member { id, role, state, .. } = self.member;
        Principal { member: id, org: self.org.id, role, state }
    }
}

/// Where staff's requests are decided and done.
#[derive(Debug)]
pub struct Desk<T, K> {
    store: Store<T, K>,
    authz: Authz,
    entropy: Entropy,
}

impl<T: Tables, K: KeyService> Desk<T, K> {
    /// A desk on that store.
    pub fn new(store: Store<T, K>, authz: Authz, entropy: Entropy) -> Self {
        Self { store, authz, entropy }
    }

    /// The store, for reading.
    pub fn store(&self) -> &Store<T, K> {
        &self.store
    }

    /// Lets a member in, with the rows of those names read in the same request. Who was invited is active from then on.
    ///
    /// # Errors
    /// [`Refusal`]. A member's denied try is in the audit log.
    pub async fn enter(
        &self,
        caller: &Caller,
        org: &OrgId,
        deed: &Deed,
        rows: Vec<RowKey>,
    ) -> Result<Visit, Refusal> {
        let mut names = vec![RowKey::Organisation, RowKey::Member(caller.user)];
        names.extend(rows);
        names.sort();
        names.dedup();
        let visit = self.look(caller, org, deed, names.clone()).await?;
        let member = visit.book.get::<Member>(&caller.user).ok().flatten();
        if member.is_none_or(|member| member.state == MemberState::Active) {
            return Ok(visit);
        }
        match self.welcome(caller, &visit).await {
            Ok(()) => self.look(caller, org, deed, names).await,
            // It can be noted the next time as well.
            Err(_) => Ok(visit),
        }
    }

    /// Notes that an invited member has come in.
    async fn welcome(&self, caller: &Caller, visit: &Visit) -> Result<(), Refusal> {
        let mut book = visit.book.clone();
        come_in(&mut book, caller.user).map_err(|error| Refusal::Internal(error.to_string()))?;
        let (by, object) = (visit.actor(), Object::new("member", visit.member.id));
        let mut ids = self.ids(caller)?;
        let event = audit(caller, by, &mut ids, "member.join", object, Outcome::Allowed, &["state"]);
        self.store.commit(&visit.org.id, &book, None, &[event], caller.now).await.map_err(Refusal::from)
    }

    async fn look(
        &self,
        caller: &Caller,
        org: &OrgId,
        deed: &Deed,
        names: Vec<RowKey>,
    ) -> Result<Visit, Refusal> {
        let Caller { user, session, now, .. } = caller;
        let (rows, standing) = self.store.read_with_standing(org, names, user, session, *now).await?;
        if standing.is_over(session, caller.signed_in_at) {
            return Err(Refusal::SessionEnded);
        }
        let mut book = Book::default();
        let organisation = rows.iter().find_map(|(_, stored)| match stored {
            Some((Row::Organisation(organisation), _)) => Some(organisation.clone()),
            _ => None,
        });
        let Some(organisation) = organisation else { return Err(Refusal::NotFound) };
        // Closed for good: there is nothing left that could be shown, or noted.
        if organisation.closed.is_some_and(|closed| closed.until() <= *now)
            && self.store.data_key(org).await?.is_none()
        {
            return Err(Refusal::NotFound);
        }
        for (name, stored) in self.store.hide_due(&organisation, rows, *now).await? {
            book.learn(name, stored);
        }
        let member = book.get::<Member>(&caller.user).ok().flatten().cloned();
        let member = member.ok_or(Refusal::NotFound)?;
        let org_version = book.version::<Organisation>(&()).unwrap_or_default();
        // Whoever gets here has signed in: that is what an invitation waits for.
        let member = Member { state: MemberState::Active, ..member };
        let two_factor = standing.two_factor;
        let visit = Visit { org: organisation, org_version, member, two_factor, book };
        match self.decide(caller, deed.action, &visit) {
            Ok(()) => Ok(visit),
            Err(refusal) => {
                self.record(caller, &visit, deed, Outcome::Denied).await?;
                Err(refusal)
            }
        }
    }

    fn decide(&self, caller: &Caller, action: Action, visit: &Visit) -> Result<(), Refusal> {
        if !visit.org.settings.allows(caller.ip) {
            return Err(Refusal::IpNotAllowed);
        }
        if visit.org.settings.require_two_factor && !visit.two_factor {
            return Err(Refusal::TwoFactorRequired);
        }
        if self.authz.allows(&visit.principal(), action, &Resource::Organisation(visit.org.id)) {
            Ok(())
        } else {
            Err(Refusal::Forbidden)
        }
    }

    /// Writes an audit event that goes with no change: of a read, or of a try that was denied.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`]: then nothing may be shown.
    pub async fn record(
        &self,
        caller: &Caller,
        visit: &Visit,
        deed: &Deed,
        outcome: Outcome,
    ) -> Result<(), Refusal> {
        let (actor, object) = (visit.actor(), deed.object.clone());
        let event = audit(caller, actor, &mut self.ids(caller)?, deed.name, object, outcome, &[]);
        self.store
            .commit(&visit.org.id, &Book::default(), None, &[event], caller.now)
            .await
            .map_err(Refusal::from)
    }

    /// New ids for this request.
    fn ids(&self, caller: &Caller) -> Result<Ids, Refusal> {
        let random = (self.entropy)().ok_or(Refusal::Internal("no randomness to be had".to_owned()))?;
        Ok(Ids::drawn(caller.now, random))
    }
}

fn actor(member: &Member) -> Actor {
    let role = Some(member.role.as_str().to_owned());
    Actor { kind: ActorKind::Member, id: member.id.to_string(), role }
}

fn audit(
    caller: &Caller,
    actor: Actor,
    ids: &mut Ids,
    action: &str,
    object: Object,
    outcome: Outcome,
    fields: &[&'static str],
) -> AuditEvent {
    let ip = caller.ip.map(|ip| ip.to_string());
    AuditEvent {
        id: ids.make(),
        at: caller.now,
        actor,
        origin: Private::Plain(Origin { ip, user_agent: caller.user_agent.clone() }),
        customer: None,
        action: action.to_owned(),
        object,
        outcome,
        fields: fields.iter().map(|field| (*field).to_owned()).collect(),
        request_id: caller.request_id.clone(),
        count: None,
    }
}
