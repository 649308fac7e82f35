//! The fallback: when another profile is asked in place of the entry's own, and when the own one is asked again.

use super::*;
use crate::core::text::Text;

/// The emergency stage of 90 days begins here.
const EMERGENCY: Duration = Duration::from_secs(81 * 86_400);

/// An entry of the profile `p` with the fallback `q`, as the engine puts it before a decision.
#[derive(Clone)]
struct Two {
    case: Case,
    own: CachedProfile,
    fallback: CachedProfile,
}

fn of(id: &str) -> Profile {
    Profile { id: ProfileId(id.into()), ..profile() }
}

/// The word of an action, with which of the two it turns to.
fn word(action: &Action) -> &'static str {
    let Action::ChangeProfile(event) = action else { return action.as_str() };
    if **event == Event::FallbackLeft { "leave-fallback" } else { "fall-back" }
}

impl Two {
    fn after(offset: Duration) -> Self {
        let case = Case::after(offset);
        let (own, fallback) = (read(of("p"), case.now), read(of("q"), case.now));
        Self { case, own, fallback }
    }

    /// The request that failed in this way, so often a minute apart, the last one now.
    fn failed(mut self, class: FailureClass, times: u32) -> Self {
        for before in (0..times).rev() {
            let at = self.case.now - before * MINUTE;
            for event in [submitting(1), Event::NotAccepted { attempt: Attempt(1), failure: failure(class) }] {
                self.case.record.apply(at, &event);
            }
        }
        self
    }

    fn and(mut self, event: &Event) -> Self {
        self.case.record.apply(self.case.now, event);
        self
    }

    fn later(mut self, wait: Duration) -> Self {
        self.case.now = self.case.now + wait;
        for reading in [&mut self.own, &mut self.fallback] {
            reading.read_at = reading.read_at.map(|at| at + wait);
        }
        self
    }

    /// As the engine does it.
    fn decide(&self) -> Decision {
        let Case { entry, observed, record, global, deploy, now, .. } = &self.case;
        let mut entry = entry.clone();
        let fallback = ProfileRef::Id(ProfileId("q".into()));
        let own = entry.profile.clone();
        let (reading, other) = if record.asks_fallback() {
            entry.profile = fallback;
            (&self.fallback, OtherProfile { profile: &own, reading: &self.own })
        } else {
            (&self.own, OtherProfile { profile: &fallback, reading: &self.fallback })
        };
        let (deploy, ask, other) = (*deploy, Deploy::Open, Some(other));
        decide(&World { entry: &entry, observed, reading, record, other, global, deploy, ask, now: *now })
    }

    #[track_caller]
    fn check(&self, action: &str, part: &str) {
        let decision = self.decide();
        assert_eq!(word(&decision.action), action, "{}", decision.reason);
        assert!(decision.reason.to_string().contains(part), "{part:?} is not in {:?}", decision.reason.to_string());
    }

    /// Does what is decided, where that is one event.
    fn turn(self) -> Self {
        let Action::ChangeProfile(event) = self.decide().action else { panic!("no turn") };
        self.and(&event)
    }

    /// The request of the fallback.
    fn submitted(self, attempt: u64) -> Self {
        let mut event = submitting(attempt);
        if let Event::Submitting { profile, profile_version, .. } = &mut event {
            (*profile, *profile_version) = (ProfileId("q".into()), of("q").version());
        }
        self.and(&event)
    }

    /// What the fallback issued is installed, for 90 more days.
    fn installed(mut self) -> Self {
        let now = self.case.now;
        self = self.and(&installed_event());
        let mut found = installed(90 * DAY);
        (found.profile, found.not_before, found.not_after) = (Some(ProfileId("q".into())), now, now + 90 * DAY);
        self.case.observed = Observed::Installed(Box::new(found));
        self
    }
}

fn installed_event() -> Event {
    Event::Installed {
        attempt: Attempt(2),
        generation: Generation(1),
        serial_number: SerialNumber("0B".to_owned()),
        fingerprint: Digest([0; 32]),
        not_after: START + 180 * DAY,
        hooks: Vec::new(),
        issuer: None,
        chain_end: None,
        replaces: None,
    }
}

#[test]
fn it_is_asked_in_the_emergency_stage_and_not_before() {
    let forbidden = |offset| Two::after(offset).failed(FailureClass::ApiForbidden, 1);
    let before = forbidden(EMERGENCY - MINUTE / 2);
    before.check("wait", "failed: ");
    assert!(before.decide().wake_at <= START + EMERGENCY + MINUTE, "the emergency stage is not slept through");
    forbidden(EMERGENCY).check("fall-back", "asking the fallback profile q");
    let mut new = forbidden(DAY);
    new.case.observed = Observed::Absent;
    new.check("fall-back", "it said no");
    let mut revoked = forbidden(DAY).and(&Event::StatusChecked {
        serial_number: SerialNumber("0A".to_owned()),
        revoked: true,
        standing: None,
    });
    revoked.check("fall-back", "it said no");
    revoked.case.global.asks_nobody = true;
    revoked.check("wait", "");
}

