CREATE FUNCTION audit_expire() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF OLD.at >= (SELECT audit_since FROM store_state WHERE id = 1) THEN RAISE EXCEPTION 'the audit trail is append-only'; END IF; RETURN OLD; END $$;
DROP TRIGGER audit_keeps ON audit;
CREATE TRIGGER audit_keeps BEFORE UPDATE ON audit FOR EACH ROW EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_goes BEFORE DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_expire();
