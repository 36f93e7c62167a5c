//! For how long things are kept.

use askama::Template;
use plixo_domain::retention::Class;

use crate::chart::{self, Kept};
use crate::form::Errors;
use crate::frame::{Frame, Membership};
use crate::page::pages;

/// `GET /orgs/{org}/retention`, and with the days of each class in its query, named by the class, what they would do. Posts the same
/// days.
#[derive(Clone, Template)]
#[template(path = "retention.html")]
pub struct RetentionPage {
    /// The frame.
    pub frame: Frame,
    /// Who looks.
    pub org: Membership,
    /// The policy's version, for `If-Match`.
    pub version: String,
    /// The classes, in the contract's order.
    pub rows: Vec<RetentionRow>,
    /// What is wrong.
    pub errors: Errors,
}

/// For how long a class is kept.
#[derive(Clone)]
pub struct RetentionRow {
    /// The class.
    pub class: Class,
    /// For how many days it is kept now.
    pub days: u16,
    /// For how many where nobody says otherwise.
    pub usual_days: u16,
    /// For how few at least.
    pub least_days: u16,
    /// For how many at most.
    pub most_days: u16,
    /// The days, as typed.
    pub typed: String,
    /// What they would do, once that was looked at.
    pub effect: Option<RetentionEffect>,
}

/// What other days would do at once.
#[derive(Clone, Copy)]
pub struct RetentionEffect {
    /// The days.
    pub days: u16,
    /// How many would be deleted; days of the audit log.
    pub due: u64,
    /// Whether there are more, which nobody counted.
    pub or_more: bool,
    /// How many would be due, and are kept by a legal hold.
    pub held: u64,
}

impl RetentionRow {
    fn kept(&self) -> Kept {
        Kept::new(self.days, self.effect.map(|effect| effect.days), self.least_days, self.most_days)
    }

    fn then(&self) -> Option<RetentionEffect> {
        self.effect.filter(|effect| effect.days != self.days)
    }

    fn word(&self) -> &'static str {
        self.class.as_str()
    }

    fn hint(&self) -> String {
        format!(
            "{} to {} days, usually {}",
            crate::amount::grouped(self.least_days.into()),
            crate::amount::grouped(self.most_days.into()),
            crate::amount::grouped(self.usual_days.into())
        )
    }

    pub(crate) fn days_in_words(&self) -> String {
        crate::show::days(self.days)
    }
}

impl RetentionEffect {
    pub(crate) fn days_in_words(&self) -> String {
        crate::show::days(self.days)
    }

    /// How many go, in words.
    fn goes(&self, class: &Class) -> String {
        let count = crate::amount::grouped(self.due);
        let plus = if self.or_more { "+" } else { "" };
        let unit = match class {
            Class::AuditEvent if self.due == 1 => " day of the log",
            Class::AuditEvent => " days of the log",
            _ => "",
        };
        format!("{count}{plus}{unit}")
    }

    pub(crate) fn keeps(&self) -> String {
        crate::amount::grouped(self.held)
    }
}

impl RetentionPage {
    fn path(&self) -> String {
        format!("/orgs/{}/retention", self.org.id)
    }

    fn is_preview(&self) -> bool {
        self.rows.iter().any(|row| row.effect.is_some())
    }

    fn changes(&self) -> bool {
        self.rows.iter().any(|row| row.then().is_some())
    }

    fn deletes(&self) -> bool {
        self.rows.iter().filter_map(|row| row.effect).any(|effect| effect.due > 0)
    }

    fn is_longer(&self) -> bool {
        self.rows.iter().filter_map(|row| Some((row.days, row.then()?.days))).any(|(now, then)| then > now)
    }

    fn is_shorter(&self) -> bool {
        self.rows.iter().filter_map(|row| Some((row.days, row.then()?.days))).any(|(now, then)| then < now)
    }

    fn steps(&self) -> Vec<chart::Step> {
        chart::steps()
    }
}

pages!(RetentionPage in Privacy);
