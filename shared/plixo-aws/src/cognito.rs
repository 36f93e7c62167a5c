//! The directory of people: a Cognito user pool and the client of it that Plixo is.
//!
//! Errors hold the code of an answer and never its text: that may name an email.

use std::collections::HashMap;

use aws_config::SdkConfig;
use aws_sdk_cognitoidentityprovider::Client;
use aws_sdk_cognitoidentityprovider::types::{
    AttributeType, AuthFlowType, AuthenticationResultType, ChallengeNameType, MessageActionType,
    SoftwareTokenMfaSettingsType, UserStatusType, VerifySoftwareTokenResponseType,
};
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use plixo_domain::people::UserId;
use plixo_domain::secret::Secret;

use crate::{AwsError, from_sdk_by_code};

const SERVICE: &str = "Cognito";
/// Cognito's word for TOTP among a person's factors.
const TOTP: &str = "SOFTWARE_TOKEN_MFA";
/// The pool's group of operators.
const OPERATORS: &str = "operators";

/// Why the directory did not do it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DirectoryError {
    /// The person, the password or the token is not right, or the person is disabled. Which, nobody learns.
    #[error("the directory does not know these credentials")]
    Wrong,
    /// The code is not right.
    #[error("the directory does not take this code")]
    WrongCode,
    /// The directory's own policy refuses the password.
    #[error("the directory does not take this password")]
    WeakPassword,
    /// There is such a person already.
    #[error("the person is in the directory already")]
    Exists,
    /// It is ours or AWS's fault.
    #[error(transparent)]
    Aws(#[from] AwsError),
}

/// What a sign-in gives. Both tokens are secrets.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// Shows who somebody is, for minutes.
    pub access: Secret,
    /// Gets new access tokens, for hours. A refresh gives none.
    pub refresh: Option<Secret>,
    /// How long the access token is good, seconds.
    pub expires_in: i32,
}

/// What the directory asks for beside the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// A code of the authenticator app.
    Totp,
    /// A password of the person's own: the one given was temporary.
    NewPassword,
}

/// A sign-in that is not done yet.
#[derive(Debug, Clone)]
pub struct Challenge {
    /// What is asked for.
    pub question: Question,
    /// The person.
    pub user: UserId,
    /// What the directory wants to see again.
    pub session: Secret,
}

/// What the directory says to a password or an answer.
#[derive(Debug, Clone)]
pub enum SignIn {
    /// It is done.
    Done(Tokens),
    /// It asks for more.
    Asked(Challenge),
}

/// A person, as the directory knows them.
#[derive(Debug, Clone)]
pub struct Person {
    /// `sub`.
    pub user: UserId,
    /// The email.
    pub email: Secret,
    /// Whether the person is in, and not disabled.
    pub enabled: bool,
    /// Whether the person has a temporary password only, and so never signed in.
    pub waits: bool,
    /// Whether the person is asked for a code at each sign-in.
    pub totp: bool,
}

/// The port to the directory, for people who sign in.
pub trait Directory: Send + Sync {
    /// Signs in with email and password.
    ///
    /// # Errors
    /// [`DirectoryError`].
    fn sign_in(
        &self,
        email: &str,
        password: &Secret,
    ) -> impl Future<Output = Result<SignIn, DirectoryError>> + Send;

    /// Answers a [`Challenge`] with a code or a new password, as it asks.
    ///
    /// # Errors
    /// [`DirectoryError`].
    fn answer(
        &self,
        challenge: &Challenge,
        answer: &Secret,
    ) -> impl Future<Output = Result<SignIn, DirectoryError>> + Send;

    /// Gets a new access token.
    ///
    /// # Errors
    /// [`DirectoryError`].
    fn refresh(&self, refresh: &Secret) -> impl Future<Output = Result<Tokens, DirectoryError>> + Send;

    /// Makes a TOTP secret for the person with that access token: base32. It counts once a code of it was shown.
    ///
    /// # Errors
    /// [`DirectoryError`].
    fn associate_totp(&self, access: &Secret) -> impl Future<Output = Result<Secret, DirectoryError>> + Send;

    /// Shows a code of the secret made last, and asks for codes at each sign-in from now on.
    ///
    /// # Errors
    /// [`DirectoryError`].
    fn verify_totp(
        &self,
        access: &Secret,
        code: &str,
    ) -> impl Future<Output = Result<(), DirectoryError>> + Send;

