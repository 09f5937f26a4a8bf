//! Tokens: who may come in, by the digest of what they show. Of a digest the first eight bytes find the row, and what is left
//! is compared in constant time: what the search's timing could tell is of a digest, which leads back to no token.

use std::time::Duration;

use async_trait::async_trait;
use haywain_shared::digest::Sha256Digest;
use haywain_shared::ids::{AgentId, TokenId};
use haywain_shared::scene::SceneId;
use haywain_shared::token::Role;
use sqlx::sqlite::SqliteRow;
use subtle::ConstantTimeEq as _;

use super::columns::{
    as_ms, blob_bytes, count, database_error, integer, optional_bytes, optional_count, optional_integer, text,
};
use super::writer::Tx;
use super::{SqliteStore, agents, sight};
use crate::clock::UnixMs;
use crate::store::{
    Admission, Admissions, Enrolment, NewToken, Pass, Registration, Sight, StoreError, Thing, TokenReport,
    TokenStanding,
};

const KEEP: &str = "/* keep token */
    INSERT INTO tokens (id, name, role, digest_head, digest_tail, agent_id, enrolled_by, created_ms, expires_ms, uses_left)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
const NAME_TAKEN: &str = "/* tokens of a name */
    SELECT EXISTS (SELECT 1 FROM tokens WHERE name = ?1 AND revoked_ms IS NULL AND agent_id IS NULL) AS taken";
const CHANGED: &str = "/* tokens changed */ UPDATE token_changes SET generation = generation + 1";
const CHANGES: &str = "/* token changes */ SELECT generation FROM token_changes";
const ALL: &str = "/* all tokens */ SELECT * FROM tokens ORDER BY created_ms, id";
const REVOKE: &str = "/* revoke token */ UPDATE tokens SET revoked_ms = coalesce(revoked_ms, ?2) WHERE id = ?1";
const BY_HEAD: &str = "/* token by its digest */ SELECT * FROM tokens WHERE digest_head = ?1";
const BY_ID: &str = "/* token by id */ SELECT * FROM tokens WHERE id = ?1";
const TOUCH: &str =
    "/* token used */ UPDATE tokens SET last_used_ms = max(coalesce(last_used_ms, 0), ?2) WHERE id = ?1";
const USE_UP: &str = "/* use up an enrolment */
    UPDATE tokens SET uses_left = uses_left - 1
    WHERE id = ?1 AND role = 'enrol' AND revoked_ms IS NULL AND (expires_ms IS NULL OR expires_ms > ?2)
        AND (uses_left IS NULL OR uses_left > 0)";
const LIVE_OF_AGENT: &str = "/* good tokens of an agent */
    SELECT EXISTS (SELECT 1 FROM tokens WHERE agent_id = ?1 AND revoked_ms IS NULL) AS has";

/// The bytes of a digest by which its row is found.
const HEAD_BYTES: usize = 8;
/// The moment of a token's last use is kept no more precisely: it costs a commit.
const USED_WITHIN: Duration = Duration::from_mins(1);

async fn keep(tx: &mut Tx, token: NewToken) -> Result<(), StoreError> {
    let row = sqlx::query(NAME_TAKEN).bind(token.name.clone()).fetch_one(&mut tx.conn);
    if integer(&row.await.map_err(database_error)?, "taken")? != 0 {
        return Err(StoreError::NameTaken(token.name));
    }
    let expires_ms = token.good_for.map(|span| tx.now_ms.saturating_add(as_ms(span)));
    insert(tx, &token, None, None, expires_ms).await
}

async fn insert(
    tx: &mut Tx,
    token: &NewToken,
    agent: Option<AgentId>,
    enrolled_by: Option<TokenId>,
    expires_ms: Option<UnixMs>,
) -> Result<(), StoreError> {
    let (head, tail) = token.digest.as_bytes().split_at(HEAD_BYTES);
    sqlx::query(KEEP)
        .bind(&token.id.as_bytes()[..])
        .bind(token.name.clone())
        .bind(token.role.word())
        .bind(head)
        .bind(tail)
        .bind(agent.map(|agent| agent.as_bytes().to_vec()))
        .bind(enrolled_by.map(|token| token.as_bytes().to_vec()))
        .bind(tx.now_ms)
        .bind(expires_ms)
        .bind(token.uses)
        .execute(&mut tx.conn)
        .await
        .map_err(database_error)?;
    changed(tx).await
}

