/* The pure parts of OAuth2: forms, JSON answers, PKCE, redirects. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "protocol/oauth_private.h"

#define FORM_MAX (4 * OAUTH_TOKEN_MAX)
#define LIFETIME_MAX (366 * 24 * 3600) /* seconds; longer ones are taken as this */
#define INTERVAL_MAX 300

void oauth_free_secret(char *secret)
{
    if (secret != NULL)
        OPENSSL_cleanse(secret, strlen(secret));
    free(secret);
}

void oauth_form_init(struct oauth_form *form)
{
    *form = (struct oauth_form){0};
    buf_init(&form->text, FORM_MAX);
}

/* Everything but unreserved characters is percent-encoded (RFC 3986 section 2.3), which serves a query and a
 * form alike. */
static int add_encoded(struct buf *out, const char *text)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

    for (; *text != '\0'; text++) {
        int failed = strchr(plain, *text) != NULL ? buf_append(out, text, 1)
                                                  : buf_printf(out, "%%%02X", (unsigned)(unsigned char)*text);
        if (failed)
            return -1;
    }
    return 0;
}

void oauth_form_add(struct oauth_form *form, const char *name, const char *value)
{
    struct buf *text = &form->text;

    if (value == NULL)
        return;
    if ((text->len > 0 && buf_puts(text, "&") < 0) || buf_puts(text, name) < 0 || buf_puts(text, "=") < 0 ||
        add_encoded(text, value) < 0)
        form->broken = true;
}

void oauth_form_add_secret(struct oauth_form *form, const char *name, const char *value)
{
    oauth_form_add(form, name, value);
    if (value != NULL && form->secret_count < sizeof(form->secrets) / sizeof(form->secrets[0]))
        form->secrets[form->secret_count++] = value;
}

void oauth_form_free(struct oauth_form *form)
{
    buf_free(&form->text);
    form->secret_count = 0;
}

/* The length of `secret` where `text` begins with it, as it is or percent-encoded; 0: it does not. */
static size_t begins_with_secret(const char *text, const char *secret, size_t len)
{
    size_t at = 0;

    if (strncmp(text, secret, len) == 0)
        return len;
    for (; *secret != '\0'; secret++) {
        char octet[3];

        (void)snprintf(octet, sizeof(octet), "%02X", (unsigned)(unsigned char)*secret);
        if (text[at] == '%' && strncasecmp(text + at + 1, octet, 2) == 0)
            at += 3;
        else if (text[at] == *secret || (text[at] == '+' && *secret == ' '))
            at++;
        else
            return 0;
    }
    return at;
}

void oauth_mask(char *text, const char *secret)
{
    size_t len = secret == NULL ? 0 : strlen(secret);
    char *at = text;

    /* A secret of a few characters would mask ordinary words. */
    if (len < 4)
        return;
    for (; *at != '\0'; at++) {
        size_t quoted = begins_with_secret(at, secret, len);

        if (quoted == 0)
            continue;
        memcpy(at, "***", 3);
        memmove(at + 3, at + quoted, strlen(at + quoted) + 1);
        at += 2;
    }
}

bool oauth_token_ok(const char *token)
{
    size_t len = strlen(token);
    size_t i;

    if (len == 0 || len > OAUTH_TOKEN_MAX)
        return false;
    for (i = 0; i < len; i++)
        if (token[i] <= 0x20 || token[i] >= 0x7F)
            return false;
    return true;
}

/* The parsed text stays in jansson's strings until they are freed: overwrite the secrets among them. */
static void wipe_json(json_t *object)
{
    const char *key;
    json_t *value;

    json_object_foreach(object, key, value) if (json_is_string(value))
        OPENSSL_cleanse((char *)(uintptr_t)json_string_value(value), json_string_length(value));
    json_decref(object);
}

static json_t *load_object(const char *data, size_t len, const char **why)
{
    json_t *root = json_loadb(data, len, JSON_REJECT_DUPLICATES, NULL);

    if (!json_is_object(root)) {
        *why = root == NULL ? "is no valid JSON" : "is no JSON object";
        json_decref(root);
        return NULL;
    }
    return root;
}

/* Seconds: a number, or digits in a string, as some servers write them. -1: neither; `missing` when it is not
 * there. */
static int64_t seconds_of(json_t *value, int64_t missing)
{
    if (value == NULL || json_is_null(value))
        return missing;
    if (json_is_integer(value) && json_integer_value(value) >= 0)
        return json_integer_value(value) > LIFETIME_MAX ? LIFETIME_MAX : (int64_t)json_integer_value(value);
    if (json_is_real(value) && json_real_value(value) >= 0)
        return json_real_value(value) > LIFETIME_MAX ? LIFETIME_MAX : (int64_t)json_real_value(value);
    if (json_is_string(value)) {
        const char *text = json_string_value(value);
        size_t len = strspn(text, "0123456789");
        if (len > 0 && len <= 9 && text[len] == '\0')
            return strtol(text, NULL, 10) > LIFETIME_MAX ? LIFETIME_MAX : strtol(text, NULL, 10);
    }
    return -1;
}

/* A member that must be a token where it is there. */
static int take_token(json_t *root, const char *key, char **out)
{
    json_t *value = json_object_get(root, key);

    if (value == NULL || json_is_null(value))
        return 0;
    if (!json_is_string(value) || !oauth_token_ok(json_string_value(value)))
        return -1;
    *out = strdup(json_string_value(value));
    return *out == NULL ? -1 : 0;
}

