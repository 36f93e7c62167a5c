//! Cash application.

use std::collections::BTreeMap;
use std::sync::Mutex;

use serde_json::Value;

use super::*;

pub(super) const SUGGESTIONS: [&str; 1] = ["GET /v1/orgs/{org}/payments/{id}/suggestions"];

/// What the API suggests, by payment: what a test says, else nothing.
#[derive(Clone, Default)]
pub(super) struct Suggested(Arc<Mutex<BTreeMap<String, Value>>>);

impl Suggested {
    pub(super) fn answer(&self, request: &Request) -> Response {
        assert_eq!(request.query(), "expand=invoices");
        let nothing = json!({"data": [], "stopped_early": false});
        match self.0.lock().unwrap().get(request.path("id").unwrap()).unwrap_or(&nothing) {
            Value::Null => Response::problem(503, "unavailable", "Service Unavailable", "", request.id()),
            answer => Response::json(200, answer.to_string()),
        }
    }

    fn say(&self, payment: &str, answer: Value) {
        self.0.lock().unwrap().insert(id(payment).to_owned(), answer);
    }
}

/// The last part of a path.
fn id(path: &str) -> &str {
    path.rsplit('/').next().unwrap()
}

fn eur(amount: i64) -> Value {
    json!({"amount": amount, "currency": "EUR"})
}

/// A suggestion of these shares.
fn suggestion(shares: &[(&str, i64)], confidence: f64, left: i64) -> Value {
    let number = |n| format!("INV-{:06}", n + 1);
    let allocation = |(n, (invoice, amount)): (usize, &(&str, i64))| {
        json!({"invoice_id": id(invoice), "amount": eur(*amount),
            "invoice": {"id": id(invoice), "number": number(n)}})
    };
    let allocations: Vec<_> = shares.iter().enumerate().map(allocation).collect();
    let reasons = ["the amount is exactly what is open"];
    json!({"allocations": allocations, "confidence": confidence, "reasons": reasons, "unapplied": eur(left)})
}

fn suggestions(rows: &[Value]) -> Value {
    json!({"data": rows, "stopped_early": false})
}

fn plain(text: &str) -> String {
    text.replace("&#34;", "\"").replace("&#38;", "&")
}

impl Shown {
    /// Where the first form that does this goes, and what it sends.
    fn form(&self, verb: &str) -> (String, Vec<(String, String)>) {
        let wanted = format!("name=\"do\" value=\"{verb}\"");
        let mut forms = self.html.split("<form ").skip(1).map(|rest| rest.split("</form>").next().unwrap());
        let form = forms.find(|form| form.contains(&wanted)).unwrap_or_else(|| panic!("{}", self.html));
        let action = form.split("action=\"").nth(1).unwrap().split('"').next().unwrap();
        let fields = form.split("<input ").skip(1).map(|field| {
            let of = |name: &str| {
                let (_, rest) = field.split_once(&format!("{name}=\"")).unwrap();
                plain(rest.split('"').next().unwrap())
            };
            (of(" name"), of("value"))
        });
        (plain(action), fields.collect())
    }

    /// Where the link or button of that name leads.
    fn link_to(&self, name: &str) -> String {
        let (before, _) =
            self.html.split_once(&format!(">{name}</a>")).unwrap_or_else(|| panic!("{}", self.html));
        plain(before.rsplit("href=\"").next().unwrap().split('"').next().unwrap())
    }
}

impl At<'_> {
    /// Sends the first form that does this.
    fn submit(self, shown: &Shown, verb: &str) -> Shown {
        let (action, fields) = shown.form(verb);
        let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.post(&action, &fields)
    }

    fn paid(self, amount: &str, payer: &str) -> String {
        let fields = [
            ("source", "bank"),
            ("amount", amount),
            ("currency", "EUR"),
            ("received_on", "2026-06-14"),
            ("payer_name", payer),
        ];
        let made = self.post(&self.world.page("/payments/new"), &fields);
        assert_eq!(made.status, 303, "{}", made.html);
        made.to.split('?').next().unwrap().to_owned()
    }

    /// So many invoices of 2,976.19, and a payment for each, with a suggestion.
    fn work(self, count: usize) -> Vec<(String, String)> {
        let customer = self.customer();
        let pair = |n| {
            let invoice = self.owed(&customer, "");
            let payment = self.paid("2976.19", &format!("Payer {n}"));
            let row = suggestion(&[(&invoice, 297_619)], 0.999, 0);
            self.world.suggested.say(&payment, suggestions(&[row]));
            (invoice, payment)
        };
        (1..=count).map(pair).collect()
    }
}