async fn changed(tx: &mut Tx) -> Result<(), StoreError> {
    sqlx::query(CHANGED).execute(&mut tx.conn).await.map(drop).map_err(database_error)
}

async fn revoke(tx: &mut Tx, token: TokenId) -> Result<(), StoreError> {
    let revoked = sqlx::query(REVOKE).bind(&token.as_bytes()[..]).bind(tx.now_ms).execute(&mut tx.conn);
    if revoked.await.map_err(database_error)?.rows_affected() == 0 {
        return Err(StoreError::UnknownToken(token));
    }
    changed(tx).await
}

async fn touch(tx: &mut Tx, token: TokenId) -> Result<(), StoreError> {
    let touched = sqlx::query(TOUCH).bind(&token.as_bytes()[..]).bind(tx.now_ms).execute(&mut tx.conn);
    touched.await.map(drop).map_err(database_error)
}

/// The row of the token with this digest.
fn with_digest(row: Option<SqliteRow>, digest: Sha256Digest) -> Result<Option<SqliteRow>, StoreError> {
    let Some(row) = row else { return Ok(None) };
    let same = bool::from(blob_bytes(&row, "digest_tail")?.ct_eq(&digest.as_bytes()[HEAD_BYTES..]));
    Ok(same.then_some(row))
}

async fn enrol(tx: &mut Tx, enrolment: Enrolment, registration: Registration) -> Result<(), StoreError> {
    let agent = registration.agent;
    let row = sqlx::query(BY_HEAD).bind(&enrolment.own.as_bytes()[..HEAD_BYTES]).fetch_optional(&mut tx.conn);
    if let Some(row) = with_digest(row.await.map_err(database_error)?, enrolment.own)? {
        let own = report(&row, tx.now_ms)?;
        if own.agent != Some(agent) {
            return Err(StoreError::EnrolledAlready(agent));
        }
        if own.standing != TokenStanding::Good {
            return Err(StoreError::ShutOut(agent));
        }
    } else {
        give_own(tx, enrolment, &registration).await?;
    }
    agents::register(tx, registration).await
}

/// Gives an agent a token of its own, for a use of an enrolment token.
async fn give_own(tx: &mut Tx, enrolment: Enrolment, registration: &Registration) -> Result<(), StoreError> {
    let agent = registration.agent;
    let row = sqlx::query(LIVE_OF_AGENT).bind(&agent.as_bytes()[..]).fetch_one(&mut tx.conn);
    if integer(&row.await.map_err(database_error)?, "has")? != 0 {
        return Err(StoreError::EnrolledAlready(agent));
    }
    let used = sqlx::query(USE_UP).bind(&enrolment.by.as_bytes()[..]).bind(tx.now_ms).execute(&mut tx.conn);
    if used.await.map_err(database_error)?.rows_affected() == 0 {
        return Err(StoreError::EnrolmentOver);
    }
    let own = NewToken {
        id: TokenId::generate(),
        name: registration.name.clone(),
        role: Role::Agent,
        digest: enrolment.own,
        good_for: None,
        uses: None,
    };
    insert(tx, &own, Some(agent), Some(enrolment.by), None).await
}

fn report(row: &SqliteRow, now_ms: UnixMs) -> Result<TokenReport, StoreError> {
    let expires_ms = optional_integer(row, "expires_ms")?;
    let role = text(row, "role")?;
    Ok(TokenReport {
        id: optional_bytes(row, "id")?.map(TokenId::from_bytes).ok_or_else(|| damaged("id"))?,
        name: text(row, "name")?,
        role: Role::from_word(&role).ok_or_else(|| damaged("role"))?,
        agent: optional_bytes(row, "agent_id")?.map(AgentId::from_bytes),
        enrolled_by: optional_bytes(row, "enrolled_by")?.map(TokenId::from_bytes),
        created_ms: integer(row, "created_ms")?,
        expires_ms,
        uses_left: optional_count(row, "uses_left")?,
        last_used_ms: optional_integer(row, "last_used_ms")?,
        standing: if optional_integer(row, "revoked_ms")?.is_some() {
            TokenStanding::Revoked
        } else if expires_ms.is_some_and(|expires_ms| expires_ms <= now_ms) {
            TokenStanding::Expired
        } else {
            TokenStanding::Good
        },
    })
}

