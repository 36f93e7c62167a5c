"""Writes the corpus of labelled payments: `python3 tests/corpus/cash/generate.py`. The same files every time.

Two halves, `develop` and `measure`, with other seeds, payers, phrases and some other numbering styles. A half is `books.jsonl`
(an organisation's customers and invoices a line) and `cases.jsonl` (a payment and what is right for it a line).
It knows nothing of the engine: what is right follows from how a case was made.
"""

import datetime
import json
import pathlib
import random
import unicodedata

HERE = pathlib.Path(__file__).parent
TODAY = datetime.date(2026, 11, 28)

# ---- Vocabularies, one a half ----------------------------------------------------------------------------------------------

HALVES = {
    "develop": {
        "seed": 20261128,
        "names": {
            "DE": ["Müller Transporte", "Schäfer Elektrotechnik", "Bäckerei Größmann", "Hofmann Metallbau", "Nordlicht Medien",
                   "Weiß Gebäudereinigung", "Krüger Haustechnik", "Ostsee Kontor", "Jäger Zerspanung", "Lindenhof Pflege"],
            "AT": ["Steiner Holzbau", "Alpenblick Hotellerie", "Grüner Spedition"],
            "CH": ["Zürcher Treuhand", "Bergbahn Oberland", "Käserei Emmental"],
            "FR": ["Boulangerie Lefèvre", "Garage de l'Étoile", "Château Beaumont Vins"],
            "NL": ["Van der Berg Bloemen", "De Groot Installatie", "Waterland Zuivel"],
            "ES": ["Construcciones Muñoz", "Aceites del Sur", "Talleres Peña"],
            "IT": ["Officine Bianchi", "Caffè Vesuvio", "Tessuti Lombardi"],
            "SE": ["Åkerlund Bygg", "Sjöberg Marin"],
            "NO": ["Fjellvåg Fisk", "Bjørnstad Entreprenør"],
            "PL": ["Zakłady Łódzkie", "Piekarnia Wiśniewski"],
            "UK": ["Harrow & Finch", "Thornbury Plumbing", "Kestrel Print Works"],
            "US": ["Blue Ridge Supply", "Cascade Dental Partners", "Redwood Logistics"],
        },
        "phrases": {
            "DE": ["Rechnung {n}", "Rechnung Nr. {n} vom {d}", "RE-Nr. {n} Kd.Nr. {k}", "Rg {n}", "Zahlung Rechnung {n} vielen Dank", "Rechnungsnr. {n}, {name}"],
            "AT": ["Rechnung {n} Kunde {k}", "RE {n} v. {d}"],
            "CH": ["Rechnung {n} {name}", "Zahlung Faktura {n}"],
            "FR": ["Facture {n}", "Règlement facture n° {n} du {d}", "FACT {n} client {k}"],
            "NL": ["Factuur {n}", "Betaling factuurnr {n} klantnr {k}"],
            "ES": ["Factura {n}", "Pago fra. {n} de {d}"],
            "IT": ["Fattura {n}", "Saldo fatt. n. {n} del {d}"],
            "SE": ["Faktura {n}", "Betalning faktura {n} kundnr {k}"],
            "NO": ["Faktura {n}", "Betaling fakturanr {n}"],
            "PL": ["Faktura {n}", "Zapłata za FV {n} z dnia {d}"],
            "UK": ["Invoice {n}", "INV {n} {name}", "Payment inv no {n} acct {k}"],
            "US": ["Invoice {n}", "PMT INVOICE # {n}", "Inv. {n} dated {d}"],
        },
        "nothing": ["Miete {m} Wohnung {r}", "Gehalt {m}", "Umsatzsteuer {m} StNr {r}/{r}/{r5}", "Loyer {m}", "Rent {m} flat {r}", "Spende Verein",
                    "Auszahlung PayPal {r5}{r5}", "Salary {m}", "Übertrag", "Danke!"],
        "styles": ["INV", "YEAR", "RE", "BARE", "A"],
    },
    "measure": {
        "seed": 777000111,
        "names": {
            "DE": ["Köhler Dachdecker", "Süd-West Pumpentechnik", "Dr. Hübner Zahnmedizin", "Fritz Öhler Druck", "Havelland Agrar",
                   "Straßenbau Meißner", "Böttcher Optik", "Elbe Logistik", "Rühl Feinmechanik", "Königsblau Design"],
            "AT": ["Wachau Weinhandel", "Tauern Energie", "Pöllinger Möbel"],
            "CH": ["Lac Léman Nautique", "Säntis Software", "Rhône Papeterie"],
            "FR": ["Ateliers Desprès", "Pharmacie du Marché", "Transports Lacoste"],
            "NL": ["Jansen Techniek", "Zeeland Mosselen", "Brouwerij 't Anker"],
            "ES": ["Viñedos Castaño", "Imprenta Núñez", "Hostelería Mar Azul"],
            "IT": ["Ceramiche Rossi", "Pelletterie Fabbri", "Cantina Verità"],
            "SE": ["Göteborgs Ventilation", "Älvdalens Trä"],
            "NO": ["Sørlandet Båt", "Ålesund Kjøl"],
            "PL": ["Huta Śląska", "Meble Żółkiewski"],
            "UK": ["Pemberton Joinery", "Saltmarsh Seafoods", "Whitlock & Rowe"],
            "US": ["Prairie Wind Farms", "Old Mill Coffee Roasters", "Lakeshore Pediatrics"],
        },
        "phrases": {
            "DE": ["Ihre Rechnung {n}", "Rechnungsnummer {n}", "RNr. {n} / KdNr. {k}", "Beleg {n} vom {d}", "RG-NR {n} {name}", "Überweisung zu Rechnung {n}, Danke"],
            "AT": ["Rechnungs-Nr. {n}", "Zahlung RG {n} vom {d}"],
            "CH": ["Rg. Nr. {n} vom {d}", "Rechnung: {n}"],
            "FR": ["Votre facture {n} du {d}", "VIREMENT FACTURE {n}", "Paiement fac. {n} réf client {k}"],
            "NL": ["Betreft factuur {n} d.d. {d}", "Fact. nr. {n}"],
            "ES": ["Abono factura {n}", "Transferencia factura n. {n} cliente {k}"],
            "IT": ["Pagamento fattura n. {n} del {d}", "Bonifico ft {n}"],
            "SE": ["Avser faktura {n}", "Fakturanr {n} {name}"],
            "NO": ["Gjelder faktura {n} av {d}", "Innbetaling faktura {n}"],
            "PL": ["Przelew za fakturę nr {n}", "Faktura nr {n} z {d}"],
            "UK": ["Your invoice {n}", "{name} invoice {n}", "Inv: {n} order {k}"],
            "US": ["Invoice no. {n} customer {k}", "PAYMENT FOR INV {n}", "Bill {n} - thank you"],
        },
        "nothing": ["Kaution Büro {r}", "Lohn {m}", "Versicherung Police {r5}-{r}", "Cotisation {m}", "Council tax {m} ref {r5}{r}", "Deposit refund",
                    "Kartenzahlung Terminal {r5}{r} Beleg {r}", "Payroll {m}", "Umbuchung", "viele Grüße"],
        "styles": ["INV", "YEAR", "RE", "BARE", "A", "RGD", "PLS"],
    },
}
FORMS = {"DE": ["GmbH", "AG", "GmbH & Co. KG", "e.K.", "KG"], "AT": ["GmbH", "KG"], "CH": ["AG", "GmbH", "SA"], "FR": ["SARL", "SAS"], "NL": ["B.V."],
         "ES": ["S.L.", "S.A."], "IT": ["S.r.l.", "S.p.A."], "SE": ["AB"], "NO": ["AS"], "PL": ["Sp. z o.o."], "UK": ["Ltd", "Limited"], "US": ["Inc.", "LLC"]}
