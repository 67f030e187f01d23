//! Every metric, once: name, kind, labels, unit, help.
//!
//! Use: `metrics::counter!(PINGS_TOTAL.name, "outcome" => "woken").increment(1)`. Code that counts often keeps the handle
//! the macro returns. Labels have few, fixed values: never a mailbox, a device or an address.

mod wire;

use std::sync::OnceLock;
use std::time::Duration;

use ::metrics::Unit;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

pub use wire::{HTTP_FAULTS_TOTAL, TLS_ERRORS_TOTAL, TLS_HANDSHAKES_TOTAL};

/// What a metric measures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Only rises.
    Counter,
    /// Rises and falls.
    Gauge,
    /// A distribution over buckets, given by their upper bounds.
    Histogram(&'static [f64]),
}

/// The definition of one metric.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Full name, unit last.
    pub name: &'static str,
    /// Counter, gauge or histogram.
    pub kind: Kind,
    /// Unit of the value.
    pub unit: Unit,
    /// Label names, each with its values or where they come from.
    pub labels: &'static [(&'static str, &'static str)],
    /// One sentence.
    pub help: &'static str,
}

const fn metric(name: &'static str, kind: Kind, unit: Unit, labels: &'static [(&'static str, &'static str)], help: &'static str) -> Metric {
    Metric { name, kind, unit, labels, help }
}

