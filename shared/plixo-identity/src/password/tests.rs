use proptest::prelude::*;

use super::*;

const GOOD: &str = "velvet turbine octopus ladder";
const NAMES: [&str; 4] = ["aveline.roux", "Nordlicht Maschinenbau GmbH", "Bäckerei", "Li"];

fn weakness(password: &str) -> Option<Weakness> {
    judge(password, &NAMES).err()
}

#[test]
fn length_counts_in_characters() {
    assert_eq!(weakness("v7!kQ2zr9#Lm4x"), Some(Weakness::TooShort));
    assert_eq!(weakness("v7!kQ2zr9#Lm4xW"), None);
    // 15 characters in 30 bytes, 14 in 56.
    assert_eq!(weakness("жукбыстроплавсю"), None);
    assert_eq!(weakness(&"😀".repeat(14)), Some(Weakness::TooShort));
    let long: String = GOOD.chars().cycle().take(LONGEST).collect();
    assert_eq!(weakness(&long), None);
    assert_eq!(weakness(&format!("{long}x")), Some(Weakness::TooLong));
    assert_eq!(weakness(&"a".repeat(1 << 20)), Some(Weakness::TooLong));
    assert_eq!(weakness(""), Some(Weakness::TooShort));
}

#[test]
fn there_are_no_rules_of_composition() {
    for password in [GOOD, "velvetturbineoctopusladder", "8302957164028395176", "ямщикгонитлошадейвночь"]
    {
        assert_eq!(weakness(password), None, "{password}");
    }
}

#[test]
fn what_is_easy_to_guess_is_refused() {
    for password in [
        "aaaaaaaaaaaaaaa",
        "passwordpassword",
        "123456789012345",
        "qwertyuiopasdfgh",
        "abcdefghijklmnop",
        "plixoplixoplixo",
    ] {
        assert_eq!(weakness(password), Some(Weakness::Guessable), "{password}");
    }
    // What follows the part that is looked at does not make it weaker, nor does it make that stronger.
    assert_eq!(weakness(&"a".repeat(LONGEST)), Some(Weakness::Guessable));
}

#[test]
fn names_are_found_however_they_are_written() {
    for name in [
        "aveline.roux",
        "AVELINE-ROUX",
        "a v e l i n e r o u x",
        "Roux",
        "nordlicht",
        "MASCHINENBAU",
        "bäckerei",
        "BÄCKEREI",
    ] {
        assert_eq!(weakness(&format!("{GOOD} {name}")), Some(Weakness::HoldsName), "{name}");
    }
    // A name of two letters stands in too many words.
    assert_eq!(weakness(&format!("{GOOD} li")), None);
    assert_eq!(judge(GOOD, &[""; 0]), Ok(()));
    assert_eq!(judge(GOOD, &["", " ", "-", "@"]), Ok(()));
}

#[test]
fn what_cognito_does_not_take_is_refused_first() {
    for password in [
        format!(" {GOOD}"),
        format!("{GOOD} "),
        format!("{GOOD}\n"),
        format!("velvet\u{0}{GOOD}"),
        format!("{GOOD}\u{a0}"),
    ] {
        assert_eq!(weakness(&password), Some(Weakness::Unprintable), "{password:?}");
    }
}

#[test]
fn each_weakness_has_a_word_and_a_text_that_holds_nothing_of_the_password() {
    let all = [
        Weakness::TooShort,
        Weakness::TooLong,
        Weakness::Unprintable,
        Weakness::HoldsName,
        Weakness::Guessable,
    ];
    for weakness in all {
        assert!(weakness.code().starts_with("password_") && weakness.to_string().ends_with('.'));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_text_is_judged(password in "\\PC{0,140}", name in "\\PC{0,20}") {
        let judged = judge(&password, &[&name]);
        let length = password.chars().count();
        if judged.is_ok() {
            prop_assert!((SHORTEST..=LONGEST).contains(&length));
        }
        prop_assert_eq!(length < SHORTEST, judged == Err(Weakness::TooShort));
        prop_assert_eq!(length > LONGEST, judged == Err(Weakness::TooLong));
    }
}
