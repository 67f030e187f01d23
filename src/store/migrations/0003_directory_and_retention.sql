-- Where a list or a group comes from: 'hand', 'directory', or 'gone' (the directory no longer has it, its policy is kept for its return).
ALTER TABLE member_lists ADD COLUMN origin TEXT NOT NULL DEFAULT 'hand' CHECK (origin IN ('hand', 'directory', 'gone'));
-- Entries of the audit trail before this time may go: what administrators did longer ago than the configuration keeps.
ALTER TABLE store_state ADD COLUMN audit_since BIGINT NOT NULL DEFAULT 0;
