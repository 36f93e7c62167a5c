use super::*;

fn key(number: &str) -> String {
    reference_key(number).to_string()
}

fn keys(text: &str) -> Vec<String> {
    references(text, None).iter().map(ToString::to_string).collect()
}

#[test]
fn numbers_that_people_take_for_the_same_have_one_key() {
    for same in ["INV-42", "INV 0042", "inv0042", "Inv.42", "INV_00042", "INV/42", "ＩＮＶ－４２"] {
        assert_eq!(key(same), "INV42", "{same}");
    }
    assert_eq!(key("2026-00042"), "2026-42");
    assert_eq!(key("RE2026/0042"), key("re 2026 42"));
    assert_eq!(key("000"), "0");
}

#[test]
fn other_numbers_have_other_keys() {
    assert_ne!(key("INV-1"), key("INV-10"));
    assert_ne!(key("INV-1"), key("INV-11"));
    assert_ne!(key("2024-1-11"), key("2024-11-1"));
    assert_ne!(key("2024-1-11"), key("2024111"));
    assert_ne!(key("A1"), key("B1"));
}

#[test]
fn a_reference_in_a_text_has_its_invoices_key() {
    for (text, number) in [
        ("Rechnung Nr. RE2026/0042 vom 28.11.2026", "RE2026/0042"),
        ("RECHNUNG RE20260042", "RE2026/0042"),
        ("re 2026 42, danke", "RE2026/0042"),
        ("Invoice INV-0007", "INV-7"),
        ("inv.no.4711 acct 99", "4711"),
        ("INV-41/INV-42", "INV-42"),
        ("INV-41 und 42", "INV-42"),
        ("INV-1041/42", "INV-1042"),
        ("INV-41 bis INV-44", "INV-43"),
        ("RE2O26/OO42", "RE2026/0042"),
        ("202600042", "2026-00042"),
        ("2026-00042", "202600042"),
        ("/ROC/A-2026-1-17//", "A-2026-1-17"),
        ("EREF+NOTPROVIDED SVWZ+RE2026/0042", "RE2026/0042"),
        ("RMR*IV*INV-42**1250.00~", "INV-42"),
        ("RF18 5390 0754 7034", "539007547034"),
        ("KID 104232", "10423"),
        ("?00GUTSCHRIFT?20SVWZ+IHR RECHNUNG RE2026/00?2142 VOM 28.11.2026?32MUSTER", "RE2026/0042"),
        ("ZAHLUNG ZU IHRER RG RE20\n26/0042", "RE2026/0042"),
    ] {
        let found = keys(text);
        let wanted = key(number);
        // The last is cut at no full width, and stays apart.
        let expected = !text.contains('\n');
        assert_eq!(found.contains(&wanted), expected, "{text}: {found:?}");
    }
    let structured = references("", Some("RF18539007547034"));
    assert!(structured.contains(&reference_key("539007547034")));
}

#[test]
fn accounts_and_phone_numbers_are_no_references() {
    let boilerplate = [
        "IBAN DE89 3704 0044 0532 0130 00",
        "GB29NWBK60161331926819",
        "Tel. 030 1234567",
        "+49 30 1234567",
        "MREF+M-2026-0042 CRED+DE98ZZZ09999999999",
        "**** **** **** 4242",
    ];
    for text in boilerplate {
        assert_eq!(keys(text), Vec::<String>::new(), "{text}");
    }
    assert_eq!(keys(&format!("{} SVWZ+INV-7", boilerplate[4])), ["INV7", "7"]);
}

#[test]
fn a_text_gives_few_keys_and_the_likeliest_first() {
    let numbers: Vec<_> = (1..500).map(|n| format!("28.11.2026 {n} INV-{n}")).collect();
    let found = keys(&numbers.join(" "));
    assert_eq!(found.len(), MAX_REFERENCES);
    assert!(found.iter().all(|key| key.starts_with("INV")), "{found:?}");
}

#[test]
fn names_are_compared_without_what_people_write_differently() {
    for same in ["Müller & Söhne GmbH", "MUELLER UND SOEHNE", "Muller, Sohne G.m.b.H."] {
        assert_eq!(name_key(same), "MULLER SOHNE", "{same}");
    }
    assert_ne!(name_key("Müller Nord"), name_key("Müller Süd"));
}
