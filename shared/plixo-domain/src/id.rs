//! [TypeIDs](https://github.com/jetify-com/typeid/tree/main/spec): a prefix for the kind and a UUIDv7 in base32.

use jiff::Timestamp;
use type_safe_id::{StaticType, TypeSafeId};
use uuid::{Builder, Uuid};

macro_rules! ids {
    ($($(#[doc = $doc:literal])* $id:ident $kind:ident $prefix:literal;)*) => {$(
        #[doc = concat!("The kind of `", $prefix, "_` ids.")]
        #[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $kind;
        impl StaticType for $kind {
            const TYPE: &'static str = $prefix;
        }
        $(#[doc = $doc])*
        pub type $id = TypeSafeId<$kind>;
    )*};
}

ids! {
    /// An organisation, the tenant.
    OrgId Org "org";
    /// A member: a user's role in one organisation.
    MemberId Member "mem";
    /// A customer: the payer company or person.
    CustomerId Customer "cus";
    /// An invoice.
    InvoiceId Invoice "inv";
    /// A payment.
    PaymentId Payment "pay";
    /// An allocation: a part of a payment applied to an invoice.
    AllocationId Allocation "alo";
    /// A webhook endpoint.
    EndpointId Endpoint "whe";
    /// A webhook event.
    EventId Event "evt";
    /// A portal link: 128 random bits, without a time.
    LinkId Link "lnk";
    /// A data source.
    SourceId Source "src";
    /// An audit event.
    AuditId Audit "aud";
    /// An export.
    ExportId Export "exp";
    /// A privacy request.
    PrivacyId Privacy "prv";
    /// A legal hold.
    HoldId Hold "hld";
}

/// Makes the ids of one piece of work. The same time and seed give the same ids in the same order, so work that is done
/// again after a crash names its records as it did the first time.
#[derive(Debug, Clone)]
pub struct Ids {
    millis: u64,
    seed: [u8; 10],
    made: u16,
}

impl Ids {
    /// `at` becomes the time part of each UUIDv7; `seed` holds 80 bits that are random, or a hash of what is worked on.
    #[must_use]
    pub fn new(at: Timestamp, seed: [u8; 10]) -> Self {
        Self { millis: u64::try_from(at.as_millisecond()).unwrap_or(0), seed, made: 0 }
    }

    /// [`Ids::new`] of the first of 32 random bytes.
    #[must_use]
    pub fn drawn(at: Timestamp, random: [u8; 32]) -> Self {
        Self::new(at, random.first_chunk().copied().unwrap_or_default())
    }

    /// The next id, of the kind that the caller asks for.
    #[must_use = "an id that is made and not used makes a gap"]
    pub fn make<T: StaticType>(&mut self) -> TypeSafeId<T> {
        let mut bytes = self.seed;
        let [.., high, low] = &mut bytes;
        let counted = u16::from_be_bytes([*high, *low]).wrapping_add(self.made);
        [*high, *low] = counted.to_be_bytes();
        self.made = self.made.wrapping_add(1);
        TypeSafeId::from_uuid(Builder::from_unix_timestamp_millis(self.millis, &bytes).into_uuid())
    }
}

/// The id of those 16 bytes.
#[must_use]
pub fn from_bytes<T: StaticType>(bytes: [u8; 16]) -> TypeSafeId<T> {
    TypeSafeId::from_uuid(Uuid::from_bytes(bytes))
}

/// The bare 16 bytes of an id, for binary formats.
#[must_use]
pub fn bytes_of<T: StaticType>(id: &TypeSafeId<T>) -> [u8; 16] {
    *Uuid::as_bytes(&id.uuid())
}

/// When an id was made, to the millisecond: it begins with that.
#[must_use]
pub fn made_at<T: StaticType>(id: &TypeSafeId<T>) -> Timestamp {
    let [a, b, c, d, e, f, ..] = bytes_of(id);
    let millis = i64::from_be_bytes([0, 0, a, b, c, d, e, f]);
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_typed_and_strict() {
        let id: OrgId = "org_01h2xcejqtf2nbrexx3vqjhp41".parse().unwrap();
        assert_eq!(id.to_string(), "org_01h2xcejqtf2nbrexx3vqjhp41");
        for wrong in [
            "cus_01h2xcejqtf2nbrexx3vqjhp41",
            "org_01H2XCEJQTF2NBREXX3VQJHP41",
            "org_81h2xcejqtf2nbrexx3vqjhp41",
            "org_01h2xcejqtf2nbrexx3vqjhp4",
            "org_01h2xcejqtf2nbrexx3vqjhp41#x",
            "org_01h2xcejqtf2nbrexx3vqjhp4u",
            "01h2xcejqtf2nbrexx3vqjhp41",
            "",
        ] {
            assert!(wrong.parse::<OrgId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_id_says_when_it_was_made() {
        let at: Timestamp = "2026-11-29T10:15:30.123Z".parse().unwrap();
        let id: OrgId = Ids::new(at, [255; 10]).make();
        assert_eq!(made_at(&id), at);
    }

    #[test]
    fn the_same_seed_gives_the_same_ids() {
        let at = "2026-11-21T08:00:00Z".parse().unwrap();
        let mut one = Ids::new(at, [255; 10]);
        let mut two = one.clone();
        let (a, b): (AuditId, AuditId) = (one.make(), one.make());
        assert_ne!(a, b);
        assert_eq!((a, b), (two.make(), two.make()));
        assert_eq!(a.uuid().get_version_num(), 7);
    }
}