    /// Changes a person's password.
    ///
    /// # Errors
    /// [`DirectoryError`].
    fn change_password(
        &self,
        access: &Secret,
        current: &Secret,
        new: &Secret,
    ) -> impl Future<Output = Result<(), DirectoryError>> + Send;

    /// Ends a refresh token and the access tokens that came of it.
    ///
    /// # Errors
    /// [`DirectoryError`].
    fn revoke(&self, refresh: &Secret) -> impl Future<Output = Result<(), DirectoryError>> + Send;

    /// Ends all refresh tokens of a person.
    ///
    /// # Errors
    /// [`DirectoryError`].
    fn sign_out_everywhere(&self, user: &UserId) -> impl Future<Output = Result<(), DirectoryError>> + Send;

    /// The person of that email or `sub`.
    ///
    /// # Errors
    /// [`DirectoryError`].
    fn find(&self, name: &str) -> impl Future<Output = Result<Option<Person>, DirectoryError>> + Send;
}

/// The port to the directory, for those who let people in.
pub trait Register: Send + Sync {
    /// Makes a person with a temporary password. The directory sends no email.
    ///
    /// # Errors
    /// [`DirectoryError`]; [`DirectoryError::Exists`] where the email is taken.
    fn invite(
        &self,
        email: &str,
        temporary: &Secret,
    ) -> impl Future<Output = Result<UserId, DirectoryError>> + Send;

    /// Gives a person who never signed in their temporary password anew, so that it is good for its full time again. Ask
    /// [`Directory::find`] before: it takes their own password from anybody else.
    ///
    /// # Errors
    /// [`DirectoryError`].
    fn invite_again(
        &self,
        email: &str,
        temporary: &Secret,
    ) -> impl Future<Output = Result<(), DirectoryError>> + Send;

    /// Makes a person an operator.
    ///
    /// # Errors
    /// [`DirectoryError`].
    fn make_operator(&self, email: &str) -> impl Future<Output = Result<(), DirectoryError>> + Send;

    /// Gives a person a password to stay, for demos and tests.
    ///
    /// # Errors
    /// [`DirectoryError`].
    fn set_password(
        &self,
        email: &str,
        password: &Secret,
    ) -> impl Future<Output = Result<(), DirectoryError>> + Send;
}

/// A user pool, and the client of it that Plixo is.
#[derive(Debug, Clone)]
pub struct UserPool {
    client: Client,
    pool_id: String,
    client_id: String,
}

impl UserPool {
    /// The pool and client of those ids.
    #[must_use]
    pub fn new(config: &SdkConfig, pool_id: String, client_id: String) -> Self {
        let config = aws_sdk_cognitoidentityprovider::config::Builder::from(config)
            .interceptor(crate::calls::Calls)
            .build();
        Self { client: Client::from_conf(config), pool_id, client_id }
    }

    async fn give_password(
        &self,
        email: &str,
        password: &Secret,
        permanent: bool,
    ) -> Result<(), DirectoryError> {
        let asked = self.client.admin_set_user_password().user_pool_id(&self.pool_id).username(email);
        let asked = asked.password(password.reveal()).permanent(permanent);
        asked.send().await.map(drop).map_err(failure)
    }

    /// Who is challenged. A pool whose people sign in with an email names them by their `sub`; where a name is none, the
    /// pool is asked.
    async fn challenged(
        &self,
        email: &str,
        told: Option<&HashMap<String, String>>,
    ) -> Result<Option<UserId>, DirectoryError> {
        let named = told.and_then(|told| told.get("USER_ID_FOR_SRP")).and_then(|name| name.parse().ok());
        match named {
            Some(user) => Ok(Some(user)),
            None => Ok(self.find(email).await?.map(|person| person.user)),
        }
    }
}

fn failure<E, R>(error: SdkError<E, R>) -> DirectoryError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    match error.as_service_error().and_then(|error| error.meta().code()) {
        Some(
            "NotAuthorizedException"
            | "UserNotFoundException"
            | "UserNotConfirmedException"
            | "UnsupportedTokenTypeException"
            | "PasswordResetRequiredException",
        ) => DirectoryError::Wrong,
        Some(
            "CodeMismatchException"
            | "EnableSoftwareTokenMFAException"
            | "ExpiredCodeException"
            | "SoftwareTokenMFANotFoundException",
        ) => DirectoryError::WrongCode,
        Some("InvalidPasswordException" | "PasswordHistoryPolicyViolationException") => {
            DirectoryError::WeakPassword
        }
        Some("UsernameExistsException" | "AliasExistsException") => DirectoryError::Exists,
        _ => DirectoryError::Aws(from_sdk_by_code(SERVICE, error)),
    }
}

