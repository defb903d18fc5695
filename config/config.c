#include "config/config.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

static void wipe(char *secret)
{
    if (secret != NULL)
        OPENSSL_cleanse(secret, strlen(secret));
    free(secret);
}

static void free_list(struct config_list *list)
{
    size_t i;

    for (i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
}

static void free_peer(struct config_peer *peer)
{
    free(peer->title);
    free(peer->host);
    free(peer->tls_ca_file);
    free(peer->tls_fingerprint);
    free(peer->tls_cert_file);
    free(peer->tls_key_file);
    free(peer->username);
    wipe(peer->secret.password);
    free(peer->secret.password_file);
    wipe(peer->secret.password_command);
    free(peer->secret.credential);
    free(peer->proxy);
}

static void free_destination(struct config_destination *destination)
{
    free_peer(&destination->peer);
    free(destination->socket);
    free(destination->helo);
    free(destination->recipient_domain);
}

static void free_account(struct config_account *account)
{
    size_t i;

    free_peer(&account->peer);
    free(account->identity);
    free(account->provider);
    free_list(&account->recipients);
    free(account->sender);
    free(account->reject_recipient);
    free_list(&account->envelope_header);
    for (i = 0; i < account->map_count; i++) {
        free(account->map[i].from);
        free(account->map[i].to);
    }
    free(account->map);
    free_list(&account->trusted_hosts);
    wipe(account->token_command);
}

static void free_oauth(struct config_oauth *oauth)
{
    free(oauth->title);
    free(oauth->token_endpoint);
    free(oauth->device_endpoint);
    free(oauth->authorization_endpoint);
    free(oauth->client_id);
    wipe(oauth->client_secret);
    free(oauth->scope);
    free(oauth->tls_ca_file);
}

void config_free(struct config *config)
{
    size_t i;

    for (i = 0; i < config->destination_count; i++)
        free_destination(&config->destinations[i]);
    for (i = 0; i < config->account_count; i++)
        free_account(&config->accounts[i]);
    for (i = 0; i < config->oauth_count; i++)
        free_oauth(&config->oauths[i]);
    for (i = 0; i < config->file_count; i++)
        free(config->files[i]);
    free(config->destinations);
    free(config->accounts);
    free(config->oauths);
    free(config->files);
    free(config->path);
    free(config->state_dir);
    free(config->metrics_file);
    if (config->gate != NULL)
        (void)pthread_mutex_destroy(config->gate);
    free(config->gate);
    *config = (struct config){0};
}

const struct config_account *config_find_account(const struct config *config, const char *title)
{
    size_t i;

    for (i = 0; i < config->account_count; i++) {
        if (strcmp(config->accounts[i].peer.title, title) == 0)
            return &config->accounts[i];
    }
    return NULL;
}

const struct config_destination *config_find_destination(const struct config *config, const char *title)
{
    size_t i;

    for (i = 0; i < config->destination_count; i++) {
        if (strcmp(config->destinations[i].peer.title, title) == 0)
            return &config->destinations[i];
    }
    return NULL;
}
