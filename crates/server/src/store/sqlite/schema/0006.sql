-- On what terms a restore brings copies back.
ALTER TABLE act ADD COLUMN beside          INTEGER NOT NULL DEFAULT 0;
ALTER TABLE act ADD COLUMN keep_privileges INTEGER NOT NULL DEFAULT 0;
