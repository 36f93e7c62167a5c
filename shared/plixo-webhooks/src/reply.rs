//! How each sender wants to be answered.
//!
//! No reply has a cookie, and none says why. Senders read the status alone, and differ in what they make of it: Xero takes any
//! body or cookie for a failure, and Business Central deletes the subscription at any 4xx but 408 and 429.

use plixo_domain::webhook::Provider;

/// What became of a request to an endpoint that is there and enabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The queue has it, or there is nothing in it to queue.
    Accepted,
    /// The signature does not hold.
    Refused,
    /// The signature holds, and what is signed cannot be taken: it is no delivery, or another account's.
    Unusable,
    /// The body is longer than is taken.
    TooLarge,
    /// A handshake's token that is not echoed.
    BadHandshake,
    /// A handshake: [`Content::Text`] is the token.
    Handshake,
    /// Our own fault: the vault or the queue does not answer. The sender sends it again.
    Unavailable,
}

/// What an answer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Nothing: no body, no content type.
    Empty,
    /// `{"received":true}`, as `application/json`.
    Received,
    /// A problem (RFC 9457) that names the request id and no reason, as `application/problem+json`.
    Problem,
    /// The handshake's token, as `text/plain`.
    Text,
}

/// An answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The body.
    pub content: Content,
}

/// The answer that `provider` expects. That an endpoint is unknown (404) is said before its provider is known.
#[must_use]
pub fn reply(provider: Provider, outcome: Outcome) -> Reply {
    let status = match (provider, outcome) {
        (_, Outcome::Accepted | Outcome::Handshake) => 200,
        (_, Outcome::Unavailable) => 503,
        // Whatever is wrong, a 4xx would delete the subscription: it is dropped, and the log says so.
        (Provider::BusinessCentral, _) => 202,
        (_, Outcome::TooLarge) => 413,
        (Provider::Stripe, _) => 400,
        (_, Outcome::Refused) => 401,
        (_, Outcome::Unusable | Outcome::BadHandshake) => 400,
    };
    let content = match (provider, outcome) {
        (_, Outcome::Handshake) => Content::Text,
        (Provider::Stripe, Outcome::Accepted) => Content::Received,
        (Provider::Xero | Provider::BusinessCentral, _) | (_, Outcome::Accepted) => Content::Empty,
        _ => Content::Problem,
    };
    Reply { status, content }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTCOMES: [Outcome; 7] = [
        Outcome::Accepted,
        Outcome::Refused,
        Outcome::Unusable,
        Outcome::TooLarge,
        Outcome::BadHandshake,
        Outcome::Handshake,
        Outcome::Unavailable,
    ];

    fn status(provider: Provider, outcome: Outcome) -> u16 {
        reply(provider, outcome).status
    }

    #[test]
    fn each_sender_gets_its_status_for_a_wrong_signature() {
        let wrong = Provider::ALL.map(|provider| status(provider, Outcome::Refused));
        assert_eq!(wrong, [400, 401, 401, 401, 401, 202, 401, 401]);
    }

    #[test]
    fn business_central_never_gets_a_code_that_deletes_its_subscription() {
        for outcome in OUTCOMES {
            let status = status(Provider::BusinessCentral, outcome);
            assert!(matches!(status, 200..=299 | 408 | 429 | 500..=599), "{outcome:?} {status}");
        }
    }

    #[test]
    fn xero_gets_no_body_ever() {
        for outcome in OUTCOMES.into_iter().filter(|outcome| *outcome != Outcome::Handshake) {
            assert_eq!(reply(Provider::Xero, outcome).content, Content::Empty);
        }
    }

    #[test]
    fn our_own_fault_is_never_said_to_be_theirs_and_theirs_never_ours() {
        for provider in Provider::ALL {
            assert_eq!(status(provider, Outcome::Unavailable), 503);
            assert_eq!(status(provider, Outcome::Accepted), 200);
            for outcome in [Outcome::Refused, Outcome::Unusable, Outcome::TooLarge, Outcome::BadHandshake] {
                assert!(status(provider, outcome) < 500);
            }
        }
    }
}
