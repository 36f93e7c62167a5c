//! That Business Central tells of changes: it forgets after three days unless it is reminded.

use jiff::{SignedDuration, Timestamp};
use plixo_aws::secrets::KeepSecret;
use plixo_domain::secret::Secret;
use plixo_domain::source::SourceKind;
use plixo_webhooks::delivery::is_plain;
use serde::{Deserialize, Serialize};

use crate::ask::set;
use crate::client::TOLD;
use crate::error::sort;
use crate::http::Request;
use crate::session::Session;
use crate::{Erp, ErpError, Of};

/// From how long before its end a subscription is renewed: half of the three days that it lasts.
const EARLY: SignedDuration = SignedDuration::from_hours(36);
/// More pages of subscriptions than anybody has.
const PAGES: usize = 100;

/// Where a source's notifications are to go.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The URL of the webhook endpoint.
    pub url: &'a str,
    /// Its secret, which comes with every notification as `clientState`.
    pub client_state: &'a Secret,
}

/// What was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Subscribed {
    /// How many subscriptions were made.
    pub made: usize,
    /// How many were renewed.
    pub renewed: usize,
}

/// A subscription as Business Central has it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Subscription {
    #[serde(rename = "@odata.etag")]
    etag: Option<String>,
    subscription_id: String,
    notification_url: String,
    resource: String,
    client_state: Option<Secret>,
    expiration_date_time: Option<Timestamp>,
}

#[derive(Deserialize)]
struct List {
    value: Vec<Subscription>,
    #[serde(rename = "@odata.nextLink")]
    next: Option<String>,
}

/// What is to be done for a resource.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Make { resource: String },
    Renew { id: String, etag: String, resource: String },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Sent<'a> {
    notification_url: &'a str,
    resource: &'a str,
    client_state: &'a Secret,
}

/// What makes a company's subscriptions whole. Those of other URLs and companies are others'.
pub(crate) fn plan(there: &[Subscription], company: &str, wanted: &Wanted<'_>, now: Timestamp) -> Vec<Step> {
    let step = |entity| {
        let resource = format!("api/v2.0/companies({company})/{}", set(SourceKind::BusinessCentral, entity));
        let own = there.iter().filter(|it| it.notification_url == wanted.url && it.is_of(&resource));
        // There may be two, if two made one at once: either will do.
        let Some(own) = own.max_by_key(|it| it.expiration_date_time) else {
            return Some(Step::Make { resource: format!("/{resource}") });
        };
        let lasts = now.checked_add(EARLY).is_ok_and(|early| own.expiration_date_time > Some(early));
        // Where it keeps the secret to itself, it is taken to be right.
        let told = own.client_state.as_ref().filter(|state| !state.reveal().is_empty());
        let is_right = told.is_none_or(|state| state == wanted.client_state);
        (!lasts || !is_right).then(|| Step::Renew {
            id: own.subscription_id.clone(),
            etag: own.etag.clone().unwrap_or_else(|| "*".to_owned()),
            resource: format!("/{resource}"),
        })
    };
    TOLD.into_iter().filter_map(step).collect()
}

impl Subscription {
    /// Whether it is of that resource, which it may name by a path or a whole URL.
    fn is_of(&self, resource: &str) -> bool {
        let named = self.resource.to_ascii_lowercase();
        let end = format!("/{}", resource.to_ascii_lowercase());
        format!("/{named}").ends_with(&end)
    }
}

impl<V: KeepSecret> Erp<V> {
    pub(crate) async fn subscribe(
        &self,
        of: Of<'_>,
        wanted: &Wanted<'_>,
        now: Timestamp,
    ) -> Result<Subscribed, ErpError> {
        if of.kind != SourceKind::BusinessCentral {
            return Err(ErpError::NoSource);
        }
        let mut session = Session::open(self, of, now).await?;
        let all = session.account()?.in_environment("subscriptions");
        let mut there = Vec::new();
        let mut url = Some(all.clone());
        for _ in 0..PAGES {
            let Some(page) = url.take() else { break };
            let body = session.need(&Request::get(page)).await?;
            let list: List = serde_json::from_slice(&body)
                .map_err(|_| ErpError::unavailable("its answer cannot be read"))?;
            there.extend(list.value);
            url = list.next;
            if url.as_ref().is_some_and(|link| session.account().is_ok_and(|account| !account.is_at(link))) {
                return Err(ErpError::unavailable("its next page is somewhere else"));
            }
        }
        let mut done = Subscribed::default();
        for step in plan(&there, of.account.as_str(), wanted, now) {
            let (request, resource, count) = match step {
                Step::Make { resource } => {
                    let request = Request { method: "POST", url: all.clone(), ..Request::default() };
                    (request, resource, &mut done.made)
                }
                Step::Renew { id, etag, resource } => {
                    if !is_plain(&id) {
                        return Err(ErpError::unavailable("a subscription of its has no usable id"));
                    }
                    let url = format!("{all}('{id}')");
                    let request = Request { method: "PATCH", url, repeats: true, ..Request::default() };
                    (request.with("if-match", etag), resource, &mut done.renewed)
                }
            };
            let sent =
                Sent { notification_url: wanted.url, resource: &resource, client_state: wanted.client_state };
            let body =
                serde_json::to_string(&sent).map_err(|_| ErpError::unavailable("it cannot be sent"))?;
            let request = Request { body, ..request };
            let said = session.ask(&request.with("content-type", "application/json")).await?;
            if !(200..300).contains(&said.status) {
                return Err(sort(&said));
            }
            *count += 1;
        }
        Ok(done)
    }
}
