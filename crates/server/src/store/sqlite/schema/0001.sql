-- Times are ticks of 100 ns since 1970 (UTC); paths are raw bytes; ids of 16 bytes are GUIDs.
-- Organizations, machines and files have a number of their own in here: rows about copies are the many ones,
-- and a number is an eighth of a digest.

CREATE TABLE organization (
    number     INTEGER PRIMARY KEY,
    id         BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
    -- The head of its log.
    epoch      INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    chain      BLOB    NOT NULL CHECK (length(chain) = 32),
    last_rule  INTEGER NOT NULL,
    created    INTEGER NOT NULL
) STRICT;

CREATE TABLE application (
    client        BLOB    PRIMARY KEY CHECK (length(client) = 16),
    organization  INTEGER NOT NULL REFERENCES organization,
    name          TEXT    NOT NULL,
    secret_sha256 BLOB    NOT NULL CHECK (length(secret_sha256) = 32),
    -- One role a line.
    roles         TEXT    NOT NULL,
    updated       INTEGER NOT NULL
) STRICT;

CREATE TABLE machine (
    number               INTEGER PRIMARY KEY,
    organization         INTEGER NOT NULL REFERENCES organization,
    id                   BLOB    NOT NULL CHECK (length(id) = 20),
    name                 TEXT    NOT NULL,
    os_platform          TEXT    NOT NULL DEFAULT '',
    os_version           TEXT    NOT NULL DEFAULT '',
    kernel               TEXT    NOT NULL DEFAULT '',
    architecture         TEXT    NOT NULL DEFAULT '',
    agent_version        TEXT    NOT NULL DEFAULT '',
    -- One address a line.
    addresses            TEXT    NOT NULL DEFAULT '',
    first_seen           INTEGER NOT NULL,
    last_seen            INTEGER NOT NULL,
    -- The rules it has adopted.
    epoch                INTEGER NOT NULL DEFAULT 0,
    generation           INTEGER NOT NULL DEFAULT 0,
    guard_level          TEXT,
    -- Paths, each ended by a NUL, which no path can hold.
    guarded              BLOB    NOT NULL DEFAULT x'',
    first_sweep_complete INTEGER NOT NULL DEFAULT 0,
    -- The last batch of sightings taken from it.
    ingested             INTEGER NOT NULL DEFAULT 0,
    UNIQUE (organization, id)
) STRICT;
CREATE INDEX machine_position ON machine (organization, epoch, generation);

-- A deployment of one machine: which organization and machine it is.
CREATE TABLE home (
    one          INTEGER PRIMARY KEY CHECK (one = 1),
    organization INTEGER NOT NULL REFERENCES organization,
    machine      INTEGER NOT NULL REFERENCES machine
) STRICT;

CREATE TABLE file (
    number         INTEGER PRIMARY KEY,
    organization   INTEGER NOT NULL REFERENCES organization,
    sha256         BLOB    NOT NULL CHECK (length(sha256) = 32),
    sha1           BLOB    NOT NULL CHECK (length(sha1) = 20),
    md5            BLOB    NOT NULL CHECK (length(md5) = 16),
    size           INTEGER NOT NULL,
    file_type      TEXT    NOT NULL,
    subtype        TEXT,
    -- Whose word the facts are.
    facts_from     INTEGER NOT NULL REFERENCES machine,
    prevalence     INTEGER NOT NULL DEFAULT 0,
    first_observed INTEGER NOT NULL,
    last_observed  INTEGER NOT NULL,
    denials        INTEGER NOT NULL DEFAULT 0,
    UNIQUE (organization, sha256)
) STRICT;
CREATE INDEX file_sha1 ON file (organization, sha1);

