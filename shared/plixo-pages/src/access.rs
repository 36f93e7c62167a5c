//! Coming in.

use askama::Template;
use plixo_domain::secret::Secret;

use crate::form::Errors;
use crate::frame::Frame;
use crate::page::pages;

/// A hidden field that a form hands back as it is, such as the session of a sign-in that is under way.
#[derive(Clone)]
pub struct Carried {
    /// Its name.
    pub name: &'static str,
    /// Its value.
    pub value: String,
}

/// `GET /sign-in`; posts `email`, `password` and what is carried to `/sign-in`.
#[derive(Clone, Template)]
#[template(path = "sign-in.html")]
pub struct SignIn {
    /// The frame.
    pub frame: Frame,
    /// What was typed.
    pub email: String,
    /// Why the person is here: "Your session has ended."
    pub note: Option<String>,
    /// Hidden fields, such as where to go next.
    pub carried: Vec<Carried>,
    /// What is wrong. Do not tell whether it was the email or the password.
    pub errors: Errors,
}

/// `GET /sign-in/code`; posts `code` and what is carried to `/sign-in/code`.
#[derive(Clone, Template)]
#[template(path = "code.html")]
pub struct Code {
    /// The frame.
    pub frame: Frame,
    /// Where "Start again" leads.
    pub again: String,
    /// Hidden fields.
    pub carried: Vec<Carried>,
    /// What is wrong.
    pub errors: Errors,
}

/// `GET /totp`; posts what is carried to `/totp`, which makes the secret.
#[derive(Clone, Template)]
#[template(path = "totp-begin.html")]
pub struct BeginTotp {
    /// The frame.
    pub frame: Frame,
    /// Where "Not now" leads.
    pub later: String,
    /// Hidden fields.
    pub carried: Vec<Carried>,
}

/// The answer to a form of [`BeginTotp`]; posts `code` and what is carried to `/totp`.
#[derive(Clone, Template)]
#[template(path = "totp.html")]
pub struct Totp {
    /// The frame.
    pub frame: Frame,
    /// The QR code, if there is one.
    pub qr: Option<Qr>,
    /// The secret in base32.
    pub secret: Secret,
    /// The `otpauth://` URL, which a phone opens in its authenticator.
    pub otpauth_url: Secret,
    /// The organisation that requires two-factor, if one does.
    pub required_by: Option<String>,
    /// Where "Not now" leads, if it may be put off.
    pub later: Option<String>,
    /// Hidden fields.
    pub carried: Vec<Carried>,
    /// What is wrong.
    pub errors: Errors,
}

impl Totp {
    /// The secret in groups of four, which are easier to copy by eye.
    fn grouped(&self) -> String {
        let mut text = String::new();
        for (index, letter) in self.secret.reveal().chars().enumerate() {
            if index > 0 && index.is_multiple_of(4) {
                text.push(' ');
            }
            text.push(letter);
        }
        text
    }
}

/// `GET /password`; posts `password`, `repeat`, what is carried, and `current` unless it is the first one, to `/password`.
#[derive(Clone, Template)]
#[template(path = "password.html")]
pub struct NewPassword {
    /// The frame.
    pub frame: Frame,
    /// Whose password it is, for password managers, where that is known.
    pub email: Option<String>,
    /// Whether the person came in with a temporary password, which is then not asked for.
    pub is_first: bool,
    /// Hidden fields.
    pub carried: Vec<Carried>,
    /// What is wrong.
    pub errors: Errors,
}

/// A QR code as SVG: the only markup that pages take as it is, so it holds nothing but shapes.
#[derive(Clone)]
pub struct Qr(String);

impl Qr {
    /// Takes an SVG of `svg`, `g`, `rect` and `path` elements. `None` for anything else: the page then shows the secret as text
    /// only.
    #[must_use]
    pub fn new(svg: &str) -> Option<Self> {
        let (_, rest) = svg.split_once("<svg")?;
        let svg = format!("<svg{}", rest.trim_end());
        let mut tags = svg.split('<');
        let begins_with_tag = tags.next().is_some_and(str::is_empty);
        let is_shape = |tag: &str| {
            let Some((inside, text)) = tag.split_once('>') else { return false };
            // Values stand in double quotes, so every other part is names.
            let mut names = inside.split('"').step_by(2).flat_map(str::split_whitespace);
            let is_element = names.next().is_some_and(|name| ELEMENTS.contains(&name.trim_matches('/')));
            let plain = !inside.contains(['&', '\'', '\\']);
            is_element && plain && text.trim().is_empty() && names.all(|name| ATTRIBUTES.contains(&name))
        };
        (begins_with_tag && svg.ends_with("</svg>") && tags.all(is_shape)).then_some(Self(svg))
    }
}

const ELEMENTS: [&str; 4] = ["svg", "g", "rect", "path"];
const ATTRIBUTES: [&str; 16] = [
    "/",
    "role=",
    "aria-label=",
    "xmlns=",
    "version=",
    "viewBox=",
    "width=",
    "height=",
    "x=",
    "y=",
    "d=",
    "fill=",
    "stroke=",
    "stroke-width=",
    "transform=",
    "shape-rendering=",
];

pages!(SignIn, Code, BeginTotp, Totp, NewPassword);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_qr_code_is_shapes_and_nothing_else() {
        let right = r##"<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9" shape-rendering="crispEdges"><rect width="9" height="9" fill="#fff"/><path fill="#000" d="M0 0h1v1H0z"/></svg>
"##;
        assert!(Qr::new(right).is_some());
        let labelled =
            r#"<svg role="img" aria-label="QR code" viewBox="0 0 9 9"><path d="M0 0h1v1H0z"/></svg>"#;
        assert!(Qr::new(labelled).is_some());
        for wrong in [
            "",
            "<p>",
            "<svg",
            "<svg>text</svg>",
            "<svg><script>x</script></svg>",
            r#"<svg onload="x"></svg>"#,
            r#"<svg onload=x></svg>"#,
            "<svg onload='x'></svg>",
            r#"<svg viewBox="0"onload="x"></svg>"#,
            r#"<svg/onload="x"></svg>"#,
            r#"<svg onload=x viewBox="0"></svg>"#,
            r#"<svg style="x"></svg>"#,
            r#"<svg><path href="x"/></svg>"#,
            r#"<svg><g><foreignObject/></g></svg>"#,
            "<svg></svg><img src=x>",
        ] {
            assert!(Qr::new(wrong).is_none(), "{wrong}");
        }
    }
}
