#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "commands/check_private.h"
#include "report/clean_json.h"

#define COLUMNS 80
#define TEXT_MAX 65536
#define TEXT_COLUMN 22 /* where the third column begins */

static const char *const verdict_keys[] = {
    [CHECK_OK] = "ok", [CHECK_NOTE] = "note", [CHECK_WARNING] = "warning", [CHECK_FAULT] = "fault"};
static const char *const verdict_names[] = {
    [CHECK_OK] = "ok", [CHECK_NOTE] = "note", [CHECK_WARNING] = "warn", [CHECK_FAULT] = "FAULT"};

/* A title, a user name or a path need not be UTF-8. */
static char *clean(const char *text)
{
    struct buf buf;

    buf_init(&buf, TEXT_MAX);
    (void)utf8_clean(&buf, text, strlen(text));
    return buf.data != NULL ? buf.data : strdup("");
}

void check_subject(struct check_subject *subject, const char *kind, const char *title, const char *where)
{
    *subject = (struct check_subject){.kind = kind,
                                      .title = title != NULL ? clean(title) : NULL,
                                      .where = clean(where),
                                      .facts = json_object()};
}

void check_free(struct check_subject *subject)
{
    size_t i;

    for (i = 0; i < subject->count; i++) {
        free(subject->findings[i].text);
        free(subject->findings[i].copy);
        free(subject->findings[i].advice);
    }
    free(subject->findings);
    free(subject->title);
    free(subject->where);
    json_decref(subject->facts);
}

static struct check_finding *add(struct check_subject *subject, const char *step, enum check_verdict verdict)
{
    struct check_finding *findings =
        reallocarray(subject->findings, subject->count + 1, sizeof(*subject->findings));

    if (findings == NULL)
        return NULL;
    subject->findings = findings;
    findings[subject->count] = (struct check_finding){.step = step, .verdict = verdict};
    return &findings[subject->count++];
}

static char *format(const char *fmt, va_list args)
{
    char *text, *cleaned;

    if (vasprintf(&text, fmt, args) < 0)
        return NULL;
    cleaned = clean(text);
    free(text);
    return cleaned;
}

void check_found(struct check_subject *subject, const char *step, enum check_verdict verdict, const char *fmt,
                 ...)
{
    struct check_finding *finding = add(subject, step, verdict);
    va_list args;

    if (finding == NULL)
        return;
    va_start(args, fmt);
    finding->text = format(fmt, args);
    va_end(args);
}

void check_fault(struct check_subject *subject, const char *step, const struct fault *fault)
{
    struct check_finding *finding = add(subject, step, CHECK_FAULT);

    subject->gravest = fault_graver(subject->gravest, fault->class);
    if (finding == NULL)
        return;
    finding->class = fault->class;
    finding->text = clean(fault->text);
}

void check_advise(struct check_subject *subject, const char *fmt, ...)
{
    struct check_finding *finding = subject->count > 0 ? &subject->findings[subject->count - 1] : NULL;
    va_list args;

    if (finding == NULL)
        return;
    free(finding->advice);
    va_start(args, fmt);
    finding->advice = format(fmt, args);
    va_end(args);
}

void check_copy(struct check_subject *subject, const char *fmt, ...)
{
    struct check_finding *finding = subject->count > 0 ? &subject->findings[subject->count - 1] : NULL;
    va_list args;

    if (finding == NULL)
        return;
    free(finding->copy);
    va_start(args, fmt);
    finding->copy = format(fmt, args);
    va_end(args);
}

/* ---- the table ---- */

static size_t columns(const char *text, size_t len)
{
    size_t n = 0;
    size_t i;

    for (i = 0; i < len; i++)
        n += ((unsigned char)text[i] & 0xC0) != 0x80;
    return n;
}

/* Words, broken at spaces; lines behind the first are indented. `column` is where the cursor is. */
static void print_wrapped(const char *text, size_t indent, size_t column)
{
    bool first = true;

    while (*text != '\0') {
        size_t word = strcspn(text, " ");
        size_t width = columns(text, word);
        if (!first && column + 1 + width > COLUMNS) {
            (void)printf("\n%*s", (int)indent, "");
            column = indent;
        } else if (!first) {
            (void)putchar(' ');
            column++;
        }
        (void)printf("%.*s", (int)word, text);
        column += width;
        first = false;
        text += word;
        text += strspn(text, " ");
    }
    (void)putchar('\n');
}

static void print_finding(const struct check_finding *finding)
{
    (void)printf("  %-12s %-5s  ", finding->step, verdict_names[finding->verdict]);
    print_wrapped(finding->text != NULL ? finding->text : "", TEXT_COLUMN, TEXT_COLUMN);
    if (finding->copy != NULL)
        (void)printf("    %s\n", finding->copy);
    if (finding->advice != NULL) {
        (void)printf("%*s-> ", TEXT_COLUMN, "");
        print_wrapped(finding->advice, TEXT_COLUMN + 3, TEXT_COLUMN + 3);
    }
}

void check_print(const struct check_subject *subject)
{
    size_t i;

    if (subject->title != NULL)
        (void)printf("%s %s  %s\n", subject->kind, subject->title,
                     subject->where != NULL ? subject->where : "");
    else
        (void)printf("%s  %s\n", subject->kind, subject->where != NULL ? subject->where : "");
    for (i = 0; i < subject->count; i++)
        print_finding(&subject->findings[i]);
    (void)putchar('\n');
    (void)fflush(stdout);
}

/* ---- for programs ---- */

static void put(json_t *object, const char *name, const char *text)
{
    if (text != NULL)
        (void)json_object_set_new(object, name, clean_json(text, strlen(text)));
}

static json_t *finding_json(const struct check_finding *finding)
{
    json_t *object = json_object();

    put(object, "step", finding->step);
    put(object, "verdict", verdict_keys[finding->verdict]);
    if (finding->verdict == CHECK_FAULT)
        put(object, "class", fault_class_name(finding->class));
    put(object, "text", finding->text);
    put(object, "advice", finding->advice);
    return object;
}

json_t *check_json(const struct check_subject *subject)
{
    json_t *object = json_object();
    json_t *findings = json_array();
    size_t i;

    put(object, strcmp(subject->kind, "fetchrc") == 0 ? "name" : subject->kind, subject->title);
    put(object,
        strcmp(subject->kind, "account") == 0   ? "mailbox"
        : strcmp(subject->kind, "fetchrc") == 0 ? "path"
                                                : "server",
        subject->where);
    put(object, "verdict", subject->gravest == FAULT_NONE ? "ok" : "fault");
    if (subject->gravest != FAULT_NONE)
        put(object, "class", fault_class_name(subject->gravest));
    (void)json_object_update(object, subject->facts);
    for (i = 0; i < subject->count; i++)
        (void)json_array_append_new(findings, finding_json(&subject->findings[i]));
    (void)json_object_set_new(object, "findings", findings);
    return object;
}
