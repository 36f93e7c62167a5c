use plixo_domain::secret::Secret;

use super::{Answer, Server, block_on};
use crate::AwsError;
use crate::cognito::{Challenge, Directory, DirectoryError, Question, Register, SignIn, UserPool};
use crate::jwks::{FetchKeys, PublishedKeys};
use crate::mac::MacKey;
use crate::ses::{Email, MailError, Mailer, SendEmail};

const SUB: &str = "0b6f2a6c-8e11-4b7e-9d55-5f1c6d3e0a3b";

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

fn pool(server: &Server) -> UserPool {
    UserPool::new(&block_on(server.config()), "eu-west-1_Pool".to_owned(), "client".to_owned())
}

fn sign_in(answer: Answer) -> (Result<SignIn, DirectoryError>, usize) {
    let server = Server::start(answer);
    let done = block_on(pool(&server).sign_in("canary@example.com", &secret("canary")));
    (done, server.asked())
}

#[test]
fn what_the_directory_says_is_sorted_and_its_text_is_not_kept() {
    let said = |code: &str| -> Answer {
        let text = format!(r#"{{"__type":"{code}","message":"canary@example.com is not right"}}"#);
        Some((400, text.leak()))
    };
    for code in [
        "NotAuthorizedException",
        "UserNotFoundException",
        "UserNotConfirmedException",
        "PasswordResetRequiredException",
    ] {
        let (done, asked) = sign_in(said(code));
        assert!(matches!(done, Err(DirectoryError::Wrong)), "{code}: {done:?}");
        assert_eq!(asked, 1);
    }
    for (code, unavailable) in [
        ("TooManyRequestsException", true),
        ("InternalErrorException", true),
        ("ResourceNotFoundException", false),
        ("InvalidParameterException", false),
        ("AccessDeniedException", false),
    ] {
        let (done, _) = sign_in(said(code));
        let Err(DirectoryError::Aws(error)) = done else { panic!("{code}: {done:?}") };
        assert_eq!(matches!(error, AwsError::Unavailable { .. }), unavailable, "{code}");
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(code) && !shown.contains("canary"), "{shown}");
    }
    let server = Server::start(said("UsernameExistsException"));
    let done = block_on(pool(&server).invite("canary@example.com", &secret("canary")));
    assert!(matches!(done, Err(DirectoryError::Exists)));
    let server = Server::start(said("UserNotFoundException"));
    assert!(block_on(pool(&server).find("canary@example.com")).unwrap().is_none());
}

#[test]
fn who_never_chose_a_password_waits() {
    for (status, waits) in [("FORCE_CHANGE_PASSWORD", true), ("CONFIRMED", false), ("RESET_REQUIRED", false)]
    {
        let text = format!(
            r#"{{"Username":"x","Enabled":true,"UserStatus":"{status}","UserAttributes":[
            {{"Name":"email","Value":"canary@example.com"}},{{"Name":"sub","Value":"{SUB}"}}]}}"#
        );
        let server = Server::start(Some((200, text.leak())));
        let found = block_on(pool(&server).find("canary@example.com")).unwrap().unwrap();
        assert_eq!(found.waits, waits, "{status}");
        assert!(!format!("{found:?}").contains("canary"));
    }
}

#[test]
fn who_is_asked_for_codes_has_totp() {
    for (factors, totp) in [
        (r#","UserMFASettingList":["SMS_MFA","SOFTWARE_TOKEN_MFA"]"#, true),
        (r#","UserMFASettingList":["EMAIL_OTP"]"#, false),
        (r#","UserMFASettingList":[]"#, false),
        ("", false),
    ] {
        let text = format!(
            r#"{{"Username":"x","Enabled":true,"UserStatus":"CONFIRMED"{factors},"UserAttributes":[
            {{"Name":"email","Value":"canary@example.com"}},{{"Name":"sub","Value":"{SUB}"}}]}}"#
        );
        let server = Server::start(Some((200, text.leak())));
        let found = block_on(pool(&server).find("canary@example.com")).unwrap().unwrap();
        assert_eq!(found.totp, totp, "{factors}");
    }
}

