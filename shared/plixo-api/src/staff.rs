//! One request of a member, let in.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::fmt::Display;
use std::str::FromStr;

use plixo_authz::Action;
use plixo_domain::audit::{Object, Outcome};
use plixo_domain::id::{MemberId, OrgId};
use plixo_domain::ledger::{Customer, Kept, Row, RowKey};
use plixo_domain::people::{By, Member};
use plixo_envelope::KeyService;
use plixo_lambda::http::Request;
use plixo_lambda::line::Line;
use plixo_staff::{Answered, Caller, Deed, Desk, Entered, Key, Made, Not, Refusal, Visit};
use plixo_store::{List, Listed, Page, Store, Tables};

use crate::input::{self, Failed, Limit};

/// A request about an organisation, and who asks.
#[derive(Debug)]
pub struct Staff<'a, T, K> {
    /// Where it is decided.
    pub desk: &'a Desk<T, K>,
    /// What came.
    pub request: &'a Request,
    /// Who asks.
    pub caller: Caller,
    /// About which organisation.
    pub org: OrgId,
}

impl<'a, T: Tables, K: KeyService> Staff<'a, T, K> {
    /// The caller, and the organisation that the path names.
    ///
    /// # Errors
    /// [`Failed::Unauthenticated`], [`Refusal::NotFound`].
    pub fn of(desk: &'a Desk<T, K>, request: &'a Request, line: &mut Line) -> Result<Self, Failed> {
        let caller = input::caller(request, line)?;
        let org: OrgId = input::id(request, "org")?;
        line.org = Some(org.to_string());
        Ok(Self { desk, request, caller, org })
    }

    /// The store, for opening what is sealed.
    pub fn store(&self) -> &Store<T, K> {
        self.desk.store()
    }

    /// What was read of the request. Where it cannot be used, the member is let in all the same, and only then told: so a stranger
    /// learns of no organisation, a role that may not do it of no field, and the try is in the audit log.
    ///
    /// # Errors
    /// [`Refusal`], or else what is wrong.
    pub async fn taken<R>(&self, deed: &Deed, read: Result<R, Failed>) -> Result<R, Failed> {
        if read.is_err() {
            let visit = self.desk.enter(&self.caller, &self.org, deed, Vec::new()).await?;
            self.desk.record(&self.caller, &visit, deed, Outcome::Failed).await?;
        }
        read
    }

