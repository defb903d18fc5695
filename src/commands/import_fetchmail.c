/* .fetchmailrc and .fetchids. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands/import_fetchmail.h"

enum kind { FLAG, TEXT, LIST, NAMES, DOMAINS, ENVELOPE };

/* A keyword: how much belongs to it, and where it goes. No offset: it becomes a note (`tell`), or means
 * nothing here. */
struct keyword {
    const char *name;
    const char *longer; /* the other spelling */
    enum kind kind;
    bool set;
    size_t offset;
    bool tell;
};

#define SET(word, other, how, member) {word, other, how, true, offsetof(struct settings, member), false}
#define TELL(word, how) {word, NULL, how, false, 0, true}
#define PASS(word, how) {word, NULL, how, false, 0, false}

static const struct keyword keywords[] = {
    SET("via", NULL, TEXT, via),
    SET("proto", "protocol", TEXT, protocol),
    SET("service", "port", TEXT, service),
    SET("auth", "authenticate", TEXT, auth),
    SET("timeout", NULL, TEXT, timeout),
    SET("envelope", NULL, ENVELOPE, envelope),
    SET("qvirtual", NULL, TEXT, qvirtual),
    SET("esmtpname", NULL, TEXT, esmtpname),
    SET("esmtppassword", NULL, TEXT, esmtppassword),
    SET("pass", "password", TEXT, password),
    SET("sslproto", NULL, TEXT, sslproto),
    SET("sslcert", NULL, TEXT, sslcert),
    SET("sslkey", NULL, TEXT, sslkey),
    SET("sslcertfile", NULL, TEXT, sslcertfile),
    SET("sslfingerprint", NULL, TEXT, sslfingerprint),
    SET("smtp", "smtphost", LIST, smtphost),
    SET("smtpaddress", NULL, TEXT, smtpaddress),
    SET("smtpname", NULL, TEXT, smtpname),
    SET("limit", NULL, TEXT, limit),
    SET("fetchlimit", NULL, TEXT, fetchlimit),
    SET("mda", NULL, TEXT, mda),
    SET("ssl", NULL, FLAG, ssl),
    SET("keep", NULL, FLAG, keep),
    SET("lmtp", NULL, FLAG, lmtp),
    SET("rewrite", NULL, FLAG, rewrite),
    SET("sslcertck", NULL, FLAG, sslcertck),
    SET("is", "to", NAMES, names),
    SET("aka", NULL, DOMAINS, domains),
    SET("local", "localdomains", DOMAINS, domains),
    TELL("interval", TEXT),
    TELL("principal", TEXT),
    TELL("plugin", TEXT),
    TELL("plugout", TEXT),
    TELL("interface", TEXT),
    TELL("monitor", TEXT),
    TELL("bad-header", TEXT),
    TELL("folder", LIST),
    TELL("folders", LIST),
    TELL("fetchdomains", LIST),
    TELL("antispam", LIST),
    TELL("spam", LIST),
    TELL("spamresponse", LIST),
    TELL("bsmtp", TEXT),
    TELL("preconnect", TEXT),
    TELL("postconnect", TEXT),
    TELL("flush", FLAG),
    TELL("limitflush", FLAG),
    TELL("mimedecode", FLAG),
    TELL("dropstatus", FLAG),
    TELL("dropdelivered", FLAG),
    TELL("sslcertpath", TEXT),
    TELL("sslcommonname", TEXT),
    TELL("properties", TEXT),
    TELL("checkalias", FLAG),
    /* What popferry does anyway, or has no need of. */
    PASS("uidl", FLAG),
    PASS("fastuidl", TEXT),
    PASS("dns", FLAG),
    PASS("tracepolls", FLAG),
    PASS("fetchall", FLAG),
    PASS("stripcr", FLAG),
    PASS("forcecr", FLAG),
    PASS("pass8bits", FLAG),
    PASS("idle", FLAG),
    PASS("warnings", TEXT),
    PASS("batchlimit", TEXT),
    PASS("fetchsizelimit", TEXT),
    PASS("expunge", TEXT),
    PASS("and", FLAG),
    PASS("with", FLAG),
    PASS("has", FLAG),
    PASS("wants", FLAG),
    PASS("options", FLAG),
    PASS("here", FLAG),
    PASS("there", FLAG),
};

static const char *const others[] = {"set", "poll", "server", "skip", "defaults", "user", "username", "no"};

struct parser {
    struct import *import;
    struct lex lex;
    struct settings defaults, current;
    bool in_defaults, has_user, rewrote;
    const char *idfile;
};

static const struct keyword *find_keyword(const char *text)
{
    size_t i;

    for (i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++)
        if (strcasecmp(text, keywords[i].name) == 0 ||
            (keywords[i].longer != NULL && strcasecmp(text, keywords[i].longer) == 0))
            return &keywords[i];
    return NULL;
}

