#include <pwd.h>
#include <time.h>

#include "fetchrc_text.h"

#include "config/providers.h"
#include "config/values.h"

/* The fewest options that a mailbox needs, as root too. */
#define MAILBOX "host = pop.example.org username = thomas password = x recipients = thomas "

static void the_defaults_are_those_of_the_contract(void **state)
{
    struct fetchrc rc;
    const struct config_account *account;
    const struct config_destination *local;

    (void)state;
    fetchrc_good(&rc, "account gmx { " MAILBOX "}");
    assert_int_equal(rc.config.jobs, 8);
    assert_int_equal(rc.config.jobs_per_host, 4);
    assert_int_equal(rc.config.timeout, 60);
    assert_int_equal(rc.config.final_timeout, 600);
    assert_int_equal(rc.config.forget_after, 90 * 86400);
    assert_null(rc.config.state_dir);
    assert_int_equal(rc.config.report_after, 1);
    assert_int_equal(rc.config.stale_after, 86400);
    assert_null(rc.config.metrics_file);
    account = &rc.config.accounts[0];
    assert_string_equal(account->peer.title, "gmx");
    assert_int_equal(account->peer.port, 995);
    assert_int_equal(account->peer.tls, TLS_IMPLICIT);
    assert_int_equal(account->peer.auth, AUTH_AUTO);
    assert_true(account->enabled);
    assert_false(account->keep);
    assert_int_equal(account->max_size, 0);
    assert_string_equal(account->sender, "return-path");
    assert_int_equal(account->max_hops, 50);
    assert_string_equal(account->identity, "thomas@pop.example.org");
    local = account->destination;
    assert_string_equal(local->peer.title, "local");
    assert_string_equal(local->peer.host, "localhost");
    assert_int_equal(local->peer.port, 25);
    assert_int_equal(local->peer.tls, TLS_NONE);
    assert_int_equal(local->connections, 4);
    assert_string_equal(local->recipient_domain, "localhost");
    assert_non_null(local->helo);
    assert_false(local->xclient || local->chunking || local->no_notify);
    fetchrc_end(&rc);
}

static void every_option_reaches_its_place(void **state)
{
    struct fetchrc rc;
    const struct config_account *account;
    const struct config_destination *to;

    (void)state;
    assert_int_equal(setenv("HOME", "/home/thomas", 1), 0);
    fetchrc_good(
        &rc,
        "jobs = 20\njobs_per_host=2 timeout = 2m final_timeout = 90s forget_after = 2d report_after = 3 "
        "stale_after = 1h state_dir = \"~/s\" metrics_file = m\n"
        "destination mx { host = '[::1]' port = 587 tls = starttls connections = 9 helo = me xclient = yes "
        "chunking = on notify = never recipient_domain = d username = u password = p auth = plain "
        "proxy = \"http://p:3128\" }\n"
        "account gmx { " MAILBOX
        "keep = TRUE keep_days = 7 max_size = 25M oversize = headers max_messages = 5 "
        "pipelining = off sender = \"<>\" on_reject = forward reject_recipient = post trusted_hosts = {a, "
        ".b} "
        "max_hops = 3 enabled = no port = 1110 tls = none auth = apop envelope_header = To "
        "map = {'a=b@x=c', '@x=d', '*=e'} }");
    assert_int_equal(rc.config.jobs, 20);
    assert_int_equal(rc.config.timeout, 120);
    assert_int_equal(rc.config.final_timeout, 90);
    assert_int_equal(rc.config.forget_after, 172800);
    assert_int_equal(rc.config.stale_after, 3600);
    assert_string_equal(rc.config.state_dir, "/home/thomas/s");
    assert_string_equal(strrchr(rc.config.metrics_file, '/'), "/m");
    account = &rc.config.accounts[0];
    to = account->destination;
    assert_string_equal(to->peer.title, "mx");
    assert_string_equal(to->peer.host, "::1");
    assert_int_equal(to->peer.tls, TLS_STARTTLS);
    assert_true(to->xclient && to->chunking && to->no_notify);
    assert_string_equal(to->peer.secret.password, "p");
    assert_int_equal(account->max_size, 25 << 20);
    assert_int_equal(account->oversize, CONFIG_OVERSIZE_HEADERS);
    assert_int_equal(account->pipelining, CONFIG_PIPELINING_OFF);
    assert_int_equal(account->on_reject, CONFIG_REJECT_FORWARD);
    assert_string_equal(account->reject_recipient, "post");
    assert_int_equal(account->trusted_hosts.count, 2);
    assert_string_equal(account->trusted_hosts.items[1], ".b");
    assert_false(account->enabled);
    assert_int_equal(account->map_count, 3);
    assert_string_equal(account->map[0].from, "a=b@x");
    assert_string_equal(account->map[0].to, "c");
    assert_string_equal(account->map[2].from, "*");
    assert_string_equal(account->identity, "thomas@pop.example.org:1110");
    assert_int_equal(account->peer.auth, AUTH_APOP);
    fetchrc_end(&rc);
}

