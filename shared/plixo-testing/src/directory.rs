use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use plixo_aws::AwsError;
use plixo_aws::cognito::{Challenge, Directory, DirectoryError, Person, Question, Register, SignIn, Tokens};
use plixo_domain::people::UserId;
use plixo_domain::secret::Secret;
use serde_json::{Value, json};

use crate::fakes::unavailable;
use crate::{Faults, Mint};

/// The longest name of a user, characters.
const LONGEST_NAME: usize = 128;
/// Longer than the time for which any code counts.
const STEP: i64 = 30;

#[derive(Debug, Clone)]
struct Entry {
    user: UserId,
    email: String,
    password: String,
    temporary: bool,
    enabled: bool,
    operator: bool,
    pending: Option<String>,
    totp: Option<String>,
}

#[derive(Debug, Default)]
struct Pool {
    people: Vec<Entry>,
    challenges: HashMap<String, (UserId, Question)>,
    refresh: HashMap<String, (UserId, String, Timestamp)>,
    ended: HashSet<String>,
    drawn: u32,
    now: Timestamp,
}

/// Cognito, in memory: real tokens, made-up codes. As the local stack's, it takes a code as often as it is shown.
#[derive(Debug, Clone, Default)]
pub struct FakeDirectory {
    pool: Arc<Mutex<Pool>>,
    mint: Arc<Mint>,
    faults: Faults,
}

impl FakeDirectory {
    /// An empty one, whose calls go wrong as planned.
    #[must_use]
    pub fn new(faults: Faults) -> Self {
        Self { faults, ..Self::default() }
    }

    /// Makes it that late.
    pub fn set_now(&self, now: Timestamp) {
        self.pool.lock().unwrap().now = now;
    }

    /// Lets a person in, with a password of their own.
    #[must_use]
    pub fn person(&self, email: &str, password: &str) -> UserId {
        let mut pool = self.pool.lock().unwrap();
        pool.make(email, password, false)
    }

    /// Changes what is known of a person.
    fn change<T>(&self, email: &str, change: impl FnOnce(&mut Entry) -> T) -> T {
        let mut pool = self.pool.lock().unwrap();
        change(pool.people.iter_mut().find(|person| person.email == email).unwrap())
    }

    /// Turns a person away from now on.
    pub fn disable(&self, email: &str) {
        self.change(email, |person| person.enabled = false);
    }

    /// Sets TOTP up for a person.
    pub fn set_up_totp(&self, email: &str) {
        self.change(email, |person| {
            person.totp = Some(format!("SET{}", person.user.0.simple()).to_uppercase())
        });
    }

    /// Takes TOTP from a person, as an operator may, or anybody who has their token at Cognito's public API.
    pub fn turn_totp_off(&self, email: &str) {
        self.change(email, |person| person.totp = None);
    }

    /// The code that a person's app shows: of the secret that was made last, or of that which counts.
    #[must_use]
    pub fn code(&self, email: &str) -> String {
        let now = self.pool.lock().unwrap().now;
        self.change(email, |person| code(person.pending.as_ref().or(person.totp.as_ref()).unwrap(), now))
    }

    async fn call<T>(
        &self,
        work: impl FnOnce(&mut Pool, &Mint) -> Result<T, DirectoryError>,
    ) -> Result<T, DirectoryError> {
        let down = || unavailable("Cognito").into();
        self.faults.call(down, || work(&mut self.pool.lock().unwrap(), &self.mint)).await
    }
}

