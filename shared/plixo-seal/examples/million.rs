//! Writes the export of a log of a million events in the hours of a year, or of another size, sealed by a key made for it, and the
//! key: for figures of `plixoctl audit verify`, and as a seed for fuzzing. See `make bench-seal`.

use std::convert::Infallible;
use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write};

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use jiff::Timestamp;
use plixo_domain::id::{AuditId, Ids, OrgId};
use plixo_seal::{Entry, Head, PublicKey, SignError, Signer, Span, write_span, write_unsealed};
use serde_json::json;

const HOURS: i64 = 8_760;
const EVENTS_AN_HOUR: u32 = 115;

struct Key(EcdsaKeyPair);

impl Signer for Key {
    type Error = Infallible;

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Infallible> {
        // A signature that there is none of does not verify.
        let signature = self.0.sign(&SystemRandom::new(), message);
        Ok(signature.map(|signature| signature.as_ref().to_vec()).unwrap_or_default())
    }
}

fn event(ids: &mut Ids, at: Timestamp, n: u32) -> String {
    let id: AuditId = ids.make();
    json!({
        "id": id, "at": at, "actor": {"kind": "member", "id": "mem_01h2xcejqtf2nbrexx3vqjhp41", "role": "controller"},
        "origin": "x".repeat(360), "action": "payment.record", "object": {"kind": "payment", "id": "pay_01h2xcejqtf2nbrexx3vqjhp41"},
        "outcome": "allowed", "fields": ["amount", "status"], "request_id": format!("request-{n}"),
    })
    .to_string()
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(file), Some(key_file)) = (arguments.next(), arguments.next()) else {
        return Err("usage: million FILE KEY_FILE [HOURS EVENTS_AN_HOUR]".into());
    };
    let hours = arguments.next().map_or(Ok(HOURS), |text| text.parse())?;
    let events = arguments.next().map_or(Ok(EVENTS_AN_HOUR), |text| text.parse())?;
    let begun = Timestamp::from_second(1_800_000_000)?;
    let org: OrgId = Ids::new(begun, [1; 10]).make();
    let origin = format!("bench.plixo/audit/{org}");
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING)?;
    let key = PublicKey::new(&origin, pair.public_key().as_der()?.as_ref())?;
    let pair = Key(pair);
    std::fs::write(key_file, key.to_string())?;

    let mut to = BufWriter::with_capacity(1 << 20, File::create(file)?);
    let mut head = Head::new(&origin)?;
    for hour in 0..hours {
        let from = Timestamp::from_second(begun.as_second() + hour * 3_600)?;
        let span = Span { from, to: Timestamp::from_second(from.as_second() + 3_600)? };
        let mut ids = Ids::new(from, [2; 10]);
        let texts: Vec<_> = (0..events).map(|n| event(&mut ids, from, n)).collect();
        let entries: Vec<_> = texts.iter().filter_map(|text| Entry::of(text.as_bytes())).collect();
        let (checkpoint, next) = head.seal(span, &entries)?;
        let note = key.sign(&checkpoint.to_string(), &pair).await;
        let note = note.map_err(|error: SignError<Infallible>| error.to_string())?;
        write_span(&mut to, &note.to_string(), &Entry::list(&entries))?;
        for text in texts {
            to.write_all(text.as_bytes())?;
            to.write_all(b"\n")?;
        }
        head = next;
    }
    write_unsealed(&mut to)?;
    to.flush()?;
    Ok(())
}
