#include "poll/connect.h"

#include "config/secret.h"

#define NOOP_IDLE_MS 10000

void connect_oauth_params(const struct config *config, const struct config_account *account,
                          const char *state_dir, struct oauth_params *params)
{
    const struct config_oauth *oauth = account->oauth;

    *params = (struct oauth_params){.account = account->peer.title,
                                    .identity = account->identity,
                                    .username = account->peer.username,
                                    .state_dir = state_dir,
                                    .token_endpoint = oauth->token_endpoint,
                                    .device_endpoint = oauth->device_endpoint,
                                    .authorization_endpoint = oauth->authorization_endpoint,
                                    .client_id = oauth->client_id,
                                    .client_secret = oauth->client_secret,
                                    .scope = oauth->scope,
                                    .tls_ca_file = oauth->tls_ca_file,
                                    .proxy = account->peer.proxy,
                                    .timeout = config->timeout};
}

static int fetch_token(const struct connect_params *with, const struct config_account *account,
                       const char *refuse, struct buf *token, struct fault *fault)
{
    unsigned timeout = with->config->timeout;
    struct oauth_params params;
    struct buf refresh;
    int result;

    if (account->token_command != NULL)
        return secret_token(account, timeout, token, fault);
    connect_oauth_params(with->config, account, with->state_dir, &params);
    buf_init(&refresh, SECRET_MAX);
    if (secret_is_set(&account->peer.secret)) {
        if (secret_get(&account->peer.secret, timeout, &refresh, fault) < 0) {
            buf_free(&refresh);
            return -1;
        }
        params.refresh_token = refresh.data;
    }
    result = oauth_token(&params, refuse, token, fault);
    buf_free(&refresh);
    return result;
}

static bool wants_token(const struct config_account *account)
{
    return account->oauth != NULL || account->token_command != NULL;
}

static int fetch_secret(const struct connect_params *with, const struct config_account *account,
                        struct buf *secret, struct fault *fault)
{
    if (with->no_login)
        return 0;
    if (wants_token(account))
        return fetch_token(with, account, NULL, secret, fault);
    if (!secret_is_set(&account->peer.secret))
        return 0; /* EXTERNAL needs none */
    return secret_get(&account->peer.secret, with->config->timeout, secret, fault);
}

/* What both ends have in common. */
static struct wire_params wire_params_of(const struct connect_params *with, const struct config_peer *peer)
{
    return (struct wire_params){.tag = peer->title,
                                .host = peer->host,
                                .port = peer->port,
                                .tls = peer->tls,
                                .tls_ca_file = peer->tls_ca_file,
                                .tls_fingerprint = peer->tls_fingerprint,
                                .tls_cert_file = peer->tls_cert_file,
                                .tls_key_file = peer->tls_key_file,
                                .proxy = peer->proxy,
                                .timeout = with->config->timeout,
                                .certificate = with->certificate};
}

static int open_mailbox(struct pop3 **pop3, const struct connect_params *with,
                        const struct config_account *account, const char *secret, struct pop3_login *login,
                        struct fault *fault)
{
    static const enum pop3_pipelining pipelining[] = {[CONFIG_PIPELINING_AUTO] = POP3_PIPELINING_AUTO,
                                                      [CONFIG_PIPELINING_ON] = POP3_PIPELINING_ON,
                                                      [CONFIG_PIPELINING_OFF] = POP3_PIPELINING_OFF};
    const struct config_peer *peer = &account->peer;
    bool bearer = wants_token(account) || peer->auth == AUTH_OAUTHBEARER || peer->auth == AUTH_XOAUTH2;
    struct pop3_params params = {.wire = wire_params_of(with, peer),
                                 .auth = peer->auth,
                                 .username = peer->username,
                                 .password = bearer ? NULL : secret,
                                 .bearer = bearer ? secret : NULL,
                                 .pipelining = pipelining[account->pipelining],
                                 .no_login = with->no_login,
                                 .login = login};

    params.wire.scope = FAULT_OF_MAILBOX;
    params.wire.service = WIRE_POP3;
    *login = (struct pop3_login){0};
    return pop3_open(pop3, &params, fault);
}

/* A token that the server refuses may have been withdrawn before its time: one fresh one is tried. */
static int try_fresh_token(struct pop3 **pop3, const struct connect_params *with,
                           const struct config_account *account, const struct buf *refused,
                           struct pop3_login *login, struct fault *fault)
{
    struct buf token;
    int result;

    buf_init(&token, SECRET_MAX);
    result = fetch_token(with, account, refused->data, &token, fault);
    if (result == 0)
        result = open_mailbox(pop3, with, account, token.data, login, fault);
    buf_free(&token);
    return result;
}

int connect_mailbox(struct pop3 **pop3, const struct connect_params *params,
                    const struct config_account *account, struct pop3_login *login, struct fault *fault)
{
    struct buf secret;
    int result;

    *login = (struct pop3_login){0};
    buf_init(&secret, SECRET_MAX);
    result = fetch_secret(params, account, &secret, fault);
    if (result == 0) {
        result = open_mailbox(pop3, params, account, secret.data, login, fault);
        if (result < 0 && login->refused && fault->class == FAULT_LOGIN && wants_token(account))
            result = try_fresh_token(pop3, params, account, &secret, login, fault);
    }
    buf_free(&secret);
    return result;
}

int connect_destination_secret(const struct config *config, const struct config_destination *destination,
                               struct buf *secret, struct fault *fault)
{
    if (!secret_is_set(&destination->peer.secret) ||
        secret_get(&destination->peer.secret, config->timeout, secret, fault) == 0)
        return 0;
    fault->scope = FAULT_OF_DESTINATION;
    return -1;
}

int connect_destination(struct smtp **smtp, const struct connect_params *params,
                        const struct config_destination *destination, const char *password,
                        struct fault *fault)
{
    struct smtp_params session = {.wire = wire_params_of(params, &destination->peer),
                                  .auth = destination->peer.auth,
                                  .username = params->no_login ? NULL : destination->peer.username,
                                  .password = password,
                                  .final_timeout = params->config->final_timeout,
                                  .chunking = destination->chunking,
                                  .no_notify = destination->no_notify};

    session.wire.scope = FAULT_OF_DESTINATION;
    session.wire.service = destination->protocol == CONFIG_LMTP ? WIRE_LMTP : WIRE_SMTP;
    session.wire.socket = destination->socket;
    session.wire.helo = destination->helo;
    return smtp_open(smtp, &session, fault);
}

int64_t connect_noop_ms(const struct config *config)
{
    int64_t interval = (int64_t)config->timeout * 1000 / 6;

    if (interval > NOOP_IDLE_MS)
        interval = NOOP_IDLE_MS;
    return interval < 1000 ? 1000 : interval;
}
