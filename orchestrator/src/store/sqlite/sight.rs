//! Who sees what: the rows by which a thing belongs to somebody.

use haywain_shared::digest::Sha256Digest;
use haywain_shared::ids::{AgentId, TokenId};
use haywain_shared::scene::SceneId;
use sqlx::SqlitePool;

use super::columns::{database_error, integer};
use super::writer::Tx;
use crate::store::{Sight, StoreError, Thing};

// ?1 the thing, ?2 who looks.
const OWN_JOB: &str = "/* own job */
    SELECT EXISTS (SELECT 1 FROM jobs WHERE id = ?1 AND owner = ?2 AND removed_ms IS NULL) AS seen";
const NOBODYS_JOB: &str = "/* nobody's job */
    SELECT EXISTS (SELECT 1 FROM jobs WHERE id = ?1 AND ?2 IS NULL AND owner IS NULL AND removed_ms IS NULL) AS seen";
const OWN_SCENE: &str = "/* own scene */
    SELECT EXISTS (SELECT 1 FROM scene_owners WHERE scene_id = ?1 AND token_id = ?2) AS seen";
const OWN_BLOB: &str = "/* own blob */
    SELECT EXISTS (SELECT 1 FROM blob_owners WHERE sha256 = ?1 AND token_id = ?2) AS seen";
const GIVEN_SCENE: &str = "/* given scene */
    SELECT EXISTS (SELECT 1 FROM given_scenes WHERE scene_id = ?1 AND agent_id = ?2) AS seen";
const GIVEN_BLOB: &str = "/* blob of a given scene */
    SELECT EXISTS (SELECT 1 FROM scene_blobs JOIN given_scenes USING (scene_id) WHERE sha256 = ?1 AND agent_id = ?2) AS seen";
const OWN_LEASE: &str = "/* own lease */
    SELECT EXISTS (SELECT 1 FROM leases WHERE id = ?1 AND agent_id = ?2) AS seen";
const GIVE: &str = "/* give a scene to an agent */
    INSERT INTO given_scenes (agent_id, scene_id) SELECT ?1, id FROM scenes WHERE id = ?2 ON CONFLICT DO NOTHING";
const OWN: &str = "/* a blob came by a token */
    INSERT INTO blob_owners (token_id, sha256) SELECT ?1, sha256 FROM blobs WHERE sha256 = ?2 ON CONFLICT DO NOTHING";

pub(super) async fn sees(readers: &SqlitePool, sight: Sight, thing: Thing) -> Result<bool, StoreError> {
    let (sql, who) = match (sight, thing) {
        (Sight::All, _) => return Ok(true),
        (Sight::Token(token), Thing::Job(_)) => (OWN_JOB, Some(token.as_bytes().to_vec())),
        (Sight::Token(token), Thing::Scene(_)) => (OWN_SCENE, Some(token.as_bytes().to_vec())),
        (Sight::Token(token), Thing::Blob(_)) => (OWN_BLOB, Some(token.as_bytes().to_vec())),
        (Sight::Nobodys, Thing::Job(_)) => (NOBODYS_JOB, None),
        (Sight::Agent(agent), Thing::Scene(_)) => (GIVEN_SCENE, Some(agent.as_bytes().to_vec())),
        (Sight::Agent(agent), Thing::Blob(_)) => (GIVEN_BLOB, Some(agent.as_bytes().to_vec())),
        (Sight::Agent(agent), Thing::Lease(_)) => (OWN_LEASE, Some(agent.as_bytes().to_vec())),
        (Sight::Token(_) | Sight::Nobodys, Thing::Lease(_))
        | (Sight::Nobodys, Thing::Scene(_) | Thing::Blob(_))
        | (Sight::Agent(_), Thing::Job(_)) => return Ok(false),
    };
    let thing = match thing {
        Thing::Job(job) => job.as_bytes().to_vec(),
        Thing::Scene(scene) => scene.digest().as_bytes().to_vec(),
        Thing::Blob(blob) => blob.as_bytes().to_vec(),
        Thing::Lease(lease) => lease.as_bytes().to_vec(),
    };
    let row = sqlx::query(sql).bind(thing).bind(who).fetch_one(readers).await.map_err(database_error)?;
    Ok(integer(&row, "seen")? != 0)
}

/// A sight as lists have it: a word for which rows, and the token, if it is one's.
pub(super) fn of_jobs(sight: Sight) -> (&'static str, Option<Vec<u8>>) {
    match sight {
        Sight::All => ("all", None),
        Sight::Token(token) => ("token", Some(token.as_bytes().to_vec())),
        Sight::Nobodys => ("nobodys", None),
        Sight::Agent(_) => ("none", None),
    }
}

/// The token whose own view of scenes this is; `None` for whoever sees all.
pub(super) fn of_scenes(sight: Sight) -> Result<Option<TokenId>, StoreError> {
    match sight {
        Sight::All => Ok(None),
        Sight::Token(token) => Ok(Some(token)),
        Sight::Nobodys | Sight::Agent(_) => {
            Err(StoreError::Inconsistent("somebody looks at scenes who has none".to_owned()))
        }
    }
}

pub(super) async fn give(tx: &mut Tx, agent: AgentId, scene: SceneId) -> Result<(), StoreError> {
    sqlx::query(GIVE)
        .bind(&agent.as_bytes()[..])
        .bind(&scene.digest().as_bytes()[..])
        .execute(&mut tx.conn)
        .await
        .map(drop)
        .map_err(database_error)
}

pub(super) async fn own_blob(tx: &mut Tx, blob: Sha256Digest, token: TokenId) -> Result<(), StoreError> {
    sqlx::query(OWN)
        .bind(&token.as_bytes()[..])
        .bind(&blob.as_bytes()[..])
        .execute(&mut tx.conn)
        .await
        .map(drop)
        .map_err(database_error)
}
