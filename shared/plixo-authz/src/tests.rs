use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::str::FromStr;
use std::sync::LazyLock;

use cedar_policy::{
    Context, Decision, Entities, Policy, PolicyId, PolicySet, Request, Schema, ValidationMode, Validator,
};
use plixo_domain::id::{MemberId, OrgId};
use plixo_domain::people::{MemberState, Role};
use proptest::prelude::{
    Just, Strategy, any, prop_assert, prop_assert_eq, prop_assume, prop_oneof, proptest,
};
use proptest::sample::select;
use uuid::Uuid;

use crate::{Action, Authz, POLICIES, Principal, Resource};

const SCHEMA: &str = include_str!("../../../infra/authz/plixo.cedarschema");
const README: &str = include_str!("../README.md");

/// Part 2 of the contract, word for word.
const CONTRACT: &str = "\
| action | controller | billing_admin | cfo | compliance | viewer |
| --- | --- | --- | --- | --- | --- |
| read invoices, payments, customers | yes | yes | yes | yes | yes |
| write invoices, customers, portal links, allocations | yes | yes | | | |
| webhook endpoints, data sources | yes | yes | | | |
| query a data source | yes | yes | yes | | |
| request an export | yes | yes | yes | yes | |
| approve an export (never one's own) | yes | | | | |
| members and roles, settings | yes | | | | |
| incident contacts | yes | yes | | yes | |
| audit log, checkpoints | yes | | yes | yes | |
| retention policy, legal holds, privacy requests | yes | | | yes | |
";

/// Its rows, in its order.
const ROWS: [Action; 10] = [
    Action::ReadLedger,
    Action::WriteLedger,
    Action::ManageIntegrations,
    Action::QueryDataSource,
    Action::RequestExport,
    Action::ApproveExport,
    Action::ManageOrganisation,
    Action::ManageIncidentContacts,
    Action::ReadAudit,
    Action::ManagePrivacy,
];

static AUTHZ: LazyLock<Authz> = LazyLock::new(|| Authz::new().unwrap());
static SCHEMA_READ: LazyLock<Schema> = LazyLock::new(schema);

fn org(number: u128) -> OrgId {
    OrgId::from_uuid(Uuid::from_u128(number))
}

fn member(number: u128) -> MemberId {
    MemberId::from_uuid(Uuid::from_u128(number))
}

/// Member 1 of organisation 1.
fn active(role: Role) -> Principal {
    Principal { member: member(1), org: org(1), role, state: MemberState::Active }
}

fn invited(role: Role) -> Principal {
    Principal { state: MemberState::Invited, ..active(role) }
}

/// What the action is about, in that organisation. An export is another member's.
fn target(action: Action, org: OrgId) -> Resource {
    match action {
        Action::ApproveExport => Resource::Export { org, requested_by: member(2) },
        _ => Resource::Organisation(org),
    }
}

fn policies() -> PolicySet {
    let named = PolicySet::from_str(POLICIES).unwrap().policies().map(named).collect::<Vec<_>>();
    PolicySet::from_policies(named).unwrap()
}

fn named(policy: &Policy) -> Policy {
    policy.new_id(PolicyId::new(policy.annotation("id").unwrap()))
}

fn schema() -> Schema {
    let (schema, warnings) = Schema::from_cedarschema_str(SCHEMA).unwrap();
    assert_eq!(warnings.count(), 0);
    schema
}

/// Every decision that matters to a person, as a table. One column for each role.
fn matrix(authz: &Authz) -> String {
    let mut table = "| action | controller | billing_admin | cfo | compliance | viewer |\n".to_owned();
    table.push_str("| --- | --- | --- | --- | --- | --- |\n");
    let mut row = |label: &str, may: &dyn Fn(Role) -> bool| {
        let cells = Role::ALL.iter().map(|role| if may(*role) { " yes |" } else { " |" });
        writeln!(table, "| {label} |{}", cells.collect::<String>()).unwrap();
    };
    for action in Action::ALL {
        row(&format!("`{action}`"), &|role| authz.allows(&active(role), *action, &target(*action, org(1))));
    }
    row("`approve_export`, one's own", &|role| {
        let own = Resource::Export { org: org(1), requested_by: member(1) };
        authz.allows(&active(role), Action::ApproveExport, &own)
    });
    let any = |may: &dyn Fn(Action) -> bool| Action::ALL.iter().any(|action| may(*action));
    row("any of these in another organisation", &|role| {
        any(&|action| authz.allows(&active(role), action, &target(action, org(2))))
    });
    row("any of these while only invited", &|role| {
        any(&|action| authz.allows(&invited(role), action, &target(action, org(1))))
    });
    table
}

#[test]
fn the_policies_validate_strictly_and_without_warnings() {
    let result = Validator::new(SCHEMA_READ.clone()).validate(&policies(), ValidationMode::Strict);
    assert!(result.validation_passed_without_warnings(), "{result}");
}

#[test]
fn a_misspelt_word_does_not_validate() {
    for (right, wrong) in [
        ("Role::\"cfo\"", "Role::\"cfoo\""),
        ("MemberState::\"active\"", "MemberState::\"actve\""),
        ("Action::\"read_audit\"", "Action::\"read_audits\""),
        ("principal.org", "principal.organisation"),
        ("resource is Export", "resource is Exports"),
        ("resource is Export", "resource is Organisation"),
    ] {
        assert!(POLICIES.contains(right), "{right}");
        let policies = PolicySet::from_str(&POLICIES.replace(right, wrong)).unwrap();
        let result = Validator::new(SCHEMA_READ.clone()).validate(&policies, ValidationMode::Strict);
        assert!(!result.validation_passed_without_warnings(), "{wrong}");
    }
}

#[test]
fn every_policy_has_a_name_of_its_own_and_a_description() {
    let policies = PolicySet::from_str(POLICIES).unwrap();
    let names = policies.policies().filter_map(|policy| policy.annotation("id")).collect::<BTreeSet<_>>();
    assert_eq!(names.len(), policies.num_of_policies());
    for policy in policies.policies() {
        let description = policy.annotation("description").unwrap_or_default();
        assert!(description.ends_with('.'), "{policy}");
    }
    assert_eq!(policies.num_of_templates(), 0);
}

#[test]
fn the_schema_and_the_code_name_the_same_things() {
    let of_schema = SCHEMA_READ.actions().map(|action| action.id().unescaped()).collect::<BTreeSet<_>>();
    assert_eq!(of_schema, Action::ALL.iter().map(|action| action.as_str()).collect());
    for (declaration, words) in [
        ("entity Role enum", Role::ALL.iter().map(|role| role.as_str()).collect::<Vec<_>>()),
        ("entity MemberState enum", MemberState::ALL.iter().map(|state| state.as_str()).collect()),
    ] {
        let line = format!("{declaration} [\"{}\"];", words.join("\", \""));
        assert!(SCHEMA.lines().any(|has| has == line), "{line}");
    }
}

#[test]
fn the_matrix() {
    insta::assert_snapshot!(matrix(&AUTHZ));
}

#[test]
fn the_readme_shows_the_matrix() {
    assert!(README.contains(&matrix(&AUTHZ)));
}

#[test]
fn each_cell_is_as_the_contract_says() {
    let mut lines = CONTRACT.lines().map(|line| {
        let cells = line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>();
        (cells[0], cells[1..].to_vec())
    });
    let (_, heads) = lines.next().unwrap();
    assert_eq!(heads, Role::ALL.iter().map(|role| role.as_str()).collect::<Vec<_>>());
    assert_eq!(lines.next().unwrap().0, "---");
    let mut cells = 0;
    for (action, (label, row)) in ROWS.into_iter().zip(lines.by_ref()) {
        assert_eq!(row.len(), heads.len(), "{label}");
        for (head, cell) in heads.iter().zip(row) {
            let may = match cell {
                "yes" => true,
                "" => false,
                other => panic!("{label}: {other}"),
            };
            let role = head.parse().unwrap();
            assert_eq!(AUTHZ.allows(&active(role), action, &target(action, org(1))), may, "{head}: {label}");
            cells += 1;
        }
    }
    assert_eq!((cells, lines.next()), (50, None));
    let all = ROWS.into_iter().chain([Action::ReadOrganisation]).collect::<BTreeSet<_>>();
    assert_eq!(all, Action::ALL.iter().copied().collect());
}

#[test]
fn every_member_sees_their_organisation() {
    for role in Role::ALL {
        assert!(AUTHZ.allows(&active(*role), Action::ReadOrganisation, &Resource::Organisation(org(1))));
    }
}

#[test]
fn nobody_acts_in_another_organisation() {
    for role in Role::ALL {
        for action in Action::ALL {
            assert!(!AUTHZ.allows(&active(*role), *action, &target(*action, org(2))), "{role:?} {action}");
        }
    }
}

#[test]
fn who_is_only_invited_does_nothing() {
    for role in Role::ALL {
        for action in Action::ALL {
            assert!(!AUTHZ.allows(&invited(*role), *action, &target(*action, org(1))), "{role:?} {action}");
        }
    }
}

#[test]
fn an_export_needs_a_second_controller() {
    let (one, other) =
        (active(Role::Controller), Principal { member: member(2), ..active(Role::Controller) });
    let export = Resource::Export { org: org(1), requested_by: one.member };
    assert!(!AUTHZ.allows(&one, Action::ApproveExport, &export));
    assert!(AUTHZ.allows(&other, Action::ApproveExport, &export));
    let foreign = Principal { org: org(2), ..other };
    assert!(!AUTHZ.allows(&foreign, Action::ApproveExport, &export));
}

#[test]
fn an_action_on_the_wrong_kind_of_thing_is_denied() {
    let export = Resource::Export { org: org(1), requested_by: member(2) };
    for role in Role::ALL {
        for action in Action::ALL {
            let wrong = match target(*action, org(1)) {
                Resource::Organisation(_) => export,
                Resource::Export { .. } => Resource::Organisation(org(1)),
            };
            assert!(!AUTHZ.allows(&active(*role), *action, &wrong), "{role:?} {action}");
        }
    }
}

#[test]
fn each_policy_is_needed() {
    let all = policies();
    let whole = matrix(&Authz::with(all.clone()).unwrap());
    for policy in all.policies() {
        let mut fewer = all.clone();
        fewer.remove_static(policy.id().clone()).unwrap();
        assert_ne!(matrix(&Authz::with(fewer).unwrap()), whole, "{} changes nothing", policy.id());
    }
}

#[test]
fn without_policies_nothing_is_allowed() {
    let authz = Authz::with(PolicySet::new()).unwrap();
    assert!(!matrix(&authz).contains("yes"));
}

#[test]
fn a_policy_that_fails_denies() {
    for broken in [
        "forbid (principal, action, resource) when { principal.no_such_attribute };",
        "permit (principal, action, resource) when { resource.no_such_attribute };",
    ] {
        let mut policies = policies();
        policies.add(Policy::parse(Some(PolicyId::new("broken")), broken).unwrap()).unwrap();
        let authz = Authz::with(policies).unwrap();
        let asked = (active(Role::Controller), Action::ReadLedger, Resource::Organisation(org(1)));
        let response = authz.decide(&asked.0, asked.1, &asked.2).unwrap();
        assert_eq!(response.decision(), Decision::Allow, "Cedar alone passes over it");
        assert!(!authz.allows(&asked.0, asked.1, &asked.2));
        assert!(!matrix(&authz).contains("yes"));
    }
}

#[test]
fn the_policy_that_allowed_is_the_row() {
    let authz = Authz::with(policies()).unwrap();
    for action in Action::ALL {
        let who = active(Role::Controller);
        let response = authz.decide(&who, *action, &target(*action, org(1))).unwrap();
        let reasons = response.diagnostics().reason().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(reasons, [action.as_str()]);
    }
}

fn principals() -> impl Strategy<Value = Principal> {
    (0..4_u128, any::<u128>(), select(Role::ALL), select(MemberState::ALL))
        .prop_map(|(who, other, role, state)| Principal { member: member(who), org: org(other), role, state })
}

fn resources() -> impl Strategy<Value = Resource> {
    (any::<u128>(), prop_oneof![Just(None), (0..4_u128).prop_map(Some)]).prop_map(|(of, who)| match who {
        None => Resource::Organisation(org(of)),
        Some(who) => Resource::Export { org: org(of), requested_by: member(who) },
    })
}

fn moved(resource: Resource, org: OrgId) -> Resource {
    match resource {
        Resource::Organisation(_) => Resource::Organisation(org),
        Resource::Export { requested_by, .. } => Resource::Export { org, requested_by },
    }
}

proptest! {
    #[test]
    fn no_organisation_reaches_into_another(
        principal in principals(), action in select(Action::ALL), resource in resources(),
    ) {
        prop_assume!(moved(resource, principal.org) != resource);
        prop_assert!(!AUTHZ.allows(&principal, action, &resource));
    }

    #[test]
    fn what_is_asked_conforms_to_the_schema_and_what_does_not_is_denied(
        principal in principals(), action in select(Action::ALL), resource in resources(), own in any::<bool>(),
    ) {
        let resource = if own { moved(resource, principal.org) } else { resource };
        let (request, entities) = AUTHZ.question(&principal, action, &resource).unwrap();
        Entities::from_entities(entities.iter().cloned(), Some(&SCHEMA_READ)).unwrap();
        let [who, does, what] = [request.principal(), request.action(), request.resource()];
        let [who, does, what] = [who, does, what].map(|uid| uid.unwrap().clone());
        let conforms = Request::new(who, does, what, Context::empty(), Some(&SCHEMA_READ)).is_ok();
        let is_for_exports = action == Action::ApproveExport;
        prop_assert_eq!(conforms, is_for_exports == matches!(resource, Resource::Export { .. }));
        let allowed = AUTHZ.allows(&principal, action, &resource);
        prop_assert!(conforms || !allowed);
        if conforms {
            let response = AUTHZ.decide(&principal, action, &resource).unwrap();
            prop_assert_eq!(response.diagnostics().errors().count(), 0);
            prop_assert_eq!(response.decision() == Decision::Allow, allowed);
        }
    }

    #[test]
    fn ids_decide_nothing_but_being_equal(
        role in select(Role::ALL), action in select(Action::ALL), one in any::<u128>(), two in any::<u128>(),
    ) {
        prop_assume!(one != two);
        let principal = Principal { member: member(one), org: org(one), ..active(role) };
        let resource = match action {
            Action::ApproveExport => Resource::Export { org: org(one), requested_by: member(two) },
            _ => Resource::Organisation(org(one)),
        };
        let usual = AUTHZ.allows(&active(role), action, &target(action, org(1)));
        prop_assert_eq!(AUTHZ.allows(&principal, action, &resource), usual);
    }
}
