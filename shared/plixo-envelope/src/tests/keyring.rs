use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use futures::FutureExt;
use futures::future::join_all;

use super::fake::FakeKeyService;
use super::{KEY, ORGANISATION, PLACE, salt};
use crate::{Error, KeyFailure, Keyring, Limits, MAX_AGE, OrganisationKeys, WrappedKeys};

const START: SystemTime = SystemTime::UNIX_EPOCH;

/// A keyring, its key service, and the rows of the organisations, with the reads of them counted.
struct Setting {
    service: Arc<FakeKeyService>,
    keyring: Keyring<Arc<FakeKeyService>>,
    reads: AtomicUsize,
}

impl Setting {
    fn new(limits: Limits) -> Self {
        let service = Arc::new(FakeKeyService::default());
        Self { keyring: Keyring::new(Arc::clone(&service), limits), service, reads: AtomicUsize::new(0) }
    }

    async fn row(&self, organisation: &str) -> WrappedKeys {
        WrappedKeys::create(&self.service, organisation, KEY.id).await.unwrap()
    }

    async fn read(&self, row: &WrappedKeys) -> Result<WrappedKeys, KeyFailure> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        tokio::task::yield_now().await;
        Ok(row.clone())
    }

    async fn get(
        &self,
        organisation: &str,
        now: SystemTime,
        row: &WrappedKeys,
    ) -> Result<Arc<OrganisationKeys>, KeyFailure> {
        self.keyring.get(organisation, now, || self.read(row)).await
    }

    /// Calls of the key service since the last time, and reads of rows.
    fn counts(&self, before: usize) -> (usize, usize) {
        (self.service.calls() - before, self.reads.load(Ordering::Relaxed))
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn poll<F: Future>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// Fails the test, instead of letting it hang, when a future is never woken again.
async fn woken<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(seconds(60), future).await.expect("the future was never woken")
}

#[tokio::test]
async fn a_cold_batch_of_ten_causes_one_call() {
    let setting = Setting::new(Limits::default());
    let row = setting.row(ORGANISATION).await;
    let before = setting.service.calls();
    let held = setting.service.hold().await;
    let batch = join_all((0..10).map(|_| setting.get(ORGANISATION, START, &row)));
    let (keys, ()) = woken(futures::future::join(batch, async { drop(held) })).await;
    assert_eq!(setting.counts(before), (1, 1));
    let first = keys[0].as_ref().unwrap();
    assert!(keys.iter().all(|keys| Arc::ptr_eq(keys.as_ref().unwrap(), first)));

    setting.get(ORGANISATION, START, &row).await.unwrap();
    assert_eq!(setting.counts(before), (1, 1));
}

#[tokio::test]
async fn organisations_do_not_wait_for_each_other_or_share_keys() {
    let setting = Setting::new(Limits::default());
    let (row_a, row_b) = (setting.row("org_a").await, setting.row("org_b").await);
    let before = setting.service.calls();
    let held = setting.service.hold().await;
    let mut a = Box::pin(setting.get("org_a", START, &row_a));
    let mut b = Box::pin(setting.get("org_b", START, &row_b));
    while setting.counts(before).0 < 2 {
        assert!(poll(&mut a).is_pending() && poll(&mut b).is_pending());
        tokio::task::yield_now().await;
    }
    drop(held);
    let (a, b) = (woken(a).await.unwrap(), woken(b).await.unwrap());
    let sealed = a.keys().seal(&PLACE, b"Anna", salt()).unwrap();
    assert_eq!(b.keys().open(&PLACE, &sealed), Err(Error::NotAuthentic));
}

#[tokio::test]
async fn keys_are_fetched_again_after_five_minutes_and_no_limit_raises_that() {
    for max_age in [MAX_AGE, MAX_AGE * 2, Duration::MAX] {
        let setting = Setting::new(Limits { max_age, ..Limits::default() });
        let row = setting.row(ORGANISATION).await;
        let before = setting.service.calls();
        for (at, calls) in [(0, 1), (150, 1), (299, 1), (300, 2), (599, 2), (600, 3)] {
            setting.get(ORGANISATION, START + seconds(at), &row).await.unwrap();
            assert_eq!(setting.counts(before), (calls, calls), "after {at} s");
        }
    }
}

#[tokio::test]
async fn age_counts_from_before_the_call() {
    let setting = Setting::new(Limits::default());
    let row = setting.row(ORGANISATION).await;
    let before = setting.service.calls();
    let held = setting.service.hold().await;
    let mut first = Box::pin(setting.get(ORGANISATION, START, &row));
    assert!(poll(&mut first).is_pending());
    let second = setting.get(ORGANISATION, START + seconds(200), &row);
    let (first, (), second) = woken(futures::future::join3(first, async { drop(held) }, second)).await;
    assert!(Arc::ptr_eq(&first.unwrap(), &second.unwrap()));
    setting.get(ORGANISATION, START + seconds(300), &row).await.unwrap();
    assert_eq!(setting.counts(before).0, 2);
}

