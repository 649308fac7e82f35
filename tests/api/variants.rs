//! The client against the simulator in each of its variants: what the sources disagree on makes no difference to what
//! comes out, but where it must.

use std::time::Duration;

use renewd::api::{
    Answer, Client, ClientIdentity, ClientSettings, IssueRequest, IssuedCertificate, Page, Pickup, RenewRequest, Roots,
    SearchQuery, Tlm,
};
use renewd::core::failure::{Accepted, Failure, FailureClass, RetryHint};
use renewd::core::name::{ProfileId, RequestId, SerialNumber};
use renewd::core::time::Timestamp;
use renewd::core::wanted::entry::Sans;
use renewd::core::wanted::key::KeyType;
use renewd::core::wanted::subject::SubjectAttribute;
use renewd::pki::certificate::{Certificate, certificates};
use zeroize::Zeroizing;

use crate::server::{credential, settings};
use crate::simulator::settings::{REFUSALS, SWITCHES};
use crate::simulator::{Access, AttributeSpec, Issuance, Options, ProfileSpec, Simulator, Variants};

/// A simulator and a client of it.
pub(crate) struct World {
    pub(crate) simulator: Simulator,
    pub(crate) tlm: Client,
    pub(crate) profile: ProfileId,
}

/// What a client needs to know of the simulator.
pub(crate) fn settings_for(simulator: &Simulator) -> ClientSettings {
    ClientSettings {
        credentials: vec![credential("api-key", &simulator.api_key())],
        roots: Roots::Only(simulator.ca_pem().into_bytes()),
        ..settings(&simulator.url())
    }
}

impl World {
    pub(crate) fn new(variant: &str) -> Self {
        let mut variants = Variants::default();
        if !variant.is_empty() {
            variants.set(variant).unwrap();
        }
        let simulator = Simulator::start(Options { variants, ..Options::default() });
        let mut profile = ProfileSpec { allows_validity_override: true, ..ProfileSpec::default() };
        profile.subject.push(AttributeSpec::fixed("title", "fixed"));
        let profile = ProfileId(simulator.add_profile(profile).into());
        let tlm = Client::new(settings_for(&simulator)).unwrap();
        Self { simulator, tlm, profile }
    }

    fn change(&self, change: impl FnOnce(&mut ProfileSpec)) {
        self.simulator.change_profile(&self.profile.0, change);
    }

    /// Opens the renewal window of whatever is issued.
    fn open_window(&self) {
        self.change(|profile| profile.renewal_window_override = Some(Duration::from_secs(365 * 86_400)));
    }

    pub(crate) fn request(&self) -> IssueRequest {
        let names = ["www.example.com", "example.com"].map(str::to_owned).to_vec();
        IssueRequest {
            profile: self.profile.clone(),
            seat: "www.example.com".to_owned(),
            seat_email: None,
            csr: csr(&names),
            subject: [(SubjectAttribute::CommonName, vec!["www.example.com".to_owned()])].into(),
            names: Sans { dns_names: names, ..Sans::default() },
            validity: None,
            custom_values: [].into(),
            cert_owner_ids: Vec::new(),
            tags: Vec::new(),
            custom_attributes: Vec::new(),
            ca_attributes: [].into(),
        }
    }

    fn renewal(&self) -> RenewRequest {
        let record = self.simulator.issued().pop().unwrap();
        let thumbprint = Certificate::from_der(&record.der).unwrap().fingerprint().to_string();
        RenewRequest {
            serial_number: SerialNumber(record.serial),
            thumbprint: Some(thumbprint),
            csr: self.request().csr,
            validity: None,
        }
    }

    async fn issued(&self) -> IssuedCertificate {
        match self.tlm.issue(&self.request()).await.unwrap() {
            Answer::Issued(issued) => issued,
            Answer::Pending(..) => panic!("pending"),
        }
    }

    async fn refusal(&self) -> Failure {
        self.tlm.issue(&self.request()).await.unwrap_err()
    }

