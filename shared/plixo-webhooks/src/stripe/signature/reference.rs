//! The rules of a `Stripe-Signature` header again, told as slowly and plainly as they can be: for tests and fuzzing.

pub(super) fn accepts(header: &str, now: i64, signature: impl Fn(&str) -> String) -> bool {
    let mut times = Vec::new();
    let mut signatures = Vec::new();
    for part in header.split(',') {
        let (key, value) = match part.find('=') {
            Some(at) => (part.split_at(at).0, part.split_at(at + 1).1),
            None => (part, ""),
        };
        if key.trim_matches(|c: char| c.is_ascii_whitespace()) == "t" {
            times.push((key, value));
        } else if key == "v1" {
            signatures.push(value);
        }
    }
    let [("t", time)] = times[..] else { return false };
    let Ok(t) = time.parse::<i64>() else { return false };
    header.len() <= 10_240
        && time.len() <= 12
        && t >= 0
        && t.to_string() == time
        && (i128::from(now) - i128::from(t)).abs() <= 300
        && signatures.contains(&signature(time).as_str())
}
