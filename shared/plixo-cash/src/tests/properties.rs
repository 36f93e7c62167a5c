use std::collections::BTreeSet;

use super::*;

fn amount() -> impl Strategy<Value = i64> {
    prop_oneof![1_i64..2_000, prop::sample::select(vec![4_900, 9_900]), 1_i64..i64::MAX]
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        (1_u32..300).prop_map(|n| format!("INV-{n}")),
        (1_u32..99).prop_map(|n| format!("2026-{n:05}")),
        (1_u32..99).prop_map(|n| format!("RE2026/{n:04}")),
        (1_u32..20).prop_map(|n| n.to_string()),
        "[A-Z0-9/. -]{1,12}",
    ]
}

fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
    let one = (number(), amount(), 1_u8..4, 0_u16..400, any::<bool>());
    prop::collection::vec(one, 0..12).prop_map(|all| {
        let made = (0_u8..).zip(all).map(|(n, (number, balance, customer, basis_points, touched))| {
            let until = date(2026, 11, 28);
            let discount = Some(Discount { basis_points, until }).filter(|it| it.basis_points < 300);
            let total = euro(balance.saturating_add(i64::from(touched)));
            of(customer, Candidate { discount, total, ..invoice(n, &number, balance) })
        });
        made.collect()
    })
}

/// A payment of some of these invoices, more or less.
#[derive(Debug, Clone)]
struct Paid {
    invoices: Vec<Candidate>,
    amount: i64,
    text: String,
    payer: Option<&'static str>,
}

fn paid() -> impl Strategy<Value = Paid> {
    let off = prop_oneof![4 => Just(0_i64), 1 => -50_i64..50];
    let payer = prop::sample::select(vec![None, Some("Muster GmbH"), Some("Beispiel AG"), Some("Muster")]);
    (
        candidates(),
        prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        off,
        payer,
        "[a-zA-Z0-9 ,./+-]{0,20}",
        any::<bool>(),
    )
        .prop_map(|(invoices, chosen, off, payer, noise, named)| {
            let places: BTreeSet<_> =
                chosen.iter().filter(|_| !invoices.is_empty()).map(|it| it.index(invoices.len())).collect();
            let chosen: Vec<_> = places.iter().map(|n| &invoices[*n]).collect();
            let sum = chosen.iter().fold(off, |sum, it| sum.saturating_add(it.balance.amount));
            let numbers: Vec<_> = chosen.iter().filter(|_| named).map(|it| it.number.clone()).collect();
            Paid { amount: sum.max(1), text: format!("{} {noise}", numbers.join(", ")), payer, invoices }
        })
}

fn known() -> [KnownCustomer; 3] {
    [customer(1, "Muster GmbH"), customer(2, "Beispiel AG"), customer(3, "Muster KG")]
}

