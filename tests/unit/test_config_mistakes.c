#include "fetchrc_text.h"

#define LOGIN "username = u password = x recipients = t "

static void unknown_names_come_with_the_nearest_known_one(void **state)
{
    (void)state;
    fetchrc_bad("timout = 3\n"
                "acount \"a\" { host = {a, b} sub { x = y } }\n"
                "account a {\n"
                "  hots = pop.example.org\n"
                "  recipient = {a, b}\n"
                "  host = h\n" LOGIN "}\n"
                "nothing()\n",
                "fetchrc:1: unknown option \"timout\"; the nearest known one is \"timeout\" (time within "
                "which a peer must "
                "answer, or bring on a long answer)\n"
                "fetchrc:2: unknown section \"acount\"; the nearest known one is \"account\"\n"
                "fetchrc:2: host takes one value; write host = VALUE\n"
                "fetchrc:2: a section \"sub\" stands within a section; is a } missing before it?\n"
                "fetchrc:4: unknown option \"hots\"; the nearest known one is \"host\" (the POP3 server)\n"
                "fetchrc:5: unknown option \"recipient\"; the nearest known one is \"recipients\" (who gets "
                "the mail; by "
                "default the user who runs popferry)\n"
                "fetchrc:8: the one thing that is written with parentheses is include(\"FILE\")\n");
}

static void an_option_in_the_wrong_place_is_told_where_it_belongs(void **state)
{
    (void)state;
    fetchrc_bad("keep = true\naccount a { host = h jobs = 3 " LOGIN "}\n",
                "fetchrc:1: \"keep\" belongs into a section, such as account \"TITLE\" { ... }\n"
                "fetchrc:2: \"jobs\" belongs before the sections, not into one\n");
}

static void values_must_be_of_their_kind_and_within_bounds(void **state)
{
    (void)state;
    fetchrc_bad(
        "jobs = 0\njobs = 4\ntimeout = soon\nfinal_timeout = 2d\nforget_after = 99999999999999999999d\n"
        "account a { host = h " LOGIN "\n"
        "port = 65536\nport = 0x10\nkeep = maybe\nmax_size = 25Q\ntls = ssl\nmax_hops = -1\n"
        "keep_days = 0\nsender = thomas\n}",
        "fetchrc:1: jobs = \"0\": it must be a whole number from 1 to 1000\n"
        "fetchrc:2: jobs is written twice; once is enough\n"
        "fetchrc:3: timeout = \"soon\": it must be a time from 1 to 86400 seconds, such as 60, 90s, 10m, 24h "
        "or 30d\n"
        "fetchrc:4: final_timeout = \"2d\": it must be a time from 1 to 86400 seconds, such as 60, 90s, 10m, "
        "24h or 30d\n"
        "fetchrc:5: forget_after = \"99999999999999999999d\": it must be a time from 1 to 3153600000 "
        "seconds, such as "
        "60, 90s, 10m, 24h or 30d\n"
        "fetchrc:7: port = \"65536\": it must be a whole number from 1 to 65535\n"
        "fetchrc:8: port is written twice; once is enough\n"
        "fetchrc:9: keep = \"maybe\": it must be true or false\n"
        "fetchrc:10: max_size = \"25Q\": it must be a size in octets, such as 500k, 25M or 1G\n"
        "fetchrc:11: tls = \"ssl\": it must be one of none, starttls, implicit\n"
        "fetchrc:12: max_hops = \"-1\": it must be a whole number from 1 to 1000\n"
        "fetchrc:13: keep_days = \"0\": it must be a whole number from 1 to 36500\n"
        "fetchrc:14: sender = \"thomas\": it must be \"return-path\", an address, or \"<>\"\n");
}

static void a_list_where_one_value_belongs_is_told_and_reading_goes_on(void **state)
{
    (void)state;
    fetchrc_bad("account a {\nhost = {a, b}\nusername += x\npassword = x recipients = t\n}",
                "fetchrc:1: the account has no host; write host = \"pop.example.org\", or provider\n"
                "fetchrc:1: the account has no username; write username = \"NAME\"\n"
                "fetchrc:2: host takes one value; write host = VALUE\n"
                "fetchrc:3: username takes one value; write username = VALUE\n");
}

