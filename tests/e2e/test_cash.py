"""Cash application at the console, in Chromium: a person works unapplied payments off by keyboard alone."""

import pytest
from browser import Browser
from conftest import wait_for
from people import CHOSEN, founded

EMAIL = "owner@keyboard.example"
# What a person may press here: nothing is clicked, filled in or opened by its address but the first page.
TABS = 120


@pytest.fixture(scope="module")
def owner(stack):
    return founded(stack, "Keyboard Ltd", EMAIL)


class Keyboard:
    """Somebody at a browser who has no mouse."""

    def __init__(self, browser, path):
        self.browser, self.shown = browser, browser.goto(path)

    def to(self, focus, key="Tab"):
        """Goes on until something has the focus: a button, a link or a field, by its name."""
        for _ in range(TABS):
            if self.shown.focus == focus:
                return self
            self.shown = self.browser.keys(key)
        raise AssertionError(f"{key} does not lead to {focus}: {self.shown}")

    def suggestion(self):
        """What the first suggestion's button says; it has the focus already, or comes after its invoices, which are links."""
        for _ in range(4):
            if not self.shown.focus.startswith("Apply to "):
                self.shown = self.browser.keys("Tab")
        return self.shown.focus

    def type(self, text):
        """Types in the place of what is there."""
        self.shown = self.browser.keys("Control+a", "Backspace")
        self.browser.type(text)
        return self

    def enter(self):
        self.shown = self.browser.enter()
        assert self.shown.status == 200, self.shown
        return self


def eur(amount):
    return {"amount": amount, "currency": "EUR"}


def owed(owner, customer, number, amount):
    """The id of an invoice that is owed."""
    line = {"description": "Chairs", "quantity": "1", "unit_price": eur(amount)}
    invoice = owner.make("/invoices", {"customer_id": customer, "number": number, "lines": [line], "due_on": "2027-01-31"})["id"]
    status, _, told = owner.ask("POST", f"/invoices/{invoice}/finalize")
    assert status == 200, told
    return invoice


def received(owner, payer, amount, remittance=None, customer=None):
    """The id of a payment that came by bank."""
    order = {"source": "bank", "amount": eur(amount), "received_on": "2026-11-20", "payer_name": payer}
    more = {"remittance": remittance, "customer_id": customer}
    return owner.make("/payments", order | {name: value for name, value in more.items() if value})["id"]


