//! `/v1/orgs/{org}/audit-events`.

use jiff::Timestamp;
use plixo_api::document::Problems;
use plixo_api::input::{self, Failed, Limit};
use plixo_api::output::{self, List as Part};
use plixo_api::staff::{Staff, deed};
use plixo_authz::Action;
use plixo_domain::audit::{Actor, ActorKind, AuditEvent, Object, Outcome};
use plixo_domain::id::{AuditId, OrgId};
use plixo_envelope::KeyService;
use plixo_lambda::http::Response;
use plixo_staff::Refusal;
use plixo_store::{AuditSpan, Tables};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Longer than any id or action.
const MAX_FILTER: usize = 100;

/// Which part of the audit log.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Query {
    /// At that time and later, RFC 3339; from the organisation's first day if absent.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Before that time, RFC 3339; up to now if absent.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
    /// Who: an id, or a kind of actor (`member`, `operator`, `payer`, `provider`, `function`).
    #[param(min_length = 1, max_length = 100)]
    actor: Option<String>,
    /// What: an action, or where it ends with a dot the beginning of one (`invoice.`).
    #[param(min_length = 1, max_length = 100)]
    action: Option<String>,
    /// To what: an id.
    #[param(min_length = 1, max_length = 100)]
    object: Option<String>,
    /// 1 to 100, 25 if absent.
    #[serde(default)]
    #[param(value_type = Option<u8>, minimum = 1, maximum = 100)]
    limit: Limit,
    /// `next_cursor` of the part before.
    cursor: Option<String>,
}

/// An entry of the audit log: who did what to what, and how it ended.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEvent)]
pub(crate) struct EventShape {
    #[schema(value_type = String)]
    id: AuditId,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    #[schema(value_type = ActorShape)]
    actor: Actor,
    /// The address, as the gateway saw it.
    #[serde(skip_serializing_if = "Option::is_none")]
    ip: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
    /// A noun and a verb: `invoice.update`.
    action: String,
    #[schema(value_type = ObjectShape)]
    object: Object,
    #[schema(value_type = OutcomeShape)]
    outcome: Outcome,
    /// Of a change: the names of the changed fields.
    fields: Vec<String>,
    /// The request or message that asked for it.
    request_id: String,
}

/// Who acted.
#[derive(ToSchema)]
#[schema(as = AuditActor)]
#[expect(dead_code, reason = "its schema is what is used")]
struct ActorShape {
    kind: ActorKindShape,
    /// A member's, function's or endpoint's id.
    id: String,
    /// A member's role at that time.
    role: Option<String>,
}

/// A kind of actor.
#[derive(ToSchema)]
#[schema(as = AuditActorKind, rename_all = "snake_case")]
#[expect(dead_code, reason = "its schema is what is used")]
enum ActorKindShape {
    Member,
    Operator,
    Payer,
    Provider,
    Function,
}

/// What was acted on.
#[derive(ToSchema)]
#[schema(as = AuditObject)]
#[expect(dead_code, reason = "its schema is what is used")]
struct ObjectShape {
    /// `invoice`, `payment`, …
    kind: String,
    id: String,
}

/// How it ended.
#[derive(ToSchema)]
#[schema(as = AuditOutcome, rename_all = "snake_case")]
#[expect(dead_code, reason = "its schema is what is used")]
enum OutcomeShape {
    Allowed,
    Denied,
    Failed,
}

impl From<AuditEvent> for EventShape {
    fn from(event: AuditEvent) -> Self {
        let AuditEvent { id, at, actor, ip, user_agent, action, object, outcome, fields, request_id } = event;
        Self { id, at, actor, ip, user_agent, action, object, outcome, fields, request_id }
    }
}

/// The audit log, the latest day first.
///
/// A part may hold fewer events than `limit`, or none, and still have a `next_cursor`: what filters pass over was looked at
/// too, 1,000 events or 14 days at most.
#[utoipa::path(get, path = "/v1/orgs/{org}/audit-events", tag = "audit-events", params(("org" = String, Path), Query),
    responses((status = 200, body = Part<EventShape>), Problems), security(("bearer" = [])))]
pub(crate) async fn list<T: Tables, K: KeyService>(staff: &Staff<'_, T, K>) -> Result<Response, Failed> {
    let query: Query = input::query(staff.request)?;
    let wanted = Wanted::of(&query)?;
    let (org, now) = (&staff.org, staff.caller.now);
    let from = query.from.unwrap_or(Timestamp::MIN).max(founded(org));
    // Events of this very moment are of before its end.
    let to = query
        .to
        .unwrap_or(Timestamp::MAX)
        .min(now.saturating_add(jiff::SignedDuration::from_secs(1)).unwrap_or(now));
    let filter = output::json(&("audit", query.from, query.to, &query.actor, &query.action, &query.object));

    let deed = deed(Action::ReadAudit, "audit.list", Object::new("organisation", org));
    let visit = staff.desk.enter(&staff.caller, org, &deed, Vec::new()).await?;
    let after = match &query.cursor {
        Some(cursor) => Some(staff.desk.place(org, &filter, cursor, now).await?),
        None => None,
    };
    let span = AuditSpan { from, to };
    let read = staff.store().audit(org, span, after.as_deref(), query.limit.get(), |event| wanted.is(event));
    let page = read.await.map_err(Refusal::from)?;
    let next_cursor = match &page.next {
        Some(place) => Some(staff.desk.cursor(org, &filter, place, now).await?),
        None => None,
    };
    staff.desk.record(&staff.caller, &visit, &deed, Outcome::Allowed).await?;
    let data: Vec<EventShape> = page.events.into_iter().map(EventShape::from).collect();
    Ok(Response::json(200, output::json(&Part { data, next_cursor })))
}

/// The events that are looked for.
struct Wanted<'a> {
    kind: Option<ActorKind>,
    actor: Option<&'a str>,
    action: Option<&'a str>,
    object: Option<&'a str>,
}

impl<'a> Wanted<'a> {
    fn of(query: &'a Query) -> Result<Self, Failed> {
        let filters = [("/actor", &query.actor), ("/action", &query.action), ("/object", &query.object)];
        for (pointer, filter) in filters {
            if filter.as_ref().is_some_and(|text| text.is_empty() || text.chars().count() > MAX_FILTER) {
                return Err(input::invalid(pointer, "is 1 to 100 characters, or absent"));
            }
        }
        if query.from.zip(query.to).is_some_and(|(from, to)| from >= to) {
            return Err(input::invalid("/to", "is after from"));
        }
        let actor = query.actor.as_deref();
        let kind = actor.and_then(|word| serde_json::from_value(word.into()).ok());
        Ok(Self { kind, actor, action: query.action.as_deref(), object: query.object.as_deref() })
    }

    fn is(&self, event: &AuditEvent) -> bool {
        let of_actor = match (self.kind, self.actor) {
            (Some(kind), _) => event.actor.kind == kind,
            (None, actor) => actor.is_none_or(|id| event.actor.id == id),
        };
        let of_action = self.action.is_none_or(|action| {
            event.action == action || (action.ends_with('.') && event.action.starts_with(action))
        });
        of_actor && of_action && self.object.is_none_or(|id| event.object.id == id)
    }
}

/// When the organisation was made: its id says so, and nothing of it is older.
fn founded(org: &OrgId) -> Timestamp {
    let made = org.uuid().get_timestamp().and_then(|at| i64::try_from(at.to_unix().0).ok());
    made.and_then(|second| Timestamp::from_second(second).ok()).unwrap_or(Timestamp::UNIX_EPOCH)
}
