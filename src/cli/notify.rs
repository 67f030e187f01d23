//! `pushgate notify`: tells a running gateway that a mailbox changed.

use serde_json::{Value, json};

use super::arguments::Notify;
use super::client::Gateway;
use super::{Outcome, block_on, say};
use crate::admin::view::Taken;

/// Posts one notification and says whom it wakes.
pub fn run(arguments: &Notify) -> Outcome {
    let gateway = Gateway::of(&arguments.target)?;
    block_on(async {
        let taken = post(&gateway, arguments).await?;
        say(&if arguments.json { format!("{}\n", json!(taken)) } else { sentence(&taken) })
    })
}

async fn post(gateway: &Gateway, arguments: &Notify) -> Result<Taken, super::Failure> {
    gateway.post("/v1/notifications?source=manual", &body(arguments)).await
}

fn body(arguments: &Notify) -> Value {
    let mut body = json!({ "mailbox": arguments.mailbox });
    if let Some(folder) = &arguments.folder {
        body["folder"] = json!(folder);
    }
    if let Some(class) = arguments.class {
        body["class"] = json!(class.name());
    }
    body
}

fn sentence(taken: &Taken) -> String {
    match taken.woken {
        Some(0) => "Accepted; no held Ping waits for it.\n".into(),
        Some(1) => "Accepted; 1 held Ping is woken.\n".into(),
        Some(count) => format!("Accepted; {count} held Pings are woken.\n"),
        None => "Accepted; how many held Pings are woken was not known in time.\n".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::tests::scene::{Scene, internal_address};
    use crate::cli::Failure;
    use crate::cli::arguments::Target;
    use crate::logic::eas::Class;
    use crate::logic::hold::Scope;
    use crate::notify::Source;

    fn arguments(scene: &Scene, folder: Option<&str>, class: Option<Class>) -> Notify {
        let url = format!("http://{}", scene.address).parse().expect("a URL");
        let target = Target { config: "absent.toml".into(), url: Some(url), token_file: Some(scene.token_file.clone()) };
        Notify { mailbox: "hew".into(), folder: folder.map(str::to_owned), class, target, json: false }
    }

    #[tokio::test]
    async fn a_persons_notification_reaches_the_lots() {
        let scene = internal_address("[notify.webhook]\nenabled = false\n").await;
        for (folder, class, scope) in [
            (None, None, Scope::Mailbox),
            (Some("INBOX"), None, Scope::FolderName("INBOX".into())),
            (None, Some(Class::Calendar), Scope::Class(Class::Calendar)),
        ] {
            let arguments = arguments(&scene, folder, class);
            let gateway = Gateway::of(&arguments.target).expect("a target");
            let taken = post(&gateway, &arguments).await.expect("accepted");
            assert_eq!(sentence(&taken), "Accepted; 1 held Ping is woken.\n");
            assert_eq!(scene.changes(), [(Source::Manual, "hew".to_owned(), scope)]);
        }
    }

    #[tokio::test]
    async fn what_the_gateway_objects_to_is_told() {
        let scene = internal_address("").await;
        let arguments = Notify { mailbox: "@".into(), ..arguments(&scene, None, None) };
        let gateway = Gateway::of(&arguments.target).expect("a target");
        let Err(Failure::Failed(message)) = post(&gateway, &arguments).await else { panic!("accepted") };
        assert!(message.contains("422") && message.contains("\"mailbox\" is not a user name"), "{message}");
    }

    #[tokio::test]
    async fn a_gateway_that_is_not_there_is_a_failure_that_names_it() {
        let scene = internal_address("").await;
        let mut arguments = arguments(&scene, None, None);
        // Port 1 on loopback: nothing listens there.
        arguments.target.url = Some("http://127.0.0.1:1".parse().expect("a URL"));
        let gateway = Gateway::of(&arguments.target).expect("a target");
        let Err(Failure::Failed(message)) = post(&gateway, &arguments).await else { panic!("accepted") };
        assert!(message.contains("127.0.0.1:1") && message.contains("refused"), "{message}");
        arguments.target.token_file = Some("absent.token".into());
        assert!(matches!(Gateway::of(&arguments.target), Err(Failure::Failed(_))));
    }
}
