//! Subject attributes in TLM's names, with their limits.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A subject as an entry asks for it: attributes with their values, in the order given.
pub type Subject = BTreeMap<SubjectAttribute, Vec<String>>;

macro_rules! attributes {
    ($($(#[$doc:meta])* $variant:ident, $key:literal, $oid:literal, $length:literal, $multiple:literal;)*) => {
        /// A subject attribute that TLM's requests can carry.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum SubjectAttribute {
            $($(#[$doc])* #[serde(rename = $key)] $variant,)*
        }

        impl SubjectAttribute {
            /// Every attribute.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// TLM's key, as in requests, profiles and configuration.
            #[must_use]
            pub const fn key(self) -> &'static str {
                match self { $(Self::$variant => $key,)* }
            }

            /// The object identifier in dotted form.
            #[must_use]
            pub const fn oid(self) -> &'static str {
                match self { $(Self::$variant => $oid,)* }
            }

            /// The most characters that TLM takes, where its description names a limit.
            #[must_use]
            pub const fn max_length(self) -> Option<usize> {
                let length = match self { $(Self::$variant => $length,)* };
                if length == 0 { None } else { Some(length) }
            }

            /// Whether a request carries a list of values under this key.
            #[must_use]
            pub const fn is_list(self) -> bool {
                match self { $(Self::$variant => $multiple,)* }
            }
        }
    };
}

attributes! {
    /// CN
    CommonName, "common_name", "2.5.4.3", 64, false;
    /// O
    OrganizationName, "organization_name", "2.5.4.10", 64, false;
    /// OU
    OrganizationUnits, "organization_units", "2.5.4.11", 64, true;
    /// description
    Description, "description", "2.5.4.13", 0, true;
    /// serialNumber of the subject, not of the certificate
    SerialNumber, "serial_number", "2.5.4.5", 64, false;
    /// pseudonym
    Pseudonym, "pseudonym", "2.5.4.65", 128, false;
    /// x500UniqueIdentifier
    UniqueIdentifier, "unique_identifier", "2.5.4.45", 64, false;
    /// UID
    UserIdentifier, "user_identifier", "0.9.2342.19200300.100.1.1", 128, false;
    /// DC
    DomainComponent, "domain_component", "0.9.2342.19200300.100.1.25", 0, true;
    /// dnQualifier
    DnQualifier, "dn_qualifier", "2.5.4.46", 0, false;
    /// unstructuredName
    UnstructuredName, "unstructured_name", "1.2.840.113549.1.9.2", 0, true;
    /// unstructuredAddress
    UnstructuredAddress, "unstructured_address", "1.2.840.113549.1.9.8", 180, true;
    /// street
    StreetAddress, "street_address", "2.5.4.9", 0, true;
    /// L
    Locality, "locality", "2.5.4.7", 128, false;
    /// ST
    State, "state", "2.5.4.8", 128, false;
    /// postalCode
    PostalCode, "postal_code", "2.5.4.17", 16, false;
    /// C
    Country, "country", "2.5.4.6", 2, false;
    /// emailAddress
    Email, "email", "1.2.840.113549.1.9.1", 255, false;
    /// title
    Title, "title", "2.5.4.12", 64, true;
    /// givenName
    GivenName, "given_name", "2.5.4.42", 16, true;
    /// surname
    Surname, "surname", "2.5.4.4", 40, true;
    /// organizationIdentifier
    OrganizationIdentifier, "organization_identifier", "2.5.4.97", 0, false;
}

impl SubjectAttribute {
    /// The attribute with this key.
    #[must_use]
    pub fn of_key(key: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|attribute| attribute.key().eq_ignore_ascii_case(key))
    }

    /// The attribute with this object identifier.
    #[must_use]
    pub fn of_oid(oid: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|attribute| attribute.oid() == oid)
    }
}

impl fmt::Display for SubjectAttribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

/// Compares two attribute values as RFC 5280 section 7.1 says: without regard to case, with white space at the ends
/// dropped and inner runs taken as one space. `ß` is `ss`, and a sigma at the end of a word is one like any other. Both are
/// expected in one form of Unicode (NFC).
#[must_use]
pub fn same_value(one: &str, other: &str) -> bool {
    // By way of upper case, which tells fewer letters apart. The dotless i would become another letter.
    fn fold(c: char) -> impl Iterator<Item = char> {
        let is_own = c == 'ı';
        let folded = c.to_lowercase().flat_map(char::to_uppercase).flat_map(char::to_lowercase);
        is_own.then_some(c).into_iter().chain((!is_own).then_some(folded).into_iter().flatten())
    }
    fn folded(value: &str) -> impl Iterator<Item = char> + '_ {
        value.split_whitespace().flat_map(|word| std::iter::once(' ').chain(word.chars().flat_map(fold)))
    }
    // Most are compared with what they were made from.
    one == other || folded(one).eq(folded(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_compare_without_case_and_spacing() {
        assert!(same_value(" Example  AG ", "example ag"));
        assert!(!same_value("ExampleAG", "Example AG"));
        assert!(same_value("ÄPFEL", "äpfel"));
        assert!(same_value("Straße", "STRASSE") && same_value("Straße", "STRAẞE"));
        assert!(same_value("ΟΔΟΣ", "οδος") && same_value("οδος", "οδοσ"));
        assert!(same_value("İzmir", "i\u{307}zmir") && !same_value("İzmir", "izmir"));
        assert!(!same_value("ısı", "isi"));
    }

    #[test]
    fn keys_and_oids_lead_back() {
        for attribute in SubjectAttribute::ALL.iter().copied() {
            assert_eq!(SubjectAttribute::of_key(attribute.key()), Some(attribute));
            assert_eq!(SubjectAttribute::of_oid(attribute.oid()), Some(attribute));
        }
    }
}
