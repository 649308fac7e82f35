//! The write-ahead order, and what follows each outcome.

use std::sync::Arc;

use super::super::decide::Submission;
use super::super::event::Lack;
use super::super::example::{START, entry, failure, profile};
use super::super::name::{Generation, RequestId};
use super::*;
use crate::core::known::observed::Leaf;
use crate::core::known::standing::{Standing, TlmState};

/// A payload that only says that it is there.
#[derive(Clone, Debug)]
struct Bare;

impl Payload for Bare {
    type Key = &'static str;
    type Answer = &'static str;
    type Set = &'static str;
    fn is_empty(answer: &&'static str) -> bool {
        answer.is_empty()
    }
}

mod upkeep;

type Effect = super::Effect<Bare>;
type Outcome = super::Outcome<Bare>;
type Verdict = super::Verdict<Bare>;

const SPKI: Digest = Digest([2; 32]);

fn submission(prepared: bool) -> Action {
    Action::Submit(Submission {
        attempt: Attempt(1),
        prepared,
        look_up: false,
        method: Method::New,
        key: KeyType::EcdsaP256,
        expiring: true,
        is_last_try: false,
        known: None,
    })
}

/// Runs an action, each effect answered by the table; the names of the effects in their order.
fn run(action: &Action, answer: impl Fn(&Effect) -> Outcome) -> Vec<String> {
    let profile = profile();
    let started =
        Protocol::start(&Arc::new(entry()), (profile.id.clone(), profile.version()), Some(SPKI), false, action);
    let (mut protocol, mut effect) = started.unwrap();
    let mut seen = Vec::new();
    loop {
        assert!(seen.len() < 20, "{seen:?}");
        seen.push(name(&effect));
        match protocol.step(answer(&effect)) {
            Next::Perform(next) => effect = next,
            Next::End => return seen,
        }
    }
}

fn name(effect: &Effect) -> String {
    let text = if let Effect::Record(event) = effect { format!("record {event:?}") } else { format!("{effect:?}") };
    text.split([' ', '(', '{'])
        .filter(|word| !word.is_empty())
        .take(if text.starts_with("record") { 2 } else { 1 })
        .collect::<Vec<_>>()
        .join(" ")
}

/// Everything goes well.
fn well(effect: &Effect) -> Outcome {
    match effect {
        Effect::MakeKey { key, .. } => Outcome::Key(Keyed { spki: SPKI, kind: *key, key: "made" }),
        Effect::ReadKey { .. } => Outcome::Key(Keyed { spki: SPKI, kind: KeyType::EcdsaP256, key: "read" }),
        Effect::Send(..) | Effect::PickUp { .. } => issued(),
        Effect::LookUp(_) => Outcome::NotFound,
        Effect::SearchHeld => Outcome::Holds(Vec::new()),
        Effect::Judge { .. } => Outcome::Judged(Verdict::Accepted("judged")),
        Effect::Install { .. } => Outcome::Installed {
            generation: Generation(1),
            leaf: Box::new(leaf()),
            chain: Arc::default(),
            replaces: None,
        },
        Effect::CheckStatus(_) => Outcome::Status(Box::new(Standing::of(TlmState::Issued))),
        Effect::Probe => Outcome::Probed { fingerprint: Digest([0; 32]), sights: Vec::new() },
        Effect::RollBack(generation) | Effect::Switch(generation) => Outcome::Switched(*generation),
        Effect::ReadAnswer { .. } | Effect::FetchChain { .. } => Outcome::Fetched("fetched", None),
        Effect::CheckRoom
        | Effect::AskBefore
        | Effect::Record(_)
        | Effect::KeepAnswer { .. }
        | Effect::Forget { .. }
        | Effect::RefreshChain
        | Effect::Revoke(_)
        | Effect::Repair { .. } => Outcome::Done,
    }
}

fn issued() -> Outcome {
    Outcome::Issued(SerialNumber("0A".to_owned()), "answered")
}

