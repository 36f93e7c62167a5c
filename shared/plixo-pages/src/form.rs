//! What forms have in common.

/// What is wrong with what a person sent. An error of a field stands beside the field; all of them stand in a summary at the
/// top, which links to the fields.
#[derive(Clone, Default)]
pub struct Errors {
    whole: Vec<String>,
    fields: Vec<(String, String)>,
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

    /// Whether there is any.
    #[must_use]
    pub fn any(&self) -> bool {
        !self.whole.is_empty() || !self.fields.is_empty()
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

/// Where a page of a list stands.
#[derive(Clone, Default)]
pub struct Paging {
    /// The cursor of the next page, if there is one.
    pub next: Option<String>,
    /// Whether this is the first page.
    pub is_first: bool,
}
