//! What people do to organisations.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::ops::RangeInclusive;

use ipnet::IpNet;

use jiff::Timestamp;

use super::fields::{Fields, invalid};
use super::{Changed, Patch, StaffError, Stopped};
use crate::id::{MemberId, OrgId};
use crate::ledger::{
    AllocationOrder, Book, CashApplication, Closed, Logo, Organisation, Residency, Settings,
    UnderpaymentTolerance,
};
use crate::retention::{Class, Retention};

/// The most networks of an address list.
pub const MAX_NETS: usize = 100;
/// The longest name, characters.
const MAX_NAME: usize = 200;
/// Hundredths.
const THRESHOLDS: RangeInclusive<u16> = CashApplication::LOWEST_THRESHOLD..=100;

const NAME: &str = "/name";
const LIST: &str = "/settings/ip_allow_list";
const TWO_FACTOR: &str = "/settings/require_two_factor";
const AUTOMATIC: &str = "/settings/cash_application/automatic";
const THRESHOLD: &str = "/settings/cash_application/threshold";
const TOLERANCE: &str = "/settings/cash_application/underpayment_tolerance";
const RETENTION: &str = "/settings/retention";
const ORDER: &str = "/settings/cash_application/order";

/// An organisation to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the contract's words")]
pub struct NewOrganisation {
    pub name: String,
    pub residency: Residency,
}

/// How an organisation is to change. Its residency never does.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the contract's words")]
pub struct OrganisationPatch {
    pub name: Patch<String>,
    pub settings: SettingsPatch,
}

/// How an organisation's settings are to change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SettingsPatch {
    /// Networks as text: `203.0.113.0/24`, `2001:db8::/32`.
    pub ip_allow_list: Patch<Vec<String>>,
    /// Whether members must sign in with two factors.
    pub require_two_factor: Patch<bool>,
    /// How payments are applied.
    pub cash_application: CashApplicationPatch,
    /// For how many days what is kept, by the words for the classes; what is absent stays.
    pub retention: BTreeMap<String, u16>,
}

/// How the application of payments is to change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CashApplicationPatch {
    /// Whether Plixo applies by itself what it is sure of.
    pub automatic: Patch<bool>,
    /// How sure it has to be: a decimal, as text, from 0.95 to 1.
    pub threshold: Patch<String>,
    /// The whole of it; cleared, there is none.
    pub underpayment_tolerance: Patch<TolerancePatch>,
    /// Which invoices come first.
    pub order: Patch<AllocationOrder>,
}

/// An underpayment tolerance to be set: decimals, as text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TolerancePatch {
    /// Percent of what is asked for, at most 1.
    pub percent: Option<String>,
    /// Units of the currency, at most 5.
    pub amount: Option<String>,
}

/// How whoever wants a change came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// From this address, as the gateway saw it.
    pub ip: Option<IpAddr>,
    /// Whether the session has shown two factors.
    pub two_factor: bool,
}

/// Makes an organisation, which has no members yet.
///
/// # Errors
/// [`StaffError::Invalid`].
pub fn create_organisation(book: &mut Book, id: OrgId, new: NewOrganisation) -> Result<(), Stopped> {
    let NewOrganisation { name, residency } = new;
    let mut fields = Fields::default();
    fields.line(&name, MAX_NAME, NAME);
    fields.done()?;
    let (controllers, settings) = (BTreeSet::new(), Settings::default());
    book.put_new(Organisation { id, name, residency, controllers, settings, logo: None, closed: None });
    Ok(())
}

