use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use plixo_domain::id::OrgId;
use plixo_domain::ledger::{CustomerNews, InvoiceNews, Kept, Payment, PaymentNews, PaymentPart, RowKey};
use plixo_domain::ledger::{CustomerRef, InvoiceNumber, InvoiceRef};
use plixo_domain::webhook::{Encoding, Envelope, EventKey, ExternalId, Fingerprint};
use plixo_lambda::batch::Message;
use plixo_lambda::line::Line;

/// A message as a receiver queued it.
#[derive(Debug)]
pub struct Delivery {
    /// Whose it is, and where it came in.
    pub envelope: Arc<Envelope>,
    /// What the provider sent, without card numbers.
    pub text: Arc<str>,
}

/// More than any webhook body is, so that no message makes a worker unpack for ever.
const MAX_TEXT: usize = 2 << 20;

impl Delivery {
    /// Reads a message.
    ///
    /// # Errors
    /// Why no try will ever read it.
    pub fn read(message: &Message) -> Result<Self, &'static str> {
        let attribute =
            message.attribute(Envelope::ATTRIBUTE).ok_or("the message has no `plixo` attribute")?;
        Self::of(attribute, &message.body)
    }

    /// Reads a message of that attribute and that body.
    ///
    /// # Errors
    /// Why no try will ever read it.
    pub fn of(attribute: &str, body: &str) -> Result<Self, &'static str> {
        let envelope: Envelope =
            serde_json::from_str(attribute).map_err(|_| "the `plixo` attribute is no envelope")?;
        if envelope.v != Envelope::VERSION {
            return Err("the message has a version that this worker does not read");
        }
        let text = match envelope.encoding {
            Encoding::Identity => body.to_owned(),
            Encoding::Lz4 => unpack(body).ok_or("the message does not unpack")?,
        };
        Ok(Self { envelope: Arc::new(envelope), text: text.into() })
    }
}

fn unpack(body: &str) -> Option<String> {
    let packed = STANDARD.decode(body).ok()?;
    let (size, block) = lz4_flex::block::uncompressed_size(&packed).ok()?;
    if size > MAX_TEXT {
        return None;
    }
    String::from_utf8(lz4_flex::block::decompress(block, size).ok()?).ok()
}

/// One event to work on.
#[derive(Debug, Clone)]
pub struct Task {
    /// Whose it is, and where it came in.
    pub envelope: Arc<Envelope>,
    /// The delivery of it that is kept, sealed; `None`: it is told of by the next task that has one.
    pub text: Option<Arc<str>>,
    /// The provider's id of it, by which it counts once.
    pub event_id: ExternalId,
    /// The provider's type of it.
    pub kind: String,
    /// What it says, in short: the same id with another one is a conflict.
    pub fingerprint: Fingerprint,
    /// What it says.
    pub news: News,
    /// The customer, payment and invoice that its text is about, where the news do not tell: of one who was erased, the text is not kept.
    pub about: Vec<RowKey>,
}

/// What an event tells the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// This; or nothing, though its type is one that is used.
    Told(Option<Box<Fact>>),
    /// The ledger knows something newer already.
    Known,
    /// A type that is not used.
    Unused,
    /// A type that is used, with something in it that cannot be: the field, never its value.
    Unusable(String),
    /// It is not known yet, for this reason. Nothing is recorded, and its message is to come again.
    Waits(String),
}

/// Something for the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "named by the types of their fields")]
pub enum Fact {
    Payment(PaymentNews),
    Customer(CustomerNews),
    Invoice(InvoiceNews),
}

impl Fact {
    /// The rows that the ledger will need first of all.
    fn rows(&self) -> Vec<RowKey> {
        match self {
            Self::Payment(news) => {
                let mut rows = vec![Payment::key(&news.reference)];
                rows.extend(news.names().map(RowKey::Invoice));
                rows.extend(news.customer.iter().map(CustomerRef::key));
                for part in &news.parts {
                    if let PaymentPart::Shares(shares) = part {
                        rows.extend(shares.iter().map(|(invoice, _)| InvoiceRef::key(invoice)));
                    }
                }
                rows
            }
            Self::Customer(news) => {
                let names = news.names.map(RowKey::Customer);
                [CustomerRef::key(&news.reference)].into_iter().chain(names).collect()
            }
            Self::Invoice(news) => {
                let document = news.document.as_ref();
                let around =
                    document.map(|it| [InvoiceNumber::key(&it.number), CustomerRef::key(&it.customer)]);
                [InvoiceRef::key(&news.reference)].into_iter().chain(around.into_iter().flatten()).collect()
            }
        }
    }
}

impl Task {
    /// Whose it is.
    #[must_use]
    pub fn org(&self) -> OrgId {
        self.envelope.org
    }

    /// The name under which it is remembered.
    #[must_use]
    pub fn key(&self) -> EventKey {
        let (endpoint, provider_event_id) = (self.envelope.endpoint, self.event_id.clone());
        EventKey { endpoint, provider_event_id, conflict: None }
    }

    /// The rows that it will need first of all.
    pub(crate) fn rows(&self) -> Vec<RowKey> {
        let mut rows = vec![RowKey::WebhookEvent(self.key())];
        if let News::Told(Some(fact)) = &self.news {
            rows.extend(fact.rows());
        }
        rows.extend(self.about.iter().cloned());
        rows
    }

    /// Whether one of [`Self::rows`] is perhaps changed: of a payment's customer, and of all that nothing is told of, it is only read
    /// whether it was erased.
    pub(crate) fn may_change(&self, name: &RowKey) -> bool {
        match &self.news {
            News::Told(Some(fact)) => {
                !matches!(**fact, Fact::Payment(_)) || !matches!(name, RowKey::CustomerRef(_))
            }
            _ => matches!(name, RowKey::WebhookEvent(_)),
        }
    }

    pub(crate) fn describe(&self, line: &mut Line) {
        line.request_id.clone_from(&self.envelope.request_id);
        line.org = Some(self.envelope.org.to_string());
        line.who = Some(format!("provider:{}", self.envelope.provider.as_str()));
        line.ip.clone_from(&self.envelope.ip);
        line.endpoint = Some(self.envelope.endpoint.to_string());
        line.event_id = Some(self.event_id.to_string());
        line.event_type = Some(self.kind.chars().take(100).collect());
    }
}
