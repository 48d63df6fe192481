-- Modules: identities below a device, named "device/module". A device's ID has no '/'.
-- parent: the device's n, NULL for a device itself; deleting the device deletes them.
ALTER TABLE device ADD COLUMN parent INTEGER REFERENCES device (n) ON DELETE CASCADE
	CHECK ((parent IS NULL) = (instr(id, '/') = 0));
ALTER TABLE device ADD COLUMN managed_by TEXT NOT NULL DEFAULT '';
CREATE INDEX device_parent ON device (parent, id) WHERE parent IS NOT NULL;
-- Covers the counts of devices too, which leave modules out.
DROP INDEX device_state;
CREATE INDEX device_state ON device (connected, auth, enabled, parent);

-- Whose module; '' for the device itself.
ALTER TABLE event ADD COLUMN module_id TEXT NOT NULL DEFAULT '';
ALTER TABLE conn ADD COLUMN module_id TEXT NOT NULL DEFAULT '';