fn leaf() -> Leaf {
    Leaf {
        serial_number: SerialNumber("0A".to_owned()),
        fingerprint: Digest([0; 32]),
        spki: Digest([2; 32]),
        not_before: START,
        not_after: START,
        key: None,
        common_name: None,
        subject: std::collections::BTreeMap::new(),
        names: crate::core::wanted::entry::Sans::default(),
        usages: Vec::new(),
    }
}

#[test]
fn key_and_intent_are_on_the_disk_before_the_request_leaves() {
    let order = run(&submission(false), well);
    let expected = [
        "CheckRoom",
        "MakeKey",
        "record Submitting",
        "Send",
        "KeepAnswer",
        "record Issued",
        "Judge",
        "Install",
        "record Installed",
        "Forget",
        "record KeyForgotten",
    ];
    assert_eq!(order, expected);
    assert_eq!(run(&submission(true), well).get(1).map(String::as_str), Some("ReadKey"), "the same key again");
}

#[test]
fn what_may_have_been_accepted_is_looked_up_before_it_is_asked_for_again() {
    let Action::Submit(again) = submission(true) else { panic!("a submission") };
    let again = Action::Submit(Submission { look_up: true, ..again });
    let order = |found: Outcome| {
        run(&again, |effect| if matches!(effect, Effect::LookUp(_)) { found.clone() } else { well(effect) }).join(", ")
    };
    let failed = |class| Outcome::Failed(failure(class));
    let begins =
        |order: &str, part: &str| assert!(order.starts_with(&format!("CheckRoom, ReadKey, LookUp, {part}")), "{order}");
    begins(&order(Outcome::NotFound), "record Submitting, Send");
    begins(&order(issued()), "KeepAnswer, record Issued");
    begins(&order(failed(FailureClass::ApiForbidden)), "record Submitting, Send");
    // It was searched for ten minutes: a search that goes on failing holds nothing back.
    begins(&order(failed(FailureClass::ApiUnavailable)), "record Submitting, Send");
    // Another key may be in use when the request leaves than the one that may not search.
    assert_eq!(order(failed(FailureClass::ApiUnauthorised)), "CheckRoom, ReadKey, LookUp, record Failed");
}

fn install(is_last_try: bool) -> Action {
    let serial_number = SerialNumber("0A".to_owned());
    Action::Install { attempt: Attempt(1), serial_number, emergency: false, is_last_try }
}

#[test]
fn what_tlm_never_gives_of_an_issued_certificate_is_done_without_in_the_end() {
    let order = |failing: &'static str, is_last_try| {
        run(&install(is_last_try), |effect| match name(effect).as_str() {
            "Judge" => Outcome::Judged(Verdict::Refused(vec![Text::new("its chain is missing")])),
            other if other == failing => Outcome::Failed(failure(FailureClass::ApiUnavailable)),
            _ => well(effect),
        })
        .join(", ")
    };
    assert_eq!(order("FetchChain", false), "ReadAnswer, Judge, FetchChain, record Failed");
    let ends = "Judge, record GateRefused, Forget, record KeyForgotten";
    assert_eq!(order("FetchChain", true), format!("ReadAnswer, Judge, FetchChain, {ends}"));
    assert_eq!(order("ReadAnswer", false), "ReadAnswer, record Failed");
    assert_eq!(order("ReadAnswer", true), format!("ReadAnswer, Judge, FetchChain, {ends}"));
}

/// TLM may name a number alone while neither its details nor its search show the certificate yet: the key is not thrown away
/// for that.
#[test]
fn a_certificate_that_did_not_come_is_fetched_again_before_it_is_judged() {
    let order = |is_last_try, fetched: Outcome| {
        run(&install(is_last_try), |effect| match name(effect).as_str() {
            "ReadAnswer" => Outcome::Fetched("", None),
            "FetchChain" => fetched.clone(),
            "Judge" => Outcome::Judged(Verdict::Refused(vec![Text::new("nothing came")])),
            _ => well(effect),
        })
        .join(", ")
    };
    let missing = failure(FailureClass::NotFound);
    for came in [Outcome::Fetched("", None), Outcome::Fetched("", Some(missing.clone())), Outcome::Failed(missing)] {
        assert_eq!(order(false, came.clone()), "ReadAnswer, Judge, FetchChain, record Failed");
        assert!(order(true, came).contains("Judge, record GateRefused"), "but not for ever");
    }
    assert!(order(false, Outcome::Fetched("another", None)).contains("Judge, record GateRefused"));
}

