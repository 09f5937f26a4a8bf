//! Haywain's agent: leases batches of frames, renders them in a warm Blender, uploads them. It only makes outbound calls.
//!
//! The rooms: [`blender`] finds and drives Blender; [`slot`] works off one batch after the other; [`delivery`] brings what
//! was rendered to the orchestrator, from the [`outbox`] on disk; [`heartbeat`] says that the agent lives, from the [`book`]
//! of what it holds; [`memory`] says what fits on the machine and who has to stop; [`status`] tells people how it goes, [`doctor`] why it does not; [`agent`]
//! puts them together.

pub mod agent;
pub mod blender;
pub mod book;
pub mod cache;
pub mod clock;
pub mod config;
pub mod crew;
pub mod delivery;
pub mod doctor;
pub mod governor;
pub mod gpus;
pub mod heartbeat;
pub mod identity;
pub mod jail;
pub mod leaving;
pub mod link;
pub mod load;
pub mod machine;
pub mod marks;
pub mod memory;
pub mod outbox;
pub mod output;
pub mod picture;
pub mod scripts;
pub mod slot;
pub mod status;
pub mod thumbnail;
