//! How long a change may stay unseen, and why. Counted is only the time during which a Ping of the device is held on a
//! connection that lives: what a device does between its Pings is its own affair, and a dead connection is over with its
//! next Ping. Each time the gateway tells the device, the clock starts anew.

/// A source's report comes at the latest after this.
pub const NOTICE_MAX_MS: u64 = 5_000;
/// `notify.settle_s`.
pub const SETTLE_S: u64 = 5;
/// `backend.poll_interval_s`.
pub const POLL_S: u64 = 300;
/// A gap of a connected source is noticed at the latest after this.
pub const NOTICED_MAX_S: u64 = 60;
/// Until forgotten; longer than any time a device is away here.
pub const DEVICE_FORGET_S: u64 = 86_400;

/// Reported by a source that is up: the report (5 s), the inbox (2 s), held back as a possible echo or settling (10 s),
/// and the patience with a device that did not heed what it was told before (64 s).
pub const REPORTED_S: u64 = 81;
/// In doubt: the turns (9 devices at half a second), checks before it (9 of 12 s, two at a time), a check that fails three
/// times (30 s each), and what a report takes.
pub const DOUBT_S: u64 = 160 + REPORTED_S;
/// No source: until the proof ends, then as in doubt.
pub const POLLED_S: u64 = POLL_S + DOUBT_S;

/// Troubles and changes stop here; from then on everything must come in step.
pub const FAULTS_END_S: u64 = 7_200;
/// Longest heartbeat and a few attempts.
pub const QUIET_S: u64 = 4_500;
/// Wakes of one device in one minute: more is a loop.
pub const WAKES_A_MINUTE_MAX: usize = 40;
