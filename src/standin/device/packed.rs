//! A device that waits, taken apart: its socket, its keys, and the rest in as few bytes as it takes.
//!
//! What can be made again is not in them: user, device id and options are the business of whoever packs and unpacks.

use std::net::TcpStream;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::behaviour::Behaviour;
use super::heartbeat::Heartbeat;
use super::life::{Asked, Life, Needs};
use super::{Device, DeviceError, KnownFolder};
use crate::gateway::tls::{Received, Wire, WireStream};
use crate::logic::eas::{FolderId, Version};

/// A device that waits for an answer, or for time to pass.
#[derive(Debug)]
pub struct Dormant {
    /// Its connection: socket, keys, and what was received and not read yet; `None`: it has none.
    pub connection: Option<(TcpStream, Wire, Received)>,
    /// Everything else.
    pub packed: Box<[u8]>,
}

/// What could not be unpacked; only bytes that were not packed here are such.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotPacked;

impl Life {
    /// Takes a waiting device apart. A connection that cannot be taken apart is lost on the way.
    ///
    /// # Errors
    /// The system does not give the socket back.
    pub fn pack(mut self) -> Result<Dormant, DeviceError> {
        let connection = match self.device.stream.take().and_then(WireStream::into_parts) {
            None => None,
            Some((stream, wire, received)) => Some((stream.into_std().map_err(DeviceError::Broken)?, wire, received)),
        };
        Ok(Dormant { connection, packed: self.write() })
    }

    /// Puts it together again. `device` is new, with the user, id and options that it had; `number` and `behaviour` as before.
    /// Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`NotPacked`].
    pub fn unpack(device: Device, behaviour: Arc<Behaviour>, number: usize, dormant: Dormant) -> Result<Self, NotPacked> {
        let mut life = Life::new(device, behaviour, number);
        life.read(&mut Bytes(&dormant.packed)).ok_or(NotPacked)?;
        if let Some((stream, wire, received)) = dormant.connection {
            // One that the runtime cannot take shows as lost when it is to be read.
            let stream = tokio::net::TcpStream::from_std(stream).ok();
            life.device.stream = stream.map(|stream| WireStream::from_parts(stream, wire, received));
        }
        Ok(life)
    }

    fn write(&self) -> Box<[u8]> {
        // Nearly always enough, so that nothing is copied in growing.
        let mut out = Vec::with_capacity(256);
        let device = &self.device;
        let heartbeat = &self.heartbeat;
        let flags = u8::from(self.has_told) | u8::from(heartbeat.rose) << 1 | u8::from(heartbeat.settled) << 2;
        out.extend_from_slice(&[self.needs as u8, flags, device.version as u8, self.failures, self.quick, heartbeat.successes]);
        for seconds in [heartbeat.now_s, heartbeat.min_s, heartbeat.max_s, heartbeat.best_s, self.folders_max as u32] {
            put_number(&mut out, seconds.into());
        }
        // One more, because 0 is a key too.
        put_number(&mut out, device.policy_key.map_or(0, |key| u64::from(key) + 1));
        match self.asked {
            None => put_number(&mut out, 0),
            Some(asked) => {
                put_number(&mut out, u64::from(asked.heartbeat_s) + 1);
                put_number(&mut out, asked.at.saturating_duration_since(epoch()).as_micros() as u64);
            }
        }
        put_text(&mut out, &device.hierarchy_key);
        put_number(&mut out, device.folders.len() as u64);
        for folder in &device.folders {
            out.push(folder.folder_type);
            put_text(&mut out, folder.id.as_str());
            put_text(&mut out, &folder.key);
        }
        put_number(&mut out, self.due.len() as u64);
        self.due.iter().for_each(|id| put_text(&mut out, id.as_str()));
        out.into_boxed_slice()
    }

