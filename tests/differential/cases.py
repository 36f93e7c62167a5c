"""Headers and bodies, from honest to hostile."""

import hashlib
import hmac
import random
from dataclasses import dataclass

NOW = 1_760_000_000
SECRET = "whsec_differential"
BODY = b'{"id":"evt_1PlixoDiff","object":"event","type":"charge.succeeded","data":{"object":{"name":"M\xc3\xbcller"}}}'
BOM = b"\xef\xbb\xbf"
WRONG = "0" * 64


@dataclass(frozen=True)
class Case:
    name: str
    header: str
    body: bytes = BODY
    secret: str = SECRET
    now: int = NOW


def v1(t=NOW, body: bytes = BODY, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), f"{t}.".encode() + body, hashlib.sha256).hexdigest()


def signed(t=NOW, body: bytes = BODY, secret: str = SECRET) -> str:
    return f"t={t},v1={v1(t, body, secret)}"


# What the test suites of Stripe's libraries for Node, Python and Go hold, as far as it is not about a language's types;
# and whether we accept it.
OFFICIAL = [
    (Case("valid payload and header", signed()), True),
    (Case("signed but invalid JSON", signed(body=b"this is not valid JSON"), b"this is not valid JSON"), True),
    (Case("signed JSON with a trailing bracket", signed(body=BODY + b"["), BODY + b"["), True),
    (Case("header: bad_header", "bad_header"), False),
    (Case("header: free text", "I'm not even a real signature header"), False),
    (Case("header: v1,t=1", "v1,t=1"), False),
    (Case("header: t=", "t="), False),
    (Case("header: empty", ""), False),
    (Case("only scheme v0", f"t={NOW},v0={v1()}"), False),
    (Case("wrong signature", f"t={NOW},v1={WRONG}"), False),
    (Case("wrong signature: bad_signature", f"t={NOW},v1=bad_signature"), False),
    (Case("wrong signature: deadbeef", f"t={NOW},v1=deadbeef"), False),
    (Case("age 15 s", signed(NOW - 15)), True),
    (Case("age 299 s", signed(NOW - 299)), True),
    (Case("age 300 s", signed(NOW - 300)), True),
    (Case("age 301 s", signed(NOW - 301)), False),
    (Case("age 400 s", signed(NOW - 400)), False),
    (Case("signed in 2018", signed(1_533_204_620)), False),
    (Case("valid v1, then v1=potato", signed() + ",v1=potato"), True),
    (Case("valid v1, then v1=bad_signature", signed() + ",v1=bad_signature"), True),
    (Case("rolled secret: old of two", f"t={NOW},v1={v1(secret='whsec_old')},v1={v1()}", secret="whsec_old"), True),
    (Case("rolled secret: new of two", f"t={NOW},v1={v1(secret='whsec_old')},v1={v1()}"), True),
    (Case("secret that is blank", signed(secret=" "), secret=" "), False),
    (Case("secret that is empty", signed(secret=""), secret=""), False),
    (Case("secret with a line break too many", signed(), secret=SECRET + "\n"), False),
    (Case("other body", signed(), b"{}"), False),
]