static void an_identity_has_a_host_in_lower_case_and_unusual_ports_only(void **state)
{
    struct fetchrc rc;

    (void)state;
    fetchrc_good(&rc, "account a { username = 'Tom@GMX.de' host = POP.Gmx.NET password = x recipients = t }\n"
                      "account b { username = b host = h tls = starttls password = x recipients = t }\n"
                      "account c { username = c host = '::1' port = 8110 password = x recipients = t }");
    assert_string_equal(rc.config.accounts[0].identity, "Tom@GMX.de@pop.gmx.net");
    assert_string_equal(rc.config.accounts[1].identity, "b@h");
    assert_int_equal(rc.config.accounts[1].peer.port, 110);
    assert_string_equal(rc.config.accounts[2].identity, "c@[::1]:8110");
    fetchrc_end(&rc);
}

static void variables_are_replaced_and_single_quotes_keep_them(void **state)
{
    struct fetchrc rc;

    (void)state;
    assert_int_equal(setenv("POPFERRY_TEST", "there", 1), 0);
    fetchrc_good(
        &rc, "account a { host = ${POPFERRY_TEST} username = \"u-${POPFERRY_TEST}-${POPFERRY_NO:-else}\"\n"
             "password = 'p$${POPFERRY_NO}\\n' recipients = t }");
    assert_string_equal(rc.config.accounts[0].peer.host, "there");
    assert_string_equal(rc.config.accounts[0].peer.username, "u-there-else");
    assert_string_equal(rc.config.accounts[0].peer.secret.password, "p$${POPFERRY_NO}\\n");
    fetchrc_end(&rc);
}

static void a_password_from_the_environment_may_stand_in_an_open_file(void **state)
{
    static const char text[] =
        "account a { host = h username = u password = \"${POPFERRY_TEST}\" recipients = t }";
    struct fetchrc rc;

    (void)state;
    assert_int_equal(setenv("POPFERRY_TEST", "there", 1), 0);
    fetchrc_begin(&rc);
    fetchrc_write(&rc, "fetchrc", text, strlen(text), 0644);
    fetchrc_load(&rc);
    assert_string_equal(rc.mistakes.data, "");
    fetchrc_end(&rc);
}

static void an_include_and_its_paths_are_relative_to_their_file(void **state)
{
    static const char top[] = "include(\"sub/more\")\naccount a { " MAILBOX "}\n";
    static const char more[] =
        "jobs = 3\ndestination local { host = h tls = starttls tls_ca_file = ca.pem }\ninclude('last')";
    static const char last[] = "account z { host = z username = z password_file = secret recipients = z }\n";
    char path[160];
    struct fetchrc rc;

    (void)state;
    fetchrc_begin(&rc);
    (void)snprintf(path, sizeof(path), "%s/sub", rc.dir);
    assert_int_equal(mkdir(path, 0700), 0);
    fetchrc_write(&rc, "fetchrc", top, strlen(top), 0600);
    fetchrc_write(&rc, "sub/more", more, strlen(more), 0644);
    fetchrc_write(&rc, "sub/last", last, strlen(last), 0644);
    fetchrc_write(&rc, "sub/ca.pem", "", 0, 0644);
    fetchrc_load(&rc);
    assert_string_equal(rc.mistakes.data, "");
    assert_int_equal(rc.config.jobs, 3);
    assert_int_equal(rc.config.account_count, 2);
    (void)snprintf(path, sizeof(path), "%s/sub/secret", rc.dir);
    assert_string_equal(rc.config.accounts[0].peer.secret.password_file, path);
    assert_int_equal(rc.config.file_count, 3);
    fetchrc_end(&rc);
}

static void without_a_named_destination_local_or_the_only_one_is_taken(void **state)
{
    struct fetchrc rc;

    (void)state;
    fetchrc_good(&rc, "destination far { host = h }\naccount a { " MAILBOX "}");
    assert_string_equal(rc.config.accounts[0].destination->peer.title, "far");
    fetchrc_end(&rc);
    fetchrc_good(&rc, "destination far { host = h }\ndestination local { }\naccount a { " MAILBOX "}");
    assert_string_equal(rc.config.accounts[0].destination->peer.title, "local");
    fetchrc_end(&rc);
    fetchrc_bad("destination far { host = h }\ndestination near { }\naccount a { " MAILBOX "}",
                "fetchrc:3: the account names no destination, and of several written ones none is called "
                "\"local\"\n");
}

