//! The certificate of an erasure.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use plixo_aws::AwsError;
use plixo_aws::s3::Objects;
use plixo_aws::sign::Sign;
use plixo_aws::sqs::LookThrough;
use plixo_domain::audit::Outcome;
use plixo_domain::id::made_at;
use plixo_domain::privacy::{Done, PrivacyRequest};
use plixo_envelope::KeyService;
use plixo_seal::{Certificate, PublicKey, SignError};
use plixo_store::{AuditSpan, Tables};

use crate::case::{Case, ERASE, Stop};
use crate::{Worker, log_of};

/// So many audit events are read at once.
const EVENTS: usize = 500;

/// What signs, for [`PublicKey::sign`].
struct Signing<'a, S>(&'a S);

impl<S: Sign> plixo_seal::Signer for Signing<'_, S> {
    type Error = AwsError;

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, AwsError> {
        self.0.sign(message).await
    }
}

/// What is erased, by the kinds that audit events name, in the order of the certificate.
const ERASED: [(&str, &str, &str); 12] = [
    (
        "invoices",
        "invoice without its memo and what names the customer",
        "invoices without their memos and what names the customer",
    ),
    ("payments", "payment without who paid", "payments without who paid"),
    (
        "payer_words",
        "payment of another customer without what named this one in it",
        "payments of other customers without what named this one in them",
    ),
    (
        "payer_histories",
        "note that another customer's money paid for this one",
        "notes that other customers' money paid for this one",
    ),
    ("portal_links", "portal link", "portal links"),
    ("answers", "remembered answer of the API", "remembered answers of the API"),
    ("webhook_payloads", "text of a webhook event", "texts of webhook events"),
    (
        "export_files",
        "file of an export, which may have had the customer in it",
        "files of exports, which may have had the customer in them",
    ),
    (
        "access_files",
        "pair of files of what was collected about the customer",
        "pairs of files of what was collected about the customer",
    ),
    (
        "hold_reasons",
        "reason of a legal hold, or what in it named the customer",
        "reasons of legal holds, or what in them named the customer",
    ),
    ("refusal_reasons", "reason of a refused request", "reasons of refused requests"),
    (
        "dead_letters",
        "event that was given up and waited in a queue",
        "events that were given up and waited in a queue",
    ),
];

/// What is left because of legal holds on others, likewise. It goes when its time is over, and they are released.
const LEFT: [(&str, &str, &str); 4] = [
    ("webhook_payloads", "text of a webhook event", "texts of webhook events"),
    ("payments", "payment with who paid", "payments with who paid"),
    (
        "dead_letters",
        "event that was given up and waits in a queue",
        "events that were given up and wait in a queue",
    ),
    (
        "export_files_held",
        "file of an export, of which nobody is given anything any more",
        "files of exports, of which nobody is given anything any more",
    ),
];

/// What is kept, and why.
const KEPT: [&str; 4] = [
    "of invoices and payments: numbers, amounts, days, rates of tax and how they belong together, without personal data, because the law requires books to be kept",
    "the customer's id, and its ids at payment providers and ERPs, so that what they tell later is known to be of an erased customer, and nothing personal is taken of it",
    "the audit log, because it shows what was done; from where the customer's own people acted was sealed under its key, and opens for nobody any more",
    "this request, and the entry in the erasure ledger by which the erasure is done again after a restore: ids and times only",
];

