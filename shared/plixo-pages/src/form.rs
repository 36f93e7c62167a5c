//! What forms have in common.

/// What is wrong with what a person sent. An error of a field stands beside the field; all of them stand in a summary at the
/// top, which links to the fields.
#[derive(Clone, Default)]
pub struct Errors {
    whole: Vec<String>,
    fields: Vec<(String, String)>,
    stale: Option<Stale>,
}

/// Somebody changed a thing while somebody else had it before them.
#[derive(Clone)]
pub(crate) struct Stale {
    /// Where the thing is to be seen as it is now, if the page shows what was typed instead.
    pub(crate) now: Option<String>,
}

impl Stale {
    pub(crate) fn sentence(&self) -> &'static str {
        match self.now {
            Some(_) => {
                "Somebody changed this meanwhile, so nothing was saved. Below is what you typed: saving it now replaces theirs."
            }
            None => {
                "Somebody changed this meanwhile, so nothing was done. This is how it is now: look again before you decide."
            }
        }
    }
}

impl Errors {
    /// With an error of the field of that name. A second one of the same field is left out.
    #[must_use]
    pub fn field(mut self, name: impl Into<String>, message: impl Into<String>) -> Self {
        let name = name.into();
        if self.of(&name).is_none() {
            self.fields.push((name, message.into()));
        }
        self
    }

    /// With an error of no single field.
    #[must_use]
    pub fn whole(mut self, message: impl Into<String>) -> Self {
        self.whole.push(message.into());
        self
    }

    /// With the error that the thing was changed since the page that was sent: this one shows it as it is now.
    #[must_use]
    pub fn stale(mut self) -> Self {
        self.stale = Some(Stale { now: None });
        self
    }

    /// [`Errors::stale`], of a form that shows what was typed; what is there now is at `path`.
    #[must_use]
    pub fn stale_at(mut self, path: String) -> Self {
        self.stale = Some(Stale { now: Some(path) });
        self
    }

    /// The same on a page that has none of the fields: nothing stands beside one.
    #[must_use]
    pub fn without_fields(mut self) -> Self {
        self.whole.extend(self.fields.drain(..).map(|(_, message)| message));
        self
    }

    /// Whether the thing was changed since the page that was sent.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.stale.is_some()
    }

    /// Whether there is any.
    #[must_use]
    pub fn any(&self) -> bool {
        self.is_stale() || !self.whole.is_empty() || !self.fields.is_empty()
    }

    pub(crate) fn of_stale(&self) -> Option<&Stale> {
        self.stale.as_ref()
    }

    pub(crate) fn of(&self, name: impl AsRef<str>) -> Option<&str> {
        let name = name.as_ref();
        self.fields.iter().find(|(own, _)| own == name).map(|(_, message)| message.as_str())
    }

    pub(crate) fn of_whole(&self) -> &[String] {
        &self.whole
    }

    pub(crate) fn of_fields(&self) -> &[(String, String)] {
        &self.fields
    }
}

/// One of several values of a field.
#[derive(Clone)]
pub struct Choice {
    /// What is sent.
    pub value: String,
    /// What people read.
    pub label: String,
}

impl Choice {
    /// The choice of `value`, which people read as `label`.
    #[must_use]
    pub fn new(value: impl Into<String>, label: impl Into<String>) -> Self {
        Self { value: value.into(), label: label.into() }
    }
}

/// The path of a part of a list, which its forms post to.
pub(crate) fn at(list: String, cursor: &str) -> String {
    if cursor.is_empty() { list } else { format!("{list}?cursor={}", crate::page::encoded(cursor)) }
}

/// Where a page of a list stands.
#[derive(Clone, Default)]
pub struct Paging {
    /// The cursor of the next page, if there is one.
    pub next: Option<String>,
    /// Whether this is the first page.
    pub is_first: bool,
}