static void what_an_account_lacks_is_told_at_its_first_line(void **state)
{
    (void)state;
    fetchrc_bad(
        "\n/* two\nlines */ account empty {\n# nothing\n}\naccount b { host = h " LOGIN "}",
        geteuid() == 0
            ? "fetchrc:3: the account has no host; write host = \"pop.example.org\", or provider\n"
              "fetchrc:3: the account has no username; write username = \"NAME\"\n"
              "fetchrc:3: the account has no recipients; root must name them: recipients = {\"thomas\"}\n"
              "fetchrc:3: the account has no password; write password_command, password_file, credential or "
              "password\n"
            : "fetchrc:3: the account has no host; write host = \"pop.example.org\", or provider\n"
              "fetchrc:3: the account has no username; write username = \"NAME\"\n"
              "fetchrc:3: the account has no password; write password_command, password_file, credential or "
              "password\n");
}

static void titles_and_mailboxes_stand_once(void **state)
{
    (void)state;
    fetchrc_bad("account a { host = h " LOGIN "}\n"
                "account a { host = i " LOGIN "}\n"
                "account c { host = H port = 110 tls = none " LOGIN "}\n"
                "destination d { }\ndestination d { }\ndestination local { }\n"
                "oauth o { client_id = c token_endpoint = https://t/ }\noauth o { client_id = c "
                "token_endpoint = https://t/ }\n"
                "account e { host = e destination = d " LOGIN "}\n",
                "fetchrc:2: account \"a\" stands already in fetchrc:1; another title is right\n"
                "fetchrc:3: mailbox \"u@h\" stands already in fetchrc:1; one account a mailbox is right\n"
                "fetchrc:5: destination \"d\" stands already in fetchrc:4; another title is right\n"
                "fetchrc:8: oauth \"o\" stands already in fetchrc:7; another title is right\n");
}

static void unknown_titles_are_told(void **state)
{
    (void)state;
    fetchrc_bad("account a { host = h " LOGIN "\ndestination = far\noauth = none\n}\n",
                "fetchrc:2: unknown destination \"far\"; write a section destination \"far\" { ... }, or the "
                "title of one that is "
                "there\n"
                "fetchrc:3: unknown oauth section \"none\"; write a section oauth \"none\" { ... }, or the "
                "title of one that is "
                "there\n");
}

static void control_characters_have_no_place_in_a_login(void **state)
{
    (void)state;
    fetchrc_bad(
        "account a { host = h recipients = t\nusername = \"u\\x0d\\nDELE 1\"\npassword = \"geheim\\x01\"\n}",
        "fetchrc:2: username = \"u?...\": it must be text without control characters\n"
        "fetchrc:3: password must be text without control characters\n");
}

static void recipients_must_fit_into_rcpt(void **state)
{
    (void)state;
    fetchrc_bad("account a { host = h username = u password = x\nrecipients = {\"a b\", "
                "\"a>\\x0d\\nDATA\",\n\"ok\", \"@x\", \"\", ok}\n}",
                "fetchrc:2: recipients = \"a b\": it must be an address, or a user's name\n"
                "fetchrc:2: recipients = \"a>?...\": it must be an address, or a user's name\n"
                "fetchrc:3: recipients = \"@x\": it must be an address, or a user's name\n"
                "fetchrc:3: recipients = \"\": it must be an address, or a user's name\n"
                "fetchrc:3: recipients = \"ok\": it must be named once only\n");
}

static void an_unset_variable_is_told_once(void **state)
{
    (void)state;
    fetchrc_bad(
        "# ${POPFERRY_NO} in a comment\naccount a { host = \"${POPFERRY_NO}\" " LOGIN
        "\nprovider = ${POPFERRY_NO}\n}",
        "fetchrc:2: the environment has no variable \"POPFERRY_NO\"; set it, or write ${NAME:-DEFAULT}\n"
        "fetchrc:3: the environment has no variable \"POPFERRY_NO\"; set it, or write ${NAME:-DEFAULT}\n");
}

