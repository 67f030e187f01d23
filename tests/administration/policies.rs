//! Policies, and every setting of them, at a shell.

use pushgate::logic::policy::{Kind, Setting, Unit};
use serde_json::Value;

use crate::scene::{Served, gateway, gateway_on_postgres};

#[test]
fn a_policy_is_made_changed_shown_and_removed() {
    let served = gateway();
    let made = served
        .run_words(&["policy", "new", "Strict policy", "DevicePasswordEnabled=true", "MaxInactivityTimeDeviceLock=15m", "--default"])
        .done();
    assert!(made.contains("MaxInactivityTimeDeviceLock  900s\n") && made.contains("Default   yes"), "{made}");
    let set = served.run_words(&["policy", "set", "strict POLICY", "allow_camera=no", "MaxInactivityTimeDeviceLock=default"]).done();
    assert!(set.contains("AllowCamera") && !set.contains("MaxInactivity"), "{set}");
    let all = served.run_words(&["policy", "show", "Strict policy", "--all"]).done();
    assert_eq!(all.lines().count(), 6 + Setting::ALL.len(), "{all}");
    assert!(served.say("policy list").contains("Strict policy  yes      2"));
    let used = served.run_words(&["policy", "remove", "Strict policy", "--yes"]).failed(1);
    assert!(used.contains("it is the default"), "{used}");
    assert!(served.run_words(&["policy", "remove", "Strict policy"]).failed(2).contains("--yes"));
    let taken_back = served.run_words(&["policy", "set", "Strict policy", "--no-default"]).done();
    assert!(taken_back.contains("Default   no") && taken_back.contains("Used by   nothing"), "{taken_back}");
    assert!(served.run_words(&["policy", "set", "Strict policy", "--no-default"]).failed(1).contains("is not the default"));
    assert!(served.run_words(&["policy", "set", "Strict policy", "--default"]).done().contains("it is the default"));
    served.say("policy new Other --default");
    assert_eq!(served.run_words(&["policy", "remove", "Strict policy", "--yes"]).done(), "Removed.\n");
    assert!(served.run_words(&["policy", "show", "Strict policy"]).failed(1).contains("no policy of this name"));
}

#[test]
fn every_bad_setting_is_named_at_once_and_nothing_is_changed() {
    let served = gateway();
    served.say("policy new Strict");
    let told =
        served.run("policy set Strict MinDevicePasswordLength=17 AllowCamera=perhaps MinDevicePasswordLenght=6 AllowWiFi=no").failed(2);
    for wanted in [
        "MinDevicePasswordLength is a whole number from 1 to 16, or none; \"17\" is not",
        "AllowCamera is true or false",
        "did you mean MinDevicePasswordLength?",
    ] {
        assert!(told.contains(wanted), "{wanted}\n{told}");
    }
    let told = served.run("policy set Strict MinDevicePasswordLength=6 DevicePasswordHistory=3").failed(1);
    assert!(told.matches("DevicePasswordEnabled is true").count() == 2, "{told}");
    assert!(served.run("policy set Strict AllowCamera").failed(2).contains("SETTING=VALUE"));
    assert!(served.run("policy set Strict").failed(2).contains("say what to set"));
    let both = served.run("policy set Strict AllowCamera DevicePolicyRefreshInterval=24:00:00").failed(2);
    assert!(both.contains("\"AllowCamera\" is not SETTING=VALUE") && both.contains("1.00:00:00"), "{both}");
    assert_eq!(served.json("policy show Strict")["settings"].to_string(), "{}");
    assert!(
        served.run("policy new STRICT").failed(1).contains("there is policy STRICT already")
            || !served.run("policy new STRICT").err.is_empty()
    );
}

#[test]
fn every_setting_goes_in_and_comes_out() {
    every_setting(&gateway());
}

#[test]
fn every_setting_goes_in_and_comes_out_on_postgres() {
    every_setting(&gateway_on_postgres());
}

/// One command with the most of every setting and one with the least; what is not wanted of them is a contradiction, and so left out.
fn every_setting(served: &Served) {
    served.say("policy new All DevicePasswordEnabled=true AlphanumericDevicePasswordRequired=true");
    for pick in [most, least] {
        let given: Vec<(Setting, String, Value)> =
            Setting::ALL.into_iter().filter_map(|setting| pick(setting).map(|(text, json)| (setting, text, json))).collect();
        let pairs: Vec<String> = given.iter().map(|(setting, text, _)| format!("{setting}={text}")).collect();
        let mut words = vec!["policy", "set", "All"];
        words.extend(pairs.iter().map(String::as_str));
        served.run_words(&words).done();
        let shown = served.json("policy show All");
        let text = served.say("policy show All --all");
        for (setting, _, json) in given {
            let key = setting.definition().key;
            assert_eq!(shown["effective"][key], json, "{setting}");
            assert!(text.lines().any(|line| line.starts_with(setting.name())), "{setting}\n{text}");
            // What is shown can be typed again.
            let typed = text.lines().find_map(|line| line.strip_prefix(setting.name())?.strip_prefix(' ')).unwrap_or_default().trim();
            assert_eq!(setting.parse(typed).unwrap().unwrap().to_json(setting), json, "{setting}={typed}");
        }
    }
}

/// The most a person could type, in the largest unit that fits.
fn most(setting: Setting) -> Option<(String, Value)> {
    Some(match setting.definition().kind {
        Kind::Bool => ("yes".into(), true.into()),
        Kind::Number { max, unit: Unit::Days, .. } => (format!("{max}.00:00:00"), max.into()),
        Kind::Number { max, unit: Unit::Kilobytes, .. } => (format!("{}MB", max >> 10), max.into()),
        Kind::Number { max, .. } => (max.to_string(), max.into()),
        Kind::Choice(words) => words.last().map(|(word, _)| (word.to_lowercase(), (*word).into()))?,
        Kind::Names => ("solitaire.exe, b c.exe".into(), serde_json::json!(["solitaire.exe", "b c.exe"])),
        Kind::Hashes => {
            ("2fd4e1c67a2d28fced849ee1bb76e7391b93eb12".into(), serde_json::json!(["2fd4e1c67a2d28fced849ee1bb76e7391b93eb12"]))
        }
    })
}

/// The least, without taking away what other settings rest on.
fn least(setting: Setting) -> Option<(String, Value)> {
    use Setting::{AllowHTMLEmail, AlphanumericDevicePasswordRequired, AttachmentsEnabled, DevicePasswordEnabled};
    if matches!(setting, AllowHTMLEmail | AlphanumericDevicePasswordRequired | AttachmentsEnabled | DevicePasswordEnabled) {
        return None;
    }
    Some(match setting.definition().kind {
        Kind::Bool => ("$false".into(), false.into()),
        Kind::Number { no_limit: Some(word), .. } => (word.to_uppercase(), word.into()),
        Kind::Number { min, .. } => (min.to_string(), min.into()),
        Kind::Choice(words) => words.first().map(|(word, _)| ((*word).to_owned(), (*word).into()))?,
        Kind::Names | Kind::Hashes => ("none".into(), serde_json::json!([])),
    })
}
