//! Structs that are read from objects alone.

/// Gives structs whose derives say `#[serde(remote = "Self")]` their `Serialize` and `Deserialize`: as derived, but that a list
/// is not taken for an object. [serde](https://serde.rs/deserialize-struct.html) reads a struct from a list of its fields' values
/// too, and a caller's `["A"]` would pass for `{"name": "A"}`.
#[macro_export]
macro_rules! objects {
    ($($object:ty),* $(,)?) => {$(
        impl serde::Serialize for $object {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                <$object>::serialize(self, to)
            }
        }

        $crate::objects!(read $object);
    )*};
    (read $object:ty) => {
        impl<'de> serde::Deserialize<'de> for $object {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                struct AnObject;
                impl<'de> serde::de::Visitor<'de> for AnObject {
                    type Value = $object;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<$object, A::Error> {
                        <$object>::deserialize(serde::de::value::MapAccessDeserializer::new(map))
                    }
                }
                from.deserialize_map(AnObject)
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use crate::ledger::{Address, Line};
    use crate::money::Money;

    #[test]
    fn a_list_is_no_object() {
        let euro = r#"{"amount":5,"currency":"EUR"}"#;
        let money: Money = serde_json::from_str(euro).unwrap();
        assert_eq!(serde_json::to_string(&money).unwrap(), euro);
        assert!(serde_json::from_str::<Money>(r#"[5,"EUR"]"#).is_err());
        assert!(serde_json::from_str::<Money>(r#"{"amount":5,"currency":"EUR","more":1}"#).is_err());
        assert!(serde_json::from_str::<Address>(r#"["a",null,"b","c","DE"]"#).is_err());
        let line = format!(r#"{{"description":"a","quantity":"1","unit_price":{euro}}}"#);
        assert!(serde_json::from_str::<Line>(&line).is_ok());
        assert!(serde_json::from_str::<Line>(&format!(r#"["a","1",{euro},null]"#)).is_err());
    }

    #[test]
    fn a_decimal_is_digits_and_a_point() {
        let line = |quantity: &str| {
            let price = r#"{"amount":5,"currency":"EUR"}"#;
            let line = format!(r#"{{"description":"a","quantity":{quantity},"unit_price":{price}}}"#);
            serde_json::from_str::<Line>(&line).is_ok()
        };
        for fits in [r#""1""#, r#""0.25""#, r#""-1""#, r#""007""#] {
            assert!(line(fits), "{fits}");
        }
        for odd in [
            "1",
            r#""""#,
            r#"".5""#,
            r#""5.""#,
            r#""1_000""#,
            r#""+1""#,
            r#""1e3""#,
            r#"" 1""#,
            r#""1,5""#,
            r#""--1""#,
        ] {
            assert!(!line(odd), "{odd}");
        }
    }
}