def put_to_work(owner):
    """Twenty unapplied payments; none is so sure that Plixo applies it itself. What the list begins with comes last."""
    def customer(name):
        return owner.make("/customers", {"name": name})["id"]

    # By hand: nothing says what it is for.
    owed(owner, customer("Handwerk AG"), "KB-2026-0900", 30_000)
    received(owner, "Somebody unknown", 7_777)
    # Each is the sum of two invoices.
    for n in range(3):
        whose = customer(f"Summe {n} GmbH")
        owed(owner, whose, f"KB-2026-07{n}1", 11_300 + n)
        owed(owner, whose, f"KB-2026-07{n}2", 23_900 + n)
        received(owner, f"Summe {n} GmbH", 35_200 + 2 * n, customer=whose)
    # To be changed: one of two invoices of the same amount.
    whose = customer("Wechsel KG")
    changed = [owed(owner, whose, f"KB-2026-080{n}", 20_000) for n in range(2)]
    received(owner, "Wechsel KG", 20_000, customer=whose)
    # Ambiguous: two payments for two invoices of the same amount each.
    whose = customer("Zwilling & Co")
    for n in range(6):
        owed(owner, whose, f"KB-2026-060{n}", 41_000 + 1_700 * (n // 2))
    for n in range(6):
        received(owner, "Zwilling & Co", 41_000 + 1_700 * (n // 2), customer=whose)
    # With a reference, and paid in part.
    for n in range(9):
        owed(owner, customer(f"Referenz {n} SE"), f"KB-2026-010{n}", 10_000)
        received(owner, f"R. {n}", 6_000 + n, remittance=f"Rechnung KB-2026-010{n}")
    return changed


def unapplied(owner):
    told = owner.get("/payments?unapplied=true&limit=100")
    assert told["next_cursor"] is None
    return told["data"]


# Where SQS counts what it has not got rid of.
WAITING = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"]


def is_decided(stack):
    """Whether Plixo has looked at all payments, of which what a person does may make others certain."""
    told = stack.aws("sqs").get_queue_attributes(QueueUrl=stack.resources.CashQueue, AttributeNames=WAITING)["Attributes"]
    return not any(int(told[name]) for name in WAITING)


def test_a_person_works_off_20_unapplied_payments_by_keyboard_alone(stack, owner):
    changed = put_to_work(owner)
    wait_for(lambda: is_decided(stack), 20, "decision about each")
    assert len(unapplied(owner)) == 20
    browser = Browser(stack.base_url)
    try:
        person = Keyboard(browser, f"/orgs/{owner.org}/payments/unapplied")
        person.to("email").type(EMAIL).to("password").type(CHOSEN).enter()
        person.to("Apply payments").enter()
        assert "20 payments to go" in person.shown.text, person.shown
        assert browser.axe() == []
        works_off(person, owner)
    finally:
        browser.close()
    assert unapplied(owner) == []
    balances = [owner.get(f"/invoices/{invoice}")["balance"]["amount"] for invoice in changed]
    assert sorted(balances) == [5_000, 15_000], "as it was changed"


def works_off(person, owner):
    """All 20: one is skipped and comes at the end, one is undone, one changed, one done by hand."""
    first = person.suggestion()
    assert first.startswith("Apply to KB-2026-0108"), "the youngest has the focus"
    person.to("Skip", "Shift+Tab").enter()
    assert "19 payments to go" in person.shown.text and person.suggestion() != first

    # With a reference each: Enter, and Enter again.
    for n in range(7, -1, -1):
        assert person.suggestion().startswith(f"Apply to KB-2026-010{n},"), person.shown
        person.enter()
        assert f"60.0{n} EUR to KB-2026-010{n} from R. {n}." in " ".join(person.shown.text.split()), person.shown
        if n == 4:
            before, left = person.suggestion(), len(unapplied(owner))
            person.to("Undo what was applied", "Shift+Tab").enter()
            assert "That is taken back: here is the payment again." in person.shown.text
            assert person.suggestion().startswith("Apply to KB-2026-0104,") and len(unapplied(owner)) == left + 1
            person.enter()
            assert person.suggestion() == before and len(unapplied(owner)) == left

    # Ambiguous: there is more than one to choose from, and the second is taken first.
    assert "11 payments to go" in person.shown.text
    for n in range(6):
        assert person.suggestion().startswith("Apply to KB-2026-060"), person.shown
        if n == 0:
            offered = person.shown.text.count("KB-2026-060")
            assert offered >= 2 and person.browser.axe() == []
            other = person.shown.focus
            person.shown = person.browser.keys("Tab")
            assert person.shown.focus == "Change suggestion 1"
            while not person.shown.focus.startswith("Apply to "):
                person.shown = person.browser.keys("Tab")
            assert person.shown.focus != other
        person.enter()

    # Changed: a part of it to each of the two.
    assert person.suggestion().startswith("Apply to KB-2026-080"), person.shown
    person.to("Change suggestion 1").enter()
    field = person.shown.focus
    assert field.startswith("apply.inv_") and person.browser.value(field) == "200.00", person.shown
    assert person.browser.axe() == []
    other = next(invoice["id"] for invoice in owner.get("/invoices?status=open&limit=100")["data"]
                 if invoice["number"].startswith("KB-2026-080") and invoice["id"] not in field)
    person.type("150").to(f"apply.{other}").type("50").enter()
    assert "150.00 EUR to KB-2026-080" in " ".join(person.shown.text.split()), person.shown

    # Sums of two.
    for n in range(2, -1, -1):
        assert f"KB-2026-07{n}1" in person.suggestion() and f"KB-2026-07{n}2" in person.shown.focus, person.shown
        person.enter()

    # Nothing suggested: by hand.
    assert person.shown.focus == "Choose invoices" and "1 payment to go" in person.shown.text, person.shown
    person.enter().to("other_number").type("KB-2026-0900").to("other_amount").type("77.77").enter()

    # The one that was skipped.
    assert "1 payment is still unapplied." in person.shown.text and person.shown.focus == "Look at them again"
    person.enter()
    assert person.suggestion() == first
    person.enter()
    assert "All money is applied" in person.shown.text and person.browser.axe() == []
