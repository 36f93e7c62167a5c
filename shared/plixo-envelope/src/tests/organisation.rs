use std::error::Error as _;

use super::fake::FakeKeyService;
use super::{KEY, ORGANISATION, PLACE, counting_from, data_key, salt, secret};
use crate::{
    Error, FIRST_VERSION, GeneratedKey, KeyFailure, KeyRef, KeyService, Keys, OrganisationKeys, Sealed,
    Secret, WrappedKey, WrappedKeys,
};

const CUSTOMER: &str = "cus_b";
const FIRST: KeyRef = KeyRef { id: KEY.id, version: FIRST_VERSION };

async fn create(service: &FakeKeyService) -> WrappedKeys {
    WrappedKeys::create(service, ORGANISATION, KEY.id).await.unwrap()
}

async fn rotated(service: &FakeKeyService, times: usize) -> WrappedKeys {
    let mut row = create(service).await;
    for _ in 0..times {
        row = row.rotate(service, ORGANISATION, salt()).await.unwrap();
    }
    row
}

/// The crate's own error inside a refusal.
fn refusal(failure: &KeyFailure) -> Option<Error> {
    matches!(failure, KeyFailure::Refused(_)).then(|| failure.source()?.downcast_ref().copied()).flatten()
}

#[tokio::test]
async fn a_new_key_is_version_one_and_opens_again() {
    let service = FakeKeyService::default();
    let row = create(&service).await;
    assert_eq!(row.newest.key, FIRST);
    let sealed =
        row.unlock(&service, ORGANISATION).await.unwrap().keys().seal(&PLACE, b"Anna", salt()).unwrap();
    assert_eq!(sealed.key(), FIRST);
    let again = row.unlock(&service, ORGANISATION).await.unwrap();
    assert_eq!(again.keys().open(&PLACE, &sealed).unwrap().as_slice(), b"Anna");
}

#[tokio::test]
async fn one_call_unwraps_all_versions() {
    let service = FakeKeyService::default();
    let mut row = create(&service).await;
    let mut sealed = Vec::new();
    for version in FIRST_VERSION..=4 {
        let keys = row.unlock(&service, ORGANISATION).await.unwrap();
        sealed.push(keys.keys().seal(&PLACE, format!("version {version}").as_bytes(), salt()).unwrap());
        row = row.rotate(&service, ORGANISATION, salt()).await.unwrap();
    }
    let before = service.calls();
    let keys = row.unlock(&service, ORGANISATION).await.unwrap();
    assert_eq!(service.calls() - before, 1);
    assert_eq!(keys.keys().newest().key().version, 5);
    for (sealed, version) in sealed.iter().zip(FIRST_VERSION..) {
        let plaintext = keys.keys().open(&PLACE, sealed).unwrap();
        assert_eq!(plaintext.as_slice(), format!("version {version}").as_bytes());
    }
}

#[tokio::test]
async fn lookups_hold_over_rotations_and_differ_by_field_and_organisation() {
    let service = FakeKeyService::default();
    let before = create(&service).await;
    let after = before.rotate(&service, ORGANISATION, salt()).await.unwrap();
    let hash = async |row: &WrappedKeys, organisation, field, value| {
        row.unlock(&service, organisation).await.unwrap().lookup_key(field).unwrap().hash(value)
    };
    let known = hash(&before, ORGANISATION, "email", "anna@example.com").await;
    assert_eq!(hash(&after, ORGANISATION, "email", "anna@example.com").await, known);
    assert_ne!(hash(&after, ORGANISATION, "email", "bert@example.com").await, known);
    assert_ne!(hash(&after, ORGANISATION, "tax_id", "anna@example.com").await, known);
    let other = WrappedKeys::create(&service, "org_b", KEY.id).await.unwrap();
    assert_ne!(hash(&other, "org_b", "email", "anna@example.com").await, known);
    let hashes = [ORGANISATION, "org_b"].map(|organisation| {
        let keys = OrganisationKeys(Keys::new(data_key(organisation, FIRST, secret(0)), Vec::new()));
        keys.lookup_key("email").unwrap().hash("anna@example.com")
    });
    assert_ne!(hashes[0], hashes[1]);

    let without_first = WrappedKeys { older: Vec::new(), ..after };
    let keys = without_first.unlock(&service, ORGANISATION).await.unwrap();
    assert_eq!(keys.lookup_key("email").unwrap_err(), Error::UnknownKey(FIRST));
}

