-- Who changed what, on whose word, with which result.
CREATE TABLE audit (
	seq INTEGER PRIMARY KEY AUTOINCREMENT,
	at_ms INTEGER NOT NULL,
	who TEXT NOT NULL,
	auth TEXT NOT NULL,
	what TEXT NOT NULL,
	target TEXT NOT NULL,
	result TEXT NOT NULL,
	detail TEXT NOT NULL,
	peer TEXT NOT NULL,
	agent TEXT NOT NULL
) STRICT;
