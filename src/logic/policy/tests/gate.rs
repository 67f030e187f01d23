//! Every situation of the protocol's table, by version: what the gate decides and what the device is told.

use super::super::access::{AccessState, AccessWhy};
use super::super::gate::{Asked, Decision, Known, decide, wipe_first};
use super::super::provisioning::{Application, Applied, Sent};
use super::super::signal::{Refusal, Signal, signal};
use super::super::wipe::{Wipe, WipeKind};
use super::super::{Partnership, Prepared};
use super::{START, partnership, prepared};
use crate::logic::eas::{Command, PingAnswer, PolicyKey, Version, status};

const KEY: PolicyKey = PolicyKey(3_942_919_513);

fn provisioned(policy: &Prepared, version: Version) -> Partnership {
    let document = Sent { policy: policy.policy().name.clone(), revision: 1, version, hash: policy.hash(version), at: START };
    let mut partnership = partnership();
    let applied = Applied { key: KEY, temporary_key: PolicyKey(1), application: Application::AppliedInFull, document };
    partnership.provisioning.applied = Some(applied);
    partnership
}

fn known<'a>(partnership: Option<&'a Partnership>, policy: Option<&'a Prepared>) -> Known<'a> {
    Known { partnership, access: (AccessState::Allowed, &AccessWhy::Default), policy, others: 0, devices_max: 10 }
}

fn asked(command: Command, version: Version, key: Option<PolicyKey>) -> Asked {
    Asked { command: Some(command), version, policy_key: key }
}

/// What a device of this version is told when it asks for folders.
fn told(version: Version, key: Option<PolicyKey>, known: &Known<'_>, now: u64) -> Option<Signal> {
    match decide(&asked(Command::FolderSync, version, key), known, START.plus(now)) {
        Decision::Refuse(refusal) => Some(signal(refusal, Command::FolderSync, version, key, false)),
        Decision::Pass => None,
        Decision::Provision => panic!("FolderSync is no Provision"),
    }
}

/// The status in a FolderSync answer with HTTP 200, or the HTTP code.
fn code(signal: Option<Signal>) -> Option<u16> {
    let signal = signal?;
    let is_status = |status: &u16| status::answer(Command::FolderSync, *status).as_ref() == Some(&signal.body);
    Some((100..200).find(is_status).filter(|_| signal.http == 200).unwrap_or(signal.http))
}

#[test]
fn the_table_of_statuses_and_codes() {
    let strict = prepared(&[("DevicePasswordEnabled", "true"), ("DevicePolicyRefreshInterval", "1h")]);
    let other = prepared(&[("DevicePasswordEnabled", "true"), ("MinDevicePasswordLength", "9"), ("MaxInactivityTimeDeviceLock", "60")]);
    let new = partnership();
    for version in Version::ALL {
        let has = provisioned(&strict, version);
        let has_other = provisioned(&other, version);
        let is = |status: u16, http: u16| Some(if version >= Version::V14_0 { status } else { http });
        let code = |key, partnership, now| code(told(version, key, &known(partnership, Some(&strict)), now));
        assert_eq!(code(Some(KEY), Some(&has), 0), None, "{version}");
        assert_eq!(code(None, None, 0), is(141, 449), "{version}: never sent a key");
        assert_eq!(code(None, Some(&new), 0), is(141, 449), "{version}: never sent a key");
        assert_eq!(code(Some(PolicyKey(0)), Some(&new), 0), is(142, 449), "{version}");
        assert_eq!(code(Some(PolicyKey(0)), None, 0), is(142, 449), "{version}");
        assert_eq!(code(Some(PolicyKey(0)), Some(&has), 0), is(142, 449), "{version}: forgot its key");
        assert_eq!(code(None, Some(&has), 0), is(142, 449), "{version}: has a key and does not send it");
        assert_eq!(code(Some(KEY), Some(&has), 3_600), is(143, 449), "{version}: refresh");
        assert_eq!(code(Some(PolicyKey(5)), Some(&has), 0), is(144, 449), "{version}: wrong key");
        assert_eq!(code(Some(PolicyKey(1)), Some(&has), 0), is(144, 449), "{version}: the temporary key");
        assert_eq!(code(Some(PolicyKey(5)), None, 0), is(144, 449), "{version}: a key of another server");
        assert_eq!(code(Some(KEY), Some(&has_other), 0), is(144, 449), "{version}: the policy changed");
    }
}

