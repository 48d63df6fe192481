-- The service's queries: what finds identities by what they are, in the order of n.
CREATE INDEX device_auth ON device (auth, parent);
CREATE INDEX device_enabled ON device (enabled, parent);
CREATE INDEX device_connected ON device (connected, parent);
CREATE INDEX module_auth ON device (auth) WHERE parent IS NOT NULL;

-- Every text, number and boolean of the tags under its path ("site.floor"; no key has a '.'). Of a
-- text its first hundred characters; a boolean is x'00' or x'01'. A path of over 255 characters is
-- left out: each value below it would repeat it. It is an index of what twin.tags say and nothing
-- more, a row an entry: what is to go from it is told by the tags that were.
CREATE TABLE twin_tag (
	name TEXT NOT NULL,
	value ANY NOT NULL,
	n INTEGER NOT NULL,
	PRIMARY KEY (name, value, n)
) STRICT, WITHOUT ROWID;
-- Twins that were there before get theirs a few at a time, while the server runs: n of the last one
-- looked at, and of the last one to look at.
ALTER TABLE tally ADD COLUMN tag_done INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tally ADD COLUMN tag_last INTEGER NOT NULL DEFAULT 0;
UPDATE tally SET tag_last = (SELECT ifnull(max(n), 0) FROM twin);
