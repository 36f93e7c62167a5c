//! Words of payers and banks, as [`plixo_domain::reference::fold`] leaves them.

/// Words that announce an invoice's number. In front of one they may stand in for its prefix.
const INVOICE: &[&str] = &[
    "INVOICE",
    "INVOICES",
    "INVOICENO",
    "INVOICENR",
    "INV",
    "INVS",
    "INVNO",
    "RECHNUNG",
    "RECHNUNGEN",
    "RECHNUNGSNR",
    "RECHNUNGNR",
    "RECHNUNGSNUMMER",
    "RECHNR",
    "RECHN",
    "RG",
    "RGNR",
    "RE",
    "RENR",
    "RNR",
    "RNRN",
    "BELEG",
    "BELEGNR",
    "FACTURE",
    "FACTURES",
    "FACT",
    "FAC",
    "FA",
    "FACTUUR",
    "FACTUREN",
    "FACTUURNR",
    "FACTUURNUMMER",
    "FACTURA",
    "FACTURAS",
    "FRA",
    "FRAS",
    "FATTURA",
    "FATTURE",
    "FATT",
    "FT",
    "FTT",
    "FAKTURA",
    "FAKTURY",
    "FAKTURE",
    "FAKTURANR",
    "FAKTURANUMMER",
    "FAKTUROR",
    "FAKTURAER",
    "FAKT",
    "FV",
    "LASKU",
    "OCR",
    "KID",
    "BILL",
    "DOC",
    "DOCUMENT",
    "NOTA",
];

/// Words that announce what a payment is for.
const PURPOSE: &[&str] = &[
    "PAYMENT",
    "PAYING",
    "PAYT",
    "PMT",
    "ZAHLUNG",
    "UEBERWEISUNG",
    "UBERWEISUNG",
    "PAIEMENT",
    "REGLEMENT",
    "VIREMENT",
    "BETALING",
    "BETALNING",
    "PAGO",
    "PAGAMENTO",
    "SALDO",
    "BONIFICO",
    "TRANSFERENCIA",
    "ZAPLATA",
    "WPLATA",
    "PRZELEW",
    "REF",
    "REFERENCE",
    "REFERENZ",
    "INNBETALING",
    "VERWENDUNGSZWECK",
    "VWZ",
];

/// Words that mean "number" of whatever was named before.
const NUMBER: &[&str] = &[
    "NR", "NRN", "NO", "NOS", "NUM", "NUMBER", "NUMBERS", "NUMMER", "NUMMERN", "NUMERO", "N", "NUMER", "NRO",
];

/// Words that announce the number of something else.
const OTHER: &[&str] = &[
    "ORDER",
    "ORDERS",
    "ORDERNR",
    "ORDERNO",
    "PO",
    "PURCHASE",
    "BESTELLUNG",
    "BESTELLNR",
    "BESTELLNUMMER",
    "BEST",
    "BESTNR",
    "AUFTRAG",
    "AUFTRAGSNR",
    "AUFTRAGSNUMMER",
    "KUNDE",
    "KUNDEN",
    "KUNDENNR",
    "KUNDENNUMMER",
    "KDNR",
    "KD",
    "KNR",
    "KDN",
    "CUSTOMER",
    "CUST",
    "CUSTNO",
    "ACCOUNT",
    "ACCT",
    "ACC",
    "AC",
    "COMMANDE",
    "CDE",
    "CLIENT",
    "CLIENTE",
    "PEDIDO",
    "ORDINE",
    "KLANT",
    "KLANTNR",
    "KLANTNUMMER",
    "BESTELLING",
    "BESTELNR",
    "KUND",
    "KUNDNR",
    "KUNDNUMMER",
    "KUNDENR",
    "ORDRE",
    "ORDRENR",
    "ORDERNUMMER",
    "ZAMOWIENIE",
    "KLIENT",
    "LIEFERSCHEIN",
    "LIEFERSCHEINNR",
    "LS",
    "DELIVERY",
    "VERTRAG",
    "VERTRAGSNR",
    "CONTRACT",
    "CONTRAT",
    "CONTRATO",
    "CONTRATTO",
    "AVTAL",
    "UMOWA",
    "MANDAT",
    "MANDATE",
    "POLICE",
    "POLICY",
    "PROJEKT",
    "PROJECT",
    "TERMINAL",
    "TRACE",
    "CHECK",
    "CHEQUE",
    "CHQ",
    "CK",
    "PLZ",
    "ZIP",
    "QUOTE",
    "ANGEBOT",
    "DEVIS",
    "OFFERTE",
    "UST",
    "STNR",
    "VAT",
    "TVA",
    "NIP",
    "SIRET",
    "BLZ",
];

/// Words after which a phone number follows.
const PHONE: &[&str] = &[
    "TEL",
    "TELEFON",
    "TELEPHONE",
    "PHONE",
    "FON",
    "FAX",
    "MOBIL",
    "MOBILE",
    "HANDY",
    "TLF",
    "TEF",
    "TFNO",
    "CELL",
];

