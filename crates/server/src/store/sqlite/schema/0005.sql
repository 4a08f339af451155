-- Samples: their bytes lie in the data directory, by their SHA-256; what is not named here is removed there.

CREATE TABLE sample (
    organization INTEGER NOT NULL REFERENCES organization,
    sha256       BLOB    NOT NULL CHECK (length(sha256) = 32),
    size         INTEGER NOT NULL,
    stored       INTEGER NOT NULL,
    -- Which machine brought it.
    machine      INTEGER NOT NULL REFERENCES machine,
    PRIMARY KEY (organization, sha256)
) STRICT, WITHOUT ROWID;

-- Which orders brought it, or would have: it is deleted with the last of them that is undone.
CREATE TABLE sample_order (
    organization INTEGER NOT NULL REFERENCES organization,
    sha256       BLOB    NOT NULL CHECK (length(sha256) = 32),
    "order"      BLOB    NOT NULL CHECK (length("order") = 16),
    PRIMARY KEY (organization, "order")
) STRICT, WITHOUT ROWID;
CREATE INDEX sample_order_sha256 ON sample_order (organization, sha256);

-- Samples on their way: their room is taken. Gone with the end of the act.
CREATE TABLE upload (
    act          INTEGER PRIMARY KEY REFERENCES act,
    organization INTEGER NOT NULL REFERENCES organization,
    id           BLOB    NOT NULL CHECK (length(id) = 16),
    sha256       BLOB    NOT NULL CHECK (length(sha256) = 32),
    size         INTEGER NOT NULL
) STRICT;
CREATE INDEX upload_organization ON upload (organization);