PLACES = {"DE": ["Nord", "Berlin", "Süd"], "AT": ["Wien"], "CH": ["Bern"], "FR": ["Lyon"], "NL": ["Delft"], "ES": ["Norte"], "IT": ["Roma"], "SE": ["Malmö"],
          "NO": ["Oslo"], "PL": ["Gdańsk"], "UK": ["London"], "US": ["West"]}
CURRENCY = {"CH": "CHF", "SE": "SEK", "NO": "NOK", "PL": "PLN", "UK": "GBP", "US": "USD"}
AND = {"DE": ["und", "u.", "+", ","], "AT": ["und", "+"], "CH": ["und", ","], "FR": ["et", ","], "NL": ["en", "+"], "ES": ["y", ","], "IT": ["e", ","], "SE": ["och", ","],
       "NO": ["og", "+"], "PL": ["i", ","], "UK": ["and", "&", ","], "US": ["and", "&", ";"]}
MONTHS = ["Januar", "February", "März", "avril", "May", "Juni", "July", "September", "Oktober", "November"]


def day(offset):
    return TODAY + datetime.timedelta(days=offset)


def money_text(amount, country):
    whole, cents = divmod(amount, 100)
    if country in ("UK", "US", "CH"):
        return f"{whole:,}.{cents:02}" if country != "CH" else f"{whole:,}.{cents:02}".replace(",", "'")
    return f"{whole:,}".replace(",", ".") + f",{cents:02}"


def date_text(date, country, rng):
    if country == "US":
        return date.strftime("%m/%d/%Y")
    if country in ("SE", "NL"):
        return date.strftime("%Y-%m-%d")
    if country in ("FR", "UK", "ES", "IT"):
        return date.strftime("%d/%m/%Y")
    return date.strftime(rng.choice(["%d.%m.%Y", "%d.%m.%y", "%d.%m."]))


