//! A request line's query, and what is decided about a Ping and a hanging Sync.

use std::hint::black_box;

use pushgate::logic::decide::{PingBounds, decide_ping, decide_sync};
use pushgate::logic::eas::sync::{SyncCollection, SyncRequest};
use pushgate::logic::eas::{Command, FolderId, PingRequest, Request};

use super::{Part, Work, again};

const STEPS: u64 = 256;

/// What iOS and many others send.
const PLAIN: &str = "User=ada%2Blists%40example.org&DeviceId=ApplDMPL1234ABCD&DeviceType=iPhone&Cmd=Ping";
/// The same in the packed form, policy key and user included.
const BASE64: &str = "oRIJBAxFeGFtcGxlRGV2MDEEAAAAAAtFeGFtcGxlTWFpbAgQYWRhQGV4YW1wbGUudGVzdA==";

const BOUNDS: PingBounds = PingBounds { heartbeat_min_s: 60, heartbeat_max_s: 3_540, folders_max: 200 };

pub fn parts() -> Vec<Part> {
    vec![
        Part { name: "query_plain", what: "read a plain query", steps: STEPS, prepare: || read(PLAIN) },
        Part { name: "query_base64", what: "read a base64 query", steps: STEPS, prepare: || read(BASE64) },
        Part { name: "decide_ping", what: "decide about a Ping of 5 folders", steps: STEPS, prepare: ping },
        Part { name: "decide_sync", what: "decide about a hanging Sync of 5 folders", steps: STEPS, prepare: sync },
    ]
}

fn read(query: &'static str) -> Box<dyn Work> {
    again(STEPS, move || {
        let request = Request::parse(black_box(query), Some("16.1"), Some("1307199584"));
        assert_eq!(black_box(request).map(|r| r.command), Ok(Command::Ping), "the query is good");
    })
}

fn ping() -> Box<dyn Work> {
    let ping = PingRequest::parse(&super::wbxml::ping().encode(), BOUNDS.folders_max).expect("what we wrote we read");
    again(STEPS, move || {
        black_box(decide_ping(black_box(&ping), black_box((None, false)), &BOUNDS)).expect("it is to be held");
    })
}

fn sync() -> Box<dyn Work> {
    let collection = |number| SyncCollection::new(FolderId::new(&format!("{number}")).expect("short"), "17");
    let sync = SyncRequest { collections: (1..=5).map(collection).collect(), wait_min: Some(30), ..SyncRequest::default() };
    again(STEPS, move || {
        black_box(decide_sync(black_box(&sync), &BOUNDS)).expect("it is to be held");
    })
}
