use aws_smithy_runtime_api::client::result::SdkError;
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

/// Sorts an SDK error: what AWS decided about this very request is `Refused`, everything else is `Unavailable`. The cause
/// names codes and transport errors, and never what was sent or answered: that may hold a secret.
pub fn from_sdk<E, R>(service: &'static str, error: SdkError<E, R>) -> AwsError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    let cause = match &error {
        SdkError::ServiceError(error) => {
            let metadata = error.err().meta();
            let (code, message) =
                (metadata.code().unwrap_or("no code"), metadata.message().unwrap_or_default());
            if is_a_decision(code) {
                return AwsError::Refused { service, cause: format!("{code}: {message}") };
            }
            format!("{code}: {message}")
        }
        SdkError::DispatchFailure(failure) => {
            failure.as_connector_error().map_or_else(String::new, |error| chain(error))
        }
        SdkError::TimeoutError(_) => "it took too long".to_owned(),
        SdkError::ResponseError(_) => "its answer cannot be read".to_owned(),
        _ => "the request cannot be made".to_owned(),
    };
    AwsError::Unavailable { service, cause }
}

/// [`from_sdk`], for services whose texts may name a person: of what the service said, the cause holds the code alone.
pub fn from_sdk_by_code<E, R>(service: &'static str, error: SdkError<E, R>) -> AwsError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    let code = error.as_service_error().map(|error| error.meta().code().unwrap_or("no code").to_owned());
    match (from_sdk(service, error), code) {
        (AwsError::Refused { service, .. }, Some(cause)) => AwsError::Refused { service, cause },
        (AwsError::Unavailable { service, .. }, Some(cause)) => AwsError::Unavailable { service, cause },
        (error, None) => error,
    }
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// The codes with which AWS decides about a request. Any other, a new one too, counts as passing, so that work is tried
/// again rather than given up.
fn is_a_decision(code: &str) -> bool {
    matches!(
        code,
        "AccessDenied"
            | "AccessDeniedException"
            | "AccountSuspendedException"
            | "BadRequestException"
            | "ConditionalCheckFailedException"
            | "DisabledException"
            | "EntityTooSmall"
            | "IncorrectKeyException"
            | "InvalidCiphertextException"
            | "InvalidMessageContents"
            | "InvalidParameterException"
            | "InvalidParameterValue"
            | "InvalidPart"
            | "KMSInvalidStateException"
            | "MailFromDomainNotVerifiedException"
            | "MessageRejected"
            | "NoSuchBucket"
            | "NoSuchUpload"
            | "NotFoundException"
            | "ResourceNotFoundException"
            | "ValidationException"
    )
}