impl<T: Tables, K: KeyService, O: Objects, S: Sign, Q: LookThrough> Worker<T, K, O, S, Q> {
    /// Signs what was erased, keeps that, and notes that the request is done.
    pub(crate) async fn certify(
        &self,
        case: &mut Case,
        request: PrivacyRequest,
    ) -> Result<&'static str, Stop> {
        let signer = self.signer.as_ref().ok_or_else(|| Stop::Never("nothing signs here".to_owned()))?;
        let log = log_of(&signer.origin, &case.org);
        let key = PublicKey::new(&log, &signer.key.public_key().await?).map_err(never)?;
        let origin =
            Certificate::origin_of(&log).ok_or_else(|| Stop::Never("a log without a name".to_owned()))?;
        let (erased, left) = self.erased(case, &request).await?;
        let certificate = Certificate {
            origin,
            request: request.id,
            customer: request.customer,
            requested_at: request.requested_at,
            requested_by: request.requested_by.member,
            begun_at: request.begun.unwrap_or(case.now),
            finished_at: case.now,
            erased,
            kept: KEPT.map(str::to_owned).into_iter().chain(left).collect(),
        };
        let note = key.sign(&certificate.to_string(), &Signing(&signer.key)).await;
        let note = note.map_err(|error| match error {
            SignError::Signer(cause) => Stop::Aws(cause),
            other => never(other),
        })?;
        let (name, mut note) = (Certificate::name(&case.org, &request.id), note.to_string());
        let kind = "text/plain; charset=utf-8";
        if !self.checkpoints.put_if_absent(&name, kind, note.clone().into_bytes()).await? {
            // There is one, of an attempt that did not live to note it: that one counts.
            let kept = self.checkpoints.get(&name).await?;
            let kept = kept.ok_or_else(|| Stop::Later(format!("{name} is not there")))?;
            Certificate::verify(&kept, &key).map_err(never)?;
            note = String::from_utf8(kept).map_err(never)?;
        }
        let done =
            Done { at: case.now, certificate: Some(note), files_until: None, gone: false, going: false };
        let end = |request: &PrivacyRequest| {
            let is_open = request.status().is_open();
            is_open.then(|| PrivacyRequest { done: Some(done.clone()), held: None, ..request.clone() })
        };
        let told = ("privacy_request.finish", Outcome::Allowed, ["status", "certificate_url"].as_slice());
        Ok(match self.note(case, &request.id, told, false, end).await? {
            Some(_) => "erased",
            None => "overtaken",
        })
    }

    /// What was erased, and what was left because of holds on others, as the audit log tells it. The index that has it follows the log;
    /// what this attempt did is known without it.
    async fn erased(
        &self,
        case: &Case,
        request: &PrivacyRequest,
    ) -> Result<(Vec<String>, Vec<String>), Stop> {
        let (mut told, mut left) = (case.told.clone(), case.left.clone());
        let to = case.now.saturating_add(SignedDuration::from_hours(1)).unwrap_or(case.now);
        let (span, customer) =
            (AuditSpan { from: made_at(&request.customer), to }, request.customer.to_string());
        let mut after = None;
        loop {
            let of = (&case.org, customer.as_str());
            let wanted = |event: &plixo_domain::audit::AuditEvent| event.action == ERASE;
            let page = self.store.audit_of(of, true, span, after.as_deref(), EVENTS, wanted).await?;
            for event in page.events {
                if let [kind] = event.fields.as_slice() {
                    let count = u64::from(event.count.unwrap_or_default());
                    if event.outcome == Outcome::Allowed {
                        told.insert(event.id, (kind.clone(), count));
                    } else {
                        let most = left.entry(kind.clone()).or_default();
                        *most = count.max(*most);
                    }
                }
            }
            match page.next {
                Some(next) => after = Some(next.place),
                None => break,
            }
        }
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for (kind, count) in told.into_values() {
            let sum = counts.entry(kind).or_default();
            *sum = sum.saturating_add(count);
        }
        let mut erased = vec![
            "the customer's own data key, and with it all that was sealed under it".to_owned(),
            "the customer's name, email, phone, address and tax id, and the hashes by which it was found"
                .to_owned(),
        ];
        for (kind, one, many) in ERASED {
            match counts.get(kind).copied().unwrap_or_default() {
                1 => erased.push(format!("1 {one}")),
                count => erased.push(format!("{count} {many}")),
            }
        }
        let held = counts.remove("export_files_held").unwrap_or_default();
        left.insert("export_files_held".to_owned(), held);
        let why = "because of legal holds on others: the customer may be named there by words";
        let left = LEFT.iter().filter_map(|(kind, one, many)| match left.get(*kind).copied()? {
            0 => None,
            1 => Some(format!("1 {one}, {why}")),
            count => Some(format!("{count} {many}, {why}")),
        });
        Ok((erased, left.collect()))
    }
}

fn never(error: impl std::fmt::Display) -> Stop {
    Stop::Never(error.to_string())
}