    /// That this is the certificate which was issued last.
    #[track_caller]
    fn check_leaf(&self, issued: &IssuedCertificate) {
        let record = self.simulator.issued().pop().unwrap();
        assert!(issued.serial_number.same(&SerialNumber(record.serial)), "{issued:?}");
        let all: Vec<_> = issued.certificates.iter().flat_map(|text| certificates(text).unwrap()).collect();
        assert!(all.iter().any(|found| found.der() == record.der), "{issued:?}");
        assert_eq!(all.len(), 3, "leaf, intermediate and root");
    }
}

fn csr(names: &[String]) -> String {
    let mut params = rcgen::CertificateParams::new(names).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, "www.example.com");
    params.serialize_request(&rcgen::KeyPair::generate().unwrap()).unwrap().pem().unwrap()
}

/// Everything that a certificate goes through, told in one text; what differs between two runs by nature is left out.
async fn life(world: &World) -> String {
    let (tlm, mut story) = (&world.tlm, Vec::new());
    let listed = tlm.profiles(Page::FIRST).await.unwrap().profiles.remove(0);
    let mut profile = tlm.profile(&world.profile).await.unwrap();
    assert_eq!(listed, profile);
    assert_eq!(profile.issuers.len(), 2);
    (profile.id, profile.name) = (ProfileId("".into()), String::new());
    story.push(format!("{profile:?}"));
    let issued = world.issued().await;
    world.check_leaf(&issued);
    let record = world.simulator.issued().remove(0);
    let thumbprint = Certificate::from_der(&record.der).unwrap().fingerprint().to_string();
    let details = tlm.details(&issued.serial_number, Some(&thumbprint)).await.unwrap();
    assert_eq!(certificates(details.certificate.as_deref().unwrap()).unwrap()[0].der(), record.der);
    assert_eq!((details.thumbprint, details.profile.as_ref()), (Some(thumbprint.clone()), Some(&world.profile)));
    story.push(format!("{:?}", details.standing.state));
    let formats = tlm.formats(&issued.serial_number, Some(&thumbprint)).await.unwrap();
    assert_eq!((formats.chain.len(), formats.pkcs7.is_some()), (3, true));
    story.push(format!("found: {:?}", searched(world, &record.der).await));
    world.open_window();
    world.change(|profile| profile.lifetime = Duration::from_secs(2 * 86_400));
    let renewed = tlm.renew(&world.renewal()).await;
    let Ok(Answer::Issued(renewed)) = renewed else { panic!("{renewed:?}") };
    world.check_leaf(&renewed);
    let again = RenewRequest { serial_number: issued.serial_number, thumbprint: Some(thumbprint), ..world.renewal() };
    story.push(format!("again: {:?}", tlm.renew(&again).await.unwrap_err().class));
    story.push(pending(world).await);
    story.push(format!("{:?} {}", tlm.me().await.unwrap().roles.len(), tlm.version().await.unwrap()));
    story.join("\n")
}

async fn pending(world: &World) -> String {
    world.change(|profile| profile.issuance = Issuance::Pending { approve_after: None });
    let mut ids = Vec::new();
    for _ in 0..2 {
        let answer = world.tlm.issue(&world.request()).await.unwrap();
        let Answer::Pending(id, _) = answer else { panic!("{answer:?}") };
        assert!(matches!(world.tlm.pick_up(&id, &world.profile).await.unwrap(), Pickup::Pending(_)));
        ids.push(id);
    }
    assert!(world.simulator.approve(&ids[0].0) && world.simulator.reject(&ids[1].0, "no"));
    let Pickup::Issued(issued) = world.tlm.pick_up(&ids[0], &world.profile).await.unwrap() else { panic!("{ids:?}") };
    world.check_leaf(&issued);
    let rejected = world.tlm.pick_up(&ids[1], &world.profile).await.unwrap();
    let unknown = world.tlm.pick_up(&ids[0], &ProfileId("another".into())).await.unwrap_err();
    format!("{rejected:?} {:?}", unknown.class)
}

