//! What somebody wants to have exported.

use std::str::FromStr;

use plixo_api::document::CustomerIdText;
use plixo_api::input::{self, Failed};
use plixo_domain::export::{AuditFilter, Format, InvoiceFilter, NoFilter, PaymentFilter, Scope};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

use crate::shape::{FormatWord, KindWord};

/// An export to be requested.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ExportOrder)]
pub(crate) struct Order {
    #[schema(value_type = KindWord)]
    kind: Kind,
    #[schema(value_type = FormatWord)]
    format: Format,
    #[serde(default)]
    filter: Option<FilterOrder>,
    /// Which columns, in which order; all of the kind's if absent. The audit log as JSON has each event whole, and takes none.
    #[serde(default)]
    columns: Option<Vec<String>>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Invoices,
    Payments,
    Customers,
    Audit,
}

/// What narrows an export. Invoices take all of it, `from` and `to` by the day of issue; payments `status`, `from` and `to`, by
/// the day of receipt; the audit log `from` and `to`, which are times there; customers nothing.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ExportFilterOrder)]
struct FilterOrder {
    /// A status of invoices or payments.
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<CustomerIdText>)]
    customer_id: Option<String>,
    /// An ISO day, itself included; of the audit log a time, RFC 3339, itself included.
    #[serde(default)]
    from: Option<String>,
    /// An ISO day, itself included; of the audit log a time, RFC 3339, itself not included.
    #[serde(default)]
    to: Option<String>,
}

/// What was asked for, once it was understood.
pub(crate) struct Wanted {
    pub(crate) scope: Scope,
    pub(crate) format: Format,
    pub(crate) columns: Vec<String>,
}

impl Order {
    pub(crate) fn wanted(self) -> Result<Wanted, Failed> {
        let filter = self.filter.unwrap_or_default();
        let scope = match self.kind {
            Kind::Invoices => {
                let status = filter.status.as_deref().map(word).transpose()?;
                let (from, to) = (read("from", "a day", &filter.from)?, read("to", "a day", &filter.to)?);
                let customer_id = read("customer_id", "a customer's id", &filter.customer_id)?;
                Scope::Invoices(InvoiceFilter { status, customer_id, from, to })
            }
            Kind::Payments => {
                none("customer_id", &filter.customer_id)?;
                let status = filter.status.as_deref().map(word).transpose()?;
                let (from, to) = (read("from", "a day", &filter.from)?, read("to", "a day", &filter.to)?);
                Scope::Payments(PaymentFilter { status, from, to })
            }
            Kind::Customers => {
                let FilterOrder { status, customer_id, from, to } = &filter;
                let all = [("status", status), ("customer_id", customer_id), ("from", from), ("to", to)];
                all.into_iter().try_for_each(|(name, value)| none(name, value))?;
                Scope::Customers(NoFilter {})
            }
            Kind::Audit => {
                none("status", &filter.status)?;
                none("customer_id", &filter.customer_id)?;
                let (from, to) = (read("from", "a time", &filter.from)?, read("to", "a time", &filter.to)?);
                Scope::Audit(AuditFilter { from, to })
            }
        };
        ordered(&scope)?;
        let columns = columns(&scope, self.format, self.columns)?;
        Ok(Wanted { scope, format: self.format, columns })
    }
}

fn at(name: &str) -> String {
    format!("/filter/{name}")
}

fn word<W: DeserializeOwned>(text: &str) -> Result<W, Failed> {
    serde_json::from_value(text.into()).map_err(|_| input::invalid(at("status"), "is no status of this kind"))
}

fn read<T: FromStr>(name: &str, what: &str, text: &Option<String>) -> Result<Option<T>, Failed> {
    let read = |text: &String| text.parse().map_err(|_| input::invalid(at(name), format!("is not {what}")));
    text.as_ref().map(read).transpose()
}

fn none(name: &str, value: &Option<String>) -> Result<(), Failed> {
    match value {
        None => Ok(()),
        Some(_) => Err(input::invalid(at(name), "does not narrow exports of this kind")),
    }
}

fn ordered(scope: &Scope) -> Result<(), Failed> {
    let is_ordered = match scope {
        Scope::Invoices(InvoiceFilter { from, to, .. }) | Scope::Payments(PaymentFilter { from, to, .. }) => {
            from.zip(*to).is_none_or(|(from, to)| from <= to)
        }
        Scope::Audit(AuditFilter { from, to }) => from.zip(*to).is_none_or(|(from, to)| from < to),
        Scope::Customers(_) => true,
    };
    if is_ordered { Ok(()) } else { Err(input::invalid(at("to"), "is before from")) }
}

fn columns(scope: &Scope, format: Format, wanted: Option<Vec<String>>) -> Result<Vec<String>, Failed> {
    let known = scope.columns();
    let whole = scope.is_audit() && format == Format::Json;
    let Some(wanted) = wanted else {
        return Ok(if whole { Vec::new() } else { known.iter().map(|name| (*name).to_owned()).collect() });
    };
    if whole {
        return Err(input::invalid("/columns", "the audit log as JSON has each event whole"));
    }
    if wanted.is_empty() {
        return Err(input::invalid("/columns", "name at least one column"));
    }
    for (n, column) in wanted.iter().enumerate() {
        let pointer = || format!("/columns/{n}");
        if !known.contains(&column.as_str()) {
            return Err(input::invalid(pointer(), format!("is none of {}", known.join(", "))));
        }
        if wanted.iter().take(n).any(|before| before == column) {
            return Err(input::invalid(pointer(), "was named before"));
        }
    }
    Ok(wanted)
}
