//! How a `generic_hmac` endpoint's sender signs: what its organisation set.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The name of an HTTP header (RFC 9110, section 5.1): 1 to 64 characters of a token, in lower case, and none that HTTP, a
/// gateway or a browser gives a meaning of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HeaderName(String);

/// Names that proxies set, change, fold or drop, or whose values are secrets of another kind.
const RESERVED: [&str; 38] = [
    "accept",
    "age",
    "allow",
    "alt-svc",
    "authorization",
    "cache-control",
    "connection",
    "cookie",
    "date",
    "etag",
    "expect",
    "expires",
    "forwarded",
    "from",
    "host",
    "keep-alive",
    "last-modified",
    "link",
    "location",
    "max-forwards",
    "origin",
    "pragma",
    "priority",
    "range",
    "referer",
    "refresh",
    "retry-after",
    "server",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "vary",
    "via",
    "warning",
    "x-request-id",
];

/// Beginnings of whole families of such names.
const RESERVED_FAMILIES: [&str; 11] = [
    "accept-",
    "access-control-",
    "cloudfront-",
    "content-",
    "if-",
    "proxy-",
    "sec-",
    "x-amz-",
    "x-amzn-",
    "x-forwarded-",
    "x-real-",
];

impl HeaderName {
    /// The name, in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HeaderName {
    type Err = HmacError;

    fn from_str(text: &str) -> Result<Self, HmacError> {
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        let name = text.to_ascii_lowercase();
        let reserved = RESERVED.contains(&name.as_str())
            || RESERVED_FAMILIES.iter().any(|family| name.starts_with(family));
        if !(1..=64).contains(&text.len()) || !text.bytes().all(token) {
            Err(HmacError::Name)
        } else if reserved {
            Err(HmacError::Reserved)
        } else {
            Ok(Self(name))
        }
    }
}

impl TryFrom<String> for HeaderName {
    type Error = HmacError;

    fn try_from(text: String) -> Result<Self, HmacError> {
        text.parse()
    }
}

impl From<HeaderName> for String {
    fn from(name: HeaderName) -> Self {
        name.0
    }
}

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The hash function of an HMAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Digest {
    /// SHA-256: 32 bytes.
    Sha256,
    /// SHA-512: 64 bytes.
    Sha512,
}

/// How a signature is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignatureEncoding {
    /// Hexadecimal digits in lower case.
    Hex,
    /// Base64 of the standard alphabet with padding (RFC 4648, section 4).
    Base64,
}

/// How a `generic_hmac` endpoint's sender signs: `<header>: <prefix><HMAC>`, over the body, or with a timestamp header over
/// `<timestamp>.<body>`.
///
/// As JSON: `{"header": "x-signature", "prefix": "sha256=", "encoding": "hex", "digest": "sha256", "timestamp_header":
/// "x-timestamp"}`; `prefix` and `timestamp_header` may be absent. What is no such scheme is not read, from the vault neither.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Parts", into = "Parts")]
pub struct HmacScheme(Parts);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, remote = "Self")]
struct Parts {
    header: HeaderName,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    prefix: String,
    encoding: SignatureEncoding,
    digest: Digest,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timestamp_header: Option<HeaderName>,
}

crate::objects!(Parts);

/// What makes no [`HmacScheme`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HmacError {
    /// The name of a header.
    #[error("is no header name of 1 to 64 characters")]
    Name,
    /// A name that is not the sender's to use.
    #[error("is a header with a meaning of its own; choose another, such as x-signature")]
    Reserved,
    /// The prefix.
    #[error("has to be at most 32 visible ASCII characters without `,` and `;`")]
    Prefix,
    /// One header cannot hold both.
    #[error("has to be another header than the signature's")]
    SameHeader,
}

impl HmacScheme {
    /// The scheme of these parts.
    ///
    /// # Errors
    /// [`HmacError::Prefix`] and [`HmacError::SameHeader`].
    pub fn new(
        header: HeaderName,
        prefix: String,
        encoding: SignatureEncoding,
        digest: Digest,
        timestamp_header: Option<HeaderName>,
    ) -> Result<Self, HmacError> {
        Self::try_from(Parts { header, prefix, encoding, digest, timestamp_header })
    }

