-- Several hubs, and how devices are spread over them.

-- The hub that serves the identity; '' = made before hubs were told apart: any does.
ALTER TABLE device ADD COLUMN hub TEXT NOT NULL DEFAULT '' COLLATE NOCASE;

-- unset: the enrollment says nothing of re-provisioning. webhook: of "custom".
ALTER TABLE enrollment ADD COLUMN reprovision_unset INTEGER NOT NULL DEFAULT 0;
ALTER TABLE enrollment ADD COLUMN webhook_url TEXT NOT NULL DEFAULT '';
ALTER TABLE enrollment ADD COLUMN webhook_api TEXT NOT NULL DEFAULT '';

-- payload: what the webhook answered for the device, '' = nothing. hubs: those that it was
-- assigned to before, joined by a space. deadline_ms: when an answer that "assigning" waits for
-- can come no more. cert: SHA-256 of the certificate issued with it; csr_key: of the key that it
-- asked one for.
ALTER TABLE registration ADD COLUMN payload TEXT NOT NULL DEFAULT '';
ALTER TABLE registration ADD COLUMN hubs TEXT NOT NULL DEFAULT '';
ALTER TABLE registration ADD COLUMN deadline_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE registration ADD COLUMN cert TEXT NOT NULL DEFAULT '';
ALTER TABLE registration ADD COLUMN csr_key TEXT NOT NULL DEFAULT '';
