//! What holds for every page in every state, whatever people typed.

#[path = "../examples/gallery/samples.rs"]
mod samples;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use percent_encoding::percent_decode_str;
use plixo_pages::{assets, portal_headers, security_headers};
use samples::{Sample, samples};
use scraper::{ElementRef, Html, Selector};

/// Gets each page with its document.
fn every_page(text: &dyn Fn(&str) -> String, check: impl Fn(&Sample, &Html)) {
    let pages = samples(text);
    let payers = pages.iter().filter(|page| is_payers(page)).count();
    assert!(pages.len() - payers > 70 && payers > 50, "all pages are among the samples");
    for page in pages {
        let document = Html::parse_document(&page.html);
        check(&page, &document);
    }
}

/// Whether it is a page of payers, who have no menu, no role and nothing to type.
fn is_payers(page: &Sample) -> bool {
    page.name.starts_with("portal-")
}

/// The language of a page, by its name.
fn language(page: &Sample) -> &'static str {
    if is_payers(page) && page.name.ends_with("-de") { "de" } else { "en" }
}

fn as_it_is(text: &str) -> String {
    text.to_owned()
}

#[expect(clippy::unwrap_used, reason = "a selector that is wrong fails the test")]
fn select<'a>(document: &'a Html, selector: &str) -> Vec<ElementRef<'a>> {
    document.select(&Selector::parse(selector).unwrap()).collect()
}

fn attribute<'a>(element: &ElementRef<'a>, name: &str) -> &'a str {
    element.attr(name).unwrap_or_default()
}

/// Words that try to be more than words.
const HOSTILE: [&str; 8] = [
    "<script>alert(1)</script>",
    "</title></textarea></select></style><img src=x onerror=alert(1)>",
    "\" onfocus=\"alert(1)\" autofocus=\"",
    "' onfocus='alert(1)' x='",
    "&lt;b&gt;&amp;&#x22; {{ 7 * 7 }} {% raw %} ]]> --> <!--",
    "\u{202e}evil\u{202d}\u{2066}\u{200f}\u{feff}\u{7f}\t",
    "javascript:alert(1)",
    "\n",
];

/// What elements and attributes a page has, and what of it is a script or a style.
fn shape(document: &Html) -> Vec<String> {
    let elements = select(document, "*").into_iter().map(|element| {
        let names: BTreeSet<_> = element.value().attrs().map(|(name, _)| name).collect();
        format!("{} {names:?}", element.value().name())
    });
    elements.collect()
}

#[test]
fn text_stays_text() {
    let tame = samples(&|_| "word".to_owned());
    let tame: Vec<_> = tame.iter().map(|page| Html::parse_document(&page.html)).collect();
    let shapes: Vec<_> = tame.iter().map(shape).collect();
    let long = "W".repeat(10_000);
    let words = HOSTILE.iter().map(|word| (*word).to_owned());
    for word in words.chain([String::new(), long, HOSTILE.concat()]) {
        for (page, (model, expected)) in samples(&|_| word.clone()).iter().zip(tame.iter().zip(&shapes)) {
            let document = Html::parse_document(&page.html);
            let what = format!("{} {:?}", page.name, word.get(..40));
            assert_eq!(document.errors, model.errors, "{what}");
            // An empty filter is no filter, and offers less.
            if !(word.is_empty() && page.name.starts_with("audit")) {
                assert!(shape(&document) == *expected, "{what}");
            }
        }
    }
}

#[test]
fn what_was_typed_is_kept_and_what_is_told_is_shown() {
    let told = RefCell::new(Vec::new());
    let mark = |text: &str| {
        let mut told = told.borrow_mut();
        let marked = format!("{text}~{}~", told.len());
        told.push(marked.clone());
        marked
    };
    let pages = samples(&mark);
    let documents: Vec<_> = pages.iter().map(|page| Html::parse_document(&page.html)).collect();
    let mut shown = String::new();
    for document in &documents {
        shown.extend(document.root_element().text());
        for element in select(document, "[value], [href], [action]") {
            shown.push_str(attribute(&element, "value"));
            for place in ["href", "action"] {
                shown.push_str(&percent_decode_str(attribute(&element, place)).decode_utf8_lossy());
            }
        }
    }
    // A secret stands in groups of four, and a kind of object without its underscores.
    let bare = |text: &str| text.replace(|letter: char| letter.is_whitespace() || letter == '_', "");
    let shown = bare(&shown);
    let lost: Vec<_> = told.borrow().iter().filter(|text| !shown.contains(&bare(text))).cloned().collect();
    assert_eq!(lost, Vec::<String>::new());
}

