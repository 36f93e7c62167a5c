//! What starting and deciding cost, in time of one processor and in memory:
//! `cargo run --release -p plixo-authz --example decision_cost`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use plixo_authz::{Action, Authz, Principal, Resource};
use plixo_domain::id::{MemberId, OrgId};
use plixo_domain::people::{MemberState, Role};

const ROUNDS: u32 = 2_000;

#[expect(clippy::disallowed_methods, reason = "it measures time")]
fn timed<T>(run: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let result = run();
    (start.elapsed(), result)
}

/// The most memory that the process has held so far, KiB, where the system says it.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let member: MemberId = "mem_01h2xcejqtf2nbrexx3vqjhp41".parse()?;
    let other: MemberId = "mem_01h2xcejqtf2nbrexx3vqjhp42".parse()?;
    let org: OrgId = "org_01h2xcejqtf2nbrexx3vqjhp41".parse()?;
    let who = Principal { member, org, role: Role::Controller, state: MemberState::Active };
    let organisation = Resource::Organisation(org);
    let export = Resource::Export { org, requested_by: other };

    let before = peak();
    let (cold, authz) = timed(Authz::new);
    let authz = authz?;
    let (first, allowed) = timed(|| authz.allows(&who, Action::ReadLedger, &organisation));
    let after = peak();
    let (again, _) = timed(Authz::new);
    println!("{:<34} {cold:>10.2?}", "Authz::new, first in the process");
    println!("{:<34} {again:>10.2?}", "Authz::new, again");
    println!("{:<34} {first:>10.2?}   allowed: {allowed}", "allows, first");
    if let Some((before, after)) = before.zip(after) {
        println!("{:<34} {before:>7} KiB, then {after} KiB", "peak memory before");
    }
    for (what, action, resource) in [
        ("read_ledger", Action::ReadLedger, &organisation),
        ("approve_export", Action::ApproveExport, &export),
    ] {
        let best = (0..5)
            .map(|_| {
                let (time, ()) = timed(|| {
                    for _ in 0..ROUNDS {
                        black_box(authz.allows(black_box(&who), action, resource));
                    }
                });
                time / ROUNDS
            })
            .min()
            .unwrap_or_default();
        println!("{:<34} {best:>10.2?}", format!("allows: {what}"));
    }
    Ok(())
}
