//! Webhook endpoints and events, data sources, and the Stripe account.

use plixo_lambda::http::Response;
use plixo_pages::{
    ConnectedAccount, EndpointForm, EndpointRow, Errors, EventList, EventPage, EventRow, FreshSecret,
    Integrations, ProblemKind, SourceForm, SourceRow, provider_name,
};
use plixo_web::form::Form;
use serde_json::{Value, json};

use crate::shape::{Endpoint, Event, List, Source, StripeAccount};
use crate::visit::{Failed, Visit, among, tried};

/// The fields of a new endpoint that the API takes as they are, and those that it takes in `hmac`.
const FIELDS: [&str; 3] = ["account", "secret", "public_key"];
const HMAC: [&str; 5] = ["header", "prefix", "encoding", "digest", "timestamp_header"];

/// The field of the key with which payers pay on an organisation's Stripe account.
const KEY: &str = "restricted_key";

/// The fields of a new data source, and those by which one is connected again.
const SOURCE: [&str; 7] =
    ["name", "account", "tenant", "environment", "client_id", "client_secret", "refresh_token"];
const CREDENTIALS: [&str; 3] = ["client_id", "client_secret", "refresh_token"];

/// What was typed, or chosen, of what is to be added.
#[derive(Default)]
struct Typed {
    endpoint: EndpointForm,
    source: SourceForm,
}

/// Characters of what an event said that a page shows.
const LARGEST_SHOWN: usize = 64 * 1024;

pub(crate) async fn list(visit: &Visit<'_>) -> Result<Response, Failed> {
    let chosen = |name| visit.query.text(name).to_owned();
    let endpoint = EndpointForm { provider: chosen("provider"), ..EndpointForm::default() };
    let source = SourceForm { kind: chosen("source"), ..SourceForm::default() };
    page(visit, None, Typed { endpoint, source }, Errors::default()).await
}

async fn page(
    visit: &Visit<'_>,
    fresh: Option<FreshSecret>,
    typed: Typed,
    errors: Errors,
) -> Result<Response, Failed> {
    let listed = visit.list::<Endpoint>("webhook-endpoints", &[("limit", "100")]);
    let account = visit.ask("GET", "stripe-account").send::<StripeAccount>();
    let sources = visit.ask("GET", "data-sources").query(&[("limit", "100")]).send::<List<Source>>();
    let (org, (endpoints, paging), account, sources) =
        futures::try_join!(visit.membership(), listed, account, sources)?;
    let source = |it: Source| SourceRow {
        id: it.id,
        name: it.name,
        kind: it.kind,
        account: it.account,
        place: it.tenant.zip(it.environment),
        connected_at: it.connected_at,
        refused_at: it.refused_at,
    };
    let sources = sources.body.data.into_iter().map(source).collect();
    let StripeAccount { key_hint, connected_at, state } = account.body;
    let account = key_hint.zip(connected_at);
    let is_refused = state == "refused";
    let account =
        account.map(|(key_hint, connected_at)| ConnectedAccount { key_hint, connected_at, is_refused });
    let row = |it: Endpoint| EndpointRow {
        id: it.id,
        version: String::new(),
        provider: it.provider,
        url: it.url,
        account: it.account,
        hmac: it.hmac,
        state: it.state,
    };
    let endpoints = endpoints.into_iter().map(row).collect();
    let cursor = visit.query.text("cursor").to_owned();
    let frame = visit.frame()?;
    let Typed { endpoint: form, source: source_form } = typed;
    let shown = Integrations {
        frame,
        org,
        endpoints,
        paging,
        cursor,
        fresh,
        form,
        account,
        sources,
        source_form,
        errors,
    };
    Ok(Visit::shown(&shown.errors, shown.render()))
}

