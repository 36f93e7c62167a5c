//! Requests as the providers document them.

use plixo_testing::FakeVault;
use proptest::prelude::*;

use super::*;
use crate::ask::Account;

use SourceKind::{BusinessCentral, Quickbooks, Xero};

const CENTRAL: &str = "/v2.0/contoso.com/production/api/v2.0";

/// The path of the request for these, and its headers.
fn path(kind: SourceKind, entity: Entity, ids: &[&str]) -> String {
    let (entry, urls) = (entry(kind), urls("http://x/"));
    let request = Account::new(&entry, &urls).unwrap().these(entity, ids);
    request.url.strip_prefix("http://x").unwrap().to_owned()
}

#[test]
fn things_are_asked_for_by_id() {
    let two = ["a-1", "b-2"];
    assert_eq!(path(Xero, Entity::Invoice, &two), "/api.xro/2.0/Invoices?IDs=a-1%2Cb-2&page=1&pageSize=100");
    assert_eq!(
        path(Xero, Entity::Customer, &two),
        "/api.xro/2.0/Contacts?IDs=a-1%2Cb-2&page=1&pageSize=100&includeArchived=true"
    );
    assert_eq!(path(Xero, Entity::Payment, &["a-1"]), "/api.xro/2.0/Payments/a-1");
    assert_eq!(path(Xero, Entity::CreditNote, &["a-1"]), "/api.xro/2.0/CreditNotes/a-1");
    let query = |entity, text: &str| {
        let got = path(Quickbooks, entity, &two);
        let (start, query) = got.split_once('?').unwrap();
        assert_eq!(start, format!("/v3/company/{REALM}/query"));
        let pairs: Vec<_> =
            form_urlencoded::parse(query.as_bytes()).map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(pairs, [format!("query={text} maxresults 100"), "minorversion=75".to_owned()]);
    };
    query(Entity::Invoice, "select * from Invoice where Id in ('a-1','b-2')");
    query(Entity::CreditNote, "select * from CreditMemo where Id in ('a-1','b-2')");
    query(Entity::Customer, "select * from Customer where Id in ('a-1','b-2') and Active in (true, false)");
    let central = format!("{CENTRAL}/companies({GUID})");
    assert_eq!(
        path(BusinessCentral, Entity::Invoice, &two),
        format!(
            "{central}/salesInvoices?$filter=id%20eq%20a-1%20or%20id%20eq%20b-2&$expand=salesInvoiceLines"
        )
    );
    assert_eq!(
        path(BusinessCentral, Entity::CreditNote, &["a-1"]),
        format!("{central}/salesCreditMemos?$filter=id%20eq%20a-1")
    );
}

