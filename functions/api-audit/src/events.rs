//! `/v1/orgs/{org}/audit-events`.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use jiff::civil::Date;
use plixo_api::document::Problems;
use plixo_api::input::{self, Expand, Failed, Limit};
use plixo_api::output;
use plixo_api::staff::{Staff, deed};
use plixo_authz::Action;
use plixo_domain::audit::{Actor, ActorKind, AuditEvent, AuditKept, AuditSeal, Object, Outcome};
use plixo_domain::hold::Holds;
use plixo_domain::id::AuditId;
use plixo_domain::ledger::{Row, RowKey};
use plixo_domain::retention::log_since;
use plixo_envelope::KeyService;
use plixo_lambda::http::Response;
use plixo_staff::Refusal;
use plixo_store::{AuditNext, AuditPage, AuditSpan, Tables};
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
    /// Only what changed something: events that name fields.
    #[serde(default)]
    changes: bool,
    /// `actors`: each member who acted with its email, where it is one still.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    expand: Expand<OfEvents>,
    /// 1 to 100, 25 if absent.
    #[serde(default)]
    #[param(value_type = Option<u8>, minimum = 1, maximum = 100)]
    limit: Limit,
    /// `next_cursor` of the part before.
    cursor: Option<String>,
}

/// What a part of the log shows besides.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OfEvents {
    Actors,
}

/// A part of the audit log.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEventList)]
pub(crate) struct LogShape {
    data: Vec<EventShape>,
    /// Where the next part begins; null at the end.
    #[schema(required)]
    next_cursor: Option<String>,
    /// Where there is a next part: the earliest day, UTC, that this one looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Date)]
    looked_back_to_on: Option<Date>,
    /// How far the log is sealed; absent before it is for the first time, within the organisation's first two hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    seal: Option<SealShape>,
}

/// How far the log is sealed: what was done to an event before that is found by whoever verifies an export of the log.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditSeal)]
struct SealShape {
    /// Until when, itself not included.
    #[schema(value_type = String, format = DateTime)]
    sealed_to: Timestamp,
    /// How many events are sealed.
    events: u64,
    /// The last checkpoint, a [C2SP signed note](https://c2sp.org/signed-note). Whoever keeps it can prove later that the log has
    /// only grown.
    checkpoint: String,
}

/// An entry of the audit log: who did what to what, and how it ended.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEvent)]
pub(crate) struct EventShape {
    #[schema(value_type = String)]
    id: AuditId,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    actor: ActorShape,
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
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditActor)]
struct ActorShape {
    #[schema(value_type = ActorKindShape)]
    kind: ActorKind,
    /// A member's, function's or endpoint's id.
    id: String,
    /// A member's role at that time.
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    /// With `expand=actors`: the member's email, if it is one still.
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
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

impl EventShape {
    fn new(event: AuditEvent, emails: &HashMap<String, String>) -> Self {
        // What stays sealed went with its customer.
        let (ip, user_agent) = (event.ip().map(str::to_owned), event.user_agent().map(str::to_owned));
        let AuditEvent { id, at, actor, action, object, outcome, fields, request_id, .. } = event;
        let Actor { kind, id: who, role } = actor;
        let actor = ActorShape { kind, email: emails.get(&who).cloned(), id: who, role };
        Self { id, at, actor, ip, user_agent, action, object, outcome, fields, request_id }
    }
}

/// The audit log, the latest day first.
///
/// A part may hold fewer events than `limit`, or none, and still have a `next_cursor`: what filters pass over was looked at
/// too, 1,000 events or 14 days at most. With `object` it goes by the thing's events alone, however old, the latest id first.
#[utoipa::path(get, path = "/v1/orgs/{org}/audit-events", tag = "audit-events", params(("org" = String, Path), Query),
    responses((status = 200, body = LogShape), Problems), security(("bearer" = [])))]
