//! One request of a browser about an organisation: what it asks the API, and what it says of it.

use std::cell::{Cell, RefCell};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use plixo_lambda::http::{Request, Response};
use plixo_lambda::line::Line;
use plixo_pages::{Errors, Frame, May, Membership, Paging, ProblemKind};
use plixo_web::ask::{self, Problem, Shown};
use plixo_web::form::Form;
use plixo_web::page;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::shape::{List, Organisation};
use crate::{Console, done};

/// Why a page is not shown.
pub(crate) enum Failed {
    /// What the API answered.
    Asked(Problem),
    /// What this function found out itself.
    Own(ProblemKind),
}

impl From<Problem> for Failed {
    fn from(problem: Problem) -> Self {
        Self::Asked(problem)
    }
}

impl Failed {
    pub(crate) const NOT_FOUND: Self = Self::Own(ProblemKind::NotFound);
}

/// A request, with the line that is written of it.
pub(crate) struct Visit<'a> {
    pub(crate) console: &'a Console,
    pub(crate) request: &'a Request,
    pub(crate) query: Form,
    blank: Line,
    line: RefCell<Line>,
    worst: Cell<u16>,
}

/// A request to the API, about the organisation that the page is about.
pub(crate) struct Ask<'a> {
    visit: &'a Visit<'a>,
    request: Request,
}

impl<'a> Visit<'a> {
    pub(crate) fn new(console: &'a Console, request: &'a Request, mut line: Line) -> Self {
        line.outcome = "done";
        let (query, blank) = (Form::query(request), line.clone());
        Self { console, request, query, blank, line: RefCell::new(line), worst: Cell::new(0) }
    }

    /// What is written of the request. Of what it asked, the worst answer says how it ended.
    pub(crate) fn into_line(self) -> Line {
        self.line.into_inner()
    }

    pub(crate) fn fail(&self, outcome: &'static str, kind: ProblemKind) -> Failed {
        self.line.borrow_mut().outcome = outcome;
        Failed::Own(kind)
    }

    /// A part of the page's own path.
    pub(crate) fn path(&self, name: &str) -> &str {
        self.request.path(name).unwrap_or_default()
    }

    /// The path of a page of this organisation.
    pub(crate) fn page(&self, rest: &str) -> String {
        format!("/orgs/{}{rest}", self.path("org"))
    }

    /// [`Visit::page`] with a query; what is empty is left out.
    pub(crate) fn page_with(&self, rest: &str, query: &[(&str, &str)]) -> String {
        let mut text = form_urlencoded::Serializer::new(String::new());
        let text = text.extend_pairs(query.iter().filter(|(_, value)| !value.is_empty())).finish();
        self.page(&format!("{rest}?{text}"))
    }

    /// The time of the request.
    pub(crate) fn now(&self) -> Timestamp {
        self.blank.timestamp
    }

    /// The day, UTC.
    pub(crate) fn today(&self) -> Date {
        self.blank.timestamp.to_zoned(TimeZone::UTC).date()
    }

