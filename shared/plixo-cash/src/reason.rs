//! Reasons, in words.

use plixo_domain::money::Money;

use crate::score::Order;

/// What a text has instead of an invoice's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Nearly {
    /// The number among other numbers, without a word that says what it is.
    Unlabelled,
    /// Parts with blanks between them.
    Joined,
    /// Letters for digits or digits for letters that look like them.
    Confused,
    /// No prefix, or no year.
    Shortened,
    /// A prefix with a slip in it.
    OtherPrefix,
    /// Something that holds it: a reference with check digits.
    Embedded,
    /// What may be a date, an amount or another document's number.
    Doubtful,
    /// Another digit, or two that changed places.
    Mistyped,
}

/// Why an allocation is suggested, or what speaks against it. Numbers are invoices' numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "[`Reason::words`] says what each means")]
pub enum Reason {
    Instructed,
    Named { number: String },
    Listed { number: String },
    CheckDigits { number: String },
    Nearly { number: String, how: Nearly },
    NamedWithOther { number: String },
    LeavesOut { number: String },
    NamesSettled { number: String },
    ExactAmount,
    SumOf { invoices: usize },
    AllOpen,
    OnlyOneOfAmount,
    OthersOfAmount { invoices: usize },
    OnlySum,
    SeveralSums,
    SumsNotAllTried,
    Discount { amount: i64 },
    LateDiscount { amount: i64 },
    WithinTolerance { amount: i64 },
    Short { amount: i64 },
    Over { amount: i64 },
    FitsAnother { number: String },
    PayerTold,
    PayerSeen,
    PayerNamed,
    PayerSimilar,
    PayerIsAnother,
    InOrder(Order),
}

impl Reason {
    /// In words. `money` writes an amount of the payment's currency, given in minor units.
    #[must_use]
    pub fn words(&self, money: impl Fn(i64) -> String) -> String {
        match self {
            Self::Instructed => "the payer says which invoices are paid".to_owned(),
            Self::Named { number } => format!("invoice number {number} is in the remittance text"),
            Self::Listed { number } => {
                format!("invoice number {number} is part of a list or range in the remittance text")
            }
            Self::CheckDigits { number } => {
                format!("a reference with check digits holds invoice number {number}")
            }
            Self::Nearly { number, how } => {
                let how = match how {
                    Nearly::Unlabelled => "stands among other numbers in the remittance text",
                    Nearly::Joined => "is in the remittance text, broken up",
                    Nearly::Confused => "is in the remittance text, with letters and digits that look alike",
                    Nearly::Shortened => "is in the remittance text, without its beginning",
                    Nearly::OtherPrefix => "is in the remittance text, with another prefix",
                    Nearly::Embedded => "is the end of a reference in the remittance text",
                    Nearly::Doubtful => "is in the remittance text, where it may mean something else",
                    Nearly::Mistyped => "is one slip away from a number in the remittance text",
                };
                format!("invoice number {number} {how}")
            }
            Self::NamedWithOther { number } => {
                format!("the words that name {number} may name another invoice too")
            }
            Self::LeavesOut { number } => format!("the remittance text also names {number}"),
            Self::NamesSettled { number } => {
                format!("the remittance text names {number}, of which nothing is open in this currency")
            }
            Self::ExactAmount => "the amount is exactly what is open".to_owned(),
            Self::SumOf { invoices } => format!("the amount is exactly what is open of {invoices} invoices"),
            Self::AllOpen => "these are all open invoices of the customer".to_owned(),
            Self::OnlyOneOfAmount => "no other open invoice has this amount".to_owned(),
            Self::OthersOfAmount { invoices: 1 } => "another open invoice has the same amount".to_owned(),
            Self::OthersOfAmount { invoices } => {
                format!("{invoices} other open invoices have the same amount")
            }
            Self::OnlySum => "no other invoices of the customer add up to the amount".to_owned(),
            Self::SeveralSums => "other invoices of the customer add up to the amount as well".to_owned(),
            Self::SumsNotAllTried => {
                "other invoices of the customer may add up to the amount as well; not all were tried"
                    .to_owned()
            }
            Self::Discount { amount } => {
                format!("the agreed discount of {} was taken in time", money(*amount))
            }
            Self::LateDiscount { amount } => {
                format!("the discount of {} was taken after its last day", money(*amount))
            }
            Self::WithinTolerance { amount } => {
                format!("{} too little, which is within the tolerance", money(*amount))
            }
            Self::Short { amount } => format!("{} too little", money(*amount)),
            Self::Over { amount } => format!("{} too much, which stay unapplied", money(*amount)),
            Self::FitsAnother { number } => format!("the amount is exactly what is open of {number}"),
            Self::PayerTold => "the payment is this customer's".to_owned(),
            Self::PayerSeen => "this payer has paid for the customer before".to_owned(),
            Self::PayerNamed => "the payer's name is the customer's".to_owned(),
            Self::PayerSimilar => "the payer's name is like the customer's, or paid for it once".to_owned(),
            Self::PayerIsAnother => "the payer is another customer".to_owned(),
            Self::InOrder(Order::OldestDue) => "applied to what is due first".to_owned(),
            Self::InOrder(Order::OldestIssued) => "applied to what was issued first".to_owned(),
            Self::InOrder(Order::Smallest) => "applied to the smallest first".to_owned(),
            Self::InOrder(Order::Largest) => "applied to the largest first".to_owned(),
        }
    }
}

/// A plain way to write amounts: `EUR 12.50`.
#[must_use]
pub fn plainly(money: Money) -> String {
    let known = iso_currency::Currency::from_code(money.currency.code());
    let exponent = known.and_then(|known| known.exponent()).map_or(0, usize::from);
    let digits = format!("{:0>width$}", money.amount.unsigned_abs(), width = exponent.saturating_add(1));
    let (whole, minor) =
        digits.split_at_checked(digits.len().saturating_sub(exponent)).unwrap_or((&digits, ""));
    let sign = if money.amount < 0 { "-" } else { "" };
    let point = if minor.is_empty() { "" } else { "." };
    format!("{} {sign}{whole}{point}{minor}", money.currency)
}
