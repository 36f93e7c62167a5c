use jiff::ToSpan;
use proptest::prelude::*;

use super::*;
use crate::audit::ActorKind;
use crate::id::from_bytes;
use crate::ledger::staff::{mark_uncollectible, void_invoice};
use crate::ledger::tests::invoice;
use crate::ledger::{InvoiceState, Kept, Row};

const HOUR: SignedDuration = SignedDuration::from_hours(1);

fn start() -> Timestamp {
    "2026-11-28T09:00:00Z".parse().unwrap()
}

fn by() -> Actor {
    Actor { kind: ActorKind::Member, id: "mem_1".into(), role: Some("controller".into()) }
}

fn id() -> LinkId {
    from_bytes([7; 16])
}

/// A book that knows an open invoice, and no link.
fn book() -> (Book, InvoiceId) {
    let owed = invoice(1, 10_000);
    let mut book = Book::default();
    let of = owed.id;
    book.learn(PortalLink::key(&id()), None);
    book.learn(Invoice::key(&of), Some((Row::Invoice(owed), 1)));
    (book, of)
}

fn linked() -> (Book, InvoiceId) {
    let (mut book, of) = book();
    make_link(&mut book, (id(), of), HOUR, &by(), start()).unwrap();
    (book, of)
}

fn state(book: &Book, of: &InvoiceId, now: Timestamp) -> LinkState {
    let link = book.get::<PortalLink>(&id()).unwrap().unwrap();
    link.state(book.get::<Invoice>(of).unwrap().unwrap(), now)
}

#[test]
fn a_link_opens_once_and_the_browser_that_opened_it_hears_so_again() {
    let (mut book, of) = linked();
    let mut open = |browser, now| open_link(&mut book, (&id(), &of), [browser; 32], now).unwrap();
    let now = start() + 10.minutes();
    let until = now + 30.minutes();
    assert_eq!(open(1, now), Some(Opened::Until(until)));
    assert_eq!(open(2, now), Some(Opened::Not(LinkState::Consumed)));
    assert_eq!(open(1, now + 59.seconds()), Some(Opened::Until(until)), "and no longer than that");
    assert_eq!(open(1, now + 60.seconds()), Some(Opened::Not(LinkState::Consumed)));
}

#[test]
fn a_link_is_of_one_invoice() {
    let (mut book, _) = linked();
    let other = invoice(2, 1);
    let of = crate::id::Ids::new(start(), [9; 10]).make();
    book.learn(Invoice::key(&of), Some((Row::Invoice(Invoice { id: of, ..other }), 1)));
    assert_eq!(open_link(&mut book, (&id(), &of), [1; 32], start()), Ok(None));
    book.learn(PortalLink::key(&from_bytes([8; 16])), None);
    assert_eq!(open_link(&mut book, (&from_bytes([8; 16]), &of), [1; 32], start()), Ok(None));
}

#[test]
fn a_link_lives_as_long_as_it_may() {
    for (asked, lives) in [
        (SignedDuration::ZERO, SHORTEST_LINK),
        (SignedDuration::MIN, SHORTEST_LINK),
        (HOUR, HOUR),
        (SignedDuration::MAX, LONGEST_LINK),
    ] {
        let (mut book, of) = book();
        make_link(&mut book, (id(), of), asked, &by(), start()).unwrap();
        let last = start() + lives - 1.nanosecond();
        assert_eq!(state(&book, &of, last), LinkState::Issued);
        assert_eq!(state(&book, &of, start() + lives), LinkState::Expired);
        let opened = open_link(&mut book, (&id(), &of), [1; 32], start() + lives);
        assert_eq!(opened, Ok(Some(Opened::Not(LinkState::Expired))));
    }
}

#[test]
fn nothing_owed_nothing_linked() {
    for (made, fits) in [
        (InvoiceState::Draft, false),
        (InvoiceState::Open, true),
        (InvoiceState::Uncollectible, true),
        (InvoiceState::Void, false),
    ] {
        let (mut book, of) = book();
        let owed = Invoice { state: made, ..book.get::<Invoice>(&of).unwrap().unwrap().clone() };
        book.put(owed.clone()).unwrap();
        let done = make_link(&mut book, (id(), of), HOUR, &by(), start());
        let expected = if fits { Ok(()) } else { Err(StaffError::WrongStatus(owed.status()).into()) };
        assert_eq!(done.map(drop), expected);
        assert_eq!(book.get::<PortalLink>(&id()).unwrap().is_some(), fits);
    }
    let (mut book, _) = book();
    let nobody = from_bytes([1; 16]);
    assert!(matches!(make_link(&mut book, (id(), nobody), HOUR, &by(), start()), Err(Stopped::Unread(_))));
    book.learn(Invoice::key(&nobody), None);
    let done = make_link(&mut book, (id(), nobody), HOUR, &by(), start());
    assert_eq!(done, Err(StaffError::Missing("invoice").into()));
}