#[test]
fn each_request_says_for_whom_and_by_what_right() {
    for kind in SourceKind::ALL {
        let server = Server::start(move |_| ok(&list(kind, &[])));
        these(&server, kind, Entity::Invoice, &[ONE]).unwrap();
        let asked = server.asked().remove(0);
        let header = |name: &str| asked.headers.get(name).map(String::as_str);
        assert_eq!(asked.method, "GET");
        assert_eq!(header("authorization"), Some("Bearer canary-access-0"));
        assert_eq!(header("accept"), Some("application/json"));
        assert_eq!(header("xero-tenant-id"), (kind == Xero).then_some(GUID));
        assert_eq!(header("prefer"), (kind == BusinessCentral).then_some("odata.maxpagesize=100"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn ids_are_asked_for_together_as_far_as_they_may(
        ids in prop::collection::btree_set("[A-Za-z0-9-]{1,64}", 0..120), kind in prop::sample::select(&SourceKind::ALL[..]),
        entity in prop::sample::select(&[Entity::Customer, Entity::Invoice, Entity::Payment, Entity::CreditNote][..]),
    ) {
        let (entry, urls) = (entry(kind), urls("https://api.xero.com"));
        let account = Account::new(&entry, &urls).unwrap();
        let ids: Vec<_> = ids.iter().map(String::as_str).collect();
        let groups = account.groups(entity, &ids);
        prop_assert_eq!(groups.concat(), ids.clone());
        for group in &groups {
            prop_assert!(!group.is_empty());
            let url = account.these(entity, group).url;
            prop_assert!(kind == BusinessCentral || url.len() <= 2_100, "{}", url.len());
        }
        let alone = kind == Xero && matches!(entity, Entity::Payment | Entity::CreditNote);
        prop_assert!(alone || groups.len() <= ids.len() / 20 + 1 || ids.iter().any(|id| id.len() > 40));
    }
}

#[test]
fn xeros_changes_are_read_page_by_page() {
    let server = Server::start(|_| {
        let at = |n: i64| (now() + SignedDuration::from_secs(n)).to_string();
        let documents: Vec<_> = (0..100).map(|n| invoice(Xero, &format!("i-{n}"), &at(n))).collect();
        ok(&list(Xero, &documents))
    });
    // What changes while pages are read moves to the last one, so the next page is asked for by its time.
    let answer = changed(&server, Xero, Entity::Invoice, "2026-11-29T05:00:00.9Z").unwrap();
    assert_eq!((answer.things.len(), answer.has_more), (100, true));
    assert_eq!(answer.read_to, Some(now() + SignedDuration::from_secs(99)));
    let asked = server.asked();
    let paths: Vec<_> = asked.iter().map(|asked| asked.path.as_str()).collect();
    assert_eq!(paths, ["/api.xro/2.0/Invoices?page=1&pageSize=100&order=UpdatedDateUTC%20ASC"]);
    assert!(asked.iter().all(|it| it.headers["if-modified-since"] == "2026-11-29T05:00:00"));
}

#[test]
fn a_long_list_of_changes_is_read_in_parts_that_get_on() {
    let since: Timestamp = "2026-11-01T00:00:00Z".parse().unwrap();
    // The first 1,200 changed in one second, which is the one that was asked for.
    let server = Server::start(move |asked| {
        let page: i64 = asked.query("page").parse().unwrap();
        let at = since + SignedDuration::from_secs(if page <= 12 { 0 } else { page });
        let documents: Vec<_> =
            (0..100).map(|n| invoice(Xero, &format!("i-{page}-{n}"), &at.to_string())).collect();
        ok(&list(Xero, &documents))
    });
    let answer = changed(&server, Xero, Entity::Invoice, "2026-11-01T00:00:00Z").unwrap();
    assert!(answer.has_more);
    assert_eq!((answer.things.len(), answer.read_to), (1_300, Some(since + SignedDuration::from_secs(13))));
}

#[test]
fn no_change_leaves_the_time_that_was_asked_for() {
    for kind in SourceKind::ALL {
        let server = Server::start(move |asked| {
            ok(&if asked.path.contains("/cdc") {
                json!({"CDCResponse": [{"QueryResponse": [{}]}], "time": "2026-11-29T06:00:00Z"})
            } else {
                list(kind, &[])
            })
        });
        let answer = changed(&server, kind, Entity::Invoice, "2026-11-29T05:00:00Z").unwrap();
        assert_eq!(answer.read_to, Some("2026-11-29T05:00:00Z".parse().unwrap()), "{kind:?}");
        assert!(answer.things.is_empty() && !answer.has_more);
    }
}

/// What QuickBooks captured: so many invoices and a deletion.
fn captured(count: usize) -> Value {
    let gone = json!({"Id": "gone", "status": "Deleted", "domain": "QBO", "MetaData": {"LastUpdatedTime": "2026-11-29T05:59:00-00:00"}});
    let at = "2026-11-29T05:30:00-00:00";
    let documents: Vec<_> =
        (1..count).map(|n| invoice(Quickbooks, &n.to_string(), at)).chain([gone]).collect();
    json!({"CDCResponse": [{"QueryResponse": [{"Invoice": documents, "startPosition": 1, "maxResults": count}]}], "time": "x"})
}

#[test]
fn quickbooks_tells_of_deletions_too() {
    let server = Server::start(|_| ok(&captured(3)));
    let answer = changed(&server, Quickbooks, Entity::Invoice, "2026-11-20T05:00:00.5Z").unwrap();
    assert_eq!(ids(&answer), ["1", "2", "gone"]);
    let [Event::InvoiceVoided(gone)] = events(&answer.things[2]) else { panic!("{answer:?}") };
    assert_eq!(gone.id.as_str(), format!("{REALM}:gone"));
    assert_eq!(answer.read_to, Some("2026-11-29T05:59:00Z".parse().unwrap()));
    let path = format!(
        "/v3/company/{REALM}/cdc?entities=Invoice&changedSince=2026-11-20T05%3A00%3A00Z&minorversion=75"
    );
    assert_eq!(server.asked().iter().map(|it| it.path.as_str()).collect::<Vec<_>>(), [path]);
}

#[test]
fn what_is_too_much_or_too_old_for_quickbooks_is_queried() {
    let answering = |asked: &Asked| {
        if asked.path.contains("/cdc") {
            return ok(&captured(1_000));
        }
        let text = asked.query("query");
        assert!(text.contains("startposition 1 "), "{text}");
        let documents: Vec<_> =
            (0..100).map(|n| invoice(Quickbooks, &n.to_string(), "2026-11-29T05:30:00-00:00")).collect();
        ok(&list(Quickbooks, &documents))
    };
    for (since, captures) in
        [("2026-11-20T00:00:00Z", 1), ("2026-10-30T06:30:00Z", 0), ("1970-01-01T00:00:00Z", 0)]
    {
        let server = Server::start(answering);
        let answer = changed(&server, Quickbooks, Entity::Invoice, since).unwrap();
        assert_eq!((answer.things.len(), answer.has_more), (captures + 100, true), "{since}");
        // Deletions came after what was queried, so they say nothing of how far that goes.
        assert_eq!(answer.read_to, Some("2026-11-29T05:30:00Z".parse().unwrap()), "{since}");
        let asked = server.asked();
        assert_eq!(asked.len(), captures + 1, "{since}");
        assert_eq!(
            asked.last().unwrap().query("query"),
            format!(
                "select * from Invoice where MetaData.LastUpdatedTime >= '{since}' \
                 orderby MetaData.LastUpdatedTime startposition 1 maxresults 100"
            )
        );
    }
}

#[test]
fn business_central_says_itself_where_the_next_page_is() {
    let server = Server::start(|asked| {
        // It changed just then: reading on from its time would get nowhere.
        let mut page = list(BusinessCentral, &[invoice(BusinessCentral, "1", "2026-11-29T05:00:00.123Z")]);
        if !asked.path.contains("skiptoken") {
            let host = &asked.headers["host"];
            page["@odata.nextLink"] = format!("http://{host}{}&$skiptoken=1", asked.path).into();
        }
        ok(&page)
    });
    let answer = changed(&server, BusinessCentral, Entity::Invoice, "2026-11-29T05:00:00.1239Z").unwrap();
    assert_eq!(answer.things.len(), 2);
    let path = format!(
        "{CENTRAL}/companies({GUID})/salesInvoices?$filter=lastModifiedDateTime%20ge%202026-11-29T05%3A00%3A00.123Z\
         &$orderby=lastModifiedDateTime&$expand=salesInvoiceLines"
    );
    let asked = server.asked();
    assert_eq!(asked[0].path, path);
    assert_eq!(asked[1].path, format!("{path}&$skiptoken=1"));
}

#[test]
fn no_link_leads_the_token_elsewhere() {
    let other = Server::start(|_| panic!("asked"));
    let port = other.url.rsplit_once(':').unwrap().1.to_owned();
    for link in [
        format!("{}/x", other.url),
        format!("http://127.0.0.1:{port}/x"),
        "http://127.0.0.1@evil.example/x".to_owned(),
        "//evil.example/x".to_owned(),
        "/x".to_owned(),
        "OWN0/x".to_owned(),
        "OWN.evil.example/x".to_owned(),
        "OWN".to_owned(),
    ] {
        let server = Server::start(move |asked| {
            let own = format!("http://{}", asked.headers["host"]);
            ok(&json!({"value": [], "@odata.nextLink": link.replace("OWN", &own)}))
        });
        let error = changed(&server, BusinessCentral, Entity::Invoice, "2026-11-29T05:00:00Z").unwrap_err();
        assert_eq!(error, ErpError::Unavailable("its next page is somewhere else".to_owned()));
        assert_eq!(server.asked().len(), 1);
    }
    assert!(other.asked().is_empty());
}

#[test]
fn an_environment_says_where_the_providers_are() {
    let asked = Mutex::new(Vec::new());
    let _ = Urls::read(|name| {
        asked.lock().unwrap().push(name);
        String::new()
    });
    assert_eq!(
        asked.into_inner().unwrap(),
        [
            "XERO_API_URL",
            "XERO_LOGIN_URL",
            "QUICKBOOKS_API_URL",
            "QUICKBOOKS_LOGIN_URL",
            "BUSINESS_CENTRAL_API_URL",
            "BUSINESS_CENTRAL_LOGIN_URL",
        ]
    );
    let shown = format!("{:?}", Erp::new(FakeVault::default(), urls("http://x")));
    assert!(!shown.contains("canary"));
}