/// Changes an organisation, unless whoever wants it could not come in after that.
///
/// # Errors
/// [`Stopped::Unread`], [`StaffError::Invalid`], [`StaffError::WouldLockOut`].
pub fn update_organisation(
    book: &mut Book,
    patch: OrganisationPatch,
    from: &Position,
) -> Result<Changed<OrgId>, Stopped> {
    let before = book.get::<Organisation>(&())?.ok_or(StaffError::Missing("organisation"))?.clone();
    let mut after = before.clone();
    let mut wrong = Fields::default();
    after.name = patch.name.over_needed(after.name, NAME, &mut wrong);
    wrong.line(&after.name, MAX_NAME, NAME);
    let settings = &mut after.settings;
    let required = patch.settings.require_two_factor;
    settings.require_two_factor = required.over_needed(settings.require_two_factor, TWO_FACTOR, &mut wrong);
    match patch.settings.ip_allow_list {
        Patch::Keep => {}
        Patch::Clear => wrong.wrong(LIST, "cannot be null; send [] for no list"),
        Patch::Set(list) => settings.ip_allow_list = networks(&list, &mut wrong),
    }
    apply_cash(&mut settings.cash_application, patch.settings.cash_application, &mut wrong);
    settings.retention =
        retained(settings.retention.clone(), &patch.settings.retention, RETENTION, &mut wrong);
    wrong.done()?;

    let mut fields = Vec::new();
    if before.name != after.name {
        fields.push("name");
    }
    if before.settings.ip_allow_list != after.settings.ip_allow_list {
        if !after.settings.allows(from.ip) {
            let advice = "let the list hold the address that you come from";
            return Err(StaffError::WouldLockOut { pointer: LIST, advice }.into());
        }
        fields.push("ip_allow_list");
    }
    if before.settings.require_two_factor != after.settings.require_two_factor {
        if after.settings.require_two_factor && !from.two_factor {
            let advice = "set two-factor sign-in up for yourself first, and sign in with it";
            return Err(StaffError::WouldLockOut { pointer: TWO_FACTOR, advice }.into());
        }
        fields.push("require_two_factor");
    }
    if before.settings.cash_application != after.settings.cash_application {
        fields.push("cash_application");
    }
    if before.settings.retention != after.settings.retention {
        fields.push("retention");
    }
    let id = after.id;
    book.put(after)?;
    Ok(Changed { id, fields })
}

fn apply_cash(cash: &mut CashApplication, patch: CashApplicationPatch, wrong: &mut Fields) {
    let CashApplicationPatch { automatic, threshold, underpayment_tolerance, order } = patch;
    cash.automatic = automatic.over_needed(cash.automatic, AUTOMATIC, wrong);
    cash.order = order.over_needed(cash.order, ORDER, wrong);
    let read = match threshold {
        Patch::Set(text) => match hundredths(&text).filter(|it| THRESHOLDS.contains(it)) {
            Some(read) => Patch::Set(read),
            None => {
                wrong.wrong(THRESHOLD, "has to be a decimal from 0.95 to 1.00, with at most two places");
                Patch::Keep
            }
        },
        Patch::Keep => Patch::Keep,
        Patch::Clear => Patch::Clear,
    };
    cash.threshold = read.over_needed(cash.threshold, THRESHOLD, wrong);
    let most = UnderpaymentTolerance::MOST;
    let mut part = |text: Option<String>, most: Option<u16>, at: &str, why: &'static str| {
        let text = text?;
        let read = hundredths(&text).filter(|read| Some(*read) <= most);
        wrong.check(read.is_some(), format!("{TOLERANCE}/{at}"), why);
        read
    };
    match underpayment_tolerance {
        Patch::Keep => {}
        Patch::Clear => cash.underpayment_tolerance = UnderpaymentTolerance::default(),
        Patch::Set(TolerancePatch { percent, amount }) => {
            cash.underpayment_tolerance = UnderpaymentTolerance {
                percent: part(
                    percent,
                    most.percent,
                    "percent",
                    "has to be a decimal from 0 to 1.00, with at most two places",
                ),
                amount: part(
                    amount,
                    most.amount,
                    "amount",
                    "has to be a decimal from 0 to 5.00, with at most two places",
                ),
            };
        }
    }
}

/// Changes for how long an organisation keeps what, by the words for the classes.
///
/// # Errors
/// [`Stopped::Unread`], [`StaffError::Invalid`].
pub fn set_retention(book: &mut Book, days: &BTreeMap<String, u16>) -> Result<Changed<OrgId>, Stopped> {
    let before = book.get::<Organisation>(&())?.ok_or(StaffError::Missing("organisation"))?;
    let mut wrong = Fields::default();
    let retention = retained(before.settings.retention.clone(), days, "", &mut wrong);
    wrong.done()?;
    let settings = Settings { retention, ..before.settings.clone() };
    let after = Organisation { settings, ..before.clone() };
    let fields = if *before == after { vec![] } else { vec!["retention"] };
    let id = after.id;
    book.put(after)?;
    Ok(Changed { id, fields })
}

/// The policy with other days for some classes.
fn retained(before: Retention, days: &BTreeMap<String, u16>, at: &str, wrong: &mut Fields) -> Retention {
    days.iter().fold(before, |policy, (word, days)| {
        let at = format!("{at}/{word}");
        let Ok(class) = word.parse::<Class>() else {
            wrong.wrong(at, "is no class of data");
            return policy;
        };
        policy.clone().with(class, *days).unwrap_or_else(|| {
            wrong.wrong(at, within(class));
            policy
        })
    })
}

fn within(class: Class) -> &'static str {
    match class {
        Class::WebhookPayload | Class::PortalLink => "has to be from 1 to 365 days",
        Class::Notice => "has to be from 1 to 730 days",
        Class::ExportFile => "has to be from 1 to 30 days",
        Class::CustomerPersonalData => "has to be from 30 to 3650 days",
        Class::Invoice | Class::Payment => "has to be from 2192 to 7300 days",
        Class::AuditEvent => "has to be from 365 to 7300 days",
    }
}

