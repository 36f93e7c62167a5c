/// Where the providers are: their own URLs, or those of what stands in for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Urls {
    pub(crate) xero_api: String,
    pub(crate) xero_token: String,
    pub(crate) quickbooks_api: String,
    pub(crate) quickbooks_token: String,
    pub(crate) business_central_api: String,
    pub(crate) business_central_login: String,
}

impl Urls {
    /// What a function's environment says; `get` gives a variable's value.
    #[must_use]
    pub fn read(get: impl Fn(&'static str) -> String) -> Self {
        let url = |name| get(name).trim_end_matches('/').to_owned();
        Self {
            xero_api: url("XERO_API_URL"),
            xero_token: url("XERO_LOGIN_URL"),
            quickbooks_api: url("QUICKBOOKS_API_URL"),
            quickbooks_token: url("QUICKBOOKS_LOGIN_URL"),
            business_central_api: url("BUSINESS_CENTRAL_API_URL"),
            business_central_login: url("BUSINESS_CENTRAL_LOGIN_URL"),
        }
    }
}
