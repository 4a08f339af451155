-- What files are judged to be: one word of each judge about each name of a file, seen or not.
CREATE TABLE determination (
    organization INTEGER NOT NULL REFERENCES organization,
    file_kind    TEXT    NOT NULL CHECK (file_kind IN ('sha1', 'sha256')),
    file         BLOB    NOT NULL,
    source       TEXT    NOT NULL,
    engine       TEXT    NOT NULL,
    version      TEXT    NOT NULL,
    type         TEXT    NOT NULL,
    value        TEXT,
    said_by      TEXT    NOT NULL,
    evidence     TEXT    NOT NULL,
    at           INTEGER NOT NULL,
    PRIMARY KEY (organization, file_kind, file, source, engine)
) STRICT, WITHOUT ROWID;

-- Lists of digests. The digests lie in the data directory, in a file of that id; what is not named here is removed there.
CREATE TABLE list (
    organization INTEGER NOT NULL REFERENCES organization,
    name         TEXT    NOT NULL,
    id           BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
    type         TEXT    NOT NULL,
    value        TEXT,
    sha256       INTEGER NOT NULL,
    sha1         INTEGER NOT NULL,
    md5          INTEGER NOT NULL,
    format       TEXT    NOT NULL,
    -- SHA-256 of what was imported.
    version      BLOB    NOT NULL CHECK (length(version) = 32),
    bytes        INTEGER NOT NULL,
    skipped      INTEGER NOT NULL,
    refused      INTEGER NOT NULL,
    imported     INTEGER NOT NULL,
    requestor    TEXT    NOT NULL,
    comment      TEXT    NOT NULL,
    PRIMARY KEY (organization, name)
) STRICT, WITHOUT ROWID;

-- That files are denied because of what they are judged to be: rules that Quell makes and takes back by itself.
CREATE TABLE policy (
    organization INTEGER NOT NULL REFERENCES organization,
    type         TEXT    NOT NULL CHECK (type = 'Malware'),
    requestor    TEXT    NOT NULL,
    comment      TEXT    NOT NULL,
    created      INTEGER NOT NULL,
    -- Files up to this number were looked at since something changed that concerns all of them.
    looked       INTEGER NOT NULL DEFAULT 0,
    -- How often something changed that concerns all files: what was looked at before does not count.
    changes      INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (organization, type)
) STRICT, WITHOUT ROWID;

-- Files to look at before all others: something was said of them.
CREATE TABLE policy_look (
    organization INTEGER NOT NULL REFERENCES organization,
    file         INTEGER NOT NULL REFERENCES file,
    -- Another one whenever something is said, so that nothing said during a look is overlooked.
    token        INTEGER NOT NULL,
    PRIMARY KEY (organization, file)
) STRICT, WITHOUT ROWID;

-- What came of files that a policy concerns; gone when it concerns them no more.
CREATE TABLE policy_deed (
    organization INTEGER NOT NULL REFERENCES organization,
    file         INTEGER NOT NULL REFERENCES file,
    -- The block that was made,
    "order"      BLOB             CHECK (length("order") = 16),
    -- or why there is none.
    refused      TEXT,
    at           INTEGER NOT NULL,
    PRIMARY KEY (organization, file)
) STRICT, WITHOUT ROWID;
CREATE INDEX policy_deed_at ON policy_deed (organization, at);