#[tokio::test]
async fn a_clock_set_back_keeps_no_key_for_ever() {
    let setting = Setting::new(Limits::default());
    let row = setting.row(ORGANISATION).await;
    let before = setting.service.calls();
    for (at, calls) in [(10_000, 1), (9_990, 1), (5_000, 2)] {
        setting.get(ORGANISATION, START + seconds(at), &row).await.unwrap();
        assert_eq!(setting.counts(before).0, calls, "at {at} s");
    }
}

#[tokio::test]
async fn keys_are_fetched_again_after_so_many_uses() {
    let setting = Setting::new(Limits { max_uses: 3, ..Limits::default() });
    let row = setting.row(ORGANISATION).await;
    let before = setting.service.calls();
    for calls in [1, 1, 1, 1, 2, 2, 2, 2, 3] {
        setting.get(ORGANISATION, START, &row).await.unwrap();
        assert_eq!(setting.counts(before).0, calls);
    }
}

#[tokio::test]
async fn the_oldest_organisation_gives_way() {
    let setting = Setting::new(Limits { max_organisations: 2, ..Limits::default() });
    let names = ["org_c", "org_a", "org_b"];
    let mut rows = Vec::new();
    for name in names {
        rows.push(setting.row(name).await);
    }
    let before = setting.service.calls();
    for (step, (index, calls)) in
        [(0, 1), (1, 2), (0, 2), (2, 3), (1, 3), (2, 3), (0, 4)].into_iter().enumerate()
    {
        let now = START + seconds(u64::try_from(step).unwrap());
        setting.get(names[index], now, &rows[index]).await.unwrap();
        assert_eq!(setting.counts(before).0, calls, "step {step}");
    }
}

#[tokio::test]
async fn limits_of_nothing_cache_nothing() {
    for limits in [
        Limits { max_age: Duration::ZERO, ..Limits::default() },
        Limits { max_uses: 0, ..Limits::default() },
        Limits { max_organisations: 0, ..Limits::default() },
    ] {
        let setting = Setting::new(limits);
        let row = setting.row(ORGANISATION).await;
        let before = setting.service.calls();
        for calls in 1..=3 {
            setting.get(ORGANISATION, START, &row).await.unwrap();
            assert_eq!(setting.counts(before).0, calls, "{limits:?}");
        }
    }
}

#[tokio::test]
async fn keys_past_their_time_are_dropped_at_the_next_fetch() {
    let setting = Setting::new(Limits::default());
    let (row_a, row_b) = (setting.row("org_a").await, setting.row("org_b").await);
    let kept = Arc::downgrade(&setting.get("org_a", START, &row_a).await.unwrap());
    setting.get("org_b", START + seconds(299), &row_b).await.unwrap();
    assert!(kept.upgrade().is_some());
    setting.get("org_b", START + seconds(599), &row_b).await.unwrap();
    assert!(kept.upgrade().is_none());
}

#[tokio::test]
async fn a_failure_goes_to_all_who_waited_and_is_forgotten() {
    for failure in
        [KeyFailure::retryable("ThrottlingException"), KeyFailure::refused("AccessDeniedException")]
    {
        let setting = Setting::new(Limits::default());
        let row = setting.row(ORGANISATION).await;
        let before = setting.service.calls();
        setting.service.fail_next(failure.clone());
        let held = setting.service.hold().await;
        let batch = join_all((0..10).map(|_| setting.get(ORGANISATION, START, &row)));
        let (outcomes, ()) = woken(futures::future::join(batch, async { drop(held) })).await;
        assert_eq!(setting.counts(before), (1, 1));
        for outcome in outcomes {
            assert_eq!(format!("{:?}", outcome.unwrap_err()), format!("{failure:?}"));
        }
        setting.get(ORGANISATION, START, &row).await.unwrap();
        assert_eq!(setting.counts(before), (2, 2));
    }
}

#[tokio::test]
async fn a_failure_does_not_go_to_those_who_come_after_it() {
    let setting = Setting::new(Limits::default());
    let row = setting.row(ORGANISATION).await;
    setting.service.fail_next(KeyFailure::retryable("ThrottlingException"));
    let mut first = Box::pin(setting.get(ORGANISATION, START, &row));
    let mut waiting = Box::pin(setting.get(ORGANISATION, START, &row));
    assert!(poll(&mut first).is_pending() && poll(&mut waiting).is_pending());
    woken(first).await.unwrap_err();
    woken(setting.get(ORGANISATION, START, &row)).await.unwrap();
    woken(waiting).await.unwrap_err();
}