static void a_secret_in_a_file_that_others_can_read_is_refused(void **state)
{
    static const char text[] =
        "account a {\nhost = h username = u recipients = t\npassword = geheim\n}\n"
        "oauth o { client_id = c token_endpoint = 'https://t/'\nclient_secret = 'geheim' }\n"
        "account b { host = i username = u recipients = t\npassword = \"${POPFERRY_NO:-geheim}\"\n}\n"
        "account c { host = j username = u recipients = t password_command = 'pass show' }\n";
    static const char top[] = "include(open)\n";
    static const mode_t modes[] = {0640, 0604, 0644};
    struct fetchrc rc;
    size_t i;

    (void)state;
    for (i = 0; i < 3; i++) {
        fetchrc_begin(&rc);
        fetchrc_write(&rc, "fetchrc", top, strlen(top), 0600);
        fetchrc_write(&rc, "open", text, strlen(text), modes[i]);
        fetchrc_load(&rc);
        assert_string_equal(
            rc.mistakes.data,
            "open:3: a password stands in a file that others can read; chmod 600 is needed, or "
            "password_command\n"
            "open:6: a client_secret stands in a file that others can read; chmod 600 is needed, or "
            "\"${NAME}\"\n"
            "open:8: a password stands in a file that others can read; chmod 600 is needed, or "
            "password_command\n");
        assert_null(strstr(rc.mistakes.data, "geheim"));
        fetchrc_end(&rc);
    }
}

static void secrets_are_one_and_are_there(void **state)
{
    (void)state;
    fetchrc_bad(
        "account a { host = h username = u recipients = t\npassword = x\npassword_file = y\n}\n"
        "account b { host = i username = u recipients = t }\n"
        "account c { host = j username = u recipients = t enabled = false }\n"
        "account d { host = k username = u recipients = t auth = external }\n"
        "account e { host = l username = u recipients = t\nauth = xoauth2 }\n"
        "account f { provider = outlook username = u recipients = t\ntoken_command = x auth = plain }\n"
        "account g { host = m username = u recipients = t credential = '../x' }\n",
        "fetchrc:3: password and password_file are both written; one of them is right\n"
        "fetchrc:5: the account has no password; write password_command, password_file, credential or "
        "password\n"
        "fetchrc:9: the account has no token; write oauth, token_command, or password_command\n"
        "fetchrc:11: auth = \"plain\" cannot log in with an OAuth2 token; auto, oauthbearer or xoauth2 is "
        "right\n"
        "fetchrc:12: credential = \"../x\": it must be a file name without a directory; it is looked for in "
        "$CREDENTIALS_DIRECTORY\n");
}

static void what_does_not_go_together_is_told(void **state)
{
    (void)state;
    fetchrc_bad(
        "destination l { protocol = lmtp tls = none\nusername = x }\n"
        "destination m { socket = /x\nhost = y auth = apop }\n"
        "destination n { username = u }\ndestination o { password = p }\n"
        "destination local { }\n"
        "account a { host = h " LOGIN "\non_reject = forward\nenvelope_header = To }\n"
        "account b { host = i username = u password = x\nenvelope_header = To }\n"
        "account c { host = j " LOGIN "\nmap = {\"a@x=b\", \"A@x=c\", \"noequals\"}\n}\n"
        "account d { host = k " LOGIN "\ntls = none\ntls_cert_file = '/dev/null'\n}\n",
        "fetchrc:1: tls cannot go with protocol = \"lmtp\", which has neither TLS nor a login; leave it out\n"
        "fetchrc:2: username cannot go with protocol = \"lmtp\", which has neither TLS nor a login; leave it "
        "out\n"
        "fetchrc:3: socket goes with protocol = \"lmtp\" only; for SMTP host and port are right\n"
        "fetchrc:3: socket stands beside host or port; one of them is right\n"
        "fetchrc:4: auth = \"apop\" is a POP3 login; for a destination plain, login or cram-md5 is right\n"
        "fetchrc:4: auth needs username = \"NAME\"\n"
        "fetchrc:5: the username has no password; write password_command, password_file, credential or "
        "password\n"
        "fetchrc:6: the destination has a password, but no username; write username = \"NAME\"\n"
        "fetchrc:9: on_reject = \"forward\" needs reject_recipient, such as \"postmaster\"\n"
        "fetchrc:12: envelope_header needs recipients, who get what no rule of map covers, or a rule "
        "\"*=NAME\"\n"
        "fetchrc:14: map = \"noequals\": it must be ADDRESS=RECIPIENT, @DOMAIN=RECIPIENT or *=RECIPIENT\n"
        "fetchrc:14: map needs envelope_header, such as {\"Delivered-To\", \"X-Original-To\"}\n"
        "fetchrc:14: map has two rules for \"A@x\"; one is right\n"
        "fetchrc:18: tls_cert_file does nothing with tls = \"none\"; starttls or implicit is right\n");
}

