/* What libconfuse would swallow, cut or join without a word, and what must never show in a mistake. */
#include "fetchrc_text.h"

#define BEHIND(line, name)                                                                                   \
    "fetchrc:" line ": what stands directly behind the value of " name                                       \
    " does not belong there; if it is part of it, write it in quotes: " name " = 'VALUE'\n"
#define HEAD "account a { host = h recipients = t username = u\n"

/* Everything that the fetchrc's mistakes say; nothing of it may be the secret. */
static void secret_stays(const char *text, const char *secret)
{
    struct fetchrc rc;

    fetchrc_text(&rc, text);
    if (rc.result == 0)
        fail_msg("there is a mistake in: %s", text);
    if (strstr(rc.mistakes.data, secret) != NULL)
        fail_msg("%s shows in: %s", secret, rc.mistakes.data);
    fetchrc_end(&rc);
}

static void a_missing_quote_is_told_at_the_line_where_it_is_missing(void **state)
{
    (void)state;
    fetchrc_bad("account leak {\n recipients = t\n keep = maybe\n host = \"localhost\n"
                " password = 'geheim123'\n username = \"u\"\n}\n",
                "fetchrc:3: keep = \"maybe\": it must be true or false\n"
                "fetchrc:4: the string that begins here has no end on this line: a \" is missing\n");
    fetchrc_bad("account a {\n username = 'u\\\n' }\n",
                "fetchrc:2: the string that begins here has no end on this line: a ' is missing\n");
}

static void a_variable_ends_before_the_quote(void **state)
{
    (void)state;
    fetchrc_bad(
        "account a {\n username = \"${HOME\"\n password = 'geheim123'\n}\n",
        "fetchrc:2: a ${ has no end: a } is missing behind the variable's name; single quotes keep a $ "
        "as it is\n");
}

static void no_mistake_quotes_any_part_of_a_secret(void **state)
{
    static const char *const values[] = {
        "gut geheim = 3",      "gut geheim { x = y }", "gut geheim(x)",       "gut 'geheim' = 3",
        "'gut' geheim += {x}", "'gut'geheim = 3",      "\"gut\"geheim\" = 3", "\"gut\\\" geheim = '3'",
        "'it's geheim = 3",    "gut\"geheim\"",        "gut#geheim",          "gut*geheim = 3",
        "gut=geheim",          "gut,geheim = 3",       "gut}geheim = 3",      "gut{geheim = 3",
        "{gut, geheim}",       "\"${geheim}\"",        "${geheim}",           "\"${geheim\"",
        "\"gut\\geheim\"",     "\"geheim\x01\"",       "“gut” geheim = 3",    "“geheim",
        "“gut 'geheim = 3",
    };
    static const char *const names[] = {"password", "password_command", "token_command", "pasword", "secret"};
    char text[256];
    size_t i, j;

    (void)state;
    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        for (j = 0; j < sizeof(values) / sizeof(values[0]); j++) {
            /* A command may hold octets that a login may not. */
            if (strchr(values[j], '\x01') != NULL && strstr(names[i], "command") != NULL)
                continue;
            (void)snprintf(text, sizeof(text), HEAD "%s = %s\n}\n", names[i], values[j]);
            secret_stays(text, "geheim");
        }
    }
    secret_stays(HEAD "password \"${geheim}\"\n}", "geheim");
    secret_stays("nothing x { password = \"${geheim}\" }", "geheim");
    secret_stays(HEAD "password = x proxy = 'sock5://u:geheim@x' }", "geheim");
    secret_stays("oauth o { client_id = c token_endpoint = 'https://x'\nclient_secret = 'x' geheim = 3 }",
                 "geheim");
    secret_stays("account a { host = \"h password = geheim username = \" recipients = t }", "geheim");
    secret_stays("account a { host = \"h password = geheim username = \"u recipients = t }", "geheim");
    secret_stays("account a { destination = \"h password = geheim host = \" username = x }", "geheim");
}

static void a_word_with_a_special_character_needs_quotes(void **state)
{
    static const char *const words[] = {"pa#ss", "secret*", "secret+", "secret;", "pa(ss)",  "pa+=s",
                                        "pa=s",  "pa,s",    "pa}ss",   "'pa'ss",  "pa\"s\"", "pa{s"};
    char text[256];
    struct fetchrc rc;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        (void)snprintf(text, sizeof(text), HEAD "password = %s\n}\n", words[i]);
        fetchrc_text(&rc, text);
        if (strstr(rc.mistakes.data, BEHIND("2", "password")) == NULL)
            fail_msg("%s: %s", words[i], rc.mistakes.data);
        fetchrc_end(&rc);
    }
    fetchrc_bad(HEAD "password = *x\n}",
                "fetchrc:2: the value of password needs quotes: password = 'VALUE'\n");
}

