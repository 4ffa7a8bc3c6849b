//! The catalogue: every word that the pages show, in every language. No text stands in code or templates.
//!
//! To add a language: a file in `words/`, a line in [`Language`], and the tests say what is missing. To add a word: a line in every
//! file and in `words!` below.

use std::sync::LazyLock;

/// A language that the pages speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dashboard) enum Language {
    English,
    Chinese,
    Japanese,
    Spanish,
}

impl Language {
    pub(in crate::dashboard) const ALL: [Self; 4] = [Self::English, Self::Chinese, Self::Japanese, Self::Spanish];

    /// The tag for `lang` attributes, cookies and addresses.
    pub(in crate::dashboard) fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh",
            Self::Japanese => "ja",
            Self::Spanish => "es",
        }
    }

    /// The language with a tag, whatever its region: `zh-CN` is `zh`.
    pub(in crate::dashboard) fn of_tag(tag: &str) -> Option<Self> {
        let tag = tag.trim().split('-').next().unwrap_or_default();
        Self::ALL.into_iter().find(|language| language.tag().eq_ignore_ascii_case(tag))
    }

    /// What a browser asks for: the known language with the greatest weight.
    pub(in crate::dashboard) fn of_accept(header: &str) -> Option<Self> {
        let mut best: Option<(f32, Self)> = None;
        for entry in header.split(',') {
            let mut parts = entry.split(';');
            let Some(language) = Self::of_tag(parts.next().unwrap_or_default()) else { continue };
            let weight = parts.find_map(|part| part.trim().strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);
            if weight > 0.0 && best.is_none_or(|(most, _)| weight > most) {
                best = Some((weight, language));
            }
        }
        best.map(|(_, language)| language)
    }

    /// Its words.
    pub(in crate::dashboard) fn words(self) -> &'static Words {
        static ENGLISH: LazyLock<Words> = LazyLock::new(|| Words::read(include_str!("words/en.toml")));
        static CHINESE: LazyLock<Words> = LazyLock::new(|| Words::read(include_str!("words/zh.toml")));
        static JAPANESE: LazyLock<Words> = LazyLock::new(|| Words::read(include_str!("words/ja.toml")));
        static SPANISH: LazyLock<Words> = LazyLock::new(|| Words::read(include_str!("words/es.toml")));
        match self {
            Self::English => &ENGLISH,
            Self::Chinese => &CHINESE,
            Self::Japanese => &JAPANESE,
            Self::Spanish => &SPANISH,
        }
    }
}

macro_rules! words {
    ($($key:ident)+) => {
        /// The words of one language; the field is the key in its file.
        #[derive(Debug)]
        pub(in crate::dashboard) struct Words { $(pub(in crate::dashboard) $key: String),+ }

        impl Words {
            fn read(text: &str) -> Self {
                let table: toml::Table = text.parse().unwrap_or_default();
                // A missing word shows its key; a test holds every file to every key.
                let word = |key: &str| table.get(key).and_then(toml::Value::as_str).unwrap_or(key).to_owned();
                Self { $($key: word(stringify!($key))),+ }
            }

            #[cfg(test)]
            const KEYS: &[&str] = &[$(stringify!($key)),+];
        }
    };
}

