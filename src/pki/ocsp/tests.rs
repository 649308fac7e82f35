//! OCSP: what each answer says of a CA certificate, and which say nothing.

use rcgen::{ExtendedKeyUsagePurpose, KeyPair, SigningKey as _};
use yasna::{DERWriter, Tag};

use super::*;
use crate::pki::openssl::{file, openssl};
use crate::pki::test_ca::{Ca, NOW, valid};
use crate::pki::test_crl::{algorithm, instant as write_instant};

/// An answer before it is signed. Instants are seconds from [`NOW`].
struct Made<'c> {
    of: &'c Certificate,
    /// `None`: good; 99: unknown; else revoked for that reason.
    state: Option<u8>,
    from: i64,
    until: Option<i64>,
    critical: bool,
    along: Vec<&'c Certificate>,
}

struct Case {
    root: Ca,
    ca: Ca,
}

impl Case {
    fn new() -> Self {
        let root = Ca::root("Root");
        Self { ca: root.below("Issuing"), root }
    }

    fn made(&self, state: Option<u8>) -> Made<'_> {
        let of = &self.ca.certificate;
        Made { of, state, from: -60, until: Some(60), critical: false, along: Vec::new() }
    }

    fn read(&self, bytes: &[u8]) -> Result<CaStanding, Doubt> {
        read(bytes, &self.ca.certificate, &self.root.certificate, NOW)
    }

    #[track_caller]
    fn check(&self, made: &Made<'_>, expected: &Result<CaStanding, Doubt>) {
        assert_eq!(self.read(&made.by(&self.root, &self.root.key)), *expected);
    }
}

impl Made<'_> {
    fn by(&self, issuer: &Ca, key: &KeyPair) -> Vec<u8> {
        let data = yasna::construct_der(|writer| self.write_data(writer, issuer));
        let signature = key.sign(&data).unwrap();
        let basic = yasna::construct_der(|writer| {
            writer.write_sequence(|parts| {
                parts.next().write_der(&data);
                algorithm(parts.next());
                parts.next().write_bitvec_bytes(&signature, signature.len() * 8);
                if !self.along.is_empty() {
                    parts.next().write_tagged(Tag::context(0), |writer| {
                        writer.write_sequence(|all| self.along.iter().for_each(|one| all.next().write_der(one.der())));
                    });
                }
            });
        });
        success(&basic)
    }

    fn write_data(&self, writer: DERWriter<'_>, issuer: &Ca) {
        writer.write_sequence(|data| {
            data.next().write_tagged(Tag::context(2), |writer| writer.write_bytes(&[7; 20]));
            write_instant(data.next(), self.from);
            data.next().write_sequence(|singles| {
                singles.next().write_sequence(|parts| {
                    let asked = request(self.of, &issuer.certificate).unwrap();
                    let id = (0..4).fold(Der(&asked), |values, _| values.only(SEQUENCE).unwrap().inside());
                    parts.next().write_der(id.only(SEQUENCE).unwrap().whole);
                    self.write_state(parts.next());
                    write_instant(parts.next(), self.from);
                    if let Some(until) = self.until {
                        parts.next().write_tagged(Tag::context(0), |writer| write_instant(writer, until));
                    }
                })
            });
            if self.critical {
                data.next().write_tagged(Tag::context(1), |writer| {
                    writer.write_sequence(|all| {
                        all.next().write_sequence(|one| {
                            one.next().write_oid(&ObjectIdentifier::from_slice(&[1, 2, 3]));
                            one.next().write_bool(true);
                            one.next().write_bytes(&[5, 0]);
                        })
                    });
                });
            }
        });
    }

    fn write_state(&self, writer: DERWriter<'_>) {
        match self.state {
            None => writer.write_tagged_implicit(Tag::context(0), |writer| writer.write_null()),
            Some(99) => writer.write_tagged_implicit(Tag::context(2), |writer| writer.write_null()),
            Some(reason) => writer.write_tagged_implicit(Tag::context(1), |writer| {
                writer.write_sequence(|info| {
                    write_instant(info.next(), -60);
                    info.next().write_tagged(Tag::context(0), |writer| writer.write_enum(i64::from(reason)));
                });
            }),
        }
    }
}

