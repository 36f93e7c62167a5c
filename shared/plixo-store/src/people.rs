//! What belongs to a person and to no organisation: tries, used codes, revoked sessions, unanswered challenges.
//!
//! All of it is forgotten in time: an item whose `expires_at` has come is not there, whether or not DynamoDB has deleted
//! it yet. Nothing here names a person but by `sub`, or by a keyed hash that the caller made.

use std::collections::HashMap;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use jiff::Timestamp;
use plixo_aws::from_sdk;
use plixo_domain::people::UserId;

use crate::dynamo::DynamoTables;
use crate::tables::Tables;
use crate::{Item, Key, StoreError, items, keys};

const SERVICE: &str = "DynamoDB";

/// What tries are counted of: a kind and a keyed hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counter(String);

impl Counter {
    /// The counter of a kind (a word) and a keyed hash, hex.
    #[must_use]
    pub fn new(kind: &str, hash: &str) -> Self {
        Self(format!("tries#{kind}#{hash}"))
    }

    /// As it is stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As [`Counter::as_str`] gave it.
    #[must_use]
    pub fn stored(text: String) -> Option<Self> {
        text.starts_with("tries#").then_some(Self(text))
    }
}

/// The tries so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tries {
    /// How many.
    pub count: u32,
    /// When the last one was.
    pub last: Timestamp,
    /// When they are forgotten, to the second.
    pub until: Timestamp,
}

/// What became of a try that was to be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// It counts, and may go on.
    Free,
    /// It does not count: there were as many as may be, or more.
    Held(Tries),
}

/// A challenge that waits for its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// The person.
    pub user: UserId,
    /// What is asked for: a word.
    pub question: String,
    /// Where wrong answers count.
    pub counter: Counter,
    /// When it was asked.
    pub asked_at: Timestamp,
}

/// That a person's sessions are over which began before a time: the password or the authenticator app was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OthersEnded {
    /// Before when.
    pub at: Timestamp,
    /// The session that goes on: in which it was changed.
    pub but: String,
}

/// What stands between a person's token and what they ask for: read along with the rows that they ask for, in the same
/// request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Whether this very session was ended.
    ended: bool,
    /// Which of the person's sessions were ended by another.
    others: Option<OthersEnded>,
    /// Whether the session has shown both factors: a code at sign-in, or that of the app that was set up in it.
    pub two_factor: bool,
}

/// The keys of the items that tell a person's [`Standing`] in a session.
#[must_use]
pub fn standing_keys(user: &UserId, session: &str) -> [Key; 3] {
    [keys::ended_session(session), keys::two_factor(session), keys::ended_sessions(user)]
}

/// The item, apart from its key, that says that a session was ended, or that it has shown both factors.
#[must_use]
pub fn session_item(forget_at: Timestamp) -> Item {
    Item::from([("expires_at".to_owned(), seconds(forget_at))])
}

/// A time whose text is in the order of time.
fn instant(at: Timestamp) -> String {
    format!("{at:.9}")
}

/// The item, apart from its key, that says which of a person's sessions are over.
#[must_use]
pub fn others_item(others: &OthersEnded, forget_at: Timestamp) -> Item {
    Item::from([
        ("ended_at".to_owned(), text(&instant(others.at))),
        ("but".to_owned(), text(&others.but)),
        ("expires_at".to_owned(), seconds(forget_at)),
    ])
}

impl Standing {
    /// The standing of a person in a session, of the items found under [`standing_keys`]. An ended session stays ended
    /// whatever else its item holds.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] where it cannot be read which sessions are over.
    pub fn read(
        found: &HashMap<Key, Item>,
        user: &UserId,
        session: &str,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let [ended, two_factor, others] = standing_keys(user, session);
        let item = |key: Key| found.get(&key).filter(|item| !is_gone(item, now));
        // A mark that would never go lets nobody in.
        let shown = item(two_factor).is_some_and(|item| expires_at(item).is_some());
        let others = item(others).map(others_ended).transpose()?;
        Ok(Self { ended: item(ended).is_some(), others, two_factor: shown })
    }

    /// Whether the session, which began then, is over, though its tokens may not be out of date yet. Tokens tell their
    /// beginning to the second: one that began within the second of a change is over, too.
    #[must_use]
    pub fn is_over(&self, session: &str, signed_in_at: Timestamp) -> bool {
        let by_another = self
            .others
            .as_ref()
            .is_some_and(|others| session != others.but && signed_in_at.as_second() <= others.at.as_second());
        self.ended || by_another
    }
}

