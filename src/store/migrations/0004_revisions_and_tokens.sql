-- Which token it was done with: names may be given again once a token is revoked. NULL: the token file's, or no token at all.
ALTER TABLE audit ADD COLUMN token TEXT;
-- 1 at first, one more with every change.
ALTER TABLE domains ADD COLUMN revision BIGINT NOT NULL DEFAULT 1;