def plain(text):
    """As banks without accents have it."""
    for a, b in [("ä", "ae"), ("ö", "oe"), ("ü", "ue"), ("Ä", "Ae"), ("Ö", "Oe"), ("Ü", "Ue"), ("ß", "ss"), ("ø", "o"), ("Ø", "O"), ("ł", "l"), ("Ł", "L"), ("å", "a"), ("Å", "A")]:
        text = text.replace(a, b)
    return "".join(c for c in unicodedata.normalize("NFKD", text) if ord(c) < 128)


# ---- Books -----------------------------------------------------------------------------------------------------------------


def numbers(style, rng):
    """Invoice numbers of a style, oldest first, without end but for `INV`."""
    if style == "INV":
        yield from (f"INV-{n}" for n in range(1, 10_000) if n < 60 or rng.random() < 0.35)
    n = {"BARE": 10_000, "RGD": 4_000, "PLS": 100}.get(style, 0)
    for year in (2025, 2026, 2027):
        count = 0
        n = n if style in ("BARE", "RGD") else 0
        while count < 5_000:
            n += 1 if rng.random() < 0.7 else rng.randint(2, 5)
            count += 1
            if style == "YEAR":
                yield f"{year}-{n:05}"
            elif style == "RE":
                yield f"RE{year}/{n:04}"
            elif style == "BARE":
                yield str(n)
            elif style == "A":
                yield f"A-{year}-{1 + n // 40}-{1 + n % 40}"
            elif style == "RGD":
                yield f"RG-{n:06}"
            elif style == "PLS":
                yield f"FS/{n}/{1 + n // 30 % 12:02}/{year}"
            if style in ("YEAR", "RE", "A", "PLS") and count > 420:
                break