static bool is_keyword(const struct lex *lex)
{
    size_t i;

    if (lex->kind != LEX_WORD)
        return lex->kind == LEX_END;
    for (i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (strcasecmp(lex->text, others[i]) == 0)
            return true;
    return find_keyword(lex->text) != NULL;
}

static void add_note(struct settings *settings, bool no, const char *name, const char *value)
{
    size_t len = strlen(settings->notes);

    (void)snprintf(settings->notes + len, NOTES_MAX - len, "%s%s%s%s\n", no ? "no " : "", name,
                   value[0] != '\0' ? " " : "", value);
}

static bool lex_is(const struct lex *lex, const char *word)
{
    return lex->kind == LEX_WORD && strcasecmp(lex->text, word) == 0;
}

/* Names up to the next keyword; the first may look like one. */
static void take_names(struct parser *parser, struct names *names)
{
    struct lex *lex = &parser->lex;
    bool first = true;

    for (; first || !is_keyword(lex); first = false) {
        size_t n = names->count;
        if (lex->kind == LEX_END)
            return;
        if (n == NAMES_MAX) {
            import_note(parser->import, NULL, "more than %d names for one mailbox: the rest was left out",
                        NAMES_MAX);
            while (!is_keyword(lex))
                lex_next(lex);
            return;
        }
        names->from[n] = names->to[n] = lex->text;
        names->count++;
        lex_next(lex);
        if (lex->kind == LEX_EQUALS) {
            lex_next(lex);
            names->to[n] = lex->text;
            lex_next(lex);
        }
    }
}

/* `is` and `to` name local users, but with `there` behind it the remote one. */
static void take_local(struct parser *parser)
{
    struct settings *settings = &parser->current;
    struct names before = settings->names;

    if (!settings->own_names)
        settings->names.count = 0;
    settings->own_names = true;
    take_names(parser, &settings->names);
    if (lex_is(&parser->lex, "there") && settings->names.count > 0) {
        settings->user = settings->names.from[settings->names.count - 1];
        settings->names = before;
    }
}

/* The values of a keyword as one text, for a note. */
static void tell_values(struct parser *parser, const struct keyword *keyword, bool no)
{
    struct lex *lex = &parser->lex;
    char values[1024] = "";
    size_t len = 0;
    bool first = true;

    if (keyword->kind != FLAG && !no) {
        for (; (first || (keyword->kind == LIST && !is_keyword(lex))) && lex->kind != LEX_END;
             first = false) {
            if (len < sizeof(values))
                len +=
                    (size_t)snprintf(values + len, sizeof(values) - len, "%s%s", first ? "" : " ", lex->text);
            lex_next(lex);
        }
    }
    if (keyword->tell)
        add_note(&parser->current, no, keyword->name, values);
}

static void take_envelope(struct parser *parser)
{
    struct lex *lex = &parser->lex;

    if (lex->kind == LEX_WORD && strspn(lex->text, "0123456789") == strlen(lex->text)) {
        add_note(&parser->current, false, "envelope", "with a number of fields to skip");
        lex_next(lex);
    }
    parser->current.no_envelope = false;
    parser->current.envelope = lex->text;
    lex_next(lex);
}

static void take_option(struct parser *parser, const struct keyword *keyword, bool no)
{
    struct lex *lex = &parser->lex;
    void *member = (char *)&parser->current + keyword->offset;

    lex_next(lex);
    if (!keyword->set) {
        tell_values(parser, keyword, no);
    } else if (keyword->kind == FLAG) {
        *(bool *)member = !no;
    } else if (no) {
        parser->current.no_envelope = parser->current.no_envelope || keyword->kind == ENVELOPE;
    } else if (keyword->kind == NAMES) {
        take_local(parser);
    } else if (keyword->kind == DOMAINS) {
        take_names(parser, member);
    } else if (keyword->kind == ENVELOPE) {
        take_envelope(parser);
    } else if (lex->kind != LEX_END) {
        *(const char **)member = lex->text;
        lex_next(lex);
        while (keyword->kind == LIST && !is_keyword(lex)) {
            add_note(&parser->current, false, "smtphost, a further one:", lex->text);
            lex_next(lex);
        }
    }
}

/* ---- the file ---- */

/* An entry, or a user of it, has ended. */
static void end_user(struct parser *parser)
{
    if (parser->in_defaults)
        parser->defaults = parser->current;
    else if (parser->current.poll != NULL)
        import_fetchmail_account(parser->import, &parser->current);
    parser->rewrote = parser->rewrote || (parser->current.poll != NULL && parser->current.rewrite);
}

static void begin_entry(struct parser *parser, const char *verb)
{
    end_user(parser);
    parser->current = parser->defaults;
    parser->current.own_names = false;
    parser->has_user = false;
    parser->in_defaults = strcasecmp(verb, "defaults") == 0;
    parser->current.skip = strcasecmp(verb, "skip") == 0;
    parser->current.poll = NULL;
    lex_next(&parser->lex);
    if (!parser->in_defaults && parser->lex.kind != LEX_END) {
        parser->current.poll = parser->lex.text;
        lex_next(&parser->lex);
    }
}

/* The server's own part, without what the user before has set. */
static void begin_user(struct parser *parser, struct settings *server)
{
    struct lex *lex = &parser->lex;
    const char *name;

    if (parser->has_user) {
        end_user(parser);
        parser->current = *server;
    } else {
        *server = parser->current;
    }
    parser->has_user = true;
    lex_next(lex);
    name = lex->text;
    if (lex->kind == LEX_END)
        return;
    lex_next(lex);
    if (lex_is(lex, "here")) {
        parser->current.own_names = true;
        parser->current.names = (struct names){.from = {name}, .to = {name}, .count = 1};
    } else {
        parser->current.user = name;
    }
}

/* "set daemon 300" and the like. */
static void take_global(struct parser *parser)
{
    static const char *const with_value[] = {"daemon", "postmaster", "logfile", "pidfile",
                                             "idfile", "properties", "accept"};
    struct lex *lex = &parser->lex;
    const char *name;
    bool no;
    size_t i;

    lex_next(lex);
    no = lex_is(lex, "no");
    if (no)
        lex_next(lex);
    name = lex->text;
    if (lex->kind == LEX_END)
        return;
    lex_next(lex);
    for (i = 0; i < sizeof(with_value) / sizeof(with_value[0]); i++)
        if (strcasecmp(name, with_value[i]) == 0 && lex->kind != LEX_END)
            break;
    if (i == sizeof(with_value) / sizeof(with_value[0])) {
        import_note(parser->import, NULL, "no counterpart: set %s%s", no ? "no " : "", name);
        return;
    }
    if (strcasecmp(name, "idfile") == 0)
        parser->idfile = lex->text;
    else if (strcasecmp(name, "daemon") == 0)
        import_note(parser->import, NULL,
                    "set daemon %s: popferry runs once; a systemd timer or cron owns the clock", lex->text);
    else
        import_note(parser->import, NULL, "no counterpart: set %s %s", name, lex->text);
    lex_next(lex);
}

static void parse(struct parser *parser)
{
    struct lex *lex = &parser->lex;
    struct settings *server = calloc(1, sizeof(*server));

    if (server == NULL) {
        parser->import->broken = true;
        return;
    }
    lex_next(lex);
    while (lex->kind != LEX_END) {
        bool no = lex_is(lex, "no");
        const struct keyword *keyword;

        if (no)
            lex_next(lex);
        keyword = lex->kind == LEX_WORD ? find_keyword(lex->text) : NULL;
        if (lex_is(lex, "set")) {
            take_global(parser);
        } else if (lex_is(lex, "poll") || lex_is(lex, "server") || lex_is(lex, "skip") ||
                   lex_is(lex, "defaults")) {
            begin_entry(parser, lex->text);
        } else if (lex_is(lex, "user") || lex_is(lex, "username")) {
            begin_user(parser, server);
        } else if (keyword != NULL) {
            take_option(parser, keyword, no);
        } else {
            add_note(&parser->current, no, lex->text, "");
            lex_next(lex);
        }
    }
    end_user(parser);
    free(server);
}

static void take_ids(struct parser *parser, const char *path, size_t first_account)
{
    struct import *import = parser->import;
    const char *slash = strrchr(path, '/');
    struct buf ids;
    char *named;

    buf_init(&ids, 8192);
    if (parser->idfile != NULL) {
        named = import_path(import, parser->idfile);
        import_print(import, &ids, "%s", named != NULL ? named : "");
        free(named);
    } else {
        import_print(import, &ids, "%.*s.fetchids", slash == NULL ? 0 : (int)(slash - path) + 1, path);
        if (access(ids.data, F_OK) != 0) {
            buf_clear(&ids);
            import_print(import, &ids, "%s/.fetchids", import->home);
        }
    }
    if (ids.len > 0)
        import_fetchids(import, ids.data, first_account);
    buf_free(&ids);
}

void import_fetchmail(struct import *import, const char *path, char *text)
{
    struct parser *parser = calloc(1, sizeof(*parser));
    size_t first_account = import->account_count;

    if (parser == NULL) {
        import->broken = true;
        return;
    }
    parser->import = import;
    parser->defaults.rewrite = parser->defaults.sslcertck = true;
    parser->current = parser->defaults;
    lex_init(&parser->lex, text);
    parse(parser);
    if (parser->rewrote)
        import_note(import, NULL,
                    "fetchmail completed addresses in headers (rewrite); popferry changes no header");
    take_ids(parser, path, first_account);
    free(parser);
}