/// Words between the numbers of a list.
const LIST: &[&str] = &["UND", "U", "AND", "ET", "Y", "E", "EN", "OG", "OCH", "I", "ORAZ", "SOWIE", "PLUS"];

/// Words between the first and the last number of a range.
const RANGE: &[&str] = &["BIS", "TO", "THRU", "THROUGH", "TOT", "AU", "AL", "TIL", "TILL", "DO"];

/// Words that banks and payers glue to a number.
const GLUE: &[&str] = &[
    "VOM", "V", "DATUM", "DATED", "DD", "DU", "DEL", "VAN", "AV", "AF", "Z", "FROM", "FOR", "FUER", "PER",
    "MIT", "ABZGL", "SKONTO", "LESS", "EUR", "USD", "GBP", "CHF", "SEK", "NOK", "PLN", "KD", "KDNR", "KUNDE",
];

const CURRENCIES: &[&str] = &[
    "EUR", "EURO", "EUROS", "USD", "GBP", "CHF", "SEK", "NOK", "DKK", "PLN", "CZK", "KR", "ZL", "FR", "SFR",
    "US",
];

/// Words of banks' own fields whose text is the payer's.
const OPEN_FIELD: &[&str] = &[
    "SVWZ", "EREF", "KREF", "REMI", "ROC", "RFB", "CINV", "USTD", "STRD", "RMT", "URI", "CNR", "TXT", "RMR",
    "IV", "ADX", "NTE",
];

/// Words of banks' own fields that hold no reference: mandates, creditors, accounts, names.
const CLOSED_FIELD: &[&str] = &[
    "MREF", "CRED", "DEBT", "IBAN", "BIC", "ABWA", "ABWE", "COAM", "OAMT", "MARF", "CSID", "TRCD", "ISDT",
    "TRN", "ORDP", "BENM",
];

pub(crate) fn says_invoice(word: &str) -> bool {
    INVOICE.contains(&word)
}

pub(crate) fn announces_invoice(word: &str) -> bool {
    says_invoice(word) || PURPOSE.contains(&word)
}

pub(crate) fn means_number(word: &str) -> bool {
    NUMBER.contains(&word)
}

pub(crate) fn announces_other(word: &str) -> bool {
    OTHER.contains(&word)
}

pub(crate) fn announces_phone(word: &str) -> bool {
    PHONE.contains(&word)
}

pub(crate) fn joins_list(word: &str) -> bool {
    LIST.contains(&word)
}

pub(crate) fn joins_range(word: &str) -> bool {
    RANGE.contains(&word)
}

pub(crate) fn is_currency(word: &str) -> bool {
    CURRENCIES.contains(&word)
}

pub(crate) fn opens_field(word: &str) -> bool {
    OPEN_FIELD.contains(&word)
}

/// Fields that hold an invoice's number: `RMR*IV*` of an X12 820, `/CINV/` of an MT103.
pub(crate) fn opens_invoice(word: &str) -> bool {
    matches!(word, "IV" | "CINV")
}

pub(crate) fn closes_field(word: &str) -> bool {
    CLOSED_FIELD.contains(&word)
}

/// A word that is no part of the number before it, though nothing stands between them.
pub(crate) fn may_be_glued(word: &str) -> bool {
    GLUE.contains(&word)
        || joins_list(word)
        || joins_range(word)
        || announces_invoice(word)
        || opens_field(word)
        || closes_field(word)
}

/// The word, and the prefix of a number that is glued to it.
pub(crate) fn glued_prefix(text: &str) -> Option<(&str, &str)> {
    let parts = INVOICE.iter().filter(|word| word.len() >= 5 && !may_announce(text));
    let parts = parts.filter_map(|word| Some((text.get(..word.len())?, text.strip_prefix(*word)?)));
    parts.filter(|(_, prefix)| (1..=4).contains(&prefix.len())).max_by_key(|(word, _)| word.len())
}

/// A word in front of a number that is no part of it.
pub(crate) fn may_announce(word: &str) -> bool {
    announces_invoice(word) || means_number(word) || joins_list(word) || opens_field(word)
}

/// Legal forms, which payers and banks write, shorten and leave out.
const LEGAL_FORMS: &[&str] = &[
    "GMBH", "AG", "KG", "OHG", "UG", "EK", "EG", "EV", "SE", "KGAA", "GBR", "MBH", "LTD", "LIMITED", "LLC",
    "LLP", "LP", "INC", "CORP", "PLC", "SA", "SARL", "SAS", "SASU", "EURL", "BV", "NV", "VOF", "SL", "SLU",
    "SRL", "SPA", "SNC", "AB", "HB", "AS", "ASA", "OY", "SPZOO", "ZOO", "COKG", "CO", "COMPANY",
];

pub(crate) fn is_legal_form(word: &str) -> bool {
    LEGAL_FORMS.contains(&word)
}
