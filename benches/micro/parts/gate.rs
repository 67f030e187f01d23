//! What policies add to a Ping: whether its device may wait, and what the Ping shows of it. Out of memory; the store's own threads, which
//! write what is noted here, are not counted.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use pushgate::config::Config;
use pushgate::gateway::{Gate, Who};
use pushgate::logic::eas::provision::{PolicyRequest, PolicyType, ProvisionRequest};
use pushgate::logic::eas::{DeviceInformation, Mailbox, Request};
use pushgate::logic::policy::gate::Decision;
use pushgate::logic::policy::provisioning::{Context, answer};
use pushgate::logic::policy::{Changes, Partnership, PolicyName, Timestamp};
use pushgate::store::{By, DeviceChange, Recorded, Seen, Store};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::{Part, Work, again};

const STEPS: u64 = 256;

const PING: &str = "User=ada%40example.org&DeviceId=ApplDMPL1234ABCD&DeviceType=iPhone&Cmd=Ping";
const AGENT: &str = "Apple-iPhone/1.0";
const FROM: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

pub fn parts() -> Vec<Part> {
    vec![
        Part { name: "gate_entrance", what: "let a Ping in: its device has its policy", steps: STEPS, prepare: entrance },
        Part { name: "gate_note", what: "note heartbeat and folders of a Ping", steps: STEPS, prepare: note },
    ]
}

/// A device that has its policy and asks to be held.
struct Scene {
    gate: Gate,
    mailbox: Mailbox,
    request: Request,
    now: Timestamp,
    _runtime: Runtime,
    /// The database goes with it.
    _folder: TempDir,
}

impl Scene {
    fn set() -> Scene {
        let folder = tempfile::tempdir().expect("a folder");
        let text = format!("[store]\nurl = \"sqlite:{0}/db\"\nkey_file = \"{0}/key\"\nflush_s = 60", folder.path().display());
        let config = Config::parse(&text, std::iter::empty()).expect("in order");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let mailbox = Mailbox::normalise("ada@example.org", None, true).expect("a name");
        let mut request = Request::parse(PING, Some("16.1"), None).expect("the query is good");
        let (store, now) = runtime.block_on(async {
            let store = Store::open(&config.store).await.expect("a database");
            let anna = By { actor: "anna".into(), source: String::new(), token: None };
            let name = PolicyName::new("Default").expect("a name");
            let settings = Changes::parse([("device_password_enabled", "true")]).expect("in order");
            store.create_policy(&anna, name.clone(), settings).await.expect("made");
            store.choose_default(&anna, Some(name), 0).await.expect("chosen");
            let now = provisioned(&store, &mailbox, &mut request).await;
            (store, now)
        });
        Scene { gate: Gate::new(store, 0), mailbox, request, now, _runtime: runtime, _folder: folder }
    }

    fn who(&self) -> Who<'_> {
        Who { mailbox: &self.mailbox, request: &self.request, user_agent: Some(AGENT), from: FROM }
    }
}

/// Both steps of Provision, and the key in the request; gives the time of the acknowledgement.
async fn provisioned(store: &Store, mailbox: &Mailbox, request: &mut Request) -> Timestamp {
    let snapshot = store.snapshot();
    let policy = snapshot.policy_of(mailbox).0;
    // As the real clock has it, or the refresh would be due.
    let now = Timestamp(std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs()));
    let (id, kind) = (&request.device_id, &request.device_type);
    let mut partnership = Partnership::new(mailbox.clone(), id.clone(), kind.clone(), now);
    let (mut key, mut status) = (None, None);
    for random in 1..=2 {
        let asks = PolicyRequest { policy_type: PolicyType::Wbxml, policy_key: key, status };
        let information = DeviceInformation { model: Some("iPhone".into()), ..DeviceInformation::default() };
        let provision = ProvisionRequest { policy: Some(asks), device_information: Some(information), ..ProvisionRequest::default() };
        let outcome = answer(&provision, &partnership, &Context { version: request.version, policy, now, random });
        let mut changes = vec![DeviceChange::Seen { version: request.version, user_agent: Some(AGENT.into()) }];
        changes.extend(DeviceChange::of_provision(&outcome, provision.device_information.as_ref(), true, FROM));
        assert_eq!(store.record(mailbox, id, kind, changes).await, Recorded::Saved);
        partnership = outcome.partnership;
        key = partnership.provisioning.offer.as_ref().map(|offer| offer.key).or(key);
        status = Some(1);
    }
    request.policy_key = partnership.provisioning.applied.map(|applied| applied.key);
    now
}

fn entrance() -> Box<dyn Work> {
    let scene = Scene::set();
    again(STEPS, move || {
        let who = scene.who();
        let found = black_box(&scene.gate).find(black_box(&who));
        assert_eq!(found.decide(&who, found.policy(who.mailbox), scene.now), Decision::Pass, "it has its policy");
    })
}

fn note() -> Box<dyn Work> {
    let scene = Scene::set();
    again(STEPS, move || {
        scene.gate.note(black_box(&scene.who()), Seen::Heartbeat(1_740));
        scene.gate.note(black_box(&scene.who()), Seen::Folders(5));
    })
}
