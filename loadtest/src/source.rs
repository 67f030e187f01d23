//! Source addresses: a port range of 28,000 is used up quickly when all devices come from one address.

use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Addresses used of a range; more would only cost time.
const ADDRESSES_MAX: u32 = 4_096;

/// An IPv4 range such as 127.0.1.0/24, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sources {
    first: u32,
    count: u32,
}

impl FromStr for Sources {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (address, bits) = text.split_once('/').unwrap_or((text, "32"));
        let address: Ipv4Addr = address.parse().map_err(|_| "write an IPv4 range such as 127.0.1.0/24".to_owned())?;
        let bits: u32 = bits.parse().ok().filter(|bits| (1..=32).contains(bits)).ok_or("the number after / is 1 to 32")?;
        let size = 1_u64 << (32 - bits);
        let first = u64::from(u32::from(address)) / size * size;
        // The first and the last address of a network are not anybody's.
        let (first, size) = if size > 2 { (first + 1, size - 2) } else { (first, size) };
        Ok(Sources { first: first as u32, count: (size as u32).min(ADDRESSES_MAX) })
    }
}

impl Sources {
    /// The addresses of one of several processes: each has its own, unless there are too few.
    pub fn share(self, process: usize, processes: usize) -> Vec<IpAddr> {
        let all = (0..self.count).map(|index| IpAddr::V4(Ipv4Addr::from(self.first + index)));
        let own: Vec<IpAddr> = all.clone().skip(process).step_by(processes.max(1)).collect();
        if own.is_empty() { all.collect() } else { own }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_shared_out() {
        let sources: Sources = "127.0.1.77/29".parse().expect("a range");
        let share = |process| sources.share(process, 4).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(share(0), ["127.0.1.73", "127.0.1.77"]);
        assert_eq!(share(3), ["127.0.1.76"]);
        assert_eq!("127.0.0.9".parse::<Sources>().expect("an address").share(1, 2).len(), 1);
        for wrong in ["", "127.0.1.0/0", "127.0.1.0/33", "::1/64"] {
            assert!(wrong.parse::<Sources>().is_err(), "{wrong}");
        }
    }
}
