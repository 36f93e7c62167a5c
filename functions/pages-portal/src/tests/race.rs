//! A link, another link, an automatic charge, an ERP's receipt and a refund, all at once, in any order: at each call of anybody,
//! anybody else may go on.

use std::sync::Mutex;

use plixo_domain::ledger::{Invoice, Payment};
use plixo_lambda::stream::Batch;
use plixo_stripe::SessionStatus;
use proptest::prelude::*;
use worker_portal_links::Worker;

use super::*;

/// What somebody does, one after the other.
#[derive(Debug, Clone, Copy)]
enum Act {
    /// A payer presses the button, and goes where they are sent.
    Press,
    /// A payer's card is declined on Stripe's page, and that is heard of.
    Decline,
    /// A payer pays on Stripe's page where they were last sent; by a debit, which comes later.
    Pay(bool),
    /// Stripe tells of all money that it has taken by now.
    Hear,
    /// A charge that the organisation makes by itself is heard of.
    Charge,
    /// The ERP's receipt of a part, or of all, is heard of.
    Receipt(bool),
    /// The last money heard of is refunded.
    Refund,
    /// The worker follows the ledger.
    Follow,
    /// Somebody else's turn.
    Wait,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        5 => Just(Act::Press),
        2 => Just(Act::Decline),
        4 => any::<bool>().prop_map(Act::Pay),
        3 => Just(Act::Hear),
        1 => Just(Act::Charge),
        2 => any::<bool>().prop_map(Act::Receipt),
        1 => Just(Act::Refund),
        3 => Just(Act::Follow),
        3 => Just(Act::Wait),
    ]
}

const OWED: i64 = 11_900;

/// What Stripe and others did, and what was heard of it.
#[derive(Default)]
struct Outside {
    /// Money of our sessions: its name, how much, and how often it has to be heard of until it is known: a debit is on its way first.
    taken: Vec<(String, i64, u8)>,
    /// What money that was heard of, from wherever, was refunded; all of it.
    refunded: BTreeSet<String>,
    heard: Vec<(String, i64)>,
    told: i64,
}

struct Scene {
    world: World,
    outside: Mutex<Outside>,
}

impl Scene {
    fn next(&self) -> i64 {
        let mut outside = self.outside.lock().unwrap();
        outside.told += 1;
        1_800_000_000 + outside.told
    }

    async fn hear(&self, name: String, amount: i64) {
        let at = self.next();
        self.world.hear(&name, amount, Stage::Received, at).await;
        self.outside.lock().unwrap().heard.push((name, amount));
    }

    async fn play(&self, portal: &Faked, mut browser: Browser, acts: &[Act]) {
        let mut sent: Option<String> = None;
        for act in acts {
            match act {
                Act::Wait => tokio::task::yield_now().await,
                Act::Press => {
                    let answer = browser.go(portal, later(10), CHECKOUT, None, "").await;
                    assert!(answer.status == 303, "{} {}", answer.status, answer.line.outcome);
                    if answer.to().starts_with(FakeStripe::ORIGIN) {
                        sent = Some(answer.to().to_owned());
                    }
                }
                Act::Decline => {
                    let open = sent.as_ref().and_then(|url| self.world.stripe.open(url));
                    if let Some(open) = open {
                        let name = open.session.id.as_str().replace("cs_", "pi_");
                        let at = self.next();
                        self.world.hear(&name, open.amount.amount, Stage::Failed, at).await;
                    }
                }
                Act::Pay(is_debit) => {
                    if let Some(paid) = sent.as_ref().and_then(|url| self.world.stripe.pay(url, *is_debit)) {
                        let name = paid.session.payment_intent.unwrap().to_string();
                        let news = 1 + u8::from(*is_debit);
                        self.outside.lock().unwrap().taken.push((name, paid.amount.amount, news));
                    }
                }
                Act::Hear => {
                    let news =
                        self.outside.lock().unwrap().taken.iter_mut().find(|(.., left)| *left > 0).map(
                            |it| {
                                it.2 -= 1;
                                it.clone()
                            },
                        );
                    match news {
                        Some((name, amount, 0)) => self.hear(name, amount).await,
                        Some((name, amount, _)) => {
                            let at = self.next();
                            self.world.hear_of(Witness::Session, &name, amount, Stage::Pending, at).await;
                        }
                        None => {}
                    }
                }
                Act::Charge => self.hear(format!("pi_auto_{}", self.next()), OWED).await,
                Act::Receipt(whole) => {
                    let amount = if *whole { OWED } else { 1_900 };
                    self.hear(format!("erp_{}", self.next()), amount).await;
                }
                Act::Refund => {
                    let last = self.outside.lock().unwrap().heard.last().cloned();
                    if let Some((name, amount)) = last {
                        let at = self.next();
                        self.world.refund(&name, amount, at).await;
                        self.outside.lock().unwrap().refunded.insert(name);
                    }
                }
                Act::Follow => self.follow().await,
            }
        }
    }