/// Whether a search finds the certificate, or the class of its failure.
async fn searched(world: &World, der: &[u8]) -> Result<bool, FailureClass> {
    let query = SearchQuery {
        profile: Some(world.profile.clone()),
        seat: Some("www.example.com".to_owned()),
        common_name: Some("www.example.com".to_owned()),
        valid_from: Some(Timestamp::from_seconds(1_700_000_000)),
    };
    let found = world.tlm.search(&query, Page::FIRST).await.map_err(|failure| failure.class)?;
    let texts = found.items.into_iter().filter_map(|item| item.certificate);
    Ok(texts.flat_map(|text| certificates(&text).unwrap_or_default()).any(|certificate| certificate.der() == der))
}

/// The line of the story that a variant has to change.
const DIFFERENT: [(&str, &str, &str); 4] = [
    // The default size alone is known then.
    ("profile-no-allowed-key-sizes", "keys: [EcdsaP256, EcdsaP384]", "keys: [EcdsaP256]"),
    // A server that knows the words of 2022 alone refuses the search; its refusal is about the search, not the key.
    ("upper-case-status", "found: Ok(true)", "found: Err(RequestRefused)"),
    ("pickup-companions", "Rejected(Text(\"\"))", "Rejected(Text(\"comment: no\"))"),
    ("me=no-roles", "1 1.2893.0", "0 1.2893.0"),
];

#[tokio::test]
async fn a_certificate_lives_the_same_life_in_every_variant() {
    let expected = life(&World::new("")).await;
    for line in ["keys: [EcdsaP256, EcdsaP384]", "Issued", "found: Ok(true)", "again: AlreadyRenewed", "NotFound"] {
        assert!(expected.contains(line), "{line} in {expected}");
    }
    for (variant, _) in &SWITCHES {
        let change = DIFFERENT.iter().find(|(name, ..)| name == variant);
        let expected = change.map_or_else(|| expected.clone(), |(_, old, new)| expected.replace(old, new));
        assert_eq!(life(&World::new(variant)).await, expected, "{variant}");
    }
}

#[tokio::test]
async fn refusals_are_told_apart_whatever_their_status_code_and_shape() {
    let plain = ["", "error-shape=single", "error-shape=status", "error-shape=bare"];
    let others = ["numeric", "problem", "map", "xml", "text"].map(|shape| format!("error-shape={shape}"));
    for shape in plain.into_iter().chain(others.iter().map(String::as_str)) {
        for refusal in ["400", "404+entity_not_found", "409+x", "410", "422+invalid_request"] {
            let world = World::new(shape);
            world.simulator.change_variants(|variants| {
                for what in ["duplicate", "too-early", "already-renewed", "revoked", "inactive-profile"] {
                    variants.set(&format!("refuse-{what}={refusal}")).unwrap();
                }
            });
            refusals(&world, &format!("{shape} {refusal}")).await;
        }
    }
    assert_eq!(REFUSALS.len(), 14, "a new refusal belongs into one of these tests");
}

async fn refusals(world: &World, case: &str) {
    world.issued().await;
    let early = world.tlm.renew(&world.renewal()).await.unwrap_err();
    assert_eq!((early.class, early.accepted), (FailureClass::RenewalTooEarly, Accepted::No), "{case}: {early}");
    let opens = world.simulator.issued()[0].not_after - 30 * 86_400;
    let Some(RetryHint::After(wait)) = early.retry else { panic!("{case}: {early}") };
    let expected = opens - jiff::Timestamp::now().as_second();
    assert!((expected - 1..=expected + 5).contains(&(wait.as_secs() as i64)), "{case}: {wait:?}");
    world.simulator.change_variants(|variants| variants.too_early_names_date = false);
    let early = world.tlm.renew(&world.renewal()).await.unwrap_err();
    assert_eq!((early.class, early.retry), (FailureClass::RenewalTooEarly, None), "{case}: {early}");
    world.change(|profile| profile.allows_duplicates = false);
    let twin = world.refusal().await;
    assert_eq!((twin.class, twin.accepted), (FailureClass::DuplicateRefused, Accepted::No), "{case}: {twin}");
    world.open_window();
    world.simulator.change(|state| state.issued[0].renewed = true);
    let twice = world.tlm.renew(&world.renewal()).await.unwrap_err();
    assert_eq!(twice.class, FailureClass::AlreadyRenewed, "{case}: {twice}");
    assert!(world.simulator.revoke(&world.renewal().serial_number.0));
    let revoked = world.tlm.renew(&world.renewal()).await.unwrap_err();
    assert_eq!(revoked.class, FailureClass::CertificateRevoked, "{case}: {revoked}");
    world.change(|profile| profile.status = "Suspended".to_owned());
    let unusable = world.refusal().await;
    assert_eq!(unusable.class, FailureClass::ProfileUnusable, "{case}: {unusable}");
}