/// What the gate says without the chain tells more than that the chain did not come.
#[test]
fn a_chain_that_cannot_be_fetched_hides_no_word_of_the_gate() {
    let profile = profile();
    let (mut protocol, _) =
        Protocol::<Bare>::start(&Arc::new(entry()), (profile.id, 0), Some(SPKI), false, &install(false)).unwrap();
    let refused = Outcome::Judged(Verdict::Refused(vec![Text::new("its public key is not ours")]));
    let unavailable = Outcome::Failed(failure(FailureClass::ApiUnavailable));
    let steps = [Outcome::Fetched("read", None), refused, unavailable];
    let last = steps.into_iter().map(|outcome| protocol.step(outcome)).last();
    let Some(Next::Perform(Effect::Record(Event::Failed { failure }))) = last else { panic!("{last:?}") };
    assert_eq!(failure.class, FailureClass::ApiUnavailable);
    assert!(failure.message.as_str().contains("its public key is not ours"), "{failure}");
}

#[test]
fn what_may_not_be_done_any_more_is_decided_anew() {
    let order = |action, last: &str| {
        run(&action, |effect| if name(effect) == last { Outcome::NotNow } else { well(effect) }).join(", ")
    };
    assert_eq!(order(install(false), "Install"), "ReadAnswer, Judge, Install");
    let nothing_leaves = "CheckRoom, MakeKey, record Submitting";
    assert_eq!(order(submission(false), "record Submitting"), nothing_leaves);
}

/// Every way to another live set asks first, and a no ends it, or is on record before it goes on.
#[test]
fn each_switch_asks_first_and_a_veto_is_on_record() {
    let order = |action: &Action, overruled: Option<bool>| {
        let (mut protocol, mut effect) =
            Protocol::start(&Arc::new(entry()), (profile().id, 0), Some(SPKI), true, action).unwrap();
        let mut seen = vec![name(&effect)];
        loop {
            let outcome = match (&effect, overruled) {
                (Effect::AskBefore, Some(overruled)) => {
                    let failure = failure(FailureClass::HookVetoed);
                    Outcome::Vetoed { hook: "web".parse().unwrap(), failure, overruled }
                }
                (effect, _) => well(effect),
            };
            match protocol.step(outcome) {
                Next::Perform(next) => effect = next,
                Next::End => return seen.join(", "),
            }
            seen.push(name(&effect));
        }
    };
    let forward = Action::Forward { generation: Generation(2), stays: false };
    for (action, before, switch) in [
        (install(false), "ReadAnswer, Judge, AskBefore", "Install"),
        (Action::RefreshChain, "AskBefore", "RefreshChain"),
        (forward, "AskBefore", "Switch"),
    ] {
        assert_eq!(order(&action, Some(false)), format!("{before}, record SwitchVetoed"));
        let all_the_same = format!("{before}, record SwitchVetoed, {switch}, ");
        assert!(order(&action, Some(true)).starts_with(&all_the_same), "{}", order(&action, Some(true)));
        assert!(order(&action, None).starts_with(&format!("{before}, {switch}, ")), "{}", order(&action, None));
    }
    assert_eq!(
        order(&Action::RollBack(Generation(2)), None),
        "RollBack, record RolledBack",
        "the way back asks nobody"
    );
}

#[test]
fn keys_of_several_requests_are_removed_by_one_action() {
    let order = run(&Action::ForgetKeys(vec![Attempt(1), Attempt(2)]), well);
    assert_eq!(order, ["Forget", "record KeyForgotten", "Forget", "record KeyForgotten"]);
}