static void lmtp_takes_a_socket_or_port_24(void **state)
{
    struct fetchrc rc;

    (void)state;
    fetchrc_good(&rc,
                 "destination s { protocol = lmtp socket = /run/lmtp }\ndestination t { protocol = lmtp }\n"
                 "account a { " MAILBOX "destination = s }");
    assert_string_equal(rc.config.destinations[0].socket, "/run/lmtp");
    assert_null(rc.config.destinations[0].peer.host);
    assert_int_equal(rc.config.destinations[1].peer.port, 24);
    fetchrc_end(&rc);
}

static void keep_days_is_enough_to_keep(void **state)
{
    struct fetchrc rc;

    (void)state;
    fetchrc_good(&rc, "account a { " MAILBOX "keep_days = 3 }");
    assert_true(rc.config.accounts[0].keep);
    assert_int_equal(rc.config.accounts[0].keep_days, 3);
    fetchrc_end(&rc);
}

static void a_provider_sets_what_is_not_written(void **state)
{
    struct fetchrc rc;

    (void)state;
    fetchrc_good(&rc, "account a { provider = 'GMX.de' username = a password = x recipients = t }\n"
                      "account b { provider = gmx host = pop.gmx.com tls = starttls username = b password = "
                      "x recipients = t }");
    assert_string_equal(rc.config.accounts[0].peer.host, "pop.gmx.net");
    assert_non_null(rc.config.accounts[0].provider_hint);
    assert_string_equal(rc.config.accounts[1].peer.host, "pop.gmx.com");
    assert_int_equal(rc.config.accounts[1].peer.tls, TLS_STARTTLS);
    assert_int_equal(rc.config.accounts[1].peer.port, 110);
    fetchrc_end(&rc);
}

static void the_providers_are_consistent(void **state)
{
    size_t count;
    const struct provider *list = provider_list(&count);
    size_t i;

    (void)state;
    assert_true(count > 40);
    for (i = 0; i < count; i++) {
        assert_ptr_equal(provider_find(list[i].name), &list[i]);
        if (list[i].host == NULL)
            assert_non_null(list[i].hint);
        else
            assert_null(value_host(list[i].host));
        assert_int_equal(list[i].token_endpoint == NULL, list[i].scope == NULL);
    }
}

static void a_provider_with_oauth_finds_its_section_by_name(void **state)
{
    struct fetchrc rc;

    (void)state;
    fetchrc_good(&rc, "oauth outlook { client_id = c }\noauth mine { client_id = c scope = s }\n"
                      "account a { provider = outlook username = a recipients = t }\n"
                      "account b { provider = gmail username = b password = app recipients = t }\n"
                      "account c { provider = gmail username = c oauth = mine recipients = t }");
    assert_ptr_equal(rc.config.accounts[0].oauth, &rc.config.oauths[0]);
    assert_non_null(strstr(rc.config.oauths[0].token_endpoint, "login.microsoftonline.com"));
    assert_non_null(strstr(rc.config.oauths[0].scope, "POP.AccessAsUser.All"));
    assert_null(rc.config.accounts[1].oauth);
    assert_non_null(strstr(rc.config.oauths[1].token_endpoint, "googleapis.com"));
    assert_string_equal(rc.config.oauths[1].scope, "s");
    fetchrc_end(&rc);
}

static void the_fingerprint_loses_its_colons(void **state)
{
    struct fetchrc rc;

    (void)state;
    fetchrc_good(&rc, "account a { " MAILBOX
                      "tls_fingerprint = \"SHA256:AB:cd:0123456789abcdef0123456789abcdef0123456789"
                      "abcdef0123456789ab\" tls = implicit }\n");
    assert_string_equal(rc.config.accounts[0].peer.tls_fingerprint,
                        "abcd0123456789abcdef0123456789abcdef0123456789abcdef0123456789ab");
    fetchrc_end(&rc);
}

static void the_default_recipient_is_the_user_but_never_root(void **state)
{
    struct fetchrc rc;
    struct passwd *user = getpwuid(geteuid());

    (void)state;
    fetchrc_text(&rc, "account a { host = h username = u password = x }");
    if (geteuid() == 0) {
        assert_string_equal(rc.mistakes.data,
                            "fetchrc:1: the account has no recipients; root must name them: "
                            "recipients = {\"thomas\"}\n");
    } else if (user != NULL) {
        assert_int_equal(rc.config.accounts[0].recipients.count, 1);
        assert_string_equal(rc.config.accounts[0].recipients.items[0], user->pw_name);
    }
    fetchrc_end(&rc);
}