#[test]
fn an_email_is_sent_or_it_is_said_why_and_to_whom_is_not() {
    let letter = Email {
        to: "canary@example.com".to_owned(),
        subject: "canary".to_owned(),
        text: "canary".to_owned(),
    };
    let send = |answer: Answer| {
        let server = Server::start(answer);
        block_on(Mailer::new(&block_on(server.config()), "plixo@example.com".to_owned()).send_email(&letter))
    };
    send(Some((200, r#"{"MessageId":"m1"}"#))).unwrap();
    for (code, expected) in [
        ("MessageRejected", "refused"),
        ("BadRequestException", "rejected"),
        ("MailFromDomainNotVerifiedException", "refused"),
        ("AccountSuspendedException", "refused"),
        ("AccessDeniedException", "refused"),
        ("TooManyRequestsException", "unavailable"),
        ("LimitExceededException", "unavailable"),
    ] {
        let text = format!(r#"{{"__type":"{code}","message":"canary@example.com is not verified"}}"#);
        let error = send(Some((400, text.leak()))).unwrap_err();
        let told = match &error {
            MailError::Rejected(_) => "rejected",
            MailError::Aws(AwsError::Refused { .. }) => "refused",
            MailError::Aws(AwsError::Unavailable { .. }) => "unavailable",
        };
        assert_eq!(told, expected, "{code}");
        let shown = format!("{error} {error:?} {letter:?}");
        assert!(shown.contains(code) && !shown.contains("canary"), "{shown}");
    }
}

#[test]
fn a_challenge_is_for_a_sub_whatever_the_directory_calls_the_person() {
    for name in [SUB, "canary@example.com"] {
        // The same text answers the question who that is.
        let text = format!(
            r#"{{"ChallengeName":"SOFTWARE_TOKEN_MFA","Session":"session-of-the-directory","ChallengeParameters":{{"USER_ID_FOR_SRP":"{name}"}},
            "Username":"x","Enabled":true,"UserAttributes":[{{"Name":"email","Value":"canary@example.com"}},{{"Name":"sub","Value":"{SUB}"}}]}}"#
        );
        let (done, asked) = sign_in(Some((200, text.leak())));
        let Ok(SignIn::Asked(challenge)) = done else { panic!("{done:?}") };
        assert_eq!((challenge.question, challenge.user.to_string()), (Question::Totp, SUB.to_owned()));
        assert_eq!(asked, if name == SUB { 1 } else { 2 });
        assert!(!format!("{challenge:?}").contains("session-of"));
    }
}

#[test]
fn odd_answers_are_nobodys_fault_but_the_directorys() {
    for text in [
        "{}",
        r#"{"AuthenticationResult":{}}"#,
        r#"{"ChallengeName":"SMS_MFA","Session":"session-of-the-directory","ChallengeParameters":{"USER_ID_FOR_SRP":"0b6f2a6c-8e11-4b7e-9d55-5f1c6d3e0a3b"}}"#,
        r#"{"ChallengeName":"SOFTWARE_TOKEN_MFA","ChallengeParameters":{"USER_ID_FOR_SRP":"0b6f2a6c-8e11-4b7e-9d55-5f1c6d3e0a3b"}}"#,
    ] {
        let (done, _) = sign_in(Some((200, text)));
        assert!(matches!(done, Err(DirectoryError::Aws(AwsError::Refused { .. }))), "{text}: {done:?}");
    }
}

#[test]
fn a_code_counts_only_where_the_directory_says_so() {
    let server = Server::start(Some((200, r#"{"Status":"ERROR"}"#)));
    let done = block_on(pool(&server).verify_totp(&secret("a.b.c"), "123456"));
    assert!(matches!(done, Err(DirectoryError::WrongCode)), "{done:?}");
    assert_eq!(server.asked(), 1, "and nothing is turned on");
    const MISMATCH: &str = r#"{"__type":"CodeMismatchException","message":"no"}"#;
    let server = Server::start(Some((400, MISMATCH)));
    let (question, user) = (Question::Totp, SUB.parse().unwrap());
    let challenge = Challenge { question, user, session: secret("session-of-the-directory") };
    let done = block_on(pool(&server).answer(&challenge, &secret("123456")));
    assert!(matches!(done, Err(DirectoryError::WrongCode)), "{done:?}");
}

#[test]
fn a_text_that_is_no_token_is_not_sent() {
    let server = Server::start(Some((200, "{}")));
    for odd in ["<x>", "a b", "ä", "a\n"] {
        let done = block_on(pool(&server).revoke(&secret(odd)));
        assert!(matches!(done, Err(DirectoryError::Wrong)), "{odd}");
    }
    assert_eq!(server.asked(), 0);
    block_on(pool(&server).revoke(&secret("eyJ-_=.x"))).unwrap();
}

#[test]
fn published_keys_are_bounded_bytes_or_unavailable() {
    let fetch = |answer: Answer| {
        let server = Server::start(answer);
        block_on(PublishedKeys::new(&block_on(server.config()), "eu-west-1_Pool").fetch_keys())
    };
    assert_eq!(fetch(Some((200, r#"{"keys":[]}"#))).unwrap(), br#"{"keys":[]}"#);
    let large: &str = "x".repeat(70 << 10).leak();
    for answer in [Some((500, "")), Some((404, "{}")), Some((302, "")), Some((200, large))] {
        assert!(matches!(fetch(answer), Err(AwsError::Unavailable { .. })));
    }
}

#[test]
fn a_key_of_32_bytes_comes_of_the_mac_and_no_other() {
    let derive = |text: &'static str| {
        let server = Server::start(Some((200, text)));
        block_on(MacKey::new(&block_on(server.config()), "arn".to_owned()).derive("purpose"))
    };
    let key = derive(r#"{"Mac":"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="}"#).unwrap();
    assert_eq!(*key, [1; 32]);
    for text in ["{}", r#"{"Mac":""}"#, r#"{"Mac":"AQEB"}"#] {
        assert!(matches!(derive(text), Err(AwsError::Refused { .. })), "{text}");
    }
}
