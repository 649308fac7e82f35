//! What goes on record of an installed set: of another chain, and of the order to revoke what it replaced.

use super::*;
use crate::core::event::Withdrawal;
use crate::core::known::replaced::Replaced;
use crate::core::time::Timestamp;

#[test]
fn what_is_revoked_already_or_unknown_ends_it_and_a_failure_is_on_record() {
    let serial_number = SerialNumber("0B01".to_owned());
    let certificate =
        Replaced { serial_number, fingerprint: Digest([1; 32]), not_after: Timestamp::from_seconds(1_900_000_000) };
    let action = Action::RevokeSuperseded(Box::new(certificate));
    let recorded = |came: &dyn Fn() -> Outcome| {
        let recorded = std::cell::RefCell::new(None);
        #[expect(clippy::wildcard_enum_match_arm, reason = "the others are answered alike")]
        let order = run(&action, |effect| match effect {
            Effect::Record(event) => {
                *recorded.borrow_mut() = Some(event.clone());
                Outcome::Done
            }
            _ => came(),
        });
        (order.join(", "), recorded.take())
    };
    let check = |came: &dyn Fn() -> Outcome, wanted: Withdrawal| {
        let (order, event) = recorded(came);
        assert_eq!(order, "Revoke, record SupersededRevoked");
        let Some(Event::SupersededRevoked { serial_number, outcome }) = event else { panic!("{event:?}") };
        assert_eq!((serial_number.0.as_str(), outcome), ("0B01", wanted));
    };
    check(&|| Outcome::Done, Withdrawal::Revoked);
    check(&|| Outcome::Failed(failure(FailureClass::CertificateRevoked)), Withdrawal::Already);
    check(&|| Outcome::Failed(failure(FailureClass::NotFound)), Withdrawal::Unknown);
    for class in [FailureClass::ApiForbidden, FailureClass::ApiUnavailable, FailureClass::ApiNoAnswer] {
        let (order, event) = recorded(&|| Outcome::Failed(failure(class)));
        assert_eq!(order, "Revoke, record RevocationFailed");
        assert!(matches!(&event, Some(Event::RevocationFailed { failure, .. }) if failure.class == class), "{event:?}");
    }
    // A hold began meanwhile, or it is live after all: nothing happened, and it is decided anew.
    assert_eq!(recorded(&|| Outcome::NotNow).0, "Revoke");
}

#[test]
fn a_refreshed_chain_is_recorded_and_one_that_failed_holds_nothing_back() {
    let refreshed = Outcome::Refreshed { generation: Generation(2), ends_at: START };
    let order =
        |outcome: Outcome| {
            run(&Action::RefreshChain, move |effect| {
                if matches!(effect, Effect::RefreshChain) { outcome.clone() } else { well(effect) }
            })
        };
    assert_eq!(order(refreshed), ["RefreshChain", "record ChainRefreshed"]);
    assert_eq!(order(Outcome::Failed(failure(FailureClass::NoWayBack))), ["RefreshChain", "record ChainKept"]);
    // What the disk refused is no word of the chain: it is tried again when the disk takes it.
    for class in [FailureClass::DiskFull, FailureClass::DiskReadOnly, FailureClass::Disk, FailureClass::TargetRefused] {
        assert_eq!(order(Outcome::Failed(failure(class))), ["RefreshChain", "record Failed"], "{class}");
    }
}
