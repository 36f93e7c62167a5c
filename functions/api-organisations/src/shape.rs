//! What is shown and taken, in the contract's shapes.

use std::collections::BTreeMap;

use jiff::Timestamp;
use plixo_api::document::{
    AllocationOrderText, DecimalText, EmailText, MemberIdText, MemberStateText, OrganisationIdText,
    ResidencyText, RetentionChange, RetentionDays, RoleText,
};
use plixo_api::output::tag;
use plixo_authz::Action;
use plixo_domain::id::{MemberId, OrgId};
use plixo_domain::ledger::staff::{
    CashApplicationPatch, NewOrganisation, OrganisationPatch, Patch, SettingsPatch, TolerancePatch,
};
use plixo_domain::ledger::{
    AllocationOrder, CashApplication, Organisation, Residency, UnderpaymentTolerance,
};
use plixo_domain::people::{Email, Member, MemberState, Role};
use plixo_domain::retention::Class;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An organisation.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Organisation)]
pub(crate) struct OrganisationShape {
    #[schema(value_type = OrganisationIdText)]
    id: OrgId,
    name: String,
    #[schema(value_type = ResidencyText)]
    residency: Residency,
    settings: SettingsShape,
    /// Where payers load its logo, a path of this stack, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^/logos/org_[0-7][0-9a-hjkmnp-tv-z]{25}/[0-9a-f]{16}[.]png$")]
    logo_url: Option<String>,
    /// That it was closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    closed: Option<ClosedShape>,
    /// Who asks; an operator is nobody here.
    #[serde(skip_serializing_if = "Option::is_none")]
    you: Option<You>,
}

/// What an organisation's Controllers may set.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Settings)]
struct SettingsShape {
    /// From where its staff may come (CIDR, v4 and v6); from anywhere if there is none.
    ip_allow_list: Vec<String>,
    /// Whether its members must sign in with two factors.
    require_two_factor: bool,
    cash_application: CashApplicationShape,
    /// For how many days it keeps what.
    #[schema(value_type = RetentionDays)]
    retention: BTreeMap<&'static str, u16>,
}

/// That an organisation was closed: it goes on as before until its time of grace is over, and can be opened again as long.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrganisationClosed)]
struct ClosedShape {
    #[schema(value_type = MemberIdText)]
    by: MemberId,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// When nothing of it is readable any more, for good.
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
}

/// How payments are applied to invoices.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CashApplication)]
struct CashApplicationShape {
    /// Whether Plixo applies by itself what it is sure of.
    automatic: bool,
    /// How sure it has to be for that, from 0.95 to 1.00.
    #[schema(value_type = DecimalText)]
    threshold: String,
    underpayment_tolerance: ToleranceShape,
    /// Which invoices come first where money does not cover all, and the payer does not say.
    #[schema(value_type = AllocationOrderText)]
    order: AllocationOrder,
}

/// How much less than asked for counts as paid: the least of what is set, and at most 1 % and 5.00. Nothing less, if nothing is set.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UnderpaymentTolerance)]
struct ToleranceShape {
    /// Of what is asked for, at most 1.00.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<DecimalText>)]
    percent: Option<String>,
    /// Units of the currency, at most 5.00.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<DecimalText>)]
    amount: Option<String>,
}

impl CashApplicationShape {
    fn new(settings: &CashApplication) -> Self {
        let decimal = |hundredths: u16| format!("{}.{:02}", hundredths / 100, hundredths % 100);
        let UnderpaymentTolerance { percent, amount } = settings.underpayment_tolerance;
        Self {
            automatic: settings.automatic,
            threshold: decimal(settings.threshold),
            underpayment_tolerance: ToleranceShape {
                percent: percent.map(decimal),
                amount: amount.map(decimal),
            },
            order: settings.order,
        }
    }
}

/// What the caller is in an organisation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct You {
    #[schema(value_type = MemberIdText)]
    pub(crate) member_id: MemberId,
    pub(crate) email: String,
    #[schema(value_type = RoleText)]
    pub(crate) role: Role,
    /// The actions that the role allows.
    pub(crate) may: Vec<&'static str>,
}

impl You {
    pub(crate) fn new(member: &Member, email: String, may: Vec<Action>) -> Self {
        let may = may.into_iter().map(Action::as_str).collect();
        Self { member_id: member.id, email, role: member.role, may }
    }
}

impl OrganisationShape {
    pub(crate) fn new(organisation: &Organisation, you: Option<You>) -> Self {
        let Organisation { id, name, residency, settings, .. } = organisation;
        let settings = SettingsShape {
            ip_allow_list: settings.ip_allow_list.iter().map(ToString::to_string).collect(),
            require_two_factor: settings.require_two_factor,
            cash_application: CashApplicationShape::new(&settings.cash_application),
            retention: Class::ALL.map(|class| (class.as_str(), settings.retention.days(class))).into(),
        };
        let logo_url = organisation.logo_path();
        let closed = organisation.closed;
        let closed = closed.map(|it| ClosedShape { by: it.by, at: it.at, until: it.until() });
        Self { id: *id, name: name.clone(), residency: *residency, settings, logo_url, closed, you }
    }
}

