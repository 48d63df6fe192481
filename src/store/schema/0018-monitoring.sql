-- How many devices use a certificate that ends in an hour (since 1970), so that nobody has to
-- look at a million rows to say how many end this week.
CREATE TABLE device_cert_end (
	hour INTEGER PRIMARY KEY,
	n INTEGER NOT NULL
) STRICT;
INSERT INTO device_cert_end
	SELECT not_after_ms / 3600000, count(*) FROM device_cert GROUP BY 1;

CREATE TRIGGER device_cert_comes AFTER INSERT ON device_cert BEGIN
	INSERT INTO device_cert_end VALUES (new.not_after_ms / 3600000, 1)
		ON CONFLICT DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER device_cert_goes AFTER DELETE ON device_cert BEGIN
	UPDATE device_cert_end SET n = n - 1 WHERE hour = old.not_after_ms / 3600000;
	DELETE FROM device_cert_end WHERE hour = old.not_after_ms / 3600000 AND n = 0;
END;
CREATE TRIGGER device_cert_turns AFTER UPDATE OF not_after_ms ON device_cert
	WHEN new.not_after_ms / 3600000 <> old.not_after_ms / 3600000
BEGIN
	UPDATE device_cert_end SET n = n - 1 WHERE hour = old.not_after_ms / 3600000;
	DELETE FROM device_cert_end WHERE hour = old.not_after_ms / 3600000 AND n = 0;
	INSERT INTO device_cert_end VALUES (new.not_after_ms / 3600000, 1)
		ON CONFLICT DO UPDATE SET n = n + 1;
END;