/// What the forms of the page do. A secret that Plixo made is on this answer and never again, so that it is no redirect.
pub(crate) async fn act(visit: &Visit<'_>, form: &Form) -> Result<Response, Failed> {
    let endpoint = form.text("endpoint");
    let of_endpoint = |method, below: &str| {
        visit.ask(method, &format!("webhook-endpoints/{{id}}{below}")).id("id", endpoint).of_form(form)
    };
    let verb = form.text("do");
    let asked = match verb {
        "connect" | "disconnect" => return connect(visit, form, verb == "connect").await,
        "connect_source" => return connect_source(visit, form).await,
        "reconnect_source" | "disconnect_source" => return change_source(visit, form, verb).await,
        "add" => {
            let mut body = filled(form, &FIELDS);
            body.insert("provider".to_owned(), form.text("provider").into());
            if form.has("header") {
                let mut hmac = filled(form, &HMAC);
                hmac.entry("header").or_insert("".into());
                body.insert("hmac".to_owned(), hmac.into());
            }
            visit.ask("POST", "webhook-endpoints").of_form(form).body(&body.into()).send::<Endpoint>().await
        }
        "rotate" => {
            let body = filled(form, &["secret", "public_key"]);
            of_endpoint("POST", "/rotate").body(&body.into()).send().await
        }
        "disable" => of_endpoint("PATCH", "").body(&json!({"state": "disabled"})).send().await,
        "enable" => of_endpoint("PATCH", "").body(&json!({"state": "enabled"})).send().await,
        _ => return Err(Failed::Own(ProblemKind::BadRequest)),
    };
    let field = |pointer: &str| match verb {
        "add" => among(&FIELDS)(pointer).or_else(|| among(&HMAC)(pointer)).filter(|name| form.has(name)),
        "rotate" => {
            let field = among(&["secret", "public_key"])(pointer).filter(|name| form.has(name))?;
            Some(format!("{field}-{endpoint}"))
        }
        _ => None,
    };
    let (errors, typed) = match tried(asked, field)? {
        Ok(_) if verb == "disable" => return Ok(visit.done_in_list("/integrations", "disabled")),
        Ok(_) if verb == "enable" => return Ok(visit.done_in_list("/integrations", "enabled")),
        Ok(made) => {
            let Endpoint { provider, url, secret, .. } = made.body;
            let fresh = FreshSecret { provider, url, secret, is_rotated: verb == "rotate" };
            return page(visit, Some(fresh), Typed::default(), Errors::default()).await;
        }
        Err(errors) if verb == "add" => (errors, form),
        Err(errors) => (errors, &Form::default()),
    };
    let raw = |name| typed.raw(name).to_owned();
    let endpoint = EndpointForm {
        provider: typed.text("provider").to_owned(),
        account: raw("account"),
        public_key: raw("public_key"),
        header: raw("header"),
        prefix: raw("prefix"),
        encoding: raw("encoding"),
        digest: raw("digest"),
        timestamp_header: raw("timestamp_header"),
    };
    page(visit, None, Typed { endpoint, ..Typed::default() }, errors).await
}

/// Those of the fields in which something was typed.
fn filled(form: &Form, names: &[&str]) -> serde_json::Map<String, Value> {
    let typed = names.iter().filter_map(|name| Some(((*name).to_owned(), form.some(name)?.into())));
    typed.collect()
}

/// Connects the Stripe account, or disconnects it. The key is never sent back.
async fn connect(visit: &Visit<'_>, form: &Form, is_on: bool) -> Result<Response, Failed> {
    let ask = visit.ask(if is_on { "PUT" } else { "DELETE" }, "stripe-account").of_form(form);
    let ask = if is_on { ask.body(&json!({KEY: form.text(KEY)})) } else { ask };
    match tried(ask.tell().await, among(&[KEY]))? {
        Ok(()) => Ok(visit.done_in_list("/integrations", if is_on { "connected" } else { "disconnected" })),
        Err(errors) => page(visit, None, Typed::default(), errors).await,
    }
}

/// Connects a data source. Its secret and its refresh token are never sent back.
async fn connect_source(visit: &Visit<'_>, form: &Form) -> Result<Response, Failed> {
    let mut body = filled(form, &SOURCE);
    for name in ["name", "account", "client_id", "client_secret"] {
        body.entry(name).or_insert("".into());
    }
    body.insert("kind".to_owned(), form.text("kind").into());
    let asked = visit.ask("POST", "data-sources").of_form(form).body(&body.into()).tell().await;
    let field = |pointer: &str| {
        let name = among(&SOURCE)(pointer).filter(|name| form.has(name))?;
        Some(format!("source-{name}"))
    };
    let errors = match tried(asked, field)? {
        Ok(()) => return Ok(visit.done_in_list("/integrations", "source")),
        Err(errors) => errors,
    };
    let raw = |name| form.raw(name).to_owned();
    let source = SourceForm {
        kind: form.text("kind").to_owned(),
        name: raw("name"),
        account: raw("account"),
        tenant: raw("tenant"),
        environment: raw("environment"),
        client_id: raw("client_id"),
    };
    page(visit, None, Typed { source, ..Typed::default() }, errors).await
}

