//! Asking before something that cannot be undone.

use std::io::{self, IsTerminal, Write};

use super::{Failure, Outcome};

/// Goes on when `yes` was given, or when a person says so on a terminal. A script that cannot be asked is refused.
pub(super) fn confirm(what: &str, yes: bool) -> Outcome {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(Failure::Usage(format!("{what} Say --yes to do that where nobody can be asked.")));
    }
    let failed = |error: io::Error| Failure::Failed(format!("cannot ask: {error}"));
    write!(io::stderr(), "{what} Go on? [y/N] ").and_then(|()| io::stderr().flush()).map_err(failed)?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(failed)?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::Failed("nothing was done".into())),
    }
}
