#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/hex.h"
#include "protocol/pop3_private.h"

#define STAGE "login"
#define LINE_MAX_OCTETS 255      /* of a command, with CRLF (RFC 2449 section 4, RFC 5034 section 4) */
#define RESPONSE_MAX (64 * 1024) /* base64 of user name and password */

const char *pop3_login_options(const struct pop3_params *params)
{
    switch (params->auth) {
    case AUTH_LOGIN:
        return "AUTH=LOGIN";
    case AUTH_CRAM_MD5:
        return "AUTH=CRAM-MD5";
    case AUTH_OAUTHBEARER:
        return "AUTH=OAUTHBEARER";
    case AUTH_XOAUTH2:
        return "AUTH=XOAUTH2";
    case AUTH_EXTERNAL:
        return "AUTH=EXTERNAL";
    case AUTH_AUTO: /* with a token: which of the two the server's CAPA names */
        return params->bearer != NULL ? "AUTH=OAUTHBEARER;AUTH=XOAUTH2" : NULL;
    case AUTH_PLAIN:
    case AUTH_APOP:
    case AUTH_USER:
        break;
    }
    return NULL;
}

/* The end of a login: +OK, or a refusal that the caller hears about. */
static int conclude(struct pop3 *pop3, const struct pop3_params *params,
                    const struct pop3_status_line *status, struct fault *fault)
{
    if (status->status == POP3_OK)
        return 0;
    if (params->login != NULL) {
        params->login->refused = true;
        params->login->code = status->code;
        (void)fault_quote(params->login->text, sizeof(params->login->text), status->line, status->len);
    }
    return pop3_refused(pop3, STAGE, "the login", true, status, fault);
}

static int internal(const struct pop3 *pop3, const char *what, struct fault *fault)
{
    return fault_set(fault, pop3->scope, FAULT_INTERNAL, STAGE, "%s", what);
}

/* ---- USER and PASS, RFC 1939 section 7 ---- */

static int check_one_line(const struct pop3 *pop3, const char *what, const char *text, struct fault *fault)
{
    if (text[strcspn(text, "\r\n")] == '\0')
        return 0;
    return fault_set(fault, pop3->scope, FAULT_LOGIN, STAGE, "the %s holds a line end", what);
}

static int login_user(struct pop3 *pop3, const struct pop3_params *params, const char *user,
                      const char *password, struct fault *fault)
{
    struct pop3_status_line status;

    if (check_one_line(pop3, "user name", user, fault) < 0 ||
        check_one_line(pop3, "password", password, fault) < 0 || pop3_quiet(pop3, fault) < 0 ||
        wire_command(pop3->wire, fault, "USER %s", user) < 0 ||
        pop3_read_status(pop3, STAGE, 0, false, &status, fault) < 0 ||
        conclude(pop3, params, &status, fault) < 0 || pop3_quiet(pop3, fault) < 0 ||
        wire_secret_command(pop3->wire, "PASS ", password, fault) < 0 ||
        pop3_read_status(pop3, STAGE, 0, false, &status, fault) < 0)
        return -1;
    return conclude(pop3, params, &status, fault);
}

/* ---- APOP, RFC 1939 section 7 ---- */

/* 32 hex digits: MD5 over the timestamp and the password. */
static int digest(const char *stamp, size_t stamp_len, const char *password, char hex[33])
{
    EVP_MD_CTX *md5 = EVP_MD_CTX_new();
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    bool done;

    done = md5 != NULL && EVP_DigestInit_ex(md5, EVP_md5(), NULL) == 1 &&
           EVP_DigestUpdate(md5, stamp, stamp_len) == 1 &&
           EVP_DigestUpdate(md5, password, strlen(password)) == 1 &&
           EVP_DigestFinal_ex(md5, sum, &len) == 1 && len == 16;
    EVP_MD_CTX_free(md5);
    if (done)
        hex_write(hex, sum, len);
    return done ? 0 : -1;
}

