//! Card schemes: which first digits and lengths they issue, and the check digit.

/// The first six digits from … to …, and the lengths, shortest and longest, that are issued with them.
///
/// Sources: ISO/IEC 7812-1; the schemes' published ranges (Visa, Mastercard, American Express, Discover with Diners Club
/// and UnionPay, JCB, Maestro with Bancontact, Mir, Troy, RuPay, Elo, Hipercard, Verve, Dankort).
const RANGES: [(u32, u32, &[usize]); 39] = [
    (220_000, 220_499, &[16, 17, 18, 19]),     // Mir
    (222_100, 272_099, &[16]),                 // Mastercard
    (300_000, 305_999, &[14, 16, 17, 18, 19]), // Diners Club
    (309_500, 309_599, &[14, 16, 17, 18, 19]),
    (340_000, 349_999, &[15]),                         // American Express
    (352_800, 358_999, &[16, 17, 18, 19]),             // JCB
    (360_000, 369_999, &[14, 15, 16, 17, 18, 19]),     // Diners Club
    (370_000, 379_999, &[15]),                         // American Express
    (380_000, 399_999, &[14, 16, 17, 18, 19]),         // Diners Club, Hipercard
    (400_000, 499_999, &[13, 16, 19]),                 // Visa, Dankort, Elo
    (501_800, 501_899, &[13, 14, 15, 16, 17, 18, 19]), // Maestro
    (501_900, 501_999, &[16]),                         // Dankort
    (502_000, 502_099, &[13, 14, 15, 16, 17, 18, 19]), // Maestro
    (503_800, 503_899, &[13, 14, 15, 16, 17, 18, 19]),
    (504_175, 504_175, &[16]),                         // Elo
    (506_099, 506_198, &[16, 18, 19]),                 // Verve
    (506_699, 506_799, &[16]),                         // Elo
    (507_865, 507_964, &[16, 18, 19]),                 // Verve
    (508_500, 508_999, &[16]),                         // RuPay
    (509_000, 509_999, &[16]),                         // Elo
    (510_000, 559_999, &[16]),                         // Mastercard
    (589_300, 589_399, &[13, 14, 15, 16, 17, 18, 19]), // Maestro
    (601_100, 601_199, &[16, 17, 18, 19]),             // Discover
    (606_282, 606_282, &[13, 16, 19]),                 // Hipercard
    (606_985, 607_984, &[16]),                         // RuPay
    (608_001, 608_500, &[16]),
    (620_000, 629_999, &[16, 17, 18, 19]),             // UnionPay, Elo
    (630_400, 630_499, &[13, 14, 15, 16, 17, 18, 19]), // Maestro
    (636_000, 636_999, &[16, 17, 18, 19]),             // InterPayment, Elo
    (637_000, 639_999, &[16]),                         // InstaPayment
    (644_000, 649_999, &[16, 17, 18, 19]),             // Discover
    (650_000, 659_999, &[16, 17, 18, 19]),             // Discover, RuPay, Elo, Troy, Verve
    (670_000, 679_999, &[16, 17, 18, 19]),             // Maestro, Bancontact
    (675_900, 675_999, &[13, 14, 15]),
    (676_100, 676_399, &[13, 14, 15]),
    (676_700, 676_799, &[13, 14, 15]),
    (810_000, 817_199, &[16, 17, 18, 19]), // UnionPay
    (817_200, 820_199, &[16]),             // RuPay
    (979_200, 979_299, &[16]),             // Troy
];

/// Whether a scheme issues numbers that begin with these six digits and are so long.
pub(super) fn issues(first_six: u32, length: usize) -> bool {
    RANGES.iter().any(|(low, high, lengths)| (*low..=*high).contains(&first_six) && lengths.contains(&length))
}

/// The check digit of ISO/IEC 7812-1: counted from the right, every second digit doubled, the sum of all digits is a
/// multiple of ten.
pub(super) fn luhn(digits: impl DoubleEndedIterator<Item = u32>) -> bool {
    let digit = |(at, digit): (usize, u32)| match (at % 2, digit) {
        (1, 5..) => digit.saturating_mul(2).saturating_sub(9),
        (1, _) => digit.saturating_mul(2),
        _ => digit,
    };
    digits.rev().enumerate().map(digit).sum::<u32>() % 10 == 0
}