    /// What is done to the thing that the path names. Whether they may is told before whether there can be such a thing.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn about<I: FromStr + Display>(
        &self,
        action: Action,
        name: &'static str,
        kind: &'static str,
    ) -> Result<(I, Deed), Failed> {
        let of_organisation = deed(action, name, Object::new("organisation", self.org));
        let id: I = self.taken(&of_organisation, input::id(self.request, "id")).await?;
        let object = Object::new(kind, &id);
        Ok((id, deed(action, name, object)))
    }

    /// The place in a list that a cursor names. One that names none of that list is in the audit log.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn place(
        &self,
        visit: &Visit,
        deed: &Deed,
        filter: &str,
        cursor: Option<&str>,
    ) -> Result<Option<String>, Failed> {
        let Some(cursor) = cursor else { return Ok(None) };
        match self.desk.place(&self.org, filter, cursor, self.caller.now).await {
            Ok(place) => Ok(Some(place)),
            Err(refusal) => {
                self.desk.record(&self.caller, visit, deed, Outcome::Failed).await?;
                Err(refusal.into())
            }
        }
    }

    /// Lets the member in to read one row, and writes that it was read.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn read<R: Kept + Clone>(
        &self,
        deed: &Deed,
        name: &R::Name,
    ) -> Result<(R, u64, Visit), Failed> {
        let visit = self.desk.enter(&self.caller, &self.org, deed, vec![R::key(name)]).await?;
        let found = visit.book.get::<R>(name).ok().flatten().cloned();
        let version = visit.book.version::<R>(name).unwrap_or_default();
        let outcome = if found.is_some() { Outcome::Allowed } else { Outcome::Failed };
        self.desk.record(&self.caller, &visit, deed, outcome).await?;
        let found = found.ok_or(Refusal::NotFound)?;
        Ok((found, version, visit))
    }

    /// Lets the member in to read a list, and writes that it was read. `filter` names the list and all that narrows it.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn list(
        &self,
        deed: &Deed,
        list: &List,
        filter: &str,
        (limit, cursor): (Limit, Option<&str>),
    ) -> Result<(Vec<(Row, u64)>, Option<String>), Failed> {
        let customer = list.customer();
        let rows = customer.iter().map(Customer::key).collect();
        let visit = self.desk.enter(&self.caller, &self.org, deed, rows).await?;
        if let Some(customer) = customer
            && !matches!(visit.book.get::<Customer>(&customer), Ok(Some(_)))
        {
            self.desk.record(&self.caller, &visit, deed, Outcome::Failed).await?;
            return Err(input::invalid("/customer_id", "there is no such customer"));
        }
        let now = self.caller.now;
        let after = self.place(&visit, deed, filter, cursor).await?;
        let page = Page { after, descending: list.is_youngest_first(), limit: limit.get() };
        let listed = self.store().list(&self.org, list, page, now).await.map_err(Refusal::from)?;
        let Listed { rows, next } = listed;
        let rows = self.store().not_due(&visit.org, rows, now).await.map_err(Refusal::from)?;
        let next = match next {
            Some(place) => Some(self.desk.cursor(&self.org, filter, &place, now).await?),
            None => None,
        };
        self.desk.record(&self.caller, &visit, deed, Outcome::Allowed).await?;
        Ok((rows, next))
    }

    /// The emails of members who did something, in one read. Who is no member any more has none.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn emails(
        &self,
        people: impl IntoIterator<Item = By>,
    ) -> Result<HashMap<MemberId, String>, Failed> {
        let people: BTreeSet<RowKey> = people.into_iter().map(|by| Member::key(&by.user)).collect();
        let rows = self.store().read(&self.org, people.into_iter().collect()).await.map_err(Refusal::from)?;
        let mut emails = HashMap::new();
        for (row, _) in rows.into_iter().filter_map(|(_, stored)| stored) {
            if let Row::Member(member) = row {
                let email = self.store().open_email(&self.org, &member, self.caller.now).await;
                emails.insert(member.id, email.map_err(Refusal::from)?);
            }
        }
        Ok(emails)
    }

    /// Makes a change, once for each idempotency key and body.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn change<F>(&self, deed: &Deed, rows: &[RowKey], work: F) -> Result<Answered, Failed>
    where
        F: AsyncFn(Entered<'_>) -> Result<Made, Not>,
    {
        let (key, body) = self.keyed(deed).await?;
        let key = key.map(|key| Key { key, body: &body });
        Ok(self.desk.change(&self.caller, &self.org, deed, rows, key, work).await?)
    }

    /// Lets the member in before a change of which a part lies outside the tables: not if [`Staff::change`] would refuse
    /// their key.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn enter_to_change(&self, deed: &Deed) -> Result<Visit, Failed> {
        let (key, body) = self.keyed(deed).await?;
        let key = key.map(|key| Key { key, body: &body });
        Ok(self.desk.enter_with_key(&self.caller, &self.org, deed, key).await?)
    }

    /// The idempotency key, and the body that it counts with.
    async fn keyed(&self, deed: &Deed) -> Result<(Option<&str>, Cow<'_, [u8]>), Failed> {
        let body = self.request.body().map_err(|_| input::invalid("", "the body is not readable"));
        let body = self.taken(deed, body).await?;
        Ok((self.taken(deed, input::idempotency_key(self.request)).await?, body))
    }
}

/// A deed.
#[must_use]
pub fn deed(action: Action, name: &'static str, object: Object) -> Deed {
    Deed { action, name, object }
}