static int take_error(json_t *root, struct oauth_answer *answer, const char **why)
{
    const char *description = json_string_value(json_object_get(root, "error_description"));
    json_t *error = json_object_get(root, "error");

    if (!json_is_string(error) || json_string_length(error) == 0 ||
        json_string_length(error) >= sizeof(answer->error)) {
        *why = "has an error that is no error code";
        return -1;
    }
    (void)fault_quote(answer->error, sizeof(answer->error), json_string_value(error),
                      json_string_length(error));
    if (description != NULL)
        answer->description = strdup(description);
    return 0;
}

static int take_tokens(json_t *root, struct oauth_answer *answer, const char **why)
{
    json_t *type = json_object_get(root, "token_type");

    *why = NULL;
    answer->expires_in = seconds_of(json_object_get(root, "expires_in"), 0);
    if (take_token(root, "access_token", &answer->access_token) < 0)
        *why = "has an access_token that is none";
    else if (answer->access_token == NULL)
        *why = "has neither an access_token nor an error";
    else if (take_token(root, "refresh_token", &answer->refresh_token) < 0)
        *why = "has a refresh_token that is none";
    else if (answer->expires_in < 0)
        *why = "has an expires_in that is no time";
    else if (type != NULL && (!json_is_string(type) || strcasecmp(json_string_value(type), "Bearer") != 0))
        *why = "has a token_type other than Bearer";
    return *why == NULL ? 0 : -1;
}

int oauth_answer_parse(const char *data, size_t len, struct oauth_answer *answer, const char **why)
{
    json_t *root;
    int result;

    *answer = (struct oauth_answer){0};
    root = load_object(data, len, why);
    if (root == NULL)
        return -1;
    result = json_object_get(root, "error") != NULL ? take_error(root, answer, why)
                                                    : take_tokens(root, answer, why);
    wipe_json(root);
    if (result < 0)
        oauth_answer_free(answer);
    return result;
}

void oauth_answer_free(struct oauth_answer *answer)
{
    oauth_free_secret(answer->access_token);
    oauth_free_secret(answer->refresh_token);
    oauth_free_secret(answer->description);
    *answer = (struct oauth_answer){0};
}

/* A text that a person will read or type: printable ASCII. */
static int take_shown(json_t *root, const char *key, char *dst, size_t size)
{
    const char *text = json_string_value(json_object_get(root, key));

    if (text == NULL || strlen(text) >= size || *text == '\0')
        return -1;
    memcpy(dst, text, strlen(text) + 1);
    for (; *dst != '\0'; dst++)
        if (*dst < 0x20 || *dst >= 0x7F)
            return -1;
    return 0;
}

int oauth_device_parse(const char *data, size_t len, struct oauth_device *device, const char **why)
{
    json_t *root;

    *device = (struct oauth_device){0};
    root = load_object(data, len, why);
    if (root == NULL)
        return -1;
    *why = NULL;
    device->expires_in = seconds_of(json_object_get(root, "expires_in"), -1);
    device->interval = seconds_of(json_object_get(root, "interval"), 5);
    if (take_token(root, "device_code", &device->device_code) < 0 || device->device_code == NULL)
        *why = "has no usable device_code";
    else if (take_shown(root, "user_code", device->user_code, sizeof(device->user_code)) < 0)
        *why = "has no usable user_code";
    else if (take_shown(root, "verification_uri", device->uri, sizeof(device->uri)) < 0 &&
             take_shown(root, "verification_url", device->uri, sizeof(device->uri)) < 0)
        *why = "has no usable verification_uri";
    else if (device->expires_in <= 0)
        *why = "has no usable expires_in";
    else if (device->interval < 0)
        *why = "has an interval that is no time";
    if (take_shown(root, "verification_uri_complete", device->uri_complete, sizeof(device->uri_complete)) < 0)
        device->uri_complete[0] = '\0';
    device->interval = device->interval < 1              ? 1
                       : device->interval > INTERVAL_MAX ? INTERVAL_MAX
                                                         : device->interval;
    wipe_json(root);
    if (*why != NULL)
        oauth_device_free(device);
    return *why == NULL ? 0 : -1;
}

void oauth_device_free(struct oauth_device *device)
{
    oauth_free_secret(device->device_code);
    *device = (struct oauth_device){0};
}

/* 32 octets in base64url without padding (RFC 4648 section 5). */
static void base64url(const unsigned char in[32], char out[OAUTH_RANDOM_SIZE])
{
    char text[48];
    size_t i;

    (void)EVP_EncodeBlock((unsigned char *)text, in, 32);
    for (i = 0; i < OAUTH_RANDOM_SIZE - 1; i++)
        out[i] = (char)(text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i]);
    out[i] = '\0';
    OPENSSL_cleanse(text, sizeof(text));
}

int oauth_random(char out[OAUTH_RANDOM_SIZE])
{
    unsigned char octets[32];

    if (RAND_bytes(octets, sizeof(octets)) != 1)
        return -1;
    base64url(octets, out);
    OPENSSL_cleanse(octets, sizeof(octets));
    return 0;
}

void oauth_pkce_challenge(const char *verifier, char out[OAUTH_RANDOM_SIZE])
{
    unsigned char digest[EVP_MAX_MD_SIZE] = {0};

    (void)EVP_Digest(verifier, strlen(verifier), digest, NULL, EVP_sha256(), NULL);
    base64url(digest, out);
}

void oauth_digest(const char *text, char out[65])
{
    static const char hex[] = "0123456789abcdef";
    unsigned char digest[EVP_MAX_MD_SIZE] = {0};
    size_t i;

    (void)EVP_Digest(text, strlen(text), digest, NULL, EVP_sha256(), NULL);
    for (i = 0; i < 32; i++) {
        out[2 * i] = hex[digest[i] >> 4];
        out[2 * i + 1] = hex[digest[i] & 15];
    }
    out[64] = '\0';
}