words! {
    nav_roster weekdays fact_duty fact_duty_line fact_duty_endless fact_duty_link roster_none roster_none_why roster_nobody roster_on_duty
    roster_now roster_until roster_next roster_skip_idle roster_holds_from roster_holds_from_why roster_found_never roster_instead_of roster_override roster_overrides roster_temporary roster_who_at roster_ask
    roster_zone roster_team roster_teams roster_add_team roster_members roster_people roster_one_a_line roster_vacations
    roster_add_vacation roster_person roster_from roster_to roster_note roster_take_back roster_add_schedule
    roster_gaps_allowed roster_calendar roster_before roster_after roster_week roster_month roster_drag roster_shifts
    roster_add_override roster_action roster_replace roster_add roster_remove roster_of roster_everybody roster_did_add
    roster_did_remove roster_did_take roster_did_replace roster_add_temporary roster_every roster_start roster_active
    roster_layers roster_layers_why roster_imported roster_add_rotation roster_add_feed roster_feed_once roster_remove_sure
    roster_found_gap roster_found_unreachable roster_found_several roster_found_twice roster_bad_name roster_bad_note
    roster_no_person roster_no_team roster_bad_every roster_bad_window roster_bad_time roster_bad_zone roster_ends_first
    roster_bad_rotation roster_bad_action roster_followed roster_stale
    source_title source_why source_none_why source_address source_address_why source_address_stays source_every source_layer
    source_refresh source_remove source_remove_sure source_new source_good source_changed source_next source_wrong
    source_skipped source_bad_url source_no_url source_inside source_bad_every done_reading
    add_go add_heading add_how address_back address_how address_once address_paired address_rotated address_rotated_how
    address_then after_others alarm_heading alarm_title alarms_newest alarms_none alarms_older allow allow_go allow_how also
    answered answered_after answered_only at_try back back_to_now bad_number brand calls_to cancel cancel_sure cancel_yes
    cancelled change check_1 check_2 check_3 check_4 check_5 check_heading check_list check_screen check_shared confirmed
    details disable_go disable_how done_acknowledged done_allowed done_cancelled done_disabled done_enabled done_redialled
    done_removed done_renamed done_saved done_testing door_allowed door_paired door_plain door_rotating dry_run edit enable_go
    example_summary fact_handset_busy fact_handset_never fact_handset_seen fact_handset_silent fact_handsets fact_knocks
    fact_knocks_count fact_knocks_link fact_no_handset fact_no_handset_link fact_no_handset_why fact_week fact_week_count
    fact_week_how fact_week_median fact_week_nobody fact_week_none facts_heading finished_heading finished_more
    handset_address handset_bad_name handset_door handset_example handset_model handset_name handset_name_taken handset_never
    handset_profile handset_seen handsets_none handsets_none_why health_busy health_disabled health_failing health_good
    health_never health_offline health_restarted health_shared health_stuck hint_dialled hint_matched hint_polled hint_reported hours
    knock_no_model knock_when knocks knocks_why labels language_name last_repeat list_comma log_out login_go login_name
    login_nobody login_nobody_file login_password login_throttled login_title login_wrong lost minutes nav_alarms nav_handsets
    nav_label nav_now nav_people needs_a_hand no_answer nobody nobody_rung number open_clock open_count open_heading open_more
    open_pause open_waits people_none people_none_why person_add person_bad_language person_bad_name person_bad_number
    person_how_many person_language person_name person_name_taken person_number_taken person_numbers person_numbers_how
    person_remove person_remove_sure person_remove_yes person_save priority_critical priority_high priority_low
    priority_normal profile_app profile_auto profile_default profile_list profile_native profile_repeat quiet quiet_last
    quiet_never raised_at redial refused_away refused_away_why refused_failed refused_failed_why refused_form refused_form_why
    refused_garbled refused_garbled_why refused_large refused_large_why refused_login refused_login_why refused_missing
    refused_missing_why refused_over refused_over_why refused_ringing refused_ringing_why refused_role refused_role_why rename
    rename_go repeats resolved role_admin role_responder role_viewer rotate_go rotate_how rung_again rung_again_soon
    rung_declined rung_dialling rung_dry_run rung_later rung_listed rung_next rung_not_rung rung_quiet rung_ringing rung_spent
    rung_talking rung_tries seconds setup_bad_name setup_bad_password setup_go setup_title setup_why skip source_none
    state_ringing state_waiting step_dialled step_done step_matched step_open step_polled step_reported t_acknowledged
    t_answered t_cancelled t_cancelled_by_nobody t_opted_out t_declined t_dry_run t_ended t_ended_answered t_ended_declined t_ended_limit
    t_ended_no_handset t_ended_no_report t_ended_nobody t_expired t_handed_out t_late_answer t_late_nobody t_nobody t_not_rung t_other t_raised
    t_raised_by_nobody t_redialled t_redialled_repeat t_repeated t_resolved t_stopped t_superseded take_it take_note
    taken_after test_call test_disabled test_failed test_go test_heading test_how test_passed test_runs through timeline
    remove_how remove_go nav_users language role_admin_means role_responder_means role_viewer_means user_add user_add_how user_add_go user_role
    user_person user_person_none user_self user_role_go user_reset_how user_reset_go user_disable_how user_password
    user_password_how user_back my_password password_how password_current password_new password_again password_go
    password_wrong password_differs done_role done_user_disabled done_user_enabled done_password
    trouble_unwritten trouble_unwritten_full trouble_unwritten_read_only trouble_unwritten_refused trouble_tick trouble_tick_why
    trouble_notices_stand trouble_messages_stand trouble_stands_why
    trouble_notices trouble_notices_why trouble_messages trouble_messages_why
    trouble_redis_refuses trouble_redis_refuses_why
    title_away title_ringing title_waiting trouble_database trouble_database_why trouble_failing trouble_failing_why
    trouble_no_handset trouble_no_handset_link trouble_no_handset_why trouble_offline trouble_offline_why trouble_proxy trouble_proxy_why trouble_redis
    trouble_redis_why trouble_shared trouble_shared_why trouble_restarted trouble_restarted_why trouble_stuck trouble_stuck_why trouble_unheard trouble_unheard_link
    trouble_unheard_more trouble_unheard_see trouble_unheard_why why_all_declined why_hand_out_limit why_no_handset why_no_report yesterday
    refused_quiet refused_quiet_why refused_last_step refused_last_step_why refused_time refused_time_why rung_skipped rung_do_not_call why_nobody_to_ring
    t_step_fallback t_step_began t_step_empty t_policy_empty t_escalated t_policy_set t_lapsed t_skipped t_do_not_call t_snoozed t_noted t_reopened t_ended_nobody_to_ring
    t_cleaned t_overtaken t_flapping t_redialled_worse t_redialled_new t_redialled_flapping nav_senders senders_none senders_how
    sender_used sender_never sender_revoked sender_refused sender_nothing_refused
    t_joined t_quiet t_redialled_joined t_redialled_time own_taken own_taken_by own_declined own_decline
    place_step place_round place_next place_next_later place_last place_switched waits_confirming waits_snoozed rings_again
    step_number step_in_round step_fallback step_named steps_earlier rung_confirming rung_lapsed rung_lapsed_soon
    rung_lapsed_again lapsed_by via_handset via_api via_page via_link via_sms more skip_go take_for take_for_how snooze
    snooze_how snooze_until in_utc snooze_go wake_go escalate escalate_how escalate_go policy_choose policy_choose_how
    policy_choose_go note_heading note_how note_go done_skipped done_escalated done_snoozed done_noted done_policy_set
    nav_policies span_hours span_minutes form_wrong policies_none policies_none_why policy_add policy_name policy_nobody
    policy_calls policy_apart policy_next_after policy_confirmed policy_unconfirmed policy_repeated policy_whom
    policy_whom_how policy_mode mode_sequential mode_parallel policy_attempts policy_interval policy_as_configured
    policy_wait policy_wait_how policy_another policy_rounds policy_rounds_how policy_confirm policy_confirm_how
    policy_remove_sure policy_bad_name policy_name_taken policy_bad_steps policy_bad_ring policy_bad_whom policy_bad_attempts
    policy_bad_interval policy_bad_seconds policy_bad_rounds rules rules_how rules_none_why rules_edit rule rule_from
    rule_everything rule_place rule_sender rule_any_sender rule_policy rule_none rule_labels_how rule_another rule_bad_place
    rule_bad_label rule_bad_labels rule_gone forbidden forbidden_how forbidden_none forbidden_reason forbidden_go
    outcome_call outcome_earlier outcome_day outcome_unwanted outcome_again outcome_no_handset outcome_closed outcome_handset
    outcome_gateway outcome_not_taken outcome_colon outcome_expired effect_too_late effect_outdated effect_allowed
    gateway_httpsms gateway_httpsms_how gateway_httpsms_url gateway_textbee gateway_textbee_how gateway_textbee_url gateway_from
    gateway_zone gateway_zone_how gateway_bad_zone gateway_signing gateway_signing_how gateway_set gateway_take_away gateway_device
    gateway_device_how gateway_token gateway_token_how gateway_measure gateway_measure_how gateway_measure_none gateway_measure_sign
    gateway_measure_secret gateway_bad_measure gateway_needs_secret gateway_bad_rsa gateway_bad_sm4
    gateway_from_how gateway_key gateway_bad_key inbound_httpsms inbound_textbee nav_lines lines_none lines_none_why line_never line_to line_still line_refused line_tries known_refused known_waiting
    known_given_up known_sent known_delivered known_verifying known_answered known_confirmed known_unanswered beats_heading
    beats_none beat_new beat_alive beat_missed beat_every beat_last windows_heading window_open window_to_come window_times
    inbox_heading effect_confirmed effect_declined effect_stopped effect_already effect_over effect_noted effect_stranger effect_none held_until t_held
    t_released
    forbidden_remove forbidden_bad_reason forbidden_since state_snoozed
    t_escalated_by_nobody t_policy_set_by_nobody t_snoozed_by_nobody t_noted_by_nobody
    line_add line_name_how line_team line_team_how line_nobody line_schedule line_not_in_roster line_gone
    line_no_known_code line_number line_number_how line_sms_number line_sms_number_how line_carrier line_carrier_how carrier_standard
    line_choose line_gateway line_gateway_how line_gateway_first line_text line_text_how line_android line_android_how
    line_build line_build_how line_build_first line_build_later line_handset line_handset_how line_verify line_verify_how
    line_no line_bad_team line_bad_android line_name_taken line_no_gateway line_rings_itself no_such_handset bad_short_name
    line_no_carrier line_unknown_carrier line_no_code line_fixed_target line_bad_target line_needs_dialler line_bar
    line_keyword line_one_line line_too_long line_bound line_bound_how line_bound_to line_bind line_bind_go line_unbind
    line_remove_sure line_follows line_follows_nobody line_follows_lost line_always lines_back preview preview_nothing
    preview_to preview_to_nobody preview_code preview_message preview_dials_itself preview_room encoding_gsm7 encoding_ucs2
    note_standard note_china_unicom note_china_telecom note_cancel_only hand_over hand_over_how hand_over_go
    done_handed_over whom_choose whom_number whom_nobody gateways gateways_none gateway_add gateway_which gateway_smsgate
    gateway_smsgate_how gateway_smsforwarder gateway_smsforwarder_how gateway_http gateway_http_how gateway_handset
    gateway_handset_how gateway_name_how gateway_kept gateway_url gateway_smsgate_url gateway_smsforwarder_url
    gateway_http_url gateway_user gateway_secret gateway_secret_how gateway_sim gateway_any_sim gateway_method
    gateway_headers gateway_headers_how gateway_body gateway_body_how gateway_bad_url gateway_bad_sim gateway_bad_headers
    gateway_bad_body gateway_in_use gateway_remove_sure gateway_added inbound_once inbound_smsgate inbound_smsforwarder
    inbound_http inbound_handset beat_add beat_how beat_name_how beat_period beat_period_how beat_grace beat_grace_how
    beat_priority beat_phones beat_phones_how labels_how beat_bad_period beat_bad_grace beat_no_phones beat_many_phones
    beat_bad_labels beat_remove_sure beat_added beat_ping_how beat_once beat_then unit unit_seconds unit_minutes unit_hours
    unit_days windows_none window_add window_how window_reason window_reason_how window_team_how window_from_how
    refused_stale refused_stale_why t_step_named who_until who_on_duty who_of_team health_unserved unserved_why
    stray_why open_heading_waiting trouble_declined and_more ago
    own_several own_more own_again t_parted by_user by_key by_handset by_open by_command_line
    window_to_how window_labels_how window_bad_reason window_bad_what window_bad_end window_end window_end_sure
    window_end_go done_window_ended
}

