#![doc = include_str!("../README.md")]

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use plixo_aws::AwsError;
use plixo_aws::jwks::FetchKeys;
use plixo_identity::token::{Keys, Session, TokenError, Verifier};
use plixo_lambda::line::{Embedded, Level, Line, millis};
use plixo_lambda::{clock, line};
use serde::{Deserialize, Serialize};

/// This function's name.
pub const FUNCTION: &str = "authorizer";
/// The cookie in which browsers carry the access token.
pub const COOKIE: &str = "__Host-plixo-access";
/// Keys are asked for this often at most, whoever makes their names up.
const ASK_AGAIN: SignedDuration = SignedDuration::from_secs(60);
/// Keys that are older are asked for again: one that is published no more is believed no longer than that.
const FRESH: SignedDuration = SignedDuration::from_hours(1);
/// Keys that are older are believed no more. Until then those go on that are there while new ones cannot be had, and the
/// alarm rings.
const OLDEST: SignedDuration = SignedDuration::from_hours(4);

/// What API Gateway asks
/// ([payload 2.0](https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-lambda-authorizer.html)).
#[derive(Debug, Clone, Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct Question {
    headers: std::collections::HashMap<String, String>,
    cookies: Vec<String>,
    request_context: Context,
}

#[derive(Debug, Clone, Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Context {
    request_id: String,
    http: HttpContext,
}

#[derive(Debug, Clone, Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct HttpContext {
    source_ip: Option<String>,
}

/// What API Gateway hands on. It always lets the request through: functions answer 401 themselves, because the gateway's
/// own 401 is no problem+json.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    is_authorized: bool,
    context: Said,
}

/// What functions learn: a session, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Said {
    /// Somebody.
    Known {
        /// The person's `sub`.
        user: String,
        /// The sign-in's name.
        session: String,
        /// When it was, RFC 3339.
        signed_in_at: String,
        /// When the token ends, RFC 3339.
        expires_at: String,
        /// `bearer` or `cookie`: where the token stood. A browser sends a cookie by itself, whoever makes it do so.
        by: &'static str,
        /// `true` for an operator.
        #[serde(skip_serializing_if = "Option::is_none")]
        operator: Option<&'static str>,
    },
    /// Nobody.
    Refused {
        /// `missing`, `invalid`, `expired`, or `unavailable` where nobody can tell.
        refused: &'static str,
    },
}

impl Verdict {
    fn known(session: Session, by: &'static str) -> Self {
        let context = Said::Known {
            user: session.user.to_string(),
            session: session.session,
            signed_in_at: session.signed_in_at.to_string(),
            expires_at: session.expires_at.to_string(),
            by,
            operator: session.operator.then_some("true"),
        };
        Self { is_authorized: true, context }
    }

    fn refused(refused: &'static str) -> Self {
        Self { is_authorized: true, context: Said::Refused { refused } }
    }

    /// What functions learn.
    #[must_use]
    pub fn said(&self) -> &Said {
        &self.context
    }
}

/// Believes tokens with keys that it keeps.
#[derive(Debug)]
pub struct Authorizer<F> {
    verifier: Verifier,
    source: F,
    kept: RefCell<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    keys: Arc<Keys>,
    fetched_at: Option<Timestamp>,
    asked_at: Option<Timestamp>,
}

/// Why a token is not believed.
enum Refused {
    /// For what it is.
    Token(TokenError),
    /// Nobody can tell, without keys that may be believed.
    NoKeys,
}

impl<F: FetchKeys> Authorizer<F> {
    /// An authorizer without keys, which asks `source` for them when it needs them.
    pub fn new(verifier: Verifier, source: F) -> Self {
        Self { verifier, source, kept: RefCell::default() }
    }

    /// Fetches the keys.
    ///
    /// # Errors
    /// [`AwsError`]; the keys that were kept stay.
    pub async fn fetch(&self, now: Timestamp) -> Result<(), AwsError> {
        self.kept.borrow_mut().asked_at = Some(now);
        let fetched = self.source.fetch_keys().await?;
        let keys = Keys::parse(&fetched)
            .map_err(|error| AwsError::Refused { service: "Cognito's keys", cause: error.to_string() })?;
        let mut kept = self.kept.borrow_mut();
        (kept.keys, kept.fetched_at) = (Arc::new(keys), Some(now));
        Ok(())
    }

