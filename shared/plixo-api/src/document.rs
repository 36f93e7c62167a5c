//! What all parts of the OpenAPI document share. Each function's document is made from its handlers; nothing is written by hand.

use std::borrow::Cow;

use plixo_domain::money::Currency;
use plixo_domain::retention::Class;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{AdditionalProperties, KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{RefOr, Required};
use utoipa::{IntoParams, IntoResponses, Modify, PartialSchema, ToSchema};

/// An [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457) problem.
#[derive(ToSchema)]
#[expect(dead_code, reason = "its schema is what is used")]
pub struct Problem {
    /// Always `about:blank`: `code` tells problems apart.
    #[schema(rename = "type")]
    kind: String,
    title: String,
    status: u16,
    /// What to do.
    detail: String,
    /// The request's id.
    instance: String,
    /// A stable word.
    code: String,
    /// Fields that cannot be used.
    errors: Option<Vec<ProblemField>>,
}

/// What is wrong with one field of a request.
#[derive(ToSchema)]
#[expect(dead_code, reason = "its schema is what is used")]
pub struct ProblemField {
    /// An [RFC 6901](https://www.rfc-editor.org/rfc/rfc6901) pointer.
    pointer: String,
    detail: String,
}

/// Gives texts of a certain form their place in the document.
macro_rules! texts {
    ($($(#[$doc:meta])* $text:ident = $name:literal, $schema:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $text;

        impl PartialSchema for $text {
            fn schema() -> RefOr<Schema> {
                let schema: ObjectBuilder = $schema;
                schema.schema_type(Type::String).into()
            }
        }

        impl ToSchema for $text {
            fn name() -> Cow<'static, str> {
                $name.into()
            }
        }
    )*};
}

/// A TypeID of that kind.
fn id(prefix: &str) -> ObjectBuilder {
    ObjectBuilder::new().pattern(Some(format!("^{prefix}_[0-7][0-9a-hjkmnp-tv-z]{{25}}$")))
}

fn words(words: &[&str]) -> ObjectBuilder {
    ObjectBuilder::new().enum_values(Some(words.iter().copied()))
}

texts! {
    /// An organisation's id.
    OrganisationIdText = "OrganisationId", id("org");
    /// A member's id.
    MemberIdText = "MemberId", id("mem");
    /// What a member is in an organisation.
    RoleText = "Role", words(&["controller", "billing_admin", "cfo", "compliance", "viewer"]);
    /// Whether a member has come in yet.
    MemberStateText = "MemberState", words(&["invited", "active"]);
    /// Where an organisation's data stays.
    ResidencyText = "Residency", words(&["eu", "us"]);
    /// One email address in ASCII: with what a person signs in.
    EmailText = "Email",
        ObjectBuilder::new().format(Some(SchemaFormat::Custom("email".to_owned()))).max_length(Some(128));
    /// A customer's id.
    CustomerIdText = "CustomerId", id("cus");
    /// An invoice's id.
    InvoiceIdText = "InvoiceId", id("inv");
    /// A payment's id.
    PaymentIdText = "PaymentId", id("pay");
    /// An allocation's id.
    AllocationIdText = "AllocationId", id("alo");
    /// A portal link's id.
    PortalLinkIdText = "PortalLinkId", id("lnk");
    /// How a portal link stands.
    PortalLinkStateText = "PortalLinkState", words(&["issued", "consumed", "expired", "revoked"]);
    /// A legal hold's id.
    HoldIdText = "LegalHoldId", id("hld");
    /// A privacy request's id.
    PrivacyIdText = "PrivacyRequestId", id("prv");
    /// What a privacy request asks for.
    PrivacyKindText = "PrivacyRequestKind", words(&["access", "erasure"]);
    /// How a privacy request stands.
    PrivacyStatusText = "PrivacyRequestStatus", words(&["open", "held", "running", "done", "refused"]);
    /// A class of data.
    RetentionClassText = "RetentionClass", words(&Class::ALL.map(Class::as_str));
    /// A day.
    DayText = "Day", ObjectBuilder::new().format(Some(SchemaFormat::KnownFormat(KnownFormat::Date)));
    /// A month.
    MonthText = "Month", ObjectBuilder::new().pattern(Some("^[0-9]{4}-(0[1-9]|1[0-2])$"));
    /// A decimal.
    DecimalText = "Decimal", ObjectBuilder::new().pattern(Some("^-?[0-9]+([.][0-9]+)?$"));
    /// A currency of ISO 4217.
    CurrencyText = "Currency", ObjectBuilder::new().enum_values(Some(currencies()));
    /// How an invoice stands.
    InvoiceStatusText = "InvoiceStatus", words(&["draft", "open", "partially_paid", "paid", "void", "uncollectible"]);
    /// Which invoices come first.
    AllocationOrderText = "AllocationOrder", words(&["oldest_due_first", "oldest_issued_first", "smallest_first", "largest_first"]);
    /// Where a payment came from.
    PaymentSourceText = "PaymentSource", words(&["stripe", "erp", "bank", "manual"]);
    /// Where a payment that people record came from.
    RecordedSourceText = "RecordedSource", words(&["bank", "manual"]);
    /// How a payment stands.
    PaymentStatusText = "PaymentStatus",
        words(&["pending", "succeeded", "failed", "refunded", "partially_refunded", "disputed"]);
}

/// For how many days an organisation keeps each class of data.
#[derive(Debug)]
pub struct RetentionDays;

/// For how many days it is to keep some classes of data: what is absent stays.
#[derive(Debug)]
pub struct RetentionChange;

/// A class's days, as its bounds are.
fn days(class: Class) -> ObjectBuilder {
    let (least, most) = class.bounds().into_inner();
    ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(least)).maximum(Some(most))
}

