-- Where copies come from: the packages that own their paths, by the word of their machines.
CREATE TABLE origin (
    number       INTEGER PRIMARY KEY,
    organization INTEGER NOT NULL REFERENCES organization,
    database     TEXT    NOT NULL,
    package      TEXT    NOT NULL,
    version      TEXT    NOT NULL,
    -- Empty: nobody is named.
    vendor       TEXT    NOT NULL,
    UNIQUE (organization, database, package, version, vendor)
) STRICT;

ALTER TABLE copy ADD COLUMN origin INTEGER REFERENCES origin;
-- Whether it is what that package brought; null: not known.
ALTER TABLE copy ADD COLUMN matches INTEGER CHECK (matches IN (0, 1));

-- On how many machines a file comes from there. Made from copies by the triggers alone: a file may have many copies.
CREATE TABLE file_origin (
    file     INTEGER NOT NULL REFERENCES file,
    origin   INTEGER NOT NULL REFERENCES origin,
    -- 2: not known.
    matches  INTEGER NOT NULL CHECK (matches IN (0, 1, 2)),
    machines INTEGER NOT NULL CHECK (machines >= 0),
    PRIMARY KEY (file, origin, matches)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER copy_comes AFTER INSERT ON copy WHEN new.origin IS NOT NULL BEGIN
    INSERT INTO file_origin (file, origin, matches, machines)
    SELECT new.file, new.origin, coalesce(new.matches, 2), 1
    WHERE NOT EXISTS (SELECT 1 FROM copy c WHERE c.file = new.file AND c.machine = new.machine AND c.path <> new.path
                          AND c.origin = new.origin AND c.matches IS new.matches)
    ON CONFLICT DO UPDATE SET machines = machines + 1;
END;

CREATE TRIGGER copy_goes AFTER DELETE ON copy WHEN old.origin IS NOT NULL BEGIN
    UPDATE file_origin SET machines = machines - 1
    WHERE file = old.file AND origin = old.origin AND matches = coalesce(old.matches, 2)
        AND NOT EXISTS (SELECT 1 FROM copy c WHERE c.file = old.file AND c.machine = old.machine AND c.path <> old.path
                            AND c.origin = old.origin AND c.matches IS old.matches);
    DELETE FROM file_origin
    WHERE file = old.file AND origin = old.origin AND matches = coalesce(old.matches, 2) AND machines = 0;
END;

CREATE TRIGGER copy_comes_from_elsewhere AFTER UPDATE OF origin, matches ON copy
WHEN old.origin IS NOT new.origin OR old.matches IS NOT new.matches BEGIN
    UPDATE file_origin SET machines = machines - 1
    WHERE file = old.file AND origin = old.origin AND matches = coalesce(old.matches, 2)
        AND NOT EXISTS (SELECT 1 FROM copy c WHERE c.file = old.file AND c.machine = old.machine AND c.path <> old.path
                            AND c.origin = old.origin AND c.matches IS old.matches);
    DELETE FROM file_origin
    WHERE file = old.file AND origin = old.origin AND matches = coalesce(old.matches, 2) AND machines = 0;
    INSERT INTO file_origin (file, origin, matches, machines)
    SELECT new.file, new.origin, coalesce(new.matches, 2), 1
    WHERE new.origin IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM copy c WHERE c.file = new.file AND c.machine = new.machine AND c.path <> new.path
                            AND c.origin = new.origin AND c.matches IS new.matches)
    ON CONFLICT DO UPDATE SET machines = machines + 1;
END;
