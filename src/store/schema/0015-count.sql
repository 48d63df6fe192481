-- How many devices there are of each kind, so that nobody has to count them.
CREATE TABLE device_count (
	connected INTEGER NOT NULL,
	auth INTEGER NOT NULL,
	enabled INTEGER NOT NULL,
	n INTEGER NOT NULL,
	PRIMARY KEY (connected, auth, enabled)
) STRICT, WITHOUT ROWID;
INSERT INTO device_count
	WITH two (b) AS (VALUES (0), (1)), auths (auth) AS (VALUES (0), (1), (2), (3))
	SELECT c.b, auth, e.b, 0 FROM two c, auths, two e;
UPDATE device_count SET n = d.n FROM
	(SELECT connected, auth, enabled, count(*) AS n FROM device WHERE parent IS NULL
		GROUP BY connected, auth, enabled) d
	WHERE device_count.connected = d.connected AND device_count.auth = d.auth
		AND device_count.enabled = d.enabled;
DROP INDEX device_state;

CREATE TRIGGER device_comes AFTER INSERT ON device WHEN new.parent IS NULL BEGIN
	UPDATE device_count SET n = n + 1
		WHERE connected = new.connected AND auth = new.auth AND enabled = new.enabled;
END;
CREATE TRIGGER device_goes AFTER DELETE ON device WHEN old.parent IS NULL BEGIN
	UPDATE device_count SET n = n - 1
		WHERE connected = old.connected AND auth = old.auth AND enabled = old.enabled;
END;
CREATE TRIGGER device_turns AFTER UPDATE OF connected, auth, enabled ON device
	WHEN new.parent IS NULL AND (new.connected <> old.connected OR new.auth <> old.auth
		OR new.enabled <> old.enabled)
BEGIN
	UPDATE device_count SET n = n - 1
		WHERE connected = old.connected AND auth = old.auth AND enabled = old.enabled;
	UPDATE device_count SET n = n + 1
		WHERE connected = new.connected AND auth = new.auth AND enabled = new.enabled;
END;
