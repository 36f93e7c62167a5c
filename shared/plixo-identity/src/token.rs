//! Cognito's [access tokens](https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-access-token.html).

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, dangerous};
use plixo_domain::people::UserId;
use serde::Deserialize;

/// The longest token that is looked at, bytes.
pub const LONGEST: usize = 16 << 10;
/// How far the issuer's clock may be ahead of ours.
const AHEAD: SignedDuration = SignedDuration::from_secs(60);
/// More than a session's name is.
const LONGEST_SESSION: usize = 128;
/// The pool's group of operators.
pub const OPERATORS: &str = "operators";

/// What a token says once it is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The person: `sub`.
    pub user: UserId,
    /// The sign-in that the token descends from: `origin_jti`. A refresh keeps it.
    pub session: String,
    /// When that was: `auth_time`.
    pub signed_in_at: Timestamp,
    /// The moment from which the token is good no more: `exp`.
    pub expires_at: Timestamp,
    /// Whether the person is an operator: `cognito:groups` holds [`OPERATORS`].
    pub operator: bool,
}

/// Why a token is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is longer than tokens are.
    #[error("the token is too long")]
    TooLong,
    /// It is no token.
    #[error("the token is malformed")]
    Malformed,
    /// It is signed otherwise than with RS256.
    #[error("the token's algorithm is not taken")]
    Algorithm,
    /// It names none of the pool's keys. They may have changed.
    #[error("the token's key is unknown")]
    UnknownKey,
    /// The signature does not hold.
    #[error("the token's signature does not hold")]
    Signature,
    /// A claim is missing, stands twice or is not of its type.
    #[error("a claim is missing or malformed")]
    Claims,
    /// Another pool made it.
    #[error("the token is of another issuer")]
    Issuer,
    /// It was made for another client.
    #[error("the token is of another client")]
    Client,
    /// It is no access token.
    #[error("the token is of another use")]
    Use,
    /// It was made in the future.
    #[error("the token is not yet valid")]
    NotYetValid,
    /// It is good no more.
    #[error("the token has expired")]
    Expired,
}

impl TokenError {
    /// A stable word, for the log.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::TooLong => "token_too_long",
            Self::Malformed => "token_malformed",
            Self::Algorithm => "token_algorithm",
            Self::UnknownKey => "token_key_unknown",
            Self::Signature => "token_signature",
            Self::Claims => "token_claims",
            Self::Issuer => "token_of_another_issuer",
            Self::Client => "token_of_another_client",
            Self::Use => "token_of_another_use",
            Self::NotYetValid => "token_not_yet_valid",
            Self::Expired => "token_expired",
        }
    }
}

/// A pool's public keys, by their ids.
#[derive(Clone, Default)]
pub struct Keys(HashMap<String, DecodingKey>);

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// A text that is no set of keys, or one without a key to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the issuer's keys cannot be read")]
pub struct BadKeys;

#[derive(Deserialize)]
struct Jwks {
    keys: Vec<Jwk>,
}

#[derive(Deserialize)]
struct Jwk {
    kid: String,
    kty: String,
    #[serde(default)]
    alg: Option<String>,
    #[serde(default, rename = "use")]
    usage: Option<String>,
    #[serde(default)]
    n: String,
    #[serde(default)]
    e: String,
}

impl Keys {
    /// The keys for RS256 signatures of a [JWKS](https://www.rfc-editor.org/rfc/rfc7517#section-5).
    ///
    /// # Errors
    /// [`BadKeys`].
    pub fn parse(jwks: &[u8]) -> Result<Self, BadKeys> {
        let jwks: Jwks = serde_json::from_slice(jwks).map_err(|_| BadKeys)?;
        let usable = |key: &Jwk| {
            key.kty == "RSA"
                && key.alg.as_deref().is_none_or(|alg| alg == "RS256")
                && key.usage.as_deref().is_none_or(|usage| usage == "sig")
        };
        let mut keys = HashMap::new();
        for key in jwks.keys.into_iter().filter(usable) {
            let read = DecodingKey::from_rsa_components(&key.n, &key.e).map_err(|_| BadKeys)?;
            keys.insert(key.kid, read);
        }
        if keys.is_empty() { Err(BadKeys) } else { Ok(Self(keys)) }
    }
}

/// Believes the tokens of one pool that were made for one client.
#[derive(Debug, Clone)]
pub struct Verifier {
    issuer: String,
    client_id: String,
}

