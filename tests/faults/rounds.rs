//! Ten times: devices come, are all woken, and all vanish. Nothing of it may stay behind: no descriptor, no memory, no panic.

use std::time::{Duration, Instant};

use pushgate::gateway::open_files;
use pushgate::standin::cas::{Cas, CasOptions};

use crate::devices::{Devices, mailbox};
use crate::process::{Around, Process};
use crate::relay::{End, Relay};

const DEVICES: usize = 300;
const ROUNDS: [End; 10] = {
    use End::{Clean, Reset, Silent};
    [Clean, Reset, Silent, Clean, Reset, Silent, Clean, Reset, Silent, Clean]
};
const PATIENCE: Duration = Duration::from_secs(90);
/// What memory may grow in the second half of the rounds, when the allocator and the database have what they take once: a record of 100
/// bytes a device and round that stays behind is more.
const GROWTH_BYTES_MAX: i64 = 100 * (DEVICES * ROUNDS.len() / 2) as i64;
/// What it may grow from the first round to the last, as a part of all of it: one in so many.
const GROWTH_PART_MAX: i64 = 20;
/// Connections to the backend that nobody uses are closed after four seconds.
const BACKEND_IDLE: Duration = Duration::from_secs(6);
/// Memory is at rest when it has not fallen for so long.
const REST: Duration = Duration::from_secs(2);

/// The least memory that it comes to by itself.
async fn memory_at_rest(gateway: &Process) -> i64 {
    let (mut least, mut since) = (i64::MAX, Instant::now());
    while since.elapsed() < REST {
        let now = gateway.anonymous_memory() as i64;
        if now < least {
            (least, since) = (now, Instant::now());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    least
}

/// Waits until what only devices needed is closed; what opens with the first of them stays. Nobody is held.
async fn settled_files(gateway: &Process) -> u64 {
    let (mut count, mut since) = (gateway.open_files(), Instant::now());
    while since.elapsed() < BACKEND_IDLE {
        let now = gateway.open_files();
        if now != count {
            (count, since) = (now, Instant::now());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    count
}

/// One round; nobody is held when it ends.
async fn round(gateway: &Process, cas: &Cas, (id, count): (&str, usize), how: End) {
    let mailboxes: Vec<String> = (0..count).map(mailbox).collect();
    let mailboxes: Vec<&str> = mailboxes.iter().map(String::as_str).collect();
    let relay = Relay::start(gateway.https).await;
    let devices = Devices::start_at(relay.address, id, count, gateway).await;
    let tally = &devices.tally;
    devices.wait("all devices are held", PATIENCE, async || tally.held() == count).await;
    devices.deliver(cas, 0..count);
    gateway.webhook().notify(&mailboxes).await.unwrap();
    devices.wait("every mail is fetched", PATIENCE, async || tally.missing() == 0).await;
    devices.wait("all devices are held again", PATIENCE, async || tally.held() == count).await;
    assert!(tally.errors().is_empty(), "{:?} of {:?}; {}", tally.first_error(), tally.errors(), gateway.log());

    relay.end(how);
    if how == End::Silent {
        // Nobody is there any more, and the gateway cannot know.
        assert_eq!(gateway.status("held").await, count as u64);
        gateway.webhook().notify(&mailboxes).await.unwrap();
    }
    devices.wait("nobody is held", PATIENCE, async || gateway.status("held").await == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_ten_rounds_of_hold_wake_and_vanish_nothing_is_left_behind() {
    // A device, the relay's two ends and the stand-in's connections are in this process.
    open_files::ensure_sockets(4 * DEVICES + 600).unwrap();
    let cas = Cas::start(CasOptions::default()).await.unwrap();
    // The allocator gives back at once what is free, and keeps nothing for its threads: what is left is in use.
    let allocator = ("_RJEM_MALLOC_CONF".to_owned(), "narenas:1,tcache:false,dirty_decay_ms:0,muzzy_decay_ms:0".to_owned());
    let around = Around { variables: vec![allocator], ..Around::default() };
    // A connection that nobody hears of is closed soon after its last answer.
    let gateway = Process::start_around(&cas, "limits.idle_s = 2\nstore.flush_s = 1", around).await;
    // Others than in the rounds: who begins anew eleven times is slowed.
    round(&gateway, &cas, ("FIRST", 5), End::Clean).await;
    let files = settled_files(&gateway).await;
    let mut memory = vec![memory_at_rest(&gateway).await];

    for how in ROUNDS {
        round(&gateway, &cas, ("PHONE", DEVICES), how).await;
        let began = Instant::now();
        while gateway.open_files() > files {
            assert!(began.elapsed() < PATIENCE, "{how:?}: {} files are open, {files} were before the devices came", gateway.open_files());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        memory.push(memory_at_rest(&gateway).await);
    }

    let (first, half, last) = (memory[1], memory[ROUNDS.len() / 2], memory[ROUNDS.len()]);
    let told: Vec<i64> = memory.iter().map(|bytes| bytes >> 10).collect();
    println!("    memory at rest, kB, before and after each of {} rounds of {DEVICES}: {told:?}", ROUNDS.len());
    assert!(last - half <= GROWTH_BYTES_MAX, "{} bytes more than after half of the rounds: {told:?}", last - half);
    assert!(last - first <= first / GROWTH_PART_MAX, "{} bytes more than after the first round: {told:?}", last - first);
    let log = gateway.log();
    // A device that begins anew in every round, and is slowed for it, would be another test.
    assert!(!log.contains("panicked"), "{log}");
}