pub(crate) async fn list<T: Tables, K: KeyService>(staff: &Staff<'_, T, K>) -> Result<Response, Failed> {
    let (org, now) = (&staff.org, staff.caller.now);
    let deed = deed(Action::ReadAudit, "audit.list", Object::new("organisation", org));
    let query: Query = staff.taken(&deed, input::query(staff.request)).await?;
    let wanted = staff.taken(&deed, Wanted::of(&query)).await?;
    // Events of this very moment are of before its end.
    let to = query
        .to
        .unwrap_or(Timestamp::MAX)
        .min(now.saturating_add(jiff::SignedDuration::from_secs(1)).unwrap_or(now));
    let Query { actor, action, object, changes, .. } = &query;
    let filter = output::json(&("audit", query.from, query.to, actor, action, object, changes));

    let rows = vec![RowKey::AuditSeal, RowKey::AuditKept, RowKey::Holds];
    let visit = staff.desk.enter(&staff.caller, org, &deed, rows).await?;
    let holds = visit.book.get::<Holds>(&()).ok().flatten().cloned().unwrap_or_default();
    let kept = visit.book.get::<AuditKept>(&()).ok().flatten();
    let from = query.from.unwrap_or(Timestamp::MIN).max(log_since(&visit.org, &holds, kept, now));
    let after = staff.place(&visit, &deed, &filter, query.cursor.as_deref()).await?;
    let (span, after, limit) = (AuditSpan { from, to }, after.as_deref(), query.limit.get());
    let (store, wanted) = (staff.store(), |event: &AuditEvent| wanted.is(event));
    let read = match object.as_deref().filter(|id| *id != org.to_string()) {
        Some(object) => store.audit_of((org, object), *changes, span, after, limit, wanted).await,
        // Too much is about the organisation: the log of the days has it.
        None => store.audit(org, span, after, limit, wanted).await,
    };
    let AuditPage { events, next } = read.map_err(Refusal::from)?;
    let events = store.open_origins(org, events, now).await.map_err(Refusal::from)?;
    let emails =
        if query.expand.has(&OfEvents::Actors) { emails(staff, &events).await? } else { HashMap::new() };
    let (next_cursor, looked_back_to_on) = match next {
        Some(AuditNext { place, looked_back_to }) => {
            (Some(staff.desk.cursor(org, &filter, &place, now).await?), Some(looked_back_to))
        }
        None => (None, None),
    };
    staff.desk.record(&staff.caller, &visit, &deed, Outcome::Allowed).await?;
    let seal = visit.book.get::<AuditSeal>(&()).ok().flatten().map(|seal| SealShape {
        sealed_to: seal.to,
        events: seal.size,
        checkpoint: seal.note.clone(),
    });
    let data = events.into_iter().map(|event| EventShape::new(event, &emails)).collect();
    Ok(Response::json(200, output::json(&LogShape { data, next_cursor, looked_back_to_on, seal })))
}

/// The emails of the members who acted, by their ids, in two reads. Who is no member any more has none.
async fn emails<T: Tables, K: KeyService>(
    staff: &Staff<'_, T, K>,
    events: &[AuditEvent],
) -> Result<HashMap<String, String>, Refusal> {
    let members = events.iter().filter(|event| event.actor.kind == ActorKind::Member);
    let pointers: BTreeSet<_> =
        members.filter_map(|event| event.actor.id.parse().ok()).map(RowKey::MemberPointer).collect();
    let pointers = staff.store().read(&staff.org, pointers.into_iter().collect()).await?;
    let user = |(_, row)| match row {
        Some((Row::MemberPointer(pointer), _)) => Some(RowKey::Member(pointer.user)),
        _ => None,
    };
    let members = staff.store().read(&staff.org, pointers.into_iter().filter_map(user).collect()).await?;
    let mut emails = HashMap::new();
    for (row, _) in members.into_iter().filter_map(|(_, row)| row) {
        if let Row::Member(member) = row {
            let email = staff.store().open_email(&staff.org, &member, staff.caller.now).await?;
            emails.insert(member.id.to_string(), email);
        }
    }
    Ok(emails)
}

/// The events that are looked for.
struct Wanted<'a> {
    kind: Option<ActorKind>,
    actor: Option<&'a str>,
    action: Option<&'a str>,
    object: Option<&'a str>,
    changes: bool,
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
        let (action, object) = (query.action.as_deref(), query.object.as_deref());
        Ok(Self { kind, actor, action, object, changes: query.changes })
    }

    fn is(&self, event: &AuditEvent) -> bool {
        let of_actor = match (self.kind, self.actor) {
            (Some(kind), _) => event.actor.kind == kind,
            (None, actor) => actor.is_none_or(|id| event.actor.id == id),
        };
        let of_action = self.action.is_none_or(|action| {
            event.action == action || (action.ends_with('.') && event.action.starts_with(action))
        });
        let of_object = self.object.is_none_or(|id| event.object.id == id);
        of_actor && of_action && of_object && (event.is_change() || !self.changes)
    }
}