#[derive(Deserialize)]
struct Claims {
    sub: UserId,
    iss: String,
    client_id: String,
    token_use: String,
    origin_jti: String,
    auth_time: i64,
    iat: i64,
    exp: i64,
    #[serde(default, rename = "cognito:groups")]
    groups: Vec<String>,
}

impl Verifier {
    /// For the tokens that `issuer` (its URL) makes for `client_id`.
    #[must_use]
    pub fn new(issuer: String, client_id: String) -> Self {
        Self { issuer, client_id }
    }

    /// For the tokens of a user pool.
    #[must_use]
    pub fn of_pool(pool_id: &str, client_id: String) -> Self {
        Self::new(issuer(pool_id), client_id)
    }

    /// Believes a token, or says why not.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn verify(&self, token: &str, keys: &Keys, now: Timestamp) -> Result<Session, TokenError> {
        if token.len() > LONGEST {
            return Err(TokenError::TooLong);
        }
        // A header with an algorithm that nobody knows cannot even be read.
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Malformed)?;
        if header.alg != Algorithm::RS256 {
            return Err(TokenError::Algorithm);
        }
        // What an extension changes about a token, this code would not know (RFC 7515, section 4.1.11).
        if header.crit.is_some() {
            return Err(TokenError::Malformed);
        }
        let key = header.kid.and_then(|kid| keys.0.get(&kid)).ok_or(TokenError::UnknownKey)?;
        // The claims are looked at below: the library would ask the clock.
        let mut signature_only = Validation::new(Algorithm::RS256);
        signature_only.required_spec_claims.clear();
        signature_only.validate_exp = false;
        signature_only.validate_nbf = false;
        signature_only.validate_aud = false;
        let decoded = jsonwebtoken::decode::<Claims>(token, key, &signature_only);
        let claims = decoded.map_err(|error| match error.kind() {
            jsonwebtoken::errors::ErrorKind::InvalidSignature => TokenError::Signature,
            jsonwebtoken::errors::ErrorKind::Json(_) => TokenError::Claims,
            _ => TokenError::Malformed,
        })?;
        self.judge(claims.claims, now)
    }

    /// Reads a token that came from the issuer itself, over TLS: the signature is not looked at, the claims are.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn read_from_issuer(&self, token: &str, now: Timestamp) -> Result<Session, TokenError> {
        if token.len() > LONGEST {
            return Err(TokenError::TooLong);
        }
        let decoded = dangerous::insecure_decode::<Claims>(token).map_err(|_| TokenError::Malformed)?;
        self.judge(decoded.claims, now)
    }

    fn judge(&self, claims: Claims, now: Timestamp) -> Result<Session, TokenError> {
        let time = |seconds| Timestamp::from_second(seconds).map_err(|_| TokenError::Claims);
        if claims.iss != self.issuer {
            return Err(TokenError::Issuer);
        }
        if claims.client_id != self.client_id {
            return Err(TokenError::Client);
        }
        if claims.token_use != "access" {
            return Err(TokenError::Use);
        }
        let named = (1..=LONGEST_SESSION).contains(&claims.origin_jti.len())
            && claims.origin_jti.bytes().all(|b| b.is_ascii_graphic());
        if !named {
            return Err(TokenError::Claims);
        }
        let (signed_in_at, expires_at) = (time(claims.auth_time)?, time(claims.exp)?);
        if time(claims.iat)?.duration_since(now) > AHEAD || signed_in_at.duration_since(now) > AHEAD {
            return Err(TokenError::NotYetValid);
        }
        if expires_at <= now {
            return Err(TokenError::Expired);
        }
        let operator = claims.groups.iter().any(|group| group == OPERATORS);
        Ok(Session { user: claims.sub, session: claims.origin_jti, signed_in_at, expires_at, operator })
    }
}

/// Whether a text has the form of a refresh token: a compact JOSE object. Cognito's are encrypted and have five parts
/// ([RFC 7516](https://www.rfc-editor.org/rfc/rfc7516#section-3.1)); the local stack's are signed and have three.
#[must_use]
pub fn is_a_refresh_token(text: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    text.len() <= LONGEST && matches!(text.split('.').count(), 3 | 5) && text.split('.').all(is_part)
}

/// The issuer of a user pool's tokens. A pool's id begins with its region.
#[must_use]
pub fn issuer(pool_id: &str) -> String {
    let region = pool_id.split('_').next().unwrap_or_default();
    format!("https://cognito-idp.{region}.amazonaws.com/{pool_id}")
}

#[cfg(test)]
mod tests;
