//! Whatever the policy, the version and what came before: a device that does as it is told is through within three Provisions.

use proptest::prelude::*;

use super::super::access::{AccessState, AccessWhy};
use super::super::enforce;
use super::super::gate::{Asked, Decision, Known, decide};
use super::super::provisioning::{Context, Reply, answer};
use super::super::signal::Refusal;
use super::super::{Changes, Kind, Partnership, Policy, PolicyName, Prepared, Setting, Value};
use super::{START, partnership};
use crate::logic::eas::provision::{PolicyRequest, PolicyType, ProvisionRequest};
use crate::logic::eas::{Command, DeviceInformation, PolicyKey, Version};

/// A device that does as it is told.
#[derive(Debug)]
struct Device {
    version: Version,
    key: Option<PolicyKey>,
    describes_itself: bool,
    /// What it says of a policy.
    status: u16,
}

impl Device {
    fn request(&self, policy_key: Option<PolicyKey>, status: Option<u16>) -> ProvisionRequest {
        let policy_type = if self.version == Version::V2_5 { PolicyType::WapXml } else { PolicyType::Wbxml };
        let describes = self.version >= Version::V14_1 && self.describes_itself && status.is_none();
        let information = DeviceInformation { model: Some("X".into()), ..Default::default() };
        let request = ProvisionRequest {
            device_information: describes.then_some(information),
            policy: Some(PolicyRequest { policy_type, policy_key, status }),
            ..Default::default()
        };
        // Through the bytes, as it would be.
        ProvisionRequest::parse(&request.encode()).unwrap()
    }

    /// Provisions until a FolderSync passes: how many Provisions it took, or the refusal that ended it.
    fn get_through(&mut self, server: &mut Server, randoms: &mut impl Iterator<Item = u32>) -> Result<u32, Refusal> {
        let mut provisions = 0;
        while !server.passes(self) {
            assert!(provisions <= 3, "{self:?} does not get through: {server:?}");
            let mut acknowledgement = None;
            loop {
                let request = match acknowledgement {
                    None => self.request(None, None),
                    Some(key) => self.request(Some(key), Some(self.status)),
                };
                provisions += 1;
                assert!(provisions <= 4, "{self:?} provisions on and on: {server:?}");
                match server.provision(self.version, &request, randoms.next().unwrap_or(0))? {
                    // Told to describe itself: once more.
                    None => self.describes_itself = true,
                    Some(key) if acknowledgement.is_none() => acknowledgement = Some(key),
                    Some(key) => {
                        self.key = Some(key);
                        break;
                    }
                }
            }
        }
        Ok(provisions)
    }
}

#[derive(Debug)]
struct Server {
    partnership: Partnership,
    policy: Prepared,
}

impl Server {
    fn passes(&self, device: &Device) -> bool {
        let asked = Asked { command: Some(Command::FolderSync), version: device.version, policy_key: device.key };
        let known = Known {
            partnership: Some(&self.partnership),
            access: (AccessState::Allowed, &AccessWhy::Default),
            policy: Some(&self.policy),
            others: 0,
            devices_max: 10,
        };
        decide(&asked, &known, START) == Decision::Pass
    }

    /// The key it gives; `None`: the device must describe itself.
    fn provision(&mut self, version: Version, request: &ProvisionRequest, random: u32) -> Result<Option<PolicyKey>, Refusal> {
        let outcome = answer(request, &self.partnership, &Context { version, policy: Some(&self.policy), now: START, random });
        let stored = serde_json::to_string(&outcome.partnership).unwrap();
        self.partnership = serde_json::from_str(&stored).unwrap();
        assert_eq!(self.partnership, outcome.partnership);
        match outcome.reply {
            Reply::Refuse(Refusal::InformationRequired) => Ok(None),
            Reply::Refuse(refusal) => Err(refusal),
            Reply::Answer(answer) => {
                let read = crate::logic::eas::provision::ProvisionAnswer::parse(&answer.encode()).unwrap();
                assert_eq!(read, answer);
                let policy = answer.policy.expect("a Policy");
                assert_eq!((answer.status, policy.status), (1, 1));
                Ok(Some(policy.policy_key.expect("a key")))
            }
        }
    }
}

/// Any value a setting may have.
fn value(setting: Setting) -> BoxedStrategy<Value> {
    match setting.definition().kind {
        Kind::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        Kind::Number { min, max, no_limit: Some(_), .. } => prop_oneof![Just(Value::NoLimit), (min..=max).prop_map(Value::Number)].boxed(),
        Kind::Number { min, max, no_limit: None, .. } => (min..=max).prop_map(Value::Number).boxed(),
        Kind::Choice(words) => (0..words.len()).prop_map(move |index| Value::Choice(words[index].0)).boxed(),
        Kind::Names => proptest::collection::vec("[a-z&<>é]{1,8}\\.exe", 0..4).prop_map(Value::List).boxed(),
        Kind::Hashes => proptest::collection::vec("[0-9a-f]{40}", 0..4).prop_map(Value::List).boxed(),
    }
}

/// Any policy that does not contradict itself.
fn policy() -> impl Strategy<Value = Policy> {
    let settings = proptest::sample::subsequence(Setting::ALL.to_vec(), 0..12);
    let values = settings.prop_flat_map(|settings| settings.into_iter().map(|setting| (Just(setting), value(setting))).collect::<Vec<_>>());
    values.prop_map(|values| {
        let plain = Policy::new(PolicyName::new("Any").unwrap(), START);
        let mut changes = Changes::new();
        for (setting, value) in values {
            changes = changes.with(setting, Some(value));
        }
        // What it depends on is switched on with it.
        for setting in [
            Setting::DevicePasswordEnabled,
            Setting::AlphanumericDevicePasswordRequired,
            Setting::AttachmentsEnabled,
            Setting::AllowHTMLEmail,
        ] {
            if plain.with(&changes, START).is_err() {
                changes = changes.with(setting, Some(Value::Bool(true)));
            }
        }
        plain.with(&changes, START).unwrap_or_else(|problems| panic!("{problems}"))
    })
}

