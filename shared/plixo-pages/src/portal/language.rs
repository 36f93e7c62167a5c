//! In which language a payer reads.

/// In which language a payer reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// German.
    German,
}

/// How much a header wants a language: its weight, then whether it is named, then how early.
type Wish = (u16, bool, std::cmp::Reverse<usize>);

impl Language {
    const ALL: [Self; 2] = [Self::English, Self::German];

    /// The best of an `Accept-Language` header ([RFC 9110, 12.5.4]); English where none fits. `de-AT` asks for German. Of two
    /// that are wanted alike, the first one is it, as browsers mean it.
    ///
    /// [RFC 9110, 12.5.4]: https://www.rfc-editor.org/rfc/rfc9110#section-12.5.4
    #[must_use]
    pub fn accepted(header: Option<&str>) -> Self {
        let ranges: Vec<_> = header.unwrap_or_default().split(',').filter_map(range).collect();
        let mut best: Option<(Wish, Self)> = None;
        for language in Self::ALL {
            let Some(wish) = language.wish(&ranges) else { continue };
            if best.is_none_or(|(other, _)| wish > other) {
                best = Some((wish, language));
            }
        }
        best.map(|(_, language)| language).unwrap_or_default()
    }

    /// `None` where it is not wanted. What names the language counts; `*` counts only where nothing does.
    fn wish(self, ranges: &[(&str, u16)]) -> Option<Wish> {
        let of = |is_named: bool| {
            let wanted = if is_named { self.tag() } else { "*" };
            let fits = |primary: &str| primary.eq_ignore_ascii_case(wanted);
            let found = ranges.iter().enumerate().filter(move |(_, (primary, _))| fits(primary));
            found.map(move |(index, (_, weight))| (*weight, is_named, std::cmp::Reverse(index))).max()
        };
        of(true).or_else(|| of(false)).filter(|(weight, ..)| *weight > 0)
    }

    /// `en` or `de`.
    #[must_use]
    pub fn tag(self) -> &'static str {
        self.words().tag
    }

    /// The language of a country (ISO 3166-1 alpha-2): German in Germany, Austria, Switzerland and Liechtenstein; English else.
    #[must_use]
    pub fn of_country(country: Option<&str>) -> Self {
        let speaks_german = |country: &str| {
            ["DE", "AT", "CH", "LI"].iter().any(|code| code.eq_ignore_ascii_case(country.trim()))
        };
        if country.is_some_and(speaks_german) { Self::German } else { Self::English }
    }
}

/// A range's first subtag and its weight in thousandths; `None` where it is malformed.
fn range(text: &str) -> Option<(&str, u16)> {
    let (range, parameter) = match text.split_once(';') {
        Some((range, parameter)) => (range, Some(parameter)),
        None => (text, None),
    };
    let primary = range.trim().split('-').next().filter(|primary| !primary.is_empty())?;
    let weight = match parameter {
        Some(parameter) => weight(parameter.trim())?,
        None => 1000,
    };
    Some((primary, weight))
}

/// `q=0.8` in thousandths.
fn weight(parameter: &str) -> Option<u16> {
    let value = parameter.strip_prefix(['q', 'Q'])?.strip_prefix('=')?;
    let (whole, decimals) = value.split_once('.').unwrap_or((value, ""));
    let is_right = decimals.len() <= 3 && decimals.bytes().all(|byte| byte.is_ascii_digit());
    let weight: u16 = format!("{decimals:0<3}").parse().ok().filter(|_| is_right)?;
    match (whole, weight) {
        ("0", weight) => Some(weight),
        ("1", 0) => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use Language::{English, German};

    #[test]
    fn the_best_language_of_a_header_is_taken() {
        let rows = [
            ("de", German),
            ("DE-at", German),
            ("en-GB,en;q=0.9,de;q=0.8", English),
            ("de-CH, de;q=0.9, en;q=0.8", German),
            ("fr-CH, fr;q=0.9, en;q=0.4, de;q=0.5, *;q=0.1", German),
            ("fr", English),
            ("*", English),
            ("fr, *;q=0.5", English),
            ("*, de", German),
            ("en;q=0, *", German),
            ("de;q=0", English),
            ("de;q=0, *;q=0.5", English),
            ("en;q=0.5, de;q=0.5", English),
            ("de;q=0.5, en;q=0.5", German),
            ("de;q=0.3, de-CH;q=0.9, en;q=0.5", German),
            ("en;q=0.500 ,\tde ; Q=0.501", German),
            ("de;q=2, en;q=0.1", English),
            ("de;q=0.9999", English),
            ("de;q=, de;level=1, de;q=1.001", English),
            ("den, dex-DE", English),
            ("", English),
            (",;,-,q=1", English),
        ];
        for (header, language) in rows {
            assert_eq!(Language::accepted(Some(header)), language, "{header}");
        }
        assert_eq!(Language::accepted(None), English);
    }

    #[test]
    fn countries_have_their_language() {
        for country in ["DE", "AT", "CH", "LI", "de"] {
            assert_eq!(Language::of_country(Some(country)), German, "{country}");
        }
        for country in ["GB", "US", "FR", "", "Germany"] {
            assert_eq!(Language::of_country(Some(country)), English, "{country}");
        }
        assert_eq!(Language::of_country(None), English);
    }

    proptest! {
        #[test]
        fn any_header_has_a_language(header: String, near in "[deDEn*;q=01.,\\- ]{0,40}") {
            let _ = Language::accepted(Some(&header));
            let _ = Language::accepted(Some(&near));
        }

        #[test]
        fn what_is_wanted_most_is_taken(german in 0_u16..=1000, english in 0_u16..=1000) {
            let weight = |q: u16| if q == 1000 { "1".to_owned() } else { format!("0.{q:03}") };
            let header = format!("de-DE;q={}, fr, en;q={}", weight(german), weight(english));
            let is_german = german >= english && german > 0;
            prop_assert_eq!(Language::accepted(Some(&header)) == German, is_german);
        }
    }
}
