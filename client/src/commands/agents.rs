//! Agents: all of them, and what can be wanted of one.

use haywain_shared::job::AgentReport;
use haywain_shared::protocol::{BlenderFacts, BlenderKind};
use serde_json::json;

use crate::api::AgentMove;
use crate::context::Context;
use crate::exit::{Exit, Outcome};
use crate::naming;
use crate::show::{Align, Table, bytes, short};

pub(super) async fn list(context: &Context) -> Outcome {
    let agents = context.api.agents().await?;
    let style = context.show.style;
    context.show.result(&json!({ "agents": agents }), || {
        let mut table = Table::new([
            ("AGENT", Align::Left),
            ("NAME", Align::Name),
            ("STATE", Align::Left),
            ("SLOTS", Align::Right),
            ("LEASES", Align::Right),
            ("CORES BUSY", Align::Right),
            ("MEMORY FREE", Align::Right),
            ("BLENDER", Align::Left),
        ]);
        for agent in &agents {
            table.row([
                short(&agent.agent_id),
                agent.name.clone(),
                style.agent(agent.state),
                agent.slots.to_string(),
                agent.leases.to_string(),
                cores(agent),
                memory(agent),
                agent.blenders.iter().map(blender).collect::<Vec<_>>().join(", "),
            ]);
        }
        let table = table.show(style, context.show.columns, "There are no agents: start one with haywain-agent");
        let idle =
            agents.iter().filter_map(|agent| Some(format!("\n{}: {}", agent.name, agent.idle_because.as_ref()?)));
        table + &idle.collect::<String>()
    })?;
    Ok(Exit::Done)
}

pub(super) async fn control(context: &Context, agent: &str, wanted: AgentMove) -> Outcome {
    let agent = naming::agent(&context.api, agent).await?;
    context.api.move_agent(agent, wanted).await?;
    let word = match wanted {
        AgentMove::Drain => "finishes what it has and takes no more",
        AgentMove::Undrain => "takes work again",
    };
    context
        .show
        .result(&json!({ "agentId": agent, "command": wanted.word() }), || format!("{} {word}", short(&agent)))?;
    Ok(Exit::Done)
}

fn cores(agent: &AgentReport) -> String {
    let all = agent.machine.logical_cores;
    agent.sample.map_or_else(|| format!("of {all}"), |sample| format!("{:.1} of {all}", sample.cores_busy))
}

fn memory(agent: &AgentReport) -> String {
    let all = bytes(agent.machine.memory_bytes);
    agent
        .sample
        .map_or_else(|| format!("of {all}"), |sample| format!("{} of {all}", bytes(sample.memory_available_bytes)))
}

fn blender(facts: &BlenderFacts) -> String {
    match facts.build.kind {
        BlenderKind::Program => facts.build.version.clone(),
        BlenderKind::Module => format!("{} (bpy)", facts.build.version),
    }
}