/// When an effect fails, this comes after it, and nothing is sent.
#[test]
fn what_fails_before_the_request_sends_nothing() {
    for failing in ["CheckRoom", "MakeKey", "record Submitting"] {
        let order = run(&submission(false), |effect| {
            if name(effect) == failing { Outcome::Failed(failure(FailureClass::DiskFull)) } else { well(effect) }
        });
        assert_eq!(order.last().map(String::as_str), Some("record Failed"), "{failing}");
        assert!(!order.contains(&"Send".to_owned()), "{failing}: {order:?}");
    }
}

#[test]
fn each_answer_is_recorded_as_what_it_is() {
    #[track_caller]
    fn check(outcome: &Outcome, expected: &[&str]) {
        let order =
            run(
                &submission(false),
                |effect| {
                    if matches!(effect, Effect::Send(..)) { outcome.clone() } else { well(effect) }
                },
            );
        let after: Vec<&str> = order.iter().map(String::as_str).skip_while(|name| *name != "Send").skip(1).collect();
        assert_eq!(after, expected, "{outcome:?}");
    }
    let failed = |class, accepted| Outcome::Failed(Failure { accepted, ..failure(class) });
    check(&Outcome::Pending(Some(RequestId("r".to_owned())), None), &["record Pending"]);
    check(&failed(FailureClass::ApiNoAnswer, Accepted::Unknown), &["record AnswerLost"]);
    check(&failed(FailureClass::RequestRefused, Accepted::No), &["record NotAccepted"]);
    let searched = ["LookUp", "SearchHeld", "record NotAccepted"];
    check(&failed(FailureClass::DuplicateRefused, Accepted::No), &searched);
    check(&failed(FailureClass::AlreadyRenewed, Accepted::No), &searched);
}

fn pick_up(decides: bool) -> Action {
    Action::PickUp { attempt: Attempt(1), request_id: RequestId("r".to_owned()), decides }
}

/// A search has nothing of a request that waits for an approval: that it was looked up is no sign that it is lost.
#[test]
fn a_request_counts_as_lost_by_a_pickup_alone_that_fails_while_tlm_answers() {
    let failing = |action: &Action, class| run(action, |_| Outcome::Failed(failure(class)));
    for class in [FailureClass::ApiUnavailable, FailureClass::NotFound, FailureClass::RequestRefused] {
        assert_eq!(failing(&pick_up(true), class), ["PickUp", "record AnswerLost"], "{class:?}");
    }
    assert_eq!(failing(&pick_up(false), FailureClass::ApiUnavailable), ["PickUp", "record Failed"]);
    assert_eq!(failing(&Action::LookUp(Attempt(1)), FailureClass::ApiUnavailable), ["LookUp", "record LookedUp"]);
    let waits = run(&pick_up(true), |_| Outcome::Pending(None, None));
    assert_eq!(waits, ["PickUp", "record Polled"]);
}

#[test]
fn the_gate_decides_what_becomes_of_an_answer() {
    #[track_caller]
    fn check(verdict: &Verdict, expected: &[&str]) {
        let order = run(&pick_up(false), |effect| {
            if matches!(effect, Effect::Judge { .. }) { Outcome::Judged(verdict.clone()) } else { well(effect) }
        });
        let after: Vec<&str> =
            order.iter().map(String::as_str).skip_while(|name| *name != "record Issued").skip(1).collect();
        assert_eq!(after, expected, "{verdict:?}");
    }
    let accepted = ["Judge", "Install", "record Installed", "Forget", "record KeyForgotten"];
    check(&Verdict::Accepted("judged"), &accepted);
    check(&Verdict::Held(Text::new("no client_auth"), Lack::Usage), &["Judge", "record Held"]);
    check(&Verdict::NotYetValid(START), &["Judge", "record Waits"]);
    let refused = ["Judge", "FetchChain", "Judge", "record GateRefused", "Forget", "record KeyForgotten"];
    check(&Verdict::Refused(vec![Text::new("wrong key")]), &refused);
}

