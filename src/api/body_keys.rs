//! The key types that a profile takes, in every spelling that profiles use. What is not understood is named, never left
//! out: a profile that takes Ed25519 keys alone is not one that says nothing.

use crate::core::text::Text;
use crate::core::wanted::key::KeyType;

use super::json::{Json, is_same_key};

/// The key types that a profile names.
#[derive(Debug, Default)]
pub(super) struct Keys {
    /// Those that renewd can make: the default first, then the others.
    pub(super) known: Vec<KeyType>,
    /// The others, by their names.
    pub(super) unknown: Vec<Text>,
}

impl Keys {
    /// What `profile` says. The default stands before what else is allowed. Only where it names neither type nor size, the
    /// signature algorithm (the issuer's) tells the family.
    pub(super) fn of(profile: Json<'_>) -> Self {
        let private_key = profile.at("private_key_attributes").items();
        let unnamed = private_key.iter().flat_map(|attributes| types_below(*attributes)).collect();
        let names = names(&private_key.into_iter().chain([profile]).collect::<Vec<_>>(), unnamed);
        let mut keys = Self::default();
        names.iter().for_each(|name| keys.add(name));
        if names.is_empty() {
            keys.add_family(&profile.at("signature_algorithm").text().unwrap_or_default());
        }
        keys
    }

    fn add(&mut self, name: &str) {
        let known = key_types(name);
        if known.is_empty() && !self.unknown.contains(&Text::new(name)) {
            self.unknown.push(Text::new(name));
        }
        let news: Vec<_> = known.iter().filter(|key| !self.known.contains(key)).collect();
        self.known.extend(news);
    }

    /// `MATCH_ISSUER` says nothing, and neither does an algorithm that no family of keys has in its name.
    fn add_family(&mut self, algorithm: &str) {
        let upper = algorithm.to_ascii_uppercase();
        let own = key_types(algorithm);
        if own.iter().any(|key| key.is_post_quantum()) {
            self.known.extend(own);
        } else if is_of_other_family(algorithm) {
            self.unknown.push(Text::new(algorithm));
        } else if upper.contains("ECDSA") {
            self.known.extend(EC);
        } else if upper.contains("RSA") {
            self.known.extend(RSA);
        }
    }
}

/// Whether a name is that of a family of keys that renewd cannot make, also as a part of a composite.
fn is_of_other_family(name: &str) -> bool {
    let upper = name.to_ascii_uppercase().replace("ECDSA", "");
    OTHER_FAMILIES.iter().any(|family| upper.contains(family))
}

/// The types in attributes that name them under no key that is known: each text that is of a family.
fn types_below(attributes: Json<'_>) -> Vec<String> {
    let places = attributes.fields().filter(|(key, _)| !SIZE_KEYS.iter().any(|size| is_same_key(key, size)));
    let is_type =
        |text: &&str| text.contains(char::is_alphabetic) && (!key_types(text).is_empty() || is_of_other_family(text));
    let found = places.flat_map(|(_, value)| value.texts()).filter(is_type);
    let whole = attributes.text().filter(|text| attributes.string().is_some() && !is_silent(text));
    whole.into_iter().chain(found.map(str::to_owned)).map(|text| text.trim().to_owned()).collect()
}