#[test]
fn what_is_the_entrys_own_fault_or_everybodys_is_no_reason_for_it() {
    for (class, times, falls_back) in [
        (FailureClass::ProfileNotFound, 1, true),
        (FailureClass::ProfileUnusable, 1, true),
        (FailureClass::ApiUnavailable, 1, false),
        (FailureClass::ApiUnavailable, 3, true),
        (FailureClass::RequestRefused, 9, false),
        (FailureClass::SeatNotFound, 9, false),
        (FailureClass::ApiUnauthorised, 9, false),
        (FailureClass::Internal, 9, false),
    ] {
        let two = Two::after(EMERGENCY + HOUR).failed(class, times);
        two.check(if falls_back { "fall-back" } else { "wait" }, "");
    }
    let mut blocked = Two::after(EMERGENCY + HOUR).failed(FailureClass::ApiUnavailable, 3);
    blocked.case.global.api_is_blocked = true;
    blocked.check("wait", "failed 3 times");
    let refused = Event::GateRefused { attempt: Attempt(1), why: vec![Text::new("no")], ends_no_later: false };
    Two::after(EMERGENCY).and(&submitting(1)).and(&refused).check("fall-back", "no");
    let rejected = Event::Rejected { attempt: Attempt(1), why: Text::new("no") };
    Two::after(EMERGENCY).and(&submitting(1)).and(&rejected).check("wait", "rejected");
    let mut unusable = Two::after(EMERGENCY);
    unusable.own.profile.as_mut().unwrap().status = "Suspended".to_owned();
    unusable.check("fall-back", "not Active");
    let mut misfit = Two::after(EMERGENCY);
    misfit.case.entry.key = Some(crate::core::wanted::key::KeyType::Rsa2048);
    misfit.check("wait", "rsa-2048");
    let mut unread = Two::after(EMERGENCY);
    let failed =
        FailedRead { failure: failure(FailureClass::ProfileNotFound), count: 1, until: unread.case.now + HOUR };
    unread.own = CachedProfile { failure: Some(failed), ..CachedProfile::default() };
    unread.check("fall-back", "it said no");
}

#[test]
fn a_fallback_whose_certificates_would_end_sooner_is_not_asked_yet() {
    use crate::core::wanted::entry::{Validity, ValidityUnit};
    let mut two = Two::after(EMERGENCY).failed(FailureClass::ApiForbidden, 1);
    two.fallback.profile.as_mut().unwrap().validity = Some(Validity { unit: ValidityUnit::Days, duration: 6 });
    two.check("wait", "failed: ");
    let mut two = two.later(3 * DAY - MINUTE).failed(FailureClass::ApiForbidden, 1);
    two.check("wait", "failed");
    assert_eq!(two.decide().wake_at, two.case.now + MINUTE);
    two.clone().later(MINUTE + SECOND).failed(FailureClass::ApiForbidden, 1).check("fall-back", "");
    let revoked = Event::StatusChecked { serial_number: SerialNumber("0A".to_owned()), revoked: true, standing: None };
    two.case.record.apply(two.case.now, &revoked);
    two.check("fall-back", "");
}

#[test]
fn one_request_is_in_flight_at_a_time_and_a_lost_answer_is_looked_up_before() {
    let two = Two::after(EMERGENCY).failed(FailureClass::ApiForbidden, 1).turn();
    assert!(two.case.record.request.is_none() && two.case.record.abandoned.contains_key(&Attempt(1)));
    two.check("submit", "due: expires at");
    let Action::Submit(submission) = two.decide().action else { unreachable!() };
    assert_eq!((submission.attempt, submission.method), (Attempt(2), Method::New));
    assert!(submission.expiring, "what it brings has to end later");
    let lost = Event::AnswerLost { attempt: Attempt(1), failure: failure(FailureClass::ApiNoAnswer) };
    let mut lost = Two::after(EMERGENCY).failed(FailureClass::ApiForbidden, 5).and(&submitting(1)).and(&lost);
    lost.check("wait", "");
    for _ in 0..9 {
        lost = lost.later(MINUTE).and(&Event::LookedUp { attempt: Attempt(1), failure: None });
        assert_ne!(word(&lost.decide().action), "fall-back", "it may be found yet");
    }
    let issued = Event::Issued { attempt: Attempt(1), serial_number: SerialNumber("0B".to_owned()) };
    let mut issued = Two::after(EMERGENCY).and(&submitting(1)).and(&issued);
    for _ in 0..3 {
        issued = issued.and(&fail(FailureClass::ApiNoAnswer, None));
    }
    issued.check("wait", "failed 3 times");
    let submitted = Two::after(EMERGENCY).failed(FailureClass::ApiForbidden, 1).turn().submitted(2);
    let waiting = submitted.later(HOUR);
    assert_ne!(word(&waiting.decide().action), "leave-fallback", "that of the fallback is in flight");
}

