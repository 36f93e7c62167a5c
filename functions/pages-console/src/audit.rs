//! The audit log, and what of it other pages show.

use std::collections::HashMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use plixo_domain::audit::{Actor, ActorKind, AuditEvent, Outcome};
use plixo_domain::id::MemberId;
use plixo_domain::people::Role;
use plixo_lambda::http::Response;
use plixo_pages::{AuditFilter, AuditLog, AuditRow, Errors, HistoryRow, Membership, Paging};
use plixo_web::ask::Problem;

use crate::shape::{AuditEvents, List, Logged, Member};
use crate::visit::{Failed, Visit, among};

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

    /// The email of a member, if it is one still.
    pub(crate) fn email(&self, member: &MemberId) -> Option<String> {
        self.0.get(&member.to_string()).cloned()
    }

    /// Who it is, as people know them.
    pub(crate) fn name(&self, actor: &Actor) -> String {
        self.0.get(&actor.id).cloned().unwrap_or_else(|| nameless(actor))
    }
}

/// Somebody whose email is not known.
fn nameless(actor: &Actor) -> String {
    let kind = match actor.kind {
        ActorKind::Member => return actor.role.as_deref().map_or_else(|| "A member".to_owned(), role),
        ActorKind::Operator => "An operator",
        ActorKind::Payer => "The payer",
        ActorKind::Provider => "The provider",
        ActorKind::Function => "Plixo",
    };
    kind.to_owned()
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

/// What was done to a thing, the latest first; `None` where the role may not read that.
pub(crate) async fn history(
    visit: &Visit<'_>,
    org: &Membership,
    object: String,
) -> Result<Option<Vec<HistoryRow>>, Problem> {
    if !org.may.read_audit {
        return Ok(None);
    }
    let query = [("object", object.as_str()), ("changes", "true"), ("expand", "actors"), ("limit", "100")];
    let part = visit.ask("GET", "audit-events").query(&query).send::<AuditEvents>().await?.body;
    let done = part.data.into_iter().filter(|it| it.outcome == Outcome::Allowed).map(Logged::split);
    let row = |(event, email): (AuditEvent, Option<String>)| HistoryRow {
        at: event.at,
        who: email.unwrap_or_else(|| nameless(&event.actor)),
        what: deed(&event),
    };
    Ok(Some(done.map(row).collect()))
}

/// What was done, in words.
fn deed(event: &AuditEvent) -> String {
    let fields = event.fields.join(", ").replace('_', " ");
    match event.action.as_str() {
        "invoice.create" => "wrote the draft".to_owned(),
        // Of a draft nothing is applied: somebody else than who wrote it told of money.
        "invoice.update" if event.fields == ["allocations"] => "told of a payment".to_owned(),
        "invoice.update" => format!("changed the draft: {fields}"),
        "invoice.finalize" => "finalized the invoice".to_owned(),
        "invoice.void" => "voided the invoice".to_owned(),
        "invoice.uncollectible" => "gave the invoice up".to_owned(),
        "checkout.begin" => "began to pay".to_owned(),
        "checkout.open" => "went to Stripe".to_owned(),
        "checkout.end" => "ended what was open at Stripe".to_owned(),
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
    let cursor = visit.query.text("cursor");
    let query = [
        ("from", from.as_str()),
        ("to", &to),
        ("actor", &filter.actor),
        ("action", &filter.action),
        ("object", &filter.object),
        ("expand", "actors"),
        ("cursor", cursor),
    ];
    let asked = match errors.any() {
        true => Ok(AuditEvents::default()),
        false => visit.ask("GET", "audit-events").query(&query).send().await.map(|it| it.body),
    };
    let (part, is_first) = match asked {
        Ok(part) => (part, errors.any() || cursor.is_empty()),
        Err(problem) if problem.status == 400 => {
            errors = problem.errors(among(&["from", "to", "actor", "action", "object"]));
            (AuditEvents::default(), true)
        }
        Err(problem) => return Err(problem.into()),
    };
    let AuditEvents { data, next_cursor, looked_back_to_on, seal } = part;
    let rows = data.into_iter().map(Logged::split).map(|(event, who)| AuditRow { who, event }).collect();
    let shown = AuditLog {
        frame: visit.frame()?,
        org,
        filter,
        rows,
        paging: Paging { next: next_cursor, is_first },
        looked_back_to: looked_back_to_on,
        sealed_to: seal.map(|seal| seal.sealed_to),
        errors,
    };
    Ok(Visit::shown(&shown.errors, shown.render()))
}

/// When a day begins that was typed, or the day after that.
pub(crate) fn begin(day: &str, later: i64, field: &str, errors: &mut Errors) -> String {
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
