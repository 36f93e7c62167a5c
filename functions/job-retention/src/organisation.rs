//! One organisation.

use plixo_aws::s3::Objects;
use plixo_aws::sqs::SendMessage;
use plixo_domain::audit::Object;
use plixo_domain::id::{Ids, OrgId};
use plixo_domain::privacy::{Authority, Erasure};
use plixo_domain::retention::Class;
use plixo_store::{Tables, pause};

use crate::{Done, Failed, Job, Rules, Run, TRIES, committed};

/// What is deleted row by row, in this order: what people have of others first.
const CLASSES: [Class; 6] = [
    Class::PortalLink,
    Class::WebhookPayload,
    Class::ExportFile,
    Class::CustomerPersonalData,
    Class::Payment,
    Class::Invoice,
];

impl<T: Tables, O: Objects, Q: SendMessage> Job<T, O, Q> {
    /// Does all there is to do for an organisation. What cannot be done of it hinders nothing else.
    pub(crate) async fn tend(&self, org: &OrgId, run: &Run<'_>) -> Done {
        let mut done = Done::default();
        let has_keys = match self.close(org, run).await {
            Ok(has_keys) => has_keys,
            Err(error) => {
                done.failed.push(error);
                true
            }
        };
        let requests = if has_keys {
            self.have_requests_done(org, run, &mut done).await
        } else {
            self.end_requests(org, run).await
        };
        if let Err(error) = requests {
            done.failed.push(error);
        }
        for class in CLASSES {
            // What is personal of customers went with the organisation's key.
            if class == Class::CustomerPersonalData && !has_keys {
                continue;
            }
            if let Err(error) = self.delete_class(org, class, run, &mut done).await {
                done.failed.push(error);
            }
        }
        if let Err(error) = self.delete_days(org, run, &mut done).await {
            done.failed.push(error);
        }
        done
    }

    /// Destroys the data key of an organisation that was closed, and whose time of grace is over; not while a legal hold is in force.
    /// False where it is gone, or there is no such organisation.
    async fn close(&self, org: &OrgId, run: &Run<'_>) -> Result<bool, Failed> {
        for tried in 0..TRIES {
            let Some(Rules { org: of, holds, book }) = self.rules(org, Vec::new()).await? else {
                return Ok(false);
            };
            if of.closed.is_none_or(|closed| closed.until() > run.now) {
                return Ok(true);
            }
            let Some(version) = self.store.data_key(org).await? else { return Ok(false) };
            if !holds.is_empty() {
                return Ok(true);
            }
            // Written before anything is destroyed: after a restore it is done again.
            let (v, authority) = (Erasure::VERSION, Authority::Closing);
            let entry = Erasure { v, org: *org, customer: None, authority, at: run.now };
            let text = serde_json::to_vec(&entry).map_err(|_| Failed::Unwritten)?;
            self.checkpoints.put_if_absent(&entry.object(), "application/json", text).await?;
            let drawn = self.drawn()?;
            let object = Object::new("organisation", org);
            let event =
                run.event(&mut Ids::drawn(run.now, drawn), "organisation.erase", object, "data_key", None);
            let gone = self.store.destroy_data_key(org, version, &book, &[event], run.now).await;
            if committed(gone)? {
                return Ok(false);
            }
            tokio::time::sleep(pause(tried, drawn)).await;
        }
        Err(Failed::Overtaken)
    }
}