#[test]
fn payments_are_worked_off_one_after_the_other() {
    let world = world();
    let (at, cash) = (world.at(Role::BillingAdmin), world.page("/cash"));
    let work = at.work(3);
    for page in ["/payments", "/payments/unapplied"] {
        assert_eq!(at.get(&world.page(page)).link_to("Apply payments"), cash, "{page}");
    }
    let shown = at.get(&cash);
    let html = &shown.html;
    assert!(html.contains("Payer 3") && html.contains("3 payments to go"), "{html}");
    assert!(html.contains("Almost certain, 99 %") && html.contains("the amount is exactly what is open"));
    assert!(html.contains("autofocus>Apply</button>") && !html.contains("Undo"), "{html}");

    let done = at.submit(&shown, "apply");
    assert_eq!(done.status, 303, "{}", done.html);
    assert_eq!(at.submit(&shown, "apply").to, done.to, "sent twice");
    assert_eq!(at.get(&work[2].1).html.matches("value=\"take_back\"").count(), 1);
    assert!(at.get(&work[2].0).html.contains("Paid"));
    let shown = at.get(&done.to);
    assert!(shown.html.contains("Payer 2") && shown.html.contains("2 payments to go"), "{}", shown.html);
    let notice = "<bdi>INV-000003</bdi> from <bdi>Payer 3</bdi>.";
    assert!(shown.html.contains(notice) && shown.html.contains(">Undo</button>"), "{}", shown.html);

    let skipped = at.get(&shown.link_to("Skip"));
    assert!(skipped.html.contains("Payer 1") && skipped.html.contains("1 payment to go"));
    assert!(!skipped.html.contains("Undo"));
    let done = at.submit(&skipped, "apply");
    let rest = at.get(&done.to);
    assert!(rest.html.contains("1 payment is still unapplied.") && rest.html.contains("Payer 1</bdi>."));
    let again = at.get(&rest.link_to("Look at them again"));
    assert!(again.html.contains("Payer 2") && !again.html.contains("Undo"), "{}", again.html);
    let done = at.submit(&again, "apply");
    let end = at.get(&done.to);
    assert!(end.html.contains("All money is applied") && end.html.contains(">Undo</button>"));
    assert!(at.get(&world.page("/payments/unapplied")).html.contains("All money is applied"));

    // The last one is taken back, from the page that says that none is left.
    let back = at.submit(&end, "undo");
    assert_eq!(at.submit(&end, "undo").to, back.to, "sent twice");
    let shown = at.get(&back.to);
    assert!(shown.html.contains("That is taken back: here is the payment again."), "{}", shown.html);
    assert!(shown.html.contains("Payer 2") && shown.html.contains("1 payment to go"));
    assert!(at.get(&work[1].0).html.contains("Open") && at.get(&work[0].0).html.contains("Paid"));
    let done = at.submit(&shown, "apply");
    assert!(at.get(&done.to).html.contains("All money is applied"));
    assert_eq!(at.post(&cash, &[("do", "other")]).status, 400);
}

