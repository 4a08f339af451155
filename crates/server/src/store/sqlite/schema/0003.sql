-- What the brakes of machines hold back, as they told it last.
CREATE TABLE hold (
    organization INTEGER NOT NULL REFERENCES organization,
    machine      INTEGER NOT NULL REFERENCES machine,
    id           BLOB    NOT NULL CHECK (length(id) = 16),
    -- One of these: the rule that is not in force there, or the act that does not begin.
    rule         INTEGER,
    act          BLOB,
    -- All that the machine said of it, as a message of the link.
    said         BLOB    NOT NULL,
    PRIMARY KEY (machine, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX hold_rule ON hold (organization, rule) WHERE rule IS NOT NULL;
CREATE INDEX hold_act ON hold (organization, act) WHERE act IS NOT NULL;

-- Approvals on their way to a machine.
CREATE TABLE approval (
    organization INTEGER NOT NULL REFERENCES organization,
    machine      INTEGER NOT NULL REFERENCES machine,
    hold         BLOB    NOT NULL CHECK (length(hold) = 16),
    -- With its signature, as a message of the link.
    said         BLOB    NOT NULL,
    at           INTEGER NOT NULL,
    PRIMARY KEY (machine, hold)
) STRICT, WITHOUT ROWID;

-- The public half of the key whose signature lets go on what a brake holds.
CREATE TABLE operator_key (
    organization INTEGER PRIMARY KEY REFERENCES organization,
    key          BLOB    NOT NULL CHECK (length(key) = 32)
) STRICT;