    /// The header that holds the signature.
    #[must_use]
    pub fn header(&self) -> &str {
        self.0.header.as_str()
    }

    /// What stands before the signature, exactly so.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.0.prefix
    }

    /// How the signature is written.
    #[must_use]
    pub fn encoding(&self) -> SignatureEncoding {
        self.0.encoding
    }

    /// The hash function.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.0.digest
    }

    /// The header that holds the time of sending, Unix seconds.
    #[must_use]
    pub fn timestamp_header(&self) -> Option<&str> {
        self.0.timestamp_header.as_ref().map(HeaderName::as_str)
    }
}

impl TryFrom<Parts> for HmacScheme {
    type Error = HmacError;

    fn try_from(parts: Parts) -> Result<Self, HmacError> {
        let fits = |b: u8| b.is_ascii_graphic() && !matches!(b, b',' | b';');
        if parts.prefix.len() > 32 || !parts.prefix.bytes().all(fits) {
            Err(HmacError::Prefix)
        } else if parts.timestamp_header.as_ref() == Some(&parts.header) {
            Err(HmacError::SameHeader)
        } else {
            Ok(Self(parts))
        }
    }
}

impl From<HmacScheme> for Parts {
    fn from(scheme: HmacScheme) -> Self {
        scheme.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<HmacScheme, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn a_scheme_is_read_and_written() {
        let json = r#"{"header":"x-signature","prefix":"sha256=","encoding":"hex","digest":"sha256","timestamp_header":"x-timestamp"}"#;
        let scheme = read(json).unwrap();
        assert_eq!(
            (scheme.header(), scheme.prefix(), scheme.timestamp_header()),
            ("x-signature", "sha256=", Some("x-timestamp"))
        );
        assert_eq!(serde_json::to_string(&scheme).unwrap(), json);
        let plain = read(r#"{"header":"X-Signature","encoding":"base64","digest":"sha512"}"#).unwrap();
        assert_eq!((plain.header(), plain.prefix(), plain.timestamp_header()), ("x-signature", "", None));
    }

    #[test]
    fn nonsense_is_no_scheme() {
        for wrong in [
            "{}",
            r#"["x-s","","hex","sha256",null]"#,
            r#"{"header":"x-s","encoding":"hex"}"#,
            r#"{"header":"x-s","encoding":"rot13","digest":"sha256"}"#,
            r#"{"header":"x-s","encoding":"hex","digest":"md5"}"#,
            r#"{"header":"x-s","encoding":"hex","digest":"sha256","algorithm":"none"}"#,
            r#"{"header":"x-s","encoding":"hex","digest":"sha256","prefix":"a b"}"#,
            r#"{"header":"x-s","encoding":"hex","digest":"sha256","prefix":"a,"}"#,
            r#"{"header":"x-s","encoding":"hex","digest":"sha256","prefix":"ä"}"#,
            r#"{"header":"x-s","encoding":"hex","digest":"sha256","timestamp_header":"X-S"}"#,
            r#"{"header":"x-s","encoding":"hex","digest":"sha256","timestamp_header":"date"}"#,
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn names_of_others_are_reserved() {
        for wrong in ["", "a b", "a:b", "ä", "a\r\nb", "a,b", "x\0", &"x".repeat(65)] {
            assert_eq!(wrong.parse::<HeaderName>(), Err(HmacError::Name), "{wrong}");
        }
        for reserved in [
            "Host",
            "authorization",
            "Cookie",
            "content-length",
            "X-Forwarded-For",
            "x-amz-security-token",
            "Date",
        ] {
            assert_eq!(reserved.parse::<HeaderName>(), Err(HmacError::Reserved), "{reserved}");
        }
        for fine in ["X-Signature", "x-hub-signature-256", "x-shopify-hmac-sha256", "x-netsuite-signature"] {
            assert!(fine.parse::<HeaderName>().is_ok(), "{fine}");
        }
    }
}
