use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::display::DisplayErrorContext;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

/// Why AWS did not do it. The text is for the log: it names the cause down to the transport.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AwsError {
    /// Throttled, slow or broken: it may work later.
    #[error("{service} is not available: {cause}")]
    Unavailable {
        /// Which service.
        service: &'static str,
        /// What it said.
        cause: String,
    },
    /// It will not work like this.
    #[error("{service} refused: {cause}")]
    Refused {
        /// Which service.
        service: &'static str,
        /// What it said.
        cause: String,
    },
}

/// Sorts an SDK error: what AWS decided about this very request is `Refused`, everything else is `Unavailable`.
pub fn from_sdk<E, R>(service: &'static str, error: SdkError<E, R>) -> AwsError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    let refused = error.as_service_error().and_then(ProvideErrorMetadata::code).is_some_and(is_a_decision);
    let cause = DisplayErrorContext(error).to_string();
    if refused { AwsError::Refused { service, cause } } else { AwsError::Unavailable { service, cause } }
}

/// The codes with which AWS decides about a request. Any other, a new one too, counts as passing, so that work is tried
/// again rather than given up.
fn is_a_decision(code: &str) -> bool {
    matches!(
        code,
        "AccessDenied"
            | "AccessDeniedException"
            | "ConditionalCheckFailedException"
            | "DisabledException"
            | "IncorrectKeyException"
            | "InvalidCiphertextException"
            | "InvalidMessageContents"
            | "InvalidParameterException"
            | "InvalidParameterValue"
            | "KMSInvalidStateException"
            | "NotFoundException"
            | "ResourceNotFoundException"
            | "ValidationException"
    )
}
