use super::{Asked, Door, Email, Gone, Invoice, Problems, Words, stop};

pub(super) static WORDS: Words = Words {
    tag: "en",
    marks: crate::amount::POINT,
    // By code: a dollar sign is the sign of many.
    money: |code, amount| match amount.strip_prefix('\u{2212}') {
        Some(amount) => format!("\u{2212}{code} {amount}"),
        None => format!("{code} {amount}"),
    },
    months: [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ],
    day: |day, month, year| format!("{day} {month} {year}"),
    moment: |day, time| format!("{day}, {time} UTC"),
    due: |days, day| match days {
        2.. => format!("Due in {days} days, on {day}"),
        1 => format!("Due tomorrow, {day}"),
        0 => format!("Due today, {day}"),
        -1 => format!("1 day overdue, it was due on {day}"),
        _ => format!("{} days overdue, it was due on {day}", days.unsigned_abs()),
    },
    skip: "Skip to content",
    foot: ("Provided by Plixo for ", ""),
    ask_seller: "If you have questions, ask ",
    ask_sender: "If you have questions, ask the company that sent you the invoice.",
    door: Door {
        name: "Your invoice",
        title: ("Your invoice from ", ""),
        lead: "Open it when you are ready: the link works once, and the invoice then stays open for 30 minutes.",
        open: "Open the invoice",
        aside: "You need no account.",
    },
    invoice: Invoice {
        name: "Invoice",
        to_pay: "To pay",
        pay: ("Pay ", ""),
        pay_hint: "You pay on Stripe’s secure page. We never see your card or bank details.",
        not_online: (
            "This invoice cannot be paid online. Please pay as the invoice from ",
            " says, and name its number.",
        ),
        confirming: (
            "Thank you! Your payment is being confirmed",
            "That usually takes a few seconds. Please do not pay again.",
        ),
        look_again: "Look again",
        processing: (
            "Your payment is on its way",
            "A bank debit takes a few working days. There is nothing more to do: please do not pay again.",
        ),
        paid: ("Thank you! This invoice is paid", "Nothing is left to pay."),
        withdrawn: ("This invoice was withdrawn", "There is nothing to pay."),
        cancelled: "You came back without paying. Nothing was charged.",
        failed: "The last payment did not go through. Please try again, or pay another way.",
        try_again: "We could not reach Stripe, the payment service. Nothing was charged. Please try again in a minute.",
        unsure: "We could not reach Stripe, the payment service. If you have paid already, please do not pay again. Otherwise try again in a minute.",
        other: "You have opened another link in this browser since. This is its invoice: please check it before you pay.",
        part_paid: "Paid",
        part_open: "Open",
        lines: "What the invoice is for",
        description: "Description",
        quantity: "Quantity",
        price: "Price",
        price_before_tax: "Net price",
        tax: "Tax",
        total: "Total",
        total_with_tax: "Total with tax",
        memo: "Note",
        aside: "For your safety, this page closes 30 minutes after you opened the link.",
    },
    gone: Gone {
        used: (
            "This link was used before",
            "Each link works once, so that nobody who finds it later can open your invoice.",
        ),
        expired: ("This link has expired", "Links work for a limited time."),
        revoked: (
            "This link is no longer valid",
            "It was replaced or taken back. If you have paid, your payment is not lost.",
        ),
        settled: ("Nothing is left to pay", "The invoice is paid or was withdrawn. There is nothing to do."),
        no_session: (
            "No invoice is open here",
            "Please open the link in your email again. If that does not help, allow cookies for this page.",
        ),
        session_over: (
            "The 30 minutes are over",
            "For your safety, an invoice closes 30 minutes after it was opened. If you have paid, your payment is not lost.",
        ),
        offer: "We can send a fresh link to the email address that we have for you.",
        send: "Send me a fresh link",
        settled_offer: "We can send you an email that says how the invoice stands, to the address that we have for you.",
        settled_send: "Send me an email",
    },
    asked: Asked {
        title: "Look in your inbox",
        lead: "If we have an email address for you, a message is on its way.",
        aside: "It can take a few minutes. If nothing comes, look among your spam as well.",
    },
    problem: Problems {
        not_found: (
            "There is nothing here",
            "Please check that the link is complete: some programs cut long links at the end of a line.",
        ),
        bad_request: (
            "We could not read that",
            "Nothing was changed and nothing was charged. Please go back and try again.",
        ),
        too_many_tries: ("Too many tries", "Please wait a few minutes, then try again."),
        internal: (
            "We made a mistake",
            "This is our fault, not yours, and it has been reported. Please try again later.",
        ),
        unavailable: (
            "We will be back in a moment",
            "This page cannot be shown right now. Nothing was lost. Please try again in a minute.",
        ),
        request_id: "Request id",
    },
    email: Email {
        subject: |number, seller| format!("Invoice {number} from {seller}"),
        settled_subject: |number, seller| format!("Invoice {number} from {seller}: nothing left to pay"),
        greeting: "Hello,",
        link: |number, seller| {
            format!(
                "Here is your link to invoice {number} from {seller}{} You can see the invoice there, and pay it.",
                stop(seller)
            )
        },
        settled: |number, seller| {
            format!(
                "Nothing is left to pay on invoice {number} from {seller}: it is paid or was withdrawn. There is nothing \
                 to do. If you have questions, please ask {seller}{}",
                stop(seller)
            )
        },
        to_pay: "To pay",
        due_on: "Due on",
        once: |moment| {
            format!(
                "The link works once, until {moment}. If it no longer works, its page lets you ask for a fresh one."
            )
        },
        unexpected: "If you did not expect this message, there is nothing to do.",
        foot: |seller| format!("Sent by Plixo for {seller}"),
    },
};
