//! What happens to lines out there.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::TcpStream;
use std::time::Duration;

use haywain_shared::job::JobReport;

use crate::blenders::scene;
use crate::farm::{Farm, PORT};
use crate::net::Net;
use crate::process::wait;

/// Frames enough that two agents are in the midst of them when something happens.
const FRAMES: u64 = 24;
/// Enough that each has more in its first batch than it can render before its lease runs out: about half a second each.
const MANY_FRAMES: u64 = 60;
/// What each agent has open to the orchestrator when nothing is to be done: a poll, and what its heartbeats go by.
const CONNECTIONS_OF_AN_AGENT: usize = 2;

/// Both agents have delivered a frame, and more are to come.
fn both_at_work(job: &JobReport) -> bool {
    job.agents.iter().filter(|share| share.frames > 0).count() == 2 && job.counts.pending + job.counts.leased > 0
}

#[test]
fn a_job_is_done_by_agents_that_nobody_can_call() {
    let farm = Farm::start();
    let knock = TcpStream::connect_timeout(&Net::door(PORT), Duration::from_secs(1));
    // It is not even refused.
    assert_eq!(knock.unwrap_err().kind(), ErrorKind::TimedOut);
    let job = farm.submit(&scene("half_a_second"), FRAMES);
    let report = farm.expect_whole(job, FRAMES);
    assert_eq!(report.agents.len(), 2, "{:?}", report.agents);
    farm.leave();
}

#[test]
fn a_line_that_is_cut_for_longer_than_a_lease_costs_no_frame() {
    let farm = Farm::start();
    let job = farm.submit(&scene("half_a_second"), MANY_FRAMES);
    farm.wait_for(job, "frames of both agents", both_at_work);
    farm.net.cut();
    // Both sides give the leases up, each by its own clock.
    wait("the end of both leases", || {
        let ended = farm.orchestrator().logged("lease expired");
        let agents: BTreeSet<_> = ended.iter().filter_map(|line| line["agent"].as_str()).collect();
        (agents.len() == 2).then_some(())
    });
    for agent in farm.agents() {
        agent.wait_for_log("the lease has run out here: waiting for the orchestrator");
    }
    farm.net.mend();
    farm.expect_whole(job, MANY_FRAMES);
    farm.leave();
}

#[test]
fn connections_that_the_router_forgets_are_given_up_and_made_anew() {
    let mut farm = Farm::start();
    // Nothing is to be done, and what is open is idle: the polls would say nothing for 25 s.
    wait("the agents' polls", || {
        (Net::connections(PORT) >= farm.agents().len() * CONNECTIONS_OF_AN_AGENT).then_some(())
    });
    farm.net.forget();
    let job = farm.submit(&scene("half_a_second"), FRAMES);
    farm.wait_for(job, "a frame, and more to come", |job| job.counts.done > 0 && job.counts.done < FRAMES);
    // And in the midst of work: what is on its way goes astray as well.
    farm.net.forget();
    farm.expect_whole(job, FRAMES);
    for agent in farm.agents() {
        wait("the agent's word that a poll was not answered", || {
            let told = agent.logged("no answer from the orchestrator, trying again");
            told.into_iter().find(|line| line["error"].as_str().is_some_and(|error| error.starts_with("lease: ")))
        });
    }
    farm.leave();
}

#[test]
fn an_orchestrator_that_moves_is_found_by_its_name() {
    let mut farm = Farm::start();
    let job = farm.submit(&scene("half_a_second"), FRAMES);
    farm.wait_for(job, "frames of both agents", both_at_work);
    farm.move_orchestrator();
    farm.expect_whole(job, FRAMES);
    farm.leave();
}
