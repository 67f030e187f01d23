DROP TRIGGER audit_stays;
CREATE TRIGGER audit_stays BEFORE DELETE ON audit WHEN OLD.at >= (SELECT audit_since FROM store_state WHERE id = 1) BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
