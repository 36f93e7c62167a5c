//! The only reader of the environment.

use std::cell::RefCell;

/// Variables that were asked for and are not set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("set these environment variables: {}", .0.join(", "))]
pub struct Missing(pub Vec<&'static str>);

/// Collects what is missing, so that one error names all of it.
#[derive(Debug, Default)]
pub struct Env {
    missing: RefCell<Vec<&'static str>>,
}

impl Env {
    /// The value of `name`; without it, [`Env::complete`] fails.
    #[must_use]
    pub fn required(&self, name: &'static str) -> String {
        self.optional(name).unwrap_or_else(|| {
            self.missing.borrow_mut().push(name);
            String::new()
        })
    }

    /// The value of `name`, if it is set and not empty.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place")]
    pub fn optional(&self, name: &'static str) -> Option<String> {
        std::env::var(name).ok().filter(|value| !value.is_empty())
    }

    /// Whether all that was required was there.
    ///
    /// # Errors
    /// [`Missing`], naming every variable that was not.
    pub fn complete(self) -> Result<(), Missing> {
        let missing = self.missing.into_inner();
        if missing.is_empty() { Ok(()) } else { Err(Missing(missing)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_missing_variable_is_named() {
        let env = Env::default();
        assert_eq!(env.required("PLIXO_NOT_SET_A"), "");
        assert!(!env.required("PATH").is_empty());
        assert_eq!(env.optional("PLIXO_NOT_SET_C"), None);
        assert_eq!(env.required("PLIXO_NOT_SET_B"), "");
        let error = env.complete().unwrap_err().to_string();
        assert_eq!(error, "set these environment variables: PLIXO_NOT_SET_A, PLIXO_NOT_SET_B");
    }
}
