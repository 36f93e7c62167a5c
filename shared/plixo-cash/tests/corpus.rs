//! The goals, on the half of the corpus that may be looked at. `make bench-cash` measures both halves.

#[path = "../examples/measure/corpus.rs"]
#[expect(dead_code, reason = "the measuring program uses more of it")]
mod corpus;

use corpus::{Tally, half};

#[test]
fn the_goals_hold_on_the_develop_half() {
    let (books, cases) = half("develop").unwrap();
    let (mut whole, mut exact) = (Tally::default(), Tally::default());
    for case in &cases {
        let outcome = case.book(&books).unwrap().run(case);
        assert!(!outcome.automatic() || outcome.first_is_right, "{}: {}", case.kind, case.text);
        whole.add(&outcome);
        if case.kind == "exact_reference" {
            exact.add(&outcome);
        }
    }
    assert!(whole.all >= 1_000 && whole.precision() >= 9_990, "{} of {}", whole.right, whole.automatic);
    assert!(exact.recall() >= 9_900, "{} of {}", exact.right, exact.all);
}
