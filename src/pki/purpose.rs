//! What a certificate is for, and what each certificate of a path says of that: key usage, extended key usage, Netscape's
//! type and critical extensions. Judges as OpenSSL does, which asks every CA up to the root.

use x509_parser::certificate::X509Certificate;
use x509_parser::oid_registry::Oid;

use super::certificate::CertificateError;
use super::{extension, name};
use crate::core::wanted::usage::Usage;

/// The side of TLS that a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A server's.
    Server,
    /// A client's.
    Client,
    /// None: for mail, code or a private use.
    Other,
}

impl Purpose {
    /// The purpose of a certificate from which `wanted` usages are expected; where none are, by its `own`.
    #[must_use]
    pub fn of(wanted: &[Usage], own: &[Usage]) -> Self {
        let usages = if wanted.is_empty() { own } else { wanted };
        let names = |usage: &str| usages.iter().any(|named| Some(named) == Usage::parse(usage).as_ref());
        match (usages.is_empty() || names(SERVER), names(CLIENT)) {
            (true, _) => Self::Server,
            (false, true) => Self::Client,
            (false, false) => Self::Other,
        }
    }

    /// Whether a certificate with these extended key usages may serve it. `any` is none of them: neither OpenSSL nor webpki
    /// takes it.
    pub(super) fn is_among(self, usages: &[Usage]) -> bool {
        let names =
            |wanted: &[&str]| wanted.iter().any(|wanted| usages.iter().any(|there| there.to_string() == *wanted));
        usages.is_empty()
            || match self {
                Self::Server => names(&[SERVER, SGC_MICROSOFT, SGC_NETSCAPE]),
                Self::Client => names(&[CLIENT]),
                Self::Other => true,
            }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server authentication",
            Self::Client => "client authentication",
            Self::Other => "this purpose",
        }
    }
}

/// What of a leaf keeps it from its purpose, but for its extended key usage, which the gate judges.
pub(super) fn leaf_flaw(leaf: &X509Certificate<'_>, purpose: Purpose) -> Option<String> {
    let usage = extension::key_usage(leaf).ok().flatten();
    let signs = |usage: &x509_parser::extensions::KeyUsage| usage.digital_signature() || usage.key_agreement();
    let kind = extension::netscape_type(leaf);
    let (lacks, excludes) = match purpose {
        Purpose::Server => (
            usage
                .filter(|usage| !signs(usage) && !usage.key_encipherment())
                .map(|_| "its key usage allows neither digital signatures nor key encipherment nor key agreement"),
            kind.is_some_and(|kind| !kind.ssl_server()),
        ),
        Purpose::Client => (
            usage
                .filter(|usage| !signs(usage))
                .map(|_| "its key usage allows neither digital signatures nor key agreement"),
            kind.is_some_and(|kind| !kind.ssl_client()),
        ),
        Purpose::Other => (None, false),
    };
    let lacks = lacks.or(excludes.then_some("its Netscape certificate type names another purpose"));
    lacks.map(|why| format!("{} is not a certificate for {}: {why}", name::holder(leaf), purpose.as_str()))
}

/// Whether the extended key usage of a CA allows it to issue for the purpose.
pub(super) fn ca_flaw(ca: &X509Certificate<'_>, purpose: Purpose) -> Option<String> {
    match extension::usages(ca) {
        Ok(usages) if purpose.is_among(&usages) => None,
        Ok(usages) => Some(format!(
            "CA {} may not issue for {}: its extended key usages are {}",
            name::holder(ca),
            purpose.as_str(),
            listed(&usages)
        )),
        Err(error) => Some(of(ca, &error)),
    }
}

