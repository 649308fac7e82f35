//! The world of a seed: its profiles, certificates and hooks, and when what goes wrong.

use std::sync::Arc;
use std::time::Duration;

use renewd::core::compact::boxed_default::BoxedDefault;
use renewd::core::compact::packed_names::Naming;
use renewd::core::compact::settings::EntrySettings;
use renewd::core::known::profile::{Origin, Profile, ProfileAttribute};
use renewd::core::name::{Attempt, CertName, ProfileId, ProfileRef};
use renewd::core::wanted::entry::{Entry, Probe, Sans, Source, Validity, ValidityUnit};
use renewd::core::wanted::key::KeyType;
use renewd::core::wanted::window::DeployWindow;

use crate::host::HookMood;
use crate::tlm::{Endpoint, Mode, Part, ProfileState};
use crate::world::{AUDIT_EVERY, START, Task, World};

use super::{
    DAY, FAULTS, Fault, PROFILES, SEAT, Verdict, WITH_FALLBACKS, WITH_HOSTS, WITH_ODDITIES, WITH_OPERATOR, WITH_PARTS,
    WITH_REVOCATIONS, YEAR, draw, odd, operator, part,
};

/// A world with ten certificates and a year of faults.
pub(crate) fn world(seed: u64, is_told: bool) -> World {
    let mut world = World::new(seed, START);
    world.is_told = is_told;
    furnish_year(&mut world, seed);
    world
}

/// Inventory and profiles, and what goes wrong in a year.
pub(crate) fn furnish_year(world: &mut World, seed: u64) {
    furnish(world);
    if seed >= WITH_ODDITIES {
        odd::furnish_lifetimes(world);
    }
    let intensity = 1 + world.random.below(3);
    for _ in 0..intensity * FAULTS {
        let at = Duration::from_secs(world.random.below(YEAR.as_secs()));
        let fault = draw(&mut world.random);
        world.later(at, Task::Fault(fault));
    }
    if seed >= WITH_PARTS {
        for _ in 0..1 + world.random.below(6) {
            let at = Duration::from_secs(world.random.below(YEAR.as_secs()));
            let fault = part(&mut world.random);
            world.later(at, Task::Fault(fault));
        }
        for number in [0, 1] {
            let at = Duration::from_secs(world.random.below(YEAR.as_secs()));
            match world.random.below(4) {
                0 => world.later(at, Task::Fault(Fault::KeyEnds(number, DAY * 40))),
                1 => {
                    let span = world.random.span(DAY / 24, DAY * 30);
                    world.later(at, Task::Fault(Fault::KeyRefused(number, true)));
                    world.later(at + span, Task::Fault(Fault::KeyRefused(number, false)));
                }
                _ => {}
            }
        }
    }
    if seed >= WITH_ODDITIES {
        odd::draw(world);
    }
    if (WITH_FALLBACKS..WITH_HOSTS).contains(&seed) {
        draw_fallbacks(world);
    }
    if has_hosts(seed) {
        draw_seats(world);
    }
    if (WITH_OPERATOR..WITH_REVOCATIONS).contains(&seed) {
        operator::draw(world);
    }
    if seed >= WITH_REVOCATIONS {
        draw_revocations(world);
    }
    // Somebody looks at what waits for approval now and then.
    let mut at = DAY;
    while at < YEAR {
        let verdict = *world.random.pick(&[Verdict::Approve, Verdict::Approve, Verdict::Approve, Verdict::Reject]);
        world.later(at, Task::Fault(Fault::Decide(verdict)));
        at += world.random.span(DAY / 2, DAY * 9);
    }
    world.later(AUDIT_EVERY, Task::Audit);
    world.start();
}

/// Another profile to ask for most certificates, which may fail as well; and one of those that they name has lasting trouble.
fn draw_fallbacks(world: &mut World) {
    let ids = ["p0", "p1", "p2", "p3"];
    for state in world.tlm.profiles.values_mut() {
        let minutes = (state.lifetime.as_secs() / 60) as u32;
        state.profile.validity = Some(Validity { unit: ValidityUnit::Minutes, duration: minutes });
    }
    for entry in world.inventory.values_mut() {
        let fallback = ProfileRef::Id(ProfileId((*world.random.pick(&ids)).into()));
        if world.random.percent(70) && fallback != entry.profile {
            entry.fallback = Some(Box::new(fallback));
        }
    }
    for _ in 0..1 + world.random.below(3) {
        let at = Duration::from_secs(world.random.below(YEAR.as_secs()));
        let id = ProfileId((*world.random.pick(&ids)).into());
        let lasts = world.random.span(DAY * 5, DAY * 60);
        let fault = |is_on| {
            let id = id.clone();
            move |suspends| if suspends { Fault::Suspend(id, is_on) } else { Fault::Forbid(id, is_on) }
        };
        let suspends = world.random.percent(50);
        world.later(at, Task::Fault(fault(true)(suspends)));
        world.later(at + lasts, Task::Fault(fault(false)(suspends)));
    }
}

/// Whether a seed is of two hosts.
pub(crate) const fn has_hosts(seed: u64) -> bool {
    seed >= WITH_HOSTS && seed < WITH_OPERATOR
}