#[tokio::test]
async fn a_customers_key_outlives_rotations_of_the_organisations() {
    let service = FakeKeyService::default();
    let before = create(&service).await;
    let keys = before.unlock(&service, ORGANISATION).await.unwrap();
    let (key, stored) = keys.create_customer_key(CUSTOMER, KEY, secret(9), salt()).unwrap();
    assert_eq!((key.key(), stored.key()), (KEY, FIRST));
    let sealed = Keys::new(key, Vec::new()).seal(&PLACE, b"Anna", salt()).unwrap();

    let after = before.rotate(&service, ORGANISATION, salt()).await.unwrap();
    let keys = after.unlock(&service, ORGANISATION).await.unwrap();
    let moved = keys.rewrap_customer_key(CUSTOMER, &stored, salt()).unwrap().expect("it is under version 1");
    assert_eq!(moved.key().version, 2);
    assert_eq!(keys.rewrap_customer_key(CUSTOMER, &moved, salt()), Ok(None));
    for stored in [stored, moved] {
        let key = keys.open_customer_key(CUSTOMER, &stored).unwrap();
        assert_eq!(Keys::new(key, Vec::new()).open(&PLACE, &sealed).unwrap().as_slice(), b"Anna");
    }
}

#[tokio::test]
async fn a_customers_key_serves_no_other_customer_and_no_other_purpose() {
    let service = FakeKeyService::default();
    let keys = create(&service).await.unlock(&service, ORGANISATION).await.unwrap();
    let (_, stored) = keys.create_customer_key(CUSTOMER, KEY, secret(9), salt()).unwrap();
    assert_eq!(keys.open_customer_key("cus_c", &stored).unwrap_err(), Error::NotAuthentic);
    let as_field = crate::Place { record: CUSTOMER, field: "" };
    assert_eq!(keys.keys().open(&as_field, &stored).unwrap_err(), Error::NotAuthentic);
    let rotated = rotated(&service, 1).await;
    let older = &rotated.older[0];
    let as_older = crate::Place { record: "", field: "" };
    let keys = rotated.unlock(&service, ORGANISATION).await.unwrap();
    assert_eq!(keys.keys().open(&as_older, older).unwrap_err(), Error::NotAuthentic);
    assert_eq!(keys.open_customer_key("", older).unwrap_err(), Error::NotAuthentic);
    let field = keys.keys().seal(&as_field, &[7; 52], salt()).unwrap();
    assert_eq!(keys.open_customer_key(CUSTOMER, &field).unwrap_err(), Error::NotAuthentic);
}

#[tokio::test]
async fn a_row_of_another_organisation_is_refused() {
    for service in [FakeKeyService::default(), FakeKeyService::lax()] {
        let row = create(&service).await;
        let failure = row.unlock(&service, "org_b").await.unwrap_err();
        assert!(matches!(failure, KeyFailure::Refused(_)));
    }
}

#[tokio::test]
async fn a_changed_row_is_refused_even_if_the_service_unwraps_it() {
    let service = FakeKeyService::lax();
    let row = create(&service).await;
    let WrappedKey { key, wrapped, check } = row.newest.clone();
    let other = WrappedKeys::create(&service, ORGANISATION, KEY.id).await.unwrap().newest;

    let mut changes = vec![
        WrappedKey { key: KeyRef { version: 2, ..key }, wrapped: wrapped.clone(), check },
        WrappedKey { key: KeyRef { id: crate::KeyId::new([7; 16]), ..key }, wrapped: wrapped.clone(), check },
        WrappedKey { key, wrapped: other.wrapped, check },
        WrappedKey { key, wrapped: wrapped.clone(), check: other.check },
    ];
    for bit in 0..8 {
        let flip = |byte: &u8| byte ^ 1 << bit;
        changes.push(WrappedKey { key, wrapped: wrapped.iter().map(flip).collect(), check });
        changes.push(WrappedKey { key, wrapped: wrapped.clone(), check: check.map(|byte| flip(&byte)) });
    }
    for newest in changes {
        let name = newest.key;
        let changed = WrappedKeys { newest, older: Vec::new() };
        assert_eq!(
            refusal(&changed.unlock(&service, ORGANISATION).await.unwrap_err()),
            Some(Error::WrongKey(name))
        );
        let rotation = changed.rotate(&service, ORGANISATION, salt()).await;
        assert_eq!(refusal(&rotation.unwrap_err()), Some(Error::WrongKey(name)));
    }
    row.unlock(&service, ORGANISATION).await.unwrap();
}

#[tokio::test]
async fn older_versions_open_in_their_order_only() {
    let service = FakeKeyService::default();
    let row = rotated(&service, 3).await;
    let older = |indexes: &[usize]| WrappedKeys {
        newest: row.newest.clone(),
        older: indexes.iter().map(|&index| row.older[index].clone()).collect(),
    };
    for complete in [&[][..], &[0], &[0, 1], &[0, 1, 2]] {
        let keys = older(complete).unlock(&service, ORGANISATION).await.unwrap();
        assert_eq!(keys.keys().newest().key().version, 4);
    }
    for (broken, version) in [(&[1][..], 3), (&[0, 2], 2), (&[0, 0], 4), (&[1, 0, 2], 3)] {
        let failure = older(broken).unlock(&service, ORGANISATION).await.unwrap_err();
        assert_eq!(refusal(&failure), Some(Error::UnknownKey(KeyRef { version, ..FIRST })), "{broken:?}");
    }
    let mut changed = row.older[0].as_bytes().to_vec();
    *changed.last_mut().unwrap() ^= 1;
    let changed = WrappedKeys { newest: row.newest.clone(), older: vec![Sealed::try_from(changed).unwrap()] };
    assert_eq!(
        refusal(&changed.unlock(&service, ORGANISATION).await.unwrap_err()),
        Some(Error::NotAuthentic)
    );
}

