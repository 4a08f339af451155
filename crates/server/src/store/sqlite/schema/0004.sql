-- What lies at a path of the spared set and is not what was recorded (1): it may be denied, once that is confirmed.
ALTER TABLE spared ADD COLUMN strange INTEGER NOT NULL DEFAULT 0;
