//! Organisations, their members and settings.

use plixo_domain::ledger::AllocationOrder;
use plixo_domain::people::{MemberState, Role};
use plixo_lambda::http::Response;
use plixo_pages::{
    CashForm, ClosedOrganisation, Errors, InviteForm, MemberRow, Members, Membership, MoneyOverview, Month,
    OrganisationRow, Organisations, ProblemKind, SettingsPage,
};
use plixo_web::ask::Problem;
use plixo_web::form::{File, Form};
use serde::de::IgnoredAny;
use serde_json::json;

use crate::audit::People;
use crate::shape::{CurrencyOverview, Member, Organisation, Overview, OwnOrganisation};
use crate::visit::{Failed, Visit, allowed, among, membership, tried};

pub(crate) async fn list(visit: &Visit<'_>) -> Result<Response, Failed> {
    let ask = visit.ask_at_large("GET", "/v1/orgs").query(&[("limit", "100")]);
    let (own, paging) = visit.part::<OwnOrganisation>(ask).await?;
    let row = |it: OwnOrganisation| OrganisationRow {
        id: it.id,
        name: it.name,
        role: it.role,
        residency: it.residency,
    };
    let rows = own.into_iter().map(row).collect();
    let shown = Organisations { frame: visit.frame()?, email: None, rows, paging };
    Ok(Visit::shown(&Errors::default(), shown.render()))
}

/// The overview: of a new organisation without figures, for there is no money yet.
pub(crate) async fn overview(visit: &Visit<'_>) -> Result<Response, Failed> {
    let (org, overview) =
        futures::try_join!(visit.membership(), visit.ask("GET", "overview").send::<Overview>())?;
    let month = |it: crate::shape::Month| {
        let first_day = format!("{}-01", it.month).parse().ok()?;
        Some(Month { first_day, received: it.received.amount })
    };
    let money = |it: CurrencyOverview| MoneyOverview {
        currency: it.currency,
        months: it.months.into_iter().filter_map(month).collect(),
        open: it.open.amount,
        overdue: it.overdue.amount,
    };
    let currencies = overview.body.currencies.into_iter().map(money).collect();
    let shown = plixo_pages::Overview { frame: visit.frame()?, org, currencies };
    Ok(Visit::shown(&Errors::default(), shown.render()))
}

pub(crate) async fn members(visit: &Visit<'_>) -> Result<Response, Failed> {
    let invite = InviteForm { email: String::new(), role: Role::Viewer };
    members_page(visit, invite, Errors::default()).await
}

async fn members_page(visit: &Visit<'_>, invite: InviteForm, errors: Errors) -> Result<Response, Failed> {
    let listed = visit.list::<Member>("members", &[("limit", "100")]);
    let (own, (list, paging)) = futures::try_join!(visit.organisation(), listed)?;
    let own = own.body;
    let active = |it: &&Member| it.role == Role::Controller && it.state == MemberState::Active;
    // Of more than a page of members, the API knows which Controller is the last.
    let is_all = paging.is_first && paging.next.is_none();
    let is_last = is_all && list.iter().filter(active).count() < 2;
    let row = |it: Member| MemberRow {
        is_last_controller: is_last && active(&&it),
        is_self: it.id == own.you.member_id,
        id: it.id,
        version: it.etag.unwrap_or_default(),
        email: it.email.unwrap_or_default(),
        role: it.role,
        state: it.state,
    };
    let rows = list.into_iter().map(row).collect();
    let (org, cursor) = (membership(&own), visit.query.text("cursor").to_owned());
    let shown = Members { frame: visit.frame()?, org, rows, paging, cursor, invite, errors };
    Ok(Visit::shown(&shown.errors, shown.render()))
}

