//! Second factors of users: the secret that their app has as well, and the codes that they have on paper, of which only hashes are kept.

use chrono::{DateTime, Utc};

use crate::ids::UserId;
use crate::store::dialect::{fragment, statements};
use crate::store::statement::{changed_one, execute, fetch_all, fetch_optional, row};
use crate::store::{Db, Result};

row! {
    /// What a user's app makes codes from. It is not printed: whoever sees it can make them too.
    #[derive(Clone)]
    pub struct SecondFactorRow {
        /// Whose.
        pub user_id: UserId,
        /// The secret.
        pub secret: Vec<u8>,
        /// When it was made.
        pub made_at: DateTime<Utc>,
        /// When a code has shown that the app has it. None is asked for before.
        pub confirmed_at: Option<DateTime<Utc>>,
        /// Codes of this step, and of those before, were used up.
        pub last_step: i64,
        /// Wrong codes since the last right one.
        pub wrong: i32,
        /// The last of them.
        pub wrong_at: Option<DateTime<Utc>>,
    }
}

statements! {
    /// That of a user.
    OF_USER = ["SELECT * FROM second_factors WHERE user_id = $1"];
    /// The same, and whoever looks decides by it.
    LOCK = ["SELECT * FROM second_factors WHERE user_id = $1" for_update];
    /// The users who have one.
    USERS = ["SELECT user_id FROM second_factors WHERE confirmed_at IS NOT NULL"];
    /// A new secret, which no code has confirmed yet; one that is confirmed stays.
    BEGIN = [
        "INSERT INTO second_factors (user_id, secret, made_at, last_step, wrong) VALUES ($1, $2, $3, 0, 0)
         ON CONFLICT (user_id) DO UPDATE SET secret = excluded.secret, made_at = excluded.made_at
         WHERE second_factors.confirmed_at IS NULL"
    ];
    /// A code has shown that the app has it.
    CONFIRM = ["UPDATE second_factors SET confirmed_at = $2 WHERE user_id = $1 AND confirmed_at IS NULL"];
    /// A code was right, and is used up.
    USE_UP = ["UPDATE second_factors SET last_step = $2, wrong = 0, wrong_at = NULL WHERE user_id = $1 AND last_step < $2"];
    /// A code was wrong.
    COUNT_WRONG = ["UPDATE second_factors SET wrong = wrong + 1, wrong_at = $2 WHERE user_id = $1 AND wrong < 1000000"];
    /// No more codes are asked for.
    FORGET = ["DELETE FROM second_factors WHERE user_id = $1"];
    /// A code on paper.
    INSERT_CODE = ["INSERT INTO recovery_codes (user_id, code_hash) VALUES ($1, $2)"];
    /// It is used up.
    USE_CODE = ["UPDATE recovery_codes SET used_at = $3 WHERE user_id = $1 AND code_hash = $2 AND used_at IS NULL"];
    /// How many are left.
    CODES_LEFT = ["SELECT count(*) AS codes FROM recovery_codes WHERE user_id = $1 AND used_at IS NULL"];
    /// Those of before are good no more.
    FORGET_CODES = ["DELETE FROM recovery_codes WHERE user_id = $1"];
    /// Whoever used one has made no mistake.
    FORGIVE = ["UPDATE second_factors SET wrong = 0, wrong_at = NULL WHERE user_id = $1"];
}

impl Db<'_> {
    /// The second factor of a user, confirmed or not.
    pub async fn second_factor(&mut self, user: UserId) -> Result<Option<SecondFactorRow>> {
        fetch_optional!(self, OF_USER, user)
    }

    /// The same, locked.
    pub async fn lock_second_factor(&mut self, user: UserId) -> Result<Option<SecondFactorRow>> {
        fetch_optional!(self, LOCK, user)
    }

    /// The users who have a second factor that is asked for.
    pub async fn users_with_second_factor(&mut self) -> Result<Vec<UserId>> {
        let rows: Vec<(UserId,)> = fetch_all!(self, USERS)?;
        Ok(rows.into_iter().map(|(user,)| user).collect())
    }

    /// Keeps a new secret that no code has confirmed; false when there is one that is confirmed.
    pub async fn begin_second_factor(&mut self, user: UserId, secret: &[u8], now: DateTime<Utc>) -> Result<bool> {
        changed_one!(self, BEGIN, user, secret, now)
    }

    /// From now on codes are asked for; false when they were before.
    pub async fn confirm_second_factor(&mut self, user: UserId, now: DateTime<Utc>) -> Result<bool> {
        changed_one!(self, CONFIRM, user, now)
    }

    /// Uses up all codes up to this step; false when another one was used for that meanwhile.
    pub async fn use_up_step(&mut self, user: UserId, step: i64) -> Result<bool> {
        changed_one!(self, USE_UP, user, step)
    }

    /// Counts a wrong code.
    pub async fn count_wrong_code(&mut self, user: UserId, now: DateTime<Utc>) -> Result<()> {
        execute!(self, COUNT_WRONG, user, now).map(|_| ())
    }

    /// Asks for no more codes; false when none were asked for.
    pub async fn forget_second_factor(&mut self, user: UserId) -> Result<bool> {
        execute!(self, FORGET_CODES, user)?;
        changed_one!(self, FORGET, user)
    }

    /// Keeps the hashes of these codes on paper, in place of those of before.
    pub async fn set_recovery_codes(&mut self, user: UserId, hashes: &[[u8; 32]]) -> Result<()> {
        execute!(self, FORGET_CODES, user)?;
        for hash in hashes {
            execute!(self, INSERT_CODE, user, &hash[..])?;
        }
        Ok(())
    }

    /// Uses up a code on paper; false when it is none, or was used before.
    pub async fn use_recovery_code(&mut self, user: UserId, hash: &[u8], now: DateTime<Utc>) -> Result<bool> {
        let used: bool = changed_one!(self, USE_CODE, user, hash, now)?;
        if used {
            execute!(self, FORGIVE, user)?;
        }
        Ok(used)
    }

    /// How many codes on paper are left.
    pub async fn recovery_codes_left(&mut self, user: UserId) -> Result<i64> {
        let row: Option<(i64,)> = fetch_optional!(self, CODES_LEFT, user)?;
        Ok(row.map_or(0, |(count,)| count))
    }
}
