//! Memory with the keys of parked connections stays out of core dumps.

/// Leaves the whole pages inside this range out of any core dump from now on.
///
/// What does not fill a page at either end stays in: it may hold other things as well. A system that refuses loses nothing but this.
#[expect(unsafe_code, reason = "madvise has no safe wrapper in the standard library")]
pub(super) fn leave_out(address: usize, bytes: usize) {
    // SAFETY: sysconf only reads a constant of the system.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4_096).max(1);
    let (begin, end) = (address.next_multiple_of(page), (address + bytes) / page * page);
    if begin < end {
        // SAFETY: MADV_DONTDUMP changes no content and no mapping, only a flag; the range is memory that we own.
        let result = unsafe { libc::madvise(begin as *mut libc::c_void, end - begin, libc::MADV_DONTDUMP) };
        if result != 0 {
            tracing::debug!(error = %std::io::Error::last_os_error(), "keys could not be left out of core dumps");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The flags of the mapping that holds an address.
    fn flags_of(address: usize) -> String {
        let maps = std::fs::read_to_string("/proc/self/smaps").expect("Linux");
        let mut is_inside = false;
        for line in maps.lines() {
            let range = line.split(' ').next().and_then(|range| range.split_once('-'));
            if let Some((Ok(begin), Ok(end))) = range.map(|(b, e)| (usize::from_str_radix(b, 16), usize::from_str_radix(e, 16))) {
                is_inside = (begin..end).contains(&address);
            }
            if let (true, Some(flags)) = (is_inside, line.strip_prefix("VmFlags: ")) {
                return flags.to_owned();
            }
        }
        panic!("no mapping holds {address:x}")
    }

    #[test]
    fn pages_that_were_left_out_are_marked_so() {
        let memory = vec![1_u8; 1 << 20];
        let middle = memory.as_ptr() as usize + memory.len() / 2;
        assert!(!flags_of(middle).split(' ').any(|flag| flag == "dd"));
        leave_out(memory.as_ptr() as usize, memory.len());
        assert!(flags_of(middle).split(' ').any(|flag| flag == "dd"));
    }
}
