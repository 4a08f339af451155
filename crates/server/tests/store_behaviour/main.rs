//! What every back end of the store must do. The cases are functions over a [`world::World`]; a back end runs
//! them all by one more `suite!`.

mod world;

mod blocks;
mod cancels;
mod inspections;
mod judgements;
mod log;
mod machines;
mod quarantines;
mod sightings;
mod undos;

macro_rules! suite {
    ($back_end:ident, $open:expr, $($noun:ident: [$($case:ident),* $(,)?]),* $(,)?) => {
        mod $back_end {
            $($(
                #[tokio::test]
                async fn $case() {
                    super::$noun::$case(super::world::World::new($open).await).await;
                }
            )*)*
        }
    };
}

suite!(sqlite, server::store::Store::open,
    blocks: [
        a_block_is_one_rule_however_often_it_is_asked_for,
        names_of_different_kinds_are_different_blocks,
        unblock_ends_what_was_blocked_and_nothing_else,
        a_block_is_done_when_every_machine_has_adopted_it,
        what_is_spared_anywhere_is_not_blocked,
        what_lies_where_a_spared_file_belongs_must_be_confirmed,
        each_step_is_in_the_audit,
    ],
    cancels: [
        what_no_machine_has_heard_of_is_cancelled_at_once,
        of_what_was_handed_out_the_machine_decides,
        what_has_begun_goes_on_and_its_result_stands,
        a_machine_that_never_comes_back_ends_as_cancelled_too,
        a_withdrawn_restore_leaves_all_as_it_was,
        what_takes_effect_at_once_is_not_cancelled,
    ],
    inspections: [
        what_a_machine_says_is_known_from_then_on,
        what_is_gone_is_due_again_when_it_is_back,
        the_first_word_stays_and_another_one_is_counted_and_audited,
        a_record_of_a_newer_version_and_one_that_was_cut_short_are_replaced,
        what_a_newer_version_says_is_no_disagreement,
        a_record_that_claims_to_be_cut_short_is_no_cover_for_a_lie,
        two_machines_are_asked_and_no_third,
        only_who_has_a_file_is_asked_and_heard,
    ],
    judgements: [
        a_word_is_kept_by_the_name_it_was_given_and_found_by_all,
        a_withdrawal_concerns_every_name_and_no_engine,
        a_list_takes_the_place_of_the_one_of_its_name,
    ],
    log: [
        generations_are_gapless_and_chained,
        a_machine_gets_what_concerns_it_and_the_head,
        another_log_or_one_ahead_gets_the_whole_set,
        everything_is_there_after_a_restart,
        only_the_machines_own_rule_can_be_lifted,
    ],
    machines: [
        the_home_is_made_once,
        applications_come_back_as_they_went,
        a_machine_says_of_itself_what_it_likes_but_not_what_it_adopted,
        a_ledger_that_lost_rules_counts_as_such,
        a_place_the_log_does_not_have_is_refused,
    ],
    quarantines: [
        an_order_is_rule_act_and_known_copies_at_once,
        orders_that_make_no_sense_are_refused,
        the_same_file_by_another_name_is_already_open,
        copies_decide_how_it_ends,
        a_result_told_twice_changes_nothing,
        what_nobody_begins_times_out_and_a_late_result_is_kept,
        a_failure_of_the_act_is_the_orders,
        a_machine_that_was_too_late_says_nothing_new,
        what_a_machine_began_and_forgot_ends_after_a_week,
    ],
    sightings: [
        a_new_pair_raises_prevalence_and_a_replay_nothing,
        ages_become_server_time_and_are_clamped,
        a_copy_comes_runs_is_denied_and_goes,
        another_file_at_the_path_takes_its_place,
        paths_beyond_the_cap_are_not_kept,
        places_that_make_room_are_not_counted,
        where_a_file_comes_from_is_counted_by_machine,
        where_a_file_is_now_follows_each_removal,
        prevalence_is_the_number_of_pairs_whatever_is_replayed,
    ],
    undos: [
        the_undo_of_a_quarantine_restores,
        the_terms_of_a_restore_reach_the_machine,
        a_failed_restore_may_be_tried_again,
        a_restore_that_its_machine_did_not_begin_in_time_leaves_the_deny,
        the_undo_of_an_unblock_asks_what_a_block_asks,
        two_who_undo_one_order_are_told_apart,
        the_undo_of_a_block_is_an_unblock,
        a_deny_ends_with_the_last_order_that_wants_it,
        a_block_ends_with_the_last_order_or_by_an_unblock,
        what_root_lifted_nobody_wants,
        what_is_open_or_unknown_is_not_undone,
    ],
);