static void reading_goes_on_behind_a_value_that_needs_quotes(void **state)
{
    (void)state;
    fetchrc_bad(
        "account a { host = h; recipients = t username = \"u\"; keep = x\n password = pa#ss\n"
        " max_hops = x };\njobs = x\n",
        BEHIND("1", "host")
            BEHIND("1", "username") "fetchrc:1: keep = \"x\": it must be true or false\n" BEHIND(
                "2",
                "password") "fetchrc:3: a ; has no place here; an option ends with its line, or at a blank\n"
                            "fetchrc:3: max_hops = \"x\": it must be a whole number from 1 to 1000\n"
                            "fetchrc:4: jobs = \"x\": it must be a whole number from 1 to 1000\n");
}

static void a_title_is_not_cut_either(void **state)
{
    static const char wrong[] =
        "fetchrc:1: NAME = VALUE or a section, NAME \"TITLE\" { ... }, is expected; a "
        "value with spaces or special characters needs quotes\n";

    (void)state;
    fetchrc_bad("account a* { }\n", wrong);
    fetchrc_bad("account a#b\n{ }\n", wrong);
}

static void what_stands_close_together_is_still_read(void **state)
{
    struct fetchrc rc;

    (void)state;
    fetchrc_good(&rc,
                 "account a {host=h username=\"u\"# u\nrecipients={a,\"b\"}password='p'/* p */ keep=yes}");
    assert_int_equal(rc.config.accounts[0].recipients.count, 2);
    assert_true(rc.config.accounts[0].keep);
    fetchrc_end(&rc);
    fetchrc_good(&rc, HEAD "password = a;b//c map = '*=x' envelope_header = To}");
    assert_string_equal(rc.config.accounts[0].peer.secret.password, "a;b//c");
    fetchrc_end(&rc);
}

static void only_known_escapes_stand_in_double_quotes(void **state)
{
    static const char *const wrong[] = {"dom\\user", "dom\\123", "a\\x4", "a\\x00b", "a\\r", "\\9"};
    struct fetchrc rc;
    char text[256];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        (void)snprintf(text, sizeof(text),
                       "account a { host = h recipients = t password = x\nusername = \"%s\"}", wrong[i]);
        fetchrc_bad(
            text, "fetchrc:2: a backslash in double quotes begins one of \\\\ \\\" \\$ \\n \\t \\x41; write "
                  "\\\\ for the character itself, or use single quotes\n");
    }
    fetchrc_good(&rc, "account a { host = h recipients = t username = 'dom\\user'\n"
                      "password = \"\\\\\\\"\\${HOME}\\x41\" }");
    assert_string_equal(rc.config.accounts[0].peer.username, "dom\\user");
    assert_string_equal(rc.config.accounts[0].peer.secret.password, "\\\"${HOME}A");
    fetchrc_end(&rc);
}

static void typographic_quotes_are_told_and_taken_for_straight_ones(void **state)
{
    static const char told[] = "typographic quotes stand here; use straight quotes, \"VALUE\" or 'VALUE'\n";
    char expected[1024];

    (void)state;
    (void)snprintf(expected, sizeof(expected),
                   "fetchrc:1: %sfetchrc:2: %sfetchrc:3: %sfetchrc:4: %sfetchrc:5: %sfetchrc:5: keep = "
                   "\"x y\": it must be true or false\n",
                   told, told, told, told, told);
    fetchrc_bad(
        "account “a b” { host = h\nusername = „a b“\npassword = ‘a b’\nrecipients = {«t»}\nkeep = “x y\" }",
        expected);
    fetchrc_bad("account a {\nhost = “localhost\n}",
                "fetchrc:2: typographic quotes stand here; use straight quotes, "
                "\"VALUE\" or 'VALUE'\n");
}

