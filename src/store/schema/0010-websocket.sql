-- How a peer came: over TCP, in a WebSocket, by HTTPS.
ALTER TABLE conn ADD COLUMN proto TEXT NOT NULL DEFAULT '';