fn odd(what: &str) -> DirectoryError {
    DirectoryError::Aws(AwsError::Refused { service: SERVICE, cause: what.to_owned() })
}

fn tokens(result: AuthenticationResultType) -> Result<Tokens, DirectoryError> {
    let access = result.access_token.ok_or_else(|| odd("an answer without an access token"))?;
    let refresh = result.refresh_token.map(Secret::new);
    Ok(Tokens { access: Secret::new(access), refresh, expires_in: result.expires_in })
}

/// What the two operations of a sign-in answer alike.
struct Answer {
    done: Option<AuthenticationResultType>,
    question: Option<ChallengeNameType>,
    session: Option<String>,
    user: Option<UserId>,
}

fn outcome(answer: Answer) -> Result<SignIn, DirectoryError> {
    if let Some(done) = answer.done {
        return tokens(done).map(SignIn::Done);
    }
    let question = match answer.question {
        Some(ChallengeNameType::SoftwareTokenMfa) => Question::Totp,
        Some(ChallengeNameType::NewPasswordRequired) => Question::NewPassword,
        _ => return Err(odd("a challenge that nobody set up")),
    };
    let session = answer.session.map(Secret::new).ok_or_else(|| odd("a challenge without a session"))?;
    let user = answer.user.ok_or_else(|| odd("a challenge for nobody"))?;
    Ok(SignIn::Asked(Challenge { question, user, session }))
}

impl Directory for UserPool {
    async fn sign_in(&self, email: &str, password: &Secret) -> Result<SignIn, DirectoryError> {
        let asked = self.client.admin_initiate_auth().user_pool_id(&self.pool_id).client_id(&self.client_id);
        let asked = asked
            .auth_flow(AuthFlowType::AdminUserPasswordAuth)
            .auth_parameters("USERNAME", email)
            .auth_parameters("PASSWORD", password.reveal());
        let answer = asked.send().await.map_err(failure)?;
        let user = match answer.authentication_result {
            Some(_) => None,
            None => self.challenged(email, answer.challenge_parameters.as_ref()).await?,
        };
        outcome(Answer {
            done: answer.authentication_result,
            question: answer.challenge_name,
            session: answer.session,
            user,
        })
    }

    async fn answer(&self, challenge: &Challenge, answer: &Secret) -> Result<SignIn, DirectoryError> {
        let (name, field) = match challenge.question {
            Question::Totp => (ChallengeNameType::SoftwareTokenMfa, "SOFTWARE_TOKEN_MFA_CODE"),
            Question::NewPassword => (ChallengeNameType::NewPasswordRequired, "NEW_PASSWORD"),
        };
        let asked = self.client.admin_respond_to_auth_challenge().user_pool_id(&self.pool_id);
        let asked = asked
            .client_id(&self.client_id)
            .challenge_name(name)
            .session(challenge.session.reveal())
            .challenge_responses("USERNAME", challenge.user.to_string())
            .challenge_responses(field, answer.reveal());
        let answer = asked.send().await.map_err(failure)?;
        outcome(Answer {
            done: answer.authentication_result,
            question: answer.challenge_name,
            session: answer.session,
            user: Some(challenge.user),
        })
    }

    async fn refresh(&self, refresh: &Secret) -> Result<Tokens, DirectoryError> {
        let asked = self.client.admin_initiate_auth().user_pool_id(&self.pool_id).client_id(&self.client_id);
        let asked = asked
            .auth_flow(AuthFlowType::RefreshTokenAuth)
            .auth_parameters("REFRESH_TOKEN", refresh.reveal());
        let answer = asked.send().await.map_err(failure)?;
        tokens(answer.authentication_result.ok_or_else(|| odd("a refresh without tokens"))?)
    }

    async fn associate_totp(&self, access: &Secret) -> Result<Secret, DirectoryError> {
        let asked = self.client.associate_software_token().access_token(access.reveal());
        let answer = asked.send().await.map_err(failure)?;
        answer.secret_code.map(Secret::new).ok_or_else(|| odd("a software token without its secret"))
    }

