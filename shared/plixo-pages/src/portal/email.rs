//! What payers are written, as plain text.

use jiff::Timestamp;
use jiff::civil::Date;
use plixo_domain::money::Money;

use super::Language;

/// The longest that a name may be in a subject, in characters.
const LONGEST_NAME: usize = 80;

/// An email to a payer.
#[derive(Clone, Copy)]
pub struct PortalEmail<'a> {
    /// The language.
    pub language: Language,
    /// Who asks to be paid.
    pub seller: &'a str,
    /// The invoice's number.
    pub number: &'a str,
    /// What is left to pay.
    pub open: Money,
    /// When it is to be paid.
    pub due_on: Option<Date>,
    /// What it says.
    pub kind: PortalEmailKind<'a>,
}

/// What an email to a payer says. It goes into mailboxes for good and holds a link, so it is not shown as text for debugging.
#[derive(Clone, Copy)]
pub enum PortalEmailKind<'a> {
    /// Here is the link.
    Link {
        /// Its address.
        url: &'a str,
        /// When it expires.
        expires_at: Timestamp,
    },
    /// Nothing is left to pay.
    Settled,
}

impl PortalEmail<'_> {
    /// The subject: one line, whatever is in the names.
    #[must_use]
    pub fn subject(&self) -> String {
        let words = &self.language.words().email;
        let subject = match self.kind {
            PortalEmailKind::Link { .. } => words.subject,
            PortalEmailKind::Settled => words.settled_subject,
        };
        subject(&short(self.number), &short(self.seller))
    }

    /// The text. The link stands on a line of its own, and no name can make a line of its own.
    #[must_use]
    pub fn text(&self) -> String {
        let all = self.language.words();
        let words = &all.email;
        let (number, seller) = (one_line(self.number), one_line(self.seller));
        let mut parts = vec![words.greeting.to_owned()];
        match self.kind {
            PortalEmailKind::Link { url, expires_at } => {
                parts.push((words.link)(&number, &seller));
                let mut facts = format!("{}: {}", words.to_pay, all.money(&self.open));
                if let Some(day) = self.due_on {
                    facts.push_str(&format!("\n{}: {}", words.due_on, all.day(day)));
                }
                parts.push(facts);
                parts.push(url.to_owned());
                parts.push((words.once)(&all.moment(expires_at)));
            }
            PortalEmailKind::Settled => parts.push((words.settled)(&number, &seller)),
        }
        parts.push(words.unexpected.to_owned());
        parts.push(format!("-- \n{}\n", (words.foot)(&seller)));
        parts.join("\n\n")
    }
}

/// Text without line breaks, other control characters, and what turns the direction of text around.
fn one_line(text: &str) -> String {
    let turns = |letter: char| matches!(letter, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let is_break = |letter: char| letter.is_control() || letter.is_whitespace();
    let kept: String = text.chars().filter(|letter| !turns(*letter)).collect();
    kept.split(is_break).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

fn short(text: &str) -> String {
    let line = one_line(text);
    match line.char_indices().nth(LONGEST_NAME) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default().trim_end()),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const URL: &str = "https://plixo.example/p/AQEabcdef";

    fn email<'a>(language: Language, seller: &'a str, kind: PortalEmailKind<'a>) -> PortalEmail<'a> {
        let open = Money::new(123_456, "EUR".parse().unwrap());
        let due_on = Some(jiff::civil::date(2026, 12, 3));
        PortalEmail { language, seller, number: "NW-2026-0106", open, due_on, kind }
    }

    fn link() -> PortalEmailKind<'static> {
        PortalEmailKind::Link { url: URL, expires_at: "2026-12-05T15:30:54Z".parse().unwrap() }
    }

    #[test]
    fn an_email_says_what_is_to_pay_where_and_until_when() {
        let english = email(Language::English, "Nordwind GmbH", link());
        assert_eq!(english.subject(), "Invoice NW-2026-0106 from Nordwind GmbH");
        assert_eq!(
            english.text(),
            "Hello,\n\n\
             Here is your link to invoice NW-2026-0106 from Nordwind GmbH. You can see the invoice there, and pay it.\n\n\
             To pay: EUR 1,234.56\nDue on: 3 December 2026\n\n\
             https://plixo.example/p/AQEabcdef\n\n\
             The link works once, until 5 December 2026, 15:30 UTC. If it no longer works, its page lets you ask for a \
             fresh one.\n\n\
             If you did not expect this message, there is nothing to do.\n\n\
             -- \nSent by Plixo for Nordwind GmbH\n"
        );
        let german = email(Language::German, "Nordwind GmbH", link());
        assert_eq!(german.subject(), "Rechnung NW-2026-0106 von Nordwind GmbH");
        let text = german.text();
        assert!(text.contains("Zu zahlen: 1.234,56 €\nFällig am: 3. Dezember 2026\n"), "{text}");
        assert!(text.contains("gilt einmal, bis 5. Dezember 2026, 15:30 Uhr (UTC)."), "{text}");
    }

    #[test]
    fn a_settled_invoice_has_no_link_and_nothing_to_pay() {
        for language in [Language::English, Language::German] {
            let settled = email(language, "Nordwind GmbH", PortalEmailKind::Settled);
            assert!(settled.text().contains("NW-2026-0106"));
            assert!(!settled.text().contains("http") && !settled.text().contains('€'), "{}", settled.text());
        }
    }

    proptest! {
           #[test]
           fn no_name_makes_a_line(seller: String, breaks in "[a\r\n\u{b}\u{c}\u{85}\u{2028}\u{2029}\0\t\u{202e}]{0,200}") {
               for (language, kind) in
                   [(Language::English, link()), (Language::German, link()), (Language::German, PortalEmailKind::Settled)]
               {
                   let lines = email(language, "x", kind).text().lines().count();
                   for name in [&seller, &breaks] {
                       let mut email = email(language, name, kind);
                       email.number = &breaks;
                       let subject = email.subject();
                       let is_break = |letter: char| letter.is_control() || ['\u{2028}', '\u{2029}'].contains(&letter);
    prop_assert!(!subject.contains(is_break));
                       prop_assert!(subject.chars().count() < 250);
                       let text = email.text();
                       prop_assert_eq!(text.lines().count(), lines);
                       let is_link = matches!(kind, PortalEmailKind::Link { .. });
                       prop_assert_eq!(text.lines().filter(|line| *line == URL).count(), usize::from(is_link));
                   }
               }
           }
       }
}