#[tokio::test]
async fn what_is_not_there_or_not_allowed_has_its_class_under_every_status() {
    use FailureClass::{ApiForbidden, NotFound, ProfileNotFound, RequestRefused, SeatNotFound};
    let nobody = || (SerialNumber("0F".to_owned()), RequestId("r".to_owned()), ProfileId("p".into()));
    for (status, of_object, of_profile, of_seat) in [
        (400, RequestRefused, RequestRefused, SeatNotFound),
        (403, ApiForbidden, ApiForbidden, ApiForbidden),
        (404, NotFound, ProfileNotFound, SeatNotFound),
        (410, NotFound, ProfileNotFound, SeatNotFound),
    ] {
        let world = World::new("seats=another.example.com");
        world.simulator.change_variants(|variants| {
            for what in ["unknown-serial", "unknown-request", "unknown-profile", "unknown-seat", "unlisted-attribute"] {
                variants.set(&format!("refuse-{what}={status}")).unwrap();
            }
        });
        let (serial, request, profile) = nobody();
        assert_eq!(world.tlm.details(&serial, None).await.unwrap_err().class, of_object, "{status}");
        assert_eq!(world.tlm.formats(&serial, None).await.unwrap_err().class, of_object, "{status}");
        assert_eq!(world.tlm.pick_up(&request, &profile).await.unwrap_err().class, of_object, "{status}");
        assert_eq!(world.tlm.profile(&profile).await.unwrap_err().class, of_profile, "{status}");
        assert_eq!(world.refusal().await.class, of_seat, "{status}");
        let mut unlisted = world.request();
        unlisted.subject.insert(SubjectAttribute::Pseudonym, vec!["x".to_owned()]);
        let of_request = if status == 403 { ApiForbidden } else { RequestRefused };
        assert_eq!(world.tlm.issue(&unlisted).await.unwrap_err().class, of_request, "{status}");
    }
}

#[tokio::test]
async fn a_deleted_profile_an_ended_certificate_and_a_shared_serial_number() {
    let world = World::new("serials-collide");
    let serial = world.issued().await.serial_number;
    let collision = world.tlm.details(&serial, None).await.unwrap_err();
    assert_eq!(collision.class, FailureClass::RequestRefused);
    assert!(collision.message.as_str().contains("Collision occurred!"), "{collision}");
    world.simulator.change(|state| state.issued[0].not_after = 1_000_000_000);
    let ended = world.tlm.renew(&world.renewal()).await.unwrap_err();
    assert!(ended.message.as_str().ends_with("certificate is expired"), "{ended}");
    assert_eq!((ended.class, ended.accepted), (FailureClass::RequestRefused, Accepted::No));
    world.change(|profile| profile.status = "Deleted".to_owned());
    assert_eq!(world.refusal().await.class, FailureClass::ProfileNotFound);
    let world = World::new("profile-limit=50");
    let failure = world.tlm.profiles(Page::FIRST).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::RequestRefused);
    assert!(world.tlm.profiles(Page { offset: 0, limit: 50 }).await.is_ok());
}

#[tokio::test]
async fn validity_is_sent_where_it_is_wanted() {
    use renewd::core::wanted::entry::{Validity, ValidityUnit};
    let validity = Some(Validity { unit: ValidityUnit::Days, duration: 7 });
    for (variant, expected) in [("", None), ("forbidden-validity=ignored", Some(90))] {
        let world = World::new(variant);
        let wish = IssueRequest { validity, ..world.request() };
        assert!(world.tlm.issue(&wish).await.is_ok());
        let days = |at: usize| {
            let record = world.simulator.issued().remove(at);
            (record.not_after - record.not_before) / 86_400
        };
        assert_eq!(days(0), 7, "{variant}");
        world.change(|profile| profile.allows_validity_override = false);
        let answer = world.tlm.issue(&wish).await;
        assert_eq!(answer.is_ok().then(|| days(1)), expected, "{variant}: {answer:?}");
    }
}

