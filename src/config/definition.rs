//! Every key an operator may write: its type, range, default and meaning, once.
//!
//! The parser, the environment names, `deploy/reference.toml` and the error messages all come from
//! this table, so none of them can drift from the others.

/// What a key holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number in an inclusive range.
    Int(i64, i64),
    /// A string.
    Text,
    /// A string out of a fixed set.
    Choice(&'static [&'static str]),
    /// A list of strings.
    TextList,
    /// A list of `address:port`.
    AddressList,
    /// A list of address ranges (CIDR).
    NetworkList,
}

/// One key of the configuration.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Table, as written in brackets.
    pub section: &'static str,
    /// Name inside the table.
    pub name: &'static str,
    /// Type and range.
    pub kind: Kind,
    /// Default, as TOML.
    pub default: &'static str,
    /// One line: what it does, with its unit.
    pub doc: &'static str,
}

const fn key(section: &'static str, name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key { section, name, kind, default, doc }
}

const DAY_S: i64 = 86_400;

/// Values of `backend.kind`.
pub const BACKEND_KINDS: &[&str] = &["exchange", "sogo", "z-push", "grommunio", "horde", "other"];

/// All keys, in the order of the reference.
pub const KEYS: &[Key] = &[
    key("listen", "address", Kind::AddressList, r#"["0.0.0.0:443"]"#, "Addresses that take the devices' HTTPS."),
    key(
        "listen",
        "proxy_protocol",
        Kind::Bool,
        "false",
        "Expect a PROXY protocol header (v1 or v2) from trusted_proxies; from anybody else it is refused.",
    ),
    key(
        "listen",
        "trusted_proxies",
        Kind::NetworkList,
        "[]",
        "Balancers whose PROXY header (or X-Forwarded-For on plain_address) is believed.",
    ),
    key(
        "listen",
        "plain_address",
        Kind::AddressList,
        "[]",
        "Addresses that take plain HTTP from a balancer that ends TLS itself; only trusted_proxies may connect.",
    ),
    key("listen", "reuse_port", Kind::Bool, "false", "SO_REUSEPORT: several processes share one port."),
    key(
        "listen",
        "backlog",
        Kind::Int(1, 65_535),
        "4096",
        "Connections the kernel queues before we accept them (net.core.somaxconn caps it).",
    ),
    key(
        "tls",
        "certificate",
        Kind::Text,
        r#""fullchain.pem""#,
        "Certificate chain (PEM), leaf first. Reloaded when the file changes; held Pings stay.",
    ),
    key("tls", "private_key", Kind::Text, r#""key.pem""#, "Private key of the certificate (PEM: PKCS#8, SEC1 or PKCS#1)."),
    key("tls", "more_certificates", Kind::TextList, "[]", "Further certificates for other host names (SNI), each \"chain.pem:key.pem\"."),
    key("tls", "client_ca", Kind::Text, r#""""#, "CA (PEM) that device certificates must chain to; empty: devices are not asked for one."),
    key(
        "backend",
        "url",
        Kind::TextList,
        r#"["https://cas.example.org"]"#,
        "Backends. Several: consistent by mailbox, a failing one is left out for a while.",
    ),
    key(
        "backend",
        "kind",
        Kind::Choice(BACKEND_KINDS),
        r#""other""#,
        "What the backend is: sets the defaults of check_heartbeat_s and requests_per_s.",
    ),
    key("backend", "ca", Kind::Text, r#""""#, "CA (PEM) to verify the backend with; empty: the system's."),
    key(
        "backend",
        "resolve",
        Kind::Choice(&["sync", "check"]),
        r#""sync""#,
        "How doubt is cleared: \"check\" asks the backend with its shortest Ping, \"sync\" lets the device Sync once.",
    ),
    key(
        "backend",
        "resolve_per_s",
        Kind::Int(0, 1_000_000),
        "0",
        "Devices a second told to Sync to clear doubt. 0: a quarter of requests_per_s, at least 20.",
    ),
    key("backend", "check_heartbeat_s", Kind::Int(1, 3_600), "60", "The shortest heartbeat the backend accepts in a Ping."),
    key("backend", "checks_max", Kind::Int(1, 10_000), "4", "Concurrent checks; below the backend's worker count."),
    key("backend", "poll_interval_s", Kind::Int(10, DAY_S), "300", "How often classes that no live source covers are checked."),
    key("backend", "connect_timeout_s", Kind::Int(1, 300), "10", "Time for a connection to a backend; beyond it the device gets 502."),
    key(
        "backend",
        "answer_timeout_s",
        Kind::Int(1, 7_200),
        "120",
        "Time for the head of a backend's answer; beyond it the device gets 504.",
    ),
    key("backend", "connections_max", Kind::Int(1, 100_000), "256", "Concurrent requests to all backends; more wait their turn."),
    key(
        "backend",
        "requests_per_s",
        Kind::Int(0, 100_000),
        "0",
        "Requests a second to all backends; more wait, fair by mailbox, or are told when to come back. 0: by kind and for each url: sogo, horde 200; z-push 300; grommunio 500; exchange 1000; other no bound.",
    ),
    key("backend", "down_s", Kind::Int(1, 3_600), "10", "How long a backend that failed is left out while others are up."),
    key(
        "mailbox",
        "default_domain",
        Kind::Text,
        r#""""#,
        "Added to user names without a domain, so that EXAMPLE\\\\hew, hew and hew@example.org are one mailbox.",
    ),
    key(
        "mailbox",
        "domains",
        Kind::TextList,
        "[]",
        "Windows domains and their mail domains, such as [\"EXAMPLE=example.org\", \"SALES=sales.example.org\"]; empty: EXAMPLE\\\\ is dropped.",
    ),
    key("mailbox", "lowercase", Kind::Bool, "true", "Mailbox names are compared in lower case."),
    key("ping", "heartbeat_min_s", Kind::Int(1, 3_540), "60", "Shortest heartbeat accepted; below it Ping Status 5 names this value."),
    key("ping", "heartbeat_max_s", Kind::Int(1, 3_540), "3540", "Longest heartbeat accepted; above it Ping Status 5 names this value."),
    key(
        "ping",
        "wakes_per_s",
        Kind::Int(0, 1_000_000),
        "0",
        "Pings answered a second because of changes; above it changes wait, notifications taking turns. About backend.requests_per_s keeps a message to everybody from becoming a storm. 0: at once.",
    ),
    key("ping", "folders_max", Kind::Int(1, 1_000), "200", "Most folders in one Ping; more get Status 6."),
    key(
        "ping",
        "hbi_sample_size",
        Kind::Int(1, 100_000),
        "200",
        "Exchange's heartbeat alert: how many of the last heartbeats are averaged.",
    ),
    key(
        "ping",
        "hbi_alert_threshold_s",
        Kind::Int(1, 3_540),
        "540",
        "Exchange's heartbeat alert: an average at or under this is alarming.",
    ),
    key(
        "auth",
        "verdict_ttl_s",
        Kind::Int(1, DAY_S),
        "900",
        "How long a credential that the backend accepted is believed without asking again.",
    ),
    key(
        "auth",
        "bearer_claim",
        Kind::TextList,
        r#"["upn"]"#,
        "Claims of a Bearer token (JWT, accepted by the backend) that name the mailbox, in order; none that users may edit.",
    ),
    key(
        "auth",
        "shield_min_s",
        Kind::Int(0, DAY_S),
        "300",
        "A device that repeats a password the backend has just rejected is answered 401 here for this time, then twice as long, and so on; 0: never. With 300 a forgotten phone has four failures in half an hour, which locks no account.",
    ),
    key("auth", "shield_max_s", Kind::Int(1, DAY_S), "3600", "The longest of these times."),
    key(
        "provision",
        "mode",
        Kind::Choice(&["gateway", "backend"]),
        r#""gateway""#,
        "Who has policies, wipes and access rules: the gateway (a mailbox to which it gives no policy has the backend's), or the backend alone.",
    ),
    key(
        "provision",
        "devices_max",
        Kind::Int(1, 10_000),
        "100",
        "Devices a mailbox may have where nothing else is said of it; removed partnerships make room.",
    ),
    key(
        "store",
        "url",
        Kind::Text,
        r#""sqlite:pushgate.db""#,
        "Where partnerships and policies are kept: sqlite:FILE or postgres://USER@HOST/DATABASE.",
    ),
    key("store", "password", Kind::Text, r#""""#, "Password of the PostgreSQL user, if it needs one; better password_file."),
    key(
        "store",
        "ca",
        Kind::Text,
        r#""""#,
        "CA file to verify PostgreSQL with; empty: the system's. Off this machine TLS is demanded unless the URL says sslmode=disable.",
    ),
    key(
        "store",
        "key_file",
        Kind::Text,
        r#""pushgate.key""#,
        "Key of the recovery passwords; made at first start with mode 0600. Processes that share a database share this file.",
    ),
    key(
        "store",
        "flush_s",
        Kind::Int(1, 60),
        "5",
        "How often what was seen of devices (last sync, heartbeat, user agent) is written; a crash loses that much of it.",
    ),
    key(
        "store",
        "audit_keep_days",
        Kind::Int(0, 36_500),
        "0",
        "How long the audit trail is kept; older entries are deleted, and nobody can delete younger ones. 0: for ever.",
    ),
    key(
        "directory",
        "url",
        Kind::Text,
        r#""""#,
        "LDAP server whose groups may have policies: ldaps://HOST or ldap://HOST. Empty: groups are made here only.",
    ),
    key(
        "directory",
        "starttls",
        Kind::Bool,
        "true",
        "With ldap://, StartTLS before anything is said. Off, the password travels in the clear: on this machine only.",
    ),
    key("directory", "ca", Kind::Text, r#""""#, "CA file to verify it with; empty: the system's."),
    key("directory", "bind_dn", Kind::Text, r#""""#, "Who reads, such as cn=pushgate,dc=example,dc=org; empty: anonymous."),
    key("directory", "password", Kind::Text, r#""""#, "Password of bind_dn; better password_file."),
    key("directory", "base", Kind::Text, r#""""#, "Where groups are, at any depth below, such as ou=Groups,dc=example,dc=org."),
    key(
        "directory",
        "filter",
        Kind::Text,
        r#""(objectClass=groupOfNames)""#,
        "Which entries there are groups; Active Directory: (objectClass=group).",
    ),
    key("directory", "name", Kind::Text, r#""cn""#, "Attribute that names a group."),
    key(
        "directory",
        "member",
        Kind::Text,
        r#""member""#,
        "Attribute that lists a group's members, as names of entries or (memberUid) of users. Groups among them count with their members.",
    ),
    key("directory", "people_base", Kind::Text, r#""""#, "Where people are, at any depth below; empty: at base."),
    key("directory", "people_filter", Kind::Text, r#""(objectClass=person)""#, "Which entries there are people."),
    key(
        "directory",
        "mailbox",
        Kind::Text,
        r#""mail""#,
        "Attribute that names a person's mailbox as devices do: mail, uid, userPrincipalName, sAMAccountName.",
    ),
    key(
        "directory",
        "members_filter",
        Kind::Text,
        r#""""#,
        "Instead of member: which people are in the group {dn}. Active Directory, nested groups included: (memberOf:1.2.840.113556.1.4.1941:={dn}).",
    ),
    key("directory", "page_size", Kind::Int(1, 10_000), "500", "Entries asked for at once (paged results)."),
    key("directory", "refresh_s", Kind::Int(1, DAY_S), "900", "How often groups are read anew."),
    key(
        "internal",
        "address",
        Kind::Text,
        r#""127.0.0.1:9080""#,
        "REST, metrics and notifications. Off loopback it is served over TLS with the certificate above.",
    ),
    key(
        "internal",
        "token_file",
        Kind::Text,
        r#""pushgate.token""#,
        "Bearer token of the internal address; made at first start with mode 0600.",
    ),
    // From 5 s, so that a test (and an operator who watches a suspicious source) can see doubt come and go.
    key("notify", "trust_s", Kind::Int(5, 7 * DAY_S), "3600", "How long a source that only calls in is believed without a proof."),
    key(
        "notify",
        "settle_s",
        Kind::Int(1, 3_600),
        "5",
        "When a woken device's Sync brings nothing, the folder is resolved once more after this time.",
    ),
    key("notify.webhook", "enabled", Kind::Bool, "true", "Take POST /v1/notifications."),
    key(
        "notify.webhook",
        "covers",
        Kind::TextList,
        r#"["Email"]"#,
        "Classes this source reports: Email, Calendar, Contacts, Tasks, Notes.",
    ),
    key("notify.dovecot", "enabled", Kind::Bool, "true", "Take PUT /v1/dovecot (Dovecot's ox driver, or the Lua script in deploy/)."),
    key("notify.dovecot", "covers", Kind::TextList, r#"["Email"]"#, "Classes this source reports."),
    key(
        "notify.dovecot",
        "folders",
        Kind::Bool,
        "false",
        "It also reports folders that are created, deleted or renamed: the Lua script does, the ox driver does not.",
    ),
    key(
        "notify.canary",
        "mailbox",
        Kind::Text,
        r#""""#,
        "A mailbox of pushgate's own: messages delivered to it must be reported, or their source is no longer believed. Empty: off.",
    ),
    key("notify.canary", "source", Kind::Choice(super::canary::SOURCES), r#""dovecot""#, "Which source the canary proves."),
    key("notify.canary", "lmtp", Kind::Text, r#""127.0.0.1:24""#, "LMTP server that takes the canary: host:port or unix:/path."),
    key(
        "notify.canary",
        "command",
        Kind::TextList,
        "[]",
        "Instead of LMTP: a program with its arguments that delivers the message on its standard input; no shell.",
    ),
    key("notify.canary", "every_s", Kind::Int(1, 3_600), "60", "Between two canaries; a gap that is shorter may pass unseen."),
    key("notify.canary", "late_s", Kind::Int(1, 3_600), "30", "A canary whose notification is not back after this time is missing."),
    key(
        "mail",
        "server",
        Kind::Text,
        r#""""#,
        "Who takes mail about devices, without a password: lmtp:host:port, lmtp:unix:/path or smtp:host:port. Empty: no mail.",
    ),
    key(
        "mail",
        "command",
        Kind::TextList,
        "[]",
        "Instead of a server: a program with its arguments that sends the message on its standard input, as sendmail -t; no shell.",
    ),
    key("mail", "from", Kind::Text, r#""""#, "Whom mail is from; empty: pushgate@ and mailbox.default_domain."),
    key(
        "mail",
        "administrators",
        Kind::TextList,
        "[]",
        "Addresses that are told of devices that were erased, could not be, or are in quarantine.",
    ),
    key("mail", "wipe_to_user", Kind::Bool, "true", "Tell the user that the device was erased."),
    key("mail", "quarantine_to_user", Kind::Bool, "false", "Tell the user that the device may not sync until somebody decides."),
    key("log", "level", Kind::Choice(&["error", "warn", "info", "debug", "trace"]), r#""info""#, "Least severe level that is logged."),
    key("log", "format", Kind::Choice(&["text", "json"]), r#""text""#, "One line an event, for people or for machines."),
    key(
        "drain",
        "drain_s",
        Kind::Int(0, 600),
        "10",
        "After SIGTERM: held Pings are answered Status 1 spread over this time, then the process leaves.",
    ),
    key(
        "drain",
        "unready_s",
        Kind::Int(0, 600),
        "0",
        "Before that, /readyz fails for this time while devices are still taken in, so that balancers send no more: two of their looks.",
    ),
    key("limits", "lots", Kind::Int(0, 256), "0", "Lot threads; 0: one a core."),
    key(
        "limits",
        "parked_max",
        Kind::Int(1, 10_000_000),
        "1000000",
        "Parked connections in all; more Pings are answered 503 with Retry-After.",
    ),
    key("limits", "connections_max", Kind::Int(1, 10_000_000), "1000000", "Device connections in all; more are closed at accept."),
    key(
        "limits",
        "handshakes_max",
        Kind::Int(1, 1_000_000),
        "2000",
        "Handshakes in flight; beyond it the eldest makes room once it took 3 s.",
    ),
    key("limits", "handshake_s", Kind::Int(1, 300), "20", "Time for PROXY header and TLS handshake together."),
    key("limits", "head_bytes_max", Kind::Int(8_192, 1_048_576), "65536", "Request line and headers; more gets 431."),
    key("limits", "head_s", Kind::Int(1, 300), "30", "Time for a request head once its first byte came."),
    key("limits", "body_idle_s", Kind::Int(1, 3_600), "60", "A body or an answer that stands still this long closes the connection."),
    key(
        "limits",
        "inspected_body_bytes_max",
        Kind::Int(4_096, 67_108_864),
        "1048576",
        "Largest body (after gzip) that is read as WBXML; a longer Ping gets Status 4.",
    ),
    key("limits", "idle_s", Kind::Int(1, DAY_S), "3600", "A connection between two requests is closed after this time."),
    key(
        "limits",
        "devices_max",
        Kind::Int(1, 100_000_000),
        "2000000",
        "Devices remembered (folders, heartbeat); the longest unseen is forgotten first.",
    ),
    key("limits", "device_forget_s", Kind::Int(60, 30 * DAY_S), "86400", "A device unseen this long is forgotten."),
    key(
        "limits",
        "inbox_max",
        Kind::Int(16, 10_000_000),
        "65536",
        "Notes that wait for one lot thread; beyond it a notification is refused with 503.",
    ),
];