static void certificates_and_pins_are_looked_at(void **state)
{
    (void)state;
    fetchrc_bad(
        "account a { host = h " LOGIN
        "\ntls_ca_file = '/no/such'\ntls_fingerprint = 'sha256:12'\ntls_key_file = '/dev/null'\n"
        "proxy = nowhere }\n",
        "fetchrc:2: tls_ca_file = \"/no/such\": it cannot be read: No such file or directory\n"
        "fetchrc:3: tls_fingerprint = \"sha256:12\": it must be sha256: and 64 hexadecimal digits, as "
        "`popferry check` "
        "shows them\n"
        "fetchrc:4: tls_key_file needs tls_cert_file, the certificate that it belongs to\n"
        "fetchrc:5: proxy must be a proxy's address, such as socks5h://127.0.0.1:9050 or "
        "http://proxy:3128\n");
}

static void providers_without_pop3_say_so(void **state)
{
    (void)state;
    fetchrc_bad(
        "account a { " LOGIN "provider = icloud }\naccount b { " LOGIN "provider = gmial }\n"
        "account c { username = c recipients = t provider = outlook }\n",
        "fetchrc:1: provider = \"icloud\" has no POP3: iCloud Mail offers IMAP only\n"
        "fetchrc:2: unknown provider \"gmial\"; the nearest known one is \"gmail\"; for others write host\n"
        "fetchrc:3: the account has no password and no token: POP must be switched on in Outlook's settings; "
        "this "
        "provider takes no passwords, only OAuth2; write password_command, password_file, credential or "
        "password, or a "
        "section oauth \"outlook\" with client_id\n");
}

static void oauth_sections_need_an_endpoint_and_a_client(void **state)
{
    (void)state;
    fetchrc_bad("oauth mine {\nscope = s token_endpoint = 'http://t/' }\noauth gmail { }\noauth other { "
                "client_id = c }\n",
                "fetchrc:1: the oauth section has no client_id; write the one that the provider gave you\n"
                "fetchrc:2: token_endpoint = \"http://t/\": it must be an https:// address\n"
                "fetchrc:3: the oauth section has no client_id; write the one that the provider gave you\n"
                "fetchrc:4: the oauth section has no token_endpoint; write it, or call the section \"gmail\" "
                "or \"outlook\"\n");
}

static void a_file_that_includes_itself_is_told(void **state)
{
    static const char top[] = "include('./more')\ninclude('/no/such')\njobs = x\n";
    char text[128];
    struct fetchrc rc;

    (void)state;
    fetchrc_begin(&rc);
    (void)snprintf(text, sizeof(text), "\ninclude('../%s/fetchrc')\ntimeout = x\n", strrchr(rc.dir, '/') + 1);
    fetchrc_write(&rc, "fetchrc", top, strlen(top), 0600);
    fetchrc_write(&rc, "more", text, strlen(text), 0600);
    fetchrc_load(&rc);
    assert_non_null(
        strstr(rc.mistakes.data, "fetchrc:2: \"/no/such\" cannot be read: No such file or directory\n"));
    assert_non_null(strstr(rc.mistakes.data, "fetchrc:3: jobs = \"x\": "));
    assert_non_null(strstr(rc.mistakes.data, "more:2: \""));
    assert_non_null(strstr(rc.mistakes.data, "/fetchrc\" cannot be read: it includes itself\n"));
    assert_non_null(strstr(rc.mistakes.data, "more:3: timeout = \"x\": "));
    fetchrc_end(&rc);
}

