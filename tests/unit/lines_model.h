/* What lines.h promises, written a second time: slow, in one piece, one rule after the other. */
#ifndef POPFERRY_TESTS_LINES_MODEL_H
#define POPFERRY_TESTS_LINES_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct model {
    bool ended;
    size_t used;      /* octets of the answer */
    size_t unstuffed; /* dots of POP3's stuffing */
    char *text;       /* the message, line ends repaired, not stuffed */
    size_t text_len;
    char *out; /* the SMTP form */
    size_t out_len;
};

static void model_frame(struct model *model, const char *in, size_t len)
{
    const char *end = NULL;

    model->used = len;
    if (len >= 3 && memcmp(in, ".\r\n", 3) == 0)
        model->used = 3;
    else if (len >= 5 && (end = memmem(in, len, "\r\n.\r\n", 5)) != NULL)
        model->used = (size_t)(end - in) + 5;
    model->ended = end != NULL || (len >= 3 && memcmp(in, ".\r\n", 3) == 0);
}

/* The answer without the final dot's line and without POP3's stuffing. */
static char *model_unstuff(struct model *model, const char *in, size_t *len)
{
    size_t n = model->ended ? model->used - 3 : model->used;
    char *raw = malloc(n + 1);
    size_t i;

    *len = 0;
    for (i = 0; i < n; i++) {
        if (in[i] == '.' && (i == 0 || (i >= 2 && in[i - 2] == '\r' && in[i - 1] == '\n')))
            model->unstuffed++;
        else
            raw[(*len)++] = in[i];
    }
    return raw;
}

static void model_repair(struct model *model, const char *raw, size_t len)
{
    size_t i = 0;

    model->text = malloc(2 * len + 3);
    while (i < len) {
        size_t crs = 0;

        while (i + crs < len && raw[i + crs] == '\r')
            crs++;
        if (i + crs < len && raw[i + crs] == '\n') {
            memcpy(model->text + model->text_len, "\r\n", 2);
            model->text_len += 2;
            i += crs + 1;
        } else if (crs > 0) {
            memset(model->text + model->text_len, ' ', crs);
            model->text_len += crs;
            i += crs;
        } else {
            model->text[model->text_len++] = raw[i++];
        }
    }
}

static void model_stuff(struct model *model)
{
    size_t i;

    model->out = malloc(2 * model->text_len + 1);
    for (i = 0; i < model->text_len; i++) {
        if (model->text[i] == '.' && (i == 0 || model->text[i - 1] == '\n'))
            model->out[model->out_len++] = '.';
        model->out[model->out_len++] = model->text[i];
    }
}

/* A whole answer, its end and octets behind it included; an unfinished one is taken up to the line end
 * before. */
static void model_run(struct model *model, const char *in, size_t len)
{
    size_t raw_len;
    char *raw;

    *model = (struct model){0};
    model_frame(model, in, len);
    raw = model_unstuff(model, in, &raw_len);
    model_repair(model, raw, raw_len);
    model_stuff(model);
    free(raw);
}

static void model_free(struct model *model)
{
    free(model->text);
    free(model->out);
}

#endif
