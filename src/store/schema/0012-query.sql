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
INSERT OR IGNORE INTO twin_tag (n, name, value)
	WITH RECURSIVE tag (n, name, type, value, atom) AS (
		SELECT t.n, e.key, e.type, e.value, e.atom FROM twin t,
			json_each(iif(json_valid(t.tags), t.tags, '{}')) e
			WHERE t.tags <> '{}' AND length(e.key) <= 255
		UNION ALL
		SELECT tag.n, tag.name || '.' || e.key, e.type, e.value, e.atom FROM tag,
			json_each(CASE tag.type WHEN 'object' THEN tag.value ELSE '{}' END) e
			WHERE length(tag.name) + 1 + length(e.key) <= 255)
	SELECT n, name, CASE type WHEN 'text' THEN substr(atom, 1, 100) WHEN 'true' THEN x'01'
		WHEN 'false' THEN x'00' ELSE atom END FROM tag
		WHERE type IN ('text', 'integer', 'real', 'true', 'false');
CREATE INDEX twin_tag_value ON twin_tag (name, value, n);
