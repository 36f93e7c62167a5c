//! Members, organisations and exports in Cedar's words, as `infra/authz/plixo.cedarschema` declares them.

use std::collections::{HashMap, HashSet};
use std::fmt::Display;
use std::str::FromStr;

use crate::AuthzError;
use cedar_policy::{Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression};

use crate::{Action, Principal, Resource};

/// No policy asks which export it is.
const SOME_EXPORT: &str = "export";

/// The types' names, parsed once.
#[derive(Debug)]
pub(crate) struct Types {
    action: EntityTypeName,
    export: EntityTypeName,
    member: EntityTypeName,
    member_state: EntityTypeName,
    organisation: EntityTypeName,
    role: EntityTypeName,
}

impl Types {
    pub(crate) fn new() -> Result<Self, AuthzError> {
        Ok(Self {
            action: EntityTypeName::from_str("Action")?,
            export: EntityTypeName::from_str("Export")?,
            member: EntityTypeName::from_str("Member")?,
            member_state: EntityTypeName::from_str("MemberState")?,
            organisation: EntityTypeName::from_str("Organisation")?,
            role: EntityTypeName::from_str("Role")?,
        })
    }

    pub(crate) fn action(&self, action: Action) -> EntityUid {
        uid(&self.action, action)
    }

    pub(crate) fn principal(&self, principal: &Principal) -> Option<Entity> {
        let attributes = HashMap::from([
            named("org", uid(&self.organisation, principal.org)),
            named("role", uid(&self.role, principal.role.as_str())),
            named("state", uid(&self.member_state, principal.state.as_str())),
        ]);
        Entity::new(uid(&self.member, principal.member), attributes, HashSet::new()).ok()
    }

    pub(crate) fn resource(&self, resource: &Resource) -> Option<Entity> {
        match resource {
            Resource::Organisation(org) => Some(Entity::with_uid(uid(&self.organisation, org))),
            Resource::Export { org, requested_by } => Entity::new(
                uid(&self.export, SOME_EXPORT),
                HashMap::from([named("requested_by", uid(&self.member, requested_by))]),
                HashSet::from([uid(&self.organisation, org)]),
            )
            .ok(),
        }
    }
}

fn uid(of: &EntityTypeName, id: impl Display) -> EntityUid {
    EntityUid::from_type_name_and_id(of.clone(), EntityId::new(id.to_string()))
}

fn named(name: &str, value: EntityUid) -> (String, RestrictedExpression) {
    (name.to_owned(), RestrictedExpression::new_entity_uid(value))
}
