-- Twins: when each property changed. Subscriptions that outlive a connection.

-- What the session of the identity is subscribed to, codec/topic.h; 0 = no session is kept.
ALTER TABLE device ADD COLUMN subs INTEGER NOT NULL DEFAULT 0;

-- Times and versions of properties, domain/hub/twin.h. Of what was there before nothing is known.
ALTER TABLE twin ADD COLUMN desired_meta TEXT NOT NULL DEFAULT '{}';
ALTER TABLE twin ADD COLUMN reported_meta TEXT NOT NULL DEFAULT '{}';
