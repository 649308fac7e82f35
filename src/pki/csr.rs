//! Certificate signing requests (PKCS#10, RFC 2986). Written here, since rcgen's names hold one value of an attribute
//! and a subject may have several organizational units. Does not decide what to ask for.

use std::net::IpAddr;

use yasna::models::ObjectIdentifier;
use yasna::{DERWriter, DERWriterSeq, Tag};

use super::key::{KeyError, PrivateKey};
use super::{oid, pem};
use crate::core::text::Text;
use crate::core::wanted::dn::{self, Attribute};
use crate::core::wanted::entry::Sans;
use crate::core::wanted::subject::{Subject, SubjectAttribute};

/// A signing request cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CsrError {
    /// A value has characters that its attribute cannot hold.
    #[error("{attribute} \"{value}\" has characters that this attribute cannot hold")]
    Value {
        /// The attribute.
        attribute: SubjectAttribute,
        /// The value.
        value: Text,
    },
    /// A name is not ASCII.
    #[error("the name \"{0}\" has characters other than ASCII; write it in its A-label or percent-encoded form")]
    Name(Text),
    /// A name is none of its kind.
    #[error("the name \"{0}\" is neither an object identifier nor a distinguished name")]
    Kind(Text),
    /// The key could not sign.
    #[error("the signing request could not be signed")]
    Key(#[from] KeyError),
}

/// Makes a signing request as PEM, with `\n` at the end of each line. `subject` has the common name, if any.
///
/// # Errors
///
/// When a value cannot be encoded, or the key cannot sign.
pub fn make(key: &PrivateKey, subject: &Subject, names: &Sans) -> Result<String, CsrError> {
    let subject = in_order(subject)?;
    let names = general_names(names)?;
    let info = yasna::construct_der(|writer| write_info(writer, &subject, key.public(), &names));
    let (algorithm, signature) = key.sign(&info)?;
    let request = yasna::construct_der(|writer| {
        writer.write_sequence(|parts| {
            parts.next().write_der(&info);
            parts.next().write_sequence(|id| id.next().write_der(&algorithm));
            parts.next().write_bitvec_bytes(&signature, signature.len() * 8);
        });
    });
    Ok(std::mem::take(&mut *pem::armour("CERTIFICATE REQUEST", &request)))
}

/// CertificationRequestInfo: version, subject, public key, and the extensions asked for as an attribute.
fn write_info(writer: DERWriter<'_>, subject: &[(SubjectAttribute, &str)], public: &[u8], names: &[Vec<u8>]) {
    writer.write_sequence(|info| {
        info.next().write_u8(0);
        info.next().write_sequence(|name| {
            for (attribute, value) in subject {
                name.next().write_set(|rdn| rdn.next().write_sequence(|pair| write_attribute(pair, *attribute, value)));
            }
        });
        info.next().write_der(public);
        info.next().write_tagged_implicit(Tag::context(0), |attributes| {
            attributes.write_set(|attributes| {
                if !names.is_empty() {
                    attributes.next().write_sequence(|request| write_extension_request(request, subject, names));
                }
            });
        });
    });
}

fn write_extension_request(request: &mut DERWriterSeq<'_>, subject: &[(SubjectAttribute, &str)], names: &[Vec<u8>]) {
    let names = list_of(names);
    request.next().write_oid(&ObjectIdentifier::from_slice(EXTENSION_REQUEST));
    request.next().write_set(|values| {
        values.next().write_sequence(|extensions| {
            extensions.next().write_sequence(|extension| {
                extension.next().write_oid(&ObjectIdentifier::from_slice(SUBJECT_ALT_NAME));
                // RFC 5280 section 4.2.1.6: critical where the names stand in for an empty subject.
                if subject.is_empty() {
                    extension.next().write_bool(true);
                }
                extension.next().write_bytes(&names);
            });
        });
    });
}

/// SubjectAltName of these names.
#[cfg(test)]
pub(super) fn alternative_names(names: &Sans) -> Result<Vec<u8>, CsrError> {
    Ok(list_of(&general_names(names)?))
}

fn list_of(names: &[Vec<u8>]) -> Vec<u8> {
    yasna::construct_der(|writer| {
        writer.write_sequence(|list| names.iter().for_each(|name| list.next().write_der(name)));
    })
}