#[test]
fn every_page_is_well_formed_html() {
    every_page(&as_it_is, |page, document| {
        assert_eq!(document.errors, Vec::<String>::new(), "{}", page.name);
    });
}

#[test]
fn every_page_has_one_heading_a_title_and_landmarks() {
    every_page(&as_it_is, |page, document| {
        let text = |selector: &str| -> Vec<String> {
            let found = select(document, selector);
            found.iter().map(|element| element.text().collect::<String>().trim().to_owned()).collect()
        };
        let (titles, headings) = (text("head > title"), text("h1"));
        assert!(matches!(headings.as_slice(), [heading] if !heading.is_empty()), "{}", page.name);
        let has_end = |title: &str| match title.rsplit_once(" · ") {
            Some((name, "Plixo")) => !name.is_empty(),
            Some((name, "Nordwind Instruments GmbH")) => !name.is_empty() && is_payers(page),
            _ => false,
        };
        assert!(matches!(titles.as_slice(), [title] if has_end(title)), "{}", page.name);
        let title = titles.concat();
        let has_error = !select(document, ".summary").is_empty();
        assert_eq!(title.starts_with("Error: "), has_error, "{}", page.name);
        assert_eq!(select(document, "main#main").len(), 1, "{}", page.name);
        let lang = format!("html[lang={}]", language(page));
        assert_eq!(select(document, &lang).len(), 1, "{}", page.name);
        assert_eq!(select(document, "body > a.skip[href='#main']:first-child").len(), 1, "{}", page.name);
        let levels = select(document, "h1, h2, h3, h4, h5, h6");
        assert!(levels.iter().all(|one| matches!(one.value().name(), "h1" | "h2")), "{}", page.name);
    });
}

#[test]
fn ids_are_unique_and_every_reference_finds_one() {
    every_page(&as_it_is, |page, document| {
        let mut ids = BTreeMap::new();
        for element in select(document, "[id]") {
            *ids.entry(attribute(&element, "id")).or_insert(0) += 1;
        }
        assert!(ids.iter().all(|(id, times)| !id.is_empty() && *times == 1), "{} {ids:?}", page.name);
        for name in
            ["for", "popovertarget", "aria-labelledby", "aria-describedby", "aria-controls", "list", "form"]
        {
            for element in select(document, &format!("[{name}]")) {
                let value = attribute(&element, name);
                assert!(!value.trim().is_empty(), "{}: {name} of {}", page.name, element.html());
                assert!(value.split_whitespace().all(|id| ids.contains_key(id)), "{}: {value}", page.name);
            }
        }
        for element in select(document, "a[href^='#']") {
            let id = attribute(&element, "href").trim_start_matches('#');
            assert!(ids.contains_key(id), "{}: #{id}", page.name);
        }
    });
}

#[test]
fn every_field_has_a_name_and_a_label_and_its_error_beside_it() {
    every_page(&as_it_is, |page, document| {
        let labelled: BTreeSet<_> =
            select(document, "label[for]").iter().map(|label| attribute(label, "for").to_owned()).collect();
        let wrapped: Vec<_> = select(document, "label input").iter().map(|field| field.html()).collect();
        for field in select(document, "input:not([type=hidden]):not([readonly]), select, textarea") {
            assert!(!attribute(&field, "name").is_empty(), "{}: {}", page.name, field.html());
            let has_label = labelled.contains(attribute(&field, "id")) || wrapped.contains(&field.html());
            assert!(has_label, "{}: {}", page.name, field.html());
        }
        let errors = select(document, "p.error");
        for error in &errors {
            let id = attribute(error, "id");
            let (name, _) = id.rsplit_once("-error").unwrap();
            let field = select(document, &format!("[id='{name}']")).into_iter().next();
            let described = field.is_some_and(|field| attribute(&field, "aria-describedby").contains(id));
            assert!(described, "{}: {id}", page.name);
            assert_eq!(
                select(document, &format!(".summary a[href='#{name}']")).len(),
                1,
                "{}: {id}",
                page.name
            );
        }
        assert_eq!(
            select(document, ".summary a[href^='#']").len(),
            errors.len(),
            "{}: each error once",
            page.name
        );
        for invalid in select(document, "[aria-invalid]") {
            assert!(attribute(&invalid, "aria-describedby").ends_with("-error"), "{}", page.name);
        }
    });
}

