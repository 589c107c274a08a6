#ifndef DEFECTS_H
#define DEFECTS_H

/*
 * The ways in which a provider of the zoo is broken. Compiled with -DBROKEN=name -DBROKEN_name it has this one defect;
 * without, none. Where a defect sits, the code asks `BROKEN == name`, or the preprocessor for BROKEN_name.
 */
enum defect {
    sound = 0,
    /* the file */
    exports_more, needs_host_symbol, starts_thread_when_loaded, opens_socket_in_entry,
    /* negotiation */
    takes_unknown_version, forgets_magic, accepts_old_host, accepts_new_host, ignores_short_struct, clears_long_struct,
    entry_works_once,
    /* what it says of itself */
    descriptor_lacks_version, descriptor_lists_too_much, gives_table_for_unknown, compares_prefix_only,
    table_changes,
    /* instances */
    takes_any_settings, writes_beyond_message, cuts_characters, keeps_settings, calls_http_in_create,
    needs_optional_service, leaks_memory, leaks_descriptor, leaks_thread, ends_with_first_instance, uses_last_host,
    /* validate, reconfigure, probe */
    validate_is_lenient, validate_reports_nothing, validate_leaks, reconfigure_applies_half, reconfigure_is_lenient, probe_answers_badly,
    /* calls */
    blocks_in_verb, completes_twice, never_completes, completes_unknown_ticket, completes_refused_call, ignores_flags,
    reads_beyond_short_call, refuses_long_call, takes_oversized, completion_has_unknown_code, message_has_lines,
    reads_beyond_request, keeps_request, keeps_call,
    /* requests */
    takes_malformed, message_names_nothing, refuses_unknown_members, refuses_empty_batch, recurses_without_bound,
    /* endings */
    crashes_on_unknown_ticket, cancelled_completes_twice, cancelled_never_completes, overdue_never_completes,
    completes_after_destroy,
    leaks_per_call, leaks_descriptor_per_call,
    /* the world */
    ensure_moves_port, remove_of_absent_fails, remove_does_nothing, result_lacks_observed, result_forgets_last,
    status_lists_nothing, check_makes, prune_removes_all, prune_removes_nothing, bad_item_fails_all,
    takes_duplicates, refuses_unknown_item_members, cancelled_ensure_sticks,
    /* load */
    keeps_megabyte_per_item, forgets_to_lock,
    /* the process */
    changes_directory, changes_umask, blocks_signal, handles_signal, sets_environment, prints, leaves_process,
    /* the host's services */
    logs_bad_metadata, sends_bad_metric, logs_secret,
    /* what only chance finds */
    dies_of_large_number, dies_of_strange_settings, dies_of_four_instances
};

#ifndef BROKEN
#define BROKEN sound
#endif

#endif