#[test]
fn orders_to_erase_come_first() {
    let policy = prepared(&[]);
    for version in Version::ALL {
        let mut partnership = provisioned(&policy, version);
        partnership.wipe = Some(Wipe::order(WipeKind::Device, None, None, "ada", START).unwrap());
        let mut known = known(Some(&partnership), Some(&policy));
        known.access = (AccessState::Blocked, &AccessWhy::ActiveSyncOff);
        let code = |key| code(told(version, key, &known, 0));
        let is_new = version >= Version::V14_0;
        assert_eq!(code(Some(KEY)), Some(if is_new { 140 } else { 449 }), "{version}");
        assert_eq!(code(None), Some(if is_new { 140 } else { 403 }), "{version}");
        assert_eq!(decide(&asked(Command::Provision, version, None), &known, START), Decision::Provision);
        for command in Command::ALL.into_iter().filter(|command| *command != Command::Provision) {
            let decision = wipe_first(&asked(command, version, None), &partnership);
            assert_eq!(decision, Some(Decision::Refuse(Refusal::Wipe(WipeKind::Device))), "{version} {command}");
        }
    }
    assert_eq!(wipe_first(&asked(Command::Sync, Version::V14_1, None), &partnership()), None, "nothing to learn for strangers");
}

#[test]
fn an_account_only_wipe_never_goes_to_a_device_that_does_not_know_it() {
    let mut partnership = partnership();
    partnership.wipe = Some(Wipe::order(WipeKind::AccountOnly, None, Some(Version::V16_1), "ada", START).unwrap());
    let decide = |command, version| wipe_first(&asked(command, version, None), &partnership);
    assert_eq!(decide(Command::Provision, Version::V16_1), Some(Decision::Provision));
    assert_eq!(decide(Command::Sync, Version::V16_1), Some(Decision::Refuse(Refusal::Wipe(WipeKind::AccountOnly))));
    assert_eq!(decide(Command::Provision, Version::V14_1), Some(Decision::Refuse(Refusal::Blocked)));
    assert_eq!(decide(Command::Sync, Version::V14_1), Some(Decision::Refuse(Refusal::Blocked)));
}

#[test]
fn access_and_numbers_of_devices() {
    let lists = AccessWhy::AllowedDeviceIds;
    for (access, new, old) in [
        ((AccessState::Blocked, &AccessWhy::ActiveSyncOff), 126, 403),
        ((AccessState::Blocked, &lists), 129, 403),
        ((AccessState::Quarantined, &AccessWhy::Default), 129, 403),
        ((AccessState::Discovery, &AccessWhy::AwaitsInformation), 111, 503),
    ] {
        for version in Version::ALL {
            let known = Known { access, ..known(None, None) };
            assert_eq!(
                code(told(version, None, &known, 0)),
                Some(if version >= Version::V14_0 { new } else { old }),
                "{access:?} {version}"
            );
            let provision = decide(&asked(Command::Provision, version, None), &known, START);
            assert_eq!(provision == Decision::Provision, access.0 == AccessState::Discovery, "{access:?}");
        }
    }
    let full = Known { others: 10, ..known(None, None) };
    assert_eq!(code(told(Version::V14_1, None, &full, 0)), Some(177));
    assert_eq!(code(told(Version::V12_1, None, &full, 0)), Some(403));
    let partnership = partnership();
    let member = Known { others: 10, ..known(Some(&partnership), None) };
    assert_eq!(told(Version::V14_1, None, &member, 0), None, "who is in stays in");
}

#[test]
fn a_device_to_be_discovered_is_led_to_describe_itself() {
    let policy = prepared(&[]);
    let partnership = provisioned(&policy, Version::V14_0);
    let discovery =
        |partnership| Known { access: (AccessState::Discovery, &AccessWhy::AwaitsInformation), ..known(partnership, Some(&policy)) };
    assert_eq!(code(told(Version::V14_0, Some(PolicyKey(0)), &discovery(None), 0)), Some(142));
    assert_eq!(code(told(Version::V14_0, Some(KEY), &discovery(Some(&partnership)), 0)), Some(111));
    let settings = asked(Command::Settings, Version::V14_0, Some(KEY));
    assert_eq!(decide(&settings, &discovery(Some(&partnership)), START), Decision::Pass);
}