static int login_apop(struct pop3 *pop3, const struct pop3_params *params, const char *user,
                      const char *password, const char *stamp, size_t stamp_len, struct fault *fault)
{
    struct pop3_status_line status;
    char show[300];
    char hex[33];

    if (stamp == NULL)
        return fault_set(fault, pop3->scope, FAULT_LOGIN, STAGE,
                         "%s does not offer APOP: no timestamp in its greeting", pop3->host);
    if (digest(stamp, stamp_len, password, hex) < 0)
        return internal(pop3, "APOP needs MD5, which OpenSSL does not offer here", fault);
    if (check_one_line(pop3, "user name", user, fault) < 0 || pop3_quiet(pop3, fault) < 0)
        return -1;
    if ((size_t)snprintf(show, sizeof(show), "APOP %s ", user) >= sizeof(show))
        return fault_set(fault, pop3->scope, FAULT_LOGIN, STAGE, "the user name is too long for APOP");
    if (wire_secret_command(pop3->wire, show, hex, fault) < 0 ||
        pop3_read_status(pop3, STAGE, 0, false, &status, fault) < 0)
        return -1;
    return conclude(pop3, params, &status, fault);
}

/* ---- AUTH PLAIN, RFC 4616 and RFC 5034 ---- */

/* base64 of NUL user NUL password. */
static int encode_plain(const char *user, const char *password, struct buf *response)
{
    struct buf clear;
    int result = -1;

    buf_init(&clear, RESPONSE_MAX / 2);
    if (buf_append(&clear, "", 1) == 0 && buf_puts(&clear, user) == 0 && buf_append(&clear, "", 1) == 0 &&
        buf_puts(&clear, password) == 0 && buf_reserve(response, (clear.len + 2) / 3 * 4) == 0) {
        int len = EVP_EncodeBlock((unsigned char *)response->data, (const unsigned char *)clear.data,
                                  (int)clear.len);
        response->len = (size_t)len;
        result = 0;
    }
    buf_free(&clear);
    return result;
}

static int exchange_plain(struct pop3 *pop3, const char *response, struct pop3_status_line *status,
                          struct fault *fault)
{
    static const char command[] = "AUTH PLAIN";
    bool initial = sizeof(command) + strlen(response) + 2 <= LINE_MAX_OCTETS;

    if (pop3_quiet(pop3, fault) < 0)
        return -1;
    if ((initial ? wire_secret_command(pop3->wire, "AUTH PLAIN ", response, fault)
                 : wire_command(pop3->wire, fault, "%s", command)) < 0 ||
        pop3_read_status(pop3, STAGE, 0, true, status, fault) < 0)
        return -1;
    if (status->status != POP3_GARBAGE)
        return 0;
    /* "+ ": it asks for the response, because it did not fit or is older than initial responses (RFC
     * 1734). */
    if (wire_secret_command(pop3->wire, "", response, fault) < 0)
        return -1;
    return pop3_read_status(pop3, STAGE, 0, false, status, fault);
}

static int login_plain(struct pop3 *pop3, const struct pop3_params *params, const char *user,
                       const char *password, struct fault *fault)
{
    struct pop3_status_line status;
    struct buf response;
    int result;

    buf_init(&response, RESPONSE_MAX);
    if (encode_plain(user, password, &response) < 0)
        result = fault_set(fault, pop3->scope, FAULT_LOGIN, STAGE, "user name and password are too long");
    else
        result = exchange_plain(pop3, response.data, &status, fault);
    buf_free(&response);
    return result < 0 ? -1 : conclude(pop3, params, &status, fault);
}

/* ---- which ---- */

static enum auth_mechanism choose(const struct pop3 *pop3, enum auth_mechanism auth, bool has_stamp)
{
    if (auth != AUTH_AUTO)
        return auth;
    if (!wire_encrypted(pop3->wire) && has_stamp)
        return AUTH_APOP;
    return pop3->capabilities.known && pop3->capabilities.sasl_plain ? AUTH_PLAIN : AUTH_USER;
}

int pop3_login(struct pop3 *pop3, const struct pop3_params *params, const char *greeting, size_t greeting_len,
               struct fault *fault)
{
    const char *user = params->username != NULL ? params->username : "";
    const char *password = params->password != NULL ? params->password : "";
    const char *stamp;
    size_t stamp_len;
    bool has_stamp = pop3_parse_timestamp(greeting, greeting_len, &stamp, &stamp_len);
    int result;

    if (wire_hide(pop3->wire, password, strlen(password)) < 0)
        return internal(pop3, "memory is short", fault);
    switch (choose(pop3, params->auth, has_stamp)) {
    case AUTH_APOP:
        result = login_apop(pop3, params, user, password, has_stamp ? stamp : NULL, stamp_len, fault);
        break;
    case AUTH_PLAIN:
        result = login_plain(pop3, params, user, password, fault);
        break;
    default:
        result = login_user(pop3, params, user, password, fault);
    }
    wire_login_ended(pop3->wire);
    return result;
}
