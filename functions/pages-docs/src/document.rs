//! The API's description, of all functions' handlers.

use utoipa::OpenApi;
use utoipa::openapi::{Info, OpenApi as Document};

/// The document, as `docs/openapi.json` holds it.
pub(crate) fn whole() -> String {
    let mut document = api_auth::Document::openapi();
    for part in [
        api_organisations::Document::openapi(),
        api_ledger::Document::openapi(),
        api_portal_links::Document::openapi(),
        api_webhooks::Document::openapi(),
        api_audit::Document::openapi(),
        api_exports::Document::openapi(),
        api_privacy::Document::openapi(),
    ] {
        document.merge(part);
    }
    document.info = Info::new("Plixo", "1");
    for item in document.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            // A handler's name is unique among those of its subject only.
            let subject = operation.tags.iter().flatten().next().cloned().unwrap_or_default();
            let own = operation.operation_id.take().unwrap_or_default();
            operation.operation_id = Some(format!("{subject}_{own}").replace('-', "_"));
        }
    }
    format!("{}\n", sorted(&document))
}

/// Keys in the order of the alphabet, whatever the maps of this build keep.
fn sorted(document: &Document) -> String {
    fn order(value: serde_json::Value) -> serde_json::Value {
        match value {
            serde_json::Value::Object(map) => {
                let mut pairs: Vec<_> = map.into_iter().map(|(name, value)| (name, order(value))).collect();
                pairs.sort_by(|(one, _), (other, _)| one.cmp(other));
                pairs.into_iter().collect()
            }
            serde_json::Value::Array(values) => values.into_iter().map(order).collect(),
            value => value,
        }
    }
    serde_json::to_string_pretty(&order(serde_json::to_value(document).unwrap())).unwrap()
}
