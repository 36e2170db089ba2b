//! The real program under faults: of the API server, of Headscale, of its own process, and of what
//! people write.
//!
//! # The faults of the Go operator
//!
//! What it does wrong, by the numbers of the list that ours was built against, and the tests that
//! show that ours does not. Those without a place are here; `operator`, `sidecar` and `contract` are
//! tests of those names, `api` those of the crate.
//!
//! | | what goes wrong there | what shows that it does not here |
//! | --- | --- | --- |
//! | B1 | a key's deletion ends somebody else's key | `regressions::deleting_a_key_ends_that_key_and_no_other` |
//! | B2 | the configuration does not start 0.29 | api `config::render::what_the_go_operator_stored_starts_on_every_version` |
//! | B3 | an instance without `api_key` is refused | api `kinds::steps::an_instance_stored_without_an_api_key_is_updated` |
//! | B4 | old API keys are never ended | sidecar `life::a_key_is_rotated_in_time_and_the_old_one_lives_through_its_grace` |
//! | B5 | no pod starts without the sidecar | api `desired::objects::every_mount_has_its_volume` |
//! | B6 | TLS cannot be used | api `desired::objects::the_objects_of_each_case_are_as_they_were` (tls) |
//! | B7 | `Ready` says nothing | operator `headscale::an_instance_is_made_becomes_ready_and_a_second_time_nothing_is_written` |
//! | B8 | ports of Services stay as they were | operator `headscale::what_others_change_or_delete_is_as_before_again` |
//! | B9 | two instances fight in one namespace | api `desired::cluster::two_instances_share_a_namespace` |
//! | B10 | several replicas are several Headscales | `regressions::one_server_runs_whatever_replicas_are_asked_for` |
//! | B11 | an instance that says little never runs | api `config::check::every_case_is_told_what_it_should_be` |
//! | B12 | a key of `0s` is born expired | operator `keys::what_cannot_be_is_told_with_field_and_fix_and_nothing_is_made` |
//! | B13 | upper case in tags goes round and round | the same |
//! | B14 | the time of a rotation is not written | sidecar `life::a_key_is_rotated_in_time_and_the_old_one_lives_through_its_grace` |
//! | B15 | key after key while the Secret cannot be written | `bad_input::a_secret_that_cannot_be_written_makes_no_key_after_key` |
//! | B16 | a crash loses a key | operator `kill::a_key_survives_a_kill_at_every_write_of_its_life` |
//! | B17 | the sidecar goes round and round | sidecar `trouble::a_secret_that_nobody_can_write_is_named` |
//! | B18 | any Secret can be taken and deleted | operator `keys::somebody_elses_secret_is_neither_written_nor_deleted` |
//! | B19 | a dead API key is trusted | sidecar `trouble::a_lost_or_restored_database_gets_a_new_key` |
//! | B20 | a Secret that was deleted stays away | operator `keys::a_key_lives_its_whole_life_in_0_29` |
//! | B21 | a rotation cuts off who has the old key | sidecar `clock::a_consumer_that_reads_again_now_and_then_is_never_refused` |
//! | B22 | the old Secret stays after `secretName` changes | the same life; `regressions::a_secret_without_its_owner_is_not_left_behind` |
//! | B23 | labels and data of others are lost | sidecar `trouble::a_secret_that_was_edited_is_repaired` |
//! | B24 | a user is made twice, and then never | operator `kill::a_user_survives_a_kill_at_every_write_of_its_life`, `users::a_user_that_is_there_is_adopted_and_one_event_says_that_it_is_ready` |
//! | B25 | signals are not heard | operator `lease::one_works_and_hands_over_when_it_is_ended` |
//! | B26 | the end of the process skips what is to be done | the same |
//! | B27 | a deletion that failed is forgotten | operator `users::a_user_lives_its_whole_life_in_0_29` |
//! | B28 | a deletion hangs for ever | `regressions::nothing_keeps_a_deleted_key_for_ever`, operator `users::nothing_keeps_a_deleted_user_for_ever` |
//! | B29 | 0.28 deletes all keys with a user | operator `keys::keys_that_0_28_deletes_with_a_user_are_made_anew` |
//! | B30 | another `headscaleRef` orphans what was made | `regressions::a_key_stays_in_the_headscale_in_which_it_was_made`, operator `users::what_is_missing_is_told_and_its_coming_is_noticed` |
//! | B31 | what an instance leaves behind | operator `headscale::what_goes_leaves_its_data_and_its_users_go` |
//! | B32 | nothing is looked at again | operator `users::a_user_lives_its_whole_life_in_0_29`, `keys::a_key_lives_its_whole_life_in_0_29` |
//! | B33 | keys that ended stay ready | operator `keys::a_key_that_has_ended_is_told_and_replaced_where_that_is_asked_for` |
//! | B34 | edits of keys are ignored | operator `keys::a_key_lives_its_whole_life_in_0_29` |
//! | B35 | a user is known by its name alone | `regressions::a_number_that_is_somebody_elses_by_now_is_not_taken_for_the_user` |
//! | B36 | nothing is watched | operator `users::what_is_missing_is_told_and_its_coming_is_noticed` (it looks again every 10 minutes) |
//! | B37 | a user of another instance is taken | operator `keys::what_cannot_be_is_told_with_field_and_fix_and_nothing_is_made` |
//! | B38 | each look writes the StatefulSet | api `desired::cluster::applying_twice_changes_nothing`, operator `headscale::an_instance_is_made_becomes_ready_and_a_second_time_nothing_is_written` |
//! | B39 | the operator writes what people declare | `regressions::what_people_declare_is_never_written` |
//! | B40 | a pod starts with the former configuration | operator `headscale::an_edit_rolls_the_pod_once_and_one_that_the_server_does_not_read_never` |
//! | B41 | conditions change for nothing | operator `users::a_user_of_the_go_operator_is_taken_over_as_it_is` |
//! | B42 | secrets stand in the ConfigMap | api `config::secrets::secrets_go_into_the_environment_and_never_into_the_file` |
//! | B43 | all Secrets are kept in memory | `regressions::what_others_keep_in_secrets_takes_no_memory` |
//! | B44 | pods are not admitted as restricted | api `desired::cluster::pods_are_admitted_where_restricted_is_enforced` |
//! | B45 | Headscale has the sidecar's token | api `desired::objects::only_the_sidecar_has_a_token` |
//! | B46 | the sidecar is any version | api `desired::objects::the_sidecar_is_that_of_this_release` |
//! | B47 | `/debug` is on the port of metrics | nothing of ours: Headscale's own port |
//! | B48 | Services get into the environment | api `desired::objects::the_objects_of_each_case_are_as_they_were` |
//! | B49 | one Headscale that hangs stops everything | `regressions::a_headscale_that_says_nothing_holds_up_no_other` |
//! | B50 | errors are told by their text | contract `contract`, which holds the classes of errors to each version |
//! | B51 | an outage of the database restarts the pod | api `desired::objects::the_objects_of_each_case_are_as_they_were` |
//! | B52 | a slow start restarts the sidecar | sidecar `trouble::a_headscale_that_does_not_come_is_waited_for_and_named` |
//! | B53 | a connection for each call | `instance::Instance` has one client with its connections |
//! | B54, B55 | values of the chart do nothing | api `chart::values::values_do_what_they_say`, `chart::values::no_value_is_without_a_case` |
//! | B56 | labels stand twice, and pods are not found | api `chart::labels::pods_are_found_whatever_labels_are_chosen`, `chart::labels::a_pod_label_goes_before_a_common_one` |
//! | B57 | documents say what is not so | api `chart::objects::the_chart_makes_what_render_operator_prints` |
//! | B58 | images of one platform, without a list of what is in them | no test: how a release is made |
//! | B59 | definitions of kinds are not upgraded | api `chart::objects::the_chart_has_the_definitions_of_the_kinds` |

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::string_slice,
    reason = "a helper of a test fails by a panic, as the test does"
)]

mod bad_input;
#[allow(dead_code, reason = "each test binary uses a part of it")]
#[path = "../operator/bench.rs"]
mod bench;
#[allow(dead_code, reason = "each test binary uses a part of it")]
#[path = "../operator/instance.rs"]
mod instance;
mod leaders;
mod matrix;
#[allow(dead_code, reason = "each test binary uses a part of it")]
#[path = "../operator/program.rs"]
mod program;
mod regressions;
mod stale;
mod unreadable;
#[allow(dead_code, reason = "each test binary uses a part of it")]
mod world;
