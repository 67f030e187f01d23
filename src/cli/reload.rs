//! `pushgate reload`: a running gateway reads its configuration again.

use serde_json::json;

use super::client::Gateway;
use super::{Failure, Outcome, arguments, block_on, say};
use crate::admin::Reloaded;

/// Says what changed. Problems end it with exit code 1, and nothing changed.
pub fn run(arguments: &arguments::Reload) -> Outcome {
    // The file that tells where the gateway is, is as a rule the one it is about to read.
    let gateway = Gateway::of(&arguments.target).map_err(|failure| match failure {
        Failure::Usage(message) => Failure::Failed(format!("not reloaded, everything stays as it was: {message}")),
        failure => failure,
    })?;
    block_on(async {
        let reloaded: Reloaded = gateway.post("/v1/reload", &json!({})).await?;
        say(&if arguments.json { format!("{}\n", json!(reloaded)) } else { told(&reloaded) })
    })
}

fn told(reloaded: &Reloaded) -> String {
    let Reloaded { changed, needs_restart, certificates, token, held } = reloaded;
    let mut news = changed.clone();
    news.extend(certificates.then(|| "the certificates".to_owned()));
    news.extend(token.then(|| "the token".to_owned()));
    let mut text = if news.is_empty() { "Nothing new".to_owned() } else { format!("In force: {}", news.join(", ")) };
    text += &format!(". {held} Pings held as before.\n");
    if !needs_restart.is_empty() {
        text += &format!("Needs a restart, and stays as it was: {}.\n", needs_restart.join(", "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_a_restart_is_said() {
        let reloaded = Reloaded {
            changed: vec!["ping.folders_max".into()],
            needs_restart: vec!["listen.address".into()],
            certificates: true,
            held: 7,
            ..Reloaded::default()
        };
        let text = "In force: ping.folders_max, the certificates. 7 Pings held as before.\nNeeds a restart, and stays as it was: listen.address.\n";
        assert_eq!(told(&reloaded), text);
        assert_eq!(told(&Reloaded::default()), "Nothing new. 0 Pings held as before.\n");
    }
}
