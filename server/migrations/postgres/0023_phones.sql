-- A phone is one, by whichever of its numbers it is reached: Argentina's mobiles with a 9 after the country code and without it, Mexico's
-- with a 1 as once. What is compared, held and looked for is the phone; what is dialled stays the number. New rows get theirs from
-- numbers.rs, which says the same.
ALTER TABLE dial_targets ADD COLUMN phone TEXT;                     -- NULL: not asked for any more
ALTER TABLE dial_targets ADD COLUMN offered_at TIMESTAMPTZ;
ALTER TABLE callees ADD COLUMN phone TEXT;                          -- NULL: its hunt was over before

-- Calls that are under way or may still be replied to. Two that ring one phone right now both go on: the phone is held by the one that has
-- the shorter number, and the other holds the number by which it rings.
UPDATE dial_targets SET
    offered_at = (SELECT d.offered_at FROM dials d WHERE d.mid = dial_targets.mid),
    phone = CASE
        WHEN (number LIKE '+549__________' OR number LIKE '+521__________')
          AND NOT (holds AND EXISTS (SELECT 1 FROM dial_targets o
              WHERE o.holds AND o.number = substr(dial_targets.number, 1, 3) || substr(dial_targets.number, 5)))
        THEN substr(number, 1, 3) || substr(number, 5)
        ELSE number END
WHERE holds OR mid IN (SELECT mid FROM dials WHERE offered_at > (SELECT max(offered_at) - interval '31 days' FROM dials));
UPDATE callees SET phone = CASE WHEN (number LIKE '+549__________' OR number LIKE '+521__________') THEN substr(number, 1, 3) || substr(number, 5) ELSE number END
WHERE hunt_id IN (SELECT id FROM hunts WHERE ended_at IS NULL);
CREATE UNIQUE INDEX dial_targets_phone ON dial_targets (phone) WHERE holds;

-- For which alarm a phone was rung last: found by time, however often it was rung before.
CREATE INDEX dial_targets_rung ON dial_targets (phone, offered_at) WHERE offered_at IS NOT NULL;
DROP INDEX dial_targets_by_number;
CREATE INDEX hand_overs_lately ON hand_overs (number, at) WHERE verify_alarm_id IS NOT NULL;
DROP INDEX hand_overs_by_number;

-- Numbers of Mexico that were stored with the 1 that is not dialled any more.
UPDATE person_numbers SET number = substr(number, 1, 3) || substr(number, 5)
WHERE number LIKE '+521__________'
  AND NOT EXISTS (SELECT 1 FROM person_numbers o WHERE o.number = substr(person_numbers.number, 1, 3) || substr(person_numbers.number, 5));
UPDATE do_not_call SET number = substr(number, 1, 3) || substr(number, 5)
WHERE number LIKE '+521__________'
  AND NOT EXISTS (SELECT 1 FROM do_not_call o WHERE o.number = substr(do_not_call.number, 1, 3) || substr(do_not_call.number, 5));

-- Commands to handsets are forgotten in the order in which they were given.
CREATE INDEX handset_commands_created ON handset_commands (created_at);
