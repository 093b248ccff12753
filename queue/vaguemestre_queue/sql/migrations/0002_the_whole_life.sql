-- The whole life of an order: what 0001 had no place for. Columns added to orders are outside the digest of a row.

-- Who is served next. Outside the digest: forging asked_now changes an order of departure, never what leaves;
-- service is computed from kind, which the digest covers.
ALTER TABLE orders ADD COLUMN asked_now INTEGER NOT NULL DEFAULT 0;   -- 1: a person asked to send it
ALTER TABLE orders ADD COLUMN service TEXT GENERATED ALWAYS AS (substr(kind, 1, instr(kind, '.') - 1)) VIRTUAL;
DROP INDEX orders_ready;
CREATE INDEX orders_ready ON orders (service, professional, client_id, asked_now, next_attempt_at_us, seq)
  WHERE state = 'ready' AND holds = '' AND quarantined = 0;
DROP INDEX orders_waiting;
CREATE INDEX orders_waiting ON orders (waiting, professional, client_id) WHERE state = 'ready' AND quarantined = 0;
CREATE INDEX orders_doubts_of ON orders (professional, client_id, next_attempt_at_us) WHERE state = 'in_doubt';

-- Facts act on all that waits for a patient: found without reading every document.
CREATE INDEX documents_of_patient ON documents (patient);

-- Orders that are over and whose bodies are still here, with the kept time (see retention.py) at which that was seen.
CREATE TABLE ended (
  order_id TEXT PRIMARY KEY REFERENCES orders (order_id),
  kept_s   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Failures that an order alone is blamed for; at a limit a person is needed. Outside the digest: forging it only delays.
ALTER TABLE orders ADD COLUMN strikes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE orders ADD COLUMN restarts INTEGER NOT NULL DEFAULT 0;    -- times the agent was killed while it was leaving

-- Ends of orders in the ledger, for the indicators of a period.
CREATE INDEX ledger_of_ends ON ledger (at_us) WHERE after IN ('sent', 'rejected') AND before <> after;

-- Which keys bodies are sealed to, without reading the bodies: a retired key is dropped when nothing needs it.
CREATE INDEX bodies_sealed_to ON bodies (recipients);

-- Bodies that go when their days have passed: the references of documents that are at the DMP stay, and are not looked at.
CREATE INDEX bodies_that_go ON bodies (order_id) WHERE role <> 'reference';
CREATE INDEX orders_deleting ON orders (document_id) WHERE kind = 'dmp.delete' AND state = 'sent';

-- Versions sent hidden from the patient, to announce within months.
CREATE INDEX orders_hidden ON orders (state_at_us, client_id)
  WHERE state = 'sent' AND kind IN ('dmp.submit', 'dmp.replace') AND instr(guard_facts, '"INVISIBLE_PATIENT"') > 0;

-- The ledger's last word about an order: a row of the past, written back, is recognised by it (see setback.py).
CREATE INDEX ledger_of_order ON ledger (order_id, seq) WHERE after IS NOT NULL;

-- Copies elsewhere whose body was destroyed here: file name of the copy, keyed digest. They go as soon as their place is there.
CREATE TABLE destroyed_bodies (
  name TEXT PRIMARY KEY,
  mac  BLOB NOT NULL
) STRICT, WITHOUT ROWID;
