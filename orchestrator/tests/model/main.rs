//! The lease protocol as a model, and a checker that looks at every state of it: two agents of one slot each, one job of
//! three frames, batches of two, backups. The invariants I1 to I6 of the design must hold in all of them ([`properties`]),
//! the farm must be able to come to rest from all of them ([`settling`]), and holes that are planted must be found
//! ([`mutants`]).
//!
//! - **Time** is in ticks that pass whenever they like, for both sides alike: a term is two ticks, a heartbeat interval one.
//!   A sweep may come at any time after a term is over. An agent that is frozen, or cut off, is one that lets ticks pass.
//! - **Faults** are bought from a [`state::Budget`], so that the space is finite. Each run explores all of one budget.
//! - **A request that is lost** is one that was not sent: it costs nothing. Lost answers, calls that take their time, copies,
//!   calls that arrive after their sender gave up, deaths, failures and what people do are in the budget.
//! - **The orchestrator's disk** is as of its last commit; what dies with it are the terms. Each request is one commit.
//! - **Retry rules** are a choice of the model between pending and failed: which of them is for tables of cases.
//!
//! Not in the model: more than one job, drain and pause, the files (a frame is whole or not there), clocks that run at
//! different rates, and the frame in work of a session that is killed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "all of it is test code, helpers included")]

mod action;
mod agent;
mod canonical;
mod deliveries;
mod grants;
mod heartbeats;
mod lives;
mod mutants;
mod network;
mod orchestrator;
mod pieces;
mod properties;
mod protocol;
mod runs;
mod settling;
mod sights;
mod state;
mod steps;
