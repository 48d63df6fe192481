-- Operators: one row each, with a role; certificates (table operator) and a secret let them in.

-- app_id: the name of the secret. secret: SHA-256 of salt and of the secret's SHA-256, x'' = has
-- none. role: a word of tbl/role.def.
CREATE TABLE principal (
	name TEXT NOT NULL PRIMARY KEY CHECK (name <> ''),
	app_id TEXT NOT NULL UNIQUE,
	role TEXT NOT NULL,
	salt BLOB NOT NULL,
	secret BLOB NOT NULL,
	added_ms INTEGER NOT NULL,
	secret_ms INTEGER NOT NULL,
	secret_end_ms INTEGER NOT NULL,
	signin_ms INTEGER NOT NULL
) STRICT;
-- Until now a certificate was all there was of an operator, and let it do everything.
INSERT INTO principal SELECT name, lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' ||
	substr(hex(randomblob(2)), 2) || '-a' || substr(hex(randomblob(2)), 2) || '-' ||
	hex(randomblob(6))), 'owner', x'', x'', min(added_ms), 0, 0, 0 FROM operator GROUP BY name;
CREATE INDEX operator_name ON operator (name);

-- What tokens are signed with; the youngest signs, all verify. key: PKCS#8 PEM.
CREATE TABLE token_key (
	kid TEXT NOT NULL PRIMARY KEY,
	key BLOB NOT NULL,
	spki BLOB NOT NULL,
	made_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX token_key_made ON token_key (made_ms);