fn success(basic: &[u8]) -> Vec<u8> {
    yasna::construct_der(|writer| {
        writer.write_sequence(|outer| {
            outer.next().write_enum(0);
            outer.next().write_tagged(Tag::context(0), |writer| {
                writer.write_sequence(|bytes| {
                    bytes.next().write_oid(&ObjectIdentifier::from_slice(&[1, 3, 6, 1, 5, 5, 7, 48, 1, 1]));
                    bytes.next().write_bytes(basic);
                });
            });
        });
    })
}

fn revoked_for(reason: RevocationReason) -> Result<CaStanding, Doubt> {
    Ok(CaStanding::Revoked(Revocation { at: Timestamp::from_seconds(NOW.seconds() - 60), reason }))
}

#[test]
fn an_answer_tells_state_date_and_reason() {
    let case = Case::new();
    case.check(&case.made(None), &Ok(CaStanding::NotRevoked));
    case.check(&case.made(Some(1)), &revoked_for(RevocationReason::KeyCompromise));
    case.check(&case.made(Some(6)), &revoked_for(RevocationReason::CertificateHold));
    case.check(&case.made(Some(8)), &Ok(CaStanding::NotRevoked));
    case.check(&case.made(Some(99)), &Err(Doubt::NotTold("unknown")));
}

#[test]
fn an_answer_holds_in_its_time_and_a_revocation_for_ever() {
    let case = Case::new();
    let at = |state, from, until| Made { from, until, ..case.made(state) };
    let instant = |seconds| Timestamp::from_seconds(NOW.seconds() + seconds);
    let outdated = |from, until| Err(Doubt::Outdated { from: instant(from), until: instant(until) });
    case.check(&at(None, -90, Some(0)), &Ok(CaStanding::NotRevoked));
    case.check(&at(None, -90, Some(-1)), &outdated(-90, -1));
    case.check(&at(None, -86_400, None), &Ok(CaStanding::NotRevoked));
    case.check(&at(None, -86_401, None), &outdated(-86_401, -1));
    case.check(&at(None, 601, Some(900)), &Err(Doubt::FromFuture(instant(601))));
    case.check(&at(Some(4), -90, Some(-1)), &revoked_for(RevocationReason::Superseded));
    case.check(&at(Some(6), -90, Some(-1)), &outdated(-90, -1));
}

#[test]
fn the_issuer_answers_or_whom_it_lets_answer() {
    let case = Case::new();
    let responder = |ca: &Ca, usages: &[ExtendedKeyUsagePurpose], until: i64| {
        ca.below_with("Responder", KeyPair::generate().unwrap(), |params| {
            params.extended_key_usages = usages.to_vec();
            valid(params, -86_400, until);
        })
    };
    let check = |responder: &Ca, expected: &Result<CaStanding, Doubt>| {
        let made = Made { along: vec![&responder.certificate], ..case.made(Some(1)) };
        assert_eq!(case.read(&made.by(&case.root, &responder.key)), *expected);
    };
    let signs = [ExtendedKeyUsagePurpose::OcspSigning];
    check(&responder(&case.root, &signs, 60), &revoked_for(RevocationReason::KeyCompromise));
    check(&responder(&case.root, &signs, -1), &Err(Doubt::MayNotSign));
    check(&responder(&case.root, &[], 60), &Err(Doubt::MayNotSign));
    check(&responder(&case.root, &[ExtendedKeyUsagePurpose::ServerAuth], 60), &Err(Doubt::MayNotSign));
    check(&responder(&Ca::root("Root"), &signs, 60), &Err(Doubt::MayNotSign));
    // The CA cannot answer for itself, whatever it issues.
    check(&responder(&case.ca, &signs, 60), &Err(Doubt::MayNotSign));
    let alone = case.made(Some(1));
    assert_eq!(case.read(&alone.by(&case.root, &case.ca.key)), Err(Doubt::Forged));
}