pub(crate) async fn change_members(visit: &Visit<'_>, form: &Form) -> Result<Response, Failed> {
    let (member, role) = (form.text("member"), form.text("role"));
    let of_member = |method| visit.ask(method, "members/{id}").id("id", member).of_form(form);
    let (asked, code) = match form.text("do") {
        "invite" => {
            let body = json!({"email": form.text("email"), "role": role});
            (visit.ask("POST", "members").of_form(form).body(&body).tell().await, "invited")
        }
        "change_role" => (of_member("PATCH").body(&json!({"role": role})).tell().await, "role"),
        "remove" => (of_member("DELETE").tell().await, "removed"),
        _ => return Err(Failed::Own(ProblemKind::BadRequest)),
    };
    let field = |pointer: &str| match code {
        "invited" => among(&["email", "role"])(pointer),
        "role" => Some(format!("role-{member}")),
        _ => None,
    };
    match tried(asked, field)? {
        // Who is new is on the first page.
        Ok(()) if code == "invited" => Ok(visit.done("/members", code)),
        Ok(()) => Ok(visit.done_in_list("/members", code)),
        Err(errors) => {
            let typed = if code == "invited" { form.text("email") } else { "" };
            let role = role.parse().ok().filter(|_| code == "invited").unwrap_or(Role::Viewer);
            members_page(visit, InviteForm { email: typed.to_owned(), role }, errors).await
        }
    }
}

pub(crate) async fn settings(visit: &Visit<'_>) -> Result<Response, Failed> {
    settings_page(visit, Errors::default(), None, "").await
}

/// The page, with what was typed of how payments are applied, and the version that it was typed over.
async fn settings_page(
    visit: &Visit<'_>,
    errors: Errors,
    typed: Option<(CashForm, String)>,
    close_name: &str,
) -> Result<Response, Failed> {
    let found = visit.organisation().await?;
    let (typed, seen) = typed.unzip();
    let (version, errors) = match errors.is_stale() {
        true => (found.version, errors.stale_at(visit.page("/settings"))),
        false => (seen.unwrap_or(found.version), errors),
    };
    let org = membership(&found.body);
    allowed(org.may.manage_organisation)?;
    let closed = closed(visit, &found.body, &org).await?;
    let shown = SettingsPage {
        frame: visit.frame()?,
        closed,
        close_name: close_name.to_owned(),
        version,
        name: org.name.clone(),
        cash: typed.unwrap_or_else(|| found.body.settings.cash_application.into()),
        ip_allow_list: found.body.settings.ip_allow_list.join("\n"),
        require_two_factor: found.body.settings.require_two_factor,
        residency: found.body.residency,
        own_ip: visit.request.ip().map(str::to_owned),
        logo: found.body.logo_url,
        org,
        errors,
    };
    Ok(Visit::shown(&shown.errors, shown.render()))
}

/// That the organisation is closed, with who closed it as people know them.
async fn closed(
    visit: &Visit<'_>,
    organisation: &Organisation,
    org: &Membership,
) -> Result<Option<ClosedOrganisation>, Problem> {
    let Some(closed) = &organisation.closed else { return Ok(None) };
    let by = People::of(visit, org).await?.email(&closed.by);
    Ok(Some(ClosedOrganisation { by, at: closed.at, until: closed.until }))
}

pub(crate) async fn change_settings(visit: &Visit<'_>, form: &Form) -> Result<Response, Failed> {
    match form.text("do") {
        "save" => save_settings(visit, form).await,
        "cash" => save_cash(visit, form).await,
        "logo" => save_logo(visit, form).await,
        "remove_logo" => {
            visit.ask("DELETE", "logo").of_form(form).tell().await?;
            Ok(visit.done("/settings", "logo-removed"))
        }
        "close" => {
            let body = json!({"name": form.text("close_name")});
            let asked = visit.ask("POST", "close").of_form(form).body(&body).tell().await;
            match tried(asked, |pointer| (pointer == "/name").then(|| "close_name".to_owned()))? {
                Ok(()) => Ok(visit.done("/settings", "closed")),
                Err(errors) => settings_page(visit, errors, None, form.raw("close_name")).await,
            }
        }
        "reopen" => match tried(visit.ask("POST", "reopen").of_form(form).tell().await, |_| None)? {
            Ok(()) => Ok(visit.done("/settings", "reopened")),
            Err(errors) => settings_page(visit, errors, None, "").await,
        },
        _ => Err(Failed::Own(ProblemKind::BadRequest)),
    }
}