-- That a file was seen on a machine: what prevalence counts.
CREATE TABLE pair (
    organization INTEGER NOT NULL REFERENCES organization,
    file         INTEGER NOT NULL REFERENCES file,
    machine      INTEGER NOT NULL REFERENCES machine,
    first_seen   INTEGER NOT NULL,
    last_seen    INTEGER NOT NULL,
    -- How many rows of copy it has, and how many more sightings found no room there.
    paths        INTEGER NOT NULL DEFAULT 0,
    dropped      INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (file, machine)
) STRICT, WITHOUT ROWID;

CREATE TABLE copy (
    organization INTEGER NOT NULL REFERENCES organization,
    file         INTEGER NOT NULL REFERENCES file,
    machine      INTEGER NOT NULL REFERENCES machine,
    path         BLOB    NOT NULL,
    first_seen   INTEGER NOT NULL,
    last_seen    INTEGER NOT NULL,
    present      INTEGER NOT NULL,
    running      INTEGER NOT NULL,
    denials      INTEGER NOT NULL,
    PRIMARY KEY (file, machine, path)
) STRICT, WITHOUT ROWID;
-- Whose place a newly seen file has taken.
CREATE INDEX copy_present ON copy (machine, path) WHERE present = 1;

CREATE TABLE rule (
    organization      INTEGER NOT NULL REFERENCES organization,
    id                INTEGER NOT NULL,
    effect            TEXT    NOT NULL,
    identifier_kind   TEXT    NOT NULL,
    identifier        BLOB    NOT NULL,
    scope_kind        TEXT    NOT NULL,
    -- Empty for the organization; a machine's id; a group's number, big-endian.
    scope             BLOB    NOT NULL,
    until             INTEGER,
    created           INTEGER NOT NULL,
    updated           INTEGER NOT NULL,
    requestor         TEXT    NOT NULL,
    comment           TEXT    NOT NULL,
    -- The newest order that asked for it.
    "order"           BLOB    NOT NULL,
    began_generation  INTEGER NOT NULL,
    -- In force while this is null.
    ended_generation  INTEGER,
    cancelled_at      INTEGER,
    cancelled_by      TEXT,
    cancelled_comment TEXT,
    PRIMARY KEY (organization, id)
) STRICT, WITHOUT ROWID;
-- Asking twice never makes a second rule.
CREATE UNIQUE INDEX rule_in_force ON rule (organization, identifier_kind, identifier, scope_kind, scope, effect)
    WHERE ended_generation IS NULL;
CREATE INDEX rule_until ON rule (until) WHERE ended_generation IS NULL AND until IS NOT NULL;

-- Every change of anyone's rules. Holds the rule as it was then: an entry never changes, so its chain stays
-- computable whatever becomes of the rule.
CREATE TABLE log (
    organization    INTEGER NOT NULL REFERENCES organization,
    epoch           INTEGER NOT NULL,
    generation      INTEGER NOT NULL,
    change          TEXT    NOT NULL CHECK (change IN ('begin', 'end')),
    id              INTEGER NOT NULL,
    effect          TEXT    NOT NULL,
    identifier_kind TEXT    NOT NULL,
    identifier      BLOB    NOT NULL,
    scope_kind      TEXT    NOT NULL,
    scope           BLOB    NOT NULL,
    until           INTEGER,
    at              INTEGER NOT NULL,
    chain           BLOB    NOT NULL CHECK (length(chain) = 32),
    PRIMARY KEY (organization, epoch, generation)
) STRICT, WITHOUT ROWID;

