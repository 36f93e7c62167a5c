#![doc = include_str!("../README.md")]

mod action;
mod entities;

use std::str::FromStr;

use cedar_policy::{Authorizer, Context, Decision, Entities, ParseErrors, PolicySet, Request, Response};
use plixo_domain::id::{MemberId, OrgId};
use plixo_domain::people::{Member, MemberState, Role};

pub use action::Action;
use entities::Types;

/// What an auditor reads is what decides.
const POLICIES: &str = include_str!("../../../infra/authz/plixo.cedar");

/// Who wants to do something: a member, as the membership was read for this request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Principal {
    /// The member.
    pub member: MemberId,
    /// The organisation of the membership.
    pub org: OrgId,
    /// The role in that organisation.
    pub role: Role,
    /// Whether the person has come in yet.
    pub state: MemberState,
}

impl Principal {
    /// A member of that organisation.
    #[must_use]
    pub fn of(org: &OrgId, member: &Member) -> Self {
        Self { member: member.id, org: *org, role: member.role, state: member.state }
    }
}

/// What it would be done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// An organisation, or anything in it that has no variant of its own here.
    Organisation(OrgId),
    /// An export that waits for approval.
    Export {
        /// The organisation it is of.
        org: OrgId,
        /// Who asked for it.
        requested_by: MemberId,
    },
}

/// The policies, read and ready to decide. Made once, when the function starts.
#[derive(Debug)]
pub struct Authz {
    authorizer: Authorizer,
    policies: PolicySet,
    types: Types,
}

/// Why there are no policies to decide with. The tests parse the same text, so this is a broken build.
#[derive(Debug, thiserror::Error)]
#[error("the policies cannot be read")]
pub struct AuthzError(Box<ParseErrors>);

impl From<ParseErrors> for AuthzError {
    fn from(errors: ParseErrors) -> Self {
        Self(Box::new(errors))
    }
}

impl Authz {
    /// Reads the policies that are built in.
    ///
    /// # Errors
    /// [`AuthzError`]; no function may serve requests without policies.
    pub fn new() -> Result<Self, AuthzError> {
        Self::with(PolicySet::from_str(POLICIES)?)
    }

    fn with(policies: PolicySet) -> Result<Self, AuthzError> {
        Ok(Self { authorizer: Authorizer::new(), policies, types: Types::new()? })
    }

    /// Whether the policies let `principal` do `action` to `resource`.
    ///
    /// Cedar passes over a policy that it cannot evaluate, also one that forbids. Here that is a no: whatever goes
    /// wrong, nothing is allowed.
    #[must_use]
    pub fn allows(&self, principal: &Principal, action: Action, resource: &Resource) -> bool {
        self.decide(principal, action, resource).is_some_and(|response| {
            response.decision() == Decision::Allow && response.diagnostics().errors().next().is_none()
        })
    }

    /// Whether the policies let `principal` ask for an export, and have it: of the audit log only who may read that.
    #[must_use]
    pub fn lets_export(&self, principal: &Principal, is_audit: bool) -> bool {
        let read = if is_audit { Action::ReadAudit } else { Action::ReadLedger };
        let all = [Action::RequestExport, read];
        all.into_iter().all(|action| self.allows(principal, action, &Resource::Organisation(principal.org)))
    }

    fn decide(&self, principal: &Principal, action: Action, resource: &Resource) -> Option<Response> {
        let (request, entities) = self.question(principal, action, resource)?;
        Some(self.authorizer.is_authorized(&request, &self.policies, &entities))
    }

    fn question(
        &self,
        principal: &Principal,
        action: Action,
        resource: &Resource,
    ) -> Option<(Request, Entities)> {
        let (who, what) = (self.types.principal(principal)?, self.types.resource(resource)?);
        let action = self.types.action(action);
        let request = Request::new(who.uid(), action, what.uid(), Context::empty(), None).ok()?;
        Some((request, Entities::from_entities([who, what], None).ok()?))
    }
}

#[cfg(test)]
mod tests;