/// Each type that is named; `unnamed` are those that no key names as types. A bare size belongs to the type beside it, where
/// there is one alone.
fn names(holders: &[Json<'_>], unnamed: Vec<String>) -> Vec<String> {
    let mut types = texts(holders, &["key_type", "key_types", "key_algorithm", "allowed_key_types"]);
    if types.is_empty() {
        types = unnamed;
    }
    let sizes = texts(holders, &SIZE_KEYS);
    types.dedup();
    if sizes.is_empty() {
        return types;
    }
    let of_type = |size: &String| match types.as_slice() {
        [kind] if size.chars().all(|c| c.is_ascii_digit()) => format!("{kind} {size}"),
        _ => size.clone(),
    };
    // The sizes may be those of the other types.
    let has_no_size = |kind: &&String| {
        let own = key_types(kind);
        let is_sized = |size: &String| key_types(size).iter().any(|key| own.contains(key));
        own.is_empty() || own == ML_DSA && !sizes.iter().any(is_sized)
    };
    let unsized_types = types.iter().filter(|_| types.len() > 1).filter(has_no_size);
    sizes.iter().map(of_type).chain(unsized_types.cloned()).collect()
}

/// The texts under `keys`, in the order of the keys; an item that is a table names its type and size itself.
fn texts(holders: &[Json<'_>], keys: &[&str]) -> Vec<String> {
    let places = keys.iter().flat_map(|key| holders.iter().flat_map(|holder| holder.at(key).items()));
    let text = |item: Json<'_>| match item.text() {
        Some(text) if is_silent(&text) => Vec::new(),
        Some(text) => vec![text.trim().to_owned()],
        None => names(&[item], types_below(item)),
    };
    places.flat_map(text).collect()
}

/// Whether a text names no type at all.
fn is_silent(text: &str) -> bool {
    SILENT.contains(&text.trim().to_ascii_lowercase().as_str())
}

/// The key types that a name stands for: one, or a family where it names no size; none where it says something that is
/// not understood. "P-256", "RSA_2048", "secp256r1" and "ECDSA" are understood, "brainpoolP256r1" and "SLHDSA-256" not.
fn key_types(name: &str) -> Vec<KeyType> {
    let mut families = Vec::new();
    let mut sizes = Vec::new();
    for part in parts(&name.to_ascii_uppercase().replace("ML-DSA", "MLDSA").replace("ML_DSA", "MLDSA")) {
        match part.parse::<u32>() {
            // The end of "secp256r1" and "prime256v1".
            Ok(1) => {}
            Ok(size) => sizes.push(size),
            Err(_) if RSA_WORDS.contains(&part.as_str()) => families.push(RSA),
            Err(_) if EC_WORDS.contains(&part.as_str()) => families.push(EC),
            Err(_) if part == "MLDSA" => families.push(ML_DSA),
            Err(_) if FILLING.contains(&part.as_str()) => {}
            Err(_) => return Vec::new(),
        }
    }
    let may_be = |key: &KeyType| families.iter().all(|family| family.contains(key));
    match sizes.as_slice() {
        [] => KeyType::ALL.into_iter().filter(|key| !families.is_empty() && may_be(key)).collect(),
        // The number of a parameter set is a size beside its family alone.
        [size] => KeyType::of_size(*size)
            .into_iter()
            .filter(may_be)
            .filter(|key| !families.is_empty() || !key.is_post_quantum())
            .collect(),
        _ => Vec::new(),
    }
}

/// A name in its runs of letters, in upper case, and of digits.
fn parts(name: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    let mut before = None;
    for c in name.chars() {
        let kind = (c.is_alphanumeric()).then_some(c.is_ascii_digit());
        match parts.last_mut().filter(|_| before == Some(kind)) {
            Some(part) if kind.is_some() => part.extend(c.to_uppercase()),
            _ if kind.is_some() => parts.push(c.to_uppercase().collect()),
            _ => {}
        }
        before = Some(kind);
    }
    parts
}

const SIZE_KEYS: [&str; 5] = ["key_size", "key_sizes", "allowed_key_sizes", "curve", "parameter_set"];
/// Words that name no type.
const SILENT: [&str; 9] = ["any", "all", "none", "null", "n/a", "default", "match_issuer", "from_csr", "unspecified"];
const RSA: [KeyType; 3] = [KeyType::Rsa2048, KeyType::Rsa3072, KeyType::Rsa4096];
const EC: [KeyType; 3] = [KeyType::EcdsaP256, KeyType::EcdsaP384, KeyType::EcdsaP521];
const ML_DSA: [KeyType; 3] = [KeyType::MlDsa44, KeyType::MlDsa65, KeyType::MlDsa87];
const RSA_WORDS: [&str; 2] = ["RSA", "RSAENCRYPTION"];
const EC_WORDS: [&str; 13] =
    ["EC", "ECC", "ECDSA", "P", "ECP", "ECCP", "ECDSAP", "NIST", "NISTP", "SECP", "PRIME", "ELLIPTIC", "CURVE"];
const FILLING: [&str; 7] = ["BIT", "BITS", "KEY", "SIZE", "R", "V", "ID"];
/// What names of other families have in them that are not those of RSA and ECDSA.
const OTHER_FAMILIES: [&str; 13] = [
    "DSA",
    "ED25519",
    "ED448",
    "SLH",
    "SPHINCS",
    "DILITHIUM",
    "FALCON",
    "SM2",
    "GOST",
    "XMSS",
    "LMS",
    "HSS",
    "COMPOSITE",
];

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(profile: Value, known: &[KeyType], unknown: &[&str]) {
        let keys = Keys::of(Json::of(&profile));
        let names: Vec<&str> = keys.unknown.iter().map(Text::as_str).collect();
        assert_eq!((&*keys.known, &*names), (known, unknown), "{profile}");
    }

    #[track_caller]
    fn size(size: &str, known: &[KeyType]) {
        let unknown: &[&str] = if known.is_empty() { &[size] } else { &[] };
        check(json!({"private_key_attributes": {"key_size": size}}), known, unknown);
    }

    #[test]
    fn a_type_is_understood_in_every_spelling_or_named() {
        for (name, key) in [
            ("2048", KeyType::Rsa2048),
            ("RSA_3072", KeyType::Rsa3072),
            ("RSA 4096 bits", KeyType::Rsa4096),
            ("2048-bit RSA", KeyType::Rsa2048),
            ("256", KeyType::EcdsaP256),
            ("P-256", KeyType::EcdsaP256),
            ("ecdsa-p256", KeyType::EcdsaP256),
            ("secp256r1", KeyType::EcdsaP256),
            ("prime256v1", KeyType::EcdsaP256),
            ("NIST P-384", KeyType::EcdsaP384),
            ("ECC_P521", KeyType::EcdsaP521),
            ("MLDSA-65", KeyType::MlDsa65),
            ("ML-DSA-44", KeyType::MlDsa44),
            ("ml_dsa_87", KeyType::MlDsa87),
            ("id-ml-dsa-65", KeyType::MlDsa65),
            ("MLDSA44", KeyType::MlDsa44),
        ] {
            size(name, &[key]);
        }
        size("ECDSA", &EC);
        size("rsa", &RSA);
        size("ML-DSA", &ML_DSA);
        for other in [
            "MLDSA-66",
            "65",
            "DSA-65",
            "HashML-DSA-65",
            "ML-DSA-65-with-SHA512",
            "MLDSA44-ED25519",
            "SLHDSA-SHA2-128s",
            "SLHDSA-256",
            "Ed25519",
            "ED448",
            "P-224",
            "RSA 1024",
            "1024",
            "8192",
            "RSA 256",
            "EC 2048",
            "RSA-PSS 2048",
            "DSA-2048",
            "secp256k1",
            "brainpoolP256r1",
            "2048 or 256",
            "-",
        ] {
            size(other, &[]);
        }
    }

    #[test]
    fn nothing_said_is_not_the_same_as_not_understood() {
        for nothing in [
            json!({}),
            json!({"private_key_attributes": null}),
            json!({"private_key_attributes": {"key_size": ""}, "allowed_key_sizes": [], "key_type": null}),
            json!({"signature_algorithm": "MATCH_ISSUER"}),
            json!({"private_key_attributes": {"key_type": "ANY", "key_size": "n/a"}}),
            json!({"signature_algorithm": "DEFAULT"}),
            json!({"private_key_attributes": "any"}),
        ] {
            check(nothing, &[], &[]);
        }
        check(json!({"signature_algorithm": "MLDSA65"}), &[KeyType::MlDsa65], &[]);
        check(json!({"signature_algorithm": "Ed25519"}), &[], &["Ed25519"]);
        check(json!({"key_type": "SLHDSA"}), &[], &["SLHDSA"]);
        for name in
            ["MLDSA65-RSA3072-PSS-SHA512", "id-MLDSA44-ECDSA-P256", "XMSS", "LMS_HSS", "Composite", "SLH-DSA-65"]
        {
            check(json!({"signature_algorithm": name}), &[], &[name]);
        }
    }

    #[test]
    fn a_type_is_found_in_every_shape_of_the_attributes() {
        let attributes = |attributes: Value| json!({"name": "Web", "private_key_attributes": attributes});
        for shape in [
            json!("ML-DSA-65"),
            json!(["ML-DSA-65"]),
            json!({"algorithm": "ML-DSA-65"}),
            json!({"type": "ML-DSA-65"}),
            json!({"keyType": "ML-DSA-65"}),
            json!({"key_type": "MLDSA", "parameter_set": "ML-DSA-65"}),
            json!({"algorithm": {"name": "ML-DSA-65"}}),
            json!({"odd": {"deeper": "ML-DSA-65"}}),
        ] {
            check(attributes(shape), &[KeyType::MlDsa65], &[]);
        }
        check(attributes(json!({"algorithm": "XMSS"})), &[], &["XMSS"]);
        check(attributes(json!({"key_type": "OTHER KEY"})), &[], &["OTHER KEY"]);
        check(attributes(json!({"composite": "MLDSA44-RSA2048"})), &[], &["MLDSA44-RSA2048"]);
        check(attributes(json!({"key_type": "ECDSA", "curve": "P-384"})), &[KeyType::EcdsaP384], &[]);
        check(attributes(json!({"algorithm": "RSA", "key_size": "3072"})), &[KeyType::Rsa3072], &[]);
        check(
            attributes(json!({"key_size": "2048", "exportable": "false", "provider": "soft"})),
            &[KeyType::Rsa2048],
            &[],
        );
    }

    #[test]
    fn of_several_each_is_told_apart() {
        let both =
            json!({"private_key_attributes": {"key_size": "MLDSA-65"}, "allowed_key_sizes": ["MLDSA-65", "P-256"]});
        check(both, &[KeyType::MlDsa65, KeyType::EcdsaP256], &[]);
        check(
            json!({"allowed_key_sizes": ["Ed25519", ["1024", "4096"], null]}),
            &[KeyType::Rsa4096],
            &["Ed25519", "1024"],
        );
        let signed = json!({"signature_algorithm": "SHA256_WITH_ECDSA", "allowed_key_sizes": ["P-224"]});
        check(signed, &[], &["P-224"]);
    }

    #[test]
    fn a_bare_size_belongs_to_the_type_beside_it() {
        let typed = |kind: &str, sizes: Value| json!({"private_key_attributes": {"key_type": kind}, "allowed_key_sizes": sizes});
        check(typed("RSA", json!(["2048", 3072])), &[KeyType::Rsa2048, KeyType::Rsa3072], &[]);
        check(typed("ECDSA", json!("384")), &[KeyType::EcdsaP384], &[]);
        check(typed("ML-DSA", json!(["65", 87])), &[KeyType::MlDsa65, KeyType::MlDsa87], &[]);
        check(typed("SLHDSA", json!("256")), &[], &["SLHDSA 256"]);
        check(typed("RSA", json!(["2048", "P-256"])), &[KeyType::Rsa2048, KeyType::EcdsaP256], &[]);
        let list = json!({"key_type": ["RSA", "MLDSA"], "allowed_key_sizes": ["2048"]});
        check(list, &[KeyType::Rsa2048, KeyType::MlDsa44, KeyType::MlDsa65, KeyType::MlDsa87], &[]);
        let list = json!({"key_type": ["RSA", "SLHDSA"], "allowed_key_sizes": ["2048"]});
        check(list, &[KeyType::Rsa2048], &["SLHDSA"]);
        let list = json!({"key_type": ["RSA", "MLDSA"], "allowed_key_sizes": ["2048", "MLDSA-87"]});
        check(list, &[KeyType::Rsa2048, KeyType::MlDsa87], &[]);
        let tables = json!({"allowed_key_sizes": [{"key_type": "RSA", "key_size": "2048"}, {"key_type": "Ed25519"}]});
        check(tables, &[KeyType::Rsa2048], &["Ed25519"]);
    }
}
