//! Privacy requests that are still to be done.

use jiff::SignedDuration;
use plixo_aws::s3::Objects;
use plixo_aws::sqs::SendMessage;
use plixo_domain::id::OrgId;
use plixo_domain::ledger::{Customer, Kept, Row};
use plixo_domain::privacy::{PrivacyRequest, PrivacyStatus, PrivacyTaskOf};
use plixo_store::{List, Page, Tables};

use crate::{Done, Failed, Job, Rules, Run};

/// So many requests are read at once.
const PAGE: usize = 100;
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