fn version() -> impl Strategy<Value = Version> {
    proptest::sample::select(Version::ALL.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_device_is_through_within_three_provisions(
        policies in proptest::collection::vec(policy(), 1..4),
        versions in proptest::collection::vec(version(), 1..4),
        key in proptest::option::of(0_u32..3),
        describes_itself: bool,
        randoms in proptest::collection::vec(prop_oneof![0_u32..4, any::<u32>()], 64),
    ) {
        let mut server = Server { partnership: partnership(), policy: Prepared::new(policies[0].clone()) };
        let mut device = Device { version: versions[0], key: key.map(PolicyKey), describes_itself, status: 1 };
        let mut randoms = randoms.into_iter();
        // Policies and versions change under its feet.
        for policy in &policies {
            server.policy = Prepared::new(policy.clone());
            for version in &versions {
                device.version = *version;
                let provisions = device.get_through(&mut server, &mut randoms);
                prop_assert!(provisions.is_ok_and(|count| count <= 3), "{:?}", provisions);
                prop_assert!(server.passes(&device) , "and it stays through");
            }
        }
        // All versions it used go on with what it has, so none of them starts a loop.
        let newest = versions.iter().copied().max().unwrap_or(Version::V2_5);
        device.version = newest;
        device.get_through(&mut server, &mut randoms).unwrap();
        for version in versions {
            device.version = version;
            prop_assert!(server.passes(&device), "{}", version);
        }
    }

    #[test]
    fn a_device_that_applies_less_ends_through_or_refused(policy in policy(), version in version(), status in 2_u16..5) {
        let allows = match status {
            4 => policy.is_on(Setting::AllowExternalDeviceManagement),
            _ => policy.is_on(Setting::AllowNonProvisionableDevices),
        };
        let mut server = Server { partnership: partnership(), policy: Prepared::new(policy) };
        let mut device = Device { version, key: Some(PolicyKey(0)), describes_itself: true, status };
        let outcome = device.get_through(&mut server, &mut [1_u32, 2, 3, 4].into_iter());
        match outcome {
            Ok(count) => prop_assert!(allows && count == 2),
            Err(Refusal::ExternallyManaged) => prop_assert!(!allows && status == 4),
            Err(refusal) => prop_assert!(!allows && refusal == Refusal::NotFullyProvisionable),
        }
    }

    #[test]
    fn every_policy_comes_back_from_text_and_store(policy in policy()) {
        let stored = policy.set_json();
        let read = Policy::from_stored(policy.name.clone(), policy.revision, policy.changed_at, &stored);
        prop_assert_eq!(read.as_ref(), Ok(&policy));
        let typed: Vec<(String, String)> = Setting::ALL
            .into_iter()
            .filter(|setting| policy.is_set(*setting))
            .map(|setting| (setting.name().to_owned(), policy.value(setting).to_text(setting)))
            .collect();
        let changes = Changes::parse(typed.iter().map(|(name, text)| (name.as_str(), text.as_str())));
        let again = Policy::new(policy.name.clone(), START).with(&changes.unwrap(), START).unwrap();
        prop_assert_eq!(again.all_json(), policy.all_json());
    }

    #[test]
    fn no_body_makes_enforcement_panic(command in 0..Command::ALL.len(), body in proptest::collection::vec(any::<u8>(), 0..200), at in 0..200_usize) {
        let policy = Prepared::new(Policy::new(PolicyName::new("Any").unwrap(), START));
        let _ = enforce::decide(Command::ALL[command], &body, &policy);
        let mut vector = include_bytes!("../../../../tests/vectors/16-provision-req-phase1-141.wbxml").to_vec();
        let at = at % vector.len();
        vector[at] = body.first().copied().unwrap_or(0);
        if let Ok(request) = ProvisionRequest::parse(&vector) {
            let context = Context { version: Version::V14_1, policy: Some(&policy), now: START, random: 0 };
            let outcome = answer(&request, &partnership(), &context);
            prop_assert!(outcome.partnership.provisioning.applied.is_none(), "one exchange is never enough");
        }
    }

    #[test]
    fn no_text_makes_a_setting_panic(index in 0..Setting::ALL.len(), text in ".{0,40}") {
        let setting = Setting::ALL[index];
        if let Ok(Some(value)) = setting.parse(&text) {
            prop_assert!(setting.check(&value));
            prop_assert_eq!(setting.parse(&value.to_text(setting)), Ok(Some(value)));
        }
    }

    #[test]
    fn a_pattern_matches_as_the_obvious_one_does(pattern in "[ab*]{1,8}", text in "[ab]{0,10}") {
        fn slow(pattern: &[u8], text: &[u8]) -> bool {
            match (pattern.first(), text.first()) {
                (None, None) => true,
                (Some(b'*'), _) => slow(&pattern[1..], text) || !text.is_empty() && slow(pattern, &text[1..]),
                (Some(a), Some(b)) if a == b => slow(&pattern[1..], &text[1..]),
                _ => false,
            }
        }
        let fast = super::super::access::Pattern::new(&pattern).unwrap().matches(&text);
        prop_assert_eq!(fast, slow(pattern.as_bytes(), text.as_bytes()));
    }
}
