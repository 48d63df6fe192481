-- What policies of compliance judge a device's certificate by, where it is none of ours and its
-- bytes are not kept. key_kind: crypto/traits.h, 0 = it has not connected since; hash_bits: of
-- the signature; revocable: it names a CRL or an OCSP responder. report_key: SHA-256 of the key that
-- custody tells of.
ALTER TABLE device_cert ADD COLUMN report_key TEXT NOT NULL DEFAULT '';
ALTER TABLE device_cert ADD COLUMN key_kind INTEGER NOT NULL DEFAULT 0;
ALTER TABLE device_cert ADD COLUMN key_bits INTEGER NOT NULL DEFAULT 0;
ALTER TABLE device_cert ADD COLUMN hash_bits INTEGER NOT NULL DEFAULT 0;
ALTER TABLE device_cert ADD COLUMN revocable INTEGER NOT NULL DEFAULT 0;
ALTER TABLE device_cert ADD COLUMN life_ms INTEGER NOT NULL DEFAULT 0;