def make_book(name, style, half, rng):
    country = {"INV": "US", "YEAR": "DE", "RE": "DE", "BARE": "FR", "A": "CH", "RGD": "AT", "PLS": "PL"}[style]
    customers, taken = [], set()
    for land, bases in half["names"].items():
        for base in bases:
            for place in ["", *PLACES[land]] if rng.random() < 0.6 else [""]:
                full = " ".join(filter(None, [base, place, rng.choice(FORMS[land])]))
                if full not in taken:
                    taken.add(full)
                    customers.append({"names": [full], "country": land, "seen": []})
    # Companies whose names differ by the legal form alone.
    for customer in rng.sample(customers, 6):
        base, land = customer["names"][0], customer["country"]
        for form in FORMS[land]:
            if base.endswith(" " + form):
                other = base.removesuffix(form) + rng.choice([f for f in FORMS[land] if f != form] or ["Holding"])
                if other not in taken:
                    taken.add(other)
                    customers.append({"names": [other], "country": land, "seen": []})
                break
    for customer in customers:
        if rng.random() < 0.4:
            customer["seen"].append([plain(customer["names"][0]).upper(), rng.randint(1, 9)])
    rng.shuffle(customers)
    stream, invoices = numbers(style, rng), []
    big = rng.sample(range(len(customers)), 3)
    count = 1_000 if style == "INV" else 760
    for at in range(count):
        who = rng.choice(big) if rng.random() < 0.15 else rng.randrange(len(customers))
        fixed = rng.random() < (0.5 if style in ("INV", "BARE") else 0.08)
        total = rng.choice([4900, 9900, 11900, 29000]) if fixed else rng.randint(1_500, 900_000)
        issued = day(-400 + at * 400 // count)
        balance = total
        if rng.random() < 0.12:
            balance = 0
        elif rng.random() < 0.04:
            balance = total // 2
        discount = None
        if rng.random() < 0.25 and balance == total:
            discount = [rng.choice([200, 300]), rng.choice([10, 14])]
        number = next(stream)
        if style == "INV" and 30 <= at < 40:
            # Another way to write the number before: people tell them apart, payers do not.
            number = f"INV-0{invoices[-1][0][4:]}" if at % 2 else number
        invoices.append([number, who, total, balance, str(issued), str(issued + datetime.timedelta(days=30)), discount])
    currency = "EUR" if country in ("DE", "FR", "AT") else CURRENCY[country]
    return {"book": name, "style": style, "currency": currency, "customers": customers, "invoices": invoices}


# ---- How a text reaches us -------------------------------------------------------------------------------------------------


def mt940(text, rng, strip):
    width = 27
    body = rng.choice(["SVWZ+", "EREF+NOTPROVIDED SVWZ+", f"EREF+{rng.randint(10**9, 10**10)} MREF+M-{rng.randint(1000, 99999)} CRED+DE98ZZZ09999999999 SVWZ+"]) + plain(text)
    lines = [body[i:i + width] for i in range(0, len(body), width)][:10]
    if strip:
        lines = [line.rstrip() for line in lines]
    return "166?00GUTSCHRIFT?109251" + "".join(f"?{20 + n}{line}" for n, line in enumerate(lines)) + "?30DEUTDEFFXXX?31DE89370400440532013000?32PAYER"


def channel(text, country, rng):
    kind = rng.random()
    if country in ("DE", "AT") and kind < 0.25:
        return mt940(text, rng, rng.random() < 0.3)
    if kind < 0.35:
        return plain(text).upper()
    if kind < 0.45:
        flat = plain(text).upper()
        return "\n".join(flat[i:i + 35] for i in range(0, len(flat), 35))
    if kind < 0.5:
        return "/ROC/NOTPROVIDED//" + plain(text)
    if kind < 0.55:
        return f"EREF: {rng.randint(10**11, 10**12)} " + text
    if kind < 0.6:
        return text + f" Tel. +49 30 {rng.randint(10**6, 10**7)}"
    if kind < 0.63:
        return f"IBAN DE89 3704 0044 0532 0130 00 BIC COBADEFFXXX {text}"
    if kind < 0.66:
        return text.lower()
    return text


def payer_text(name, rng):
    kind = rng.random()
    if kind < 0.35:
        return name
    if kind < 0.65:
        return plain(name).upper()
    if kind < 0.75:
        return plain(name).upper()[:27].strip()
    if kind < 0.82:
        return plain(name)[:18].strip()
    if kind < 0.88:
        return name.rsplit(" ", 1)[0]
    return None


# ---- Cases -----------------------------------------------------------------------------------------------------------------


class Maker:
    def __init__(self, half, books, rng):
        self.half, self.books, self.rng, self.cases = half, books, rng, []
        for book in books:
            doubles = [n for n, it in enumerate(book["invoices"]) if it[0].startswith("INV-0")]
            book["twins"] = {*doubles, *(n - 1 for n in doubles)}

    def book(self, *styles):
        return self.rng.choice([b for b in self.books if not styles or b["style"] in styles])

    def open(self, book, fits=lambda invoice: True):
        return self.rng.choice([n for n, it in enumerate(book["invoices"]) if it[3] > 0 and fits(it) and n not in book["twins"]])

    def open_of(self, book, who):
        return [n for n, it in enumerate(book["invoices"]) if it[1] == who and it[3] > 0 and n not in book["twins"]]

    def name(self, book, n):
        return book["customers"][book["invoices"][n][1]]["names"][0]

    def country(self, book, n):
        return book["customers"][book["invoices"][n][1]]["country"]

    def phrase(self, book, n, number, country=None):
        country = country or self.country(book, n)
        rng = self.rng
        template = rng.choice(self.half["phrases"][country])
        text = template.format(n=number, name=self.name(book, n), k=rng.randint(200, 99_999),
                               d=date_text(datetime.date.fromisoformat(book["invoices"][n][4]), country, rng))
        if rng.random() < 0.15:
            text += f" {book['currency']} {money_text(book['invoices'][n][3], country)}"
        return text

    def add(self, kind, book, amount, text, payer, answer, received=None, **more):
        """`answer`: pairs of an invoice's place and an amount, or "ask"."""
        case = {"book": book["book"], "kind": kind, "amount": amount, "text": text, "on": str(received or TODAY)}
        if payer:
            case["payer"] = payer
        case.update(more)
        case["answer"] = answer if answer == "ask" else sorted([n, part] for n, part in answer)
        self.cases.append(case)

    # Each of these makes one case.

    def exact_reference(self):
        book, rng = self.book(), self.rng
        n = self.open(book)
        it, country = book["invoices"][n], self.country(book, n)
        kind = rng.random()
        if kind < 0.06:
            text = f"RMR*IV*{it[0]}**{it[3] / 100:.2f}~REF*TN*{rng.randint(1000, 9999)}~"
        elif kind < 0.12 and len(it[0]) <= 18:
            text = f"{it[0]} {plain(self.name(book, n)).upper()}"[:18].strip() if book["style"] != "BARE" else f"INV {it[0]}"
        elif kind < 0.18:
            text = it[0]
        else:
            text = channel(self.phrase(book, n, it[0]), country, rng)
        self.add("exact_reference", book, it[3], text, payer_text(self.name(book, n), rng), [(n, it[3])])

    def separators(self):
        book, rng = self.book("INV", "RE", "YEAR", "RGD", "A"), self.rng
        n = self.open(book)
        it = book["invoices"][n]
        number = it[0]
        kind = rng.randrange(4)
        if kind == 0 and book["style"] in ("INV", "RE", "RGD", "YEAR"):
            number = "".join(c for c in number if c.isalnum())
        elif kind == 1:
            number = number.replace("-", " ").replace("/", " ")
        elif kind == 2:
            number = number.replace("-", rng.choice(["/", ".", "_"])).replace("/", rng.choice(["-", "."]))
        elif book["style"] == "INV":
            number = f"INV-{int(it[0][4:]):06}"
        else:
            number = "".join(part.lstrip("0") if part.isdigit() else part for part in split(number))
        self.add("separators", book, it[3], channel(self.phrase(book, n, number.lower() if rng.random() < 0.2 else number), self.country(book, n), rng),
                 payer_text(self.name(book, n), rng), [(n, it[3])])

    def noisy_reference(self):
        book, rng = self.book(), self.rng
        n = self.open(book)
        it = book["invoices"][n]
        number = it[0]
        kind = rng.randrange(5)
        if kind == 0:
            number = number.replace("0", "O", 1) if "0" in number else number.replace("1", "I", 1)
        elif kind == 1:
            number = number.replace("1", "l", 1) if "1" in number else number.replace("5", "S", 1)
        elif kind == 2:
            number = "".join(part for part in split(number) if not part.isalpha()).strip("-/ ")
        elif kind == 3:
            number = split(number)[-1]
        else:
            at = rng.randrange(len(number) - 1)
            swapped = number[:at] + number[at + 1] + number[at] + number[at + 2:]
            # Another digit, which may well be another invoice's number.
            number = swapped if swapped != number else number[:-1] + str((int(number[-1]) + 1) % 10)
        text = channel(self.phrase(book, n, number), self.country(book, n), rng)
        answer = [(n, it[3])]
        self.add("noisy_reference", book, it[3], text, payer_text(self.name(book, n), rng), answer)

    def folded(self):
        book, rng = self.book("RE", "YEAR", "A", "RGD"), self.rng
        n = self.open(book)
        it = book["invoices"][n]
        number = it[0]
        cut = rng.randrange(1, len(number))
        lead = "SVWZ+" + rng.choice(["RECHNUNG ", "RG.NR. ", "FAKTURA "])
        filler = "DANKE FUER DIE GUTE ZUSAMMENARBEIT "
        head = (lead[:5] + filler[:27 - cut - (len(lead) - 5) - 5].rstrip().ljust(27 - cut - (len(lead) - 5) - 5) + lead[5:] + number)[:27]
        body = head + number[cut:] + f" VOM {it[4][8:]}.{it[4][5:7]}.{it[4][:4]}"
        lines = [body[i:i + 27] for i in range(0, len(body), 27)]
        text = "166?00GUTSCHRIFT" + "".join(f"?{20 + k}{line}" for k, line in enumerate(lines)) + "?32PAYER"
        self.add("folded", book, it[3], text, payer_text(self.name(book, n), rng), [(n, it[3])])

    def several(self, least=2, most=5):
        rng = self.rng
        while True:
            book = self.book()
            n = self.open(book)
            own = self.open_of(book, book["invoices"][n][1])
            if len(own) >= least:
                return book, sorted(rng.sample(own, min(len(own), rng.randint(least, most))))

    def sum(self):
        book, chosen = self.several()
        rng = self.rng
        country = self.country(book, chosen[0])
        names = [book["invoices"][n][0] for n in chosen]
        kind = rng.random()
        if kind < 0.2 and book["style"] in ("RE", "YEAR", "INV", "RGD"):
            # The beginning once.
            head = split(names[0])[:-1]
            if all(split(name)[:-1] == head for name in names):
                names = [names[0], *(split(name)[-1] for name in names[1:])]
        glue = rng.choice(AND[country])
        if glue in (",", ";"):
            listed = f"{glue} ".join(names)
        elif rng.random() < 0.5:
            listed = ", ".join(names[:-1]) + f" {glue} {names[-1]}"
        else:
            listed = f" {glue} ".join(names)
        amount = sum(book["invoices"][n][3] for n in chosen)
        text = self.phrase(book, chosen[0], listed)
        self.add("sum", book, amount, channel(text.split(book["currency"] + " ")[0], country, rng), payer_text(self.name(book, chosen[0]), rng),
                 [(n, book["invoices"][n][3]) for n in chosen])

    def range(self):
        rng = self.rng
        book = self.book("INV", "YEAR", "RE", "BARE")
        while True:
            first = self.open(book)
            size = rng.randint(3, 5)
            chosen = list(range(first, first + size))
            if chosen[-1] < len(book["invoices"]) and all(book["invoices"][n][3] > 0 for n in chosen):
                ends = [int(split(book["invoices"][n][0])[-1]) for n in (chosen[0], chosen[-1])]
                if ends[1] - ends[0] < 12 and split(book["invoices"][chosen[0]][0])[:-1] == split(book["invoices"][chosen[-1]][0])[:-1]:
                    break
        a, b = (book["invoices"][n][0] for n in (chosen[0], chosen[-1]))
        text = f"{rng.choice(['Rechnungen', 'Invoices'])} {a} {rng.choice(['bis', 'to', '-'])} {b}"
        amount = sum(book["invoices"][n][3] for n in chosen)
        payer = payer_text(self.name(book, chosen[0]), rng)
        self.add("range", book, amount, text, payer, [(n, book["invoices"][n][3]) for n in chosen])

    def structured(self):
        rng = self.rng
        book = self.book("BARE", "YEAR", "RGD", "RE", "INV")
        n = self.open(book)
        it = book["invoices"][n]
        kind = rng.randrange(4)
        flat = "".join(c for c in it[0] if c.isalnum())
        digits = "".join(c for c in it[0] if c.isdigit())
        more = {}
        if kind == 0:
            value = "".join(str(int(c, 36)) for c in flat + "RF00")
            reference = f"RF{98 - int(value) % 97:02}{flat}"
            text = " ".join(reference[i:i + 4] for i in range(0, len(reference), 4)) if rng.random() < 0.5 else reference
        elif kind == 1:
            payload = f"{rng.randint(10**8, 10**9)}{digits}".zfill(26)
            reference = payload + mod10(payload)
            text = ""
        else:
            payload = digits
            reference = payload + luhn(payload)
            text = f"{'OCR' if kind == 2 else 'KID'} {reference}"
        if rng.random() < 0.5 or kind == 1:
            more["structured"] = reference
            text = rng.choice(["", plain(self.name(book, n))])
        self.add("structured", book, it[3], text, payer_text(self.name(book, n), rng), [(n, it[3])], **more)

    def discount(self):
        rng = self.rng
        book = self.book()
        n = self.open(book, lambda it: it[6])
        it = book["invoices"][n]
        percent, days = it[6]
        issued = datetime.date.fromisoformat(it[4])
        late = rng.random() < 0.25
        received = issued + datetime.timedelta(days=days + (rng.randint(1, 9) if late else -rng.randint(0, days - 1)))
        amount = it[2] - (it[2] * percent + 5_000) // 10_000
        text = self.phrase(book, n, it[0]) + rng.choice(["", " abzgl. Skonto", f" -{percent // 100}%", f" {percent // 100} % Skonto"])
        self.add("discount", book, amount, channel(text.split(book["currency"] + " ")[0], self.country(book, n), rng), payer_text(self.name(book, n), rng), [(n, amount)], received)

    def short(self):
        rng = self.rng
        book = self.book()
        n = self.open(book, lambda it: it[3] > 5_000)
        it = book["invoices"][n]
        kind = rng.randrange(3)
        amount = it[3] - (rng.randint(1, 500) if kind == 0 else rng.choice([500, 1000, 1500, 2500]) if kind == 1 else it[3] // 2)
        text = channel(self.phrase(book, n, it[0]).split(book["currency"] + " ")[0], self.country(book, n), rng)
        more = {"tolerance": True} if kind == 0 and rng.random() < 0.5 else {}
        self.add("short", book, amount, text, payer_text(self.name(book, n), rng), [(n, amount)], **more)

    def over(self):
        rng = self.rng
        book = self.book()
        n = self.open(book)
        it = book["invoices"][n]
        amount = it[3] + rng.choice([1, 100, 1000, it[3]])
        text = channel(self.phrase(book, n, it[0]).split(book["currency"] + " ")[0], self.country(book, n), rng)
        self.add("over", book, amount, text, payer_text(self.name(book, n), rng), [(n, it[3])])

    def name_only(self):
        rng = self.rng
        book = self.book()
        n = self.open(book)
        it = book["invoices"][n]
        own = self.open_of(book, it[1])
        payer = self.name(book, n) if rng.random() < 0.6 else plain(self.name(book, n)).upper()
        text = rng.choice(["", "Rechnung", "Zahlung", "Invoice", "offene Posten", "payment", plain(payer)])
        if rng.random() < 0.3 and len(own) > 1:
            self.add("name_only", book, sum(book["invoices"][m][3] for m in own), text, payer, [(m, book["invoices"][m][3]) for m in own])
        else:
            others = [m for m, other in enumerate(book["invoices"]) if other[3] == it[3] and m != n]
            self.add("name_only", book, it[3], text, payer, "ask" if others else [(n, it[3])])

    def tie(self):
        rng = self.rng
        while True:
            book = self.book("INV", "BARE")
            n = self.open(book, lambda it: it[3] in (4900, 9900, 11900, 29000))
            it = book["invoices"][n]
            same = [m for m in self.open_of(book, it[1]) if book["invoices"][m][3] == it[3]]
            if len(same) > 1:
                break
        payer = payer_text(self.name(book, n), rng)
        text = rng.choice(["", f"Abo {rng.choice(MONTHS)}", "subscription", plain(self.name(book, n)), "Rechnung"])
        self.add("tie", book, it[3], text, payer, "ask")

    def wrong(self):
        """A number that the payer did not mean."""
        rng = self.rng
        book = self.book()
        n, m = self.open(book), self.open(book)
        it, other = book["invoices"][n], book["invoices"][m]
        kind = rng.randrange(4)
        if kind == 0:
            # Of somebody else, with another amount.
            if it[3] == other[3] or it[1] == other[1]:
                return self.wrong()
            self.add("wrong", book, it[3], channel(self.phrase(book, n, other[0]).split(book["currency"] + " ")[0], self.country(book, n), rng), self.name(book, n), "ask")
        elif kind == 1:
            # Of somebody else, with the same amount.
            same = [k for k, third in enumerate(book["invoices"]) if third[3] == it[3] and third[1] != it[1]]
            if not same:
                return self.wrong()
            m = rng.choice(same)
            self.add("wrong", book, it[3], channel(self.phrase(book, n, book["invoices"][m][0]), self.country(book, n), rng),
                     rng.choice([self.name(book, n), plain(self.name(book, n)).upper()]), "ask")
        elif kind == 2:
            # Paid already.
            paid = [k for k, third in enumerate(book["invoices"]) if third[3] == 0]
            m = rng.choice(paid)
            self.add("wrong", book, book["invoices"][m][2], channel(self.phrase(book, m, book["invoices"][m][0]).split(book["currency"] + " ")[0], self.country(book, m), rng),
                     payer_text(self.name(book, m), rng), "ask")
        else:
            # Nobody's.
            number = {"INV": "INV-99871", "YEAR": "2026-71234", "RE": "RE2026/8123", "BARE": "9917342", "A": "A-2026-99-1", "RGD": "RG-912345", "PLS": "FS/9123/11/2026"}[book["style"]]
            self.add("wrong", book, rng.choice([it[3], rng.randint(1_000, 90_000)]), channel(self.phrase(book, n, number).split(book["currency"] + " ")[0], self.country(book, n), rng), self.name(book, n), "ask")
        return None

    def order_number(self):
        """The number of an order, a customer or a delivery that is an open invoice's too."""
        rng = self.rng
        book = self.book("BARE", "YEAR", "INV")
        n, m = self.open(book), self.open(book)
        it, other = book["invoices"][n], book["invoices"][m]
        number = "".join(c for c in other[0] if c.isdigit() or c == "-").strip("-")
        word = rng.choice(["Order ", "PO ", "PO-", "Bestellung ", "Kundennr. ", "Auftrag ", "AUF-", "commande ", "Lieferschein ", "Our order no. "])
        amount = other[3] if rng.random() < 0.5 else it[3]
        payer = self.name(book, rng.choice([n, m]))
        self.add("order_number", book, amount, channel(f"{word}{number}", self.country(book, n), rng), payer, "ask")

    def group(self):
        """A parent pays for a subsidiary."""
        rng = self.rng
        book = self.book()
        n = self.open(book)
        it = book["invoices"][n]
        payer = rng.choice([f"{self.name(book, n).split(' ')[0]} Holding AG", "Konzern Shared Services GmbH", rng.choice(book["customers"])["names"][0]])
        who = next((k for k, c in enumerate(book["customers"]) if c["names"][0] == payer), None)
        if who is not None and any(book["invoices"][m][3] == it[3] for m in self.open_of(book, who)):
            return self.group()
        self.add("group", book, it[3], channel(self.phrase(book, n, it[0]), self.country(book, n), rng), payer, [(n, it[3])])
        return None

    def similar_name(self):
        rng = self.rng
        book = self.book()
        n = self.open(book)
        it = book["invoices"][n]
        payer = " ".join(plain(self.name(book, n)).upper().split(" ")[:2])
        self.add("similar_name", book, it[3] + rng.choice([0, 0, -100, 1000]), rng.choice(["", "Zahlung", "invoice"]), payer, "ask")

    def none(self):
        rng = self.rng
        book = self.book()
        text = rng.choice(self.half["nothing"])
        text = text.format(m=rng.choice(MONTHS), r=rng.randint(1, 999), r5=rng.randint(10_000, 99_999))
        amount = book["invoices"][self.open(book)][3] if rng.random() < 0.4 else rng.randint(1_000, 200_000)
        self.add("none", book, amount, channel(text, "DE", rng), rng.choice(["Erika Mustermann", "Stadtwerke", "Finanzamt", "J. Doe", None]), "ask")

    def duplicate(self):
        """Paid twice, while another invoice of the same amount is open."""
        rng = self.rng
        while True:
            book = self.book("INV", "BARE")
            paid = [k for k, it in enumerate(book["invoices"]) if it[3] == 0 and any(
                book["invoices"][m][3] == it[2] for m in self.open_of(book, it[1]))]
            if paid:
                break
        n = rng.choice(paid)
        it = book["invoices"][n]
        self.add("duplicate", book, it[2], channel(self.phrase(book, n, it[0]), self.country(book, n), rng), self.name(book, n), "ask")

    def collision(self):
        """A number of which two open invoices have a form."""
        rng = self.rng
        book = self.book("INV")
        twins = [n for n, it in enumerate(book["invoices"]) if it[0].startswith("INV-0") and it[3] > 0 and book["invoices"][n - 1][3] > 0]
        n = rng.choice(twins) - rng.randrange(2)
        self.add("collision", book, book["invoices"][n][3], f"{rng.choice(['Invoice', 'Rechnung'])} {book['invoices'][n][0]}", payer_text(self.name(book, n), rng), "ask")

    def date_trap(self):
        """A date that is an invoice's number but for its prefix."""
        rng = self.rng
        book = self.book("A")
        n = self.open(book, lambda it: int(it[0].split("-")[2]) <= 12 and int(it[0].split("-")[3]) <= 28)
        it = book["invoices"][n]
        year, month, date = it[0].split("-")[1:]
        text = f"{rng.choice(['Überweisung vom', 'Zahlung', 'Wertstellung', 'paid on'])} {year}-{int(month):02}-{int(date):02}"
        payer = self.name(book, n) if rng.random() < 0.5 else self.name(book, self.open(book))
        self.add("date_trap", book, it[3], text, payer, "ask")

    def named_more(self):
        """Two are named, one is paid."""
        book, chosen = self.several(2, 2)
        rng = self.rng
        text = " ".join(book["invoices"][n][0] for n in chosen)
        country = self.country(book, chosen[0])
        self.add("named_more", book, book["invoices"][rng.choice(chosen)][3], channel(f"{rng.choice(['Rechnungen', 'invoices'])} {text}", country, rng),
                 payer_text(self.name(book, chosen[0]), rng), "ask")

    def bare_number(self):
        """A number alone, of whatever, that is an open invoice's with a usual amount."""
        rng = self.rng
        book = self.book("BARE")
        n = self.open(book, lambda it: it[3] in (4900, 9900, 11900))
        it = book["invoices"][n]
        text = rng.choice(["{}", "Ref {}", "Zahlung {}", "payment {}", "{} Danke", "ID {}"]).format(it[0])
        self.add("bare_number", book, it[3], text, rng.choice([None, "Erika Mustermann", "J. Doe"]), "ask")

    def instruction(self):
        book, chosen = self.several(2, 6)
        rng = self.rng
        parts = [(n, book["invoices"][n][3] if rng.random() < 0.7 else max(1, book["invoices"][n][3] * 9 // 10)) for n in chosen]
        lines = [[book["invoices"][n][0], part] for n, part in parts]
        self.add("instruction", book, sum(part for _, part in parts), rng.choice(["", "see remittance advice"]), payer_text(self.name(book, chosen[0]), rng), parts, instruction=lines)

    def nearby(self):
        """Short numbers that begin alike: INV-1 and INV-10."""
        rng = self.rng
        book = self.book("INV")
        n = self.open(book, lambda it: len(it[0]) <= 6)
        it = book["invoices"][n]
        if rng.random() < 0.5:
            longer = [m for m, other in enumerate(book["invoices"]) if other[0].startswith(it[0]) and other[0] != it[0] and other[3] > 0]
            if longer:
                # The longer one's number with the shorter one's amount.
                other = book["invoices"][rng.choice(longer)]
                if other[3] != it[3]:
                    self.add("wrong", book, it[3], f"Invoice {other[0]}", None, "ask")
                    return
        self.add("exact_reference", book, it[3], f"Invoice {it[0]}", payer_text(self.name(book, n), rng), [(n, it[3])])


def split(number):
    parts, now = [], ""
    for c in number:
        if now and (now[-1].isdigit() != c.isdigit() or now[-1].isalpha() != c.isalpha()):
            parts.append(now)
            now = ""
        now += c
    return [*parts, now]


def luhn(payload):
    total = 0
    for k, c in enumerate(reversed(payload)):
        value = int(c) * (2 if k % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return str(-total % 10)


def mod10(payload):
    table, carry = [0, 9, 4, 6, 8, 2, 7, 1, 3, 5], 0
    for c in payload:
        carry = table[(carry + int(c)) % 10]
    return str((10 - carry) % 10)


COUNTS = {"exact_reference": 620, "separators": 210, "noisy_reference": 260, "folded": 120, "sum": 260, "range": 60, "structured": 140, "discount": 120, "short": 140,
          "over": 100, "name_only": 160, "tie": 100, "wrong": 220, "order_number": 110, "group": 120, "similar_name": 90, "none": 130, "duplicate": 70, "instruction": 80,
          "nearby": 100, "collision": 30, "date_trap": 40, "named_more": 60, "bare_number": 40}


def write(path, lines):
    with open(path, "w", encoding="utf-8") as file:
        for line in lines:
            file.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")


def main():
    for name, half in HALVES.items():
        rng = random.Random(half["seed"])
        books = [make_book(f"{name}-{style}", style, half, rng) for style in half["styles"]]
        maker = Maker(half, books, rng)
        for kind, count in COUNTS.items():
            for _ in range(count):
                getattr(maker, kind)()
        (HERE / name).mkdir(exist_ok=True)
        for book in books:
            del book["twins"]
        write(HERE / name / "books.jsonl", books)
        write(HERE / name / "cases.jsonl", maker.cases)
        print(name, len(maker.cases), "payments")


if __name__ == "__main__":
    main()