static void crlf_line_ends_and_a_byte_order_mark_do_no_harm(void **state)
{
    struct fetchrc rc;

    (void)state;
    fetchrc_good(&rc, "\xEF\xBB\xBFjobs = 2\r\n# text\r\naccount a {\r\n" MAILBOX "\r\n}\r\n");
    assert_int_equal(rc.config.jobs, 2);
    fetchrc_end(&rc);
}

static void an_empty_fetchrc_has_no_accounts(void **state)
{
    struct fetchrc rc;

    (void)state;
    fetchrc_good(&rc, "");
    assert_int_equal(rc.config.account_count, 0);
    assert_int_equal(rc.config.destination_count, 1);
    fetchrc_end(&rc);
}

static void a_fetchrc_is_looked_for_where_it_belongs(void **state)
{
    struct fetchrc rc;
    struct fault fault;
    char path[200];
    char *found;

    (void)state;
    found = config_path("/no/such", &fault);
    assert_string_equal(found, "/no/such");
    free(found);
    fetchrc_begin(&rc);
    assert_int_equal(setenv("XDG_CONFIG_HOME", rc.dir, 1), 0);
    (void)snprintf(path, sizeof(path), "%s/popferry", rc.dir);
    assert_int_equal(mkdir(path, 0700), 0);
    if (access("/etc/popferry/fetchrc", F_OK) < 0) {
        assert_null(config_path(NULL, &fault));
        assert_int_equal(fault.class, FAULT_CONFIG);
        assert_non_null(strstr(fault.text, path));
    }
    fetchrc_write(&rc, "popferry/fetchrc", "", 0, 0600);
    found = config_path(NULL, &fault);
    (void)snprintf(path, sizeof(path), "%s/popferry/fetchrc", rc.dir);
    assert_string_equal(found, path);
    free(found);
    rc.result = -1;
    fetchrc_end(&rc);
}

/* Seconds of CPU that a fetchrc of so many accounts takes: the best of three. */
static double seconds_for(unsigned accounts)
{
    struct fetchrc rc;
    struct buf text;
    double best = 1e9;
    unsigned i;

    buf_init(&text, 16 << 20);
    for (i = 0; i < accounts; i++)
        assert_int_equal(
            buf_printf(
                &text,
                "destination d%u { host = h%u }\naccount \"a%u\" {\n host = \"pop%u.example.org\"\n"
                " username = \"user%u\"\n password = \"x\"\n recipients = {\"r%u\"}\n destination = d%u\n}\n",
                i, i, i, i, i, i, i),
            0);
    for (i = 0; i < 3; i++) {
        clock_t begin = clock();
        double took;
        fetchrc_good(&rc, text.data);
        took = (double)(clock() - begin) / CLOCKS_PER_SEC;
        best = took < best ? took : best;
        assert_int_equal(rc.config.account_count, accounts);
        assert_ptr_equal(rc.config.accounts[accounts - 1].destination, &rc.config.destinations[accounts - 1]);
        fetchrc_end(&rc);
    }
    buf_free(&text);
    return best;
}

static void ten_times_the_accounts_take_no_more_than_some_ten_times_as_long(void **state)
{
    (void)state;
    /* Twelve is asked for; what grows quadratically takes a hundred times as long. Room for a machine with
     * other work. */
    assert_true(seconds_for(10000) < 20 * seconds_for(1000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_defaults_are_those_of_the_contract),
        cmocka_unit_test(every_option_reaches_its_place),
        cmocka_unit_test(an_identity_has_a_host_in_lower_case_and_unusual_ports_only),
        cmocka_unit_test(variables_are_replaced_and_single_quotes_keep_them),
        cmocka_unit_test(a_password_from_the_environment_may_stand_in_an_open_file),
        cmocka_unit_test(an_include_and_its_paths_are_relative_to_their_file),
        cmocka_unit_test(without_a_named_destination_local_or_the_only_one_is_taken),
        cmocka_unit_test(lmtp_takes_a_socket_or_port_24),
        cmocka_unit_test(keep_days_is_enough_to_keep),
        cmocka_unit_test(a_provider_sets_what_is_not_written),
        cmocka_unit_test(the_providers_are_consistent),
        cmocka_unit_test(a_provider_with_oauth_finds_its_section_by_name),
        cmocka_unit_test(the_fingerprint_loses_its_colons),
        cmocka_unit_test(the_default_recipient_is_the_user_but_never_root),
        cmocka_unit_test(crlf_line_ends_and_a_byte_order_mark_do_no_harm),
        cmocka_unit_test(an_empty_fetchrc_has_no_accounts),
        cmocka_unit_test(a_fetchrc_is_looked_for_where_it_belongs),
        cmocka_unit_test(ten_times_the_accounts_take_no_more_than_some_ten_times_as_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
