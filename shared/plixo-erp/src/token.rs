//! Access tokens, as [RFC 6749](https://www.rfc-editor.org/rfc/rfc6749) has them got: for a refresh token, or for the client's own
//! credentials.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use plixo_domain::secret::Secret;
use plixo_domain::source::{Access, SourceEntry, SourceKind};
use serde::Deserialize;

use crate::error::sort;
use crate::http::{Request, Said};
use crate::{ErpError, Urls};

/// How long before its end a token is used no more.
const MARGIN: SignedDuration = SignedDuration::from_secs(60);
/// The rights of a client of Business Central, which are given in Entra.
const SCOPE: &str = "https://api.businesscentral.dynamics.com/.default";

/// What a token endpoint gave.
#[derive(Deserialize)]
pub(crate) struct Granted {
    access_token: Secret,
    expires_in: i64,
    #[serde(default)]
    refresh_token: Option<Secret>,
}

/// Why it gave nothing.
pub(crate) enum Denied {
    /// The refresh token is spent, revoked or too old. Where two refresh at once, it may be the other's doing.
    Grant,
    /// Something else.
    Other(ErpError),
}

/// The access token of an entry, if it opens something for a while still, and is not the one that opened nothing.
pub(crate) fn fresh<'a>(
    entry: &'a SourceEntry,
    refused: Option<&Secret>,
    now: Timestamp,
) -> Option<&'a Secret> {
    let access = entry.access.as_ref()?;
    let lasts = now.checked_add(MARGIN).is_ok_and(|end| access.expires_at > end);
    (lasts && refused != Some(&access.token)).then_some(&access.token)
}

/// The entry with what was granted.
pub(crate) fn renewed(
    entry: &SourceEntry,
    granted: Granted,
    now: Timestamp,
) -> Result<SourceEntry, ErpError> {
    let lasts = SignedDuration::from_secs(granted.expires_in.clamp(0, 86_400));
    let expires_at = now.checked_add(lasts).map_err(|_| ErpError::unavailable("there is no such time"))?;
    let access = Some(Access { token: granted.access_token, expires_at });
    // An answer without a refresh token leaves the one that there is.
    let refresh_token = granted.refresh_token.or_else(|| entry.refresh_token.clone());
    Ok(SourceEntry { access, refresh_token, ..entry.clone() })
}

/// The request for a new access token.
pub(crate) fn request(entry: &SourceEntry, urls: &Urls) -> Result<Request, ErpError> {
    let mut form = form_urlencoded::Serializer::new(String::new());
    match (&entry.refresh_token, entry.kind) {
        (Some(token), _) => {
            form.append_pair("grant_type", "refresh_token").append_pair("refresh_token", token.reveal());
        }
        (None, SourceKind::Quickbooks) => {
            return Err(ErpError::Refused("it has no refresh token".to_owned()));
        }
        (None, _) => {
            form.append_pair("grant_type", "client_credentials");
        }
    }
    let url = match entry.kind {
        SourceKind::Xero => urls.xero_token.clone(),
        SourceKind::Quickbooks => urls.quickbooks_token.clone(),
        SourceKind::BusinessCentral => {
            let place = entry.place.as_ref().ok_or_else(unreadable)?;
            form.append_pair("scope", SCOPE);
            form.append_pair("client_id", &entry.client_id);
            form.append_pair("client_secret", entry.client_secret.reveal());
            format!("{}/{}/oauth2/v2.0/token", urls.business_central_login, place.tenant())
        }
    };
    let request = Request { method: "POST", url, body: form.finish(), repeats: true, ..Request::default() };
    let request =
        request.with("accept", "application/json").with("content-type", "application/x-www-form-urlencoded");
    Ok(match entry.kind {
        SourceKind::BusinessCentral => request,
        SourceKind::Xero | SourceKind::Quickbooks => {
            let pair = format!("{}:{}", entry.client_id, entry.client_secret.reveal());
            request.with("authorization", format!("Basic {}", STANDARD.encode(pair)))
        }
    })
}

/// What an entry of the vault is that this code cannot use.
pub(crate) fn unreadable() -> ErpError {
    ErpError::unavailable("what the vault holds of the source cannot be read")
}

/// What a token endpoint answered.
pub(crate) fn granted(said: &Said) -> Result<Granted, Denied> {
    if (200..300).contains(&said.status) {
        let granted = serde_json::from_slice(&said.body);
        return granted.map_err(|_| Denied::Other(ErpError::unavailable("its token cannot be read")));
    }
    Err(match word(said) {
        Some("invalid_grant") => Denied::Grant,
        Some(word) => Denied::Other(ErpError::Refused(word.to_owned())),
        None => Denied::Other(match sort(said) {
            // Without a word of OAuth's it is not the token endpoint that answered.
            ErpError::Refused(cause) => ErpError::Unavailable(cause),
            other => other,
        }),
    })
}

/// The words with which a token endpoint refuses for good: those of RFC 6749 section 5.2, and Entra's.
fn word(said: &Said) -> Option<&'static str> {
    const WORDS: [&str; 9] = [
        "invalid_grant",
        "invalid_client",
        "invalid_request",
        "invalid_resource",
        "invalid_scope",
        "unauthorized_client",
        "unsupported_grant_type",
        "interaction_required",
        "consent_required",
    ];
    #[derive(Deserialize)]
    struct Told {
        error: String,
    }
    let told: Told = serde_json::from_slice(&said.body).ok().filter(|_| (400..500).contains(&said.status))?;
    WORDS.into_iter().find(|word| *word == told.error)
}