#[tokio::test]
async fn pages_follow_one_another_to_the_last() {
    let world = World::new("");
    for _ in 0..149 {
        world.simulator.add_profile(ProfileSpec::default());
    }
    let first = world.tlm.profiles(Page::FIRST).await.unwrap().profiles;
    let second = world.tlm.profiles(Page::FIRST.next()).await.unwrap().profiles;
    assert_eq!((first.len(), second.len()), (100, 50));
    for variant in ["", "no-has-more"] {
        let world = World::new(variant);
        for _ in 0..3 {
            world.issued().await;
        }
        let page = |offset| Page { offset, limit: 2 };
        let search = async |offset| world.tlm.search(&SearchQuery::default(), page(offset)).await.unwrap();
        let (first, second, third) = (search(0).await, search(2).await, search(4).await);
        let seen = [first, second, third].map(|page| (page.items.len(), page.has_more));
        assert_eq!(seen, [(2, true), (1, false), (0, false)], "{variant}");
    }
}

#[tokio::test]
async fn the_keys_of_every_type_are_taken() {
    for (size, key) in [("2048", KeyType::Rsa2048), ("384", KeyType::EcdsaP384), ("521", KeyType::EcdsaP521)] {
        for spelling in ["profile-fields-array", "profile-prefixed-curves", "profile-no-allowed-key-sizes"] {
            let world = World::new(spelling);
            world.change(|profile| profile.key_sizes = vec![size.to_owned()]);
            assert_eq!(world.tlm.profile(&world.profile).await.unwrap().keys, [key], "{spelling}");
            let failure = world.refusal().await;
            assert_eq!(failure.class, FailureClass::RequestRefused);
            let words = format!("CSR key length 256 does not match {size}");
            assert!(failure.message.as_str().ends_with(&words), "{failure}");
        }
    }
}

#[tokio::test]
async fn an_identity_an_exchanged_key_and_a_rate_limit() {
    let world = World::new("");
    let second = world.simulator.add_key();
    world.simulator.require(Access::ClientCertificate);
    assert_eq!(world.tlm.profile(&world.profile).await.unwrap_err().class, FailureClass::ApiUnauthorised);
    let pem = Zeroizing::new(world.simulator.client_identity_pem().into_bytes());
    let identity = Some(ClientIdentity::new("client.pem", pem));
    let known = ClientSettings { client_identity: identity, ..settings_for(&world.simulator) };
    let with_identity = Client::new(known).unwrap();
    assert!(with_identity.profile(&world.profile).await.is_ok(), "the key stays at home");
    world.simulator.require(Access::Key);
    let failure = with_identity.profile(&world.profile).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::ApiUnauthorised);
    assert!(failure.message.as_str().ends_with("usually begins with \"clientauth.\""), "{failure}");
    let mut two = settings_for(&world.simulator);
    two.credentials.push(credential("second", &second));
    let tlm = Client::new(two).unwrap();
    world.simulator.revoke_key(&world.simulator.api_key());
    let refused = tlm.profile(&world.profile).await.unwrap_err();
    assert!(refused.message.as_str().contains("the API did not accept the credential api-key: 401 invalid_api_key"));
    assert!(tlm.use_next_key() && tlm.profile(&world.profile).await.is_ok());
    world.simulator.change_variants(|variants| variants.set("rate-limit=1/60").unwrap());
    assert!(tlm.profile(&world.profile).await.is_ok());
    let limited = tlm.profile(&world.profile).await.unwrap_err();
    let hint = Some(RetryHint::After(Duration::from_secs(10)));
    assert_eq!((limited.class, limited.retry), (FailureClass::ApiRateLimited, hint));
}