#[test]
fn forms_post_to_their_own_page_with_a_key_of_their_own() {
    every_page(&as_it_is, |page, document| {
        if is_payers(page) {
            return;
        }
        let mut keys = BTreeSet::new();
        let (mut places, mut asked) = (BTreeSet::new(), BTreeSet::new());
        for form in select(document, "form") {
            let action = attribute(&form, "action");
            assert!(action.starts_with('/') && !action.starts_with("//"), "{}: {action}", page.name);
            match attribute(&form, "method") {
                "get" => {
                    assert!(asked.insert(action), "{}: two forms ask the same", page.name);
                    places.insert(action);
                }
                "post" => {
                    let hidden = Selector::parse("input[type=hidden][name=idempotency_key]").unwrap();
                    let key: Vec<_> = form.select(&hidden).map(|key| attribute(&key, "value")).collect();
                    assert!(matches!(key.as_slice(), [key] if key.starts_with("k3y.")), "{}", page.name);
                    assert!(keys.insert(key), "{}: two forms have one key", page.name);
                    if action != "/sign-out" {
                        places.insert(action);
                    }
                }
                method => panic!("{}: {method}", page.name),
            }
        }
        assert!(places.len() <= 1, "{}: {places:?}", page.name);
    });
}

#[test]
fn a_payer_has_at_most_one_thing_to_do_and_nothing_to_type() {
    let mut seen = BTreeSet::new();
    every_page(&as_it_is, |page, document| {
        if !is_payers(page) {
            return;
        }
        assert!(select(document, "input, select, textarea, nav").is_empty(), "{}", page.name);
        assert_eq!(select(document, "body > header, body > footer").len(), 2, "{}", page.name);
        let to_do = select(document, "main form, main a");
        assert!(to_do.len() <= 1, "{}", page.name);
        for form in select(document, "form") {
            let action = attribute(&form, "action");
            assert_eq!(attribute(&form, "method"), "post", "{}", page.name);
            assert!(action.starts_with("/p/"), "{}: {action}", page.name);
        }
        let text: String = document.root_element().text().collect();
        let is_invoice = page.name.contains("-invoice");
        let pays = select(document, "form[action^='/p/session/checkout?of=lnk_']").len();
        let has_no_button = ["-not-online", "-confirming", "-processing", "-paid", "-withdrawn"];
        let may_pay = is_invoice && !has_no_button.iter().any(|end| page.name.contains(end));
        assert_eq!(pays, usize::from(may_pay), "{}", page.name);
        let looks = select(document, "a[href='/p/session?paid']").len();
        assert_eq!(looks, usize::from(page.name.contains("-confirming")), "{}", page.name);
        let is_anonymous = page.name.contains("-problem") || page.name.contains("-of-nobody");
        assert!(!is_anonymous || !text.contains("Nordwind"), "{}", page.name);
        assert!(is_invoice || !text.contains("NW-2026"), "{}: the number is the invoice's", page.name);
    });
    // Both languages have the same pages, with the same elements.
    let pages = samples(&as_it_is);
    for page in pages.iter().filter(|page| is_payers(page)) {
        let (name, end) = page.name.rsplit_once('-').unwrap();
        let other = format!("{name}-{}", if end == "de" { "en" } else { "de" });
        let other = pages.iter().find(|page| page.name == other).unwrap();
        assert!(
            shape(&Html::parse_document(&page.html)) == shape(&Html::parse_document(&other.html)),
            "{name}"
        );
        assert_ne!(page.html, other.html);
        seen.insert(name);
    }
    assert!(seen.len() >= 31, "{seen:?}");
}

#[test]
fn a_payers_page_with_all_that_it_loads_is_small() {
    let size = |path: &str| {
        let asset = assets().iter().find(|asset| asset.path == path);
        asset.map(|asset| asset.bytes.len())
    };
    let mut largest = (0, String::new());
    for page in samples(&as_it_is).iter().filter(|page| is_payers(page)) {
        let document = Html::parse_document(&page.html);
        let links = select(&document, "link");
        assert_eq!(links.len(), 2, "{}: the stylesheet and the icon", page.name);
        let loaded: usize = links.iter().map(|link| size(attribute(link, "href")).unwrap()).sum();
        largest = largest.max((page.html.len() + loaded, page.name.clone()));
        assert!(!page.html.contains(assets()[0].path.as_str()), "{}: not the console's", page.name);
        if page.name.contains("-many") {
            assert_eq!(select(&document, "tbody tr").len(), 20);
        }
    }
    assert!(largest.0 < 30_000, "{largest:?}");
}

