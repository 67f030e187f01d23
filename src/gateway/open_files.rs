//! Open files: every device is a socket, and the limit of a process is usually far below what one wants.

use anyhow::{Context as _, ensure};

/// Files a process has open anyway, with a margin.
const BESIDE: u64 = 128;

/// Makes sure that this process may open `sockets` sockets, raising its soft limit if needed; returns the limit in force.
///
/// # Errors
/// The hard limit is lower; the message says how to raise it.
pub fn ensure_sockets(sockets: usize) -> anyhow::Result<u64> {
    let wanted = sockets as u64 + BESIDE;
    let (soft, hard) = limits().context("cannot read the limit of open files")?;
    if wanted <= soft {
        return Ok(soft);
    }
    ensure!(
        wanted <= hard,
        "{sockets} sockets are needed in this process, but it may open only {hard} files: use fewer devices or more processes, \
         or raise the limit (ulimit -n, LimitNOFILE=)"
    );
    raise(hard).context("cannot raise the limit of open files")?;
    Ok(hard)
}

/// Raises the soft limit to the hard one; returns the limit in force.
///
/// # Errors
/// The system does not say, or does not let.
pub fn raise_to_most() -> std::io::Result<u64> {
    let (soft, hard) = limits()?;
    if soft < hard {
        raise(hard)?;
    }
    Ok(hard)
}

/// How many files this process may open at most.
///
/// # Errors
/// The system does not say.
pub fn most() -> std::io::Result<u64> {
    limits().map(|(_, hard)| hard)
}

#[expect(unsafe_code, reason = "getrlimit has no safe wrapper in the standard library")]
fn limits() -> std::io::Result<(u64, u64)> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a live, exclusively borrowed rlimit, which is all that getrlimit writes to.
    match unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } {
        0 => Ok((limit.rlim_cur, limit.rlim_max)),
        _ => Err(std::io::Error::last_os_error()),
    }
}

#[expect(unsafe_code, reason = "setrlimit has no safe wrapper in the standard library")]
fn raise(to: u64) -> std::io::Result<()> {
    let limit = libc::rlimit { rlim_cur: to, rlim_max: to };
    // SAFETY: the pointer is to a live rlimit that setrlimit only reads.
    match unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_clearly_when_too_many_sockets_are_wanted() {
        assert!(ensure_sockets(10).is_ok());
        let error = ensure_sockets(usize::MAX / 2).expect_err("nobody may open that many");
        assert!(error.to_string().contains("may open only"), "{error}");
    }
}