    /// The worker hears that the invoice changed.
    async fn follow(&self) {
        let World { org, invoice, vault, stripe, .. } = &self.world;
        let cashier = Cashier::new(vault.clone(), stripe.clone());
        let worker = Worker::new(self.world.store(), cashier, entropy);
        let batch: Batch = serde_json::from_value(json!({"Records": [{"dynamodb": {
            "Keys": {"pk": {"S": format!("{org}#{invoice}")}, "sk": {"S": "invoice"}}, "SequenceNumber": "1"}}]}))
        .unwrap();
        assert_eq!(worker.run(&batch).await.failed().count(), 0);
    }

    fn payment(&self, name: &str) -> Payment {
        let name = ExternalRef { provider: Provider::Stripe, id: name.parse().unwrap() };
        self.world.row(&name).unwrap()
    }
}

fn check(scene: &Scene) -> Result<(), TestCaseError> {
    let outside = scene.outside.lock().unwrap();
    let invoice: Invoice = scene.world.owed();
    // The books balance, whatever came.
    let applied: i64 = invoice.claims.values().map(|claim| claim.applied).sum();
    prop_assert_eq!(invoice.balance().amount, OWED - applied);
    prop_assert!(invoice.balance().amount >= 0);
    let mut of_payments = 0;
    for (name, amount) in &outside.heard {
        let payment = scene.payment(name);
        let refunded = if outside.refunded.contains(name) { *amount } else { 0 };
        prop_assert_eq!(payment.net(), amount - refunded);
        let unapplied = payment.unapplied().map_or(0, |left| left.amount);
        prop_assert_eq!(unapplied + payment.allocated(), payment.net());
        of_payments += payment.allocated();
    }
    prop_assert_eq!(applied, of_payments);
    // What our own sessions took, less what was refunded, is never more than is owed.
    let kept = outside.taken.iter().filter(|(name, ..)| !outside.refunded.contains(name));
    let kept: i64 = kept.map(|(_, amount, _)| amount).sum();
    prop_assert!(kept <= OWED, "sessions took {kept}");
    // At most one session can be paid in by somebody who was sent there.
    let sessions = scene.world.stripe.sessions();
    let open = sessions.iter().filter(|it| it.session.status == SessionStatus::Open);
    let live = invoice.live_checkout().and_then(|live| live.session.clone());
    let known: Vec<_> = open.filter(|it| Some(&it.session.id) == live.as_ref()).collect();
    prop_assert!(known.len() <= 1);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn an_invoice_is_never_paid_twice_by_our_links(
        one in prop::collection::vec(act(), 1..12), two in prop::collection::vec(act(), 1..12),
        three in prop::collection::vec(act(), 0..8),
    ) {
        let world = World::new();
        let browsers = [7, 8].map(|n| {
            let token = world.token(&world.link(n, HOUR));
            let mut browser = Browser::default();
            assert_eq!(browser.open(&world, start(), &token).status, 303);
            browser
        });
        let scene = Scene { world, outside: Mutex::default() };
        let portals = [scene.world.portal(), scene.world.portal()];
        let [first, second] = browsers;
        let three: Vec<_> = three.into_iter().filter(|act| !matches!(act, Act::Press)).collect();
        block_on(async {
            tokio::join!(
                scene.play(&portals[0], first, &one),
                scene.play(&portals[1], second, &two),
                scene.play(&portals[0], Browser::default(), &three),
            );
        });
        check(&scene)?;
        // Once all is heard and followed, nothing is open that should not be.
        block_on(async {
            while scene.outside.lock().unwrap().taken.iter().any(|(.., left)| *left > 0) {
                scene.play(&portals[0], Browser::default(), &[Act::Hear]).await;
            }
            scene.follow().await;
        });
        check(&scene)?;
        let invoice = scene.world.owed();
        let live = invoice.live_checkout().cloned();
        for it in scene.world.stripe.sessions() {
            let is_live = live.as_ref().is_some_and(|live| live.session.as_ref() == Some(&it.session.id));
            if is_live && it.session.status == SessionStatus::Open {
                prop_assert!(invoice.takes_payment() && it.amount == invoice.balance());
            }
        }
        for n in [7_u8, 8] {
            let link: PortalLink = scene.world.row(&from_bytes([n; 16])).unwrap();
            prop_assert!(invoice.takes_payment() || link.settled_at.is_some());
        }
    }
}