    /// `None`: the bytes are no packed life.
    fn read(&mut self, bytes: &mut Bytes<'_>) -> Option<()> {
        self.needs = *[Needs::Login, Needs::Provision, Needs::Folders, Needs::Nothing].get(usize::from(bytes.byte()?))?;
        let flags = bytes.byte()?;
        self.has_told = flags & 1 != 0;
        self.device.version = *Version::ALL.get(usize::from(bytes.byte()?))?;
        self.failures = bytes.byte()?;
        self.quick = bytes.byte()?;
        let successes = bytes.byte()?;
        let mut seconds = || u32::try_from(bytes.number()?).ok();
        let (now_s, min_s, max_s, best_s) = (seconds()?, seconds()?, seconds()?, seconds()?);
        self.heartbeat = Heartbeat { now_s, min_s, max_s, best_s, successes, rose: flags & 2 != 0, settled: flags & 4 != 0 };
        self.folders_max = seconds()? as usize;
        self.device.policy_key = bytes.number()?.checked_sub(1).map(u32::try_from).transpose().ok()?;
        if let Some(heartbeat_s) = bytes.number()?.checked_sub(1) {
            let at = epoch().checked_add(Duration::from_micros(bytes.number()?))?;
            self.asked = Some(Asked { at, heartbeat_s: u32::try_from(heartbeat_s).ok()? });
        }
        self.device.hierarchy_key = bytes.text()?.into();
        for _ in 0..bytes.number()? {
            let folder_type = bytes.byte()?;
            let id = FolderId::new(bytes.text()?).ok()?;
            self.device.folders.push(KnownFolder { id, folder_type, key: bytes.text()?.into() });
        }
        for _ in 0..bytes.number()? {
            self.due.push(FolderId::new(bytes.text()?).ok()?);
        }
        bytes.0.is_empty().then_some(())
    }
}

/// Moments are packed as microseconds since the first was.
fn epoch() -> Instant {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    *EPOCH.get_or_init(Instant::now)
}

/// Seven bits a byte, the lowest first; the last has its highest bit clear.
fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_number(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// What is left to read.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = usize::try_from(self.number()?).ok()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        std::str::from_utf8(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::super::DeviceOptions;
    use super::*;

    fn device() -> Device {
        let options = DeviceOptions::new(([127, 0, 0, 1], 1).into(), None);
        Device::new(Arc::new(options), "hew@example.org", "Standin0001")
    }

    fn life() -> Life {
        let mut life = Life::new(device(), Arc::new(Behaviour::android_old()), 7);
        life.needs = Needs::Provision;
        life.device.version = Version::V12_1;
        life.device.policy_key = Some(0);
        life.device.hierarchy_key = "{a}12".into();
        life.heartbeat = Heartbeat { now_s: 650, min_s: 290, max_s: 1_010, best_s: 470, successes: 3, rose: true, settled: true };
        (life.failures, life.quick, life.has_told, life.folders_max) = (3, 2, true, 300);
        life.asked = Some(Asked { at: epoch() + Duration::from_micros(123_456_789), heartbeat_s: 650 });
        for number in 0..5 {
            let id = FolderId::new(&format!("mail%2F{number:032x}")).unwrap();
            life.device.folders.push(KnownFolder { id, folder_type: 2 + number, key: number.to_string().into() });
        }
        life.due = vec![life.device.folders[3].id.clone()];
        life
    }

    #[test]
    fn what_is_packed_comes_back_as_it_was() {
        let before = format!("{:?}", life());
        let dormant = life().pack().unwrap();
        assert!(dormant.connection.is_none());
        let after = Life::unpack(device(), Arc::new(Behaviour::android_old()), 7, dormant).unwrap();
        assert_eq!(format!("{after:?}"), before);
        assert!(!before.contains("hierarchy_key: \"0\""), "the fields are in it: {before}");
    }

    #[test]
    fn a_device_with_five_folders_of_sogo_waits_in_a_quarter_of_a_kilobyte_and_its_keys() {
        let mut life = life();
        life.due.clear();
        let packed = life.pack().unwrap().packed.len();
        assert!(packed <= 256, "{packed}");
        assert!(size_of::<Dormant>() <= 136, "{}", size_of::<Dormant>());
    }

    #[test]
    fn nothing_that_is_cut_or_runs_over_is_unpacked() {
        let whole = life().pack().unwrap().packed;
        for length in 0..whole.len() {
            let packed = whole[..length].into();
            let result = Life::unpack(device(), Arc::default(), 7, Dormant { connection: None, packed });
            assert_eq!(result.map(|life| life.number), Err(NotPacked), "{length}");
        }
        let packed = [&whole[..], &[0]].concat().into();
        assert!(Life::unpack(device(), Arc::default(), 7, Dormant { connection: None, packed }).is_err());
    }
}