fn write_attribute(pair: &mut DERWriterSeq<'_>, attribute: SubjectAttribute, value: &str) {
    let arcs: Vec<u64> = attribute.oid().split('.').filter_map(|arc| arc.parse().ok()).collect();
    pair.next().write_oid(&ObjectIdentifier::from_slice(&arcs));
    Encoding::of(attribute).write(pair.next(), value);
}

/// The customary order, from the country down to the common name; every value is one that its attribute can hold.
fn in_order(subject: &Subject) -> Result<Vec<(SubjectAttribute, &str)>, CsrError> {
    let rank = |attribute: &SubjectAttribute| ORDER.iter().position(|other| other == attribute).unwrap_or(ORDER.len());
    let mut values: Vec<_> = subject
        .iter()
        .flat_map(|(attribute, values)| values.iter().map(move |value| (*attribute, value.as_str())))
        .collect();
    values.sort_by_key(|(attribute, _)| rank(attribute));
    let unfit = values.iter().find(|(attribute, value)| !Encoding::of(*attribute).holds(value));
    match unfit {
        Some((attribute, value)) => Err(CsrError::Value { attribute: *attribute, value: Text::new(value) }),
        None => Ok(values),
    }
}

/// Each name as the DER of a GeneralName. GUIDs and names of other types are not among them: how their values are encoded
/// is the profile's, and TLM takes them from the body alone.
fn general_names(names: &Sans) -> Result<Vec<Vec<u8>>, CsrError> {
    let texts = [(RFC822_NAME, &*names.emails), (DNS_NAME, &names.dns_names), (URI, &*names.uris)];
    let mut general = Vec::new();
    for (tag, name) in texts.into_iter().flat_map(|(tag, names)| names.iter().map(move |name| (tag, name))) {
        if !name.is_ascii() {
            return Err(CsrError::Name(Text::new(name)));
        }
        general.push(implicit(tag, name.as_bytes()));
    }
    let octets = |address: &IpAddr| match address {
        IpAddr::V4(four) => implicit(IP_ADDRESS, &four.octets()),
        IpAddr::V6(six) => implicit(IP_ADDRESS, &six.octets()),
    };
    general.extend(names.ip_addresses.iter().map(octets));
    general.extend(names.others.user_principal_names.iter().map(|name| user_principal_name(name)));
    for id in &names.others.registered_ids {
        let content = oid::encode(id).ok_or_else(|| CsrError::Kind(Text::new(id)))?;
        general.push(implicit(REGISTERED_ID, &content));
    }
    for name in &names.others.directory_names {
        general.push(directory_name(name).ok_or_else(|| CsrError::Kind(Text::new(name)))?);
    }
    Ok(general)
}

fn implicit(tag: u64, content: &[u8]) -> Vec<u8> {
    yasna::construct_der(|writer| writer.write_tagged_implicit(Tag::context(tag), |name| name.write_bytes(content)))
}

fn user_principal_name(name: &str) -> Vec<u8> {
    yasna::construct_der(|writer| {
        writer.write_tagged_implicit(Tag::context(OTHER_NAME), |writer| {
            writer.write_sequence(|other| {
                other.next().write_oid(&ObjectIdentifier::from_slice(USER_PRINCIPAL_NAME));
                other.next().write_tagged(Tag::context(0), |value| value.write_utf8_string(name));
            });
        });
    })
}

/// The text begins with what stands last in the name (RFC 4514).
fn directory_name(text: &str) -> Option<Vec<u8>> {
    let mut attributes = dn::parse(text)?;
    attributes.reverse();
    let encoded: Option<Vec<(Vec<u8>, Encoding)>> = attributes.iter().map(encoding_of).collect();
    let encoded = encoded?;
    Some(yasna::construct_der(|writer| {
        writer.write_tagged(Tag::context(DIRECTORY_NAME), |writer| {
            writer.write_sequence(|name| {
                for (attribute, (oid, encoding)) in attributes.iter().zip(&encoded) {
                    name.next().write_set(|rdn| {
                        rdn.next().write_sequence(|pair| {
                            pair.next().write_tagged_implicit(TAG_OID, |writer| writer.write_bytes(oid));
                            encoding.write(pair.next(), &attribute.value);
                        });
                    });
                }
            });
        });
    }))
}