#[test]
fn whatever_settles_an_invoice_closes_its_links() {
    let (mut book, of) = linked();
    mark_uncollectible(&mut book, &of, start()).unwrap();
    assert_eq!(state(&book, &of, start()), LinkState::Issued, "money that comes all the same is taken");
    void_invoice(&mut book, &of, start()).unwrap();
    assert_eq!(state(&book, &of, start()), LinkState::Settled);
    let opened = open_link(&mut book, (&id(), &of), [1; 32], start());
    assert_eq!(opened, Ok(Some(Opened::Not(LinkState::Settled))));
    let link = book.get::<PortalLink>(&id()).unwrap().unwrap();
    assert_eq!(link.opened, None);
}

#[test]
fn a_revoked_link_ends_its_session_and_stays_revoked() {
    let (mut book, of) = linked();
    open_link(&mut book, (&id(), &of), [1; 32], start()).unwrap();
    let session = |book: &Book| book.get::<PortalLink>(&id()).unwrap().unwrap().session_until();
    assert_eq!(session(&book), Some(start() + 30.minutes()));
    assert_eq!(revoke_link(&mut book, &id(), start()).unwrap().fields, ["revoked_at"]);
    assert_eq!(session(&book), None);
    let again = start() + 1.second();
    assert!(revoke_link(&mut book, &id(), again).unwrap().fields.is_empty());
    assert_eq!(book.get::<PortalLink>(&id()).unwrap().unwrap().revoked_at, Some(start()));
    assert_eq!(open_link(&mut book, (&id(), &of), [1; 32], again), Ok(Some(Opened::Not(LinkState::Revoked))));
    let other = from_bytes([8; 16]);
    book.learn(PortalLink::key(&other), None);
    assert_eq!(revoke_link(&mut book, &other, again), Err(StaffError::Missing("portal_link").into()));
}

#[test]
fn what_was_settled_stays_so_when_the_invoice_is_owed_again() {
    let (mut book, of) = linked();
    let owed = book.get::<Invoice>(&of).unwrap().unwrap().clone();
    void_invoice(&mut book, &of, start()).unwrap();
    assert_eq!(settle_link(&mut book, &id(), start()), Ok(true));
    assert_eq!(settle_link(&mut book, &id(), start() + 1.second()), Ok(false));
    book.put(owed).unwrap();
    assert_eq!(state(&book, &of, start()), LinkState::Settled);
    let opened = open_link(&mut book, (&id(), &of), [1; 32], start());
    assert_eq!(opened, Ok(Some(Opened::Not(LinkState::Settled))));
}

#[test]
fn whoever_paid_may_look_until_their_session_is_over() {
    let (mut book, of) = linked();
    open_link(&mut book, (&id(), &of), [1; 32], start()).unwrap();
    void_invoice(&mut book, &of, start()).unwrap();
    settle_link(&mut book, &id(), start()).unwrap();
    let link = book.get::<PortalLink>(&id()).unwrap().unwrap();
    assert_eq!(link.session_until(), Some(start() + 30.minutes()));
}

#[test]
fn a_fresh_link_is_asked_for_now_and_then() {
    let (mut book, of) = linked();
    let ask = |book: &mut Book, now| ask_for_fresh_link(book, (&id(), &of), now).unwrap();
    assert_eq!(ask(&mut book, start()), Some(Asking::Opens));
    let mut now = start() + HOUR;
    for _ in 0..5 {
        assert_eq!(ask(&mut book, now), Some(Asking::Granted));
        assert_eq!(ask(&mut book, now + 9.minutes()), Some(Asking::TooOften));
        now += 10.minutes();
    }
    assert_eq!(ask(&mut book, now), Some(Asking::TooOften));
    assert_eq!(ask(&mut book, now + 24.hours()), Some(Asking::Granted), "the next day");
    let other = (&from_bytes([8; 16]), &of);
    book.learn(PortalLink::key(other.0), None);
    assert_eq!(ask_for_fresh_link(&mut book, other, now), Ok(None));
}

#[derive(Debug, Clone)]
enum Act {
    Open(u8),
    Wait(u32),
    Revoke,
    Void,
}

proptest! {
    /// Whatever is done in whatever order: one browser gets a session at most, it ends half an hour after it began, and none
    /// begins once the link is over.
    #[test]
    fn one_browser_gets_one_session(acts in prop::collection::vec(prop_oneof![
        4 => (0_u8..3).prop_map(Act::Open), 4 => (0_u32..900).prop_map(Act::Wait), 1 => Just(Act::Revoke), 1 => Just(Act::Void),
    ], 0..30)) {
        let (mut book, of) = linked();
        let (mut now, mut over, mut first) = (start(), false, None);
        for act in acts {
            match act {
                Act::Wait(seconds) => now += i64::from(seconds).seconds(),
                Act::Revoke => { revoke_link(&mut book, &id(), now).unwrap(); over = true; }
                Act::Void => { let _ = void_invoice(&mut book, &of, start()); over = true; }
                Act::Open(browser) => match open_link(&mut book, (&id(), &of), [browser; 32], now).unwrap().unwrap() {
                    Opened::Until(until) => {
                        prop_assert!(!over);
                        let (whose, began) = *first.get_or_insert((browser, now));
                        prop_assert!(began < start() + HOUR && now < began + AGAIN);
                        prop_assert_eq!((whose, began + SESSION), (browser, until));
                    }
                    Opened::Not(state) => prop_assert!(state != LinkState::Issued),
                },
            }
        }
    }
}
