use super::*;

const AUTOMATIC: Verdict = Verdict::Automatic;

#[test]
fn a_number_and_the_exact_amount_are_enough() {
    let invoices = [invoice(1, "INV-1", 10_000), invoice(2, "INV-10", 20_000)];
    let suggested = ask(&payment(20_000, "Invoice INV-10"), &invoices, &[]);
    assert_eq!(suggested.verdict, AUTOMATIC);
    assert_eq!(first(&suggested), [(invoice_id(2), 20_000)]);
    let reasons: Vec<_> =
        suggested.suggestions[0].reasons.iter().map(|it| it.words(|n| plainly(euro(n)))).collect();
    assert_eq!(
        reasons,
        ["invoice number INV-10 is in the remittance text", "the amount is exactly what is open"]
    );
}

#[test]
fn inv_1_never_matches_inv_10() {
    let ten = [invoice(2, "INV-10", 20_000)];
    for text in [
        "INV-1",
        "INV 1",
        "inv0001",
        "Invoice 1",
        "INV-1 0",
        "INV-1, 0",
        "1",
        "INV-100",
        "INV-1/0",
        "INV-10-1",
    ] {
        for amount in [20_000, 10_000] {
            let suggested =
                ask(&from("Muster GmbH", payment(amount, text)), &ten, &[customer(1, "Muster GmbH")]);
            assert_ne!(suggested.verdict, AUTOMATIC, "{text}");
            let told = suggested.suggestions.iter().flat_map(|it| &it.reasons);
            let named = told.filter(|it| it.words(|n| n.to_string()).contains("INV-10 is"));
            assert_eq!(named.count(), 0, "{text}: {:?}", suggested.suggestions);
        }
    }
}

#[test]
fn a_cut_number_is_not_the_shorter_one() {
    // The bank's line ends within INV-1576; INV-1 is open with the same amount.
    let text = "?00GUTSCHRIFT?20SVWZ+DANKE RECHNUNGEN INV-1?21576 VOM 28.11.2026?32X";
    let one = [invoice(1, "INV-1", 4_900)];
    let both = [invoice(1, "INV-1", 4_900), invoice(2, "INV-1576", 4_900)];
    assert_ne!(ask(&payment(4_900, text), &one, &[]).verdict, AUTOMATIC);
    let suggested = ask(&payment(4_900, text), &both, &[]);
    assert_eq!((suggested.verdict, first(&suggested)), (AUTOMATIC, vec![(invoice_id(2), 4_900)]));
}

#[test]
fn several_numbers_are_paid_by_their_sum() {
    let invoices = [invoice(1, "INV-41", 100), invoice(2, "INV-42", 230), invoice(3, "INV-43", 4_500)];
    for text in [
        "INV-41, INV-42 and INV-43",
        "INV-41 u. 42 u. 43",
        "INV-41/42/43",
        "Rechnungen INV-41 bis 43",
        "INV-41 - INV-43",
        "INV-41+INV-42+INV-43",
    ] {
        let suggested = ask(&payment(4_830, text), &invoices, &[]);
        assert_eq!(suggested.verdict, AUTOMATIC, "{text}: {:?}", suggested.suggestions);
        assert_eq!(first(&suggested).len(), 3, "{text}");
    }
    let two_of_three = ask(&payment(330, "INV-41, INV-42 and INV-43"), &invoices, &[]);
    assert_ne!(two_of_three.verdict, AUTOMATIC);
}

#[test]
fn a_number_with_another_amount_is_for_a_person() {
    let invoices = [invoice(1, "INV-42", 10_000)];
    for (amount, applied, rest, open) in [(9_900, 9_900, 0, 100), (10_500, 10_000, 500, 0)] {
        let suggested = ask(&payment(amount, "INV-42"), &invoices, &[]);
        assert_eq!(suggested.verdict, Verdict::Ask(Why::Unsure));
        assert_eq!(first(&suggested), [(invoice_id(1), applied)]);
        let best = &suggested.suggestions[0];
        assert_eq!((best.unapplied, best.left_open), (euro(rest), euro(open)));
    }
}

