CREATE TRIGGER audit_keeps BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
CREATE TRIGGER audit_stays BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
-- INSERT OR REPLACE would delete without telling the trigger above.
CREATE TRIGGER audit_grows BEFORE INSERT ON audit WHEN NEW.id IN (SELECT id FROM audit) BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
