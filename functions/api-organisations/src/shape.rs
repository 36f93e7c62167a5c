//! What is shown and taken, in the contract's shapes.

use plixo_api::document::{
    EmailText, MemberIdText, MemberStateText, OrganisationIdText, ResidencyText, RoleText,
};
use plixo_api::output::tag;
use plixo_authz::Action;
use plixo_domain::id::{MemberId, OrgId};
use plixo_domain::ledger::staff::{NewOrganisation, OrganisationPatch, Patch, SettingsPatch};
use plixo_domain::ledger::{Organisation, Residency};
use plixo_domain::people::{Email, Member, MemberState, Role};
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
        };
        let logo_url = organisation.logo_path();
        Self { id: *id, name: name.clone(), residency: *residency, settings, logo_url, you }
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
}

plixo_domain::objects!(read SettingsChange);

impl From<OrganisationChange> for OrganisationPatch {
    fn from(change: OrganisationChange) -> Self {
        let OrganisationChange { name, settings } = change;
        let SettingsChange { ip_allow_list, require_two_factor } = settings;
        Self { name, settings: SettingsPatch { ip_allow_list, require_two_factor } }
    }
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
