//! What is done for people who come in and go out, apart from HTTP: for the API here, and for pages.

use std::time::Instant;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use plixo_aws::AwsError;
use plixo_aws::cognito::{Challenge, Directory, DirectoryError, Question, SignIn, Tokens};
use plixo_domain::people::{LONGEST_EMAIL, UserId};
use plixo_domain::secret::Secret;
use plixo_identity::password::{self, Weakness};
use plixo_identity::token::{Session, Verifier, is_a_refresh_token};
use plixo_identity::totp::{self, Code};
use plixo_lambda::clock;
use plixo_store::StoreError;
use plixo_store::people::{Counter, OthersEnded, Pending, People, Standing};

use crate::guard::{self, FREE_OF_ACCOUNT, FREE_OF_ADDRESS, Held, Limit, Tried};

/// How long a challenge waits for its answer: Cognito's own sessions last 3 minutes.
pub const CHALLENGE: SignedDuration = SignedDuration::from_mins(3);
/// How long tokens of a session may be about: a refresh token's 12 hours, and an access token's one after that.
pub const LONGEST_SESSION: SignedDuration = SignedDuration::from_hours(13);
/// Who has TOTP already sets up another only this soon after signing in.
const FRESH: SignedDuration = SignedDuration::from_mins(10);
/// How long setting an app up may take.
const ENROLMENT: SignedDuration = SignedDuration::from_mins(10);
/// No session has this name.
const NO_SESSION: &str = "-";
/// The longest password that Cognito takes, characters.
const LONGEST_PASSWORD: usize = 256;
/// What authenticator apps show above a code.
const ISSUER: &str = "Plixo";

/// The names of the organisations that a person is in: a password must not hold them.
pub trait OrganisationNames: Send + Sync {
    /// The names.
    ///
    /// # Errors
    /// [`StoreError`].
    fn names_of(&self, user: &UserId) -> impl Future<Output = Result<Vec<String>, StoreError>> + Send;
}

/// Who has come in.
#[derive(Debug, Clone)]
pub struct In {
    /// What they show from now on.
    pub tokens: Tokens,
    /// What the access token says.
    pub session: Session,
}

/// What a sign-in comes to.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// It is done.
    In(Box<In>),
    /// It asks for more, and wants `session` with the answer.
    Asked {
        /// What is asked for.
        question: Question,
        /// What the answer names.
        session: Secret,
    },
}

/// An answer to a challenge.
#[derive(Debug, Clone)]
pub enum Answer {
    /// To [`Question::Totp`].
    Code(Code),
    /// To [`Question::NewPassword`].
    NewPassword(Secret),
}

/// How to set an authenticator app up.
#[derive(Debug, Clone)]
pub struct Enrolment {
    /// The secret, base32, to be typed.
    pub secret: Secret,
    /// The same as a URL.
    pub otpauth_url: Secret,
    /// The same as a picture.
    pub qr_svg: Secret,
}

/// Why something is not done.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The credentials are not right. Which of them, nobody learns.
    #[error("the credentials are not right")]
    Wrong,
    /// The answer is to another question.
    #[error("another question was asked")]
    OtherQuestion(Question),
    /// Too many wrong tries.
    #[error("too many wrong tries")]
    Slow(SignedDuration),
    /// The password is refused.
    #[error("the password is too weak")]
    Weak(Option<Weakness>),
    /// The code is not right, or was used.
    #[error("the code is not right")]
    WrongCode,
    /// The session has ended.
    #[error("the session has ended")]
    Ended,
    /// It needs a fresh sign-in.
    #[error("the sign-in was too long ago")]
    Stale,
    /// AWS did not do its part.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// The store did not do its part.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// We did not do ours.
    #[error("{0}")]
    Internal(&'static str),
}

impl From<Held> for Refusal {
    fn from(held: Held) -> Self {
        match held {
            Held::For(wait) => Self::Slow(wait),
            Held::Store(error) => Self::Store(error),
        }
    }
}