/// A decimal of at most two places, in hundredths.
fn hundredths(text: &str) -> Option<u16> {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    if !digits(whole) || !digits(part) || part.len() > 2 {
        return None;
    }
    let whole = whole.parse::<u16>().ok()?.checked_mul(100)?;
    whole.checked_add(format!("{part:0<2}").parse().ok()?)
}

/// Gives an organisation that logo, or none: the image, and which one it is.
///
/// # Errors
/// [`Stopped::Unread`].
pub fn set_logo(book: &mut Book, logo: Option<Logo>) -> Result<Changed<OrgId>, Stopped> {
    let before = book.get::<Organisation>(&())?.ok_or(StaffError::Missing("organisation"))?;
    let after = Organisation { logo: logo.as_ref().map(|logo| logo.hash), ..before.clone() };
    let fields = if *before == after { vec![] } else { vec!["logo"] };
    let id = after.id;
    match logo {
        Some(logo) => book.put(logo)?,
        None => book.remove::<Logo>(&())?,
    }
    book.put(after)?;
    Ok(Changed { id, fields })
}

/// Closes an organisation, whose name it takes so that nobody closes another one than they mean. It can be opened again for
/// [`GRACE`](crate::privacy::GRACE), and until then goes on as before.
///
/// # Errors
/// [`Stopped::Unread`], [`StaffError::Invalid`], [`StaffError::Closed`], [`StaffError::Gone`].
pub fn close_organisation(
    book: &mut Book,
    name: &str,
    by: MemberId,
    now: Timestamp,
) -> Result<Changed<OrgId>, Stopped> {
    let before = book.get::<Organisation>(&())?.ok_or(StaffError::Missing("organisation"))?;
    match before.closed {
        Some(closed) if closed.until() <= now => return Err(StaffError::Gone.into()),
        Some(_) => return Err(StaffError::Closed.into()),
        None if before.name != name => return Err(invalid(NAME, "is not the organisation's name")),
        None => {}
    }
    let after = Organisation { closed: Some(Closed { by, at: now }), ..before.clone() };
    let id = after.id;
    book.put(after)?;
    Ok(Changed { id, fields: vec!["closed"] })
}

/// Opens an organisation again that was closed, while its time of grace is not over.
///
/// # Errors
/// [`Stopped::Unread`], [`StaffError::NotClosed`], [`StaffError::Gone`].
pub fn reopen_organisation(book: &mut Book, now: Timestamp) -> Result<Changed<OrgId>, Stopped> {
    let before = book.get::<Organisation>(&())?.ok_or(StaffError::Missing("organisation"))?;
    if before.closed.ok_or(StaffError::NotClosed)?.until() <= now {
        return Err(StaffError::Gone.into());
    }
    let after = Organisation { closed: None, ..before.clone() };
    let id = after.id;
    book.put(after)?;
    Ok(Changed { id, fields: vec!["closed"] })
}

/// The networks of a list. Nothing is corrected but how a v6 network is spelled: who writes what could mean two things says
/// which.
fn networks(list: &[String], wrong: &mut Fields) -> Vec<IpNet> {
    if list.len() > MAX_NETS {
        wrong.wrong(LIST, "holds more than 100 networks");
        return Vec::new();
    }
    let mut networks = Vec::with_capacity(list.len());
    for (n, text) in list.iter().enumerate() {
        let at = || format!("{LIST}/{n}");
        match network(text) {
            Err(why) => wrong.wrong(at(), why),
            Ok(network) if networks.contains(&network) => wrong.wrong(at(), "is in the list already"),
            Ok(network) => networks.push(network),
        }
    }
    networks
}

fn network(text: &str) -> Result<IpNet, &'static str> {
    const NONE: &str =
        "is no network; write 203.0.113.0/24, 2001:db8::/32, or 203.0.113.7/32 for one address";
    let network: IpNet = text.parse().map_err(|_| NONE)?;
    match network {
        // 010.0.0.0 is octal to some.
        IpNet::V4(_) if network.to_string() != text => return Err(NONE),
        IpNet::V6(v6) if v6.addr().to_ipv4_mapped().is_some() => {
            return Err("is a v4 network; write it as one, like 203.0.113.0/24");
        }
        _ => {}
    }
    if network.trunc() != network {
        return Err(
            "names an address within a network; write its first address, or /32 or /128 for the one address",
        );
    }
    Ok(network)
}

#[cfg(test)]
mod tests;
