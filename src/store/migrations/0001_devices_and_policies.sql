-- {identity} and {bytes} are each database's own words. Times are seconds since 1970, names are compared in their stored form,
-- what has an inner structure is JSON, and everything that an administrator may change has a revision.

CREATE TABLE store_state (
  id BIGINT PRIMARY KEY CHECK (id = 1),
  -- One more with every acknowledged transaction; writing it is also the lock under which such transactions follow each other.
  generation BIGINT NOT NULL,
  -- The generation in which something of the snapshot (all but devices) changed last.
  snapshot_generation BIGINT NOT NULL,
  -- Removals of devices before this generation are forgotten: who has not heard of them reads all devices anew.
  removals_since BIGINT NOT NULL,
  -- Devices with a greater id are yet to be decided under the present access rules; NULL: none.
  decide_after BIGINT,
  -- Which recovery key was used last.
  key_mark TEXT
);
INSERT INTO store_state (id, generation, snapshot_generation, removals_since) VALUES (1, 1, 1, 1);

CREATE TABLE policies (
  folded TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  revision BIGINT NOT NULL,
  changed_at BIGINT NOT NULL,
  settings TEXT NOT NULL
);

-- What there is one of: the access rules, the default policy.
CREATE TABLE singles (
  name TEXT PRIMARY KEY,
  revision BIGINT NOT NULL,
  value TEXT NOT NULL
);

CREATE TABLE mailboxes (
  mailbox TEXT PRIMARY KEY,
  revision BIGINT NOT NULL,
  policy TEXT REFERENCES policies (folded),
  settings TEXT NOT NULL
);

CREATE TABLE domains (
  domain TEXT PRIMARY KEY,
  policy TEXT NOT NULL REFERENCES policies (folded)
);

CREATE TABLE member_lists (
  kind TEXT NOT NULL CHECK (kind IN ('list', 'group')),
  name TEXT NOT NULL,
  rank BIGINT NOT NULL,
  revision BIGINT NOT NULL,
  policy TEXT REFERENCES policies (folded),
  PRIMARY KEY (kind, name)
);

CREATE TABLE members (
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  mailbox TEXT NOT NULL,
  PRIMARY KEY (kind, name, mailbox),
  FOREIGN KEY (kind, name) REFERENCES member_lists (kind, name) ON DELETE CASCADE
);

CREATE TABLE devices (
  id {identity},
  mailbox TEXT NOT NULL,
  device_id TEXT NOT NULL,
  generation BIGINT NOT NULL,
  revision BIGINT NOT NULL,
  device_type TEXT NOT NULL,
  user_agent TEXT,
  version TEXT,
  information TEXT NOT NULL,
  -- The values of the information in lower case, for searching.
  information_words TEXT NOT NULL,
  information_at BIGINT,
  first_sync_at BIGINT NOT NULL,
  last_attempt_at BIGINT,
  last_success_at BIGINT,
  last_sync_status BIGINT,
  last_heartbeat_s BIGINT,
  folders_synced BIGINT NOT NULL,
  provisioning TEXT NOT NULL,
  policy TEXT,
  wipe TEXT,
  wipe_state TEXT,
  device_access TEXT,
  access_state TEXT NOT NULL,
  access_why TEXT NOT NULL,
  recovery_password {bytes},
  recovery_password_at BIGINT,
  UNIQUE (mailbox, device_id)
);
-- With the mailbox: some programs give all their devices one id, and whoever looks for one of them must not walk through all.
CREATE INDEX devices_by_device_id ON devices (device_id, mailbox);
CREATE INDEX devices_by_generation ON devices (generation);
CREATE INDEX devices_by_access_state ON devices (access_state, id) WHERE access_state <> 'allowed';
CREATE INDEX devices_by_wipe_state ON devices (wipe_state, id) WHERE wipe_state IS NOT NULL;

CREATE TABLE removed_devices (
  generation BIGINT NOT NULL,
  mailbox TEXT NOT NULL,
  device_id TEXT NOT NULL
);
CREATE INDEX removed_devices_by_generation ON removed_devices (generation);