/// The object identifier of an attribute as DER's content, and a string type that holds its value.
fn encoding_of(attribute: &Attribute) -> Option<(Vec<u8>, Encoding)> {
    let known = SubjectAttribute::of_oid(&attribute.oid).map_or(Encoding::Utf8, Encoding::of);
    let encoding = if known.holds(&attribute.value) { known } else { Encoding::Utf8 };
    Some((oid::encode(&attribute.oid)?, encoding))
}

/// The string type of an attribute (RFC 5280 appendix A, RFC 2985).
#[derive(Clone, Copy)]
enum Encoding {
    Printable,
    Ia5,
    Utf8,
}

impl Encoding {
    fn of(attribute: SubjectAttribute) -> Self {
        match attribute {
            SubjectAttribute::Country | SubjectAttribute::SerialNumber | SubjectAttribute::DnQualifier => {
                Self::Printable
            }
            SubjectAttribute::Email | SubjectAttribute::DomainComponent => Self::Ia5,
            SubjectAttribute::CommonName
            | SubjectAttribute::OrganizationName
            | SubjectAttribute::OrganizationUnits
            | SubjectAttribute::Description
            | SubjectAttribute::Pseudonym
            | SubjectAttribute::UniqueIdentifier
            | SubjectAttribute::UserIdentifier
            | SubjectAttribute::UnstructuredName
            | SubjectAttribute::UnstructuredAddress
            | SubjectAttribute::StreetAddress
            | SubjectAttribute::Locality
            | SubjectAttribute::State
            | SubjectAttribute::PostalCode
            | SubjectAttribute::Title
            | SubjectAttribute::GivenName
            | SubjectAttribute::Surname
            | SubjectAttribute::OrganizationIdentifier => Self::Utf8,
        }
    }

    fn write(self, writer: DERWriter<'_>, value: &str) {
        match self {
            Self::Printable => writer.write_printable_string(value),
            Self::Ia5 => writer.write_ia5_string(value),
            Self::Utf8 => writer.write_utf8_string(value),
        }
    }

    fn holds(self, value: &str) -> bool {
        let printable = |c: u8| c.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(&c);
        match self {
            Self::Printable => value.bytes().all(printable),
            Self::Ia5 => value.is_ascii(),
            Self::Utf8 => true,
        }
    }
}

const ORDER: [SubjectAttribute; 22] = [
    SubjectAttribute::DomainComponent,
    SubjectAttribute::Country,
    SubjectAttribute::State,
    SubjectAttribute::Locality,
    SubjectAttribute::StreetAddress,
    SubjectAttribute::PostalCode,
    SubjectAttribute::OrganizationName,
    SubjectAttribute::OrganizationIdentifier,
    SubjectAttribute::OrganizationUnits,
    SubjectAttribute::Title,
    SubjectAttribute::GivenName,
    SubjectAttribute::Surname,
    SubjectAttribute::Pseudonym,
    SubjectAttribute::Description,
    SubjectAttribute::DnQualifier,
    SubjectAttribute::UniqueIdentifier,
    SubjectAttribute::UserIdentifier,
    SubjectAttribute::SerialNumber,
    SubjectAttribute::CommonName,
    SubjectAttribute::Email,
    SubjectAttribute::UnstructuredName,
    SubjectAttribute::UnstructuredAddress,
];

/// RFC 2985 section 5.4.2.
const EXTENSION_REQUEST: &[u64] = &[1, 2, 840, 113_549, 1, 9, 14];
/// RFC 5280 section 4.2.1.6, with the tags of GeneralName.
const SUBJECT_ALT_NAME: &[u64] = &[2, 5, 29, 17];
const OTHER_NAME: u64 = 0;
const RFC822_NAME: u64 = 1;
const DNS_NAME: u64 = 2;
const DIRECTORY_NAME: u64 = 4;
const URI: u64 = 6;
const IP_ADDRESS: u64 = 7;
const REGISTERED_ID: u64 = 8;
/// The type of a user principal name.
const USER_PRINCIPAL_NAME: &[u64] = &[1, 3, 6, 1, 4, 1, 311, 20, 2, 3];
const TAG_OID: Tag = yasna::tags::TAG_OID;

#[cfg(test)]
mod tests;
