-- How many devices there are of each kind on each hub, so that nobody has to count them.
CREATE TABLE device_count (
	hub TEXT NOT NULL COLLATE NOCASE,
	connected INTEGER NOT NULL,
	auth INTEGER NOT NULL,
	enabled INTEGER NOT NULL,
	n INTEGER NOT NULL,
	PRIMARY KEY (hub, connected, auth, enabled)
) STRICT, WITHOUT ROWID;
INSERT INTO device_count SELECT hub, connected, auth, enabled, count(*) FROM device
	WHERE parent IS NULL GROUP BY hub, connected, auth, enabled;
DROP INDEX device_state;

CREATE TRIGGER device_comes AFTER INSERT ON device WHEN new.parent IS NULL BEGIN
	INSERT INTO device_count VALUES (new.hub, new.connected, new.auth, new.enabled, 1)
		ON CONFLICT DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER device_goes AFTER DELETE ON device WHEN old.parent IS NULL BEGIN
	UPDATE device_count SET n = n - 1 WHERE hub = old.hub
		AND connected = old.connected AND auth = old.auth AND enabled = old.enabled;
END;
CREATE TRIGGER device_turns AFTER UPDATE OF hub, connected, auth, enabled ON device
	WHEN new.parent IS NULL AND (new.connected <> old.connected OR new.auth <> old.auth
		OR new.enabled <> old.enabled OR new.hub <> old.hub)
BEGIN
	UPDATE device_count SET n = n - 1 WHERE hub = old.hub
		AND connected = old.connected AND auth = old.auth AND enabled = old.enabled;
	INSERT INTO device_count VALUES (new.hub, new.connected, new.auth, new.enabled, 1)
		ON CONFLICT DO UPDATE SET n = n + 1;
END;

-- How many certificates each issuer has issued, and when the last of them ends. None is deleted.
CREATE TABLE cert_count (
	issuer TEXT NOT NULL PRIMARY KEY,
	n INTEGER NOT NULL,
	last_end_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO cert_count SELECT issuer, count(*), max(not_after_ms) FROM cert INDEXED BY cert_issuer
	GROUP BY issuer;
CREATE TRIGGER cert_comes AFTER INSERT ON cert BEGIN
	INSERT INTO cert_count VALUES (new.issuer, 1, new.not_after_ms) ON CONFLICT DO UPDATE
		SET n = n + 1, last_end_ms = max(last_end_ms, excluded.last_end_ms);
END;

-- The number that an identity was given last, of devices and modules alike. It is never given
-- again: a query that goes on after the newest must not pass over the next one.
ALTER TABLE tally ADD COLUMN device_n INTEGER NOT NULL DEFAULT 0;
-- The latest time in the connection log, and the latest of those that an earlier one came behind,
-- when the clock was set back: of what is later than that, time and number rise together.
ALTER TABLE tally ADD COLUMN conn_top_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tally ADD COLUMN conn_back_ms INTEGER NOT NULL DEFAULT 0;
UPDATE tally SET device_n = (SELECT ifnull(max(n), 0) FROM device),
	conn_top_ms = (SELECT ifnull(max(at_ms), 0) FROM conn),
	conn_back_ms = (SELECT ifnull(max(at_ms), 0) FROM conn);
