use proptest::prelude::*;

use super::*;

#[test]
fn a_code_has_six_digits_and_may_have_spaces() {
    for text in ["123456", "123 456", " 123456 ", "1 2 3 4 5 6"] {
        assert_eq!(text.parse::<Code>().unwrap().reveal(), "123456", "{text}");
    }
    for text in [
        "",
        "12345",
        "1234567",
        "12345a",
        "-12345",
        "+12345",
        "12.456",
        "123\u{a0}456",
        "123\t456",
        "１２３４５６",
        "                 123456",
        "123456\n",
        "\u{0}123456",
    ] {
        assert!(text.parse::<Code>().is_err(), "{text:?}");
    }
}

#[test]
fn a_code_does_not_show_itself() {
    assert_eq!(format!("{:?}", "123456".parse::<Code>().unwrap()), "Code(…)");
}

/// RFC 6238, appendix B, the last six of eight digits; the secret is `12345678901234567890`.
#[test]
fn an_app_shows_the_codes_of_the_rfc() {
    let secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
    for (second, code) in [
        (59, "287082"),
        (1_111_111_109, "081804"),
        (1_111_111_111, "050471"),
        (1_234_567_890, "005924"),
        (2_000_000_000, "279037"),
        (20_000_000_000, "353130"),
    ] {
        let at = Timestamp::from_second(second).unwrap();
        assert_eq!(code_at(secret, at).unwrap().reveal(), code, "{second}");
        assert_eq!(code_at(&format!("{secret}===="), at).unwrap().reveal(), code, "{second}");
    }
    let at = Timestamp::from_second(59).unwrap();
    assert!(code_at("not base32!", at).is_none());
    assert!(code_at(secret, Timestamp::from_second(-1).unwrap()).is_none());
}

#[test]
fn the_url_is_escaped_and_says_whose_it_is() {
    assert_eq!(
        otpauth_url("Plixo", "aveline+roux@example.net", "ABC234"),
        "otpauth://totp/Plixo:aveline%2Broux%40example.net?secret=ABC234&issuer=Plixo"
    );
    assert_eq!(
        otpauth_url("A&B: ?", "ä#/", "X"),
        "otpauth://totp/A%26B%3A%20%3F:%C3%A4%23%2F?secret=X&issuer=A%26B%3A%20%3F"
    );
}

#[test]
fn the_picture_is_one_svg_element_without_scripts_or_styles() {
    let url = otpauth_url("Plixo", "aveline.roux@example.net", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    let svg = qr_svg(&url).unwrap();
    assert!(svg.starts_with("<svg role=\"img\" aria-label=\"") && svg.ends_with("</svg>"), "{svg}");
    for forbidden in ["<script", "style", "<?xml", "href", " on", "GEZDGNBV"] {
        assert!(!svg.contains(forbidden), "{forbidden}");
    }
    assert!(qr_svg(&"x".repeat(4000)).is_none());
}

proptest! {
    #[test]
    fn what_is_parsed_is_six_digits(text in ".{0,20}") {
        if let Ok(code) = text.parse::<Code>() {
            prop_assert!(code.reveal().len() == 6 && code.reveal().bytes().all(|b| b.is_ascii_digit()));
        }
    }
}