#[test]
fn buttons_and_links_say_what_they_do() {
    every_page(&as_it_is, |page, document| {
        for element in select(document, "button, a, summary") {
            let says = element.text().collect::<String>() + attribute(&element, "aria-label");
            assert!(!says.trim().is_empty(), "{}: {}", page.name, element.html());
        }
    });
}

#[test]
fn tables_have_a_caption_and_scopes_and_money_is_on_the_right() {
    every_page(&as_it_is, |page, document| {
        for table in select(document, "table") {
            let count = |selector: &str| table.select(&Selector::parse(selector).unwrap()).count();
            assert_eq!(count("caption"), 1, "{}", page.name);
            assert_eq!(
                count("th"),
                count("thead th[scope=col]") + count("tbody th[scope=row]"),
                "{}",
                page.name
            );
            assert_eq!(count("td .money"), count("td.number .money"), "{}", page.name);
        }
    });
}

#[test]
fn nothing_on_a_page_needs_more_than_the_policy_allows() {
    let (_, policy) = security_headers().iter().find(|(name, _)| *name == "content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; "), "what is not named is forbidden");
    assert!(!policy.contains("unsafe") && !policy.contains('*') && !policy.contains("data:"));
    assert!(!policy.contains("script-src"), "there are no scripts");
    let paths: BTreeSet<_> = assets().iter().map(|asset| asset.path.as_str()).collect();
    let [styles, _, icons] = assets() else { panic!("there are three assets") };
    every_page(&|text| format!("{text}{}", HOSTILE.concat()), |page, document| {
        let forbidden = "script, style, iframe, object, embed, base, img:not(.logo-image), audio, video, \
                         foreignObject, use, image, meta[http-equiv], [style], [src]:not(.logo-image), [srcset], \
                         [formaction], [ping], [background]";
        assert_eq!(
            select(document, forbidden).iter().map(ElementRef::html).collect::<Vec<_>>(),
            Vec::<String>::new(),
            "{}",
            page.name
        );
        for element in select(document, "*") {
            for (name, value) in element.value().attrs() {
                assert!(!name.starts_with("on"), "{}: {name}", page.name);
                assert!(
                    !value.trim_start().to_lowercase().starts_with("javascript:") || name == "value",
                    "{}: {name}",
                    page.name
                );
            }
        }
        for image in select(document, ".logo-image") {
            let may = is_payers(page) || page.name.starts_with("settings-logo");
            let is_right = may && image.value().name() == "img";
            assert!(is_right && attribute(&image, "src") == icons.path, "{}: {}", page.name, image.html());
        }
        for link in select(document, "link") {
            let path = attribute(&link, "href");
            assert!(paths.contains(path), "{}", page.name);
            assert!(
                is_payers(page) || [&styles.path, &icons.path].contains(&&path.to_owned()),
                "{}",
                page.name
            );
        }
        for link in select(document, "a") {
            let to = attribute(&link, "href");
            let inside = to.starts_with('#') || (to.starts_with('/') && !to.starts_with("//"));
            assert!(inside || to.starts_with("otpauth://totp/"), "{}: {to}", page.name);
        }
    });
}

#[test]
fn a_payers_policy_is_the_consoles_but_for_where_paying_goes_and_what_a_referrer_tells() {
    let of = |origin: &str| portal_headers(origin).into_iter().collect::<BTreeMap<_, _>>();
    let console: BTreeMap<_, _> = security_headers().iter().copied().collect();
    let portal = of("https://checkout.stripe.com");
    assert!(portal.keys().eq(console.keys()));
    let changed: Vec<_> = portal.iter().filter(|(name, value)| console[*name] != value.as_str()).collect();
    let policy = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self' \
                  https://checkout.stripe.com; base-uri 'none'; frame-ancestors 'none'";
    let expected =
        [(&"content-security-policy", &policy.to_owned()), (&"referrer-policy", &"no-referrer".to_owned())];
    assert_eq!(changed, expected);
    assert!(
        of("http://127.0.0.1:12111")["content-security-policy"].contains("'self' http://127.0.0.1:12111;")
    );
    for wrong in
        ["", "*", "https://a.example; script-src *", "https://a.example *", "data:", "'unsafe-inline'"]
    {
        assert_eq!(of(wrong)["content-security-policy"], console["content-security-policy"], "{wrong}");
    }
}