/// What takes the place of `{name}` in a sentence.
#[derive(Clone, Copy, Debug)]
pub(in crate::dashboard) enum Bit<'t> {
    /// Text, escaped.
    Text(&'t str),
    /// Markup that our own code made.
    Html(&'t str),
}

/// A sentence of the catalogue with its places filled, as HTML.
pub(in crate::dashboard) fn fill(sentence: &str, bits: &[(&str, Bit<'_>)]) -> String {
    let mut html = String::with_capacity(sentence.len() + 32);
    split(sentence, |piece| match piece {
        Piece::Words(words) => html.push_str(&escape(words)),
        Piece::Place(name) => match bits.iter().find(|(own, _)| *own == name) {
            Some((_, Bit::Text(text))) => html.push_str(&isolated(text)),
            Some((_, Bit::Html(markup))) => html.push_str(markup),
            None => html.push_str(&escape(name)),
        },
    });
    html
}

/// A sentence of the catalogue with its places filled, as text.
pub(in crate::dashboard) fn fill_text(sentence: &str, bits: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(sentence.len() + 32);
    split(sentence, |piece| match piece {
        Piece::Words(words) => filled.push_str(words),
        Piece::Place(name) => filled.push_str(bits.iter().find(|(own, _)| *own == name).map_or(name, |(_, text)| text)),
    });
    filled
}

/// Text within a sentence, as HTML: whichever way it is written, the words around it stay in their order.
pub(in crate::dashboard) fn isolated(text: &str) -> String {
    if text.is_ascii() { escape(text) } else { format!("<bdi>{}</bdi>", escape(text)) }
}

/// Text that stands for itself in HTML, in attributes too.
pub(in crate::dashboard) fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            c => html.push(c),
        }
    }
    html
}