/// The port to what is kept of people. Each call is one request.
pub trait People: Send + Sync {
    /// Counts a try before it is made, if fewer than `free` were counted. The first one says when all of them are forgotten:
    /// at `forget_at`.
    ///
    /// # Errors
    /// [`StoreError`].
    fn count_try(
        &self,
        counter: &Counter,
        free: u32,
        now: Timestamp,
        forget_at: Timestamp,
    ) -> impl Future<Output = Result<Counted, StoreError>> + Send;

    /// Counts a try as number `next`, if since `seen` nobody counted another: of many at once, one may go on. All are
    /// forgotten at `forget_at`.
    ///
    /// # Errors
    /// [`StoreError`].
    fn count_late_try(
        &self,
        counter: &Counter,
        seen: Tries,
        next: u32,
        now: Timestamp,
        forget_at: Timestamp,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Takes one counted try back: it was right.
    ///
    /// # Errors
    /// [`StoreError`].
    fn take_back_try(&self, counter: &Counter) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Takes a late try back that was counted at `at`, so that all is as it was `seen` before, if nobody counted another since.
    ///
    /// # Errors
    /// [`StoreError`].
    fn take_back_late_try(
        &self,
        counter: &Counter,
        at: Timestamp,
        seen: Tries,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Forgets all tries.
    ///
    /// # Errors
    /// [`StoreError`].
    fn forget_tries(&self, counter: &Counter) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Uses a person's code up, by the code's hash. False where it was used before.
    ///
    /// # Errors
    /// [`StoreError`].
    fn use_code(
        &self,
        user: &UserId,
        hash: &str,
        now: Timestamp,
        forget_at: Timestamp,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Remembers a challenge, by a hash of the session that its answer will name.
    ///
    /// # Errors
    /// [`StoreError`].
    fn ask(
        &self,
        hash: &str,
        pending: &Pending,
        forget_at: Timestamp,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The challenge of that hash, if it still waits.
    ///
    /// # Errors
    /// [`StoreError`].
    fn pending(
        &self,
        hash: &str,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<Pending>, StoreError>> + Send;

    /// Forgets a challenge: it was answered.
    ///
    /// # Errors
    /// [`StoreError`].
    fn answered(&self, hash: &str) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Ends a session, for as long as tokens of it may be about.
    ///
    /// # Errors
    /// [`StoreError`].
    fn revoke_session(
        &self,
        session: &str,
        forget_at: Timestamp,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Ends a person's other sessions, unless a later change has ended them.
    ///
    /// # Errors
    /// [`StoreError`].
    fn end_others(
        &self,
        user: &UserId,
        others: &OthersEnded,
        forget_at: Timestamp,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Notes that a session has shown both factors, for as long as tokens of it may be about.
    ///
    /// # Errors
    /// [`StoreError`].
    fn note_two_factor(
        &self,
        session: &str,
        forget_at: Timestamp,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// How a person's session stands.
    ///
    /// # Errors
    /// [`StoreError`].
    fn standing(
        &self,
        user: &UserId,
        session: &str,
        now: Timestamp,
    ) -> impl Future<Output = Result<Standing, StoreError>> + Send;
}

/// The table of people.
#[derive(Debug, Clone)]
pub struct DynamoPeople {
    client: Client,
    table: String,
    tables: DynamoTables,
}

impl DynamoPeople {
    /// The table of that name.
    #[must_use]
    pub fn new(config: &SdkConfig, table: String) -> Self {
        let config =
            aws_sdk_dynamodb::config::Builder::from(config).interceptor(plixo_aws::calls::Calls).build();
        let client = Client::from_conf(config);
        let tables = DynamoTables::of_people(client.clone(), table.clone());
        Self { client, table, tables }
    }

    /// Asks for an item that nobody has, which opens the connection and shows that the table is there.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn connect(&self) -> Result<(), StoreError> {
        self.get(keys::challenge("-")).await.map(drop)
    }

    async fn get(&self, key: Key) -> Result<Option<Item>, StoreError> {
        let asked = self.client.get_item().table_name(&self.table).set_key(Some(item_of(key)));
        let found = asked.consistent_read(true).send().await.map_err(|error| from_sdk(SERVICE, error))?;
        Ok(found.item)
    }

    async fn put(&self, key: Key, attributes: Item) -> Result<(), StoreError> {
        let asked = self.client.put_item().table_name(&self.table).set_item(Some(item_of(key)));
        let asked = attributes.into_iter().fold(asked, |asked, (name, value)| asked.item(name, value));
        asked.send().await.map_err(|error| from_sdk(SERVICE, error))?;
        Ok(())
    }

    async fn delete(&self, key: Key) -> Result<(), StoreError> {
        let asked = self.client.delete_item().table_name(&self.table).set_key(Some(item_of(key)));
        asked.send().await.map_err(|error| from_sdk(SERVICE, error))?;
        Ok(())
    }
}

impl People for DynamoPeople {
    async fn count_try(
        &self,
        counter: &Counter,
        free: u32,
        now: Timestamp,
        forget_at: Timestamp,
    ) -> Result<Counted, StoreError> {
        let asked = self.client.update_item().table_name(&self.table);
        let asked = asked
            .set_key(Some(item_of(keys::tries(counter))))
            .update_expression(
                "ADD tries :one SET last_at = :now, expires_at = if_not_exists(expires_at, :forget_at)",
            )
            .condition_expression("attribute_not_exists(pk) OR (tries < :free AND expires_at > :at)")
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":free", number(free))
            .expression_attribute_values(":now", text(&now.to_string()))
            .expression_attribute_values(":at", seconds(now))
            .expression_attribute_values(":forget_at", seconds(forget_at))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let error = match asked.send().await {
            Ok(_) => return Ok(Counted::Free),
            Err(error) => error,
        };
        let before = match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(failed)) => failed.item.as_ref(),
            _ => return Err(from_sdk(SERVICE, error).into()),
        };
        let before = before.ok_or_else(|| corrupt("a condition failed on nothing"))?;
        let count = items::number(before, "tries")?;
        let last = text_of(before, "last_at")?.parse().map_err(|_| corrupt("a try without its time"))?;
        // One that should be gone by now starts anew: with no try counted, at the time at which the last one was.
        let count = if is_gone(before, now) { 0 } else { count };
        Ok(Counted::Held(Tries { count, last, until: expires_at(before).unwrap_or(Timestamp::MAX) }))
    }

    async fn count_late_try(
        &self,
        counter: &Counter,
        seen: Tries,
        next: u32,
        now: Timestamp,
        forget_at: Timestamp,
    ) -> Result<bool, StoreError> {
        let asked = self.client.update_item().table_name(&self.table);
        let asked = asked
            .set_key(Some(item_of(keys::tries(counter))))
            .update_expression("SET tries = :next, last_at = :now, expires_at = :forget_at")
            .condition_expression("last_at = :last")
            .expression_attribute_values(":next", number(next))
            .expression_attribute_values(":last", text(&seen.last.to_string()))
            .expression_attribute_values(":now", text(&now.to_string()))
            .expression_attribute_values(":forget_at", seconds(forget_at));
        held(asked.send().await)
    }

    async fn take_back_try(&self, counter: &Counter) -> Result<(), StoreError> {
        let asked = self.client.update_item().table_name(&self.table);
        let asked = asked
            .set_key(Some(item_of(keys::tries(counter))))
            .update_expression("ADD tries :less")
            .condition_expression("tries > :none")
            .expression_attribute_values(":less", AttributeValue::N("-1".to_owned()))
            .expression_attribute_values(":none", number(0));
        held(asked.send().await).map(drop)
    }

    async fn take_back_late_try(
        &self,
        counter: &Counter,
        at: Timestamp,
        seen: Tries,
    ) -> Result<(), StoreError> {
        let asked = self.client.update_item().table_name(&self.table);
        let asked = asked
            .set_key(Some(item_of(keys::tries(counter))))
            .update_expression("SET tries = :count, last_at = :last, expires_at = :until")
            .condition_expression("last_at = :at")
            .expression_attribute_values(":count", number(seen.count))
            .expression_attribute_values(":last", text(&seen.last.to_string()))
            .expression_attribute_values(":until", seconds(seen.until))
            .expression_attribute_values(":at", text(&at.to_string()));
        held(asked.send().await).map(drop)
    }

    async fn forget_tries(&self, counter: &Counter) -> Result<(), StoreError> {
        self.delete(keys::tries(counter)).await
    }

    async fn use_code(
        &self,
        user: &UserId,
        hash: &str,
        now: Timestamp,
        forget_at: Timestamp,
    ) -> Result<bool, StoreError> {
        let asked = self.client.put_item().table_name(&self.table);
        let asked = asked
            .set_item(Some(item_of(keys::used_code(user, hash))))
            .item("expires_at", seconds(forget_at))
            .condition_expression("attribute_not_exists(pk) OR expires_at <= :at")
            .expression_attribute_values(":at", seconds(now));
        put_if(asked.send().await)
    }

    async fn ask(&self, hash: &str, pending: &Pending, forget_at: Timestamp) -> Result<(), StoreError> {
        let attributes = Item::from([
            ("user".to_owned(), text(&pending.user.to_string())),
            ("question".to_owned(), text(&pending.question)),
            ("counter".to_owned(), text(pending.counter.as_str())),
            ("asked_at".to_owned(), text(&pending.asked_at.to_string())),
            ("expires_at".to_owned(), seconds(forget_at)),
        ]);
        self.put(keys::challenge(hash), attributes).await
    }

    async fn pending(&self, hash: &str, now: Timestamp) -> Result<Option<Pending>, StoreError> {
        let found = self.get(keys::challenge(hash)).await?;
        let Some(item) = found.filter(|item| !is_gone(item, now)) else { return Ok(None) };
        // One from before this was noted is asked anew.
        let Ok(asked_at) = text_of(&item, "asked_at") else { return Ok(None) };
        let counter = Counter::stored(text_of(&item, "counter")?);
        Ok(Some(Pending {
            user: text_of(&item, "user")?.parse().map_err(|_| corrupt("a challenge for nobody"))?,
            question: text_of(&item, "question")?,
            counter: counter.ok_or_else(|| corrupt("a challenge without its counter"))?,
            asked_at: asked_at.parse().map_err(|_| corrupt("a challenge without its time"))?,
        }))
    }

    async fn answered(&self, hash: &str) -> Result<(), StoreError> {
        self.delete(keys::challenge(hash)).await
    }

    async fn revoke_session(&self, session: &str, forget_at: Timestamp) -> Result<(), StoreError> {
        self.put(keys::ended_session(session), session_item(forget_at)).await
    }

    async fn end_others(
        &self,
        user: &UserId,
        others: &OthersEnded,
        forget_at: Timestamp,
    ) -> Result<(), StoreError> {
        let asked = self.client.put_item().table_name(&self.table);
        let asked = asked
            .set_item(Some(item_of(keys::ended_sessions(user))))
            .condition_expression("attribute_not_exists(pk) OR ended_at <= :at")
            .expression_attribute_values(":at", text(&instant(others.at)));
        let asked = others_item(others, forget_at)
            .into_iter()
            .fold(asked, |asked, (name, value)| asked.item(name, value));
        put_if(asked.send().await).map(drop)
    }

    async fn note_two_factor(&self, session: &str, forget_at: Timestamp) -> Result<(), StoreError> {
        self.put(keys::two_factor(session), session_item(forget_at)).await
    }

    async fn standing(&self, user: &UserId, session: &str, now: Timestamp) -> Result<Standing, StoreError> {
        let found = self.tables.get(standing_keys(user, session).to_vec()).await?;
        Standing::read(&found, user, session, now)
    }
}

fn others_ended(item: &Item) -> Result<OthersEnded, StoreError> {
    let at = text_of(item, "ended_at")?.parse().map_err(|_| corrupt("ended sessions without their time"))?;
    Ok(OthersEnded { at, but: text_of(item, "but")? })
}

/// Whether the condition of a put held.
fn put_if<T>(done: Result<T, SdkError<PutItemError>>) -> Result<bool, StoreError> {
    match done {
        Ok(_) => Ok(true),
        Err(error) => match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(_)) => Ok(false),
            _ => Err(from_sdk(SERVICE, error).into()),
        },
    }
}

/// Whether the condition of an update held.
fn held<T>(done: Result<T, SdkError<UpdateItemError>>) -> Result<bool, StoreError> {
    match done {
        Ok(_) => Ok(true),
        Err(error) => match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(false),
            _ => Err(from_sdk(SERVICE, error).into()),
        },
    }
}

fn item_of(key: Key) -> Item {
    let Key { pk, sk, .. } = key;
    Item::from([("pk".to_owned(), AttributeValue::S(pk)), ("sk".to_owned(), AttributeValue::S(sk))])
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn number(value: u32) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// As DynamoDB's time to live wants it.
fn seconds(at: Timestamp) -> AttributeValue {
    AttributeValue::N(at.as_second().to_string())
}

fn text_of(item: &Item, name: &str) -> Result<String, StoreError> {
    match item.get(name) {
        Some(AttributeValue::S(text)) => Ok(text.clone()),
        _ => Err(corrupt(&format!("an item without its {name}"))),
    }
}

/// Whether its time has come. What cannot be read as a time never goes: no guard falls because of it.
fn is_gone(item: &Item, now: Timestamp) -> bool {
    expires_at(item).is_some_and(|at| at.as_second() <= now.as_second())
}

fn expires_at(item: &Item) -> Option<Timestamp> {
    match item.get("expires_at") {
        Some(AttributeValue::N(digits)) => Timestamp::from_second(digits.parse().ok()?).ok(),
        _ => None,
    }
}

fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt(what.to_owned())
}

#[cfg(test)]
mod tests;
