//! For how long things are kept.

use plixo_domain::retention::Class;
use plixo_lambda::http::Response;
use plixo_pages::{Errors, RetentionEffect, RetentionPage, RetentionRow};
use plixo_web::form::Form;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use crate::shape::{Due, Kept, Whole};
use crate::visit::{Failed, Visit, among, tried};

const WORDS: [&str; 8] = [
    "webhook_payload",
    "portal_link",
    "notice",
    "export_file",
    "customer_personal_data",
    "invoice",
    "payment",
    "audit_event",
];

pub(crate) async fn show(visit: &Visit<'_>) -> Result<Response, Failed> {
    let is_preview = WORDS.iter().any(|word| visit.query.has(word));
    page(visit, &visit.query, is_preview, Errors::default()).await
}

/// The page, with what the days that were typed would do, if that is asked for and they are days.
async fn page(
    visit: &Visit<'_>,
    typed: &Form,
    is_preview: bool,
    mut errors: Errors,
) -> Result<Response, Failed> {
    let asked = visit.ask("GET", "retention").send::<Whole<Kept>>();
    let (org, found) = futures::try_join!(visit.membership(), asked)?;
    let (version, policy) = (found.version, found.body.data);
    let mut would = Vec::new();
    if is_preview {
        let wrong = not_days(typed);
        if wrong.any() {
            errors = wrong;
        } else {
            let days: Vec<_> = WORDS.iter().map(|word| (*word, typed.text(word))).collect();
            let asked = visit.ask("GET", "retention/preview").query(&days).send::<Whole<Due>>().await;
            match tried(asked, among(&WORDS))? {
                Ok(due) => would = due.body.data,
                Err(wrong) => errors = wrong,
            }
        }
    }
    let effect = |class: Class| {
        let due = would.iter().find(|due| due.class == class)?;
        Some(RetentionEffect { days: due.days, due: due.due, or_more: due.or_more, held: due.held })
    };
    let row = |it: Kept| RetentionRow {
        class: it.class,
        days: it.days,
        usual_days: it.usual_days,
        least_days: it.least_days,
        most_days: it.most_days,
        typed: match typed.has(it.class.as_str()) {
            true => typed.raw(it.class.as_str()).to_owned(),
            false => it.days.to_string(),
        },
        effect: effect(it.class),
    };
    let rows = policy.into_iter().map(row).collect();
    let shown = RetentionPage { frame: visit.frame()?, org, version, rows, errors };
    Ok(Visit::shown(&shown.errors, shown.render()))
}

/// What of the days that were typed is no number; what was not typed at all stays as it is.
fn not_days(typed: &Form) -> Errors {
    let is_number = |word: &&&str| !typed.has(word) || typed.text(word).parse::<u16>().is_ok();
    let wrong = WORDS.iter().filter(|word| !is_number(word));
    wrong.fold(Errors::default(), |errors, word| errors.field(*word, "Enter a whole number of days"))
}

pub(crate) async fn save(visit: &Visit<'_>, form: &Form) -> Result<Response, Failed> {
    let wrong = not_days(form);
    if wrong.any() {
        return page(visit, form, false, wrong).await;
    }
    let days = WORDS.iter().filter_map(|word| Some((*word, form.text(word).parse::<u16>().ok()?)));
    let body: Map<_, _> = days.map(|(word, days)| (word.to_owned(), days.into())).collect();
    let saved = visit.ask("PUT", "retention").of_form(form).body(&Value::Object(body));
    match tried(saved.send::<IgnoredAny>().await, among(&WORDS))? {
        Ok(_) => Ok(visit.done("/retention", "retention")),
        // What it would do now is looked at anew, before it is saved over what somebody else saved.
        Err(errors) if errors.is_stale() => {
            page(visit, form, true, errors.stale_at(visit.page("/retention"))).await
        }
        Err(errors) => page(visit, form, false, errors).await,
    }
}