/// The root is fetched once, and neither its failure nor its lack holds the set back.
#[test]
fn a_set_without_its_root_is_installed_all_the_same() {
    let install = Action::Install {
        attempt: Attempt(1),
        serial_number: SerialNumber("0A".to_owned()),
        emergency: false,
        is_last_try: false,
    };
    for fetched in [Outcome::Fetched("no root", None), Outcome::Failed(failure(FailureClass::ApiUnreachable))] {
        let order = run(&install, |effect| match name(effect).as_str() {
            "Judge" => Outcome::Judged(Verdict::Rootless("judged")),
            "FetchChain" => fetched.clone(),
            _ => well(effect),
        });
        let expected = ["ReadAnswer", "Judge", "FetchChain", "Judge", "Install", "record Installed"];
        assert_eq!(order.get(..6), Some(&expected.map(str::to_owned)[..]), "{order:?}");
    }
}

/// What somebody else renewed owes the hooks as every generation does.
#[test]
fn a_repair_that_takes_over_says_so() {
    let adopted = || Outcome::Adopted {
        generation: Generation(2),
        leaf: Box::new(leaf()),
        chain: Box::default(),
        replaces: None,
    };
    let repair = Action::Repair { refreshes: true };
    let order = run(&repair, |effect| if matches!(effect, Effect::Repair { .. }) { adopted() } else { well(effect) });
    assert_eq!(order, ["Repair", "record Adopted"]);
    assert_eq!(run(&repair, well), ["Repair", "record Repaired"]);
}

#[test]
fn the_key_stays_while_the_end_of_its_request_is_not_recorded() {
    let order = run(&submission(false), |effect| match name(effect).as_str() {
        "record Installed" => Outcome::Failed(failure(FailureClass::DiskFull)),
        _ => well(effect),
    });
    assert_eq!(order.last().map(String::as_str), Some("record Installed"), "{order:?}");
}

#[test]
fn an_answer_that_cannot_be_kept_is_installed_all_the_same() {
    for failing in ["KeepAnswer", "record Issued"] {
        let order = run(&submission(false), |effect| {
            if name(effect) == failing { Outcome::Failed(failure(FailureClass::DiskFull)) } else { well(effect) }
        });
        assert!(order.contains(&"record Installed".to_owned()), "{failing}: {order:?}");
    }
}

#[test]
fn what_only_waits_has_no_protocol() {
    let started = Protocol::<Bare>::start(&Arc::new(entry()), (profile().id, 0), None, false, &Action::Wait);
    assert!(started.is_none());
}

#[test]
fn what_ends_no_later_is_told_apart_once_the_chain_was_fetched() {
    let later = || Outcome::Judged(Verdict::EndsNoLater(vec![Text::new("it ends no later")]));
    let order =
        run(&submission(false), |effect| if matches!(effect, Effect::Judge { .. }) { later() } else { well(effect) });
    assert!(order.iter().any(|effect| effect == "FetchChain"), "the chain of the answer may be an old one: {order:?}");
    assert_eq!(order.iter().filter(|effect| *effect == "Judge").count(), 2);
    assert!(order.iter().any(|effect| effect == "record GateRefused"));
}

