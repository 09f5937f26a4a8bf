//! What every store promises, as cases that each implementation must pass. A case gets a store of its own, on a clock that
//! stands still until it moves it, and can open that store anew as a restart would.

mod bench;
mod census;
mod control;
mod deliveries;
mod expiry;
mod failures;
mod grants;
mod options;
mod refusals;
mod renewals;
mod requirements;
mod retries;
mod scenes;
mod sight;
mod tokens;

pub(super) use self::bench::{Bench, HEARTBEAT, TTL};
pub(super) use self::census::*;
pub(super) use self::control::*;
pub(super) use self::deliveries::*;
pub(super) use self::expiry::*;
pub(super) use self::failures::*;
pub(super) use self::grants::*;
pub(super) use self::options::*;
pub(super) use self::refusals::*;
pub(super) use self::renewals::*;
pub(super) use self::requirements::*;
pub(super) use self::retries::*;
pub(super) use self::scenes::*;
pub(super) use self::sight::*;
pub(super) use self::tokens::*;

/// Declares the cases, and a macro that makes each a test of some store.
macro_rules! cases {
    ($($name:ident)*) => {
        macro_rules! conformance_tests {
            ($bench:path) => {
                $(#[tokio::test]
                async fn $name() {
                    $crate::store::conformance::$name($bench().await).await;
                })*
            };
        }
    };
}

cases! {
    a_job_is_carved_at_the_lease_and_completes_with_its_last_frame
    jobs_are_served_in_the_order_of_their_age
    an_agent_gets_the_job_whose_scene_it_has_among_equals
    a_slot_that_asks_ahead_gets_a_frame_of_another_scene
    batches_shrink_with_the_slots_that_are_there
    the_same_request_gets_the_same_lease
    a_request_whose_lease_has_ended_is_told_so
    only_known_agents_in_their_present_life_are_served
    a_scene_must_be_kept_before_it_is_rendered
    a_frame_is_recorded_once
    of_files_with_one_name_the_latest_is_told
    an_ended_lease_can_still_deliver
    a_late_frame_takes_the_work_from_its_new_holder
    a_frame_must_be_the_lease_s
    a_lease_runs_out_without_heartbeats
    only_the_frame_in_work_is_charged_with_an_expiry
    a_grant_that_never_arrived_costs_nothing
    a_restart_gives_live_leases_a_full_term
    what_was_answered_survives_a_restart
    a_new_life_gives_back_what_the_old_one_held
    failures_send_a_frame_round_until_it_is_given_up
    a_repeated_failure_counts_once
    a_late_failure_changes_nothing
    the_scene_s_fault_fails_the_job
    a_failed_frame_that_comes_back_after_all_completes_the_job
    released_frames_are_pending_again
    completing_a_lease_gives_back_what_is_left
    whoever_waits_for_work_hears_of_it
    jobs_under_way_name_their_files
    a_repeated_submission_is_the_same_job
    urgent_jobs_are_served_first
    a_cancelled_job_is_over_at_once
    a_paused_job_gives_nothing_out
    moves_that_make_no_sense_are_refused
    retried_frames_start_afresh
    a_rerender_raises_the_generation
    a_delivery_of_an_earlier_generation_is_superseded
    a_drained_agent_gets_no_work_until_it_is_resumed
    an_agent_that_is_set_aside_gets_no_work_until_it_is_resumed
    only_an_agent_that_is_gone_can_be_forgotten
    an_agent_that_leaves_gives_everything_back
    lists_are_filtered_and_paged
    events_tell_what_has_changed
    the_frame_in_work_is_readopted_unless_somebody_has_it
    a_readoption_survives_the_loss_of_its_answer
    a_repeated_request_renews_the_lease_that_it_gets
    an_overtaken_heartbeat_changes_nothing
    a_lease_that_its_agent_does_not_name_goes_back_without_an_attempt
    a_cancelled_job_s_leases_are_revoked
    a_silent_agent_s_frame_is_backed_up_and_the_first_to_deliver_wins
    an_agent_that_declines_backups_gets_none
    a_frame_is_pending_again_only_when_primary_and_backup_have_both_ended
    a_backup_that_fails_leaves_the_frame_with_its_primary
    a_failed_frame_goes_to_another_agent_first
    a_frame_that_ran_out_of_memory_goes_to_a_larger_machine
    a_job_says_how_often_its_frames_are_tried
    a_scene_is_blamed_only_with_a_second_opinion
    an_agent_that_fails_on_several_jobs_is_set_aside_and_forgiven
    attempts_are_kept
    of_what_attempts_have_said_the_latest_is_told
    a_job_that_an_agent_refuses_goes_to_others
    a_job_that_every_agent_refuses_says_why_it_waits
    who_retries_a_job_has_all_agents_asked_again
    nobody_pays_for_a_scene_that_nobody_knew
    a_frame_that_its_device_fails_at_is_tried_so_often
    a_job_that_an_agent_only_fails_at_is_left_to_others
    a_job_that_nobody_else_renders_stays_with_the_agent_that_fails_at_it
    a_scene_says_which_of_its_blobs_are_missing
    a_blob_has_one_size
    a_job_needs_a_scene_that_is_all_there
    scenes_are_listed_the_latest_touched_first
    what_nobody_needs_is_collected_and_nothing_else
    a_blob_that_is_going_is_missing_to_whoever_wants_it
    a_removed_job_is_gone_at_once_and_erased_bit_by_bit
    jobs_that_ended_long_ago_are_removed
    frames_in_sequence_go_to_one_agent_at_a_time
    a_job_goes_to_agents_that_can_render_it
    scripts_run_where_the_job_s_token_is_trusted
    a_job_is_rendered_by_the_blender_of_its_first_lease
    a_job_that_its_first_agent_cannot_render_may_begin_anew
    a_job_that_was_only_begun_may_begin_anew_with_other_devices
    a_file_wants_the_blender_that_saved_it_or_a_newer_one
    a_lease_goes_on_in_the_blender_that_it_began_in
    a_job_goes_to_agents_that_it_may_go_to
    a_job_that_nobody_can_take_says_why
    what_was_found_in_a_scene_is_kept_and_speaks_at_the_next_submission
    a_token_is_good_until_it_expires_or_is_revoked
    a_session_uses_its_token
    a_name_is_one_token_s_until_that_is_revoked
    whoever_looks_for_changed_tokens_sees_them
    an_agent_is_enrolled_once_however_often_it_asks
    an_enrolment_token_lets_in_as_many_as_it_may
    a_known_agent_can_t_be_taken_over_by_an_enrolment_token
    an_agent_that_was_shut_out_stays_out
    a_token_sees_its_own_jobs_alone
    what_somebody_may_not_hear_is_looked_at_once
    a_digest_is_not_as_good_as_the_file
    what_others_found_in_a_scene_is_told_to_those_who_sent_all_of_it
    a_size_that_others_know_is_told_to_nobody
    keys_of_submissions_are_each_token_s_own
    an_agent_sees_what_it_was_given
    a_census_counts_every_frame_under_its_job_s_state
    a_census_tells_how_long_the_oldest_frame_waits
    a_census_counts_agents_and_their_slots
    the_first_frame_of_a_job_is_told_from_the_others
}
