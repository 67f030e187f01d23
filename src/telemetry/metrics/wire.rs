//! TLS and HTTP of devices and backends.

use ::metrics::Unit;

use super::{Kind, Metric, metric};

/// Handshakes of devices.
pub const TLS_HANDSHAKES_TOTAL: Metric = metric(
    "pushgate_tls_handshakes_total",
    Kind::Counter,
    Unit::Count,
    &[("kind", "full, resumed or failed")],
    "TLS handshakes with devices.",
);
/// Connections ended by the record layer.
pub const TLS_ERRORS_TOTAL: Metric = metric(
    "pushgate_tls_errors_total",
    Kind::Counter,
    Unit::Count,
    &[("error", "what the device's TLS did wrong")],
    "Device connections ended because they broke the TLS rules after the handshake.",
);
/// Messages that could be read in two ways.
pub const HTTP_FAULTS_TOTAL: Metric = metric(
    "pushgate_http_faults_total",
    Kind::Counter,
    Unit::Count,
    &[
        ("from", "device or backend"),
        (
            "fault",
            "bare_line_end, empty_lines, first_line, field, length, transfer_coding, length_and_coding, chunk, trailer, interim_answers or unasked",
        ),
    ],
    "Requests and answers that were refused because two servers could disagree about where they end.",
);
