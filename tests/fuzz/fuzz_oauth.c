/* Answers of an authorization server, and redirects of a browser: any octets; a token that is taken must fit
 * into SASL. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/oauth_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const char *token)
{
    if (token != NULL && !oauth_token_ok(token))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct oauth_answer answer;
    struct oauth_device device;
    const char *why = NULL;
    char value[256];
    char *text;

    if (oauth_answer_parse((const char *)data, size, &answer, &why) == 0) {
        check(answer.access_token);
        check(answer.refresh_token);
        if ((answer.access_token == NULL) == (answer.error[0] == '\0'))
            abort();
        if (answer.description != NULL)
            oauth_mask(answer.description, "secret");
        oauth_answer_free(&answer);
    } else if (why == NULL) {
        abort();
    }
    if (oauth_device_parse((const char *)data, size, &device, &why) == 0) {
        check(device.device_code);
        oauth_device_free(&device);
    }
    text = malloc(size + 1);
    if (text == NULL)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    if (oauth_redirect_parse(text, "S1", true, value, sizeof(value)) == OAUTH_REDIRECT_CODE)
        check(value);
    free(text);
    return 0;
}
