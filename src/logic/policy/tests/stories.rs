//! Whole stories, as administrators tell them.

use super::super::gate::{Asked, Decision, wipe_first};
use super::super::loops::{Pace, Steps};
use super::super::provisioning::{Context, Fact, Reply, answer, answer_wipe};
use super::super::wipe::{Wipe, WipeError, WipeKind, WipeState};
use super::super::{Partnership, Timestamp};
use super::{START, partnership, prepared};
use crate::logic::eas::provision::{PolicyRequest, PolicyType, ProvisionRequest};
use crate::logic::eas::{Command, PolicyKey, Version};

const MINUTE_S: u64 = 60;

fn context(version: Version, now: Timestamp) -> Context<'static> {
    Context { version, policy: None, now, random: 7 }
}

fn report(status: u16) -> ProvisionRequest {
    ProvisionRequest { remote_wipe: Some(status), ..Default::default() }
}

fn ordered(kind: WipeKind, version: Version) -> Partnership {
    let mut partnership = partnership();
    partnership.wipe = Some(Wipe::order(kind, None, Some(version), "ada", START).unwrap());
    partnership
}

fn state(partnership: &Partnership) -> WipeState {
    partnership.wipe.as_ref().expect("an order").state
}

fn body(reply: &Reply) -> Vec<u8> {
    match reply {
        Reply::Answer(answer) => answer.encode(),
        Reply::Refuse(refusal) => panic!("{refusal:?}"),
    }
}

/// Lost, ordered, told, acknowledged, come back, told again, found, cancelled, set up again.
#[test]
fn a_lost_phone() {
    let policy = prepared(&[("DevicePasswordEnabled", "true")]);
    let version = Version::V12_1;
    let mut phone = ordered(WipeKind::Device, version);
    assert_eq!(state(&phone), WipeState::Requested);

    // Its Ping is told to look, and it asks what there is: by the empty Provision, or by a normal first step.
    let first_step = ProvisionRequest {
        policy: Some(PolicyRequest { policy_type: PolicyType::Wbxml, policy_key: None, status: None }),
        ..Default::default()
    };
    for request in [ProvisionRequest::default(), first_step.clone()] {
        let outcome = answer(&request, &phone, &Context { policy: Some(&policy), ..context(version, START.plus(MINUTE_S)) });
        assert_eq!(body(&outcome.reply), include_bytes!("../../../../tests/vectors/21-provision-resp-remotewipe.wbxml"));
        assert_eq!(outcome.facts, [Fact::WipeSent(WipeKind::Device)]);
        phone = outcome.partnership;
        assert_eq!(state(&phone), WipeState::Sent);
    }
    assert_eq!(
        phone.wipe.as_ref().map(|wipe| (wipe.sent_at, wipe.sent_again_at)),
        Some((Some(START.plus(MINUTE_S)), Some(START.plus(MINUTE_S))))
    );

    // It could not, and is told again.
    let failed = answer(&report(2), &phone, &context(version, START.plus(2 * MINUTE_S)));
    let Reply::Answer(said) = &failed.reply else { panic!("{:?}", failed.reply) };
    assert_eq!((said.status, said.remote_wipe), (2, true));
    assert_eq!(failed.facts, [Fact::WipeFailed(WipeKind::Device), Fact::WipeSent(WipeKind::Device)]);
    assert_eq!(state(&failed.partnership), WipeState::Failed);

    // It does.
    let done = answer(&report(1), &failed.partnership, &context(version, START.plus(3 * MINUTE_S)));
    let Reply::Answer(said) = &done.reply else { panic!("{:?}", done.reply) };
    assert_eq!((said.status, said.remote_wipe), (1, false));
    assert_eq!(done.facts, [Fact::WipeAcknowledged(WipeKind::Device)]);
    phone = done.partnership;
    let wipe = phone.wipe.clone().expect("an order");
    assert_eq!(
        (wipe.state, wipe.acknowledged_at, wipe.acknowledged_with_credentials),
        (WipeState::Acknowledged, Some(START.plus(180)), true)
    );
    assert_eq!(wipe.requested_by, "ada");

    // Whoever sets it up again is told again, and gets nothing else.
    let sync = Asked { command: Some(Command::Sync), version, policy_key: Some(PolicyKey(5)) };
    assert!(matches!(wipe_first(&sync, &phone), Some(Decision::Refuse(_))));
    let again = answer(&first_step, &phone, &Context { policy: Some(&policy), ..context(version, START.plus(9_000)) });
    assert_eq!(again.facts, [Fact::WipeSent(WipeKind::Device)]);
    phone = again.partnership;
    assert_eq!(
        (state(&phone), phone.wipe.as_ref().and_then(|wipe| wipe.acknowledged_at)),
        (WipeState::Acknowledged, Some(START.plus(180)))
    );

    // It is found, and the order taken back.
    phone.wipe.as_mut().unwrap().cancel("grace", START.plus(10_000)).unwrap();
    assert_eq!(wipe_first(&sync, &phone), None);
    let fresh = answer(&first_step, &phone, &Context { policy: Some(&policy), ..context(version, START.plus(10_001)) });
    assert!(matches!(&fresh.reply, Reply::Answer(said) if said.policy.is_some()), "{:?}", fresh.reply);
    assert_eq!(phone.wipe.as_mut().unwrap().cancel("grace", START), Err(WipeError::NothingToCancel));
}