enum Piece<'t> {
    Words(&'t str),
    Place(&'t str),
}

fn split<'t>(sentence: &'t str, mut each: impl FnMut(Piece<'t>)) {
    let mut rest = sentence;
    while let Some((before, after)) = rest.split_once('{') {
        each(Piece::Words(before));
        let Some((name, after)) = after.split_once('}') else { return each(Piece::Words(after)) };
        each(Piece::Place(name));
        rest = after;
    }
    each(Piece::Words(rest));
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use std::collections::BTreeSet;

    const FILES: [(&str, &str); 4] = [
        ("en", include_str!("words/en.toml")),
        ("zh", include_str!("words/zh.toml")),
        ("ja", include_str!("words/ja.toml")),
        ("es", include_str!("words/es.toml")),
    ];

    fn places(sentence: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        split(sentence, |piece| {
            if let Piece::Place(name) = piece {
                found.insert(name.to_owned());
            }
        });
        found
    }

    #[test]
    fn every_language_has_every_word_and_no_other() {
        let wanted: BTreeSet<&str> = Words::KEYS.iter().copied().collect();
        for (tag, text) in FILES {
            let table: toml::Table = text.parse().unwrap();
            let there: BTreeSet<&str> = table.keys().map(String::as_str).collect();
            assert_eq!(wanted.difference(&there).collect::<Vec<_>>(), Vec::<&&str>::new(), "missing in {tag}");
            assert_eq!(there.difference(&wanted).collect::<Vec<_>>(), Vec::<&&str>::new(), "unknown in {tag}");
        }
    }

    #[test]
    fn every_language_has_the_same_places_in_a_sentence() {
        let [(_, english), others @ ..] = FILES;
        let english: toml::Table = english.parse().unwrap();
        for (tag, text) in others {
            let table: toml::Table = text.parse().unwrap();
            for (key, sentence) in &english {
                let other = table[key].as_str().unwrap();
                assert!(!other.trim().is_empty(), "{tag}: {key} is empty");
                assert_eq!(places(sentence.as_str().unwrap()), places(other), "{tag}: {key}");
            }
        }
    }

    #[test]
    fn every_language_is_tested_and_read_from_its_own_file() {
        assert_eq!(FILES.map(|(tag, _)| tag), Language::ALL.map(Language::tag));
        let names: BTreeSet<&str> = Language::ALL.iter().map(|language| language.words().language_name.as_str()).collect();
        assert_eq!(names.len(), FILES.len());
    }

    #[test]
    fn what_is_filled_in_is_escaped() {
        let html = fill("a {who} < {at}", &[("who", Bit::Text("<b>\"'&")), ("at", Bit::Html("<i>1</i>"))]);
        assert_eq!(html, "a &lt;b&gt;&quot;&#39;&amp; &lt; <i>1</i>");
        assert_eq!(fill_text("{n} of {m}", &[("n", "1"), ("m", "2")]), "1 of 2");
    }

    #[test]
    fn the_browser_says_what_it_wants() {
        assert_eq!(Language::of_accept("zh-CN,zh;q=0.9,en;q=0.8"), Some(Language::Chinese));
        assert_eq!(Language::of_accept("fr, en;q=0.5, zh;q=0.4"), Some(Language::English));
        assert_eq!(Language::of_accept("es-MX, ja;q=0.4"), Some(Language::Spanish));
        assert_eq!(Language::of_accept("zh;q=0, fr"), None);
        assert_eq!(Language::of_tag("ZH-Hans-CN"), Some(Language::Chinese));
    }
}