#[test]
fn the_tolerance_is_none_unless_set_and_never_more_than_1_percent_and_5() {
    let invoices = [invoice(1, "INV-42", 100_000)];
    let wide = Tolerance::new(u16::MAX, u16::MAX);
    assert_eq!(wide, Tolerance::MOST);
    let verdict = |short: i64, tolerance| {
        let rules = Rules { tolerance, ..Rules::default() };
        let suggested = suggest(&payment(100_000 - short, "INV-42"), &all(&invoices, &[]), &rules);
        assert_eq!(first(&suggested), [(invoice_id(1), 100_000 - short)]);
        suggested.verdict == AUTOMATIC
    };
    assert!(!verdict(1, Tolerance::default()));
    assert!(verdict(500, wide) && !verdict(501, wide));
    assert!(verdict(200, Tolerance::new(100, 200)) && !verdict(201, Tolerance::new(100, 200)));
    assert!(verdict(50, Tolerance::new(5, 500)) && !verdict(51, Tolerance::new(5, 500)));
    assert_eq!(Tolerance::MOST.of(1_000_000, "JPY".parse().unwrap()), 5);
    assert_eq!(Tolerance::MOST.of(100, "EUR".parse().unwrap()), 1);
}

#[test]
fn a_discount_counts_until_its_last_day_and_to_a_cent() {
    let terms = Discount { basis_points: 200, until: date(2026, 11, 28) };
    let invoices = [Candidate { discount: Some(terms), ..invoice(1, "INV-42", 10_033) }];
    let on = |received_on, amount| {
        ask(&Payment { received_on, ..payment(amount, "INV-42") }, &invoices, &[]).verdict == AUTOMATIC
    };
    assert!(on(date(2026, 11, 28), 9_832) && on(date(2026, 11, 1), 9_833));
    assert!(!on(date(2026, 11, 29), 9_832));
    assert!(!on(date(2026, 11, 28), 9_700));
}

#[test]
fn invoices_of_one_amount_are_a_tie_unless_one_is_named() {
    let invoices = [invoice(1, "INV-41", 4_900), invoice(2, "INV-42", 4_900)];
    let known = [customer(1, "Muster GmbH")];
    let unnamed = ask(&from("MUSTER GMBH", payment(4_900, "subscription")), &invoices, &known);
    assert_eq!(unnamed.verdict, Verdict::Ask(Why::Tie));
    let named = ask(&from("MUSTER GMBH", payment(4_900, "subscription INV-42")), &invoices, &known);
    assert_eq!((named.verdict, first(&named)), (AUTOMATIC, vec![(invoice_id(2), 4_900)]));
}

#[test]
fn two_invoices_under_one_key_ask() {
    let invoices = [invoice(1, "INV-42", 100), invoice(2, "INV-042", 900)];
    for amount in [100, 900, 1_000] {
        let suggested = ask(&payment(amount, "INV-42"), &invoices, &[]);
        assert!(matches!(suggested.verdict, Verdict::Ask(_)), "{:?}", suggested.suggestions);
    }
    let dates = [invoice(1, "2024-1-11", 100), invoice(2, "2024-11-1", 900)];
    assert_eq!(ask(&payment(100, "Invoice 2024-1-11"), &dates, &[]).verdict, AUTOMATIC);
    assert_ne!(ask(&payment(100, "Invoice 2024111"), &dates, &[]).verdict, AUTOMATIC);
}