/// Certificates of one seat, whatever their profiles, and its troubles.
fn draw_seats(world: &mut World) {
    let names = SEAT.map(|name| name.parse::<CertName>().expect("a valid name"));
    for entry in world.inventory.values_mut().filter(|entry| names.contains(&entry.name)) {
        entry.naming = Naming { own_seat: Some("team".to_owned()), ..Naming::from(&entry.naming) }.into();
    }
    for _ in 0..1 + world.random.below(2) {
        let at = Duration::from_secs(world.random.below(YEAR.as_secs()));
        let Fault::Part(part, span) = part(&mut world.random) else { return };
        let part = Part { profile: None, names: Some(names.to_vec()), ..part };
        if part.endpoint != Endpoint::Profile {
            world.later(at, Task::Fault(Fault::Part(part, span)));
        }
    }
}

/// Most certificates are revoked between an hour and some weeks after they were replaced, where TLM lets them.
fn draw_revocations(world: &mut World) {
    let random = &mut world.random;
    for entry in world.inventory.values_mut() {
        let span = random.span(DAY / 24, DAY * 20);
        entry.revoke_superseded = Some(span).filter(|_| random.percent(80));
    }
    world.tlm.revoking_forbidden = world.random.percent(10);
    for _ in 0..world.random.below(4) {
        let at = Duration::from_secs(world.random.below(YEAR.as_secs()));
        let Fault::Part(part, span) = part(&mut world.random) else { return };
        let part = Part { endpoint: Endpoint::Revoke, ..part };
        world.later(at, Task::Fault(Fault::Part(part, span)));
    }
}

/// ProfileCache, certificates and hooks.
pub(crate) fn furnish(world: &mut World) {
    for (id, days, window, duplicates) in
        [("p0", 90, Some(30), true), ("p1", 47, Some(15), false), ("p2", 90, Some(30), true), ("p3", 6, None, true)]
    {
        add_profile(world, id, DAY * days, window, duplicates);
    }
    // The last one names a profile that does not exist, or is refused as it stands: it holds back nothing.
    let last = if world.random.percent(30) { "none" } else { "p0" };
    for (number, id) in PROFILES.into_iter().chain([last]).enumerate() {
        let mut entry = entry(&format!("c{number}"), id);
        entry.reuse_key = number == 7;
        let hooks: &[&str] = [&["web"][..], &["web", "mail"], &["mail"], &[]][number % 4];
        entry.hooks = hooks.iter().filter_map(|hook| hook.parse().ok()).collect();
        if number == 6 {
            entry.probes = probe().into();
        }
        entry.rollback = [1, 4, 6].contains(&number);
        entry.deploy_window = [2, 6].contains(&number).then(window).map(Box::new);
        world.inventory.insert(entry.name.clone(), entry);
    }
    world.tlm.refused.extend("c9".parse());
    world.hook_moods = world.hooks().into_iter().map(|hook| (hook, HookMood::Fine)).collect();
}

/// A profile that issues at once.
pub(super) fn add_profile(world: &mut World, id: &str, lifetime: Duration, window: Option<u32>, duplicates: bool) {
    let state = ProfileState { profile: profile(id, window, duplicates), lifetime, mode: Mode::Immediate };
    world.tlm.profiles.insert(ProfileId(id.into()), state);
}

/// Installs a certificate that is so old already.
pub(crate) fn install_old(world: &mut World, entry: &Entry, age: Duration) {
    let ProfileRef::Id(profile) = entry.profile.clone() else { return };
    let old = world.tlm.issued_before(&entry.name, entry.asked(), profile, age, world.now);
    world.disk.install(&entry.name, Attempt(0), &old, entry);
}

pub(crate) fn profile(id: &str, window: Option<u32>, allows_duplicates: bool) -> Profile {
    let attribute = |key: &str, multiple| ProfileAttribute {
        key: key.to_owned(),
        mandatory: false,
        multiple,
        origin: Origin::Request,
    };
    Profile {
        id: ProfileId(id.into()),
        name: format!("profile {id}"),
        status: "Active".to_owned(),
        enrollment_method: "rest_api".to_owned(),
        authentication_method: "third_party_app".to_owned(),
        renewal_window_days: window,
        odd_window: None,
        allows_duplicates,
        allows_validity: false,
        validity: None,
        keys: vec![KeyType::EcdsaP256],
        unknown_keys: Vec::new(),
        allowed_names: Vec::new(),
        custom_values: Vec::new(),
        escrows_keys: false,
        subject: vec![attribute("common_name", false)],
        san: vec![attribute("dns_names", true)],
        issuers: Vec::new(),
        cas: Vec::new(),
        needs_approval: false,
        shown: Default::default(),
    }
}

pub(crate) fn entry(name: &str, profile: &str) -> Entry {
    let host = format!("{name}.example.com");
    let naming = Naming {
        own_seat: None,
        common_name: Some(host.clone()),
        names: Sans { dns_names: vec![host], ..Sans::default() },
    };
    Entry {
        name: name.parse().expect("a valid name"),
        source: Source { file: "certs.d/all.toml".into(), line: 1 },
        naming: naming.into(),
        probes: BoxedDefault::new(),
        files: BoxedDefault::new(),
        terms: Arc::new(EntrySettings::new(ProfileRef::Id(ProfileId(profile.into())))),
    }
}

pub(crate) fn probe() -> Vec<Probe> {
    vec![Probe { address: "127.0.0.1:443".to_owned(), server_name: None, starttls: None }]
}

/// Every night by UTC.
pub(crate) fn window() -> DeployWindow {
    DeployWindow { zone: Some("UTC".to_owned()), ..DeployWindow::parse("02:00-05:00").expect("a window") }
}