HOSTILE = [
    (Case("an hour ahead", signed(NOW + 3600)), False),
    (Case("300 s ahead", signed(NOW + 300)), True),
    (Case("301 s ahead", signed(NOW + 301)), False),
    (Case("two t, stale first", f"t={NOW - 9999},{signed()}"), False),
    (Case("two t, stale last", f"{signed()},t={NOW - 9999}"), False),
    (Case("two equal t", f"t={NOW},{signed()}"), False),
    (Case("merged headers", f"{signed()},{signed(NOW - 1)}"), False),
    (Case("merged headers, with a blank", f"{signed()}, {signed(NOW - 1)}"), False),
    (Case("t with letters after it", signed(f"{NOW}abc")), False),
    (Case("t with letters after it, signed without", f"t={NOW}abc,v1={v1()}"), False),
    (Case("t with decimals", f"t={NOW}.0,v1={v1()}"), False),
    (Case("t in full-width digits", f"t={''.join(chr(0xff10 + int(d)) for d in str(NOW))},v1={v1()}"), False),
    (Case("t = 2^63 - 1", signed(2**63 - 1)), False),
    (Case("t = 2^63", signed(2**63)), False),
    (Case("t = -2^63", signed(-(2**63))), False),
    (Case("t = 10^30", signed(10**30)), False),
    (Case("t with a leading zero", f"t=0{NOW},v1={v1()}"), False),
    (Case("t with a plus", f"t=+{NOW},v1={v1()}"), False),
    (Case("t with underscores", f"t=1_760_000_000,v1={v1()}"), False),
    (Case("t with blanks", f"t= {NOW} ,v1={v1()}"), False),
    (Case("t and something after another =", f"t={NOW}=1,v1={v1()}"), False),
    (Case("t negative", signed(-NOW)), False),
    (Case("t in milliseconds", signed(NOW * 1000)), False),
    (Case("BOM added after signing", signed(), BOM + BODY), False),
    (Case("BOM signed too", signed(body=BOM + BODY), BOM + BODY), True),
    (Case("body not UTF-8", signed(body=b"\xff\xfe{}"), b"\xff\xfe{}"), True),
    (Case("body not UTF-8, signed as U+FFFD", signed(body="\ufffd{}".encode()), b"\xff{}"), False),
    (Case("body with a zero byte", signed(body=b"{}\0"), b"{}\0"), True),
    (Case("body with a line break added", signed(), BODY + b"\n"), False),
    (Case("body empty", signed(body=b""), b""), True),
    (Case("upper-case hexadecimal", f"t={NOW},v1={v1().upper()}"), False),
    (Case("upper-case scheme", f"t={NOW},V1={v1()}"), False),
    (Case("blank after the comma", f"t={NOW}, v1={v1()}"), False),
    (Case("blank before everything", f" {signed()}"), False),
    (Case("63 hexadecimal digits", f"t={NOW},v1={v1()[:63]}"), False),
    (Case("2 hexadecimal digits", f"t={NOW},v1={v1()[:2]}"), False),
    (Case("66 hexadecimal digits", f"t={NOW},v1={v1()}00"), False),
    (Case("v1 and something after another =", f"t={NOW},v1={v1()}=x"), False),
    (Case("v1 in full-width digits", f"t={NOW},v1={v1().translate({48 + d: 0xff10 + d for d in range(10)})}"), False),
    (Case("garbage v1, then the valid one", f"t={NOW},v1=garbage,v1={v1()}"), True),
    (Case("empty v1, then the valid one", f"t={NOW},v1=,v1={v1()}"), True),
    (Case("empty v1", f"t={NOW},v1="), False),
    (Case("v1 without =", f"t={NOW},v1"), False),
    (Case("v1 without =, after the valid one", signed() + ",v1"), True),
    (Case("t without =, after the valid one", signed() + ",t"), False),
    (Case("v1 before t", f"v1={v1()},t={NOW}"), True),
    (Case("trailing comma", signed() + ","), True),
    (Case("unknown scheme", signed() + ",v2=abc"), True),
    (Case("unknown part without =", signed() + ",hello"), True),
    (Case("unknown part that is no ASCII", signed() + ",grüße=1"), True),
    (Case("v0 with the right signature, v1 with a wrong one", f"t={NOW},v0={v1()},v1={WRONG}"), False),
    (Case("semicolons", signed().replace(",", ";")), False),
    (Case("100 wrong v1, then the valid one", f"t={NOW}" + f",v1={WRONG}" * 100 + f",v1={v1()}"), True),
    (Case("10 KiB and more", signed() + "," + "x" * 10_240), False),
]

SEEDS = [1, 2, 3, 5, 8, 13, 21, 34]
CASES_PER_SEED = 500


def mutated(seed: int) -> list[Case]:
    """Cases with up to a handful of random changes each. The same seed gives the same cases."""
    rng = random.Random(seed)
    return [_mutant(rng, f"seed {seed}, case {number}") for number in range(CASES_PER_SEED)]


def _mutant(rng: random.Random, name: str) -> Case:
    body = _mostly(rng, BODY, [b"", b"{}", BOM + BODY, b"\xff", "\ufffd".encode(), rng.randbytes(rng.randrange(40))])
    t = str(NOW - _mostly(rng, 0, [1, -1, 299, 300, 301, -299, -300, -301, rng.randrange(-10_000, 10_000)]))
    odd = ["0" + t, "+" + t, t + ".0", " " + t, t + "=", "１" + t[1:], "", "abc", str(10 ** rng.randrange(20))]
    signed_t = _mostly(rng, t, odd)
    good = f"v1={v1(rng.choice([t, signed_t]), body)}"
    parts = [f"t={signed_t}", good]
    for _ in range(rng.choice([0, 0, 0, 1, 1, 2, 3])):
        change = rng.randrange(8)
        if change == 0:
            parts.insert(rng.randrange(len(parts) + 1), rng.choice([f"v1={WRONG}", "v1=", "v1", f"v0={WRONG}", "", "x", "t", "=", "v1=potato"]))
        elif change == 1 and parts:
            parts.append(rng.choice(parts))
        elif change == 2:
            rng.shuffle(parts)
        elif change == 3 and parts:
            parts.pop(rng.randrange(len(parts)))
        elif change == 4 and parts:
            at = rng.randrange(len(parts))
            parts[at] = rng.choice([" ", "\t", ""]) + parts[at] + rng.choice([" ", "=", "=x", "0", ""])
        elif change == 5 and parts:
            at = rng.randrange(len(parts))
            parts[at] = rng.choice([parts[at].upper(), parts[at][:-1], parts[at].replace("=", "=="), parts[at][1:]])
        elif change == 6:
            parts.append(f"t={NOW - rng.randrange(600)}")
        elif body:
            at = rng.randrange(len(body))
            body = rng.choice([body[:at] + bytes([rng.randrange(256)]) + body[at + 1:], body + b"\n", BOM + body, body[:at]])
    header = _mostly(rng, ",", [", "]).join(parts)
    if header and rng.randrange(6) == 0:
        at = rng.randrange(len(header))
        header = header[:at] + rng.choice(["", " ", "0", "a", ",", "=", "ü", chr(rng.randrange(32, 127))]) + header[at + rng.randrange(2):]
    return Case(name, header, body, rng.choice([SECRET] * 18 + ["whsec_other", " "]))


def _mostly(rng: random.Random, usual, unusual: list):
    return usual if rng.randrange(3) else rng.choice(unusual)