static void a_syntax_error_ends_the_list_without_hiding_what_stands_before(void **state)
{
    static const struct {
        const char *text;
        const char *mistake;
    } cases[] = {
        {"jobs = x\nfoo\nbar = 1\n",
         "fetchrc:2: NAME = VALUE or a section, NAME \"TITLE\" { ... }, is expected; a value with spaces "
         "or special characters needs quotes\n"},
        {"jobs = x\naccount a { host = h\nport = x\n",
         "fetchrc:2: the section that begins here is not closed: a } is missing\n"
         "fetchrc:3: port = \"x\": it must be a whole number from 1 to 65535\n"},
        {"jobs = x\n}\ntimeout = x\n", "fetchrc:2: this } closes no section\n"},
        {"jobs = x\nstate_dir = \"a\n",
         "fetchrc:2: the string that begins here has no end on this line: a \" is missing\n"},
        {"jobs = x\nstate_dir = 'a\n", "fetchrc:2: the string that begins here has no end on this line: a ' is missing\n"},
        {"jobs = x\n/* text\n", "fetchrc:2: the comment that begins here has no end: a */ is missing\n"},
        {"jobs = x\nstate_dir = \n", "fetchrc:2: state_dir has no value; write state_dir = VALUE\n"},
        {"jobs = x\naccount a {\nrecipients = {a b}\n}",
         "fetchrc:3: the list of recipients is wrong: {\"A\", \"B\"}, its values in quotes "
         "with commas between, is right\n"},
        {"jobs = x\naccount a {\npassword = geheim wort\nkeep = x }",
         "fetchrc:3: NAME = VALUE or a section, NAME \"TITLE\" { ... }, is "
         "expected; a value with spaces or special characters needs quotes\n"},
        {"jobs = x\naccount a {\npassword = 'geheim' 'wort'\n}",
         "fetchrc:3: NAME = VALUE or a section, NAME \"TITLE\" { ... }, is "
         "expected; a value with spaces or special characters needs quotes\n"},
        {"jobs = x\ninclude(a b)\n", "fetchrc:2: include(\"FILE\") is right, with one file\n"},
        {"jobs = x\nnothing { a = b\n",
         "fetchrc:2: unknown section \"nothing\"; account, destination and oauth are known\n"
         "fetchrc:2: what is opened here is not closed: a } is missing\n"},
    };
    char expected[512];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        (void)snprintf(expected, sizeof(expected),
                       "fetchrc:1: jobs = \"x\": it must be a whole number from 1 to 1000\n%s",
                       cases[i].mistake);
        fetchrc_bad(cases[i].text, expected);
    }
}

static void a_nul_octet_is_told(void **state)
{
    static const char text[] = "jobs = 3\ntimeout = 6\0000\naccount x {\n";
    struct fetchrc rc;

    (void)state;
    fetchrc_begin(&rc);
    fetchrc_write(&rc, "fetchrc", text, sizeof(text) - 1, 0600);
    fetchrc_load(&rc);
    assert_string_equal(rc.mistakes.data, "fetchrc:2: a NUL octet stands here; a fetchrc is text\n");
    fetchrc_end(&rc);
}

static void a_fetchrc_that_cannot_be_read_is_told(void **state)
{
    struct fetchrc rc;

    (void)state;
    fetchrc_begin(&rc);
    fetchrc_load(&rc);
    assert_string_equal(rc.mistakes.data, "fetchrc: it cannot be read: No such file or directory\n");
    assert_int_equal(rc.fault.class, FAULT_CONFIG);
    fetchrc_end(&rc);
    fetchrc_begin(&rc);
    assert_int_equal(mkdir(rc.path, 0700), 0);
    fetchrc_load(&rc);
    assert_string_equal(rc.mistakes.data, "fetchrc: it cannot be read: Is a directory\n");
    fetchrc_end(&rc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_names_come_with_the_nearest_known_one),
        cmocka_unit_test(an_option_in_the_wrong_place_is_told_where_it_belongs),
        cmocka_unit_test(values_must_be_of_their_kind_and_within_bounds),
        cmocka_unit_test(a_list_where_one_value_belongs_is_told_and_reading_goes_on),
        cmocka_unit_test(what_an_account_lacks_is_told_at_its_first_line),
        cmocka_unit_test(titles_and_mailboxes_stand_once),
        cmocka_unit_test(unknown_titles_are_told),
        cmocka_unit_test(control_characters_have_no_place_in_a_login),
        cmocka_unit_test(recipients_must_fit_into_rcpt),
        cmocka_unit_test(an_unset_variable_is_told_once),
        cmocka_unit_test(a_secret_in_a_file_that_others_can_read_is_refused),
        cmocka_unit_test(secrets_are_one_and_are_there),
        cmocka_unit_test(what_does_not_go_together_is_told),
        cmocka_unit_test(certificates_and_pins_are_looked_at),
        cmocka_unit_test(providers_without_pop3_say_so),
        cmocka_unit_test(oauth_sections_need_an_endpoint_and_a_client),
        cmocka_unit_test(a_file_that_includes_itself_is_told),
        cmocka_unit_test(a_syntax_error_ends_the_list_without_hiding_what_stands_before),
        cmocka_unit_test(a_nul_octet_is_told),
        cmocka_unit_test(a_fetchrc_that_cannot_be_read_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