    /// Answers one question, and writes its line.
    pub async fn answer(&self, question: Question) -> Verdict {
        let (began, at) = (clock::instant(), clock::now());
        let line = Line {
            function: FUNCTION,
            span: "authorizer",
            timestamp: at,
            request_id: question.request_context.request_id.clone(),
            ip: question.request_context.http.source_ip.clone(),
            embedded: Embedded { timestamp: at.as_millisecond() },
            metrics: line::Metrics { requests: 1, ..line::Metrics::default() },
            ..Line::default()
        };
        let (verdict, mut line) = self.judge(&question, line).await;
        line.metrics.duration_ms = millis(began.elapsed());
        line.emit();
        verdict
    }

    /// Answers one question at the line's time.
    pub async fn judge(&self, question: &Question, mut line: Line) -> (Verdict, Line) {
        let Some((by, token)) = token(question) else {
            line.outcome = "token_missing";
            return (Verdict::refused("missing"), line);
        };
        match self.verify(token, &mut line).await {
            Ok(session) => {
                line.outcome = "known";
                line.who = Some(format!("user:{}", session.user));
                (Verdict::known(session, by), line)
            }
            Err(Refused::NoKeys) => {
                line.outcome = "keys_unavailable";
                (Verdict::refused("unavailable"), line)
            }
            Err(Refused::Token(error)) => {
                line.outcome = error.code();
                if line.level == Level::Info {
                    line.level = Level::Warn;
                }
                line.metrics.refused = 1;
                (Verdict::refused(if error == TokenError::Expired { "expired" } else { "invalid" }), line)
            }
        }
    }

    async fn verify(&self, token: &str, line: &mut Line) -> Result<Session, Refused> {
        let now = line.timestamp;
        let old = self.age(now).is_none_or(|age| age >= FRESH);
        if old {
            self.renew(now, line).await;
        }
        if self.age(now).is_none_or(|age| age >= OLDEST) {
            // Also for a token that came within the minute in which nobody asks again.
            (line.level, line.metrics.errors) = (Level::Error, 1);
            line.error.get_or_insert_with(|| "the keys are too old".to_owned());
            return Err(Refused::NoKeys);
        }
        match self.verifier.verify(token, &self.keys(), now) {
            Err(TokenError::UnknownKey) => {}
            done => return done.map_err(Refused::Token),
        }
        if !old {
            self.renew(now, line).await;
        }
        if line.error.is_some() {
            return Err(Refused::NoKeys);
        }
        self.verifier.verify(token, &self.keys(), now).map_err(Refused::Token)
    }

    /// Fetches the keys if it is time to ask. That they cannot be had is in the line.
    async fn renew(&self, now: Timestamp, line: &mut Line) {
        if !self.may_ask(now) {
            return;
        }
        if let Err(error) = self.fetch(now).await {
            (line.level, line.metrics.errors) = (Level::Error, 1);
            line.error = Some(error.to_string());
        }
    }

    fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.kept.borrow().keys)
    }

    /// How old the keys are, if there are any.
    fn age(&self, now: Timestamp) -> Option<SignedDuration> {
        self.kept.borrow().fetched_at.map(|fetched| now.duration_since(fetched))
    }

    fn may_ask(&self, now: Timestamp) -> bool {
        self.kept.borrow().asked_at.is_none_or(|asked| now.duration_since(asked) >= ASK_AGAIN)
    }
}

/// The bearer token, or that of the cookie where there is no header; and which of them it is.
fn token(question: &Question) -> Option<(&'static str, &str)> {
    let header = |name: &str| {
        question
            .headers
            .iter()
            .find(|(own, _)| own.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    };
    if let Some(authorization) = header("authorization") {
        let (scheme, token) = authorization.trim().split_once(' ').unwrap_or((authorization, ""));
        // Another scheme is a token that nobody believes, not a missing one.
        return Some(("bearer", if scheme.eq_ignore_ascii_case("bearer") { token.trim() } else { "" }));
    }
    // API Gateway puts cookies beside the headers; the local stack leaves them in theirs.
    let in_header = header("cookie").into_iter().flat_map(|cookies| cookies.split(';'));
    let mut cookies = question.cookies.iter().map(String::as_str).chain(in_header);
    let token = cookies.find_map(|cookie| cookie.trim().strip_prefix(COOKIE)?.strip_prefix('='));
    token.map(|token| ("cookie", token))
}