#[test]
fn nearly_the_number_needs_amount_and_payer_or_the_only_amount() {
    let invoices = [invoice(1, "RE2026/0042", 12_345), of(2, invoice(2, "RE2026/0043", 777))];
    let known = [customer(1, "Muster GmbH"), customer(2, "Beispiel AG")];
    for text in ["RE2O26/0042", "Rechnung 0042", "Rechnung 2026/0042", "RE2026/00 42", "ER2026/0042"] {
        let amount = ask(&payment(12_345, text), &invoices, &known);
        assert_eq!((amount.verdict, first(&amount)), (AUTOMATIC, vec![(invoice_id(1), 12_345)]), "{text}");
        let cut = Candidates { more_of_amount: true, ..all(&invoices, &known) };
        let unsure = suggest(&payment(12_345, text), &cut, &Rules::default());
        assert_ne!(unsure.verdict, AUTOMATIC, "{text}");
        let payer = suggest(&from("Muster GmbH", payment(12_345, text)), &cut, &Rules::default());
        assert_eq!(payer.verdict, AUTOMATIC, "{text}: {:?}", payer.suggestions);
        assert_ne!(ask(&payment(1, text), &invoices, &known).verdict, AUTOMATIC, "{text}");
    }
}

#[test]
fn another_digit_is_never_enough() {
    let invoices = [invoice(1, "2026-00142", 12_345)];
    let known = [customer(1, "Muster GmbH")];
    for text in ["2026-00124", "2026-00143"] {
        let suggested = ask(&from("Muster GmbH", payment(12_345, text)), &invoices, &known);
        assert_eq!(suggested.verdict, Verdict::Ask(Why::Unsure), "{text}");
        assert_eq!(first(&suggested), [(invoice_id(1), 12_345)]);
    }
}

#[test]
fn what_may_be_something_else_is_never_enough() {
    let known = [customer(1, "Muster GmbH")];
    for (number, text) in [
        ("4711", "Order 4711"),
        ("4711", "Kd-Nr. 4711"),
        ("4711", "PO-4711"),
        ("4711", "EUR 4711"),
        ("2026", "Miete 2026"),
        ("28.11.2026", "vom 28.11.2026"),
        ("A-2026-11-28", "Zahlung 2026-11-28"),
        ("A-2026-1", "A-2026-1-17"),
        ("INV-42", "INV-42-A"),
    ] {
        let suggested = ask(&from("Muster GmbH", payment(9_900, text)), &[invoice(1, number, 9_900)], &known);
        assert!(matches!(suggested.verdict, Verdict::Ask(_)), "{text}");
    }
}

#[test]
fn a_bare_number_is_an_invoices_only_if_something_says_so() {
    let invoices = [invoice(1, "4711", 4_900), of(2, invoice(2, "4800", 4_900))];
    let known = [customer(1, "Muster GmbH")];
    for text in ["4711", "Ref 4711", "Zahlung 4711 danke"] {
        assert_eq!(ask(&payment(4_900, text), &invoices, &[]).verdict, Verdict::Ask(Why::Unsure), "{text}");
        assert_eq!(ask(&from("Muster GmbH", payment(4_900, text)), &invoices, &known).verdict, AUTOMATIC);
        assert_eq!(ask(&from("Muster Nord", payment(4_900, text)), &invoices, &known).verdict, AUTOMATIC);
        assert_eq!(ask(&payment(4_900, text), &invoices[..1], &[]).verdict, AUTOMATIC, "{text}");
    }
    assert_eq!(ask(&payment(4_900, "Invoice 4711"), &invoices, &[]).verdict, AUTOMATIC);
}

#[test]
fn the_payers_name_alone_asks() {
    let invoices = [invoice(1, "INV-41", 12_300), invoice(2, "INV-42", 45_600), invoice(3, "INV-43", 700)];
    let known = [customer(1, "Müller & Söhne GmbH")];
    for (amount, parts) in [(12_300, 1), (57_900, 2), (58_600, 3), (13_000, 2)] {
        let suggested = ask(&from("MUELLER UND SOEHNE GMBH", payment(amount, "")), &invoices, &known);
        assert_eq!(suggested.verdict, Verdict::Ask(Why::Unsure));
        assert_eq!(first(&suggested).len(), parts, "{:?}", suggested.suggestions);
    }
}