#[test]
fn an_account_only_wipe() {
    let phone = ordered(WipeKind::AccountOnly, Version::V16_1);
    let told = answer(&ProvisionRequest::default(), &phone, &context(Version::V16_1, START));
    assert_eq!(body(&told.reply), include_bytes!("../../../../tests/vectors/23-provision-resp-accountonly-wipe.wbxml"));
    let wrong = answer(&report(1), &told.partnership, &context(Version::V16_1, START));
    assert_eq!(state(&wrong.partnership), WipeState::Sent, "the acknowledgement of another order");
    let bytes = include_bytes!("../../../../tests/vectors/24-provision-req-accountonly-ack.wbxml");
    let done = answer(&ProvisionRequest::parse(bytes).unwrap(), &told.partnership, &context(Version::V16_1, START));
    assert_eq!((state(&done.partnership), done.facts), (WipeState::Acknowledged, vec![Fact::WipeAcknowledged(WipeKind::AccountOnly)]));
}

#[test]
fn an_account_only_wipe_is_refused_with_a_reason_for_older_devices() {
    for version in Version::ALL.into_iter().filter(|version| *version < Version::V16_1) {
        let error = Wipe::order(WipeKind::AccountOnly, None, Some(version), "ada", START).unwrap_err();
        assert!(error.to_string().contains(&format!("this one speaks {version}")), "{error}");
    }
    assert_eq!(Wipe::order(WipeKind::AccountOnly, None, None, "ada", START), Err(WipeError::NeedsNewer { version: None }));
}

#[test]
fn an_order_is_not_given_twice_but_can_be_made_stronger() {
    let version = Some(Version::V16_1);
    let account = Wipe::order(WipeKind::AccountOnly, None, version, "ada", START).unwrap();
    let again = Wipe::order(WipeKind::AccountOnly, Some(&account), version, "eve", START);
    assert_eq!(again, Err(WipeError::AlreadyOrdered(WipeState::Requested)));
    let device = Wipe::order(WipeKind::Device, Some(&account), version, "eve", START).unwrap();
    assert_eq!((device.kind, device.requested_by.as_str()), (WipeKind::Device, "eve"));
    let mut done = device;
    done.sent(START);
    done.reported(true, true, START);
    let anew = Wipe::order(WipeKind::Device, Some(&done), version, "eve", START.plus(5)).expect("after an acknowledgement, anew");
    assert_eq!((anew.acknowledged_at, anew.acknowledged_before_at), (None, Some(START)), "what it said before stays in the books");
    let mut taken_back = anew;
    taken_back.cancel("eve", START.plus(6)).unwrap();
    let third = Wipe::order(WipeKind::Device, Some(&taken_back), version, "eve", START.plus(7)).unwrap();
    assert_eq!(third.acknowledged_before_at, Some(START));
}

