use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use plixo_aws::ses::{Email, MailError, SendEmail};

use crate::Faults;
use crate::fakes::unavailable;

/// Email.
#[derive(Debug, Clone, Default)]
pub struct FakeMail {
    sent: Arc<Mutex<Vec<Email>>>,
    rejected: Arc<Mutex<HashSet<String>>>,
    faults: Faults,
}

impl FakeMail {
    /// One that nothing was handed to yet, whose calls go wrong as planned.
    #[must_use]
    pub fn new(faults: Faults) -> Self {
        Self { faults, ..Self::default() }
    }

    /// Takes nothing to that address from now on, or takes it again.
    pub fn reject(&self, to: &str, rejected: bool) {
        let mut all = self.rejected.lock().unwrap();
        let _ = if rejected { all.insert(to.to_owned()) } else { all.remove(to) };
    }

    /// What it took.
    #[must_use]
    pub fn sent(&self) -> Vec<Email> {
        self.sent.lock().unwrap().clone()
    }
}

impl SendEmail for FakeMail {
    async fn send_email(&self, email: &Email) -> Result<(), MailError> {
        let take = || {
            if self.rejected.lock().unwrap().contains(&email.to) {
                return Err(MailError::Rejected("MessageRejected".to_owned()));
            }
            self.sent.lock().unwrap().push(email.clone());
            Ok(())
        };
        self.faults.call(|| unavailable("SES").into(), take).await
    }
}