/// Pings held now.
pub const PINGS_HELD: Metric = metric("pushgate_pings_held", Kind::Gauge, Unit::Count, &[], "Pings held at this moment.");
/// The backlog.
pub const PINGS_IN_DOUBT: Metric = metric(
    "pushgate_pings_in_doubt",
    Kind::Gauge,
    Unit::Count,
    &[],
    "Pings held of which it cannot be said that nothing changed: under a check, or waiting for one or for a turn to Sync.",
);
/// What did not fit.
pub const LOG_LINES_LEFT_OUT_TOTAL: Metric = metric(
    "pushgate_log_lines_left_out_total",
    Kind::Counter,
    Unit::Count,
    &[],
    "Lines left out of the log because too many came from one place in the program at once; the log says where.",
);
/// The shield.
pub const SHIELD_ANSWERS_TOTAL: Metric = metric(
    "pushgate_shield_answers_total",
    Kind::Counter,
    Unit::Count,
    &[],
    "Requests answered 401 because the backend had just rejected the same password from the same device.",
);
/// The loop breaker.
pub const LOOPS_SLOWED_TOTAL: Metric = metric(
    "pushgate_loops_slowed_total",
    Kind::Counter,
    Unit::Count,
    &[("kind", "pings, folder_syncs, syncs; devices that loop while provisioning are in gate_refusals_total")],
    "Requests of devices that ask the same over and over, answered 503 with Retry-After.",
);
/// The heartbeat alert.
pub const HEARTBEAT_AVERAGE_SECONDS: Metric = metric(
    "pushgate_heartbeat_average_seconds",
    Kind::Gauge,
    Unit::Seconds,
    &[],
    "Average of the last ping.hbi_sample_size heartbeats; 0 before the first.",
);
/// The same.
pub const HEARTBEAT_ALERT: Metric = metric(
    "pushgate_heartbeat_alert",
    Kind::Gauge,
    Unit::Count,
    &[],
    "1 while that average is at or under ping.hbi_alert_threshold_s: something cuts the devices' connections.",
);
/// Reloads.
pub const RELOADS_TOTAL: Metric = metric(
    "pushgate_reloads_total",
    Kind::Counter,
    Unit::Count,
    &[("outcome", "done, refused")],
    "Times the configuration was read again, by SIGHUP or `pushgate reload`.",
);
/// Pings by how they ended.
pub const PINGS_TOTAL: Metric = metric(
    "pushgate_pings_total",
    Kind::Counter,
    Unit::Count,
    &[(
        "outcome",
        "changed, expired, hierarchy_changed, verdict_lost, replaced, drained, hung_up; answered at once: missing_parameters, heartbeat_out_of_range, too_many_folders, malformed, overloaded",
    )],
    "Pings that ended, by how.",
);
/// Hanging Syncs by how they ended.
pub const HANGING_SYNCS_TOTAL: Metric = metric(
    "pushgate_hanging_syncs_total",
    Kind::Counter,
    Unit::Count,
    &[(
        "outcome",
        "changed or verdict_lost (the backend is asked again and answers, or it is held anew), asked_again (in place of a check), expired, hierarchy_changed, replaced, drained, hung_up; at once: quiet (expired while the backend was asked), two_waits, incomplete, wait_out_of_range, too_many_collections, overloaded",
    )],
    "Holds of hanging Syncs that ended, by how.",
);
/// Answers that got lost.
pub const ANSWERS_UNDELIVERED_TOTAL: Metric = metric(
    "pushgate_answers_undelivered_total",
    Kind::Counter,
    Unit::Count,
    &[],
    "Answers to Sync or FolderSync that a device never got, so that it is told of their changes again.",
);
/// Folder lists that are not understood.
pub const FOLDER_LISTS_UNREADABLE_TOTAL: Metric = metric(
    "pushgate_folder_lists_unreadable_total",
    Kind::Counter,
    Unit::Count,
    &[],
    "Answers to FolderSync and its kin that could not be read: their devices are woken by class instead of by folder name until one can.",
);
/// From notification to answer.
pub const WAKE_SECONDS: Metric = metric(
    "pushgate_wake_seconds",
    Kind::Histogram(&[0.0001, 0.00025, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0]),
    Unit::Seconds,
    &[],
    "Time from a notification's arrival to the answer written to the device.",
);
/// Asked heartbeats.
pub const HEARTBEAT_SECONDS: Metric = metric(
    "pushgate_heartbeat_seconds",
    Kind::Histogram(&[60.0, 120.0, 180.0, 240.0, 300.0, 480.0, 540.0, 600.0, 900.0, 1200.0, 1500.0, 1800.0, 2400.0, 3000.0, 3540.0]),
    Unit::Seconds,
    &[],
    "Heartbeats that devices asked for.",
);
/// How long Pings were held.
pub const HOLD_SECONDS: Metric = metric(
    "pushgate_hold_seconds",
    Kind::Histogram(&[1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 240.0, 300.0, 600.0, 900.0, 1200.0, 1500.0, 1800.0, 2400.0, 3000.0, 3600.0]),
    Unit::Seconds,
    &[("network", "name of the [[network]] the device is in, or other"), ("outcome", "as in pushgate_pings_total")],
    "Time Pings were held, by network and how they ended.",
);
/// Who waits under the rate.
pub const BACKEND_WAITING: Metric = metric(
    "pushgate_backend_waiting",
    Kind::Gauge,
    Unit::Count,
    &[],
    "Requests that wait for their turn at the backend (backend.requests_per_s).",
);
/// Requests to backends.
pub const BACKEND_REQUESTS_TOTAL: Metric = metric(
    "pushgate_backend_requests_total",
    Kind::Counter,
    Unit::Count,
    &[("command", "the EAS command, OPTIONS, verdict, check, or other"), ("status", "HTTP status; ours (502, 504, …) when none came")],
    "Requests sent to a backend.",
);
/// Checks of a backend.
pub const BACKEND_CHECKS_TOTAL: Metric = metric(
    "pushgate_backend_checks_total",
    Kind::Counter,
    Unit::Count,
    &[("result", "unchanged, changed, hierarchy, refused or failed")],
    "Shortest Pings sent to a backend to clear doubt.",
);
/// How a failing backend is spared.
pub const CHECK_PAUSE_SECONDS: Metric = metric(
    "pushgate_check_pause_seconds",
    Kind::Gauge,
    Unit::Seconds,
    &[],
    "Pause between two checks of a backend that answers none, one at a time; 0 while it answers.",
);
/// Connections that were not taken.
pub const SHED_TOTAL: Metric = metric(
    "pushgate_shed_total",
    Kind::Counter,
    Unit::Count,
    &[("limit", "the limit that was reached")],
    "Connections, Pings and requests turned away because a limit was reached.",
);
/// Device connections.
pub const CONNECTIONS: Metric =
    metric("pushgate_connections", Kind::Gauge, Unit::Count, &[], "Device connections open at this moment, parked ones included.");