fn damaged(column: &str) -> StoreError {
    StoreError::Inconsistent(format!("column {column} of a token holds what it never can"))
}

fn admission(token: TokenReport, now_ms: UnixMs) -> Admission {
    let TokenReport { id, name, role, agent, expires_ms, standing, .. } = token;
    if standing != TokenStanding::Good {
        return Admission::Over(standing);
    }
    let left = expires_ms.map(|expires_ms| Duration::from_millis(expires_ms.saturating_sub(now_ms).unsigned_abs()));
    Admission::Granted(Pass { token: id, name, role, agent, good_for: left })
}

impl SqliteStore {
    /// A token is shown: whether it is good, and if so, that it was used.
    async fn used(&self, row: &SqliteRow) -> Result<Admission, StoreError> {
        let now_ms = self.clock.unix_ms();
        let token = report(row, now_ms)?;
        let due = token.last_used_ms.is_none_or(|used_ms| used_ms <= now_ms - as_ms(USED_WITHIN));
        if due && token.standing == TokenStanding::Good {
            let id = token.id;
            // A full disk keeps nobody out.
            if let Err(error) = self.writer.write(move |tx| Box::pin(touch(tx, id))).await {
                tracing::warn!(token = %id, %error, "keeping when a token was used last");
            }
        }
        Ok(admission(token, now_ms))
    }
}

#[async_trait]
impl Admissions for SqliteStore {
    async fn keep_token(&self, token: NewToken) -> Result<(), StoreError> {
        self.writer.write(move |tx| Box::pin(keep(tx, token))).await
    }

    async fn tokens(&self) -> Result<Vec<TokenReport>, StoreError> {
        let rows = sqlx::query(ALL).fetch_all(&self.readers).await.map_err(database_error)?;
        rows.iter().map(|row| report(row, self.clock.unix_ms())).collect()
    }

    async fn revoke_token(&self, token: TokenId) -> Result<(), StoreError> {
        self.writer.write(move |tx| Box::pin(revoke(tx, token))).await
    }

    async fn admit(&self, digest: Sha256Digest) -> Result<Admission, StoreError> {
        let row = sqlx::query(BY_HEAD).bind(&digest.as_bytes()[..HEAD_BYTES]).fetch_optional(&self.readers);
        let Some(row) = with_digest(row.await.map_err(database_error)?, digest)? else {
            return Ok(Admission::Unknown);
        };
        self.used(&row).await
    }

    async fn admit_again(&self, token: TokenId) -> Result<Admission, StoreError> {
        let row = sqlx::query(BY_ID).bind(&token.as_bytes()[..]).fetch_optional(&self.readers);
        let Some(row) = row.await.map_err(database_error)? else { return Ok(Admission::Unknown) };
        self.used(&row).await
    }

    async fn token_changes(&self) -> Result<u64, StoreError> {
        count(&sqlx::query(CHANGES).fetch_one(&self.readers).await.map_err(database_error)?, "generation")
    }

    async fn enrol(&self, enrolment: Enrolment, registration: Registration) -> Result<(), StoreError> {
        let (agent, incarnation, slots) = (registration.agent, registration.incarnation, registration.facts.slots);
        self.writer.write(move |tx| Box::pin(enrol(tx, enrolment, registration))).await?;
        self.memory.presence().heard(agent, incarnation, slots, None, self.clock.steady());
        Ok(())
    }

    async fn sees(&self, sight: Sight, thing: Thing) -> Result<bool, StoreError> {
        sight::sees(&self.readers, sight, thing).await
    }

    async fn give_scene(&self, agent: AgentId, scene: SceneId) -> Result<(), StoreError> {
        self.writer.write(move |tx| Box::pin(sight::give(tx, agent, scene))).await
    }

    async fn blob_came_by(&self, blob: Sha256Digest, token: TokenId) -> Result<(), StoreError> {
        self.writer.write(move |tx| Box::pin(sight::own_blob(tx, blob, token))).await
    }
}