    /// Asks `/v1/orgs/{org}`, and what is below it, for the organisation of the page's path.
    pub(crate) fn ask(&'a self, method: &str, below: &str) -> Ask<'a> {
        let slash = if below.is_empty() { "" } else { "/" };
        let request = self.request.asking(format!("{method} /v1/orgs/{{org}}{slash}{below}"));
        Ask { visit: self, request: request.at("org", self.path("org")) }
    }

    /// Asks about no organisation.
    pub(crate) fn ask_at_large(&'a self, method: &str, path: &str) -> Ask<'a> {
        Ask { visit: self, request: self.request.asking(format!("{method} {path}")) }
    }

    /// The frame of the page, with what the request before this one did.
    pub(crate) fn frame(&self) -> Result<Frame, Failed> {
        let done = done::sentence(self.query.text("done"));
        page::frame(self.console.entropy, done).ok_or(Failed::Own(ProblemKind::Internal))
    }

    /// Who looks.
    pub(crate) async fn membership(&'a self) -> Result<Membership, Problem> {
        self.organisation().await.map(|org| membership(&org.body))
    }

    pub(crate) async fn organisation(&'a self) -> Result<Shown<Organisation>, Problem> {
        self.ask("GET", "").send().await
    }

    /// A part of a list, and where it stands: the page's query says where it begins.
    pub(crate) async fn list<T: DeserializeOwned>(
        &'a self,
        below: &str,
        filter: &[(&str, &str)],
    ) -> Result<(Vec<T>, Paging), Problem> {
        self.part(self.ask("GET", below).query(filter)).await
    }

    /// [`Visit::list`], of any list.
    pub(crate) async fn part<T: DeserializeOwned>(
        &'a self,
        ask: Ask<'a>,
    ) -> Result<(Vec<T>, Paging), Problem> {
        let cursor = self.query.text("cursor");
        let List { data, next_cursor } = ask.query(&[("cursor", cursor)]).send().await?.body;
        Ok((data, Paging { next: next_cursor, is_first: cursor.is_empty() }))
    }

    /// A page, with what the request before this one did gone where something is wrong with this one.
    pub(crate) fn shown(errors: &Errors, html: String) -> Response {
        let status = match errors.any() {
            true if errors.is_stale() => 412,
            true => 400,
            false => 200,
        };
        page::page(status, html)
    }

    /// Where one goes when something was done: to a page that says so.
    pub(crate) fn done(&self, rest: &str, code: &str) -> Response {
        Response::redirect(303, self.page(&format!("{rest}?done={code}")))
    }

    /// [`Visit::done`], to the part of a list that the form stood in.
    pub(crate) fn done_in_list(&self, rest: &str, code: &str) -> Response {
        let query = [("cursor", self.query.text("cursor")), ("done", code)];
        Response::redirect(303, self.page_with(rest, &query))
    }
}

pub(crate) fn membership(org: &Organisation) -> Membership {
    let may = |action: &str| org.you.may.iter().any(|own| own == action);
    Membership {
        id: org.id,
        name: org.name.clone(),
        email: Some(org.you.email.clone()),
        role: org.you.role,
        may: May {
            read_ledger: may("read_ledger"),
            write_ledger: may("write_ledger"),
            manage_integrations: may("manage_integrations"),
            manage_organisation: may("manage_organisation"),
            read_audit: may("read_audit"),
            request_exports: may("request_export"),
            approve_exports: may("approve_export"),
            manage_privacy: may("manage_privacy"),
        },
        has_others: true,
        closed_until: org.closed.as_ref().map(|closed| closed.until),
    }
}

/// What was wrong with what was typed, or what was done.
pub(crate) type Tried<T> = Result<T, Errors>;

/// Tells what can be mended on the page from what cannot.
pub(crate) fn tried<T>(
    asked: Result<T, Problem>,
    field: impl Fn(&str) -> Option<String>,
) -> Result<Tried<T>, Failed> {
    match asked {
        Ok(done) => Ok(Ok(done)),
        Err(problem) if problem.can_be_mended() => Ok(Err(problem.errors(field))),
        Err(problem) => Err(problem.into()),
    }
}

/// The field that the last part of a pointer names, if the form has it.
pub(crate) fn among<'a>(fields: &'a [&'a str]) -> impl Fn(&str) -> Option<String> + 'a {
    move |pointer| {
        let name = pointer.rsplit('/').next()?;
        fields.contains(&name).then(|| name.to_owned())
    }
}

/// What the role does not allow is no page; the API checks all the same when it is sent.
pub(crate) fn allowed(may: bool) -> Result<(), Failed> {
    if may { Ok(()) } else { Err(Failed::Own(ProblemKind::Forbidden)) }
}

impl Ask<'_> {
    /// With the id that the route names.
    pub(crate) fn id(mut self, name: &str, id: impl ToString) -> Self {
        self.request = self.request.at(name, id.to_string());
        self
    }

    /// With more of a query; what is empty is left out.
    pub(crate) fn query(mut self, pairs: &[(&str, &str)]) -> Self {
        let before = self.request.query().to_owned();
        let mut query = form_urlencoded::Serializer::new(before);
        query.extend_pairs(pairs.iter().filter(|(_, value)| !value.is_empty()));
        self.request = self.request.with_query(query.finish());
        self
    }

    /// As the form says: its key, so that sending it twice does it once, and the version that it showed.
    pub(crate) fn of_form(mut self, form: &Form) -> Self {
        for (field, header) in [("idempotency_key", "idempotency-key"), ("version", "if-match")] {
            if let Some(value) = form.some(field) {
                self.request = self.request.with_header(header, value);
            }
        }
        self
    }

    /// As one of several things says that the form does: each has a key of its own.
    pub(crate) fn of_form_part(mut self, form: &Form, part: &str) -> Self {
        if let Some(key) = form.some("idempotency_key") {
            self.request = self.request.with_header("idempotency-key", format!("{key}.{part}"));
        }
        self
    }

    /// With a body.
    pub(crate) fn body(mut self, body: &Value) -> Self {
        self.request = self.request.with_json(body.to_string());
        self
    }

    /// With a PNG as its body.
    pub(crate) fn png(mut self, image: &[u8]) -> Self {
        self.request = self.request.with_bytes("image/png", image);
        self
    }

    /// The answer.
    pub(crate) async fn send<T: DeserializeOwned>(self) -> Result<Shown<T>, Problem> {
        ask::read(&self.answer().await)
    }

    /// Whether it was done.
    pub(crate) async fn tell(self) -> Result<(), Problem> {
        ask::done(&self.answer().await)
    }

    /// The answer, where it is text.
    pub(crate) async fn text(self) -> Result<String, Problem> {
        let answer = self.answer().await;
        ask::done(&answer)?;
        Ok(answer.body().to_owned())
    }

    /// Where it leads.
    pub(crate) async fn location(self) -> Result<String, Problem> {
        let answer = self.answer().await;
        ask::done(&answer)?;
        answer.header("location").map(str::to_owned).ok_or_else(Problem::internal)
    }

    async fn answer(self) -> Response {
        let visit = self.visit;
        let (response, told) = visit.console.answer(self.request, visit.blank.clone()).await;
        let mut line = visit.line.borrow_mut();
        line.who = told.who.or(line.who.take());
        line.org = told.org.or(line.org.take());
        if response.status() >= 400 && response.status() > visit.worst.get() {
            visit.worst.set(response.status());
            (line.outcome, line.error) = (told.outcome, told.error);
        }
        response
    }
}
