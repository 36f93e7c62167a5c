//! `/v1/orgs/{org}/webhook-events`.

use jiff::Timestamp;
use plixo_api::document::{ChangeProblems, Problems};
use plixo_api::input::{self, Failed, Limit};
use plixo_api::output::{self, List as Part};
use plixo_api::staff::{Staff, deed};
use plixo_authz::Action;
use plixo_aws::sqs::SendMessage;
use plixo_domain::audit::{Object, Outcome};
use plixo_domain::id::{EndpointId, EventId};
use plixo_domain::ledger::Row;
use plixo_domain::webhook::{Encoding, Envelope, EventStatus, ExternalId, Provider, WebhookEvent};
use plixo_envelope::KeyService;
use plixo_lambda::http::Response;
use plixo_staff::{Deed, Refusal, Visit};
use plixo_store::{List, Tables};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use crate::Outside;
use crate::vault::failed;

/// Which part of the events.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Query {
    /// 1 to 100, 25 if absent.
    #[serde(default)]
    #[param(value_type = Option<u8>, minimum = 1, maximum = 100)]
    limit: Limit,
    /// `next_cursor` of the part before.
    cursor: Option<String>,
}

/// A webhook event.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookEvent)]
pub(crate) struct EventShape {
    #[schema(value_type = String)]
    id: EventId,
    #[schema(value_type = String)]
    endpoint_id: EndpointId,
    #[schema(value_type = crate::order::NewProvider)]
    provider: Provider,
    /// The provider's id of it.
    #[schema(value_type = Option<String>)]
    provider_event_id: ExternalId,
    /// The provider's type: `payment_intent.succeeded`.
    #[serde(rename = "type")]
    kind: String,
    #[schema(value_type = StatusShape)]
    status: EventStatus,
    #[schema(value_type = String, format = DateTime)]
    received_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    applied_at: Option<Timestamp>,
    /// What it said, while that is kept, without card numbers: only where one event is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    payload: Option<Box<RawValue>>,
}

/// What became of an event.
#[derive(ToSchema)]
#[schema(as = WebhookEventStatus, rename_all = "snake_case")]
#[expect(dead_code, reason = "its schema is what is used")]
enum StatusShape {
    Applied,
    Ignored,
    Superseded,
    Conflict,
    Failed,
}

impl From<WebhookEvent> for EventShape {
    fn from(event: WebhookEvent) -> Self {
        let WebhookEvent { id, key, provider, kind, status, received_at, applied_at, .. } = event;
        Self {
            id,
            endpoint_id: key.endpoint,
            provider,
            provider_event_id: key.provider_event_id,
            kind,
            status,
            received_at,
            applied_at,
            payload: None,
        }
    }
}

/// The webhook events, the youngest first.
#[utoipa::path(get, path = "/v1/orgs/{org}/webhook-events", tag = "webhook-events", params(("org" = String, Path), Query),
    responses((status = 200, body = Part<EventShape>), Problems), security(("bearer" = [])))]
pub(crate) async fn list<T: Tables, K: KeyService>(staff: &Staff<'_, T, K>) -> Result<Response, Failed> {
    let deed = deed(Action::ManageIntegrations, "webhook_event.list", Object::new("organisation", staff.org));
    let Query { limit, cursor } = staff.taken(&deed, input::query(staff.request)).await?;
    let page = (limit, cursor.as_deref());
    let (rows, next_cursor) = staff.list(&deed, &List::WebhookEvents, "webhook-events", page).await?;
    let shape = |(row, _)| match row {
        Row::WebhookEvent(event) => Some(EventShape::from(event)),
        _ => None,
    };
    let data: Vec<_> = rows.into_iter().filter_map(shape).collect();
    Ok(Response::json(200, output::json(&Part { data, next_cursor })))
}

/// One webhook event, with what it said.
#[utoipa::path(get, path = "/v1/orgs/{org}/webhook-events/{id}", tag = "webhook-events",
    params(("org" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = EventShape), Problems), security(("bearer" = [])))]
