use std::sync::{Arc, Mutex};

use plixo_aws::AwsError;
use plixo_aws::ses::{Email, SendEmail};

use crate::Faults;
use crate::fakes::unavailable;

/// Email.
#[derive(Debug, Clone, Default)]
pub struct FakeMail {
    sent: Arc<Mutex<Vec<Email>>>,
    faults: Faults,
}

impl FakeMail {
    /// One that nothing was handed to yet, whose calls go wrong as planned.
    #[must_use]
    pub fn new(faults: Faults) -> Self {
        Self { sent: Arc::default(), faults }
    }

    /// What it took.
    #[must_use]
    pub fn sent(&self) -> Vec<Email> {
        self.sent.lock().unwrap().clone()
    }
}

impl SendEmail for FakeMail {
    async fn send_email(&self, email: &Email) -> Result<(), AwsError> {
        let take = || {
            self.sent.lock().unwrap().push(email.clone());
            Ok(())
        };
        self.faults.call(|| unavailable("SES"), take).await
    }
}