#[tokio::test]
async fn a_failing_read_of_the_row_causes_no_call() {
    let setting = Setting::new(Limits::default());
    let row = setting.row(ORGANISATION).await;
    let before = setting.service.calls();
    let failing =
        setting.keyring.get(ORGANISATION, START, async || Err(KeyFailure::retryable("throttled"))).await;
    assert!(matches!(failing.unwrap_err(), KeyFailure::Retryable(_)));
    assert_eq!(setting.counts(before), (0, 0));
    setting.get(ORGANISATION, START, &row).await.unwrap();
}

#[tokio::test]
async fn a_row_of_another_organisation_gives_no_keys() {
    let setting = Setting::new(Limits::default());
    let (row_a, row_b) = (setting.row("org_a").await, setting.row("org_b").await);
    setting.get("org_a", START, &row_a).await.unwrap();
    assert!(matches!(setting.get("org_b", START, &row_a).await, Err(KeyFailure::Refused(_))));
    setting.get("org_b", START, &row_b).await.unwrap();
}

/// Whoever runs the fetch is dropped at each point where it waits, with another already waiting for it or not.
#[tokio::test]
async fn a_dropped_fetch_holds_up_nobody() {
    for someone_waits in [true, false] {
        let mut points = 0;
        loop {
            let setting = Setting::new(Limits::default());
            let row = setting.row(ORGANISATION).await;
            let before = setting.service.calls();
            let mut dropped = Box::pin(setting.get(ORGANISATION, START, &row));
            let mut next = Box::pin(setting.get(ORGANISATION, START, &row));
            let finished = (0..points).any(|_| poll(&mut dropped).is_ready());
            if someone_waits && points > 0 {
                assert_eq!(poll(&mut next).is_ready(), finished);
            }
            drop(dropped);
            if !(someone_waits && finished) {
                woken(next).await.unwrap();
            }
            woken(setting.get(ORGANISATION, START, &row)).await.unwrap();
            let (calls, reads) = setting.counts(before);
            assert!(calls <= 2 && reads <= 2, "{calls} calls, {reads} reads");
            if finished {
                assert_eq!((calls, reads), (1, 1));
                break;
            }
            points += 1;
        }
        assert!(points >= 3, "only {points} points to drop at");
    }
}

#[tokio::test]
async fn dropped_fetches_leave_nothing_behind() {
    let setting = Setting::new(Limits::default());
    let row = setting.row(ORGANISATION).await;
    for organisation in ["org_b", "org_c", "org_d"] {
        assert!(poll(&mut Box::pin(setting.get(organisation, START, &row))).is_pending());
    }
    setting.get(ORGANISATION, START, &row).await.unwrap();
    assert_eq!(setting.keyring.fetches(), 0);
}

#[tokio::test]
async fn a_panicking_read_takes_nobody_along() {
    let setting = Setting::new(Limits::default());
    let row = setting.row(ORGANISATION).await;
    let panicking = setting.keyring.get(ORGANISATION, START, async || {
        tokio::task::yield_now().await;
        panic!("a poison message")
    });
    let panicking = AssertUnwindSafe(panicking).catch_unwind();
    let (panicked, waited) =
        woken(futures::future::join(panicking, setting.get(ORGANISATION, START, &row))).await;
    assert!(panicked.is_err());
    waited.unwrap();
    setting.get(ORGANISATION, START, &row).await.unwrap();
}

#[tokio::test]
async fn renewing_after_a_rotation_elsewhere_costs_one_fetch() {
    let setting = Setting::new(Limits::default());
    let old_row = setting.row(ORGANISATION).await;
    let new_row = old_row.rotate(&setting.service, ORGANISATION, salt()).await.unwrap();
    let elsewhere = new_row.unlock(&setting.service, ORGANISATION).await.unwrap();
    let sealed = elsewhere.keys().seal(&PLACE, b"Anna", salt()).unwrap();

    let stale = setting.get(ORGANISATION, START, &old_row).await.unwrap();
    assert_eq!(stale.keys().open(&PLACE, &sealed), Err(Error::UnknownKey(sealed.key())));
    let before = setting.service.calls();
    let renewals =
        (0..10).map(|_| setting.keyring.renew(ORGANISATION, &stale, START, || setting.read(&new_row)));
    for keys in woken(join_all(renewals)).await {
        assert_eq!(keys.unwrap().keys().open(&PLACE, &sealed).unwrap().as_slice(), b"Anna");
    }
    // Late to the same finding: what the others fetched is good.
    setting.keyring.renew(ORGANISATION, &stale, START, || setting.read(&new_row)).await.unwrap();
    assert_eq!(setting.service.calls() - before, 1);
}

#[test]
fn a_fetch_can_move_between_threads() {
    fn moves<T: Send>(_: T) {}
    let setting = Setting::new(Limits::default());
    moves(setting.keyring.get(ORGANISATION, START, async || Err(KeyFailure::retryable("never polled"))));
}