#[test]
fn the_place_in_the_list_is_kept_whatever_comes_meanwhile() {
    let world = world();
    let at = world.at(CONTROLLER);
    at.work(3);
    let second = at.get(&at.get(&world.page("/cash")).link_to("Skip"));
    let done = at.submit(&second, "apply");
    at.paid("5", "Newcomer");
    let shown = at.get(&at.submit(&at.get(&done.to), "undo").to);
    assert!(shown.html.contains("Payer 2") && shown.html.contains("2 payments to go"), "{}", shown.html);
    assert!(at.get(&shown.link_to("Skip")).html.contains("Payer 1"));
    // One that is not the first at its place leads back to that place.
    let page = world.page("/cash");
    let asked = at.get(&format!("{page}?payment={}", id(&at.paid("6", "Named"))));
    assert!(asked.html.contains("Named") && asked.html.contains("No open invoice fits this payment"));
    let (_, place) = second.form("apply");
    let (_, payment) = place.iter().find(|(name, _)| name == "payment").unwrap();
    let asked = at.get(&format!("{page}?payment={payment}"));
    assert!(asked.html.contains("Payer 2"));
    assert!(at.get(&asked.link_to("Skip")).html.contains("Named"));
    assert_eq!(at.get(&format!("{page}?cursor=nonsense")).status, 400);
    assert_eq!(at.get(&format!("{page}?payment=pay_00000000000000000000000000")).status, 404);
    let nothing = at.get(&format!("{page}?undo=nonsense&of=alo_1.x"));
    assert!(nothing.status == 200 && !nothing.html.contains(">Undo</button>"));
}

#[test]
fn what_is_suggested_is_changed_by_hand_and_the_list_goes_on() {
    let world = world();
    let at = world.at(CONTROLLER);
    let work = at.work(2);
    let shown = at.get(&world.page("/cash"));
    let change = shown.link_to("Change");
    let field = format!("apply.{}", id(&work[1].0));
    let form = at.get(&change);
    assert_eq!((form.status, form.value(&field)), (200, "2976.19"), "{}", form.html);
    assert!(!form.html.contains("id=\"suggestions\"") && form.html.contains("autofocus"));
    assert!(form.html.contains(&format!("/cash?payment={}", id(&work[1].1))), "a way back");
    let (action, fields) = form.form("apply");
    assert_eq!(action, work[1].1);
    let typed = |amount: &'static str| {
        let fields = fields
            .iter()
            .map(|(name, value)| (name.as_str(), if *name == field { amount } else { value.as_str() }));
        at.post(&action, &fields.collect::<Vec<_>>())
    };
    let wrong = typed("lots");
    assert_eq!((wrong.status, wrong.value(&field)), (400, "lots"));
    assert!(!wrong.value("next").is_empty() && wrong.html.contains("summary-title\" autofocus"));
    let done = typed("1000");
    let next = at.get(&done.to);
    assert!(next.html.contains("Payer 1") && next.html.contains("1,000.00"), "{}", next.html);
    let back = at.get(&at.submit(&next, "undo").to);
    assert!(back.html.contains("Payer 2") && !back.html.contains("1,000.00"), "{}", back.html);

    // Any invoices, and from the payment's own page as well.
    let form = at.get(&back.link_to("Choose other invoices"));
    assert!(form.value(&field).is_empty() && form.html.contains("autofocus"), "{}", form.html);
    let own = at.get(&work[1].1);
    assert!(own.html.contains("id=\"suggestions\"") && !own.html.contains("autofocus>Apply"));
    assert_eq!(own.link_to("Change"), format!("{}?{field}=2976.19", work[1].1));
    assert_eq!(at.submit(&own, "apply").to, format!("{}?done=applied", work[1].1));
}

#[test]
fn what_was_changed_meanwhile_is_refused_and_shown_as_it_is_now() {
    let world = world();
    let (at, cash) = (world.at(CONTROLLER), world.page("/cash"));
    let work = at.work(1);
    let (invoice, payment) = &work[0];
    let shown = at.get(&cash);
    let field = format!("apply.{}", id(invoice));
    assert_eq!(at.post(payment, &[("do", "apply"), (&field, "976.19")]).status, 303);
    let late = at.submit(&shown, "apply");
    assert_eq!((late.status, late.line.outcome), (412, "stale"), "{}", late.html);
    assert!(late.html.contains("look again before you decide") && late.html.contains("2,000.00"));
    assert!(!late.html.contains("autofocus>Apply") && late.html.contains("summary-title\" autofocus"));
    // What the API suggests is more than it takes by now: the reason is told, and nothing is applied.
    let refused = at.submit(&late, "apply");
    assert_eq!(refused.status, 400, "{}", refused.html);
    assert!(refused.html.contains("unapplied of the payment") && !refused.html.contains("href=\"#apply"));
    assert!(refused.html.contains("Payer 1") && refused.html.contains("2,000.00"), "{}", refused.html);

    let shown = at.get(&cash);
    assert_eq!(at.post(payment, &[("do", "apply"), (&field, "2000")]).status, 303);
    let gone = at.submit(&shown, "apply");
    assert!(gone.status == 412 && gone.html.contains("Nothing of this payment is left"), "{}", gone.html);
    assert!(at.get(&gone.link_to("Next payment")).html.contains("All money is applied"));
    assert_eq!(at.post(&cash, &[("do", "apply"), ("payment", id(payment))]).status, 400);
    assert_eq!(at.post(&cash, &[("do", "apply"), ("payment", "pay_nonsense")]).status, 404);
}