#[tokio::test]
async fn a_failing_service_makes_no_key() {
    let service = FakeKeyService::default();
    service.fail_next(KeyFailure::retryable("ThrottlingException"));
    let failure = WrappedKeys::create(&service, ORGANISATION, KEY.id).await.unwrap_err();
    assert!(matches!(failure, KeyFailure::Retryable(_)));
    assert_eq!(failure.source().unwrap().to_string(), "ThrottlingException");

    let row = create(&service).await;
    service.fail_next(KeyFailure::retryable("ThrottlingException"));
    let failure = row.rotate(&service, ORGANISATION, salt()).await.unwrap_err();
    assert!(matches!(failure, KeyFailure::Retryable(_)));
}

/// Generates one key and unwraps another, or the same.
struct Fixed {
    generated: u8,
    unwrapped: u8,
}

impl KeyService for Fixed {
    async fn generate_key(&self, _: &str) -> Result<GeneratedKey, KeyFailure> {
        Ok(GeneratedKey { secret: secret(self.generated), wrapped: Vec::new() })
    }

    async fn unwrap_key(&self, _: &str, _: &[u8]) -> Result<Secret, KeyFailure> {
        Ok(secret(self.unwrapped))
    }
}

#[tokio::test]
async fn a_key_that_does_not_come_back_is_never_stored() {
    let service = Fixed { generated: 0, unwrapped: 1 };
    let failure = WrappedKeys::create(&service, ORGANISATION, KEY.id).await.unwrap_err();
    assert_eq!(refusal(&failure), Some(Error::WrongKey(FIRST)));
}

#[tokio::test]
async fn the_last_version_is_not_rotated() {
    let service = Fixed { generated: 0, unwrapped: 0 };
    let key = KeyRef { version: u32::MAX, ..KEY };
    let check = hex::decode("2eae60b8e4bdfbb5e5c380c792aa415c7656dade7d5c2fbfeea1970d4be08c20")
        .unwrap()
        .try_into()
        .unwrap();
    let row = WrappedKeys { newest: WrappedKey { key, wrapped: Vec::new(), check }, older: Vec::new() };
    let failure = row.rotate(&service, ORGANISATION, salt()).await.unwrap_err();
    assert_eq!(refusal(&failure), Some(Error::NoVersionLeft(key)));
}

/// The values were made with another implementation (Node's crypto), from the crate's page alone.
#[tokio::test]
async fn the_formats_of_keys_are_the_documented_ones() {
    let service = Fixed { generated: 0, unwrapped: 0 };
    let row = WrappedKeys::create(&service, ORGANISATION, KEY.id).await.unwrap();
    assert_eq!(
        hex::encode(row.newest.check),
        "5920e0490587653ad9c64d11460a856363360fb9706e4355dfdd5736b38aca0c",
    );
    let keys = row.unlock(&service, ORGANISATION).await.unwrap();
    assert_eq!(
        hex::encode(keys.lookup_key("email").unwrap().hash("anna@example.com")),
        "a963b48e97d311d4e0e0c29c68640f5f1f72eea24d47588ee04ea704e2d40607",
    );
    let customer = KeyRef { id: crate::KeyId::new(counting_from(0xc0)), version: 1 };
    let (_, sealed) = keys.create_customer_key(CUSTOMER, customer, secret(0x80), salt()).unwrap();
    assert_eq!(
        hex::encode(sealed.as_bytes()),
        concat!(
            "01a0a1a2a3a4a5a6a7a8a9aaabacadaeaf00000001404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c",
            "5d5e5f469107e2636ec584844cf7796a2aae2e0a1306e4af9156110e6c855aa6008a3c47a0f6a030ce41d80867cb142e98bf",
            "b92a8e9d87eadcfe18ef3857e8d186d76352ccab55c56d483b4617f464b771680fb68dc835a83d0145cbbcc32f0b35b75ff6",
            "ad96f0",
        )
    );
    let rotated = row.rotate(&service, ORGANISATION, salt()).await.unwrap();
    assert_eq!(
        hex::encode(rotated.older[0].as_bytes()),
        concat!(
            "01a0a1a2a3a4a5a6a7a8a9aaabacadaeaf00000002404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c",
            "5d5e5f0753b5c52e6fc98ead042fea12266350595ed078b0482e51c06b7fe067ef3a5307c0132b04628f93a7c96b83bea900",
            "3bb0955255f16a1a42f12bf98569020dc132df0516b37f31ca95526fcfaf906521cd2bd4091f3be2da7b03eb0e92f23bb966",
            "7c5505",
        )
    );
}
