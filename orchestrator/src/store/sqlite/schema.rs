//! The database's tables, and how those of an earlier version become today's.

use sqlx::SqlSafeStr as _;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::SqliteConnection;

use crate::store::StoreError;

/// Makes or upgrades the tables.
pub(super) async fn migrate(conn: &mut SqliteConnection) -> Result<(), StoreError> {
    let start = Migration::new(
        1,
        "start".into(),
        MigrationType::Simple,
        include_str!("../../../migrations/0001_start.sql").into_sql_str(),
        false,
    );
    Migrator::with_migrations(vec![start])
        .run_direct(None, conn, false)
        .await
        .map_err(|error| StoreError::Unavailable(format!("upgrading the queue's database: {error}")))
}