    async fn verify_totp(&self, access: &Secret, code: &str) -> Result<(), DirectoryError> {
        let asked = self.client.verify_software_token().access_token(access.reveal()).user_code(code);
        let shown = asked.friendly_device_name("authenticator app").send().await.map_err(failure)?;
        if shown.status != Some(VerifySoftwareTokenResponseType::Success) {
            return Err(DirectoryError::WrongCode);
        }
        let settings = SoftwareTokenMfaSettingsType::builder().enabled(true).preferred_mfa(true).build();
        let asked = self.client.set_user_mfa_preference().access_token(access.reveal());
        asked.software_token_mfa_settings(settings).send().await.map(drop).map_err(failure)
    }

    async fn change_password(
        &self,
        access: &Secret,
        current: &Secret,
        new: &Secret,
    ) -> Result<(), DirectoryError> {
        let asked = self.client.change_password().access_token(access.reveal());
        let asked = asked.previous_password(current.reveal()).proposed_password(new.reveal());
        asked.send().await.map(drop).map_err(failure)
    }

    async fn revoke(&self, refresh: &Secret) -> Result<(), DirectoryError> {
        // Cognito refuses another text as malformed, as if we had made a mistake.
        if !refresh.reveal().bytes().all(|b| b.is_ascii_alphanumeric() || b"-_=.".contains(&b)) {
            return Err(DirectoryError::Wrong);
        }
        let asked = self.client.revoke_token().client_id(&self.client_id).token(refresh.reveal());
        asked.send().await.map(drop).map_err(failure)
    }

    async fn sign_out_everywhere(&self, user: &UserId) -> Result<(), DirectoryError> {
        let asked = self.client.admin_user_global_sign_out().user_pool_id(&self.pool_id);
        asked.username(user.to_string()).send().await.map(drop).map_err(failure)
    }

    async fn find(&self, name: &str) -> Result<Option<Person>, DirectoryError> {
        let asked = self.client.admin_get_user().user_pool_id(&self.pool_id).username(name);
        let found = match asked.send().await {
            Ok(found) => found,
            Err(error) if error.as_service_error().is_some_and(|e| e.is_user_not_found_exception()) => {
                return Ok(None);
            }
            Err(error) => return Err(failure(error)),
        };
        let attribute = |name| value(found.user_attributes.as_deref().unwrap_or_default(), name);
        let email = attribute("email").ok_or_else(|| odd("a person without an email"))?;
        let user = attribute("sub").and_then(|sub| sub.parse().ok());
        let user = user.ok_or_else(|| odd("a person without a sub"))?;
        let email = Secret::new(email.to_owned());
        let waits = found.user_status == Some(UserStatusType::ForceChangePassword);
        let totp = found.user_mfa_setting_list.iter().flatten().any(|factor| factor == TOTP);
        Ok(Some(Person { user, email, enabled: found.enabled, waits, totp }))
    }
}

impl Register for UserPool {
    async fn invite(&self, email: &str, temporary: &Secret) -> Result<UserId, DirectoryError> {
        let attribute = |name, value| AttributeType::builder().name(name).value(value).build();
        let unmade = |_| odd("an attribute without a name");
        let asked = self.client.admin_create_user().user_pool_id(&self.pool_id).username(email);
        let asked = asked
            .temporary_password(temporary.reveal())
            .message_action(MessageActionType::Suppress)
            .user_attributes(attribute("email", email).map_err(unmade)?)
            .user_attributes(attribute("email_verified", "true").map_err(unmade)?);
        let made = asked.send().await.map_err(failure)?;
        let attributes = made.user.and_then(|user| user.attributes).unwrap_or_default();
        value(&attributes, "sub")
            .and_then(|sub| sub.parse().ok())
            .ok_or_else(|| odd("a person without a sub"))
    }

    async fn invite_again(&self, email: &str, temporary: &Secret) -> Result<(), DirectoryError> {
        self.give_password(email, temporary, false).await
    }

    async fn make_operator(&self, email: &str) -> Result<(), DirectoryError> {
        let asked = self.client.admin_add_user_to_group().user_pool_id(&self.pool_id);
        asked.username(email).group_name(OPERATORS).send().await.map(drop).map_err(failure)
    }

    async fn set_password(&self, email: &str, password: &Secret) -> Result<(), DirectoryError> {
        self.give_password(email, password, true).await
    }
}

fn value<'a>(attributes: &'a [AttributeType], name: &str) -> Option<&'a str> {
    attributes.iter().find(|attribute| attribute.name == name).and_then(|found| found.value.as_deref())
}
