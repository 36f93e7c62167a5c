//! The audit log, and what of it other pages show.

use std::collections::HashMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use plixo_domain::audit::{Actor, ActorKind, AuditEvent, Outcome};
use plixo_domain::people::Role;
use plixo_lambda::http::Response;
use plixo_pages::{AuditFilter, AuditLog, AuditRow, Errors, HistoryRow, Membership, Paging};
use plixo_web::ask::Problem;

use crate::shape::{List, Member};
use crate::visit::{Failed, Visit, among};

/// So many parts of the log are looked through for the history of one thing.
const PARTS: usize = 3;

/// The emails of members, by their ids, for those who may know them.
#[derive(Default)]
pub(crate) struct People(HashMap<String, String>);

impl People {
    pub(crate) async fn of(visit: &Visit<'_>, org: &Membership) -> Result<Self, Problem> {
        if !org.may.manage_organisation {
            return Ok(Self::default());
        }
        let listed = visit.ask("GET", "members").query(&[("limit", "100")]).send::<List<Member>>().await?;
        let emails = listed.body.data.into_iter().filter_map(|it| Some((it.id.to_string(), it.email?)));
        Ok(Self(emails.collect()))
    }

    /// Who it is, as people know them.
    pub(crate) fn name(&self, actor: &Actor) -> String {
        self.email(actor).unwrap_or_else(|| match actor.kind {
            ActorKind::Member => actor.role.as_deref().map_or_else(|| "A member".to_owned(), role),
            ActorKind::Operator => "An operator".to_owned(),
            ActorKind::Payer => "The payer".to_owned(),
            ActorKind::Provider => "The provider".to_owned(),
            ActorKind::Function => "Plixo".to_owned(),
        })
    }

    fn email(&self, actor: &Actor) -> Option<String> {
        self.0.get(&actor.id).cloned()
    }
}

fn role(word: &str) -> String {
    let name = match word.parse() {
        Ok(Role::Controller) => "A Controller",
        Ok(Role::BillingAdmin) => "A Billing Admin",
        Ok(Role::Cfo) => "The CFO",
        Ok(Role::Compliance) => "Somebody of Compliance",
        Ok(Role::Viewer) => "A Viewer",
        Err(_) => "A member",
    };
    name.to_owned()
}

/// What was done to a thing lately, the latest first; `None` where the role may not read that.
pub(crate) async fn history(
    visit: &Visit<'_>,
    org: &Membership,
    object: String,
) -> Result<Option<Vec<HistoryRow>>, Problem> {
    if !org.may.read_audit {
        return Ok(None);
    }
    let (people, events) = futures::try_join!(People::of(visit, org), events_of(visit, &object))?;
    let is_change = |it: &AuditEvent| it.outcome == Outcome::Allowed && !it.action.ends_with(".read");
    let rows = events.into_iter().filter(is_change).map(|event| HistoryRow {
        at: event.at,
        who: people.name(&event.actor),
        what: deed(&event),
    });
    Ok(Some(rows.collect()))
}

async fn events_of(visit: &Visit<'_>, object: &str) -> Result<Vec<AuditEvent>, Problem> {
    let (mut events, mut cursor) = (Vec::new(), String::new());
    // A part of the log has an end even where nothing fits.
    for _ in 0..PARTS {
        let query = [("object", object), ("limit", "100"), ("cursor", &cursor)];
        let part = visit.ask("GET", "audit-events").query(&query).send::<List<AuditEvent>>().await?.body;
        events.extend(part.data);
        match part.next_cursor {
            Some(next) => cursor = next,
            None => break,
        }
    }
    Ok(events)
}

/// What was done, in words.
fn deed(event: &AuditEvent) -> String {
    let fields = event.fields.join(", ").replace('_', " ");
    match event.action.as_str() {
        "invoice.create" => "wrote the draft".to_owned(),
        "invoice.update" => format!("changed the draft: {fields}"),
        "invoice.finalize" => "finalized the invoice".to_owned(),
        "invoice.void" => "voided the invoice".to_owned(),
        "invoice.uncollectible" => "gave the invoice up".to_owned(),
        "allocation.create" => "applied a payment".to_owned(),
        "allocation.delete" => "took an allocation back".to_owned(),
        other if fields.is_empty() => other.replace(['.', '_'], " "),
        other => format!("{}: {fields}", other.replace(['.', '_'], " ")),
    }
}

pub(crate) async fn list(visit: &Visit<'_>) -> Result<Response, Failed> {
    let text = |name: &str| visit.query.text(name).to_owned();
    let filter = AuditFilter {
        from: text("from"),
        to: text("to"),
        actor: text("actor"),
        action: text("action"),
        object: text("object"),
    };
    let org = visit.membership().await?;
    let mut errors = Errors::default();
    let from = begin(&filter.from, 0, "from", &mut errors);
    let to = begin(&filter.to, 1, "to", &mut errors);
    let query = [
        ("from", from.as_str()),
        ("to", &to),
        ("actor", &filter.actor),
        ("action", &filter.action),
        ("object", &filter.object),
    ];
    let asked = match errors.any() {
        true => Ok((Vec::new(), Paging { next: None, is_first: true })),
        false => visit.list::<AuditEvent>("audit-events", &query).await,
    };
    let (events, paging) = match asked {
        Ok(asked) => asked,
        Err(problem) if problem.status == 400 => {
            errors = problem.errors(among(&["from", "to", "actor", "action", "object"]));
            (Vec::new(), Paging { next: None, is_first: true })
        }
        Err(problem) => return Err(problem.into()),
    };
    let people = People::of(visit, &org).await?;
    let row = |event: AuditEvent| AuditRow { who: people.email(&event.actor), event };
    let rows = events.into_iter().map(row).collect();
    let shown = AuditLog { frame: visit.frame()?, org, filter, rows, paging, errors };
    Ok(Visit::shown(&shown.errors, shown.render()))
}

/// When a day begins that was typed, or the day after that.
fn begin(day: &str, later: i64, field: &str, errors: &mut Errors) -> String {
    if day.is_empty() {
        return String::new();
    }
    let days = jiff::Span::new().try_days(later);
    let date = day.parse::<Date>().and_then(|day| day.checked_add(days?)).ok();
    match date.and_then(|day| day.to_zoned(TimeZone::UTC).ok()) {
        Some(begin) => begin.timestamp().to_string(),
        None => {
            *errors = std::mem::take(errors).field(field, "Enter a day, such as 2026-11-21");
            String::new()
        }
    }
}