#[test]
fn a_request_that_waits_for_an_approval_gives_way_after_a_day() {
    let pending = Event::Pending { attempt: Attempt(1), request_id: RequestId("r-1".to_owned()), dv_details: None };
    let polled = Event::Polled { attempt: Attempt(1), dv_details: None };
    let two = Two::after(EMERGENCY).and(&submitting(1)).and(&pending);
    let two = two.later(DAY - HOUR).and(&polled);
    two.check("wait", "pending at TLM");
    let two = two.later(HOUR).and(&polled);
    two.check("fall-back", "request r-1 has been pending since");
    let two = two.turn().submitted(2);
    // Where the fallback keeps it waiting as well, the own profile has another day, and then for good.
    let pending = Event::Pending { attempt: Attempt(2), request_id: RequestId("r-2".to_owned()), dv_details: None };
    let mut both = two.clone().and(&pending).later(DAY).and(&Event::Polled { attempt: Attempt(2), dv_details: None });
    both.check("leave-fallback", "request r-2 has been pending");
    both.own.profile.as_mut().unwrap().needs_approval = true;
    both.check("wait", "request r-2");
    both.own.profile.as_mut().unwrap().needs_approval = false;
    let pending = Event::Pending { attempt: Attempt(3), request_id: RequestId("r-3".to_owned()), dv_details: None };
    let again = both.turn().and(&submitting(3)).and(&pending).later(DAY);
    again.and(&Event::Polled { attempt: Attempt(3), dv_details: None }).check("wait", "request r-3");
    let refused = Event::NotAccepted { attempt: Attempt(2), failure: failure(FailureClass::ApiForbidden) };
    let two = two.and(&refused).later(HOUR);
    assert_ne!(word(&two.decide().action), "leave-fallback", "who approved nothing for a day is given another one");
    two.later(DAY).and(&refused).check("leave-fallback", "");
}

#[test]
fn where_both_fail_each_is_tried_on_its_own_ladder() {
    let refused = Event::NotAccepted { attempt: Attempt(2), failure: failure(FailureClass::ApiForbidden) };
    let two = Two::after(EMERGENCY).failed(FailureClass::ApiForbidden, 4).turn().submitted(2).and(&refused);
    assert_eq!((two.case.record.trouble.count, two.case.record.turn.as_deref().unwrap().trouble.count), (1, 4));
    two.check("wait", "failed: ");
    let two = two.later(2 * MINUTE);
    two.check("submit", "due: ");
    let two = two.and(&refused).and(&refused).and(&refused);
    let two = two.later(11 * MINUTE).and(&refused);
    two.check("leave-fallback", "");
    let two = two.turn();
    assert_eq!(two.case.record.turn.as_deref().map(|turn| turn.is_fallback), Some(false));
    assert_eq!(two.case.record.trouble.count, 4, "the ladder continues where it stopped");
    two.check("submit", "due: ");
    let again = two.failed(FailureClass::ApiForbidden, 1);
    again.check("wait", "failed 5 times");
}

#[test]
fn once_it_issued_the_own_profile_is_asked_again_by_its_ladder() {
    let two = Two::after(EMERGENCY).failed(FailureClass::ApiForbidden, 4).turn().submitted(2).installed();
    assert!(!two.case.record.asks_fallback(), "the own profile has its turn");
    two.check("wait", "failed 4 times");
    let two = two.later(HOUR);
    two.check("submit", "due: the fallback profile issued what is installed");
    let two = two.failed(FailureClass::ApiForbidden, 1);
    two.check("wait", "failed 5 times");
    let later = two.later(82 * DAY).failed(FailureClass::ApiForbidden, 1);
    later.turn().check("submit", "due: ");
    // And where what stood in the way was a certificate of the own profile: that one ends one day.
    let duplicate = Two::after(EMERGENCY).failed(FailureClass::DuplicateRefused, 1).turn().submitted(2).installed();
    duplicate.check("wait", "it said no");
    duplicate.later(DAY).check("submit", "the fallback profile issued");
}

#[test]
fn who_has_no_fallback_any_more_or_a_new_entry_starts_with_its_own_profile() {
    let two = Two::after(EMERGENCY).failed(FailureClass::ApiForbidden, 1).turn();
    let mut gone = Two { case: Case::after(EMERGENCY), ..two };
    gone.case.record.apply(gone.case.now, &Event::FellBack { why: Text::new("x") });
    assert_eq!(word(&gone.case.decide().action), "leave-fallback");
    for event in [Event::EntryChanged, Event::RenewalAsked { reissue: false }] {
        let mut record = record(&[(START, Event::FellBack { why: Text::new("x") }), (START, event.clone())]);
        assert!(!record.asks_fallback(), "{event:?}");
        let before = [Event::FellBack { why: Text::new("x") }, submitting(1), event.clone()];
        before.iter().for_each(|event| record.apply(START, event));
        assert!(record.asks_fallback() && record.request.is_some(), "{event:?}: what is in flight is not given up");
        let refused = Event::NotAccepted { attempt: Attempt(1), failure: failure(FailureClass::ApiForbidden) };
        [refused, event.clone()].iter().for_each(|event| record.apply(START, event));
        assert!(!record.asks_fallback(), "{event:?}: and nothing is, once it was refused");
    }
}
