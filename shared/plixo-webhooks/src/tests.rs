//! Deliveries and documents of every ERP: the samples in `events/`, and what is made of them by chance.

mod erpnext;
mod notices;
mod papers;

use std::collections::BTreeMap;

use plixo_domain::ledger::Private;
use plixo_domain::webhook::{ExternalId, Provider};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::canonical::{Entity, Event, Version};
use crate::delivery::{Delivery, News};
use crate::document::{self, Context};
use crate::json::{FieldError, Problem, ReadError};

/// Names, addresses and the like in the samples.
const PERSONAL: [&str; 12] = [
    "Zo",
    "zoe",
    "Lindenallee",
    "1234567",
    "Agency",
    "cityagency",
    "Quay",
    "Amy",
    "Birds",
    "Finch",
    "Coho",
    "glynn",
];

pub(super) fn samples(folder: &str) -> BTreeMap<String, String> {
    let folder = format!("{}/../../events/{folder}", env!("CARGO_MANIFEST_DIR"));
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        (name, std::fs::read_to_string(path).unwrap())
    };
    std::fs::read_dir(folder).unwrap().map(read).collect()
}

pub(super) fn sample(folder: &str, name: &str) -> Value {
    serde_json::from_str(&samples(folder)[name]).unwrap()
}

/// The provider and, of an answer, the kind of thing that a sample's name begins with.
fn kind_of(name: &str) -> (Provider, Entity) {
    let (provider, thing) = name.split_once('.').unwrap();
    let provider = match provider {
        "canonical" => Provider::StandardWebhooks,
        "erpnext" => Provider::Erpnext,
        "xero" => Provider::Xero,
        "quickbooks" => Provider::Quickbooks,
        "business_central" => Provider::BusinessCentral,
        other => panic!("{other}"),
    };
    let entity = match thing {
        thing if thing.contains("credit") => Entity::CreditNote,
        thing if thing.contains("payment") => Entity::Payment,
        thing if thing.contains("invoice") => Entity::Invoice,
        _ => Entity::Customer,
    };
    (provider, entity)
}

pub(super) fn realm() -> ExternalId {
    "1185883450".parse().unwrap()
}

pub(super) fn answer(name: &str, body: &Value) -> Result<Vec<Event>, ReadError> {
    let (provider, entity) = kind_of(name);
    let account = realm();
    let context = Context { account: Some(&account), currency: Some("USD".parse().unwrap()) };
    document::read(provider, entity, body.to_string().as_bytes(), &context)
}

pub(super) fn delivered(provider: Provider, body: &Value) -> Result<Delivery, ReadError> {
    Delivery::read(provider, body.to_string().as_bytes(), None)
}

/// The private parts of what an event tells.
fn revealed(event: &Event) -> String {
    fn open<T: serde::Serialize>(private: &Private<T>) -> String {
        let Private::Plain(plain) = private else { panic!("nothing is sealed here") };
        serde_json::to_string(plain).unwrap()
    }
    let private = match event {
        Event::CustomerUpserted(it) => it.personal.as_ref().map(open),
        Event::InvoiceUpserted(it) => Some(open(&it.body)),
        Event::PaymentRecorded(it) => it.record.as_ref().map(|record| open(&record.payer)),
        Event::InvoiceVoided(_) | Event::CreditNoteRecorded(_) => None,
    };
    private.unwrap_or_default()
}

fn told(delivery: &Delivery) -> Vec<&Event> {
    let news = delivery.events.iter().filter_map(|event| match &event.news {
        News::Told(event) => Some(event.as_ref()),
        _ => None,
    });
    news.collect()
}

#[test]
fn the_samples_of_deliveries_are_read() {
    let read = |(name, text): (String, String)| {
        let delivery = Delivery::read(kind_of(&name).0, text.as_bytes(), None).unwrap();
        let private: Vec<_> = told(&delivery).into_iter().map(revealed).collect();
        let shown = format!("{delivery:#?}");
        assert!(PERSONAL.iter().all(|personal| !shown.contains(personal)), "{shown}");
        (name, format!("{shown}\n{}", private.join("\n")).lines().map(str::to_owned).collect::<Vec<_>>())
    };
    insta::assert_json_snapshot!(
        "deliveries",
        samples("webhook-erp").into_iter().map(read).collect::<BTreeMap<_, _>>()
    );
}