fn code(secret: &str, now: Timestamp) -> String {
    let step = u64::try_from(now.as_second().div_euclid(STEP)).unwrap();
    let mixed = secret.bytes().fold(step, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
    format!("{:06}", mixed % 1_000_000)
}

impl Pool {
    fn draw(&mut self) -> u32 {
        self.drawn = self.drawn.saturating_add(1);
        self.drawn
    }

    fn make(&mut self, email: &str, password: &str, temporary: bool) -> UserId {
        let user: UserId = format!("00000000-0000-4000-8000-{:012}", self.draw()).parse().unwrap();
        let (email, password) = (email.to_owned(), password.to_owned());
        let entry = Entry {
            user,
            email,
            password,
            temporary,
            enabled: true,
            operator: false,
            pending: None,
            totp: None,
        };
        self.people.push(entry);
        user
    }

    fn named(&mut self, name: &str) -> Option<&mut Entry> {
        self.people.iter_mut().find(|person| person.email == name || person.user.to_string() == name)
    }

    /// Whoever an access token names, and their session.
    fn owner(&mut self, access: &Secret) -> Result<(&mut Entry, String), DirectoryError> {
        let claims = Mint::read(access.reveal()).ok_or(DirectoryError::Wrong)?;
        let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let late = claims.get("exp").and_then(Value::as_i64).is_none_or(|exp| exp <= self.now.as_second());
        let session = text("origin_jti");
        if late || self.ended.contains(&session) {
            return Err(DirectoryError::Wrong);
        }
        let owner = self.named(&text("sub")).filter(|person| person.enabled).ok_or(DirectoryError::Wrong)?;
        Ok((owner, session))
    }

    fn tokens(&mut self, user: UserId, mint: &Mint, of: Option<(String, Timestamp)>) -> Tokens {
        let fresh = of.is_none();
        let now = self.now;
        let (session, began) = of.unwrap_or_else(|| (format!("session-{}", self.draw()), now));
        let operator = self.people.iter().any(|person| person.user == user && person.operator);
        let mut claims = Mint::claims(user, &session, now);
        if let Some(claims) = claims.as_object_mut() {
            claims.insert("auth_time".to_owned(), json!(began.as_second()));
            if operator {
                claims.insert("cognito:groups".to_owned(), json!(["operators"]));
            }
        }
        let refresh = fresh.then(|| {
            let refresh = format!("refresh-{}.key.iv.text.tag", self.draw());
            self.refresh.insert(refresh.clone(), (user, session, began));
            Secret::new(refresh)
        });
        Tokens { access: Secret::new(mint.token(&claims)), refresh, expires_in: 3600 }
    }

    fn ask(&mut self, user: UserId, question: Question) -> SignIn {
        let session = format!("challenge-{}", self.draw());
        self.challenges.insert(session.clone(), (user, question));
        SignIn::Asked(Challenge { question, user, session: Secret::new(session) })
    }
}

impl Directory for FakeDirectory {
    async fn sign_in(&self, email: &str, password: &Secret) -> Result<SignIn, DirectoryError> {
        self.call(|pool, mint| {
            let found = pool.named(email).filter(|person| person.enabled).cloned();
            let person = found.filter(|person| person.password == password.reveal());
            let person = person.ok_or(DirectoryError::Wrong)?;
            Ok(match person {
                Entry { user, temporary: true, .. } => pool.ask(user, Question::NewPassword),
                Entry { user, totp: Some(_), .. } => pool.ask(user, Question::Totp),
                Entry { user, .. } => SignIn::Done(pool.tokens(user, mint, None)),
            })
        })
        .await
    }

    async fn answer(&self, challenge: &Challenge, answer: &Secret) -> Result<SignIn, DirectoryError> {
        self.call(|pool, mint| {
            let asked = pool.challenges.get(challenge.session.reveal()).copied();
            if asked != Some((challenge.user, challenge.question)) {
                return Err(DirectoryError::Wrong);
            }
            let now = pool.now;
            let person = pool.named(&challenge.user.to_string()).ok_or(DirectoryError::Wrong)?;
            match challenge.question {
                Question::Totp => {
                    let secret = person.totp.as_ref().ok_or(DirectoryError::WrongCode)?;
                    if code(secret, now) != answer.reveal() {
                        return Err(DirectoryError::WrongCode);
                    }
                }
                Question::NewPassword => {
                    (person.password, person.temporary) = (answer.reveal().to_owned(), false);
                    if person.totp.is_some() {
                        return Ok(pool.ask(challenge.user, Question::Totp));
                    }
                }
            }
            Ok(SignIn::Done(pool.tokens(challenge.user, mint, None)))
        })
        .await
    }

    async fn refresh(&self, refresh: &Secret) -> Result<Tokens, DirectoryError> {
        self.call(|pool, mint| {
            let (user, session, began) =
                pool.refresh.get(refresh.reveal()).cloned().ok_or(DirectoryError::Wrong)?;
            pool.named(&user.to_string()).filter(|person| person.enabled).ok_or(DirectoryError::Wrong)?;
            Ok(pool.tokens(user, mint, Some((session, began))))
        })
        .await
    }

    async fn associate_totp(&self, access: &Secret) -> Result<Secret, DirectoryError> {
        self.call(|pool, _| {
            let secret = format!("JBSWY3DPEHPK3PXP{}", "A".repeat(usize::try_from(pool.draw()).unwrap()));
            pool.owner(access)?.0.pending = Some(secret.clone());
            Ok(Secret::new(secret))
        })
        .await
    }

    async fn verify_totp(&self, access: &Secret, shown: &str) -> Result<(), DirectoryError> {
        self.call(|pool, _| {
            let now = pool.now;
            let (person, _) = pool.owner(access)?;
            let secret = person.pending.clone().ok_or(DirectoryError::WrongCode)?;
            if code(&secret, now) != shown {
                return Err(DirectoryError::WrongCode);
            }
            (person.totp, person.pending) = (Some(secret), None);
            Ok(())
        })
        .await
    }

    async fn change_password(
        &self,
        access: &Secret,
        current: &Secret,
        new: &Secret,
    ) -> Result<(), DirectoryError> {
        self.call(|pool, _| {
            let (person, _) = pool.owner(access)?;
            if person.password != current.reveal() {
                return Err(DirectoryError::Wrong);
            }
            person.password = new.reveal().to_owned();
            Ok(())
        })
        .await
    }

    async fn revoke(&self, refresh: &Secret) -> Result<(), DirectoryError> {
        self.call(|pool, _| {
            let (_, session, _) = pool.refresh.remove(refresh.reveal()).ok_or(DirectoryError::Wrong)?;
            pool.ended.insert(session);
            Ok(())
        })
        .await
    }

    async fn sign_out_everywhere(&self, user: &UserId) -> Result<(), DirectoryError> {
        self.call(|pool, _| {
            let theirs: Vec<_> = pool.refresh.extract_if(|_, (owner, ..)| owner == user).collect();
            pool.ended.extend(theirs.into_iter().map(|(_, (_, session, _))| session));
            Ok(())
        })
        .await
    }

    async fn find(&self, name: &str) -> Result<Option<Person>, DirectoryError> {
        self.call(|pool, _| {
            Ok(pool.named(name).map(|found| Person {
                user: found.user,
                email: Secret::new(found.email.clone()),
                enabled: found.enabled,
                waits: found.temporary,
                totp: found.totp.is_some(),
            }))
        })
        .await
    }
}

impl Register for FakeDirectory {
    async fn invite(&self, email: &str, temporary: &Secret) -> Result<UserId, DirectoryError> {
        self.call(|pool, _| match pool.named(email) {
            _ if email.chars().count() > LONGEST_NAME => {
                Err(AwsError::Refused { service: "Cognito", cause: "InvalidParameterException".to_owned() }
                    .into())
            }
            Some(_) => Err(DirectoryError::Exists),
            None => Ok(pool.make(email, temporary.reveal(), true)),
        })
        .await
    }

    async fn invite_again(&self, email: &str, temporary: &Secret) -> Result<(), DirectoryError> {
        self.call(|pool, _| {
            let person = pool.named(email).ok_or(DirectoryError::Wrong)?;
            (person.password, person.temporary) = (temporary.reveal().to_owned(), true);
            Ok(())
        })
        .await
    }

    async fn make_operator(&self, email: &str) -> Result<(), DirectoryError> {
        self.call(|pool, _| {
            pool.named(email).ok_or(DirectoryError::Wrong)?.operator = true;
            Ok(())
        })
        .await
    }

    async fn set_password(&self, email: &str, password: &Secret) -> Result<(), DirectoryError> {
        self.call(|pool, _| {
            let person = pool.named(email).ok_or(DirectoryError::Wrong)?;
            (person.password, person.temporary) = (password.reveal().to_owned(), false);
            Ok(())
        })
        .await
    }
}