impl From<DirectoryError> for Refusal {
    fn from(error: DirectoryError) -> Self {
        match error {
            DirectoryError::Wrong => Self::Wrong,
            DirectoryError::WrongCode => Self::WrongCode,
            DirectoryError::WeakPassword => Self::Weak(None),
            DirectoryError::Exists => Self::Internal("the directory found somebody that nobody made"),
            DirectoryError::Aws(error) => Self::Aws(error),
        }
    }
}

/// Draws 32 random bytes; `None` if that fails.
pub type Entropy = fn() -> Option<[u8; 32]>;

/// Lets people in and out.
#[derive(Debug)]
pub struct Desk<D, P, N> {
    directory: D,
    people: P,
    names: N,
    verifier: Verifier,
    key: hmac::Key,
    entropy: Entropy,
}

impl<D: Directory, P: People, N: OrganisationNames> Desk<D, P, N> {
    /// A desk; `key` is for the hashes under which emails, addresses, codes and challenges are kept.
    pub fn new(
        directory: D,
        people: P,
        names: N,
        verifier: Verifier,
        key: &[u8; 32],
        entropy: Entropy,
    ) -> Self {
        Self { directory, people, names, verifier, key: hmac::Key::new(hmac::HMAC_SHA256, key), entropy }
    }