/// The wanted usages that a CA of the path withholds from what it issues, other than the one of the purpose.
pub(super) fn withheld(ca: &X509Certificate<'_>, wanted: &[Usage], purpose: Purpose) -> Option<String> {
    let usages = extension::usages(ca).ok().filter(|usages| !usages.is_empty())?;
    let is_judged = |usage: &Usage| match purpose {
        Purpose::Server => usage.to_string() == SERVER,
        Purpose::Client => usage.to_string() == CLIENT,
        Purpose::Other => false,
    };
    let takes_any = |usage: &Usage| !is_of_tls(usage) && has_any(&usages);
    let lacking = wanted.iter().filter(|usage| !is_judged(usage) && !usages.contains(usage) && !takes_any(usage));
    let lacking: Vec<_> = lacking.cloned().collect();
    let why = || format!("CA {} may not issue for {}", name::holder(ca), listed(&lacking));
    (!lacking.is_empty()).then(why)
}

/// Whether `any` is among them, which stands for all but the usages of TLS.
pub(super) fn has_any(usages: &[Usage]) -> bool {
    usages.iter().any(|usage| usage.to_string() == "any")
}

/// Whether a server's usage is named only in the way of server gated cryptography.
pub(super) fn has_outdated(usages: &[Usage]) -> bool {
    let names = |wanted: &str| usages.iter().any(|there| there.to_string() == wanted);
    !names(SERVER) && (names(SGC_MICROSOFT) || names(SGC_NETSCAPE))
}

/// Whether it is one of the two usages of TLS.
pub(super) fn is_of_tls(usage: &Usage) -> bool {
    [SERVER, CLIENT].contains(&usage.to_string().as_str())
}

/// The critical extensions that a TLS client does not know, so that it refuses the certificate.
pub(super) fn unknown_extensions(certificate: &X509Certificate<'_>) -> Option<String> {
    critical(certificate, |oid| !KNOWN.contains(&oid)).map(|unknown| {
        format!("an extension marked critical ({unknown}) is unknown to TLS clients in {}", name::holder(certificate))
    })
}

/// The critical extensions that OpenSSL knows and other TLS clients do not.
pub(super) fn rare_extensions(certificate: &X509Certificate<'_>) -> Option<String> {
    critical(certificate, |oid| !EVERYWHERE.contains(&oid))
}

fn critical(certificate: &X509Certificate<'_>, fits: impl Fn(&str) -> bool) -> Option<String> {
    let critical = certificate.extensions().iter().filter(|extension| extension.critical);
    let found: Vec<_> = critical.map(|extension| oid(&extension.oid)).filter(|oid| fits(oid)).collect();
    (!found.is_empty()).then(|| format!("OID {}", found.join(", ")))
}

fn oid(oid: &Oid<'_>) -> String {
    oid.to_id_string()
}

/// An error in a certificate that is not the leaf.
pub(super) fn of(certificate: &X509Certificate<'_>, error: &CertificateError) -> String {
    format!("{}: {error}", name::holder(certificate))
}

fn listed(usages: &[Usage]) -> String {
    usages.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

const SERVER: &str = "server_auth";
const CLIENT: &str = "client_auth";
/// Server gated cryptography, which OpenSSL takes for a server's usage.
const SGC_MICROSOFT: &str = "1.3.6.1.4.1.311.10.3.3";
const SGC_NETSCAPE: &str = "2.16.840.1.113730.4.1";
/// keyUsage, subjectAltName, basicConstraints, nameConstraints, cRLDistributionPoints, extKeyUsage.
const EVERYWHERE: [&str; 6] = ["2.5.29.15", "2.5.29.17", "2.5.29.19", "2.5.29.30", "2.5.29.31", "2.5.29.37"];
/// Those, and what OpenSSL 3 knows beside them: certificatePolicies, policyMappings, policyConstraints, inhibitAnyPolicy,
/// nsCertType, the resources of RFC 3779, and ocsp-nocheck.
const KNOWN: [&str; 14] = [
    "2.5.29.15",
    "2.5.29.17",
    "2.5.29.19",
    "2.5.29.30",
    "2.5.29.31",
    "2.5.29.37",
    "2.5.29.32",
    "2.5.29.33",
    "2.5.29.36",
    "2.5.29.54",
    "2.16.840.1.113730.1.1",
    "1.3.6.1.5.5.7.1.7",
    "1.3.6.1.5.5.7.1.8",
    "1.3.6.1.5.5.7.48.1.5",
];