fn run(paid: &Paid, invoices: &[Candidate]) -> Suggested {
    let payment = Payment { payer_name: paid.payer, ..payment(paid.amount, &paid.text) };
    suggest(&payment, &all(invoices, &known()), &Rules { tolerance: Tolerance::MOST, ..Rules::default() })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_suggestions_sums_equal_the_payment(paid in paid()) {
        let suggested = run(&paid, &paid.invoices);
        for suggestion in &suggested.suggestions {
            let mut sum = suggestion.unapplied;
            let mut seen = BTreeSet::new();
            let mut open = 0_i128;
            for (id, part) in &suggestion.allocations {
                let invoice = paid.invoices.iter().find(|it| it.id == *id).unwrap();
                prop_assert!((1..=invoice.balance.amount).contains(&part.amount));
                prop_assert!(seen.insert(*id));
                sum = sum.plus(*part).unwrap();
                open += i128::from(invoice.balance.amount - part.amount);
            }
            prop_assert_eq!(sum, euro(paid.amount));
            prop_assert!(suggestion.unapplied.amount >= 0);
            prop_assert!(open <= i128::from(suggestion.left_open.amount));
            prop_assert!((1..=MAX_ALLOCATIONS).contains(&suggestion.allocations.len()));
            prop_assert!(suggestion.confidence >= Confidence::SHOWN);
        }
        prop_assert!(suggested.suggestions.len() <= MAX_SUGGESTIONS);
        prop_assert!(suggested.suggestions.is_sorted_by(|a, b| a.confidence >= b.confidence));
    }

    #[test]
    fn the_order_of_candidates_does_not_matter((paid, shuffled) in paid().prop_flat_map(|paid| {
        let invoices = paid.invoices.clone();
        (Just(paid), Just(invoices).prop_shuffle())
    })) {
        prop_assert_eq!(run(&paid, &paid.invoices), run(&paid, &shuffled));
    }

    #[test]
    fn one_more_invoice_makes_no_automatic_answer_another(paid in paid(), more in (number(), amount(), 1_u8..4)) {
        let before = run(&paid, &paid.invoices);
        let (number, balance, customer) = more;
        // One that the text names is no longer unrelated.
        let key = reference_key(&number);
        prop_assume!(!references(&paid.text, None).contains(&key));
        prop_assume!(!paid.invoices.iter().any(|it| reference_key(&it.number) == key));
        let mut invoices = paid.invoices.clone();
        invoices.push(of(customer, invoice(99, &number, balance)));
        let after = run(&paid, &invoices);
        if before.verdict == Verdict::Automatic && after.verdict == Verdict::Automatic {
            prop_assert_eq!(first(&before), first(&after));
        }
    }

    #[test]
    fn a_number_never_matches_another_number(
        n in 0_u32..100_000,
        m in 0_u32..100_000,
        prefix in prop::sample::select(vec!["INV", "inv", "Invoice ", "Rechnung INV", "IVN", "lNV", ""]),
        separator in prop::sample::select(vec!["", "-", " ", "/", ".", "_", " - ", "--", "#"]),
        zeros in 0_usize..4,
        after in prop::sample::select(vec!["", " ", ".", " thanks", " vom 28.11.2026", ", Muster GmbH"]),
        balance in prop::sample::select(vec![100_i64, 900]),
    ) {
        prop_assume!(n != m);
        let text = format!("{prefix}{separator}{}{n}{after}", "0".repeat(zeros));
        let other = [invoice(1, &format!("INV-{m}"), balance)];
        let known = [customer(1, "Muster GmbH")];
        let suggested = ask(&from("Muster GmbH", payment(900, &text)), &other, &known);
        prop_assert!(suggested.verdict != Verdict::Automatic);
        let reasons = suggested.suggestions.iter().flat_map(|it| &it.reasons);
        let named = reasons.filter(|it| matches!(it, Reason::Named { .. } | Reason::Nearly { .. } | Reason::Listed { .. } | Reason::CheckDigits { .. }));
        prop_assert_eq!(named.count(), 0, "{}: {:?}", text, suggested.suggestions);
    }

    #[test]
    fn a_number_matches_itself_however_it_is_written(
        n in 1_u32..100_000,
        prefix in prop::sample::select(vec!["INV", "inv", "Inv", "Rechnung INV", "thanks INV"]),
        separator in prop::sample::select(vec!["", "-", " ", "/", ".", "_", " - "]),
        zeros in 0_usize..4,
        after in prop::sample::select(vec!["", " ", ".", " thanks", " vom 28.11.2026", ", Muster GmbH"])
    ) {
        let text = format!("{prefix}{separator}{}{n}{after}", "0".repeat(zeros));
        prop_assert!(references(&text, None).contains(&reference_key(&format!("INV-{n}"))), "{}", text);
        let suggested = ask(&payment(900, &text), &[invoice(1, &format!("INV-{n}"), 900)], &[]);
        prop_assert!(suggested.verdict == Verdict::Automatic, "{}: {:?}", text, suggested);
    }

    #[test]
    fn keys_tell_digits_apart(a in "[A-Z]{0,3}[0-9]{1,5}(-[0-9]{1,5}){0,2}", b in "[A-Z]{0,3}[0-9]{1,5}(-[0-9]{1,5}){0,2}") {
        let plain = |text: &str| {
            let parts: Vec<_> = text.split('-').map(|part| {
                let letters = part.trim_end_matches(|c: char| c.is_ascii_digit());
                (letters.to_owned(), part.trim_start_matches(letters).parse::<u32>().unwrap())
            }).collect();
            parts
        };
        prop_assert_eq!(plain(&a) == plain(&b), reference_key(&a) == reference_key(&b));
    }

    #[test]
    fn a_keys_own_key_is_itself(number in "\\PC{0,64}") {
        let key = reference_key(&number);
        prop_assert_eq!(reference_key(key.as_str()), key);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn any_text_is_read(
        text in prop_oneof!["(?s).{0,2500}", "[0-9A-F \\-/.,+?*:\n\u{1}]{0,9000}", "(INV-[0-9]{1,3}[ ,/-]?){0,1200}"],
        payer in "(?s).{0,300}",
        found in candidates(),
    ) {
        let payment = Payment { structured: Some(&text), ..from(&payer, payment(900, &text)) };
        prop_assert!(references(&text, Some(&text)).len() <= MAX_REFERENCES);
        let suggested = ask(&payment, &found, &known());
        prop_assert!(suggested.suggestions.len() <= MAX_SUGGESTIONS);
    }
}