#[test]
fn the_samples_of_answers_are_read() {
    let read = |(name, text): (String, String)| {
        // As text, for digits at the end of a number count too.
        let (provider, entity) = kind_of(&name);
        let account = realm();
        let context = Context { account: Some(&account), currency: Some("USD".parse().unwrap()) };
        let events = document::read(provider, entity, text.as_bytes(), &context).unwrap();
        let shown = format!("{events:#?}");
        assert!(PERSONAL.iter().all(|personal| !shown.contains(personal)), "{shown}");
        let private: Vec<_> = events.iter().map(revealed).collect();
        (name, format!("{shown}\n{}", private.join("\n")).lines().map(str::to_owned).collect::<Vec<_>>())
    };
    insta::assert_json_snapshot!(
        "answers",
        samples("worker-erp").into_iter().map(read).collect::<BTreeMap<_, _>>()
    );
}

/// All events of all samples, with the words of the contract.
fn all_events() -> Vec<Event> {
    let deliveries = samples("webhook-erp").into_iter();
    let deliveries =
        deliveries.map(|(name, text)| Delivery::read(kind_of(&name).0, text.as_bytes(), None).unwrap());
    let mut events: Vec<_> =
        deliveries.flat_map(|delivery| told(&delivery).into_iter().cloned().collect::<Vec<_>>()).collect();
    for (name, text) in samples("worker-erp") {
        events.extend(answer(&name, &serde_json::from_str(&text).unwrap()).unwrap());
    }
    events
}

#[test]
fn the_lines_of_every_invoice_sum_up_to_its_total() {
    let mut invoices = 0;
    for event in all_events() {
        if let Event::InvoiceUpserted(invoice) = event {
            let Private::Plain(body) = &invoice.body else { panic!("nothing is sealed here") };
            assert_eq!(body.total(), Ok(invoice.total), "{}", invoice.id);
            invoices += 1;
        }
    }
    assert!(invoices >= 5);
}

#[test]
fn every_kind_of_event_has_a_sample() {
    let kinds: std::collections::BTreeSet<_> = all_events().iter().map(Event::kind).collect();
    let contract = [
        "credit_note.recorded",
        "customer.upserted",
        "invoice.upserted",
        "invoice.voided",
        "payment.recorded",
    ];
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), contract);
}

#[test]
fn what_is_no_document_says_so() {
    let providers = [
        Provider::StandardWebhooks,
        Provider::GenericHmac,
        Provider::Erpnext,
        Provider::Xero,
        Provider::Quickbooks,
        Provider::BusinessCentral,
    ];
    for provider in providers {
        let read = |body: &[u8]| Delivery::read(provider, body, None).unwrap_err();
        assert_eq!(read(b"\xff"), ReadError::NotUtf8);
        for text in ["", " ", "nonsense", "{", "{} {}", "{'a':1}", "\u{feff}{}"] {
            assert_eq!(read(text.as_bytes()), ReadError::NotJson, "{provider:?} {text}");
        }
        for text in ["1", "null", "\"text\"", "true"] {
            assert_eq!(read(text.as_bytes()), ReadError::NotADocument, "{provider:?} {text}");
        }
        assert_eq!(read(format!("{}{}", "[".repeat(129), "]".repeat(129)).as_bytes()), ReadError::TooDeep);
        assert!(matches!(read(b"{}"), ReadError::NotADocument | ReadError::Field(_)));
    }
    for provider in [Provider::Stripe, Provider::Member] {
        assert_eq!(Delivery::read(provider, b"{}", None), Err(ReadError::NotADocument));
        assert_eq!(
            document::read(provider, Entity::Invoice, b"{}", &Context::default()),
            Err(ReadError::NotADocument)
        );
    }
}

/// Every place in a value, as pointers.
pub(super) fn places(value: &Value, at: String, places: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                self::places(field, format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), places);
            }
        }
        Value::Array(items) => {
            for (n, item) in items.iter().enumerate() {
                self::places(item, format!("{at}/{n}"), places);
            }
        }
        _ => {}
    }
    places.push(at);
}

fn errors_of(folder: &str, name: &str, body: &Value) -> Option<String> {
    let provider = kind_of(name).0;
    let result = match folder {
        "webhook-erp" => delivered(provider, body).map(|delivery| {
            let unusable = delivery.events.iter().find_map(|event| match &event.news {
                News::Unusable(error) => Some(error.to_string()),
                _ => None,
            });
            unusable.unwrap_or_default()
        }),
        _ => answer(name, body).map(|_| String::new()),
    };
    result.map_or_else(|error| Some(error.to_string()), |text| (!text.is_empty()).then_some(text))
}

