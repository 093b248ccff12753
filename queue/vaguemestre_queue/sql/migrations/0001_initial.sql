-- Instants are microseconds since 1970-01-01 UTC (_us). Digests are raw bytes. No patient name, matricule or title in clear.

CREATE TABLE meta (
  key   TEXT PRIMARY KEY,   -- store_id, marker_id, incarnation, fact_version, boot state
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE clients (
  client_id     TEXT PRIMARY KEY,
  name          TEXT NOT NULL,
  secret_digest TEXT NOT NULL,          -- hex SHA-256 of a 256-bit random secret
  os_identity   TEXT,                   -- uid:N or a Windows SID; NULL: any
  scopes        TEXT NOT NULL,          -- sorted, comma separated
  product       TEXT,                   -- product profile, JSON; NULL: may not send
  created_at_us INTEGER NOT NULL,
  revoked_at_us INTEGER,
  mac           BLOB NOT NULL           -- keyed digest of the row: a row written by somebody else is not believed
) STRICT, WITHOUT ROWID;

CREATE TABLE documents (
  document_id   TEXT PRIMARY KEY,
  client_id     TEXT NOT NULL REFERENCES clients (client_id),
  client_ref    TEXT NOT NULL,          -- the LGC's own reference
  set_id        TEXT NOT NULL,          -- OID, the same for all versions
  patient       TEXT NOT NULL,          -- keyed pseudonym
  title         BLOB NOT NULL,          -- sealed display name ("card")
  created_at_us INTEGER NOT NULL,
  UNIQUE (client_id, client_ref)
) STRICT, WITHOUT ROWID;

CREATE TABLE orders (
  seq                   INTEGER PRIMARY KEY,     -- order of acceptance
  order_id              TEXT NOT NULL UNIQUE,
  document_id           TEXT NOT NULL REFERENCES documents (document_id),
  client_id             TEXT NOT NULL REFERENCES clients (client_id),
  client_ref            TEXT NOT NULL,
  kind                  TEXT NOT NULL,           -- dmp.submit, dmp.replace, dmp.delete, dmp.visibility, mss.send
  state                 TEXT NOT NULL,
  version               INTEGER NOT NULL,        -- versionNumber of the document
  set_id                TEXT NOT NULL,
  unique_id             TEXT NOT NULL,           -- OID of this version, fixed at acceptance (a ready CDA brings its own)
  type_code             TEXT NOT NULL,
  professional          TEXT NOT NULL,           -- PS_IdNat under which it leaves
  lane                  TEXT NOT NULL,           -- keyed pseudonym of (patient, setId)
  guard_facts           TEXT NOT NULL,           -- JSON, no personal data
  request_digest        TEXT NOT NULL,           -- hex SHA-256 of what the client sent
  accepted_at_us        INTEGER NOT NULL,
  state_at_us           INTEGER NOT NULL,
  not_before_us         INTEGER NOT NULL,
  undo_until_us         INTEGER NOT NULL,
  undo_s                REAL NOT NULL,           -- length of the undo minutes, seconds: fresh ones are as long
  undo_boot_s           REAL NOT NULL,           -- boot-time clock at which the undo minutes end
  boot_id               TEXT NOT NULL,           -- boot in which undo_boot_s counts
  between_patients      INTEGER NOT NULL,        -- 1: may leave when the patient's file is closed
  attempts              INTEGER NOT NULL,
  next_attempt_at_us    INTEGER NOT NULL,        -- 0: at once
  waiting               TEXT,                    -- auth, network, service, station, predecessor, no_dmp
  holds                 TEXT NOT NULL,           -- sorted, comma separated; empty: none
  cancel_requested      INTEGER NOT NULL,
  predecessor           TEXT,                    -- order that must be SENT first
  predecessor_unique_id TEXT,                    -- what it must have put there
  depends_on            TEXT NOT NULL,           -- JSON list of order ids
  failure_code          TEXT,
  service_code          TEXT,
  doubt_since_us        INTEGER,
  fact_version          INTEGER NOT NULL,        -- facts under which it was accepted
  incarnation           INTEGER NOT NULL,        -- life of the store in which it was last written
  actor                 TEXT NOT NULL,           -- JSON: user, role, rpps of who wanted it
  frozen_ids            TEXT,                    -- JSON; fixed when prepared
  holder                TEXT,                    -- station that owns it, when entrusted
  custody_epoch         INTEGER NOT NULL,
  receipt               TEXT NOT NULL,           -- JSON pairs, no personal data
  given_digest          BLOB NOT NULL,           -- SHA-256 of the sealed bodies: one cannot be swapped for another
  prepared_digest       BLOB,
  signature_digest      BLOB,
  revision              INTEGER NOT NULL,
  quarantined           INTEGER NOT NULL,        -- 1: the row is not ours; never sent; outside the mac
  mac                   BLOB NOT NULL
) STRICT;

CREATE INDEX orders_of_document ON orders (document_id, seq);
CREATE INDEX orders_of_client ON orders (client_id, seq);
CREATE INDEX orders_ready ON orders (professional, next_attempt_at_us, seq)
  WHERE state = 'ready' AND holds = '' AND quarantined = 0;
CREATE INDEX orders_later ON orders (next_attempt_at_us) WHERE state = 'ready' AND holds = '' AND quarantined = 0;
CREATE INDEX orders_waiting ON orders (waiting, professional) WHERE state = 'ready' AND quarantined = 0;
-- For counting only: an index on state itself would tempt the planner away from the narrow indexes below and above.
CREATE INDEX orders_by_state ON orders (state || '');
CREATE INDEX orders_quarantined ON orders (seq) WHERE quarantined = 1;
CREATE INDEX orders_deferred ON orders (not_before_us) WHERE state = 'deferred';
CREATE INDEX orders_preparing ON orders (next_attempt_at_us, seq) WHERE state = 'preparing';
CREATE INDEX orders_doubtful ON orders (next_attempt_at_us) WHERE state = 'in_doubt';
CREATE INDEX orders_moving ON orders (state) WHERE state IN ('claimed', 'sending', 'offered', 'entrusted');
CREATE INDEX orders_in_lane ON orders (lane, seq) WHERE state NOT IN ('sent', 'cancelled', 'superseded', 'abandoned');
CREATE INDEX orders_of_unique_id ON orders (unique_id);

CREATE TABLE bodies (
  order_id      TEXT NOT NULL REFERENCES orders (order_id),
  role          TEXT NOT NULL,            -- given, prepared, signature
  envelope      BLOB NOT NULL,            -- age file, several recipients
  recipients    TEXT NOT NULL,            -- JSON list of what it was sealed to: station, professional:<id>, recovery
  created_at_us INTEGER NOT NULL,
  PRIMARY KEY (order_id, role)
) STRICT;

CREATE TABLE idempotency (
  client_id      TEXT NOT NULL REFERENCES clients (client_id),
  key            TEXT NOT NULL,
  request_digest TEXT NOT NULL,
  order_id       TEXT NOT NULL REFERENCES orders (order_id),
  at_us          INTEGER NOT NULL,
  PRIMARY KEY (client_id, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE facts (
  subject       TEXT NOT NULL,            -- keyed pseudonym of the patient, or PS_IdNat of a professional
  kind          TEXT NOT NULL,            -- opposition, consent, identity, delegation
  scope         TEXT NOT NULL,            -- episode, station and type…; empty: everything
  value         TEXT NOT NULL,
  version       INTEGER NOT NULL,         -- grows by one at each fact of this store
  actor         TEXT NOT NULL,
  at_us         INTEGER NOT NULL,
  mac           BLOB NOT NULL,
  PRIMARY KEY (subject, kind, scope, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE ledger (
  seq        INTEGER PRIMARY KEY,
  at_us      INTEGER NOT NULL,
  kind       TEXT NOT NULL,
  order_id   TEXT,
  client_id  TEXT,
  client_ref TEXT,
  actor      TEXT NOT NULL,               -- JSON
  before     TEXT,
  after      TEXT,
  detail     TEXT NOT NULL,               -- JSON pairs, no personal data
  digest     BLOB NOT NULL                -- SHA-256 over the previous digest and this line
) STRICT;

CREATE INDEX ledger_of_client ON ledger (client_id, seq);

CREATE TRIGGER ledger_is_never_updated BEFORE UPDATE ON ledger
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER ledger_is_never_deleted BEFORE DELETE ON ledger
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;

CREATE TABLE ledger_heads (
  station   TEXT NOT NULL,                -- who signed
  seq       INTEGER NOT NULL,
  digest    BLOB NOT NULL,
  signature BLOB NOT NULL,
  at_us     INTEGER NOT NULL,
  PRIMARY KEY (station, seq)
) STRICT, WITHOUT ROWID;