static void a_host_is_one_that_can_be_connected_to(void **state)
{
    static const char *const right[] = {"pop.gmx.net", "::1",         "[::1]",   "fe80::1%eth0", "127.0.0.1",
                                        "müller.de",   "my_host.lan", "l·l.cat", "[127.0.0.1]"};
    static const char *const wrong[] = {"“localhost”", "h\xC2\xA0", "[h]", "x%y", "-h", "h h", "[127.0.0.1"};
    static const char *const ports[] = {"pop.gmx.net:995", "[::1]:995", "[::1", "::1]", "h:"};
    char text[256], mistake[256];
    struct fetchrc rc;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
        (void)snprintf(text, sizeof(text),
                       "account a { host = '%s' username = u password = x recipients = t }", right[i]);
        fetchrc_good(&rc, text);
        fetchrc_end(&rc);
    }
    for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        (void)snprintf(text, sizeof(text),
                       "account a { username = u password = x recipients = t\nhost = '%s' }", wrong[i]);
        (void)snprintf(mistake, sizeof(mistake),
                       "fetchrc:2: host = \"%s\": it must be a host name or an IP address\n", wrong[i]);
        fetchrc_bad(text, mistake);
    }
    for (i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
        (void)snprintf(text, sizeof(text),
                       "account a { username = u password = x recipients = t\nhost = '%s' }", ports[i]);
        (void)snprintf(
            mistake, sizeof(mistake),
            "fetchrc:2: host = \"%s\": it must be a host name or an IP address; a port is an option of "
            "its own: port = NUMBER\n",
            ports[i]);
        fetchrc_bad(text, mistake);
    }
}

static void several_values_stand_in_braces(void **state)
{
    (void)state;
    fetchrc_bad("account a { host = h username = u password = x\nrecipients = thomas, \"anna\"\nkeep = x\n"
                "trusted_hosts = a,\nmax_hops = x }",
                "fetchrc:2: several values stand in braces: recipients = {\"thomas\", \"anna\"}\n"
                "fetchrc:3: keep = \"x\": it must be true or false\n"
                "fetchrc:4: several values stand in braces: trusted_hosts = {\"a\"}\n"
                "fetchrc:5: max_hops = \"x\": it must be a whole number from 1 to 1000\n");
}

static void a_section_that_is_misspelt_or_has_no_title_is_looked_over(void **state)
{
    (void)state;
    fetchrc_bad(
        "acount \"a\" {hots=h\nprot=3 }\naccount { user = u }\nsmtp x { hsot = y }\n"
        "nothing x { hsot = y }\njobs = x\n",
        "fetchrc:1: unknown section \"acount\"; the nearest known one is \"account\"\n"
        "fetchrc:1: unknown option \"hots\"; the nearest known one is \"host\" (the POP3 server)\n"
        "fetchrc:2: unknown option \"prot\"; the nearest known one is \"port\" (995 by default, 110 without "
        "implicit TLS)\n"
        "fetchrc:3: a section needs a title: account \"TITLE\" {\n"
        "fetchrc:3: unknown option \"user\"; the nearest known one is \"username\" (the login name)\n"
        "fetchrc:4: unknown section \"smtp\"; the nearest known one is \"destination\"\n"
        "fetchrc:4: unknown option \"hsot\"; the nearest known one is \"host\" (the server; localhost by "
        "default)\n"
        "fetchrc:5: unknown section \"nothing\"; account, destination and oauth are known\n"
        "fetchrc:6: jobs = \"x\": it must be a whole number from 1 to 1000\n");
    fetchrc_bad("account a { host = h username = u password = x recipients = t keep = x }\nacount b {\n",
                "fetchrc:1: keep = \"x\": it must be true or false\n"
                "fetchrc:2: unknown section \"acount\"; the nearest known one is \"account\"\n"
                "fetchrc:2: the section that begins here is not closed: a } is missing\n");
}

static void names_of_other_programs_are_understood(void **state)
{
    static const struct {
        const char *name, *meant;
    } cases[] = {
        {"user", "username"},      {"pass", "password"},      {"ssl", "tls"},
        {"server", "host"},        {"to", "recipients"},      {"rcpt", "recipients"},
        {"cafile", "tls_ca_file"}, {"CAfile", "tls_ca_file"}, {"Host", "host"},
        {"keepdays", "keep_days"}, {"usrname", "username"},   {"fingerprint", "tls_fingerprint"},
    };
    char text[128], wanted[128];
    struct fetchrc rc;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        (void)snprintf(text, sizeof(text), "account a { %s = x }", cases[i].name);
        (void)snprintf(wanted, sizeof(wanted), "unknown option \"%s\"; the nearest known one is \"%s\" (",
                       cases[i].name, cases[i].meant);
        fetchrc_text(&rc, text);
        if (strstr(rc.mistakes.data, wanted) == NULL)
            fail_msg("%s: %s", cases[i].name, rc.mistakes.data);
        fetchrc_end(&rc);
    }
    fetchrc_bad("colour = x\n",
                "fetchrc:1: unknown option \"colour\"; fetchrc(5) explains those outside of sections\n");
}