    /// Signs in with email and password.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn sign_in(
        &self,
        email: &Secret,
        password: &Secret,
        ip: Option<&str>,
        now: Timestamp,
    ) -> Result<Outcome, Refusal> {
        let email = email.reveal().trim().to_lowercase();
        let account = self.limit("account", &email);
        let address = self.limit_of_address("address", ip);
        let from_there = guard::count(&self.people, &address, now).await?;
        let tried = match guard::count(&self.people, &account, now).await {
            Ok(tried) => tried,
            Err(held) => {
                // Nothing was tried: one who is held does not hold their whole office up.
                guard::take_back(&self.people, &address, from_there).await?;
                return Err(held.into());
            }
        };
        if !is_an_email(&email) || !is_a_password(password) {
            return Err(Refusal::Wrong);
        }
        let told = match self.directory.sign_in(&email, password).await {
            Ok(told) => told,
            Err(DirectoryError::Aws(error)) => {
                // Nobody knows whether it was wrong, and an outage locks nobody out.
                guard::take_back(&self.people, &account, tried).await?;
                guard::take_back(&self.people, &address, from_there).await?;
                return Err(error.into());
            }
            Err(_) => return Err(Refusal::Wrong),
        };
        guard::take_back(&self.people, &address, from_there).await?;
        self.people.forget_tries(&account.counter).await?;
        self.come_in(told, now).await
    }

    /// Answers a challenge, by the session that came with it.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn answer(
        &self,
        session: &Secret,
        answer: &Answer,
        now: Timestamp,
    ) -> Result<Outcome, Refusal> {
        let hash = self.hash("challenge", session.reveal());
        let pending = self.people.pending(&hash, now).await?.ok_or(Refusal::Wrong)?;
        // One that was asked of who knew the old password, or before the app was another, is over with those sessions.
        if self.people.standing(&pending.user, NO_SESSION, now).await?.is_over(NO_SESSION, pending.asked_at) {
            return Err(Refusal::Wrong);
        }
        let question = question(&pending.question).ok_or(Refusal::Internal("an odd question is stored"))?;
        let session = session.reveal().split_once('.').map(|(_, session)| Secret::new(session.to_owned()));
        let session = session.ok_or(Refusal::Wrong)?;
        let challenge = Challenge { question, user: pending.user, session };
        let codes = Limit { counter: pending.counter, free: FREE_OF_ACCOUNT, shared: false };
        let told = match (question, answer) {
            (Question::Totp, Answer::Code(code)) => {
                // Wrong codes count apart from wrong passwords: only who knows the password can use them up, and a right
                // password does not buy more of them.
                let tried = guard::count(&self.people, &codes, now).await?;
                if !self.use_code(&pending.user, code, now).await? {
                    return Err(Refusal::Wrong);
                }
                let told = self.directory.answer(&challenge, &Secret::new(code.reveal().to_owned())).await;
                self.unless_aws(told, &codes, tried).await
            }
            (Question::NewPassword, Answer::NewPassword(password)) => {
                let person = self.directory.find(&pending.user.to_string()).await?.ok_or(Refusal::Wrong)?;
                self.judge(password, &pending.user, person.email.reveal()).await?;
                self.directory.answer(&challenge, password).await
            }
            _ => return Err(Refusal::OtherQuestion(question)),
        };
        let told = match told {
            Err(DirectoryError::WrongCode) => return Err(Refusal::Wrong),
            told => told?,
        };
        self.people.answered(&hash).await?;
        if question == Question::Totp {
            self.people.forget_tries(&codes.counter).await?;
            if let SignIn::Done(tokens) = &told {
                // Without this note the session has shown one factor, whatever the directory thinks of the person.
                let session = self.session(tokens, now)?.session;
                self.people.note_two_factor(&session, over_at(now)).await?;
            }
        }
        self.come_in(told, now).await
    }

    /// Gets a new access token for a session that was not ended.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn refresh(&self, refresh: &Secret, ip: Option<&str>, now: Timestamp) -> Result<In, Refusal> {
        // What cannot be one costs nobody anything.
        if !is_a_refresh_token(refresh.reveal()) {
            return Err(Refusal::Ended);
        }
        let address = self.limit_of_address("refresh", ip);
        let tried = guard::count(&self.people, &address, now).await?;
        let told = self.directory.refresh(refresh).await;
        let mut tokens = match self.unless_aws(told, &address, tried).await {
            Err(DirectoryError::Wrong) => return Err(Refusal::Ended),
            told => told?,
        };
        guard::take_back(&self.people, &address, tried).await?;
        let session = self.session(&tokens, now)?;
        self.check(&session, now).await?;
        tokens.refresh.get_or_insert_with(|| refresh.clone());
        Ok(In { tokens, session })
    }

    /// How a session stands that is not over.
    ///
    /// # Errors
    /// [`Refusal::Ended`] where it is over, though its tokens are not yet out of date.
    pub async fn check(&self, session: &Session, now: Timestamp) -> Result<Standing, Refusal> {
        let standing = self.people.standing(&session.user, &session.session, now).await?;
        if standing.is_over(&session.session, session.signed_in_at) {
            return Err(Refusal::Ended);
        }
        Ok(standing)
    }

    /// Makes a TOTP secret. It counts once [`Desk::verify_totp`] has seen a code of it.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn start_totp(
        &self,
        access: &Secret,
        session: &Session,
        standing: &Standing,
        now: Timestamp,
    ) -> Result<Enrolment, Refusal> {
        let person = self.directory.find(&session.user.to_string()).await?.ok_or(Refusal::Ended)?;
        // Whoever has an app shows that they have it before they set up another.
        let stale = now.duration_since(session.signed_in_at) > FRESH || !standing.two_factor;
        if person.totp && stale {
            return Err(Refusal::Stale);
        }
        let secret = self.directory.associate_totp(access).await.map_err(ended)?;
        let url = totp::otpauth_url(ISSUER, person.email.reveal(), secret.reveal());
        let qr_svg = totp::qr_svg(&url).ok_or(Refusal::Internal("a URL too long for a QR code"))?;
        Ok(Enrolment { secret, otpauth_url: Secret::new(url), qr_svg: Secret::new(qr_svg) })
    }

    /// Turns TOTP on with a code of the secret made last. The person's other sessions are over: they began without it, or
    /// with an app that is gone.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn verify_totp(
        &self,
        access: &Secret,
        (session, standing): (&Session, &Standing),
        code: &Code,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let began = clock::instant();
        let person = self.directory.find(&session.user.to_string()).await?.ok_or(Refusal::Ended)?;
        // Cognito makes a secret for whoever has the token, also without [`Desk::start_totp`].
        let enrolment = FRESH.saturating_add(ENROLMENT);
        if person.totp && (now.duration_since(session.signed_in_at) > enrolment || !standing.two_factor) {
            return Err(Refusal::Stale);
        }
        let limit = self.limit("enrolment", &session.user.to_string());
        let tried = guard::count(&self.people, &limit, now).await?;
        if !self.use_code(&session.user, code, now).await? {
            return Err(Refusal::WrongCode);
        }
        let shown = self.directory.verify_totp(access, code.reveal()).await;
        self.unless_aws(shown, &limit, tried).await.map_err(ended)?;
        let note = self.people.note_two_factor(&session.session, over_at(now));
        futures::try_join!(
            note,
            self.end_others(session, after(now, began)),
            self.people.forget_tries(&limit.counter)
        )?;
        Ok(())
    }

    /// Changes a person's password. Their other sessions are over.
    ///
    /// # Errors
    /// [`Refusal`]; [`Refusal::Wrong`] where the current one is not right.
    pub async fn change_password(
        &self,
        access: &Secret,
        session: &Session,
        (current, new): (&Secret, &Secret),
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let began = clock::instant();
        let user = session.user.to_string();
        let limit = self.limit("password", &user);
        let person = self.directory.find(&user).await?.ok_or(Refusal::Ended)?;
        self.judge(new, &session.user, person.email.reveal()).await?;
        let tried = guard::count(&self.people, &limit, now).await?;
        if !is_a_password(current) {
            return Err(Refusal::Wrong);
        }
        let changed = self.directory.change_password(access, current, new).await;
        self.unless_aws(changed, &limit, tried).await?;
        futures::try_join!(
            self.end_others(session, after(now, began)),
            self.people.forget_tries(&limit.counter)
        )?;
        Ok(())
    }

    /// Ends a session: its refresh token, where it is given, and what may still come of it.
    ///
    /// # Errors
    /// [`Refusal`]; the session is ended in any case but [`Refusal::Store`].
    pub async fn sign_out(
        &self,
        session: &Session,
        refresh: Option<&Secret>,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        self.people.revoke_session(&session.session, over_at(now)).await?;
        match refresh {
            Some(refresh) => match self.directory.revoke(refresh).await {
                // One that is none, or none any more, needs no end.
                Ok(()) | Err(DirectoryError::Wrong) => Ok(()),
                Err(error) => Err(error.into()),
            },
            None => Ok(()),
        }
    }

    /// What the directory told; where it was no answer, the try is taken back.
    async fn unless_aws<T>(
        &self,
        told: Result<T, DirectoryError>,
        limit: &Limit,
        tried: Tried,
    ) -> Result<T, DirectoryError> {
        if let Err(DirectoryError::Aws(_)) = &told {
            // Should this fail as well, one try too many is counted.
            let _ = guard::take_back(&self.people, limit, tried).await;
        }
        told
    }

    async fn come_in(&self, told: SignIn, now: Timestamp) -> Result<Outcome, Refusal> {
        let challenge = match told {
            SignIn::Done(tokens) => {
                let session = self.session(&tokens, now)?;
                return Ok(Outcome::In(Box::new(In { tokens, session })));
            }
            SignIn::Asked(challenge) => challenge,
        };
        // Cognito's session alone would do on AWS. With 32 bytes of ours, only what this desk asked can be answered.
        let drawn = (self.entropy)().ok_or(Refusal::Internal("no randomness to be had"))?;
        let session = format!("{}.{}", URL_SAFE_NO_PAD.encode(drawn), challenge.session.reveal());
        let counter = self.limit("code", &challenge.user.to_string()).counter;
        let question = word(challenge.question).to_owned();
        let pending = Pending { user: challenge.user, question, counter, asked_at: now };
        let forget_at = now.saturating_add(CHALLENGE).unwrap_or(Timestamp::MAX);
        self.people.ask(&self.hash("challenge", &session), &pending, forget_at).await?;
        Ok(Outcome::Asked { question: challenge.question, session: Secret::new(session) })
    }

    fn session(&self, tokens: &Tokens, now: Timestamp) -> Result<Session, Refusal> {
        let read = self.verifier.read_from_issuer(tokens.access.reveal(), now);
        read.map_err(|_| Refusal::Internal("the directory made a token that cannot be read"))
    }

    async fn judge(&self, password: &Secret, user: &UserId, email: &str) -> Result<(), Refusal> {
        let mut names = self.names.names_of(user).await?;
        names.extend(email.split('@').next().map(str::to_owned));
        password::judge(password.reveal(), &names).map_err(|weakness| Refusal::Weak(Some(weakness)))
    }

    /// Uses a code up. It is used whether or not it is right, so that two who show it at once get one answer.
    async fn use_code(&self, user: &UserId, code: &Code, now: Timestamp) -> Result<bool, Refusal> {
        let hash = self.hash("code", &format!("{user}#{}", code.reveal()));
        let forget_at = now.saturating_add(totp::REMEMBERED_FOR).unwrap_or(Timestamp::MAX);
        Ok(self.people.use_code(user, &hash, now, forget_at).await?)
    }

    /// Ends a person's sessions but this one. Cognito can end all of them only.
    async fn end_others(&self, session: &Session, now: Timestamp) -> Result<(), StoreError> {
        let others = OthersEnded { at: now, but: session.session.clone() };
        self.people.end_others(&session.user, &others, over_at(now)).await
    }

    /// The limit of one person's tries.
    fn limit(&self, kind: &str, of: &str) -> Limit {
        Limit { counter: Counter::new(kind, &self.hash(kind, of)), free: FREE_OF_ACCOUNT, shared: false }
    }

    /// The limit of tries from one address.
    fn limit_of_address(&self, kind: &str, ip: Option<&str>) -> Limit {
        let counter = Counter::new(kind, &self.hash(kind, &guard::sender(ip)));
        Limit { counter, free: FREE_OF_ADDRESS, shared: true }
    }

    /// A keyed hash of a value of a kind, hex.
    fn hash(&self, kind: &str, value: &str) -> String {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(kind.as_bytes());
        context.update(&[0]);
        context.update(value.as_bytes());
        hex::encode(context.sign())
    }
}