#[test]
fn whatever_stands_in_a_field_an_error_never_repeats_it() {
    let wrongs = [
        json!("canary-text"),
        json!("2026-99-99canary"),
        json!(-90_807_060),
        json!(0.907_060_501),
        json!(["canary"]),
        json!({"canary": "canary"}),
        json!(true),
        json!(null),
        json!(""),
    ];
    let mut errors = 0;
    for folder in ["webhook-erp", "worker-erp"] {
        for (name, text) in samples(folder) {
            let whole: Value = serde_json::from_str(&text).unwrap();
            let mut all = Vec::new();
            places(&whole, String::new(), &mut all);
            for (place, wrong) in all.iter().flat_map(|place| wrongs.iter().map(move |wrong| (place, wrong)))
            {
                let mut changed = whole.clone();
                *changed.pointer_mut(place).unwrap() = wrong.clone();
                if let Some(error) = errors_of(folder, &name, &changed) {
                    errors += 1;
                    let repeats =
                        ["canary", "90807060", "907060501"].iter().any(|value| error.contains(value));
                    assert!(!repeats, "{name} {place}: {error}");
                }
            }
        }
    }
    assert!(errors > 1_000, "{errors}");
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,20}".prop_map(Value::from),
        "[-+0-9.eE/():TZ]{0,30}".prop_map(Value::from),
        "/Date\\([-+0-9]{0,16}\\)/".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::hash_map("[a-zA-Z_]{1,12}", inner, 0..8)
                .prop_map(|map| map.into_iter().collect()),
        ]
    })
}

fn read_as_everything(body: &[u8]) {
    for provider in Provider::ALL {
        let _ = Delivery::read(provider, body, None).map(|delivery| format!("{delivery:?}"));
        for entity in [Entity::Customer, Entity::Invoice, Entity::Payment, Entity::CreditNote] {
            let _ = document::read(provider, entity, body, &Context::default())
                .map(|events| format!("{events:?}"));
        }
    }
}

#[test]
fn large_and_odd_texts_are_read_to_an_end() {
    let list = |item: &str, times: usize| format!("[{}]", vec![item; times].join(","));
    let events = |item: &str| format!("{{\"events\":{}}}", list(item, 100_000 / (item.len() + 1)));
    let fields: Vec<_> = (0..8_000).map(|n| format!("\"f{n}\":{n}")).collect();
    for text in [
        events("{}"),
        events(
            r#"{"tenantId":"a","resourceId":"b","eventCategory":"c","eventType":"d","eventDateUtc":"2026-03-04T10:15:30"}"#,
        ),
        list(r#"{"id":"1"}"#, 9_000),
        format!("{{\"doctype\":\"Sales Invoice\",{}}}", fields.join(",")),
        format!("{{\"doctype\":\"Sales Invoice\",\"name\":\"{}\"}}", "x".repeat(100_000)),
        format!("{{\"doctype\":{}}}", "1".repeat(100_000)),
        format!("{}{}", "{\"a\":".repeat(20_000), "}".repeat(20_000)),
    ] {
        read_as_everything(text.as_bytes());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_json_makes_it_panic(body in any_json()) {
        read_as_everything(body.to_string().as_bytes());
    }

    #[test]
    fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        read_as_everything(&body);
    }

    #[test]
    fn no_change_of_a_sample_makes_it_panic(n in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), wrong in any_json()) {
        let all: Vec<_> = samples("webhook-erp").into_iter().chain(samples("worker-erp")).collect();
        let mut body: Value = serde_json::from_str(&n.get(&all).1).unwrap();
        let mut places = Vec::new();
        self::places(&body, String::new(), &mut places);
        let place = at.get(&places).as_str();
        *body.pointer_mut(place).unwrap() = wrong;
        read_as_everything(body.to_string().as_bytes());
    }

    #[test]
    fn stamps_order_as_versions_do(
        a in (1_700_000_000_i64..1_700_000_003, 0_i32..3, 0_u64..3),
        b in (1_700_000_000_i64..1_700_000_003, 0_i32..3, 0_u64..3),
    ) {
        let version = |(second, nanos, sequence): (i64, i32, u64)| {
            let at = jiff::Timestamp::new(second, nanos * 300_000_000).unwrap();
            Version { at, sequence: sequence * 9_999_999 }
        };
        let event = |id: &str| id.parse::<ExternalId>().unwrap();
        let (a, b) = (version(a), version(b));
        prop_assert_eq!(a.stamp(&event("evt")).cmp(&b.stamp(&event("evt"))), a.cmp(&b));
        if a < b {
            prop_assert!(a.stamp(&event("z")) < b.stamp(&event("a")), "the event's id comes last");
        }
    }
}

/// The error of one field.
pub(super) fn field(pointer: &str, problem: Problem) -> FieldError {
    FieldError { pointer: pointer.to_owned(), problem }
}
