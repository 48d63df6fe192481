-- The service's queries: what finds identities by what they are, in the order of n.
CREATE INDEX device_auth ON device (auth, parent);
CREATE INDEX device_enabled ON device (enabled, parent);
CREATE INDEX device_connected ON device (connected, parent);
CREATE INDEX module_auth ON device (auth) WHERE parent IS NOT NULL;

-- Every text, number and boolean of the tags under its path ("site.floor"; no key has a '.'), with
-- the twin. Of a text its first hundred characters; a boolean is x'00' or x'01'. A path of over
-- 255 characters is left out: each value below it would repeat it.
CREATE TABLE twin_tag (
	n INTEGER NOT NULL REFERENCES twin ON DELETE CASCADE,
	name TEXT NOT NULL,
	value ANY NOT NULL,
	PRIMARY KEY (n, name, value)
) STRICT, WITHOUT ROWID;
CREATE INDEX twin_tag_value ON twin_tag (name, value, n);
-- Twins that were there before get theirs a few at a time, while the server runs: n of the last one
-- looked at, and of the last one to look at.
ALTER TABLE tally ADD COLUMN tag_done INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tally ADD COLUMN tag_last INTEGER NOT NULL DEFAULT 0;
UPDATE tally SET tag_last = (SELECT ifnull(max(n), 0) FROM twin);
