//! Privacy requests that are still to be done.

use jiff::SignedDuration;
use plixo_aws::s3::Objects;
use plixo_aws::sqs::SendMessage;
use plixo_domain::audit::Object;
use plixo_domain::id::{Ids, OrgId};
use plixo_domain::ledger::{Book, Customer, Kept, Row};
use plixo_domain::privacy::{self, PrivacyRequest, PrivacyStatus, PrivacyTaskOf};
use plixo_store::{List, Page, Tables, pause};

use crate::{Done, Failed, Job, Rules, Run, TRIES, committed};

/// So many requests are read at once.
const PAGE: usize = 100;
/// So many are ended in one transaction, each with its audit event.
const ENDED: usize = 40;
/// After so long, whoever began a request has given it up: longer than the queue hands its message out, five times.
const GIVEN_UP: SignedDuration = SignedDuration::from_hours(3);

impl<T: Tables, O: Objects, Q: SendMessage> Job<T, O, Q> {
    /// Sends every request that nobody is at to the queue, which may have lost it, and notes those that press.
    pub(crate) async fn have_requests_done(
        &self,
        org: &OrgId,
        run: &Run<'_>,
        done: &mut Done,
    ) -> Result<(), Failed> {
        let mut after = None;
        loop {
            let page = Page { after, descending: false, limit: PAGE };
            let listed = self.store.list(org, &List::OpenPrivacyRequests, page, run.now).await?;
            let requests = listed.rows.iter().filter_map(|(row, _)| PrivacyRequest::of(row));
            for request in requests {
                if request.is_pressing(run.today()) {
                    done.pressing.push(request.id.to_string());
                }
                if self.is_nobody_at(org, request, run).await? {
                    self.send(org, PrivacyTaskOf::Request(request.id)).await?;
                    done.sent = done.sent.saturating_add(1);
                }
            }
            match listed.next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// Ends the requests of an organisation whose data key is gone: of what they ask for, nothing opens any more, and nobody can be
    /// given it.
    pub(crate) async fn end_requests(&self, org: &OrgId, run: &Run<'_>) -> Result<(), Failed> {
        let (mut after, mut tried) = (None, 0);
        while tried < TRIES {
            let page = Page { after: after.clone(), descending: false, limit: ENDED };
            let listed = self.store.list(org, &List::OpenPrivacyRequests, page, run.now).await?;
            let drawn = self.drawn()?;
            let (mut book, mut ids, mut events) = (Book::default(), Ids::drawn(run.now, drawn), Vec::new());
            for (row, version) in listed.rows {
                let Row::PrivacyRequest(request) = &row else { continue };
                let done = Some(privacy::Done {
                    at: run.now,
                    certificate: None,
                    files_until: None,
                    gone: false,
                    going: false,
                });
                let ended = PrivacyRequest { done, held: None, ..request.clone() };
                let object = Object::new("privacy_request", ended.id);
                events.push(run.event(&mut ids, "privacy_request.end", object, "status", None));
                book.learn(PrivacyRequest::key(&ended.id), Some((row, version)));
                book.put(ended)?;
            }
            if !events.is_empty() && !committed(self.store.commit(org, &book, None, &events, run.now).await)?
            {
                tokio::time::sleep(pause(tried, drawn)).await;
                tried += 1;
                continue;
            }
            match listed.next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
        Err(Failed::Overtaken)
    }

    async fn is_nobody_at(
        &self,
        org: &OrgId,
        request: &PrivacyRequest,
        run: &Run<'_>,
    ) -> Result<bool, Failed> {
        Ok(match request.status() {
            PrivacyStatus::Open => true,
            PrivacyStatus::Running => {
                request.begun.is_none_or(|begun| begun.saturating_add(GIVEN_UP).is_ok_and(|at| at <= run.now))
            }
            PrivacyStatus::Held => {
                let customer = Customer::key(&request.customer);
                let Some(Rules { holds, book, .. }) = self.rules(org, vec![customer]).await? else {
                    return Ok(false);
                };
                match book.get::<Customer>(&request.customer)? {
                    Some(customer) => {
                        let row = Row::Customer(customer.clone());
                        !self.store.held(org, &holds, &[&row]).await?.contains(&true)
                    }
                    None => !holds.is_whole(),
                }
            }
            PrivacyStatus::Done | PrivacyStatus::Refused => false,
        })
    }
}