#[test]
fn devices_that_cannot_provision_pass_where_they_may() {
    let lax = prepared(&[("AllowNonProvisionableDevices", "true")]);
    let new = partnership();
    for version in Version::ALL {
        assert_eq!(told(version, None, &known(None, Some(&lax)), 0), None, "{version}");
        assert_eq!(told(version, None, &known(Some(&new), Some(&lax)), 0), None, "{version}");
        assert!(told(version, Some(PolicyKey(0)), &known(Some(&new), Some(&lax)), 0).is_some(), "{version}: it can, so it must");
        let ping = decide(&asked(Command::Ping, version, None), &known(Some(&new), Some(&lax)), START);
        assert_eq!(ping, Decision::Pass, "{version}");
    }
}

#[test]
fn no_key_is_asked_of_ping_options_and_autodiscover_nor_without_a_policy() {
    let policy = prepared(&[("DevicePasswordEnabled", "true")]);
    for version in Version::ALL {
        let partnership = provisioned(&policy, version);
        let known_all = known(Some(&partnership), Some(&policy));
        for key in [None, Some(PolicyKey(0)), Some(PolicyKey(5)), Some(KEY)] {
            assert_eq!(decide(&asked(Command::Ping, version, key), &known_all, START), Decision::Pass, "{version} {key:?}");
            let options = Asked { command: None, version, policy_key: key };
            assert_eq!(decide(&options, &known(None, Some(&policy)), START), Decision::Pass);
            assert_eq!(told(version, key, &known(None, None), 0), None, "no policy, no key");
        }
    }
}

#[test]
fn a_ping_never_carries_a_policy_status() {
    let policy = prepared(&[("DevicePasswordEnabled", "true"), ("DevicePolicyRefreshInterval", "60")]);
    let other = prepared(&[("DevicePasswordEnabled", "true"), ("MinDevicePasswordLength", "9")]);
    let seven = PingAnswer::HierarchyChanged.encode();
    for version in Version::ALL {
        let (has, has_other) = (provisioned(&policy, version), provisioned(&other, version));
        let mut wiped = has.clone();
        wiped.wipe = Some(Wipe::order(WipeKind::Device, None, None, "ada", START).unwrap());
        for (partnership, now) in [(None, 0), (Some(&has), 60), (Some(&has_other), 0), (Some(&wiped), 0)] {
            let asked = asked(Command::Ping, version, None);
            let Decision::Refuse(refusal) = decide(&asked, &known(partnership, Some(&policy)), START.plus(now)) else {
                panic!("{version} {partnership:?}")
            };
            let signal = signal(refusal, Command::Ping, version, None, true);
            assert_eq!((signal.http, signal.body), (200, seven.clone()), "{version} {refusal:?}");
        }
        for refusal in [Refusal::UserDisabled, Refusal::Blocked, Refusal::Quarantined, Refusal::TooManyDevices] {
            assert_eq!(signal(refusal, Command::Ping, version, None, false), Signal { http: 403, body: vec![], retry_after_s: None });
        }
    }
}

#[test]
fn commands_without_wbxml_answers_use_http_codes() {
    for (refusal, http) in [(Refusal::NotProvisioned, 449), (Refusal::Blocked, 403), (Refusal::UserDisabled, 403)] {
        let signal = signal(refusal, Command::GetAttachment, Version::V14_1, Some(KEY), false);
        assert_eq!((signal.http, signal.body.len()), (http, 0));
    }
    for command in Command::ALL.into_iter().filter(|command| command.root().is_some() && *command != Command::Ping) {
        let signal = signal(Refusal::InvalidKey, command, Version::V16_1, Some(KEY), false);
        assert_eq!((signal.http, Some(signal.body)), (200, status::answer(command, 144)), "{command}");
    }
}

#[test]
fn a_device_that_is_deaf_to_statuses_is_told_the_old_way() {
    let old_way = signal(Refusal::NotProvisioned, Command::Sync, Version::V14_1, Some(KEY), true);
    assert_eq!((old_way.http, old_way.body.len()), (449, 0));
    let blocked = signal(Refusal::Blocked, Command::Sync, Version::V14_1, Some(KEY), true);
    assert_eq!(blocked.http, 200, "449 would promise that Provision helps");
    let itself = signal(Refusal::InformationRequired, Command::Provision, Version::V14_1, None, true);
    assert_eq!(Some(itself.body), status::answer(Command::Provision, 165));
    let slow = signal(Refusal::SlowDown { retry_after_s: 90 }, Command::Sync, Version::V14_1, None, true);
    assert_eq!((slow.http, slow.retry_after_s), (503, Some(90)));
}