/// The time by now, of a request that came in at `now`.
fn after(now: Timestamp, began: Instant) -> Timestamp {
    SignedDuration::try_from(began.elapsed()).ok().and_then(|took| now.checked_add(took).ok()).unwrap_or(now)
}

/// When no token of a session is about any more that is open now.
fn over_at(now: Timestamp) -> Timestamp {
    now.saturating_add(LONGEST_SESSION).unwrap_or(Timestamp::MAX)
}

/// A directory that does not know the token any more: the session has ended.
fn ended(error: DirectoryError) -> Refusal {
    match error {
        DirectoryError::Wrong => Refusal::Ended,
        error => error.into(),
    }
}

/// Whether the directory can know such an email at all; it refuses others as malformed, and would tell them apart.
fn is_an_email(email: &str) -> bool {
    let fits = |c: char| c.is_alphanumeric() || c.is_ascii_punctuation();
    let (local, domain) = email.split_once('@').unwrap_or_default();
    !local.is_empty()
        && !domain.is_empty()
        && !domain.contains('@')
        && email.chars().count() <= LONGEST_EMAIL
        && email.chars().all(fits)
}

/// Whether the directory can know such a password at all.
fn is_a_password(password: &Secret) -> bool {
    let password = password.reveal();
    let fits = password.len() <= LONGEST_PASSWORD * 4 && password.chars().count() <= LONGEST_PASSWORD;
    fits && password.trim() == password && !password.is_empty()
}

/// The contract's word for a question.
#[must_use]
pub fn word(question: Question) -> &'static str {
    match question {
        Question::Totp => "totp",
        Question::NewPassword => "new_password",
    }
}

fn question(stored: &str) -> Option<Question> {
    [Question::Totp, Question::NewPassword].into_iter().find(|question| word(*question) == stored)
}