/// Entries of notifications.
pub const NOTIFICATIONS_TOTAL: Metric = metric(
    "pushgate_notifications_total",
    Kind::Counter,
    Unit::Count,
    &[("source", "webhook, dovecot or manual"), ("result", "accepted, repeated, ignored, canary, bad, overloaded or switched_off")],
    "Notifications, by source and what became of them.",
);
/// Sources that are believed.
pub const SOURCE_CONNECTED: Metric = metric(
    "pushgate_source_connected",
    Kind::Gauge,
    Unit::Count,
    &[("source", "webhook or dovecot")],
    "1 while a source is believed to report every change, else 0.",
);
/// Epochs of sources.
pub const SOURCE_EPOCHS_TOTAL: Metric = metric(
    "pushgate_source_epochs_total",
    Kind::Counter,
    Unit::Count,
    &[("source", "webhook or dovecot")],
    "Times a source was believed anew after a gap, so that what was known before had to be asked again.",
);
/// Classes with a source.
pub const CLASSES_PUSHED: Metric = metric(
    "pushgate_classes_pushed",
    Kind::Gauge,
    Unit::Count,
    &[("class", "Email, Calendar, Contacts, Tasks or Notes")],
    "1 while a believed source covers a class; 0 while the backend is asked about it every backend.poll_interval_s.",
);
/// How fast a source is.
pub const FEED_SECONDS: Metric = metric(
    "pushgate_feed_seconds",
    Kind::Histogram(&[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0]),
    Unit::Seconds,
    &[("source", "webhook or dovecot")],
    "Time from handing the canary to the mail server to its notification.",
);
/// Canaries by their fate.
pub const CANARY_MISSING_TOTAL: Metric = metric(
    "pushgate_canary_missing_total",
    Kind::Counter,
    Unit::Count,
    &[],
    "Canaries that were delivered and whose notification did not come in time.",
);
/// Requests to the internal address.
pub const INTERNAL_REQUESTS_TOTAL: Metric = metric(
    "pushgate_internal_requests_total",
    Kind::Counter,
    Unit::Count,
    &[("route", "path as routed, or other"), ("status", "HTTP status")],
    "Requests to the internal address.",
);
/// Requests refused before they reached the backend.
pub const GATE_REFUSALS_TOTAL: Metric = metric(
    "pushgate_gate_refusals_total",
    Kind::Counter,
    Unit::Count,
    &[(
        "reason",
        "user_disabled, blocked, quarantined, discovery, too_many_devices, wipe, not_fully_provisionable, legacy, not_provisioned, refresh, \
         invalid_key, externally_managed, information_required, slow_down, forbidden_content",
    )],
    "Requests refused by policies, access rules and orders to erase.",
);
/// Steps of provisioning.
pub const PROVISIONS_TOTAL: Metric = metric(
    "pushgate_provisions_total",
    Kind::Counter,
    Unit::Count,
    &[("outcome", "told_to_describe, offered, acknowledged, declined, wrong_key, wrong_type, wipe_sent, wipe_acknowledged, wipe_failed")],
    "Provision requests answered by the gateway, by what came of them.",
);
/// What waits for the database.
pub const STORE_QUEUE_LENGTH: Metric = metric(
    "pushgate_store_queue_length",
    Kind::Gauge,
    Unit::Count,
    &[("of", "changes (keys, wipes) or seen (devices of which something seen is not written yet)")],
    "What waits for the database.",
);
/// Flushes.
pub const STORE_FLUSH_SECONDS: Metric = metric(
    "pushgate_store_flush_seconds",
    Kind::Histogram(&[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0]),
    Unit::Seconds,
    &[],
    "Time to write what was seen of up to 10,000 devices, in one transaction.",
);
/// Mail about devices.
pub const MAILS_TOTAL: Metric = metric(
    "pushgate_mails_total",
    Kind::Counter,
    Unit::Count,
    &[("outcome", "sent, retried, failed (given up) or dropped (too many)")],
    "Mail to administrators and users about devices.",
);
/// Failures of the database.
pub const STORE_ERRORS_TOTAL: Metric = metric(
    "pushgate_store_errors_total",
    Kind::Counter,
    Unit::Count,
    &[("what", "connect, refresh, write (a transaction), change or flush (a single fact that cannot be written)")],
    "Failures of the database.",
);
/// Whether the database answers.
pub const STORE_CONNECTED: Metric = metric(
    "pushgate_store_connected",
    Kind::Gauge,
    Unit::Count,
    &[],
    "1 while the database answers, 0 while devices are served from memory.",
);
/// Facts given up.
pub const STORE_DROPPED_TOTAL: Metric = metric(
    "pushgate_store_dropped_total",
    Kind::Counter,
    Unit::Count,
    &[],
    "Facts about devices given up because memory for what waits for the database was full.",
);
/// Devices known.
pub const STORE_DEVICES: Metric = metric("pushgate_store_devices", Kind::Gauge, Unit::Count, &[], "Partnerships known.");
/// Readings of the directory.
pub const DIRECTORY_READS_TOTAL: Metric = metric(
    "pushgate_directory_reads_total",
    Kind::Counter,
    Unit::Count,
    &[(
        "result",
        "done; failed, with the groups left as they are: unreachable, tls, refused, answer, unsound, late, too_many, empty, store",
    )],
    "Readings of groups from the directory, by what came of them.",
);
/// Groups of the directory.
pub const DIRECTORY_GROUPS: Metric =
    metric("pushgate_directory_groups", Kind::Gauge, Unit::Count, &[], "Groups found by the last reading of the directory that counted.");