async fn save_logo(visit: &Visit<'_>, form: &Form) -> Result<Response, Failed> {
    const TOO_LARGE: &str =
        "The image has more than 9,000 bytes: make it smaller, or draw it with fewer colours";
    let image = match form.file("logo") {
        Some(File::Whole(image)) if !image.is_empty() => Ok(image),
        Some(File::TooLarge) => Err(TOO_LARGE),
        _ => Err("Choose an image"),
    };
    let errors = match image {
        Err(advice) => Errors::default().field("logo", advice),
        Ok(image) => match visit.ask("PUT", "logo").of_form(form).png(image).tell().await {
            Err(problem) if problem.status == 413 => Errors::default().field("logo", TOO_LARGE),
            asked => match tried(asked, |_| Some("logo".to_owned()))? {
                Ok(()) => return Ok(visit.done("/settings", "logo")),
                Err(errors) => errors,
            },
        },
    };
    settings_page(visit, errors, None, "").await
}

async fn save_cash(visit: &Visit<'_>, form: &Form) -> Result<Response, Failed> {
    let filled = |name| Some(form.text(name)).filter(|text| !text.is_empty());
    let automatic = form.text("automatic") == "on";
    let body = json!({"settings": {"cash_application": {
        "automatic": automatic, "threshold": form.text("threshold"), "order": form.text("order"),
        "underpayment_tolerance": {"percent": filled("percent"), "amount": filled("amount")},
    }}});
    let saved = visit.ask("PATCH", "").of_form(form).body(&body).send::<IgnoredAny>().await;
    match tried(saved, among(&["automatic", "threshold", "percent", "amount", "order"]))? {
        Ok(_) => Ok(visit.done("/settings", "settings")),
        Err(errors) => {
            let typed = |name| form.raw(name).to_owned();
            let chosen = AllocationOrder::ALL.into_iter().find(|it| it.as_str() == form.text("order"));
            let cash = CashForm {
                automatic,
                threshold: typed("threshold"),
                percent: typed("percent"),
                amount: typed("amount"),
                order: chosen.unwrap_or_default(),
            };
            settings_page(visit, errors, Some((cash, typed("version"))), "").await
        }
    }
}

async fn save_settings(visit: &Visit<'_>, form: &Form) -> Result<Response, Failed> {
    let networks: Vec<_> =
        form.raw("ip_allow_list").lines().map(str::trim).filter(|it| !it.is_empty()).collect();
    let require_two_factor = form.text("require_two_factor") == "on";
    let body = json!({
        "name": form.text("name"),
        "settings": {"ip_allow_list": networks, "require_two_factor": require_two_factor},
    });
    let saved = visit.ask("PATCH", "").of_form(form).body(&body).send::<IgnoredAny>().await;
    // A network's pointer ends with its place in the list.
    let field = |pointer: &str| match pointer.strip_prefix("/settings/ip_allow_list") {
        Some(_) => Some("ip_allow_list".to_owned()),
        None => among(&["name", "require_two_factor"])(pointer),
    };
    let errors = match tried(saved, field)? {
        Ok(_) => return Ok(visit.done("/settings", "settings")),
        Err(errors) => errors,
    };
    let found = visit.organisation().await?;
    let (version, errors) = match errors.is_stale() {
        true => (found.version, errors.stale_at(visit.page("/settings"))),
        false => (form.text("version").to_owned(), errors),
    };
    let found = found.body;
    let org = membership(&found);
    let shown = SettingsPage {
        frame: visit.frame()?,
        closed: closed(visit, &found, &org).await?,
        close_name: String::new(),
        org,
        version,
        name: form.raw("name").to_owned(),
        ip_allow_list: form.raw("ip_allow_list").to_owned(),
        require_two_factor,
        residency: found.residency,
        own_ip: visit.request.ip().map(str::to_owned),
        cash: found.settings.cash_application.into(),
        logo: found.logo_url,
        errors,
    };
    Ok(Visit::shown(&shown.errors, shown.render()))
}