/// An organisation in the list of one's own.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OwnOrganisation {
    #[schema(value_type = OrganisationIdText)]
    id: OrgId,
    name: String,
    #[schema(value_type = ResidencyText)]
    residency: Residency,
    /// What the caller is in it.
    #[schema(value_type = RoleText)]
    role: Role,
}

impl OwnOrganisation {
    pub(crate) fn new((organisation, member): (Organisation, Member)) -> Self {
        let Organisation { id, name, residency, .. } = organisation;
        Self { id, name, residency, role: member.role }
    }
}

/// An organisation to be made, with its first Controller.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OrganisationOrder {
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    #[schema(value_type = ResidencyText)]
    pub(crate) residency: Residency,
    #[schema(value_type = EmailText)]
    pub(crate) controller_email: Email,
}

impl OrganisationOrder {
    pub(crate) fn organisation(&self) -> NewOrganisation {
        NewOrganisation { name: self.name.clone(), residency: self.residency }
    }
}

/// What is to change of an organisation: what is absent stays.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OrganisationChange {
    #[serde(default)]
    #[schema(value_type = String, min_length = 1, max_length = 200)]
    name: Patch<String>,
    #[serde(default)]
    settings: SettingsChange,
}

/// What is to change of its settings: what is absent stays.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
struct SettingsChange {
    /// The whole list, at most 100 networks; `[]` lets staff come from anywhere.
    #[serde(default)]
    #[schema(value_type = Vec<String>, max_items = 100)]
    ip_allow_list: Patch<Vec<String>>,
    #[serde(default)]
    #[schema(value_type = bool)]
    require_two_factor: Patch<bool>,
    #[serde(default)]
    cash_application: CashApplicationChange,
    /// For how many days some classes of data are to be kept: what is absent stays.
    #[serde(default)]
    #[schema(value_type = RetentionChange)]
    retention: BTreeMap<String, u16>,
}

/// What is to change of how payments are applied: what is absent stays.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
struct CashApplicationChange {
    #[serde(default)]
    #[schema(value_type = bool)]
    automatic: Patch<bool>,
    /// From 0.95 to 1.00.
    #[serde(default)]
    #[schema(value_type = DecimalText)]
    threshold: Patch<String>,
    /// The whole of it; null for none.
    #[serde(default)]
    #[schema(value_type = Option<ToleranceChange>)]
    underpayment_tolerance: Patch<ToleranceChange>,
    #[serde(default)]
    #[schema(value_type = AllocationOrderText)]
    order: Patch<AllocationOrder>,
}

/// An underpayment tolerance.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
struct ToleranceChange {
    /// Of what is asked for, at most 1.00.
    #[serde(default)]
    #[schema(value_type = Option<DecimalText>)]
    percent: Option<String>,
    /// Units of the currency, at most 5.00.
    #[serde(default)]
    #[schema(value_type = Option<DecimalText>)]
    amount: Option<String>,
}

plixo_domain::objects!(read SettingsChange);
plixo_domain::objects!(read CashApplicationChange);
plixo_domain::objects!(read ToleranceChange);

impl From<CashApplicationChange> for CashApplicationPatch {
    fn from(change: CashApplicationChange) -> Self {
        let CashApplicationChange { automatic, threshold, underpayment_tolerance, order } = change;
        let underpayment_tolerance = match underpayment_tolerance {
            Patch::Keep => Patch::Keep,
            Patch::Clear => Patch::Clear,
            Patch::Set(ToleranceChange { percent, amount }) => Patch::Set(TolerancePatch { percent, amount }),
        };
        Self { automatic, threshold, underpayment_tolerance, order }
    }
}

impl From<OrganisationChange> for OrganisationPatch {
    fn from(change: OrganisationChange) -> Self {
        let OrganisationChange { name, settings } = change;
        let SettingsChange { ip_allow_list, require_two_factor, cash_application, retention } = settings;
        let cash_application = cash_application.into();
        Self {
            name,
            settings: SettingsPatch { ip_allow_list, require_two_factor, cash_application, retention },
        }
    }
}

/// An organisation to be closed.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OrganisationClosing {
    /// Its name, exactly as it is: so that nobody closes another one than they mean.
    pub(crate) name: String,
}

/// A member.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Member)]
pub(crate) struct MemberShape {
    #[schema(value_type = MemberIdText)]
    id: MemberId,
    email: String,
    #[schema(value_type = RoleText)]
    role: Role,
    /// `invited` until the person comes in, then `active`.
    #[schema(value_type = MemberStateText)]
    state: MemberState,
    /// In a list: what `ETag` says of a single one, for `If-Match`.
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
}

impl MemberShape {
    pub(crate) fn new(member: &Member, email: String) -> Self {
        Self { id: member.id, email, role: member.role, state: member.state, etag: None }
    }

    /// As it stands in a list.
    pub(crate) fn listed(self, version: u64) -> Self {
        Self { etag: Some(tag(version)), ..self }
    }
}

/// Somebody to be invited.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MemberOrder {
    #[schema(value_type = EmailText)]
    pub(crate) email: Email,
    #[schema(value_type = RoleText)]
    pub(crate) role: Role,
}

/// What a member is to be from now on.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MemberChange {
    #[schema(value_type = RoleText)]
    pub(crate) role: Role,
}