/// When the directory was last read.
pub const DIRECTORY_READ_TIMESTAMP: Metric = metric(
    "pushgate_directory_read_timestamp_seconds",
    Kind::Gauge,
    Unit::Seconds,
    &[],
    "When the last reading of the directory that counted ended, in seconds since 1970.",
);
/// What found no room in a lot's inbox.
pub const INBOX_FULL_TOTAL: Metric = metric(
    "pushgate_inbox_full_total",
    Kind::Counter,
    Unit::Count,
    &[("note", "change: its lot asks the backend about all its devices, paced; lesson: one device is asked about once more")],
    "Changes and lessons that found no room in a lot's inbox (limits.inbox_max).",
);
/// Which version runs.
pub const BUILD_INFO: Metric = metric(
    "pushgate_build_info",
    Kind::Gauge,
    Unit::Count,
    &[("version", "version of the program")],
    "Always 1; the version is the label.",
);

/// All of them, in the order of the reference.
pub const ALL: &[Metric] = &[
    PINGS_HELD,
    PINGS_IN_DOUBT,
    PINGS_TOTAL,
    HANGING_SYNCS_TOTAL,
    ANSWERS_UNDELIVERED_TOTAL,
    FOLDER_LISTS_UNREADABLE_TOTAL,
    WAKE_SECONDS,
    HEARTBEAT_SECONDS,
    HOLD_SECONDS,
    BACKEND_WAITING,
    BACKEND_REQUESTS_TOTAL,
    BACKEND_CHECKS_TOTAL,
    CHECK_PAUSE_SECONDS,
    TLS_HANDSHAKES_TOTAL,
    TLS_ERRORS_TOTAL,
    HTTP_FAULTS_TOTAL,
    SHED_TOTAL,
    CONNECTIONS,
    NOTIFICATIONS_TOTAL,
    SOURCE_CONNECTED,
    SOURCE_EPOCHS_TOTAL,
    CLASSES_PUSHED,
    FEED_SECONDS,
    CANARY_MISSING_TOTAL,
    INTERNAL_REQUESTS_TOTAL,
    LOG_LINES_LEFT_OUT_TOTAL,
    GATE_REFUSALS_TOTAL,
    PROVISIONS_TOTAL,
    STORE_QUEUE_LENGTH,
    STORE_FLUSH_SECONDS,
    STORE_ERRORS_TOTAL,
    STORE_CONNECTED,
    STORE_DROPPED_TOTAL,
    STORE_DEVICES,
    DIRECTORY_READS_TOTAL,
    DIRECTORY_GROUPS,
    DIRECTORY_READ_TIMESTAMP,
    MAILS_TOTAL,
    INBOX_FULL_TOTAL,
    SHIELD_ANSWERS_TOTAL,
    LOOPS_SLOWED_TOTAL,
    HEARTBEAT_AVERAGE_SECONDS,
    HEARTBEAT_ALERT,
    RELOADS_TOTAL,
    BUILD_INFO,
];

