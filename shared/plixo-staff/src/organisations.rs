//! What belongs to no one organisation: the list of one's own, and how an operator makes one.

use aws_lc_rs::hmac;
use jiff::Timestamp;
use plixo_authz::{Action, Principal, Resource};
use plixo_domain::answer::Founding;
use plixo_domain::audit::{Actor, ActorKind, Object, Outcome};
use plixo_domain::id::{Ids, MemberId, OrgId};
use plixo_domain::ledger::staff::{NewOrganisation, Stopped, create_organisation};
use plixo_domain::ledger::{Book, Organisation, Private, Row, RowKey};
use plixo_domain::people::{Email, Member, MemberState, Role, UserId, add_member};
use plixo_envelope::KeyService;
use plixo_store::{CommitError, Tables};

use crate::change::{TRIES, founding_key, is_remembered, sha256};
use crate::cursor::{Read, written};
use crate::{Caller, Desk, Key, Refusal, Visit, actor, audit};

/// The most organisations of one part of a list: their rows and their members' are one request.
const MOST: usize = 50;

/// A part of the list of a person's organisations.
#[derive(Debug)]
pub struct Own {
    /// The organisations, each with the person's membership.
    pub orgs: Vec<(Organisation, Member)>,
    /// The cursor of the next part, if there is one.
    pub next_cursor: Option<String>,
    /// Which organisations are left out because what is stored of them cannot be read, and why: for the log.
    pub unreadable: Vec<(OrgId, String)>,
}

/// An organisation that an operator wants to be made.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// The organisation.
    pub new: NewOrganisation,
    /// Its first Controller's email.
    pub controller: &'a Email,
    /// The idempotency key, if there is one.
    pub key: Option<Key<'a>>,
}

impl<T: Tables, K: KeyService> Desk<T, K> {
    /// What the member may do in the organisation. An export that waits for approval is thought of as somebody else's.
    #[must_use]
    pub fn may(&self, visit: &Visit) -> Vec<Action> {
        let org = visit.org.id;
        // Of the year 1970: nobody is.
        let requested_by: MemberId = Ids::new(Timestamp::UNIX_EPOCH, [0; 10]).make();
        let resource = |action| match action {
            Action::ApproveExport => Resource::Export { org, requested_by },
            _ => Resource::Organisation(org),
        };
        let all = Action::ALL.iter().copied();
        all.filter(|action| self.authz.allows(&visit.principal(), *action, &resource(*action))).collect()
    }

    /// Whether a member of the organisation may do that, which is about one thing in it.
    #[must_use]
    pub fn lets(&self, org: &OrgId, member: &Member, action: Action, resource: &Resource) -> bool {
        self.authz.allows(&Principal::of(org, member), action, resource)
    }

    /// Whether a member of the organisation may ask for an export, and have it: [`Authz::lets_export`].
    #[must_use]
    pub fn lets_export(&self, org: &OrgId, member: &Member, is_audit: bool) -> bool {
        self.authz.lets_export(&Principal::of(org, member), is_audit)
    }

