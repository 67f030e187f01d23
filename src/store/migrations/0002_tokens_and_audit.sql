CREATE TABLE tokens (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  role TEXT NOT NULL CHECK (role IN ('viewer', 'helpdesk', 'admin')),
  hash TEXT NOT NULL,
  made_at BIGINT NOT NULL,
  made_by TEXT NOT NULL,
  last_used_at BIGINT,
  revoked_at BIGINT,
  revoked_by TEXT
);

CREATE TABLE audit (
  id {identity},
  at BIGINT NOT NULL,
  actor TEXT NOT NULL,
  source TEXT NOT NULL,
  act TEXT NOT NULL,
  mailbox TEXT,
  device_id TEXT,
  subject TEXT,
  outcome TEXT NOT NULL,
  detail TEXT NOT NULL
);
CREATE INDEX audit_by_at ON audit (at);
CREATE INDEX audit_by_mailbox ON audit (mailbox, id);
CREATE INDEX audit_by_actor ON audit (actor, id);
