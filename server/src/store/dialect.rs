//! The only place that knows how the two SQL dialects differ; everything is settled at compile time.

/// Which database a statement is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// PostgreSQL.
    Postgres,
    /// SQLite.
    Sqlite,
}

/// One statement in both dialects; all but the named fragments is one text.
#[derive(Debug)]
pub struct Sql {
    /// The constant's name, for errors and tests.
    pub name: &'static str,
    /// The module it stands in: several have an `INSERT`.
    pub module: &'static str,
    /// Text for PostgreSQL.
    pub postgres: &'static str,
    /// Text for SQLite.
    pub sqlite: &'static str,
}

impl Sql {
    /// The text for one database.
    #[must_use]
    pub const fn on(&self, dialect: Dialect) -> &'static str {
        match dialect {
            Dialect::Postgres => self.postgres,
            Dialect::Sqlite => self.sqlite,
        }
    }
}

/// What differs: row locks (SQLite has one writer at a time, so there the transaction is the lock), hints, lists; and what several
/// statements ask in the same words.
macro_rules! fragment {
    (postgres skip_locked) => {
        " FOR UPDATE SKIP LOCKED "
    };
    (sqlite skip_locked) => {
        " "
    };
    (postgres for_update) => {
        " FOR UPDATE "
    };
    (sqlite for_update) => {
        " "
    };
    // Rows that point at this one may be written meanwhile.
    (postgres for_no_key_update) => {
        " FOR NO KEY UPDATE "
    };
    (sqlite for_no_key_update) => {
        " "
    };
    // Before a column by which rows must not be looked for, because most have the same value there. Postgres knows that from its
    // statistics; SQLite may have none.
    (postgres unindexed) => {
        " "
    };
    (sqlite unindexed) => {
        " +"
    };
    // SQLite takes the unique index on hand-overs instead, which finds all messages that have none.
    (postgres by_age_if_loose) => {
        " "
    };
    (sqlite by_age_if_loose) => {
        " INDEXED BY sms_outbox_loose "
    };
    // Among the ids of a JSON list, the first parameter: as many as there are, in one statement.
    (postgres in_list) => {
        " IN (SELECT value::uuid FROM json_array_elements_text(CAST($1 AS text)::json) AS list (value)) "
    };
    (sqlite in_list) => {
        " IN (SELECT unhex(replace(value, '-', '')) FROM json_each($1)) "
    };
    // Among the numeric ids of a JSON list, the first parameter.
    (postgres in_numbers) => {
        " IN (SELECT value::bigint FROM json_array_elements_text(CAST($1 AS text)::json) AS list (value)) "
    };
    (sqlite in_numbers) => {
        " IN (SELECT value FROM json_each($1)) "
    };
    // Among the texts of a JSON list, the fourth parameter.
    (postgres among_needs) => {
        " IN (SELECT value FROM json_array_elements_text(CAST($4 AS text)::json) AS list (value)) "
    };
    (sqlite among_needs) => {
        " IN (SELECT value FROM json_each($4)) "
    };
    // What is to be counted of a JSON list, the first parameter, as rows.
    (postgres things_to_count) => {
        " json_to_recordset(CAST($1 AS text)::json) AS n (alarm uuid, hunt uuid, record bigint, mid text) "
    };
    (sqlite things_to_count) => {
        " (SELECT unhex(replace(value ->> 'alarm', '-', '')) AS alarm, unhex(replace(value ->> 'hunt', '-', '')) AS hunt,
                  value ->> 'record' AS record, value ->> 'mid' AS mid
           FROM json_each($1)) AS n "
    };
    // The sightings of handsets of a JSON list, the first parameter, as rows.
    (postgres sightings) => {
        " json_to_recordset(CAST($1 AS text)::json)
            AS s (id uuid, at timestamptz, address text, model text, user_agent text, seconds double precision) "
    };
    (sqlite sightings) => {
        " (SELECT unhex(replace(value ->> 'id', '-', '')) AS id, value ->> 'at' AS at, value ->> 'address' AS address,
                  value ->> 'model' AS model, value ->> 'user_agent' AS user_agent, value ->> 'seconds' AS seconds
           FROM json_each($1)) AS s "
    };
    // The numbers of a dial of a JSON list, the first parameter, as rows.
    (postgres numbers_of_dial) => {
        " json_to_recordset(CAST($1 AS text)::json)
            AS n (place integer, callee uuid, person uuid, name text, number text, dialled text, passes integer) "
    };
    (sqlite numbers_of_dial) => {
        " (SELECT value ->> 'place' AS place, unhex(replace(value ->> 'callee', '-', '')) AS callee,
                  unhex(replace(value ->> 'person', '-', '')) AS person, value ->> 'name' AS name, value ->> 'number' AS number,
                  value ->> 'dialled' AS dialled, value ->> 'passes' AS passes
           FROM json_each($1)) AS n "
    };
    // The calls of other systems of a JSON list, the first parameter, as rows.
    (postgres replicated_calls) => {
        " json_to_recordset(CAST($1 AS text)::json)
            AS n (mid text, direction text, person uuid, name text, number text, written text, at timestamptz, caller text, said text,
                  seconds bigint, url text, key uuid, contact bigint) "
    };
    (sqlite replicated_calls) => {
        " (SELECT value ->> 'mid' AS mid, value ->> 'direction' AS direction, unhex(replace(value ->> 'person', '-', '')) AS person,
                  value ->> 'name' AS name, value ->> 'number' AS number, value ->> 'written' AS written, value ->> 'at' AS at,
                  value ->> 'caller' AS caller, value ->> 'said' AS said, value ->> 'seconds' AS seconds, value ->> 'url' AS url,
                  unhex(replace(value ->> 'key', '-', '')) AS key, value ->> 'contact' AS contact
           FROM json_each($1)) AS n "
    };
    // The recipients of a shout of a JSON list, the first parameter, as rows.
    (postgres recipients) => {
        " json_to_recordset(CAST($1 AS text)::json) AS n (place integer, phone text, number text, status text, q850 integer) "
    };
    (sqlite recipients) => {
        " (SELECT value ->> 'place' AS place, value ->> 'phone' AS phone, value ->> 'number' AS number, value ->> 'status' AS status,
                  value ->> 'q850' AS q850
           FROM json_each($1)) AS n "
    };
    // The texts of a JSON list, the first parameter, as rows with their places.
    (postgres lines) => {
        " json_array_elements_text(CAST($1 AS text)::json) WITH ORDINALITY AS n (line, place) "
    };
    (sqlite lines) => {
        " (SELECT value AS line, key AS place FROM json_each($1)) AS n "
    };
    // How far the numeric ids of a table have got, by the database's own count; the first parameter is its name. And to where they go on.
    (postgres ids_counted) => {
        " SELECT coalesce(pg_sequence_last_value(pg_get_serial_sequence($1, 'id')::regclass), 0) AS reached "
    };
    (sqlite ids_counted) => {
        " SELECT coalesce(max(seq), 0) AS reached FROM sqlite_sequence WHERE name = $1 "
    };
    (postgres ids_go_on) => {
        " SELECT setval(pg_get_serial_sequence($1, 'id')::regclass, $2) AS reached "
    };
    (sqlite ids_go_on) => {
        " UPDATE sqlite_sequence SET seq = $2 WHERE name = $1 RETURNING seq AS reached "
    };
    // The words of an alarm, by which it is found: a JSON list, the second parameter, of the number that is the first. SQLite has a table of
    // words alone, in which the number is the row.
    (postgres keep_sought) => {
        " INSERT INTO sought (number, words)
          VALUES ($1, array_to_tsvector(ARRAY(SELECT value FROM json_array_elements_text(CAST($2 AS text)::json) AS list (value))))
          ON CONFLICT (number) DO UPDATE SET words = excluded.words "
    };
    (sqlite keep_sought) => {
        " INSERT OR REPLACE INTO sought (rowid, words) VALUES ($1, (SELECT group_concat(value, ' ') FROM json_each($2))) "
    };
    // The people of the rows `found` as a JSON list, and the remarks.
    (postgres people_listed) => {
        " CAST(coalesce(json_agg(json_build_object('person', found.person_id, 'name', found.name, 'number', found.number)), '[]') AS text) "
    };
    (sqlite people_listed) => {
        " json_group_array(json_object('person', CASE WHEN found.person_id IS NOT NULL THEN lower(hex(found.person_id)) END,
                                      'name', found.name, 'number', found.number)) "
    };
    (postgres notes_listed) => {
        " CAST(coalesce(json_agg(found.body ->> 'text'), '[]') AS text) "
    };
    (sqlite notes_listed) => {
        " json_group_array(found.body ->> 'text') "
    };
    // That an alarm has these words, the first parameter; nothing is to be guessed of how many do. And its number, by which Postgres must
    // not look for them.
    (postgres has_sought) => {
        " words @@ (SELECT CAST($1 AS text)::tsquery) "
    };
    (sqlite has_sought) => {
        " sought MATCH $1 "
    };
    (postgres sought_number) => {
        " number + 0 "
    };
    (sqlite sought_number) => {
        " rowid "
    };
    // One text for both: of a callee `c`, that a call was given up for want of a report, and that of none there is one. A dial that
    // nobody reported proves nothing.
    ($_dialect:ident no_report) => {
        " (EXISTS (SELECT 1 FROM dial_targets t JOIN dials d ON d.mid = t.mid WHERE t.callee_id = c.id AND d.outcome = 'expired')
           AND NOT EXISTS (SELECT 1 FROM dial_targets t JOIN dials d ON d.mid = t.mid
                           WHERE t.callee_id = c.id AND d.reported_at IS NOT NULL)) "
    };
    // Of a hunt, that it is open and of alarms: what people look at.
    ($_dialect:ident open_of_alarms) => {
        " ended_at IS NULL AND kind = 'alarm' "
    };
    // All of an alarm `a`, with what its hunt `h` says of it.
    ($_dialect:ident alarm_columns) => {
        " a.*, h.mode, h.until, h.dry_run, h.created_at AS hunt_created_at, h.begun_at, h.ended_at, h.outcome, h.end_reason "
    };
    // All of a key but its secrets.
    ($_dialect:ident key_columns) => {
        " id, name, phones, rights, from_before, bounds, expires_at, phonecalls, places, signing, certificate, created_at,
           last_used_at, last_used_from, old_until, revoked_at "
    };
    // What a text message `t` told of an alarm `a`, with what has become of it by its hunt `h`, and of the message.
    ($_dialect:ident text_columns) => {
        " t.alarm_id, a.summary, a.priority, t.code, t.callee_id, t.hunt_id AS told_by, a.hunt_id, t.at, a.resolved_at,
           a.cancelled_at, h.outcome,
           (SELECT count(*) FROM answers n WHERE n.hunt_id = a.hunt_id AND n.callee_id = t.callee_id) AS own_answers,
           EXISTS (SELECT 1 FROM callees c WHERE c.id = t.callee_id AND c.verdict = 'declined') AS declined,
           (SELECT o.due_at FROM sms_outbox o WHERE o.id = t.sms_id AND o.gave_up_at IS NULL AND o.command_id IS NULL
              AND (o.sent_at IS NOT NULL OR o.taken_until IS NOT NULL)) AS taken_until,
           (SELECT o.sent_at FROM sms_outbox o WHERE o.id = t.sms_id) AS sent_at,
           (SELECT m.handed_at FROM sms_outbox o JOIN handset_commands m ON m.id = o.command_id
            WHERE o.id = t.sms_id AND o.gave_up_at IS NULL) AS handed_at "
    };
    ($_dialect:ident $text:literal) => {
        $text
    };
}

/// Declares statements: string literals are shared, bare words are fragments. `ALL` lists them, so that a test can
/// prepare every one on both databases.
macro_rules! statements {
    ($( $(#[$meta:meta])* $name:ident = [ $($part:tt)+ ]; )+) => {
        $( $(#[$meta])* pub const $name: $crate::store::dialect::Sql = $crate::store::dialect::Sql {
            name: stringify!($name),
            module: module_path!(),
            postgres: statements!(@join postgres [] $($part)+),
            sqlite: statements!(@join sqlite [] $($part)+),
        }; )+
        /// Every statement of this module.
        pub const ALL: &[$crate::store::dialect::Sql] = &[$($name),+];
    };
    (@join $dialect:ident [$($done:tt)*]) => { concat!($($done)*) };
    (@join $dialect:ident [$($done:tt)*] $part:tt $($rest:tt)*) => {
        statements!(@join $dialect [$($done)* fragment!($dialect $part),] $($rest)*)
    };
}

pub(crate) use {fragment, statements};
