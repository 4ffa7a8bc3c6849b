-- From which migration on programs still work with these tables. A migration that only expands leaves it as it is; one that takes something
-- away sets it to the number of the one from which on nothing needs that any more (docs/upgrading.md).

CREATE TABLE compatibility (
    one        INTEGER PRIMARY KEY CHECK (one = 1),
    works_from INTEGER NOT NULL
) STRICT;

INSERT INTO compatibility (one, works_from) VALUES (1, 75);