#[test]
fn what_cannot_be_taken_back_is_named_and_can_be_tried_again() {
    let world = world();
    let (at, cash) = (world.at(CONTROLLER), world.page("/cash"));
    let customer = at.customer();
    let invoices = [at.owed(&customer, ""), at.owed(&customer, "")];
    let payment = at.paid("5000", "Weber");
    let shares = [(invoices[0].as_str(), 297_619), (invoices[1].as_str(), 202_381)];
    world.suggested.say(&payment, suggestions(&[suggestion(&shares, 0.8, 0)]));
    let mut shown = at.get(&at.submit(&at.get(&cash), "apply").to);
    let is_open = |n: usize| at.get(&invoices[n]).html.contains(" Open</span>");
    assert!(!is_open(0) && !is_open(1) && shown.html.contains("<bdi>INV-000001</bdi>, <span"));

    // One of them somebody takes back before; the other one goes all the same.
    let own = at.get(&payment);
    assert_eq!(at.submit(&own, "take_back").status, 303);
    let back = at.submit(&shown, "undo");
    assert_eq!(back.status, 303, "{}", back.html);
    assert!(is_open(0) && is_open(1));

    shown = at.get(&at.submit(&at.get(&back.to), "apply").to);
    // What the API refuses stays; the other one goes.
    let (action, sent) = shown.form("undo");
    let value = |name: &str| sent.iter().find(|(own, _)| own == name).unwrap().1.clone();
    let used = format!("{}.{}", value("idempotency_key"), value("of").split('.').next().unwrap());
    let other = at.paid("1", "Other");
    let field = format!("apply.{}", id(&at.owed(&customer, "")));
    assert_eq!(at.post(&other, &[("do", "apply"), (&field, "1")]).status, 303);
    let own = at.get(&other);
    let fields = [("do", "take_back"), ("idempotency_key", &used), ("allocation", own.value("allocation"))];
    assert_eq!(at.post(&other, &fields).status, 303);
    assert_eq!(at.post(&other, &[("do", "apply"), (&field, "1")]).status, 303);
    let fields: Vec<_> = sent.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let kept = at.post(&action, &fields);
    assert_eq!((kept.status, kept.line.outcome), (400, "idempotency_key_reused"), "{}", kept.html);
    assert!(!is_open(0) && is_open(1));
    assert!(
        kept.html.contains("INV-000001 is still applied. ")
            && kept.html.contains("summary-title\" autofocus")
    );
    let notice = kept.html.split("class=\"done undo\"").nth(1).unwrap().split("</p>").next().unwrap();
    assert!(notice.contains("INV-000001") && !notice.contains("INV-000002"), "{notice}");
    let back = at.submit(&kept, "undo");
    assert!(back.status == 303 && is_open(0), "{}", back.html);

    // Where AWS does not do its part, the same form is sent again.
    shown = at.get(&at.submit(&at.get(&format!("{cash}?payment={}", id(&payment))), "apply").to);
    for call in 0.. {
        world.faults.plan(call, plixo_testing::Fault::Refuses);
        let failed = at.submit(&shown, "undo");
        world.faults.clear();
        let done = match failed.status {
            503 => {
                assert!(failed.html.contains("Send it again"), "{call}");
                at.submit(&failed, "undo")
            }
            _ => failed,
        };
        assert_eq!(done.status, 303, "{call}: {}", done.html);
        assert!(is_open(1), "{call}");
        if call > 12 {
            break;
        }
        shown = at.get(&at.submit(&at.get(&done.to), "apply").to);
    }
}

