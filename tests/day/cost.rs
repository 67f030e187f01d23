//! The day: how devices behave, what backends are like, what is counted.

/// Devices, of one mailbox each.
pub const DEVICES: usize = 1_000;
/// What they ask for.
pub const HEARTBEAT_S: u32 = 900;
/// Mails to each, at random times.
pub const MAILS: usize = 20;
pub const DAY_S: u32 = 86_400;
/// Before the day: everybody has come, and what lasts an hour has been renewed.
pub const BEFORE_S: u32 = 7_200;
/// From an answer until the device's next request arrives.
pub const DEVICE_MS: u64 = 200;
/// A Sync at the backend.
pub const SYNC_MS: u64 = 200;
/// From the delivery until its notification arrives.
pub const NOTICE_MS: u64 = 10;
/// A mail that is not fetched after so long is late; backends that poll are, without a gateway.
pub const LATE_S: u64 = 2;

/// What a backend is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// Exchange and its like: told of changes, shortest Ping 60 s.
    Other,
    /// Looks every 10 s, shortest Ping 10 s.
    Sogo,
    /// Looks every 30 s, shortest Ping 1 s.
    ZPush,
}

impl Backend {
    pub const ALL: [Backend; 3] = [Backend::Other, Backend::Sogo, Backend::ZPush];

    pub fn name(self) -> &'static str {
        match self {
            Backend::Other => "other",
            Backend::Sogo => "SOGo",
            Backend::ZPush => "Z-Push",
        }
    }

    /// The preset of `backend.check_heartbeat_s`.
    pub fn check_s(self) -> u32 {
        match self {
            Backend::Other => 60,
            Backend::Sogo => 10,
            Backend::ZPush => 1,
        }
    }

    /// How often a held Ping looks; `None`: it is told.
    pub fn looks_every_s(self) -> Option<u64> {
        match self {
            Backend::Other => None,
            Backend::Sogo => Some(10),
            Backend::ZPush => Some(30),
        }
    }
}

/// How pushgate is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// As shipped.
    Default,
    /// Trust that a canary renews for ever, and `auth.verdict_ttl_s` of a day.
    Lasting,
}

/// Of one device, on average.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cost {
    /// Pings at the backend: forwarded ones, or checks.
    pub pings: f64,
    pub syncs: f64,
    pub options: f64,
    pub other: f64,
    /// Seconds that a worker of the backend spends on holding.
    pub held_s: f64,
    /// Pings that were answered to the device.
    pub answered_pings: f64,
    pub mails: f64,
    /// Mails not fetched within `LATE_S`, of all devices.
    pub late: usize,
    /// How often classes without a source were looked at, and the longest time that one was not.
    pub polled_every_s: Option<(f64, u64)>,
}

impl Cost {
    pub fn requests(&self) -> f64 {
        self.pings + self.syncs + self.options + self.other
    }

    /// Of one device instead of all.
    pub fn per_device(self) -> Cost {
        let share = |all: f64| all / DEVICES as f64;
        Cost {
            pings: share(self.pings),
            syncs: share(self.syncs),
            options: share(self.options),
            other: share(self.other),
            held_s: share(self.held_s),
            answered_pings: share(self.answered_pings),
            mails: share(self.mails),
            ..self
        }
    }
}

/// Random enough for times of day, and the same every day (SplitMix64).
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound
    }

    /// Microseconds after the beginning at which the mails of a device arrive.
    pub fn mail_times(&mut self) -> Vec<u64> {
        let second = |s: u32| u64::from(s) * 1_000_000;
        // The last minute is free, so that what it brings is fetched within the day.
        let mut times: Vec<u64> = (0..MAILS).map(|_| second(BEFORE_S) + self.below(second(DAY_S - 60))).collect();
        times.sort_unstable();
        times
    }
}