fn days_of_all() -> ObjectBuilder {
    let add = |object: ObjectBuilder, class: Class| object.property(class.as_str(), days(class));
    Class::ALL.into_iter().fold(ObjectBuilder::new(), add)
}

impl PartialSchema for RetentionDays {
    fn schema() -> RefOr<Schema> {
        let need = |object: ObjectBuilder, class: Class| object.required(class.as_str());
        let object = Class::ALL.into_iter().fold(days_of_all(), need);
        object.description(Some("For how many days each class of data is kept.")).into()
    }
}

impl ToSchema for RetentionDays {
    fn name() -> Cow<'static, str> {
        "RetentionDays".into()
    }
}

impl PartialSchema for RetentionChange {
    fn schema() -> RefOr<Schema> {
        let object = days_of_all().additional_properties(Some(AdditionalProperties::FreeForm(false)));
        let text = "For how many days some classes of data are to be kept: what is absent stays.";
        object.description(Some(text)).into()
    }
}

impl ToSchema for RetentionChange {
    fn name() -> Cow<'static, str> {
        "RetentionChange".into()
    }
}

/// The same, as parameters of a query.
impl IntoParams for RetentionChange {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let parameter = |class: Class| {
            let text = format!("How many days of `{}` are to be kept.", class.as_str());
            ParameterBuilder::new()
                .name(class.as_str())
                .parameter_in(ParameterIn::Query)
                .required(Required::False)
                .description(Some(text))
                .schema(Some(days(class)))
                .build()
        };
        Class::ALL.into_iter().map(parameter).collect()
    }
}

/// The codes that amounts may have.
fn currencies() -> Vec<String> {
    let letters = || 'A'..='Z';
    let codes = letters().flat_map(|a| letters().flat_map(move |b| letters().map(move |c| [a, b, c])));
    codes.map(|code| code.iter().collect()).filter(|code: &String| code.parse::<Currency>().is_ok()).collect()
}

/// What any request may be answered.
#[derive(IntoResponses)]
pub enum Problems {
    /// A field cannot be used: `invalid_request`.
    #[response(status = 400, content_type = "application/problem+json")]
    Invalid(Problem),
    /// Nobody has signed in: `unauthenticated`.
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthenticated(Problem),
    /// `forbidden`, `ip_not_allowed` or `two_factor_required`.
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(Problem),
    /// `not_found`: also where the organisation is not the caller's.
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(Problem),
    /// AWS does not do its part: `unavailable`.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(Problem),
}

/// What a change may be answered beside [`Problems`].
#[derive(IntoResponses)]
pub enum ChangeProblems {
    /// What is there does not allow it.
    #[response(status = 409, content_type = "application/problem+json")]
    State(Problem),
    /// It was changed since it was read: `stale`.
    #[response(status = 412, content_type = "application/problem+json")]
    Stale(Problem),
    /// `body_too_large`.
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(Problem),
    /// `unsupported_media_type`.
    #[response(status = 415, content_type = "application/problem+json")]
    NotJson(Problem),
    /// `idempotency_key_reused`.
    #[response(status = 422, content_type = "application/problem+json")]
    KeyReused(Problem),
}

/// The bearer token.
#[derive(Debug)]
pub struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        document
            .components
            .get_or_insert_with(Default::default)
            .add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}