/// Makes the process's recorder, once; later calls hand back the same one. From then on the `metrics` macros count.
pub fn install() -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(make).clone()
}

fn make() -> PrometheusHandle {
    let mut builder = PrometheusBuilder::new();
    for metric in ALL {
        if let Kind::Histogram(buckets) = metric.kind {
            let name = Matcher::Full(metric.name.to_owned());
            builder = builder.set_buckets_for_metric(name, buckets).expect("no list of buckets above is empty");
        }
    }
    let handle = builder.install_recorder().expect("nothing else in this process installs a recorder");
    for metric in ALL {
        match metric.kind {
            Kind::Counter => ::metrics::describe_counter!(metric.name, metric.unit, metric.help),
            Kind::Gauge => ::metrics::describe_gauge!(metric.name, metric.unit, metric.help),
            Kind::Histogram(_) => ::metrics::describe_histogram!(metric.name, metric.unit, metric.help),
        }
        show_from_the_start(metric);
    }
    ::metrics::gauge!(BUILD_INFO.name, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    handle
}

/// A metric without labels shows as zero from the start, so that an alert on it can tell "none" from "not there".
fn show_from_the_start(metric: &Metric) {
    if metric.labels.is_empty() {
        match metric.kind {
            Kind::Counter => ::metrics::counter!(metric.name).increment(0),
            Kind::Gauge => ::metrics::gauge!(metric.name).increment(0.0),
            Kind::Histogram(_) => drop(::metrics::histogram!(metric.name)),
        }
    }
}

/// Folds recorded samples into buckets every five seconds, for ever; without it they would pile up between two scrapes.
pub async fn upkeep(handle: PrometheusHandle) {
    let mut turn = tokio::time::interval(Duration::from_secs(5));
    loop {
        turn.tick().await;
        handle.run_upkeep();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_end_in_their_unit() {
        for (index, metric) in ALL.iter().enumerate() {
            assert!(ALL[..index].iter().all(|earlier| earlier.name != metric.name), "{} twice", metric.name);
            assert!(metric.name.starts_with("pushgate_"), "{}", metric.name);
            assert_eq!(metric.name.ends_with("_total"), metric.kind == Kind::Counter, "{}", metric.name);
            assert_eq!(metric.name.ends_with("_seconds"), metric.unit == Unit::Seconds, "{}", metric.name);
            assert!(metric.help.ends_with('.'), "{}", metric.name);
            if let Kind::Histogram(buckets) = metric.kind {
                assert!(buckets.is_sorted_by(|a, b| a < b), "{}", metric.name);
            }
        }
    }

    #[test]
    fn histograms_are_rendered_with_their_buckets() {
        let handle = install();
        ::metrics::histogram!(WAKE_SECONDS.name).record(0.0015);
        let text = handle.render();
        assert!(text.contains("# TYPE pushgate_wake_seconds histogram"), "{text}");
        assert!(text.contains("pushgate_wake_seconds_bucket{le=\"0.002\"}"), "{text}");
        assert!(text.contains("pushgate_pings_held 0"), "{text}");
        assert!(text.contains(concat!("pushgate_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1")), "{text}");
    }
}