#[test]
fn an_order_is_never_made_weaker() {
    let version = Some(Version::V16_1);
    let mut device = Wipe::order(WipeKind::Device, None, version, "ada", START).unwrap();
    let weaker = |standing: &Wipe| Wipe::order(WipeKind::AccountOnly, Some(standing), version, "eve", START);
    let refused = |standing: &Wipe| matches!(weaker(standing), Err(WipeError::Weaker { state, .. }) if state == standing.state);
    assert!(refused(&device), "requested");
    device.sent(START);
    assert!(refused(&device), "sent");
    device.reported(false, true, START);
    assert!(refused(&device), "failed");
    device.reported(true, true, START);
    assert!(refused(&device), "acknowledged: it may have lied");
    device.cancel("ada", START).unwrap();
    assert_eq!(weaker(&device).unwrap().kind, WipeKind::AccountOnly, "taken back");
}

#[test]
fn what_a_device_said_of_an_order_is_not_unsaid() {
    let mut wipe = Wipe::order(WipeKind::Device, None, None, "ada", START).unwrap();
    wipe.sent(START.plus(1));
    wipe.reported(true, true, START.plus(2));
    wipe.sent(START.plus(9));
    assert_eq!((wipe.sent_at, wipe.acknowledged_at, wipe.sent_again_at), (Some(START.plus(1)), Some(START.plus(2)), Some(START.plus(9))));
    wipe.cancel("grace", START.plus(10)).unwrap();
    assert_eq!((wipe.state, wipe.stands(), wipe.awaits_device()), (WipeState::Acknowledged, false, false));
    assert_eq!(wipe.cancel("grace", START), Err(WipeError::NothingToCancel));
}

/// It was told, the order was taken back, and it says that it does: that was too late.
#[test]
fn an_acknowledgement_that_crosses_a_cancellation_is_kept() {
    let version = Version::V14_1;
    for (is_sent, status, expected) in
        [(true, 1, (WipeState::Acknowledged, true)), (true, 2, (WipeState::Cancelled, false)), (false, 1, (WipeState::Cancelled, false))]
    {
        let mut phone = partnership();
        let mut wipe = Wipe::order(WipeKind::Device, None, Some(version), "ada", START).unwrap();
        if is_sent {
            wipe.sent(START.plus(1));
        }
        wipe.cancel("ada", START.plus(2)).unwrap();
        phone.wipe = Some(wipe);
        let outcome = answer(&report(status), &phone, &context(version, START.plus(3)));
        let told = outcome.facts.contains(&Fact::WipeAcknowledged(WipeKind::Device));
        assert_eq!((state(&outcome.partnership), told), expected, "sent: {is_sent}, status {status}");
        assert!(!outcome.partnership.wipe_stands(), "it is not told again");
    }
}

/// The user was disabled after the phone was lost; the backend refuses the credentials.
#[test]
fn a_device_whose_user_is_gone_still_gets_its_order() {
    let version = Version::V14_1;
    let phone = ordered(WipeKind::Device, version);
    let stranger = ProvisionRequest { device_information: Some(Default::default()), ..Default::default() };
    let told = answer_wipe(&stranger, &phone, version, START).expect("the order");
    assert_eq!((told.partnership.information_at, told.facts), (None, vec![Fact::WipeSent(WipeKind::Device)]));
    let done = answer_wipe(&report(1), &told.partnership, version, START).expect("an answer");
    let wipe = done.partnership.wipe.clone().expect("an order");
    assert_eq!((wipe.state, wipe.acknowledged_with_credentials), (WipeState::Acknowledged, false));
    assert_eq!(answer_wipe(&stranger, &partnership(), version, START), None, "without an order it is like any other");
    let mut cancelled = done.partnership;
    cancelled.wipe.as_mut().unwrap().cancel("ada", START).unwrap();
    assert_eq!(answer_wipe(&report(1), &cancelled, version, START), None);
}

