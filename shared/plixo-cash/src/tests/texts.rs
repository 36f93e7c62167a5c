use super::*;

/// Each as somebody might write it, with a payer who is unknown and the exact amount.
#[test]
fn texts_name_what_they_pay() {
    for (numbers, text) in [
        (&["INV-1", "INV-2"][..], "INV-1/INV-2"),
        (&["INV-42", "INV-43"], "INV0042INV0043"),
        (&["INV-42", "INV-43"], "INV-42INV-43"),
        (&["INV-42", "INV-43", "INV-44"], "inv 42,43,44"),
        (&["INV-42", "INV-43", "INV-44"], "INV 42 43 44"),
        (&["42", "43", "44"], "Invoices 42, 43 and 44"),
        (&["4211", "4343", "4400"], "4211 4343 4400"),
        (&["4211", "4343", "4400"], "4211,4343,4400"),
        (&["4211", "4343", "4400"], "4211/4343/4400"),
        (&["INV-1"], "(INV-1)"),
        (&["INV-1"], "INV–1"),
        (&["INV-1"], "INV‑1,"),
        (&["INV-1"], "\"INV-1\"."),
        (&["INV-1"], "INV:1"),
        (&["INV-1"], "INV#1"),
        (&["INV-1"], "Invoice number 1"),
        (&["INV-1"], "Invoice No. INV 001"),
        (&["4211"], "nº4211"),
        (&["4211"], "№ 4211"),
        (&["4211"], "n°4211"),
        (&["42"], "Invoice 42 (42 items)"),
        (&["42"], "Re: 42"),
        (&["2026"], "Invoice 2026"),
        (&["INV-1042", "INV-1043"], "INV-1042 49,00 EUR; INV-1043 51,00 EUR"),
        (&["INV-1042", "INV-1043"], "INV-1042: 49.00, INV-1043: 51.00"),
        (&["2026-00042"], "Rechnung 2026-00042 vom 2026-01-15 über 1.190,00 EUR"),
        (&["2026-00042", "2026-00043", "2026-00044"], "2026-00042, -00043 und -00044"),
        (&["2026-00042", "2026-00043"], "2026-00042/00043"),
        (&["2026-00042", "2026-00043"], "2026-00042/43"),
        (&["RE2026/0042", "RE2026/0043"], "RE2026/0042\nRE2026/0043"),
        (&["RE2026/0042", "RE2026/0043"], "RE 2026/0042 + 2026/0043"),
        (&["RE2026/0042", "RE2026/0043"], "RE2026/0042 u.0043"),
        (&["RE2026/0042", "RE2026/0043"], "RE2026/0042+0043"),
        (&["RE2026/0042"], "RE 0042"),
        (&["RE2026/0042"], "RECHNUNGRE2026/0042"),
        (&["RE2026/0042"], "RE2026/0042MUSTER GMBH"),
        (&["RE2026/0042"], "RE2026 /0042"),
        (&["RE2026/0042"], "RE.2026.0042 v.28.11.26"),
        (&["F/000123/26"], "facture F/000123/26 du 12/11/2026"),
        (&["FS/12/11/2026"], "Faktura FS 12/11/2026"),
        (&["2026/INV/00042"], "2026INV00042"),
        (&["INV/2026/00042"], "/INV/INV/2026/00042"),
        (&["SI-000123"], "SI123 ACME"),
        (&["100234"], "ACME CORP 100234 THANKS"),
        (&["INV-100234-B"], "inv 100234b"),
        (&["INV-42"], "INV-42 Teilzahlung 1/2"),
        (&["INV-42"], "Zahlung INV-42 / Kd. 1234 / 28.11.2026"),
        (&["INV-42"], "INV-42/28.11.2026"),
        (&["INV-42"], "4711/INV-42"),
    ] {
        let balances = (1_u8..).map(|n| (n, 1_000 + i64::from(n).pow(3)));
        let invoices: Vec<_> =
            balances.zip(numbers).map(|((n, balance), number)| invoice(n, number, balance)).collect();
        let amount = invoices.iter().map(|it| it.balance.amount).sum();
        let suggested = ask(&payment(amount, text), &invoices, &[]);
        assert_eq!(suggested.verdict, Verdict::Automatic, "{text}: {:?}", suggested.suggestions);
        assert_eq!(first(&suggested).len(), invoices.len(), "{text}");
    }
}

/// One less than each number, two that are one digit shorter and longer: none of them is what the text names.
#[test]
fn texts_name_nothing_beside_it() {
    for text in [
        "INV-1042",
        "Rechnung INV 1042 vom 28.11.2026",
        "INV-1042/INV-1050",
        "inv1042, Kd. 104",
        "SVWZ+INV-1042",
    ] {
        for number in ["INV-1041", "INV-104", "INV-10420", "INV-42", "1042-INV", "INV-1042-1", "INV-10-42"] {
            let suggested = ask(&payment(900, text), &[invoice(1, number, 900)], &[]);
            assert_ne!(
                suggested.verdict,
                Verdict::Automatic,
                "{text}, {number}: {:?}",
                suggested.suggestions
            );
        }
    }
}
