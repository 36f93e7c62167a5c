//! What is held about a customer, as one page that needs nothing else: to be read, printed and given to whoever asked for it. It is
//! written bit by bit, for there may be much of it.

use askama::Template;
use jiff::Timestamp;
use plixo_domain::id::CustomerId;

use crate::page::html;

/// What the page ends with.
const END: &str = "</main>\n</body>\n</html>\n";
/// What a part of it ends with.
const SECTION_END: &str = "</section>\n";

/// What the page begins with.
#[derive(Clone, Template)]
#[template(path = "collected/head.html")]
pub struct CollectedHead {
    /// Who holds it.
    pub organisation: String,
    /// About whom.
    pub customer: CustomerId,
    /// As of when.
    pub at: Timestamp,
}

/// What a part of the page begins with.
#[derive(Clone, Template)]
#[template(path = "collected/section.html")]
pub struct CollectedSection {
    /// Of what it is: "Invoices".
    pub title: &'static str,
    /// What that is, in a sentence.
    pub note: &'static str,
}

/// One thing that is held.
#[derive(Clone, Template)]
#[template(path = "collected/entry.html")]
pub struct CollectedEntry {
    /// What it is called.
    pub title: String,
    /// What is known of it, by its names.
    pub fields: Vec<(String, String)>,
    /// A text that is shown as it is.
    pub text: Option<String>,
}

impl CollectedHead {
    /// The HTML of it.
    #[must_use]
    pub fn render(&self) -> String {
        html(self)
    }

    /// The HTML of the end of the page.
    #[must_use]
    pub fn end() -> &'static str {
        END
    }
}

impl CollectedSection {
    /// The HTML of it.
    #[must_use]
    pub fn render(&self) -> String {
        html(self)
    }

    /// The HTML of the end of a part.
    #[must_use]
    pub fn end() -> &'static str {
        SECTION_END
    }
}

impl CollectedEntry {
    /// The HTML of it.
    #[must_use]
    pub fn render(&self) -> String {
        html(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_needs_nothing_else_and_runs_nothing_that_it_holds() {
        let evil = "</pre><script>alert('x')</script><img src=https://evil.example>";
        let head = CollectedHead {
            organisation: evil.to_owned(),
            customer: "cus_01h2xcejqtf2nbrexx3vqjhp41".parse().unwrap(),
            at: Timestamp::UNIX_EPOCH,
        };
        let section = CollectedSection { title: "Invoices", note: "What is owed." };
        let entry = CollectedEntry {
            title: evil.to_owned(),
            fields: vec![(evil.to_owned(), evil.to_owned())],
            text: Some(evil.to_owned()),
        };
        let page = [head.render().as_str(), &section.render(), &entry.render(), SECTION_END, END].concat();
        let document = scraper::Html::parse_document(&page);
        assert!(document.errors.is_empty(), "{:?}", document.errors);
        let find = |what: &str| document.select(&scraper::Selector::parse(what).unwrap()).count();
        for nothing in ["script", "img", "link", "[src]", "[href]", "[onclick]"] {
            assert_eq!(find(nothing), 0, "{nothing}");
        }
        assert_eq!((find("h1"), find("section > h2"), find("article dd"), find("article pre")), (1, 1, 1, 1));
        let shown: String = document.root_element().text().collect();
        assert_eq!(shown.matches(evil).count(), 6, "it is shown as it is");
        assert!(page.contains("default-src 'none'"));
    }
}
