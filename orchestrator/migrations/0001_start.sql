-- A frame's state has exactly one home:
--   pending, failed: inside a row of ranges; leased: a row of lease_frames; done: a row of frames.
-- The counters on jobs say the same in sum, and change in the same transaction.
-- Times are milliseconds since the Unix epoch. Ids are the sixteen bytes of a UUID, digests the thirty-two of a SHA-256.

-- Who may come in. Rows stay when a token is revoked: jobs refer to them, and a farm that has had tokens asks for them.
CREATE TABLE tokens (
    id           BLOB PRIMARY KEY,
    name         TEXT NOT NULL,
    role         TEXT NOT NULL CHECK (role IN ('submit', 'operate', 'enrol', 'agent')),
    -- The SHA-256 of the token: its beginning finds the row, the rest is compared in constant time.
    digest_head  BLOB NOT NULL UNIQUE,
    digest_tail  BLOB NOT NULL,
    agent_id     BLOB,
    enrolled_by  BLOB REFERENCES tokens (id),
    created_ms   INTEGER NOT NULL,
    expires_ms   INTEGER,
    uses_left    INTEGER CHECK (uses_left >= 0),
    last_used_ms INTEGER,
    revoked_ms   INTEGER,
    CHECK ((role = 'agent') = (agent_id IS NOT NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX tokens_of_agents ON tokens (agent_id) WHERE agent_id IS NOT NULL;
-- Owners of agents go by names: none stands for two. What agents call themselves is theirs.
CREATE UNIQUE INDEX tokens_by_name ON tokens (name) WHERE revoked_ms IS NULL AND agent_id IS NULL;

-- Raised with every token that is made or revoked, also by another process: who holds a call open looks here.
CREATE TABLE token_changes (
    generation INTEGER NOT NULL
) STRICT;

INSERT INTO token_changes VALUES (0);

CREATE TABLE scenes (
    id          BLOB PRIMARY KEY NOT NULL,
    entry       TEXT NOT NULL,
    files       INTEGER NOT NULL,
    size_bytes  INTEGER NOT NULL,
    -- How many paths the .blend wants that nobody could supply.
    lacking     INTEGER NOT NULL,
    -- The .blend that is rendered, and the Blender that saved it: '5.0'. None while nobody has looked, or it does not say.
    entry_sha256 BLOB,
    saved_by    TEXT,
    -- What the first agent that opened it has found in it, as JSON.
    inspection  TEXT,
    -- Of that, as JSON, the engine and the device of each scene in it, the active one first.
    looks       TEXT,
    created_ms  INTEGER NOT NULL,
    -- When it was registered, submitted or rendered last.
    touched_ms  INTEGER NOT NULL,
    -- Last, as it may be large: what comes before it is read without it.
    manifest    TEXT NOT NULL
) STRICT;

CREATE INDEX scenes_by_touch ON scenes (touched_ms DESC, id DESC);

-- A stored blob's file is there, whole; a missing one's is not; one that is going may be.
CREATE TABLE blobs (
    sha256      BLOB PRIMARY KEY,
    state       TEXT NOT NULL CHECK (state IN ('missing', 'stored', 'going')),
    size_bytes  INTEGER,
    touched_ms  INTEGER NOT NULL,
    CHECK ((state = 'missing') = (size_bytes IS NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX blobs_going ON blobs (sha256) WHERE state = 'going';
CREATE INDEX blobs_by_touch ON blobs (touched_ms);

-- What pins blobs: none that is named here is collected. The size is what the manifest says.
CREATE TABLE scene_blobs (
    scene_id   BLOB NOT NULL REFERENCES scenes (id) ON DELETE CASCADE,
    sha256     BLOB NOT NULL REFERENCES blobs (sha256),
    size_bytes INTEGER NOT NULL,
    PRIMARY KEY (scene_id, sha256)
) STRICT, WITHOUT ROWID;

CREATE INDEX scene_blobs_by_blob ON scene_blobs (sha256);

-- The scenes that were registered with a token, and the files whose bytes were sent with it.
CREATE TABLE scene_owners (
    token_id   BLOB NOT NULL REFERENCES tokens (id),
    scene_id   BLOB NOT NULL REFERENCES scenes (id) ON DELETE CASCADE,
    touched_ms INTEGER NOT NULL,
    PRIMARY KEY (token_id, scene_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX scene_owners_by_scene ON scene_owners (scene_id);

CREATE TABLE blob_owners (
    token_id BLOB NOT NULL REFERENCES tokens (id),
    sha256   BLOB NOT NULL REFERENCES blobs (sha256) ON DELETE CASCADE,
    PRIMARY KEY (token_id, sha256)
) STRICT, WITHOUT ROWID;

CREATE INDEX blob_owners_by_blob ON blob_owners (sha256);

-- The scenes that an agent has had work with.
CREATE TABLE given_scenes (
    agent_id BLOB NOT NULL,
    scene_id BLOB NOT NULL REFERENCES scenes (id) ON DELETE CASCADE,
    PRIMARY KEY (agent_id, scene_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX given_scenes_by_scene ON given_scenes (scene_id);

CREATE TABLE agents (
    id            BLOB PRIMARY KEY,
    name          TEXT NOT NULL,
    incarnation   INTEGER NOT NULL,
    facts         TEXT NOT NULL,
    registered_ms INTEGER NOT NULL,
    -- What its owner wants of it.
    standing      TEXT NOT NULL DEFAULT 'run' CHECK (standing IN ('run', 'drain')),
    -- Until when it gets no work: it has failed on several jobs in a row, or somebody has set it aside.
    aside_until_ms INTEGER
) STRICT, WITHOUT ROWID;

-- How known agents stand, without what they told of themselves.
CREATE INDEX agents_standing ON agents (incarnation, standing, aside_until_ms);

CREATE TABLE jobs (
    id            BLOB PRIMARY KEY,
    name          TEXT,
    -- The token that it came by; none for one that came without.
    owner         BLOB REFERENCES tokens (id),
    scene_id      BLOB NOT NULL REFERENCES scenes (id),
    batch_size    INTEGER NOT NULL CHECK (batch_size >= 1),
    created_ms    INTEGER NOT NULL,
    started_ms    INTEGER,
    ended_ms      INTEGER,
    -- Since when it has had frames to give without a break. None while it has none.
    waiting_since_ms INTEGER,
    -- When it was removed: no reader sees it from then on, and it is erased bit by bit.
    removed_ms    INTEGER,
    priority      INTEGER NOT NULL,
    control       TEXT NOT NULL DEFAULT 'active' CHECK (control IN ('active', 'paused', 'cancelled')),
    max_attempts  INTEGER NOT NULL CHECK (max_attempts >= 1),
    frame_timeout_ms INTEGER,
    stall_timeout_ms INTEGER,
    -- What it asks of Blender, as JSON.
    options       TEXT NOT NULL,
    -- What it asks of agents, as JSON.
    requirements  TEXT NOT NULL,
    -- The version of Blender that its first lease went to: all that follow go to the same. None before, or if it is mixed.
    pinned        TEXT,
    -- The kind of device likewise, of the first lease for which it was known.
    pinned_device TEXT,
    -- Frames in sequence go to one agent at a time, and never to two at once.
    frame_order   TEXT NOT NULL CHECK (frame_order IN ('any', 'sequential')),
    -- How many outputs have been recorded, those of earlier generations included: each takes the next place.
    recorded      INTEGER NOT NULL DEFAULT 0,
    -- Attempts under leases up to this epoch no longer count: somebody has asked for failed frames to be tried again.
    forgiven_epoch INTEGER NOT NULL DEFAULT 0,
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

-- What the lease query reads: jobs with something to give, in the order that they are served. Finished work is not in it.
CREATE INDEX jobs_with_work ON jobs (priority DESC, created_ms, id) WHERE pending > 0 AND control = 'active';
-- What is counted anew each time that somebody asks how the farm does. A removed job is a cancelled one.
CREATE INDEX jobs_live ON jobs (id) WHERE pending + leased > 0 AND control <> 'cancelled';
CREATE INDEX jobs_by_age ON jobs (created_ms DESC, id DESC);
CREATE INDEX jobs_by_end ON jobs (ended_ms) WHERE ended_ms IS NOT NULL AND removed_ms IS NULL;
CREATE INDEX jobs_removed ON jobs (id) WHERE removed_ms IS NOT NULL;
CREATE INDEX jobs_by_scene ON jobs (scene_id);

-- Jobs that have ended, and their frames, in sum: there may be very many, so that nobody counts them.
CREATE TABLE ended_jobs (
    state   TEXT PRIMARY KEY CHECK (state IN ('completed', 'failed', 'cancelled')),
    jobs    INTEGER NOT NULL CHECK (jobs >= 0),
    pending INTEGER NOT NULL CHECK (pending >= 0),
    leased  INTEGER NOT NULL CHECK (leased >= 0),
    done    INTEGER NOT NULL CHECK (done >= 0),
    failed  INTEGER NOT NULL CHECK (failed >= 0)
) STRICT, WITHOUT ROWID;

INSERT INTO ended_jobs VALUES ('completed', 0, 0, 0, 0, 0), ('failed', 0, 0, 0, 0, 0), ('cancelled', 0, 0, 0, 0, 0);

-- One that was in the sum is taken out with what it had, and one that belongs there is put in with what it has: a job that
-- ends, one that changes afterwards, one that is begun again, one that is removed.
CREATE TRIGGER ended_jobs_enter AFTER UPDATE OF pending, leased, done, failed, control, removed_ms ON jobs
WHEN NEW.removed_ms IS NULL AND (NEW.control = 'cancelled' OR NEW.pending + NEW.leased = 0)
BEGIN
    UPDATE ended_jobs SET jobs = jobs + 1, pending = pending + NEW.pending, leased = leased + NEW.leased,
        done = done + NEW.done, failed = failed + NEW.failed
    WHERE state = CASE WHEN NEW.control = 'cancelled' THEN 'cancelled' WHEN NEW.done = NEW.total THEN 'completed'
        ELSE 'failed' END;
END;

CREATE TRIGGER ended_jobs_leave AFTER UPDATE OF pending, leased, done, failed, control, removed_ms ON jobs
WHEN OLD.removed_ms IS NULL AND (OLD.control = 'cancelled' OR OLD.pending + OLD.leased = 0)
BEGIN
    UPDATE ended_jobs SET jobs = jobs - 1, pending = pending - OLD.pending, leased = leased - OLD.leased,
        done = done - OLD.done, failed = failed - OLD.failed
    WHERE state = CASE WHEN OLD.control = 'cancelled' THEN 'cancelled' WHEN OLD.done = OLD.total THEN 'completed'
        ELSE 'failed' END;
END;

-- What a client called its submission, so that repeating it makes no second job. Kept as long as the job.
CREATE TABLE idempotency_keys (
    -- The token that the submission came by; empty if it came without.
    owner       BLOB NOT NULL,
    key         TEXT NOT NULL,
    body_sha256 BLOB NOT NULL,
    job_id      BLOB NOT NULL REFERENCES jobs (id),
    PRIMARY KEY (owner, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_keys_by_job ON idempotency_keys (job_id);

-- Agents that have blamed a job's scene: another one is to look at it first.
CREATE TABLE job_doubts (
    job_id   BLOB NOT NULL REFERENCES jobs (id),
    agent_id BLOB NOT NULL REFERENCES agents (id),
    until_ms INTEGER NOT NULL,
    PRIMARY KEY (job_id, agent_id)
) STRICT, WITHOUT ROWID;

-- Agents that cannot render a job for what they lack, though nothing that is known of the two says so. It is forgotten after a
-- while, and with a new life of the agent.
CREATE TABLE job_refusals (
    job_id      BLOB NOT NULL REFERENCES jobs (id),
    agent_id    BLOB NOT NULL REFERENCES agents (id),
    incarnation INTEGER NOT NULL,
    until_ms    INTEGER NOT NULL,
    message     TEXT NOT NULL,
    PRIMARY KEY (job_id, agent_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX job_refusals_by_end ON job_refusals (until_ms);

-- Those of agents in their present lives.
CREATE VIEW refusals AS
    SELECT job_id, agent_id, until_ms, message
    FROM job_refusals JOIN agents ON agents.id = agent_id AND agents.incarnation = job_refusals.incarnation;

CREATE TABLE ranges (
    job_id BLOB NOT NULL REFERENCES jobs (id),
    state  TEXT NOT NULL CHECK (state IN ('pending', 'failed')),
    first  INTEGER NOT NULL,
    last   INTEGER NOT NULL CHECK (last >= first),
    generation INTEGER NOT NULL DEFAULT 1,
    -- For a while, a frame that has failed goes to another agent, or to one with more memory than this.
    picky_until_ms   INTEGER,
    avoid_agent      BLOB,
    min_memory_bytes INTEGER,
    PRIMARY KEY (job_id, state, first)
) STRICT, WITHOUT ROWID;

CREATE INDEX ranges_picky ON ranges (picky_until_ms) WHERE picky_until_ms IS NOT NULL;

CREATE TABLE leases (
    -- AUTOINCREMENT: a number that was drawn is never drawn again, not even when its row is gone.
    epoch       INTEGER PRIMARY KEY AUTOINCREMENT,
    id          BLOB NOT NULL UNIQUE,
    job_id      BLOB NOT NULL REFERENCES jobs (id),
    agent_id    BLOB NOT NULL REFERENCES agents (id),
    -- None for a lease that a heartbeat has re-adopted: then it follows another lease.
    request_id  BLOB,
    follows     INTEGER REFERENCES leases (epoch),
    first       INTEGER NOT NULL,
    last        INTEGER NOT NULL,
    generation  INTEGER NOT NULL,
    -- Which of the agent's Blenders is to render it, as JSON.
    blender     TEXT NOT NULL,
    -- The kind of device that it is to render with, where that was known.
    device      TEXT,
    granted_ms  INTEGER NOT NULL,
    ended_ms    INTEGER,
    UNIQUE (agent_id, request_id)
) STRICT;

CREATE INDEX leases_live ON leases (agent_id) WHERE ended_ms IS NULL;
CREATE INDEX leases_that_follow ON leases (follows) WHERE follows IS NOT NULL;
CREATE INDEX leases_by_job ON leases (job_id, epoch);

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
    generation        INTEGER NOT NULL,
    -- 0 once the frame is to be rendered anew: its output of this generation is history.
    current           INTEGER NOT NULL DEFAULT 1,
    epoch             INTEGER NOT NULL REFERENCES leases (epoch),
    recorded_ms       INTEGER NOT NULL,
    render_ms         INTEGER NOT NULL,
    peak_memory_bytes INTEGER,
    -- Where it comes in the order that the job's frames were recorded in.
    place             INTEGER NOT NULL,
    thumbnail_key     TEXT,
    PRIMARY KEY (job_id, frame, generation)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX frames_current ON frames (job_id, frame) WHERE current = 1;
CREATE INDEX frames_by_time ON frames (job_id, recorded_ms);
CREATE INDEX frames_by_place ON frames (job_id, place);
-- Erasing a lease looks here for frames that refer to it.
CREATE INDEX frames_by_epoch ON frames (epoch);

CREATE TABLE frame_files (
    job_id     BLOB NOT NULL,
    frame      INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    -- The picture is 0.
    position   INTEGER NOT NULL,
    name       TEXT NOT NULL,
    -- Where the file lies among the blobs.
    blob_key   TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    sha256     BLOB NOT NULL,
    width      INTEGER NOT NULL,
    height     INTEGER NOT NULL,
    PRIMARY KEY (job_id, frame, generation, name),
    FOREIGN KEY (job_id, frame, generation) REFERENCES frames (job_id, frame, generation)
) STRICT, WITHOUT ROWID;

-- Every attempt that has ended, with a frame ('done') or for a cause.
CREATE TABLE attempts (
    job_id     BLOB NOT NULL REFERENCES jobs (id),
    frame      INTEGER NOT NULL,
    epoch      INTEGER NOT NULL REFERENCES leases (epoch),
    generation INTEGER NOT NULL,
    agent_id   BLOB NOT NULL REFERENCES agents (id),
    ended_ms   INTEGER NOT NULL,
    outcome    TEXT NOT NULL,
    -- 1 where the agent has only found out that it cannot render the job: it counts for nothing.
    refusal    INTEGER NOT NULL DEFAULT 0,
    message    TEXT NOT NULL,
    log_tail   TEXT NOT NULL,
    render_ms  INTEGER,
    peak_memory_bytes INTEGER,
    PRIMARY KEY (job_id, frame, epoch)
) STRICT, WITHOUT ROWID;

CREATE INDEX attempts_by_epoch ON attempts (epoch);
CREATE INDEX attempts_of_agent ON attempts (agent_id, ended_ms DESC, epoch DESC);

-- What each agent has done for a job: its speed there, and its share.
CREATE TABLE job_agents (
    job_id    BLOB NOT NULL REFERENCES jobs (id),
    agent_id  BLOB NOT NULL REFERENCES agents (id),
    frames    INTEGER NOT NULL,
    render_ms INTEGER NOT NULL,
    PRIMARY KEY (job_id, agent_id)
) STRICT, WITHOUT ROWID;

-- What has changed, for those who watch. Only the latest are kept.
CREATE TABLE events (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms    INTEGER NOT NULL,
    kind     TEXT NOT NULL,
    job_id   BLOB,
    agent_id BLOB,
    frame    INTEGER,
    detail   TEXT NOT NULL
) STRICT;