static void an_option_of_another_section_is_told_with_both_names(void **state)
{
    (void)state;
    fetchrc_bad("oauth o { client_id = c token_endpoint = 'https://x'\nusername = u }\ndestination d { keep "
                "= true }\n",
                "fetchrc:2: \"username\" is an option of account sections, not of oauth\n"
                "fetchrc:3: \"keep\" is an option of account sections, not of destination\n");
}

static void utf_16_is_told_and_utf_8_with_a_mark_is_read(void **state)
{
    static const char *const texts[] = {"\xFF\xFEj\0o\0b\0s\0", "\xFE\xFF\0j\0o\0b\0s", "j\0o\0b\0s\0",
                                        "\0j\0o\0b\0s"};
    static const size_t lengths[] = {10, 10, 8, 8};
    struct fetchrc rc;
    size_t i;

    (void)state;
    for (i = 0; i < 4; i++) {
        fetchrc_begin(&rc);
        fetchrc_write(&rc, "fetchrc", texts[i], lengths[i], 0600);
        fetchrc_load(&rc);
        assert_string_equal(rc.mistakes.data,
                            "fetchrc:1: this file is not UTF-8 but UTF-16; save it as UTF-8\n");
        fetchrc_end(&rc);
    }
    fetchrc_good(&rc, "\xEF\xBB\xBFjobs=2\r\naccount a {\r\nhost = h\r\nusername = \"u\"\r\npassword = x\r\n"
                      "recipients = {a,\r\nb}\r\n}\r\n");
    assert_string_equal(rc.config.accounts[0].peer.host, "h");
    assert_string_equal(rc.config.accounts[0].peer.secret.password, "x");
    assert_string_equal(rc.config.accounts[0].recipients.items[1], "b");
    fetchrc_end(&rc);
}

static void what_does_nothing_is_told_unless_it_was_written_out(void **state)
{
    struct fetchrc rc;

    (void)state;
    fetchrc_bad(
        "destination l { protocol = lmtp\nrecipient_domain = d }\n"
        "destination local {\ntls_ca_file = '/dev/null' }\n" HEAD "password = x\noversize = headers\n"
        "keep = false keep_days = 3\nreject_recipient = x }\n",
        "fetchrc:2: recipient_domain does nothing with protocol = \"lmtp\", which takes bare names; leave it "
        "out\n"
        "fetchrc:4: tls_ca_file does nothing with tls = \"none\"; starttls or implicit is right\n"
        "fetchrc:8: keep = false and keep_days contradict each other; one of them is right\n"
        "fetchrc:9: reject_recipient does nothing without on_reject = \"forward\"\n");
    fetchrc_text(&rc, "account a { host = h username = u password = x\nrecipients = {} }");
    assert_non_null(strstr(rc.mistakes.data,
                           "fetchrc:2: recipients is empty; write recipients = {\"NAME\"}, or "
                           "leave it out for the user who runs popferry\n"));
    fetchrc_end(&rc);
    fetchrc_good(&rc, "destination l { protocol = lmtp recipient_domain = localhost xclient = no }\n" HEAD
                      "password = x oversize = headers keep = true keep_days = 3\n"
                      "on_reject = keep reject_recipient = x trusted_hosts = {} }\n");
    fetchrc_end(&rc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_missing_quote_is_told_at_the_line_where_it_is_missing),
        cmocka_unit_test(a_variable_ends_before_the_quote),
        cmocka_unit_test(no_mistake_quotes_any_part_of_a_secret),
        cmocka_unit_test(a_word_with_a_special_character_needs_quotes),
        cmocka_unit_test(reading_goes_on_behind_a_value_that_needs_quotes),
        cmocka_unit_test(a_title_is_not_cut_either),
        cmocka_unit_test(what_stands_close_together_is_still_read),
        cmocka_unit_test(only_known_escapes_stand_in_double_quotes),
        cmocka_unit_test(typographic_quotes_are_told_and_taken_for_straight_ones),
        cmocka_unit_test(a_host_is_one_that_can_be_connected_to),
        cmocka_unit_test(several_values_stand_in_braces),
        cmocka_unit_test(a_section_that_is_misspelt_or_has_no_title_is_looked_over),
        cmocka_unit_test(names_of_other_programs_are_understood),
        cmocka_unit_test(an_option_of_another_section_is_told_with_both_names),
        cmocka_unit_test(utf_16_is_told_and_utf_8_with_a_mark_is_read),
        cmocka_unit_test(what_does_nothing_is_told_unless_it_was_written_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