    /// The organisations that the caller is a member of, up to `limit`, each with its audit event. An organisation says from
    /// where its members may come and with how many factors; that they are members they may know wherever they are.
    /// `key` is for the cursor.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn organisations(
        &self,
        caller: &Caller,
        (limit, cursor): (usize, Option<&str>),
        key: &hmac::Key,
    ) -> Result<Own, Refusal> {
        let hash = |place: &str| tied(key, &caller.user, place);
        let after = match cursor {
            None => None,
            Some(cursor) => {
                let read = Read::of(cursor)?;
                let right = hash(&read.place);
                read.checked(right)?.parse::<OrgId>().ok()
            }
        };
        let Caller { user, session, now, .. } = caller;
        if self.store.standing(user, session, *now).await?.is_over(session, caller.signed_in_at) {
            return Err(Refusal::SessionEnded);
        }
        let limit = limit.min(MOST);
        let mut ids = self.store.organisations_after(user, after.as_ref(), limit.saturating_add(1)).await?;
        let more = ids.len() > limit;
        ids.truncate(limit);
        let next = ids.last().filter(|_| more).map(ToString::to_string);
        let names = ids.iter().flat_map(|id| [(*id, RowKey::Organisation), (*id, RowKey::Member(*user))]);
        let (mut orgs, mut organisation) = (Vec::with_capacity(ids.len()), None);
        let mut unreadable = Vec::new();
        for ((org, _), row) in self.store.read_many(names.collect()).await? {
            match row.map(|row| row.map(|(row, _)| row)) {
                Ok(Some(Row::Organisation(found))) => organisation = Some(found),
                Ok(Some(Row::Member(member))) => orgs.extend(organisation.take().map(|org| (org, member))),
                Ok(_) => organisation = None,
                Err(error) => {
                    organisation = None;
                    unreadable.push((org, error.to_string()));
                }
            }
        }
        let mut ids = self.ids(caller)?;
        let event = |(org, member): &(Organisation, Member)| {
            let object = Object::new("organisation", org.id);
            let by = actor(member);
            (org.id, audit(caller, by, &mut ids, "organisation.list", object, Outcome::Allowed, &[]))
        };
        let events: Vec<_> = orgs.iter().map(event).collect();
        self.store.append(&events, *now).await?;
        let next_cursor = next.map(|place| written(hash(&place), &place));
        Ok(Own { orgs, next_cursor, unreadable })
    }

    /// Makes an organisation with its data key and its first Controller, who is invited: all of it, with its audit events and
    /// what is remembered of the idempotency key, or nothing. Of requests with the same key, one makes it, and all are
    /// answered its id. `invite` makes the Controller's user first, and is asked for it each time.
    ///
    /// The caller is an operator: whoever calls this has looked at that.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn found<R>(
        &self,
        caller: &Caller,
        service: &K,
        wanted: Wanted<'_>,
        invite: impl AsyncFnOnce() -> Result<(UserId, R), Refusal>,
    ) -> Result<(OrgId, R), Refusal> {
        let mut ids = self.ids(caller)?;
        let org: OrgId = ids.make();
        let key = wanted.key.map(|key| (founding_key(caller, key.key), sha256(&[key.body])));
        let names: Vec<RowKey> = key.iter().map(|(key, _)| RowKey::Founding(key.clone())).collect();
        let Caller { user, session, now, .. } = caller;
        let (rows, standing) =
            self.store.read_with_standing(&org, names.clone(), user, session, *now).await?;
        if standing.is_over(session, caller.signed_in_at) {
            return Err(Refusal::SessionEnded);
        }
        let mut made = Book::default();
        create_organisation(&mut made, org, wanted.new).map_err(stopped)?;
        rows.into_iter().for_each(|(name, stored)| made.learn(name, stored));
        let founded = |book: &Book| match &key {
            None => Ok(None),
            Some((key, request)) => match book.get::<Founding>(key) {
                Ok(Some(it)) if is_remembered(it.at, *now) && it.request != *request => {
                    Err(Refusal::KeyReused)
                }
                Ok(Some(it)) if is_remembered(it.at, *now) => Ok(Some(it.org)),
                _ => Ok(None),
            },
        };
        // Before anybody is invited for nothing.
        founded(&made)?;
        let (controller, told) = invite().await?;
        let id = ids.make();
        let email = Private::Plain(wanted.controller.as_str().to_owned());
        let member =
            Member { id, user: controller, role: Role::Controller, state: MemberState::Invited, email };
        let by = Actor { kind: ActorKind::Operator, id: user.to_string(), role: None };
        let mut event = |name, object, fields: &[&'static str]| {
            audit(caller, by.clone(), &mut ids, name, object, Outcome::Allowed, fields)
        };
        let events = [
            event("organisation.create", Object::new("organisation", org), &["name", "residency"]),
            event("member.invite", Object::new("member", id), &["email", "role"]),
        ];
        for _ in 0..TRIES {
            if let Some(org) = founded(&made)? {
                let again = event("organisation.create", Object::new("organisation", org), &[]);
                self.store.commit(&org, &Book::default(), None, &[again], *now).await?;
                return Ok((org, told));
            }
            let mut book = made.clone();
            let internal = |error: &dyn std::fmt::Display| Refusal::Internal(error.to_string());
            book.learn(RowKey::Member(controller), None);
            book.learn(RowKey::UserOrganisation(controller), None);
            add_member(&mut book, member.clone()).map_err(|error| internal(&error))?;
            if let Some((key, request)) = key.clone() {
                let founding = Founding { key, request, org, at: *now };
                book.put(founding).map_err(|_| internal(&"a row that was not read"))?;
            }
            match self.store.found(&org, service, &book, &events).await {
                Ok(()) => return Ok((org, told)),
                // Another request with the same key was there first.
                Err(CommitError::Conflict) => {
                    for (name, stored) in self.store.read(&org, names.clone()).await? {
                        made.learn(name, stored);
                    }
                }
                Err(CommitError::Store(error)) => return Err(error.into()),
            }
        }
        Err(Refusal::Overtaken)
    }
}

/// The keyed hash of a place in a person's list.
fn tied(key: &hmac::Key, user: &UserId, place: &str) -> [u8; 32] {
    let tag = hmac::sign(key, format!("organisations of {user}\n{place}").as_bytes());
    let mut hash = [0; 32];
    hash.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
    hash
}

fn stopped(stopped: Stopped) -> Refusal {
    match stopped {
        Stopped::Refused(error) => error.into(),
        Stopped::Unread(_) => Refusal::Internal("a row that was not read".to_owned()),
    }
}