pub(crate) async fn show<T: Tables, K: KeyService>(staff: &Staff<'_, T, K>) -> Result<Response, Failed> {
    let (event, payload, _) = found(staff, &of_event(staff, "webhook_event.read").await?, |_| Ok(())).await?;
    let odd = |_| Refusal::Internal("a payload is no JSON".to_owned());
    let payload = payload.map(RawValue::from_string).transpose().map_err(odd)?;
    Ok(Response::json(200, output::json(&EventShape { payload, ..EventShape::from(event) })))
}

/// Hands an event to the worker once more, as it came. One that counted does not count again.
#[utoipa::path(post, path = "/v1/orgs/{org}/webhook-events/{id}/replay", tag = "webhook-events",
    params(("org" = String, Path), ("id" = String, Path)),
    responses((status = 202, body = EventShape), Problems, ChangeProblems), security(("bearer" = [])))]
pub(crate) async fn replay<T: Tables, K: KeyService, V, Q: SendMessage, C, E>(
    staff: &Staff<'_, T, K>,
    outside: &Outside<V, Q, C, E>,
) -> Result<Response, Failed> {
    let deed = of_event(staff, "webhook_event.replay").await?;
    staff.taken(&deed, input::no_body(staff.request)).await?;
    let gone = || Refusal::State {
        code: "payload_gone",
        detail: "what the event said is not kept any more: have the provider send it again".to_owned(),
        pointer: None,
    };
    let kept = |payload: &Option<String>| payload.as_ref().map(drop).ok_or_else(gone);
    let (event, payload, visit) = found(staff, &deed, kept).await?;
    let envelope = Envelope {
        v: Envelope::VERSION,
        org: staff.org,
        endpoint: event.key.endpoint,
        provider: event.provider,
        // All others' ids stand in what they say, or are made of it.
        event_id: (event.provider == Provider::StandardWebhooks)
            .then(|| event.key.provider_event_id.to_string()),
        // When the receiver had it, for that is what the worker goes by.
        received_at: event.received_at,
        request_id: staff.request.id().to_owned(),
        // They are not the sender's.
        ip: None,
        user_agent: None,
        encoding: Encoding::Identity,
    };
    let message = plixo_receiver::message_of(payload.unwrap_or_default().into(), envelope);
    // It fitted when it came.
    let (body, attribute) =
        message.ok_or(Refusal::Internal("an event too large for the queue".to_owned()))?;
    let queue = match event.provider {
        Provider::Stripe => &outside.stripe_queue,
        _ => &outside.erp_queue,
    };
    if let Err(error) = queue.send_message(body, (Envelope::ATTRIBUTE, attribute)).await {
        // Nothing is replayed that is not in the log; so the log has to be told as well that it was not.
        staff.desk.record(&staff.caller, &visit, &deed, Outcome::Failed).await?;
        return Err(failed(error).into());
    }
    Ok(Response::json(202, output::json(&EventShape::from(event))))
}

/// What is done to the event that the path names.
async fn of_event<T: Tables, K: KeyService>(
    staff: &Staff<'_, T, K>,
    name: &'static str,
) -> Result<Deed, Failed> {
    let (_, deed) = staff.about::<EventId>(Action::ManageIntegrations, name, "webhook_event").await?;
    Ok(deed)
}

/// Lets the member in to an event and what it said, if `allowed` so, and writes that in the audit log.
async fn found<T: Tables, K: KeyService>(
    staff: &Staff<'_, T, K>,
    deed: &Deed,
    allowed: impl Fn(&Option<String>) -> Result<(), Refusal>,
) -> Result<(WebhookEvent, Option<String>, Visit), Failed> {
    let visit = staff.desk.enter(&staff.caller, &staff.org, deed, Vec::new()).await?;
    let (store, now) = (staff.store(), staff.caller.now);
    let row =
        store.find(&staff.org, &List::WebhookEvents, &deed.object.id, now).await.map_err(Refusal::from)?;
    let found = match row {
        Some((Row::WebhookEvent(event), _)) => {
            let payload = store.payload_shown(&visit.org, &event, now).await;
            let payload = payload.map_err(Refusal::from)?;
            allowed(&payload).map(|()| (event, payload))
        }
        _ => Err(Refusal::NotFound),
    };
    let outcome = if found.is_ok() { Outcome::Allowed } else { Outcome::Failed };
    staff.desk.record(&staff.caller, &visit, deed, outcome).await?;
    let (event, payload) = found?;
    Ok((event, payload, visit))
}