#[test]
fn who_may_not_apply_sees_what_is_suggested_and_no_button() {
    let world = world();
    let cash = world.page("/cash");
    let work = world.at(CONTROLLER).work(2);
    let shown = world.at(CONTROLLER).get(&cash);
    for role in [Role::Cfo, Role::Viewer] {
        let at = world.at(role);
        let read = at.get(&cash);
        assert!(read.status == 200 && read.html.contains("Almost certain, 99 %"), "{role:?}");
        for button in [">Apply</button>", ">Change</a>", ">Undo</button>", "Choose other invoices"] {
            assert!(!read.html.contains(button), "{role:?}: {button}");
        }
        assert!(at.get(&read.link_to("Next payment")).html.contains("Payer 1"));
        let own = at.get(&work[0].1);
        assert!(own.html.contains("Almost certain, 99 %") && !own.html.contains(">Apply</button>"));
        assert_eq!(at.get(&world.page("/payments")).link_to("See suggestions"), cash);
        assert!(!at.get(&world.page("")).html.contains("Apply payments"));
        let refused = at.submit(&shown, "apply");
        assert_eq!((refused.status, refused.line.outcome), (403, "forbidden"), "{role:?}");
    }
    let done = world.at(CONTROLLER).submit(&shown, "apply");
    assert!(!world.at(Role::Viewer).get(&done.to).html.contains(">Undo</button>"));
    let offer = world.at(CONTROLLER).get(&done.to);
    assert_eq!(world.at(Role::Viewer).submit(&offer, "undo").status, 403);
    assert!(world.at(CONTROLLER).get(&work[1].0).html.contains("Paid"));
    let stranger = At { who: Some((CONTROLLER, 1)), ..world.at(CONTROLLER) };
    assert_eq!((stranger.get(&cash).status, stranger.submit(&shown, "apply").status), (404, 404));
}

#[test]
fn what_is_not_known_is_said() {
    let world = world();
    let (at, cash) = (world.at(CONTROLLER), world.page("/cash"));
    let empty = at.get(&cash);
    assert!(empty.status == 200 && empty.html.contains("All money is applied"), "{}", empty.html);
    let invoice = at.owed(&at.customer(), "");
    let payment = at.paid("100", "Weber");
    let shown = at.get(&cash);
    assert!(shown.html.contains("No open invoice fits this payment") && !shown.html.contains("Not all"));
    assert!(at.get(&shown.link_to("Choose invoices")).value(&format!("apply.{}", id(&invoice))).is_empty());

    let row = suggestion(&[(&invoice, 6_000)], 0.6, 4_000);
    let early = json!({"data": [row], "stopped_early": true});
    world.suggested.say(&payment, early);
    for page in [&cash, &payment] {
        let shown = at.get(page);
        assert!(shown.html.contains("Not all combinations of invoices were looked at"), "{page}");
        assert!(shown.html.contains("Possible, 60 %") && shown.html.contains("Stays unapplied"), "{page}");
    }
    // What is left over stays for later, and the list goes on.
    let rest = at.get(&at.submit(&at.get(&cash), "apply").to);
    assert!(rest.html.contains("1 payment is still unapplied."), "{}", rest.html);

    world.suggested.say(&payment, Value::Null);
    let shown = at.get(&cash);
    assert!(shown.status == 200 && shown.html.contains("could not look for suggestions"), "{}", shown.html);
    assert_eq!(shown.link_to("Look again"), cash);
    let own = at.get(&payment);
    assert!(own.status == 200 && own.html.contains("Apply what is left"), "{}", own.html);

    for n in 0..25 {
        at.paid("1", &format!("Payer {n}"));
    }
    assert!(at.get(&cash).html.contains("More than 25 payments to go"));
    let next = at.get(&at.get(&cash).link_to("Skip"));
    assert!(next.html.contains("25 payments to go") && next.html.contains("Payer 23"), "{}", next.html);
}
