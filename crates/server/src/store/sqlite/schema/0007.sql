-- Why a machine did not take the last approval of what it holds.
ALTER TABLE hold ADD COLUMN refused TEXT;
ALTER TABLE hold ADD COLUMN refused_at INTEGER;
-- Who let it go on, as the machine says before it holds it no more.
ALTER TABLE hold ADD COLUMN approved_by TEXT;

-- What was held, and how that ended; for whoever waits to hear of it.
CREATE TABLE hold_ended (
    organization INTEGER NOT NULL REFERENCES organization,
    machine      INTEGER NOT NULL REFERENCES machine,
    id           BLOB    NOT NULL CHECK (length(id) = 16),
    at           INTEGER NOT NULL,
    -- None when nobody did: it was withdrawn, or is over.
    approved_by  TEXT,
    PRIMARY KEY (machine, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX hold_ended_at ON hold_ended (at);

-- How the operator key came to be the one it is.
CREATE TABLE operator_key_change (
    organization INTEGER NOT NULL REFERENCES organization,
    -- The place in their order.
    number       INTEGER NOT NULL,
    old          BLOB    NOT NULL CHECK (length(old) = 32),
    new          BLOB    NOT NULL CHECK (length(new) = 32),
    -- By the old one; empty when that was lost.
    signature    BLOB    NOT NULL,
    PRIMARY KEY (organization, number)
) STRICT, WITHOUT ROWID;

-- The fingerprint of the one whose signature counts there, as the machine says.
ALTER TABLE machine ADD COLUMN operator_key TEXT NOT NULL DEFAULT '';