#[test]
fn money_on_account_goes_to_what_is_due_first_or_as_the_organisation_says() {
    let invoices = [invoice(3, "INV-43", 500), invoice(1, "INV-41", 100), invoice(2, "INV-42", 230)];
    let known = [customer(1, "Muster GmbH")];
    let paid = from("Muster GmbH", payment(200, "on account"));
    let parts = |order| first(&suggest(&paid, &all(&invoices, &known), &Rules { order, ..Rules::default() }));
    assert_eq!(parts(Order::OldestDue), [(invoice_id(1), 100), (invoice_id(2), 100)]);
    assert_eq!(parts(Order::Largest), [(invoice_id(3), 200)]);
}

#[test]
fn the_payers_own_list_goes_first() {
    let invoices = [invoice(1, "INV-41", 100), invoice(2, "INV-42", 230)];
    let lines = [
        Instruction { number: "inv 42", amount: Some(150) },
        Instruction { number: "INV-041", amount: Some(50) },
    ];
    let told = Payment { instruction: &lines, ..payment(200, "thanks") };
    let suggested = ask(&told, &invoices, &[]);
    assert_eq!(suggested.verdict, AUTOMATIC);
    assert_eq!(first(&suggested), [(invoice_id(1), 50), (invoice_id(2), 150)]);
    // More than was paid, more than is open, a number that is none: what it names is looked at as text.
    for amount in [199, 400] {
        let suggested = ask(&Payment { unapplied: euro(amount), ..told }, &invoices, &[]);
        assert_ne!(suggested.verdict, AUTOMATIC);
    }
}

#[test]
fn a_parent_pays_for_a_subsidiary_but_not_by_mistake() {
    let own = of(2, invoice(2, "INV-1042", 4_900));
    let invoices = [invoice(1, "INV-1024", 4_900), own];
    let known = [customer(1, "Beispiel AG"), customer(2, "Muster GmbH")];
    // The payer's own invoice has the same amount: perhaps digits changed places.
    let mistaken = ask(&from("Muster GmbH", payment(4_900, "INV-1024")), &invoices, &known);
    assert_ne!(mistaken.verdict, AUTOMATIC);
    let parent = ask(&from("Muster Holding SE", payment(4_900, "INV-1024")), &invoices[..1], &known);
    assert_eq!(parent.verdict, AUTOMATIC);
}

#[test]
fn who_paid_before_is_recognised() {
    let invoices = [invoice(1, "RE2026/0042", 12_345), invoice(2, "RE2026/0050", 500)];
    let seen = |payer: &str, payments| {
        let seen = vec![SeenPayer { payer: payer.to_owned(), payments }];
        [KnownCustomer { seen, ..customer(1, "Muster GmbH") }]
    };
    let paid = Payment { payer_account: Some("b64:hash"), ..from("E. Mustermann", payment(12_345, "")) };
    assert_eq!(best(&ask(&paid, &invoices, &seen("b64:hash", 2))), 800);
    assert_eq!(best(&ask(&paid, &invoices, &seen("E MUSTERMANN", 2))), 800);
    assert_eq!(best(&ask(&paid, &invoices, &seen("b64:hash", 1))), 740);
    assert_eq!(best(&ask(&paid, &invoices, &seen("another", 9))), 650);
}

#[test]
fn companies_that_differ_by_their_legal_form_are_not_taken_for_each_other() {
    let invoices = [invoice(1, "INV-41", 12_300), of(2, invoice(2, "INV-42", 12_300))];
    let known = [customer(1, "Schmidt Bau GmbH"), customer(2, "Schmidt Bau AG")];
    let exactly = ask(&from("SCHMIDT BAU AG", payment(12_300, "")), &invoices, &known);
    assert_eq!(first(&exactly), [(invoice_id(2), 12_300)]);
    let unsaid = ask(&from("Schmidt Bau", payment(12_300, "")), &invoices, &known);
    assert_eq!(unsaid.verdict, Verdict::Ask(Why::Tie));
}