#[test]
fn reports_that_nobody_asked_for_change_nothing() {
    let heard = answer(&report(1), &partnership(), &context(Version::V12_0, START));
    assert_eq!((heard.partnership, heard.facts), (partnership(), vec![]));
    let phone = ordered(WipeKind::Device, Version::V12_0);
    let early = answer(&report(1), &phone, &context(Version::V12_0, START));
    assert_eq!((state(&early.partnership), early.facts), (WipeState::Sent, vec![Fact::WipeSent(WipeKind::Device)]));
}

/// A device that is told 142 and never provisions.
#[test]
fn a_loop_is_told_otherwise_then_slowed_then_shown() {
    let mut steps = Steps::default();
    let paces: Vec<Pace> = (0..12).map(|second| steps.told(START.plus(second))).collect();
    assert_eq!(paces[..3], [Pace::Go; 3]);
    assert_eq!(paces[3..11], [Pace::Go449; 8]);
    assert_eq!(paces[11], Pace::Slow { retry_after_s: 59 });
    assert_eq!(steps.looping_since(START.plus(12)), Some(START));

    // One try after the wait, then a longer one, never longer than an hour.
    let (mut now, mut waits) = (START.plus(11), Vec::new());
    for _ in 0..9 {
        let Pace::Slow { retry_after_s } = steps.told(now) else { panic!("not slowed") };
        waits.push(retry_after_s);
        now = now.plus(u64::from(retry_after_s));
        assert_eq!(steps.told(now), Pace::Go449, "its try");
    }
    assert_eq!(waits, [59, 120, 240, 480, 960, 1_920, 3_600, 3_600, 3_600]);

    steps.passed();
    assert_eq!((steps.told(now), steps.looping_since(now)), (Pace::Go, None));
}

#[test]
fn a_device_that_cannot_provision_but_seems_to_passes_where_it_may() {
    use super::super::access::{AccessState, AccessWhy};
    use super::super::gate::{Known, decide, passes_anyway};
    let asked = Asked { command: Some(Command::Sync), version: Version::V14_0, policy_key: Some(PolicyKey(0)) };
    let told_before_it_passes = |setting: &str, partnership: &Partnership| {
        let policy = prepared(&[("DevicePasswordEnabled", "true"), ("AllowNonProvisionableDevices", setting)]);
        let access = (AccessState::Allowed, &AccessWhy::Default);
        let known = Known { partnership: Some(partnership), access, policy: Some(&policy), others: 0, devices_max: 1 };
        let mut steps = Steps::default();
        (0..100).find(|second| {
            let Decision::Refuse(refusal) = decide(&asked, &known, START) else { panic!("passed") };
            let passes = passes_anyway(refusal, &known, &steps);
            if !passes {
                steps.told(START.plus(*second));
            }
            passes
        })
    };
    assert_eq!(told_before_it_passes("true", &partnership()), Some(6));
    assert_eq!(told_before_it_passes("false", &partnership()), None);
    let mut able = partnership();
    able.provisioning.asked_at = Some(START);
    assert_eq!(told_before_it_passes("true", &able), None, "one that asked for a policy can have it");
}

#[test]
fn provisioning_now_and_then_is_no_loop() {
    let mut steps = Steps::default();
    for hour in 0..100 {
        assert_eq!(steps.provisions(START.plus(hour * 3_600)), Pace::Go);
        assert_eq!(steps.looping_since(START.plus(hour * 3_600)), None);
    }
    let mut busy = Steps::default();
    let slowed = (0..100).map(|second| busy.provisions(START.plus(second))).position(|pace| matches!(pace, Pace::Slow { .. }));
    assert_eq!(slowed, Some(11), "Provision over and over is");
    assert_eq!(busy.provisions(START.plus(100_000)), Pace::Go, "long ago");
}
