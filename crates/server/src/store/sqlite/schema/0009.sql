-- What inspection says of a file, by the word of the machine that said it first.
CREATE TABLE inspection (
    file         INTEGER PRIMARY KEY REFERENCES file,
    organization INTEGER NOT NULL REFERENCES organization,
    -- Of what inspection makes.
    version      INTEGER NOT NULL,
    told_by      INTEGER NOT NULL REFERENCES machine,
    at           INTEGER NOT NULL,
    outcome      TEXT    NOT NULL,
    file_type    TEXT    NOT NULL,
    subtype      TEXT,
    publisher    TEXT,
    product      TEXT,
    signer       TEXT,
    issuer       TEXT,
    signer_hash  BLOB    CHECK (length(signer_hash) = 20),
    -- Null: unsigned.
    is_valid     INTEGER,
    -- All of it, as the link carries it.
    record       BLOB    NOT NULL CHECK (length(record) <= 65536)
) STRICT;
CREATE INDEX inspection_signer ON inspection (organization, signer_hash) WHERE signer_hash IS NOT NULL;
CREATE INDEX inspection_version ON inspection (version);

-- Which machines have said something of a file, and whether it was what the first had said.
CREATE TABLE inspection_word (
    file    INTEGER NOT NULL REFERENCES file,
    machine INTEGER NOT NULL REFERENCES machine,
    version INTEGER NOT NULL,
    agrees  INTEGER NOT NULL,
    PRIMARY KEY (file, machine)
) STRICT, WITHOUT ROWID;

-- Of which files a machine may be asked.
CREATE TABLE inspection_due (
    machine INTEGER NOT NULL REFERENCES machine,
    file    INTEGER NOT NULL REFERENCES file,
    PRIMARY KEY (machine, file)
) STRICT, WITHOUT ROWID;
CREATE INDEX inspection_due_file ON inspection_due (file);
-- What was gone is back.
CREATE TRIGGER inspection_due_again AFTER UPDATE OF present ON copy WHEN new.present = 1 AND old.present = 0 BEGIN
    INSERT OR IGNORE INTO inspection_due (machine, file) SELECT new.machine, new.file
        WHERE NOT EXISTS (SELECT 1 FROM inspection_word WHERE file = new.file AND machine = new.machine);
END;
INSERT INTO inspection_due (machine, file) SELECT machine, file FROM pair;
