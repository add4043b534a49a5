"""The tables of the state that the processes of one host share. `LAYOUT` changes with them."""

SCHEMA = """
CREATE TABLE service (
    run TEXT NOT NULL
);
CREATE TABLE process (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE
);
CREATE TABLE resized (
    model TEXT PRIMARY KEY,
    parallel INTEGER NOT NULL,
    max_queue INTEGER NOT NULL,
    max_per_user INTEGER
) WITHOUT ROWID;
CREATE TABLE line (
    model TEXT PRIMARY KEY,
    parallel INTEGER NOT NULL,
    max_queue INTEGER NOT NULL,
    max_per_user INTEGER,
    active INTEGER NOT NULL,
    waiting INTEGER NOT NULL,
    virtual REAL NOT NULL,
    turn INTEGER NOT NULL,
    arrivals INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE running (
    process INTEGER NOT NULL,
    ticket INTEGER NOT NULL,
    model TEXT NOT NULL,
    PRIMARY KEY (process, ticket)
) WITHOUT ROWID;
CREATE TABLE waiting (
    model TEXT NOT NULL,
    user TEXT NOT NULL,
    batch INTEGER NOT NULL,
    number INTEGER NOT NULL,
    process INTEGER NOT NULL,
    ticket INTEGER NOT NULL,
    weight REAL NOT NULL,
    since REAL NOT NULL,
    request_id TEXT NOT NULL,
    PRIMARY KEY (model, user, batch, number)
) WITHOUT ROWID;
CREATE TABLE user (
    model TEXT NOT NULL,
    name TEXT NOT NULL,
    start REAL NOT NULL,
    turn INTEGER NOT NULL,
    rank INTEGER,
    since REAL,
    number INTEGER,
    PRIMARY KEY (model, name)
) WITHOUT ROWID;
CREATE INDEX user_in_order ON user (model, rank, start, turn) WHERE rank IS NOT NULL;
CREATE INDEX user_by_age ON user (model, since, number) WHERE since IS NOT NULL;
CREATE TABLE tally (
    model TEXT PRIMARY KEY,
    since REAL NOT NULL,
    used REAL NOT NULL,
    processed INTEGER NOT NULL DEFAULT 0,
    rejected INTEGER NOT NULL DEFAULT 0,
    waited_ms REAL NOT NULL DEFAULT 0,
    held_ms REAL NOT NULL DEFAULT 0,
    recent_held_ms REAL NOT NULL DEFAULT 0,
    waits BLOB NOT NULL,
    holds BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE server (
    name TEXT PRIMARY KEY,
    state TEXT NOT NULL
) WITHOUT ROWID;
"""
"""`line` has a row while something of the model runs or waits; `user` as `turns.UserTurns`:
`rank` while the user waits, `since` and `number` of the first `batch` request while rank is LAST.
"""
