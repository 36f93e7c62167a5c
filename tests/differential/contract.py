"""What Plixo's contract says of a case, told plainly; and by which of its rules it departs from Stripe's libraries."""

from differential.cases import Case, v1

BLANKS = " \t\n\r\f"
TOLERANCE_SECONDS = 300
MAX_HEADER_BYTES = 10_240


def parts(case: Case) -> list[tuple[str, str]]:
    return [part.partition("=")[::2] for part in case.header.split(",")]


def times(case: Case) -> list[tuple[str, str]]:
    return [(key, value) for key, value in parts(case) if key.strip(BLANKS) == "t"]


def is_canonical(time: str) -> bool:
    return 1 <= len(time) <= 12 and set(time) <= set("0123456789") and time == str(int(time))


def accepts(case: Case) -> bool:
    if len(case.header.encode()) > MAX_HEADER_BYTES or not case.secret.strip(BLANKS):
        return False
    if len(times(case)) != 1 or times(case)[0][0] != "t":
        return False
    time = times(case)[0][1]
    if not is_canonical(time) or abs(case.now - int(time)) > TOLERANCE_SECONDS:
        return False
    return ("v1", v1(time, case.body, case.secret)) in parts(case)


# Both libraries accept, we refuse.
STRICTER = {
    "the header has exactly one t": lambda case: len(times(case)) != 1,
    "t is a canonical decimal of at most 12 digits": lambda case: any(not is_canonical(value) for _, value in times(case)),
    "t is at most 300 s ahead": lambda case: any(
        is_canonical(value) and int(value) > case.now + TOLERANCE_SECONDS for _, value in times(case)
    ),
    "v1 is exactly 64 lower-case hexadecimal digits": lambda case: any(
        key == "v1" and "=" in value for key, value in parts(case)
    ),
    "the header has at most 10,240 bytes": lambda case: len(case.header.encode()) > MAX_HEADER_BYTES,
}

# Both libraries refuse, we accept.
LOOSER = {
    # The parser refuses such a body next, with a clearer reason.
    "the signature is over bytes, whether they are text or not": lambda case: not is_text(case.body),
    "a v1 that is none does not spoil one that is": lambda case: "v1" in case.header.split(","),
}


def is_text(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True