/// What stands in the way is ours, or is named; a refusal that was just explained costs no more searches.
#[test]
fn a_refusal_for_what_tlm_holds_is_searched_for_once() {
    let order_of = |is_last_try, class, known: Option<FailureClass>, found: Outcome| {
        let Action::Submit(submission) = submission(false) else { panic!("a submission") };
        let known = known.map(|class| Box::new(failure(class)));
        let seen = run(&Action::Submit(Submission { known, is_last_try, ..submission }), |effect| {
            if matches!(effect, Effect::Send(..)) {
                return Outcome::Failed(failure(class));
            }
            if matches!(effect, Effect::LookUp(_)) { found.clone() } else { well(effect) }
        });
        seen[4..].join(", ")
    };
    let order = |class, known, found| order_of(false, class, known, found);
    let (duplicate, renewed) = (FailureClass::DuplicateRefused, FailureClass::AlreadyRenewed);
    for class in [duplicate, renewed] {
        assert_eq!(order(class, None, Outcome::NotFound), "LookUp, SearchHeld, record NotAccepted");
        let ours = order(class, None, issued());
        assert!(ours.starts_with("LookUp, KeepAnswer, record Issued"), "{ours}");
    }
    assert_eq!(order(duplicate, Some(duplicate), Outcome::NotFound), "record NotAccepted");
    assert_eq!(order(renewed, Some(renewed), Outcome::NotFound), "LookUp, record NotAccepted");
    assert_eq!(order(duplicate, Some(renewed), Outcome::NotFound), "LookUp, SearchHeld, record NotAccepted");
    let down = || Outcome::Failed(failure(FailureClass::ApiUnavailable));
    assert_eq!(order(renewed, None, down()), "LookUp, record RefusalUnclear", "it may be ours: it is looked up again");
    assert_eq!(order_of(true, renewed, None, down()), "LookUp, SearchHeld, record NotAccepted", "but not for ever");
    assert_eq!(order(duplicate, None, down()), "LookUp, SearchHeld, record NotAccepted");
    let refused = Outcome::Failed(failure(FailureClass::ApiForbidden));
    assert_eq!(order(renewed, None, refused), "LookUp, SearchHeld, record NotAccepted");
}

/// What is in hand goes from one effect to the next: what was made is sent, and what was judged is installed.
#[test]
fn each_effect_is_handed_what_came_before_it() {
    let seen = std::cell::RefCell::new(Vec::new());
    let order = |action: &Action, first: Verdict| {
        let first = std::cell::RefCell::new(Some(first));
        let answer = |effect: &Effect| {
            #[expect(clippy::wildcard_enum_match_arm, reason = "the others hand nothing on")]
            let told = match effect {
                Effect::Send(_, key) => format!("send {key}"),
                Effect::KeepAnswer { answer, .. } => format!("keep {answer}"),
                Effect::FetchChain { issued, is_good } => format!("fetch {} {is_good}", issued.answer),
                Effect::Judge { answer, spki, .. } => format!("judge {answer} {}", *spki == SPKI),
                Effect::Install { set, key, .. } => format!("install {set} {key:?}"),
                _ => String::new(),
            };
            seen.borrow_mut().extend(Some(told).filter(|told| !told.is_empty()));
            match (effect, matches!(effect, Effect::Judge { .. }).then(|| first.borrow_mut().take()).flatten()) {
                (_, Some(verdict)) => Outcome::Judged(verdict),
                (effect, None) => well(effect),
            }
        };
        run(action, answer);
        seen.take().join(", ")
    };
    let good = || Verdict::Accepted("judged");
    let sent = "send made, keep answered, judge answered true, install judged Some(\"made\")";
    assert_eq!(order(&submission(false), good()), sent);
    assert_eq!(order(&install(false), good()), "judge fetched true, install judged None");
    let without = "send made, keep answered, judge answered true, fetch answered false, judge fetched true, \
                   install judged Some(\"made\")";
    assert_eq!(order(&submission(false), Verdict::Refused(vec![Text::new("no chain")])), without);
    let rootless = order(&install(false), Verdict::Rootless("no root"));
    assert_eq!(rootless, "judge fetched true, fetch fetched true, judge fetched true, install judged None");
}

/// What a fetch that failed in the end had brought before is judged as well.
#[test]
fn what_came_before_a_fetch_failed_is_judged() {
    let in_part = || Outcome::Fetched("in part", Some(failure(FailureClass::ApiUnavailable)));
    let judged = std::cell::RefCell::new(Vec::new());
    run(&install(true), |effect| {
        if let Effect::Judge { answer, .. } = effect {
            judged.borrow_mut().push(*answer);
            return Outcome::Judged(Verdict::Refused(vec![Text::new("its chain is missing")]));
        }
        if matches!(effect, Effect::FetchChain { .. }) { in_part() } else { well(effect) }
    });
    assert_eq!(judged.take(), ["fetched", "in part"]);
}
