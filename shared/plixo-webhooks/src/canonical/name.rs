//! Names of things at providers, fit for keys.

use aws_lc_rs::digest;
use plixo_domain::webhook::ExternalId;

/// What the hash of a name that is not kept begins with.
const HASHED: &str = "sha256:";

/// The id under which a thing of a provider is kept. It is the provider's own where that is an [`ExternalId`]; of what is none
/// (`Zoë GmbH`, a name with blanks, one of 300 characters), and of what could be a card number, it is `sha256:` and the hash.
/// Different names have different ids. `None`: an empty name, or one in which a card number was masked, as another's may have been.
#[must_use]
pub fn external_id(name: &str) -> Option<ExternalId> {
    if name.is_empty() || plixo_cards::is_masked(name) {
        return None;
    }
    let kept = name.parse().ok();
    let kept = kept.filter(|_| !name.starts_with(HASHED) && !plixo_cards::contains(name));
    kept.or_else(|| hashed(name))
}

/// What [`external_id`] made of a name that is not kept, where a text has it in the name's place.
pub(crate) fn hash_in_place(text: &str) -> Option<ExternalId> {
    text.starts_with(HASHED).then(|| text.parse().ok())?
}

/// As [`external_id`], of a thing whose name at its provider may be a person's, as ERPNext's customers have: only a name with a
/// digit in it, as of a numbering series, is kept as it is.
#[must_use]
pub fn external_id_of_person(name: &str) -> Option<ExternalId> {
    if name.bytes().any(|b| b.is_ascii_digit()) || name.is_empty() { external_id(name) } else { hashed(name) }
}

/// `sha256:` and the hash, in lower-case hexadecimal digits.
pub(crate) fn hashed(text: &str) -> Option<ExternalId> {
    format!("{HASHED}{}", hex::encode(sha256(text.as_bytes()))).parse().ok()
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.iter_mut().zip(digest::digest(&digest::SHA256, bytes).as_ref()).for_each(|(to, from)| *to = *from);
    hash
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_fits_is_kept_and_everything_else_is_hashed() {
        let id = |name: &str| external_id(name).unwrap().to_string();
        assert_eq!(id("ACC-SINV-2026-00001"), "ACC-SINV-2026-00001");
        assert!(id("Zoë GmbH").starts_with("sha256:") && id("a b").starts_with("sha256:"));
        assert!(id(&"x".repeat(256)).starts_with("sha256:"));
        assert!(id("4242424242424242").starts_with("sha256:"), "it could be a card number");
        assert_ne!(id(&id("Zoë GmbH")), id("Zoë GmbH"), "nobody is named like another's hash");
        assert_eq!(external_id(""), None);
        assert!(external_id_of_person("Mustermann").unwrap().as_str().starts_with("sha256:"));
        assert_eq!(external_id_of_person("CUST-2026-00042").unwrap().as_str(), "CUST-2026-00042");
        assert_eq!(external_id_of_person(""), None);
    }

    proptest! {
        #[test]
        fn different_names_have_different_ids(one in "\\PC{1,20}", other in "\\PC{1,20}") {
            prop_assert_eq!(external_id(&one) == external_id(&other), one == other);
            prop_assert_eq!(external_id_of_person(&one) == external_id_of_person(&other), one == other);
        }
    }
}