#[test]
fn assets_are_named_by_what_they_hold_and_refer_to_nothing() {
    for asset in assets() {
        assert!(asset.path.starts_with("/assets/plixo-"));
        let text = std::str::from_utf8(asset.bytes).unwrap();
        assert!(!text.contains("url(") && !text.contains("@import"), "{}", asset.path);
    }
}

#[test]
fn a_role_is_offered_what_it_may_do_and_nothing_else() {
    let pages: BTreeMap<_, _> = samples(&as_it_is)
        .into_iter()
        .map(|page| (page.name.clone(), Html::parse_document(&page.html)))
        .collect();
    let viewers: Vec<_> = pages.iter().filter(|(name, _)| name.ends_with("viewer")).collect();
    assert!(viewers.len() >= 13);
    for (name, document) in viewers {
        let posts = select(document, "form[method=post]");
        assert!(posts.iter().all(|form| attribute(form, "action") == "/sign-out"), "{name}");
        for link in select(document, "a") {
            let to = attribute(&link, "href");
            let writes = [
                "/new",
                "/edit",
                "/members",
                "/integrations",
                "/webhook-events",
                "/audit",
                "/settings",
                "/privacy-requests",
                "/legal-holds",
                "/retention",
            ];
            assert!(!writes.iter().any(|end| to.contains(end)), "{name}: {to}");
        }
    }
    let of = |name: &str, selector: &str| select(&pages[name], selector).len();
    assert_eq!(
        of(
            "invoice-draft-refused",
            "form input[value=finalize], form input[value=void], main a[href$='/edit']"
        ),
        3
    );
    assert_eq!(of("invoice", "main form"), 3, "a paid part forbids what a draft allows");
    assert_eq!(of("invoice", "form input[value=email_link], form input[value=copy_link]"), 2);
    assert_eq!(of("invoice-links", "form input[value=revoke_link]"), 2, "the others open nothing");
    assert_eq!(of("invoice-link-not-sent", "form input[value=email_link]"), 0, "there is no address");
    assert_eq!(of("invoice-link-refused", "form input[value=email_link], form input[value=copy_link]"), 0);
    assert_eq!(
        of("invoice-viewer", "[aria-labelledby=portal-links] tbody tr"),
        5,
        "who may not make links sees them"
    );
    assert_eq!(of("invoice-viewer", "main form"), 0);
    assert_eq!(of("invoice", "main form input[value=uncollectible]"), 1);
    assert_eq!(of("members", "form input[value=remove]"), 4, "the last Controller stays");
    assert_eq!(of("payment", "form input[value=take_back]"), 1, "Stripe's own allocation stays");
    assert_eq!(of("event", "main form"), 0);
    assert_eq!(of("customer-compliance", ".title a"), 1, "to privacy, and nothing that writes the ledger");
    for name in ["customer-erased", "customer-erased-by-policy-viewer"] {
        assert_eq!(of(name, ".title a, main a[href$='/edit']"), 0, "{name}: nothing is taken of it any more");
    }
    assert_eq!(of("customer-erased", "main a[href*='/privacy-requests/prv_']"), 1);
    let saves = "main form[method=post]";
    for (name, saves_it) in [
        ("retention", 0),
        ("retention-wrong", 0),
        ("retention-preview", 1),
        ("retention-preview-longer", 1),
        ("retention-preview-stale", 1),
        ("retention-preview-nothing", 0),
    ] {
        assert_eq!(of(name, saves), saves_it, "{name}: only what was previewed is saved");
        assert_eq!(of(name, "main form[method=get] input"), 8, "{name}");
    }
    assert_eq!(of("retention-preview", ".destroy"), 1);
    assert_eq!(of("retention-preview-longer", ".destroy"), 0);
    assert_eq!((of("hold", saves), of("hold-released", saves)), (1, 0), "it is released once");
    for (name, refuses, gives) in [
        ("open", 1, 0),
        ("held", 1, 0),
        ("running", 0, 0),
        ("access-done", 0, 2),
        ("erasure-done", 0, 1),
        ("refused", 0, 0),
    ] {
        let name = format!("privacy-request-{name}");
        assert_eq!(of(&name, saves), refuses, "{name}");
        assert_eq!(of(&name, "main a[href*='/download'], main a[href$='/certificate']"), gives, "{name}");
    }
    assert_eq!(
        of("privacy-confirm-erasure", "input[name=sure]:not([checked])"),
        1,
        "nobody is sure beforehand"
    );
    assert_eq!(of("privacy-confirm-access", "input[name=sure]"), 0);
    for name in ["settings-closed", "settings"] {
        assert_eq!(of(name, ".banner a[href$='#closing']"), usize::from(name == "settings-closed"), "{name}");
    }
    assert_eq!(of("settings", "input[name=close_name]"), 1);
    assert_eq!(of("settings-closed", "input[name=close_name]"), 0);
    assert_eq!(of("cash-viewer", ".suggestion"), 3, "who may not apply sees what is suggested");
    assert_eq!(of("cash-viewer", ".suggestion .button, form.undo"), 0);
    assert_eq!(of("payment-suggestions-viewer", ".suggestion"), 3);
    for name in ["overview", "payments", "payments-unapplied"] {
        assert_eq!(of(name, ".title a[href$='/cash']"), 1, "{name}");
    }
    assert_eq!(of("overview-many", "a[href$='/cash']"), 0, "a viewer");
}

