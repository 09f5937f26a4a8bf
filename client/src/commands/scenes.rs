//! The scenes that the orchestrator has.

use serde_json::json;

use crate::cache::now_ns;
use crate::context::Context;
use crate::exit::{Exit, Outcome};
use crate::show::{Align, Table, ago, bytes};

pub(super) async fn list(context: &Context, limit: u32) -> Outcome {
    let scenes = context.api.scenes(limit).await?;
    let style = context.show.style;
    context.show.result(&json!({ "scenes": scenes }), || {
        let mut table = Table::new([
            ("ENTRY", Align::Left),
            ("FILES", Align::Right),
            ("SIZE", Align::Right),
            ("COMPLETE", Align::Left),
            ("USED", Align::Left),
            ("SCENE", Align::Left),
        ]);
        for scene in &scenes {
            table.row([
                scene.entry.to_string(),
                scene.files.to_string(),
                bytes(scene.size_bytes),
                if scene.complete { "yes" } else { "no" }.to_owned(),
                ago(scene.touched_at, now_ns()),
                scene.scene_id.to_string(),
            ]);
        }
        table.show(style, context.show.columns, "There are no scenes")
    })?;
    Ok(Exit::Done)
}
