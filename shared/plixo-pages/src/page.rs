use askama::Template;

/// The HTML of a page.
pub(crate) fn html(page: &impl Template) -> String {
    // Writing to text fails only if a value's own `Display` does, and none of ours can.
    page.render().unwrap_or_else(|_| {
        "<!doctype html><title>Plixo</title><h1>Plixo could not show this page</h1>".to_owned()
    })
}

/// A value as it stands in a query.
pub(crate) fn encoded(value: &str) -> String {
    askama::filters::urlencode_strict(value).map(|text| text.to_string()).unwrap_or_default()
}

/// Gives pages their `render`, and those of an organisation their place in the navigation.
macro_rules! pages {
    ($($page:ident $(in $section:ident)?),* $(,)?) => {$(
        impl $page {
            $(
                fn navigation(&self) -> Vec<crate::frame::NavGroup> {
                    self.org.navigation(crate::frame::Section::$section)
                }
            )?

            /// The page as HTML.
            #[must_use]
            pub fn render(&self) -> String {
                crate::page::html(self)
            }
        }
    )*};
}

pub(crate) use pages;