#[test]
fn a_payment_is_worked_off_from_where_the_focus_is() {
    let pages: BTreeMap<_, _> = samples(&as_it_is)
        .into_iter()
        .map(|page| (page.name.clone(), Html::parse_document(&page.html)))
        .collect();
    // What has the focus, and what Tab leads to from there.
    let of = |name: &str| {
        let [focus] = select(&pages[name], "main [autofocus]")[..] else {
            panic!("{name}: one has the focus")
        };
        focus.text().collect::<String>().trim().to_owned()
    };
    for (name, focus) in [
        ("cash", "Apply"),
        ("cash-applied", "Apply"),
        ("cash-undone", "Apply"),
        ("cash-stopped-early", "Apply"),
        ("cash-nothing-suggested", "Choose invoices"),
        ("cash-unavailable", "Choose invoices"),
        ("cash-gone", "Next payment"),
        ("cash-rest", "Look at them again"),
        ("cash-done", "Go to the overview"),
    ] {
        assert_eq!(of(name), focus, "{name}");
    }
    // What went wrong is read before anything is applied.
    for name in ["cash-stale", "cash-undo-refused", "payment-change-wrong"] {
        assert!(of(name).starts_with("Please check this"), "{name}");
    }
    let typed = select(&pages["payment-change"], "main [autofocus]");
    assert_eq!(typed.iter().map(|field| attribute(field, "value")).collect::<Vec<_>>(), ["500.00"]);
    assert_eq!(select(&pages["payment-change-no-candidate"], "#other_number[autofocus]").len(), 1);
    for name in ["payment", "payment-apply-wrong", "cash-viewer"] {
        assert!(select(&pages[name], "main [autofocus]:not([popovertarget])").is_empty(), "{name}");
    }
    let order: Vec<_> = select(&pages["cash-applied"], "main button, main a.button")
        .iter()
        .map(|one| one.text().collect::<String>().trim().to_owned())
        .collect();
    let wanted =
        ["Undo", "Skip", "Apply", "Change", "Apply", "Change", "Apply", "Change", "Choose other invoices"];
    assert_eq!(order, wanted);
    // Shortcuts are told on the page that has them.
    for (name, page) in &pages {
        for key in select(page, "[accesskey]") {
            let key = attribute(&key, "accesskey").to_uppercase();
            let told = select(page, "kbd").iter().any(|kbd| kbd.text().collect::<String>() == key);
            assert!(told || name.starts_with("cash-rest") || name == "cash-done", "{name}: {key}");
        }
    }
}

#[test]
fn passwords_and_secrets_are_not_sent_back() {
    every_page(&as_it_is, |page, document| {
        assert!(select(document, "input[type=password][value]").is_empty(), "{}", page.name);
        let shows = page.html.contains("whsec_kRcJ4lVnHTd4tqSgkdHAk7GuVv2OEHmo");
        assert_eq!(shows, page.name == "integrations-made", "{}: it is shown once", page.name);
        let shows = page.html.contains("AQE4kRcJ4lVnHTd4");
        let is_fresh = ["invoice-link-sent", "invoice-link-not-sent", "invoice-link-made"];
        assert_eq!(shows, is_fresh.contains(&page.name.as_str()), "{}: it is shown once", page.name);
    });
}
