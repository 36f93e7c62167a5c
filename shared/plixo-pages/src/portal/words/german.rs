use super::{Asked, Door, Email, Gone, Invoice, Problems, Words, stop};

pub(super) static WORDS: Words = Words {
    tag: "de",
    marks: crate::amount::COMMA,
    // The euro's sign is its own; others are shared, so their codes stand.
    money: |code, amount| match code {
        "EUR" => format!("{amount} €"),
        code => format!("{amount} {code}"),
    },
    months: [
        "Januar",
        "Februar",
        "März",
        "April",
        "Mai",
        "Juni",
        "Juli",
        "August",
        "September",
        "Oktober",
        "November",
        "Dezember",
    ],
    day: |day, month, year| format!("{day}. {month} {year}"),
    moment: |day, time| format!("{day}, {time} Uhr (UTC)"),
    due: |days, day| match days {
        2.. => format!("Fällig in {days} Tagen, am {day}"),
        1 => format!("Morgen fällig, am {day}"),
        0 => format!("Heute fällig, am {day}"),
        -1 => format!("Seit einem Tag überfällig, sie war am {day} fällig"),
        _ => format!("Seit {} Tagen überfällig, sie war am {day} fällig", days.unsigned_abs()),
    },
    skip: "Zum Inhalt springen",
    foot: ("Bereitgestellt von Plixo für ", ""),
    ask_seller: "Bei Fragen wenden Sie sich bitte an ",
    ask_sender: "Bei Fragen wenden Sie sich bitte an das Unternehmen, von dem die Rechnung stammt.",
    door: Door {
        name: "Ihre Rechnung",
        title: ("Ihre Rechnung von ", ""),
        lead: "Öffnen Sie sie, sobald Sie Zeit haben: Der Link gilt einmal, und die Rechnung ist dann 30 Minuten lang zu sehen.",
        open: "Rechnung öffnen",
        aside: "Sie müssen sich dafür nicht anmelden.",
    },
    invoice: Invoice {
        name: "Rechnung",
        to_pay: "Zu zahlen",
        pay: ("", " bezahlen"),
        pay_hint: "Sie bezahlen auf einer gesicherten Seite von Stripe. Ihre Karten- und Kontodaten bekommen wir nie zu sehen.",
        not_online: (
            "Diese Rechnung lässt sich nicht online bezahlen. Bitte zahlen Sie so, wie es auf der Rechnung von ",
            " steht, und geben Sie die Rechnungsnummer an.",
        ),
        confirming: (
            "Vielen Dank! Ihre Zahlung wird gerade bestätigt",
            "Das dauert meist nur wenige Sekunden. Bitte zahlen Sie nicht noch einmal.",
        ),
        look_again: "Erneut nachsehen",
        processing: (
            "Ihre Zahlung ist unterwegs",
            "Eine Lastschrift dauert einige Bankarbeitstage. Sie brauchen nichts weiter zu tun: Bitte zahlen Sie nicht noch einmal.",
        ),
        paid: ("Vielen Dank! Diese Rechnung ist bezahlt", "Es ist nichts mehr offen."),
        withdrawn: ("Diese Rechnung wurde zurückgezogen", "Sie brauchen nichts zu zahlen."),
        cancelled: "Sie sind zurückgekehrt, ohne zu bezahlen. Es wurde nichts abgebucht.",
        failed: "Die letzte Zahlung ist fehlgeschlagen. Bitte versuchen Sie es noch einmal, oder zahlen Sie auf anderem Weg.",
        try_again: "Der Zahlungsdienst Stripe ist gerade nicht zu erreichen. Es wurde nichts abgebucht. Bitte versuchen Sie es in einer Minute noch einmal.",
        unsure: "Der Zahlungsdienst Stripe ist gerade nicht zu erreichen. Wenn Sie schon bezahlt haben, zahlen Sie bitte nicht noch einmal. Sonst versuchen Sie es bitte in einer Minute wieder.",
        other: "Sie haben in diesem Browser inzwischen einen anderen Link geöffnet. Das ist seine Rechnung: Bitte prüfen Sie sie, bevor Sie bezahlen.",
        part_paid: "Bezahlt",
        part_open: "Offen",
        lines: "Rechnungsposten",
        description: "Beschreibung",
        quantity: "Menge",
        price: "Preis",
        price_before_tax: "Preis netto",
        tax: "Steuer",
        total: "Summe",
        total_with_tax: "Summe brutto",
        memo: "Hinweis",
        aside: "Zu Ihrer Sicherheit schließt sich diese Seite 30 Minuten, nachdem Sie den Link geöffnet haben.",
    },
    gone: Gone {
        used: (
            "Dieser Link wurde schon benutzt",
            "Jeder Link gilt nur einmal. So kann niemand Ihre Rechnung öffnen, der ihn später findet.",
        ),
        expired: ("Dieser Link ist abgelaufen", "Links gelten nur für begrenzte Zeit."),
        revoked: (
            "Dieser Link gilt nicht mehr",
            "Er wurde ersetzt oder zurückgenommen. Falls Sie bezahlt haben, ist Ihre Zahlung nicht verloren.",
        ),
        settled: (
            "Es ist nichts mehr zu zahlen",
            "Die Rechnung ist bezahlt oder wurde zurückgezogen. Sie brauchen nichts zu tun.",
        ),
        no_session: (
            "Hier ist keine Rechnung geöffnet",
            "Bitte öffnen Sie den Link in Ihrer E-Mail noch einmal. Hilft das nicht, erlauben Sie bitte Cookies für diese Seite.",
        ),
        session_over: (
            "Die 30 Minuten sind um",
            "Zu Ihrer Sicherheit schließt sich eine Rechnung 30 Minuten nach dem Öffnen. Falls Sie bezahlt haben, ist Ihre Zahlung nicht verloren.",
        ),
        offer: "Wir können Ihnen einen neuen Link an die E-Mail-Adresse senden, die uns von Ihnen vorliegt.",
        send: "Neuen Link senden",
        settled_offer: "Wir können Ihnen per E-Mail mitteilen, wie es um die Rechnung steht. Die Nachricht geht an die Adresse, die uns von Ihnen vorliegt.",
        settled_send: "E-Mail senden",
    },
    asked: Asked {
        title: "Bitte sehen Sie in Ihrem Postfach nach",
        lead: "Wenn uns eine E-Mail-Adresse von Ihnen vorliegt, ist eine Nachricht unterwegs.",
        aside: "Das kann einige Minuten dauern. Wenn nichts ankommt, sehen Sie bitte auch im Spam-Ordner nach.",
    },
    problem: Problems {
        not_found: (
            "Hier ist nichts",
            "Bitte prüfen Sie, ob der Link vollständig ist: Manche Programme trennen lange Links am Zeilenende.",
        ),
        bad_request: (
            "Das konnten wir nicht lesen",
            "Es wurde nichts geändert und nichts abgebucht. Bitte gehen Sie zurück und versuchen Sie es noch einmal.",
        ),
        too_many_tries: (
            "Zu viele Versuche",
            "Bitte warten Sie einige Minuten, und versuchen Sie es dann noch einmal.",
        ),
        internal: (
            "Uns ist ein Fehler unterlaufen",
            "Das liegt an uns, nicht an Ihnen, und wurde gemeldet. Bitte versuchen Sie es später noch einmal.",
        ),
        unavailable: (
            "Wir sind gleich wieder da",
            "Diese Seite lässt sich gerade nicht zeigen. Es ist nichts verloren gegangen. Bitte versuchen Sie es in einer Minute noch einmal.",
        ),
        request_id: "Kennung der Anfrage",
    },
    email: Email {
        subject: |number, seller| format!("Rechnung {number} von {seller}"),
        settled_subject: |number, seller| format!("Rechnung {number} von {seller}: nichts mehr zu zahlen"),
        greeting: "Guten Tag,",
        link: |number, seller| {
            format!(
                "hier ist Ihr Link zur Rechnung {number} von {seller}{} Sie können die Rechnung dort ansehen und bezahlen.",
                stop(seller)
            )
        },
        settled: |number, seller| {
            format!(
                "zur Rechnung {number} von {seller} ist nichts mehr zu zahlen: Sie ist bezahlt oder wurde zurückgezogen. \
                 Sie brauchen nichts zu tun. Bei Fragen wenden Sie sich bitte an {seller}{}",
                stop(seller)
            )
        },
        to_pay: "Zu zahlen",
        due_on: "Fällig am",
        once: |moment| {
            format!(
                "Der Link gilt einmal, bis {moment}. Wenn er nicht mehr gilt, können Sie auf seiner Seite einen neuen anfordern."
            )
        },
        unexpected: "Wenn Sie diese Nachricht nicht erwartet haben, brauchen Sie nichts zu tun.",
        foot: |seller| format!("Gesendet von Plixo für {seller}"),
    },
};