CREATE TABLE "order" (
    number         INTEGER PRIMARY KEY,
    organization   INTEGER NOT NULL REFERENCES organization,
    id             BLOB    NOT NULL CHECK (length(id) = 16),
    want           TEXT    NOT NULL CHECK (want IN ('block', 'unblock', 'quarantine', 'restore', 'collect', 'discard')),
    file_kind      TEXT    NOT NULL,
    file           BLOB    NOT NULL,
    machine        INTEGER REFERENCES machine,
    undoes         BLOB,
    requestor      TEXT    NOT NULL,
    asked_from     TEXT    NOT NULL,
    comment        TEXT    NOT NULL,
    created        INTEGER NOT NULL,
    updated        INTEGER NOT NULL,
    state          TEXT    NOT NULL,
    failure_code   INTEGER,
    failure_reason TEXT,
    rule           INTEGER,
    generation     INTEGER NOT NULL,
    UNIQUE (organization, id)
) STRICT;
CREATE INDEX order_newest ON "order" (organization, number);
CREATE INDEX order_open ON "order" (organization, machine) WHERE state IN ('Pending', 'InProgress');
CREATE INDEX order_undoes ON "order" (organization, undoes) WHERE undoes IS NOT NULL;

CREATE TABLE act (
    number           INTEGER PRIMARY KEY,
    organization     INTEGER NOT NULL REFERENCES organization,
    id               BLOB    NOT NULL CHECK (length(id) = 16),
    "order"          BLOB    NOT NULL,
    machine          INTEGER NOT NULL REFERENCES machine,
    what             TEXT    NOT NULL CHECK (what IN ('quarantine', 'restore', 'collect')),
    file_kind        TEXT    NOT NULL,
    file             BLOB    NOT NULL,
    -- Which order's copies a restore brings back.
    restores         BLOB,
    after_epoch      INTEGER NOT NULL,
    after_generation INTEGER NOT NULL,
    deadline         INTEGER NOT NULL,
    state            TEXT    NOT NULL,
    begun            INTEGER,
    ended            INTEGER,
    stopped          INTEGER NOT NULL DEFAULT 0,
    failure_code     INTEGER,
    failure_reason   TEXT,
    -- A result that came after the act had ended otherwise.
    late             INTEGER,
    late_stopped     INTEGER,
    late_code        INTEGER,
    late_reason      TEXT,
    UNIQUE (organization, id)
) STRICT;
CREATE INDEX act_order ON act (organization, "order");
CREATE INDEX act_open ON act (organization, machine) WHERE state IN ('Pending', 'InProgress');
CREATE INDEX act_deadline ON act (deadline) WHERE state = 'Pending';

CREATE TABLE copy_result (
    organization INTEGER NOT NULL REFERENCES organization,
    act          INTEGER NOT NULL REFERENCES act,
    -- 1: from a result that came after the act had ended otherwise.
    late         INTEGER NOT NULL,
    ordinal      INTEGER NOT NULL,
    path         BLOB    NOT NULL,
    state        TEXT    NOT NULL,
    reason       TEXT,
    vault        BLOB,
    PRIMARY KEY (act, late, ordinal)
) STRICT, WITHOUT ROWID;

CREATE TABLE spared (
    organization INTEGER NOT NULL REFERENCES organization,
    machine      INTEGER NOT NULL REFERENCES machine,
    path         BLOB    NOT NULL,
    sha256       BLOB    NOT NULL CHECK (length(sha256) = 32),
    sha1         BLOB    NOT NULL CHECK (length(sha1) = 20),
    md5          BLOB    NOT NULL CHECK (length(md5) = 16),
    -- Null: the machine's own baseline.
    package      TEXT,
    PRIMARY KEY (machine, path, sha256)
) STRICT, WITHOUT ROWID;
CREATE INDEX spared_sha1 ON spared (organization, sha1);
CREATE INDEX spared_sha256 ON spared (organization, sha256);

CREATE TABLE audit (
    sequence     INTEGER PRIMARY KEY AUTOINCREMENT,
    at           INTEGER NOT NULL,
    organization INTEGER NOT NULL REFERENCES organization,
    who          TEXT    NOT NULL,
    asked_from   TEXT    NOT NULL,
    what         TEXT    NOT NULL,
    subject      TEXT    NOT NULL,
    comment      TEXT    NOT NULL
) STRICT;
CREATE INDEX audit_organization ON audit (organization, sequence);