#[test]
fn paid_invoices_and_other_currencies_get_nothing() {
    let paid = Candidate { balance: euro(0), ..invoice(1, "INV-41", 100) };
    let dollars = Money::new(100, "USD".parse().unwrap());
    let foreign = Candidate { balance: dollars, total: dollars, ..invoice(2, "INV-42", 100) };
    for text in ["INV-41", "INV-42"] {
        let suggested = ask(&payment(100, text), &[paid.clone(), foreign.clone()], &[]);
        assert_eq!((suggested.suggestions.len(), suggested.verdict), (0, Verdict::Ask(Why::NothingFits)));
    }
    let again = [paid, invoice(3, "INV-43", 100)];
    let duplicate = ask(&from("Muster", payment(100, "INV-41")), &again, &[customer(1, "Muster")]);
    assert_ne!(duplicate.verdict, AUTOMATIC);
    assert!(duplicate.suggestions[0].reasons.contains(&Reason::NamesSettled { number: "INV-41".to_owned() }));
}

#[test]
fn the_organisation_may_ask_for_more_certainty_but_not_for_less() {
    let invoices = [invoice(1, "INV-42", 100)];
    let verdict = |from| {
        let rules = Rules { automatic_from: Confidence::new(from), ..Rules::default() };
        suggest(&payment(100, "INV-42"), &all(&invoices, &[]), &rules).verdict
    };
    assert_eq!(verdict(970), AUTOMATIC);
    assert_eq!(verdict(971), Verdict::Ask(Why::Unsure));
    let near = Rules { automatic_from: Confidence::new(0), ..Rules::default() };
    assert_ne!(suggest(&payment(99, "INV-42"), &all(&invoices, &[]), &near).verdict, AUTOMATIC);
}

#[test]
fn it_says_when_it_stopped_early() {
    let invoices: Vec<_> =
        (0..200).map(|n| invoice(n, &format!("INV-{n}"), 1_000_003 + 7 * i64::from(n).pow(2))).collect();
    let known = [customer(1, "Muster GmbH")];
    let sum = ask(&from("Muster GmbH", payment(31_234_567, "")), &invoices, &known);
    assert_eq!(sum.gave_up, Some(GaveUp::Sums));
    assert_ne!(sum.verdict, AUTOMATIC);
    // What is named needs no search.
    let named = ask(&from("Muster GmbH", payment(1_000_003, "INV-0")), &invoices, &known);
    assert_eq!((named.gave_up, named.verdict), (None, AUTOMATIC));
    let long = format!("INV-0 {}", "x ".repeat(3_000));
    let text = ask(&payment(1_000_003, &long), &invoices, &known);
    assert_eq!((text.gave_up, text.verdict), (Some(GaveUp::Text), Verdict::Ask(Why::StoppedEarly)));
}

#[test]
fn extremes_do_no_harm() {
    let most = i64::MAX;
    let invoices = [invoice(1, "INV-1", most), invoice(2, "INV-2", most), invoice(3, "INV-3", 1)];
    let known = [customer(1, "Muster")];
    for amount in [i64::MIN, -1, 0, 1, most - 1, most] {
        for text in [
            "",
            "INV-1, INV-2, INV-3",
            "INV-1 to INV-99999999999999999999",
            "INV-18446744073709551615 - 18446744073709551616",
        ] {
            let suggested = ask(&from("Muster", payment(amount, text)), &invoices, &known);
            assert!(amount > 0 || suggested.suggestions.is_empty());
        }
    }
    let same: Vec<_> = (0..=255).map(|n| invoice(n, "INV-1", 100)).collect();
    for text in [
        "INV-1 ".repeat(700),
        "1".repeat(9_000),
        "-1".repeat(4_000),
        "\u{1}1".repeat(2_000),
        "RF".repeat(3_000),
    ] {
        let _ = ask(&payment(100, &text), &same, &known);
        assert!(references(&text, Some(&text)).len() <= MAX_REFERENCES);
    }
}

#[test]
fn reasons_are_words() {
    let money = |n| plainly(euro(n));
    assert_eq!(Reason::Short { amount: 1_250 }.words(money), "EUR 12.50 too little");
    assert_eq!(plainly(Money::new(-5, "JPY".parse().unwrap())), "JPY -5");
    assert_eq!(Confidence::new(955).to_string(), "0.955");
    assert_eq!(Confidence::new(9_999).to_string(), "1.000");
}
