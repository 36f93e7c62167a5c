use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use plixo_domain::people::UserId;
use serde_json::{Value, json};

/// Two keys that everybody may know: making one takes seconds.
const KEYS: [&[u8]; 2] = [include_bytes!("keys/one.der"), include_bytes!("keys/two.der")];

/// A user pool's client, as far as its tokens go: signed with a real key, whatever they say.
#[derive(Debug)]
pub struct Mint {
    key: RsaKeyPair,
    kid: String,
}

impl Default for Mint {
    fn default() -> Self {
        Self::new(0)
    }
}

impl Mint {
    /// The pool's id.
    pub const POOL: &str = "eu-west-1_Fake00000";
    /// The client's id.
    pub const CLIENT: &str = "fakeclient";
    /// How long an access token is good.
    pub const LASTS: SignedDuration = SignedDuration::from_hours(1);

    /// A mint with one of two keys: 0 or 1.
    #[must_use]
    pub fn new(n: usize) -> Self {
        let key = RsaKeyPair::from_der(KEYS.get(n).unwrap()).unwrap();
        Self { key, kid: format!("key-{n}") }
    }

    /// The pool's issuer.
    #[must_use]
    pub fn issuer() -> String {
        format!("https://cognito-idp.eu-west-1.amazonaws.com/{}", Self::POOL)
    }

    /// The public key.
    #[must_use]
    pub fn jwk(&self) -> Value {
        // RFC 8017's RSAPublicKey: 9 bytes before a modulus of 256, then 65537.
        let modulus = self.key.public_key().as_ref().get(9..265).unwrap();
        let n = URL_SAFE_NO_PAD.encode(modulus);
        json!({"kid": self.kid, "kty": "RSA", "alg": "RS256", "use": "sig", "n": n, "e": "AQAB"})
    }

    /// The public keys of some mints, as they are published.
    #[must_use]
    pub fn jwks(mints: &[&Self]) -> String {
        json!({ "keys": mints.iter().map(|mint| mint.jwk()).collect::<Vec<_>>() }).to_string()
    }

    /// The header of this mint's tokens.
    #[must_use]
    pub fn header(&self) -> Value {
        json!({"alg": "RS256", "kid": self.kid})
    }

    /// The claims of an access token made `now`, in a session that began then.
    #[must_use]
    pub fn claims(user: UserId, session: &str, now: Timestamp) -> Value {
        let exp = now.saturating_add(Self::LASTS).unwrap();
        json!({
            "sub": user, "iss": Self::issuer(), "client_id": Self::CLIENT, "token_use": "access",
            "origin_jti": session, "auth_time": now.as_second(), "iat": now.as_second(), "exp": exp.as_second(),
            "jti": "00000000-0000-0000-0000-000000000000", "scope": "aws.cognito.signin.user.admin",
            "username": user,
        })
    }

    /// A signed token of that header and those claims, as texts.
    #[must_use]
    pub fn sign(&self, header: &str, claims: &str) -> String {
        let head = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), head.as_bytes(), &mut signature).unwrap();
        format!("{head}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// A token of those claims.
    #[must_use]
    pub fn token(&self, claims: &Value) -> String {
        self.sign(&self.header().to_string(), &claims.to_string())
    }

    /// What a token claims, whoever signed it.
    #[must_use]
    pub fn read(token: &str) -> Option<Value> {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?).ok()
    }
}
