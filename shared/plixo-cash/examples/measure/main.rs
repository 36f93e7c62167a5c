//! Measures automatic cash application on the corpus, and fails where it misses the goals:
//! `cargo run --release -p plixo-cash --example measure [develop|measure] [-v]`.

use std::collections::BTreeMap;
use std::error::Error;
use std::process::ExitCode;

mod corpus;

use corpus::{Tally, half};

/// At least this, in hundredths of a percent.
const PRECISION: u32 = 9_990;
const RECALL: u32 = 9_900;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let verbose = arguments.iter().any(|it| it == "-v");
    let named: Vec<&str> = arguments.iter().map(String::as_str).filter(|it| !it.starts_with('-')).collect();
    let mut good = true;
    for name in if named.is_empty() { vec!["develop", "measure"] } else { named } {
        good &= measure(name, verbose)?;
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn measure(name: &str, verbose: bool) -> Result<bool, Box<dyn Error>> {
    let (books, cases) = half(name)?;
    let mut whole = Tally::default();
    let mut kinds: BTreeMap<&str, Tally> = BTreeMap::new();
    let mut verdicts: BTreeMap<(String, String), u32> = BTreeMap::new();
    for case in &cases {
        let outcome = case.book(&books)?.run(case);
        whole.add(&outcome);
        kinds.entry(&case.kind).or_default().add(&outcome);
        let verdict = format!("{:?}", outcome.suggested.verdict);
        let count = verdicts.entry((case.kind.clone(), verdict)).or_default();
        *count = count.saturating_add(1);
        let wrong = outcome.automatic() && !outcome.first_is_right;
        let missed = !outcome.automatic() && !outcome.should_ask;
        if wrong || verbose && missed {
            println!("{} {}: {:?}", if wrong { "WRONG" } else { "asked" }, case.kind, case.text);
            for suggestion in outcome.suggested.suggestions.iter().take(2) {
                println!("      {} {:?}", suggestion.confidence, suggestion.reasons);
            }
        }
    }
    println!("\n{name}: {} payments\n", whole.all);
    println!("{:<18} {:>5} {:>9} {:>6} {:>12}", "kind", "all", "automatic", "right", "first right");
    for (kind, tally) in &kinds {
        println!("{kind:<18} {:>5} {:>9} {:>6} {:>12}", tally.all, tally.automatic, tally.right, tally.first);
    }
    println!("\nverdicts");
    for ((kind, verdict), count) in &verdicts {
        println!("{kind:<18} {count:>5} {verdict}");
    }
    let exact = kinds.get("exact_reference").map_or(0, Tally::recall);
    println!(
        "\nprecision of automatic application {} (goal {})",
        percent(whole.precision()),
        percent(PRECISION)
    );
    println!("recall on exact references {} (goal {})", percent(exact), percent(RECALL));
    println!("applied automatically {} of {}", whole.automatic, whole.all);
    Ok(whole.precision() >= PRECISION && exact >= RECALL)
}

fn percent(hundredths: u32) -> String {
    format!("{}.{:02} %", hundredths / 100, hundredths % 100)
}