#[test]
fn an_answer_about_others_or_with_more_than_is_known_says_nothing() {
    let case = Case::new();
    let other = case.root.below("Other");
    let made = Made { of: &other.certificate, ..case.made(Some(1)) };
    case.check(&made, &Err(Doubt::NotCovered("it is about other certificates")));
    let critical = Made { critical: true, ..case.made(Some(1)) };
    case.check(&critical, &Err(Doubt::Critical(Text::new("of an OCSP answer"))));
}

#[test]
fn what_is_no_answer_says_nothing() {
    let case = Case::new();
    let whole = case.made(Some(1)).by(&case.root, &case.root.key);
    for bytes in [&[][..], b"<html>", case.ca.certificate.der(), &[&*whole, &[0]].concat()] {
        assert_eq!(case.read(bytes), Err(UNREADABLE), "{bytes:?}");
    }
    for length in 0..whole.len() {
        assert!(case.read(&whole[..length]).is_err(), "{length}");
    }
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 0x20;
        // Only what the signature does not cover may change and mean the same.
        let told = case.read(&changed);
        assert!(told.is_err() || told == revoked_for(RevocationReason::KeyCompromise), "{at}");
    }
    for (status, word) in [(1, "malformed request"), (3, "try later"), (6, "unauthorized"), (4, "no success")] {
        assert_eq!(case.read(&[0x30, 3, 0x0a, 1, status]), Err(Doubt::NotTold(word)));
    }
}

#[test]
fn openssl_understands_the_question() {
    let case = Case::new();
    let (_folder, path) = file("request.der", &request(&case.ca.certificate, &case.root.certificate).unwrap());
    let printed = openssl(&["ocsp", "-req_text", "-reqin", path.to_str().unwrap()], "");
    let serial = case.ca.certificate.parsed().unwrap().raw_serial_as_string().replace(':', "").to_ascii_uppercase();
    let serial = serial.trim_start_matches('0');
    assert!(printed.contains("Hash Algorithm: sha1") && printed.contains(serial), "{serial}: {printed}");
}

#[test]
fn what_openssl_writes_is_read() {
    let at = Timestamp::from_seconds(1_893_456_000);
    let read_der = |der: &[u8]| Certificate::from_der(der).unwrap();
    let root = read_der(include_bytes!("../../../tests/fuzz/seeds/standing/root.der"));
    let issuing = read_der(include_bytes!("../../../tests/fuzz/seeds/standing/issuing.der"));
    let lists: [(&[u8], bool); 3] = [
        (include_bytes!("../../../tests/fuzz/seeds/standing/good.crl"), false),
        (include_bytes!("../../../tests/fuzz/seeds/standing/revoked.crl"), true),
        (include_bytes!("../../../tests/fuzz/seeds/standing/revoked.crl.pem"), true),
    ];
    let answers: [(&[u8], bool); 3] = [
        (include_bytes!("../../../tests/fuzz/seeds/standing/good.ocsp"), false),
        (include_bytes!("../../../tests/fuzz/seeds/standing/revoked.ocsp"), true),
        (include_bytes!("../../../tests/fuzz/seeds/standing/delegated.ocsp"), true),
    ];
    let lists = lists.map(|(bytes, is_revoked)| (crate::pki::crl::read(bytes, &issuing, &root, at), is_revoked));
    let answers = answers.map(|(bytes, is_revoked)| (read(bytes, &issuing, &root, at), is_revoked));
    for (told, is_revoked) in lists.into_iter().chain(answers) {
        let reason = match told.unwrap() {
            CaStanding::Revoked(revocation) => Some(revocation.reason),
            CaStanding::NotRevoked => None,
        };
        assert_eq!(reason, is_revoked.then_some(RevocationReason::KeyCompromise));
    }
}
