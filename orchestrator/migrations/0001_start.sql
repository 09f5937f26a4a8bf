-- A frame's state has exactly one home:
--   pending, failed: inside a row of ranges; leased: a row of lease_frames; done: a row of frames.
-- The counters on jobs say the same in sum, and change in the same transaction.
-- Times are milliseconds since the Unix epoch. Ids are the sixteen bytes of a UUID, digests the thirty-two of a SHA-256.

CREATE TABLE scenes (
    id       BLOB PRIMARY KEY,
    manifest TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE agents (
    id            BLOB PRIMARY KEY,
    name          TEXT NOT NULL,
    incarnation   INTEGER NOT NULL,
    facts         TEXT NOT NULL,
    registered_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE jobs (
    id            BLOB PRIMARY KEY,
    name          TEXT,
    scene_id      BLOB NOT NULL REFERENCES scenes (id),
    batch_size    INTEGER NOT NULL CHECK (batch_size >= 1),
    created_ms    INTEGER NOT NULL,
    started_ms    INTEGER,
    ended_ms      INTEGER,
    -- The scene's own fault, which fails what is left of the job at once.
    fault_cause   TEXT,
    fault_message TEXT,
    total         INTEGER NOT NULL CHECK (total >= 1),
    pending       INTEGER NOT NULL CHECK (pending >= 0),
    leased        INTEGER NOT NULL CHECK (leased >= 0),
    done          INTEGER NOT NULL CHECK (done >= 0),
    failed        INTEGER NOT NULL CHECK (failed >= 0),
    CHECK (pending + leased + done + failed = total)
) STRICT, WITHOUT ROWID;

-- What the lease query reads: jobs with something to give, oldest first. Finished work is not in it.
CREATE INDEX jobs_with_work ON jobs (created_ms, id) WHERE pending > 0;
CREATE INDEX jobs_unfinished ON jobs (id) WHERE pending + leased > 0;

CREATE TABLE ranges (
    job_id BLOB NOT NULL REFERENCES jobs (id),
    state  TEXT NOT NULL CHECK (state IN ('pending', 'failed')),
    first  INTEGER NOT NULL,
    last   INTEGER NOT NULL CHECK (last >= first),
    PRIMARY KEY (job_id, state, first)
) STRICT, WITHOUT ROWID;

CREATE TABLE leases (
    -- AUTOINCREMENT: a number that was drawn is never drawn again, not even when its row is gone.
    epoch       INTEGER PRIMARY KEY AUTOINCREMENT,
    id          BLOB NOT NULL UNIQUE,
    job_id      BLOB NOT NULL REFERENCES jobs (id),
    agent_id    BLOB NOT NULL REFERENCES agents (id),
    request_id  BLOB NOT NULL,
    first       INTEGER NOT NULL,
    last        INTEGER NOT NULL,
    granted_ms  INTEGER NOT NULL,
    ended_ms    INTEGER,
    UNIQUE (agent_id, request_id)
) STRICT;

CREATE INDEX leases_live ON leases (agent_id) WHERE ended_ms IS NULL;

CREATE TABLE lease_frames (
    epoch  INTEGER NOT NULL REFERENCES leases (epoch),
    frame  INTEGER NOT NULL,
    job_id BLOB NOT NULL,
    PRIMARY KEY (epoch, frame)
) STRICT, WITHOUT ROWID;

CREATE INDEX lease_frames_by_job ON lease_frames (job_id, frame);

CREATE TABLE frames (
    job_id            BLOB NOT NULL REFERENCES jobs (id),
    frame             INTEGER NOT NULL,
    epoch             INTEGER NOT NULL REFERENCES leases (epoch),
    recorded_ms       INTEGER NOT NULL,
    render_ms         INTEGER NOT NULL,
    peak_memory_bytes INTEGER,
    PRIMARY KEY (job_id, frame)
) STRICT, WITHOUT ROWID;

CREATE INDEX frames_by_time ON frames (job_id, recorded_ms);

CREATE TABLE frame_files (
    job_id     BLOB NOT NULL,
    frame      INTEGER NOT NULL,
    name       TEXT NOT NULL,
    -- Where the file lies among the blobs.
    blob_key   TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    sha256     BLOB NOT NULL,
    width      INTEGER NOT NULL,
    height     INTEGER NOT NULL,
    PRIMARY KEY (job_id, frame, name),
    FOREIGN KEY (job_id, frame) REFERENCES frames (job_id, frame)
) STRICT, WITHOUT ROWID;

-- Attempts that ended without a frame. One that brought a frame is a row of frames.
CREATE TABLE failed_attempts (
    job_id   BLOB NOT NULL REFERENCES jobs (id),
    frame    INTEGER NOT NULL,
    epoch    INTEGER NOT NULL REFERENCES leases (epoch),
    ended_ms INTEGER NOT NULL,
    cause    TEXT NOT NULL,
    message  TEXT NOT NULL,
    log_tail TEXT NOT NULL,
    PRIMARY KEY (job_id, frame, epoch)
) STRICT, WITHOUT ROWID;

-- What each agent has done for a job: its speed there, and its share.
CREATE TABLE job_agents (
    job_id    BLOB NOT NULL REFERENCES jobs (id),
    agent_id  BLOB NOT NULL REFERENCES agents (id),
    frames    INTEGER NOT NULL,
    render_ms INTEGER NOT NULL,
    PRIMARY KEY (job_id, agent_id)
) STRICT, WITHOUT ROWID;
