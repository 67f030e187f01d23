//! `pushgate drain`: a running gateway leaves in good order.

use std::time::{Duration, Instant};

use serde_json::json;

use super::client::Gateway;
use super::{Failure, Outcome, arguments, block_on, say};
use crate::admin::{Leaving, Status};

const LOOKED_AT: Duration = Duration::from_millis(500);
/// Beyond what the gateway allows itself.
const MARGIN: Duration = Duration::from_secs(15);

/// Tells it to leave, and waits until it has.
pub fn run(arguments: &arguments::Drain) -> Outcome {
    let gateway = Gateway::of(&arguments.target)?;
    block_on(async {
        let leaving: Leaving = gateway.post("/v1/drain", &json!({})).await?;
        if arguments.json {
            say(&format!("{}\n", json!(leaving)))?;
        } else {
            let Leaving { held, unready_s, drain_s } = leaving;
            let before = if unready_s > 0 { format!("In {unready_s} s no more devices are taken in. ") } else { String::new() };
            say(&format!("{before}{held} held Pings are answered over {drain_s} s.\n"))?;
        }
        if arguments.no_wait {
            Ok(())
        } else {
            wait(&gateway, &leaving).await.and_then(|()| if arguments.json { Ok(()) } else { say("It has left.\n") })
        }
    })
}

/// Until its internal address, which goes last, does not answer any more.
async fn wait(gateway: &Gateway, leaving: &Leaving) -> Outcome {
    let deadline = Instant::now() + Duration::from_secs(leaving.unready_s + leaving.drain_s) + MARGIN;
    while Instant::now() < deadline {
        tokio::time::sleep(LOOKED_AT).await;
        if gateway.fetch::<Status>("/v1/status").await.is_err() {
            return Ok(());
        }
    }
    Err(Failure::Failed("the gateway is still there: something keeps it from leaving, see its log".to_owned()))
}