/// Connects a data source again, or disconnects it.
async fn change_source(visit: &Visit<'_>, form: &Form, verb: &str) -> Result<Response, Failed> {
    let id = form.text("source");
    let is_on = verb == "reconnect_source";
    let ask =
        visit.ask(if is_on { "PATCH" } else { "DELETE" }, "data-sources/{id}").id("id", id).of_form(form);
    let asked = if is_on {
        let mut body = filled(form, &CREDENTIALS);
        for name in ["client_id", "client_secret"] {
            body.entry(name).or_insert("".into());
        }
        ask.body(&body.into()).tell().await
    } else {
        ask.tell().await
    };
    let field = |pointer: &str| {
        let name = among(&CREDENTIALS)(pointer).filter(|name| form.has(name))?;
        Some(format!("{name}-{id}"))
    };
    match tried(asked, field)? {
        Ok(()) => Ok(visit.done_in_list("/integrations", if is_on { "source-again" } else { "source-gone" })),
        Err(errors) => page(visit, None, Typed::default(), errors).await,
    }
}

pub(crate) async fn events(visit: &Visit<'_>) -> Result<Response, Failed> {
    let (org, list) = futures::try_join!(visit.membership(), visit.list::<Event>("webhook-events", &[]))?;
    let (rows, paging) = list;
    let row = |it: Event| EventRow {
        id: it.id,
        kind: it.kind,
        provider: provider_name(&it.provider).to_owned(),
        status: it.status,
        received_at: it.received_at,
    };
    let rows = rows.into_iter().map(row).collect();
    let shown = EventList { frame: visit.frame()?, org, rows, paging };
    Ok(Visit::shown(&Errors::default(), shown.render()))
}

pub(crate) async fn event(visit: &Visit<'_>) -> Result<Response, Failed> {
    event_page(visit, Errors::default()).await
}

pub(crate) async fn replay(visit: &Visit<'_>, form: &Form) -> Result<Response, Failed> {
    if form.text("do") != "replay" {
        return Err(Failed::Own(ProblemKind::BadRequest));
    }
    let id = visit.path("id");
    let asked = visit.ask("POST", "webhook-events/{id}/replay").id("id", id).of_form(form).tell().await;
    match tried(asked, |_| None)? {
        Ok(()) => Ok(visit.done(&format!("/webhook-events/{id}"), "replayed")),
        Err(errors) => event_page(visit, errors).await,
    }
}

/// JSON as people read it. What is large, or would be once it is spread out, is not; its beginning is enough to know it by.
fn readable(payload: &Value) -> String {
    let compact = payload.to_string();
    if compact.chars().count() > LARGEST_SHOWN {
        return compact.chars().take(LARGEST_SHOWN).chain(['…']).collect();
    }
    let spread = format!("{payload:#}");
    if spread.len() > 8 * LARGEST_SHOWN { compact } else { spread }
}

async fn event_page(visit: &Visit<'_>, errors: Errors) -> Result<Response, Failed> {
    let ask = visit.ask("GET", "webhook-events/{id}").id("id", visit.path("id"));
    let (org, found) = futures::try_join!(visit.membership(), ask.send::<Event>())?;
    let it = found.body;
    let shown = EventPage {
        frame: visit.frame()?,
        can_replay: org.may.manage_integrations,
        org,
        id: it.id,
        endpoint_id: it.endpoint_id,
        provider: provider_name(&it.provider).to_owned(),
        provider_event_id: it.provider_event_id,
        kind: it.kind,
        status: it.status,
        received_at: it.received_at,
        applied_at: it.applied_at,
        payload: it.payload.as_ref().map(readable),
        errors,
    };
    Ok(Visit::shown(&shown.errors, shown.render()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_event_said_is_spread_out_if_that_is_not_too_much() {
        assert_eq!(readable(&json!({"a": [1]})), "{\n  \"a\": [\n    1\n  ]\n}");
        let shown = readable(&json!("ä".repeat(2 * LARGEST_SHOWN)));
        assert!(
            shown.starts_with("\"ää") && shown.ends_with('…') && shown.chars().count() == LARGEST_SHOWN + 1
        );
        let deep = (0..100).fold(json!(vec![0; 20_000]), |inner, _| json!([inner]));
        assert_eq!(readable(&deep), deep.to_string());
    }
}
