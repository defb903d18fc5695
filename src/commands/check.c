/* popferry check [ACCOUNT...]: try everything, change nothing. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/stop.h"
#include "commands/check_private.h"
#include "commands/commands.h"
#include "report/clean_json.h"

#define LINES_MAX (1024 * 1024)

/* Everything that was found out, told as it comes, or at the end as JSON. */
struct report {
    bool json;
    json_t *accounts;
    json_t *destinations;
    json_t *fetchrc;
    enum fault_class gravest;
    size_t subjects;
    size_t faulty;
    struct buf faults; /* a line for each faulty subject */
};

static void add_line(struct buf *lines, const struct check_subject *subject)
{
    size_t i;

    for (i = 0; i + 1 < subject->count && subject->findings[i].verdict != CHECK_FAULT; i++)
        continue;
    (void)buf_printf(lines, "  %s %s: %s\n", subject->kind, subject->title != NULL ? subject->title : "",
                     subject->count > 0 ? subject->findings[i].step : "");
}

static void tell(struct report *report, const struct check_subject *subject, json_t *list)
{
    report->gravest = fault_graver(report->gravest, subject->gravest);
    report->subjects++;
    if (subject->gravest != FAULT_NONE) {
        report->faulty++;
        add_line(&report->faults, subject);
    }
    if (!report->json)
        check_print(subject);
    else if (list != NULL)
        (void)json_array_append_new(list, check_json(subject));
    else
        report->fetchrc = check_json(subject);
}

static void summarize(const struct report *report, int status)
{
    json_t *all;

    if (!report->json) {
        if (report->faulty == 0)
            (void)puts("All is well.");
        else
            (void)printf("%zu of %zu with faults; what to do stands behind each \"->\":\n%s", report->faulty,
                         report->subjects, report->faults.data);
        return;
    }
    all = json_pack("{s:o, s:O, s:O, s:i}", "fetchrc", report->fetchrc, "accounts", report->accounts,
                    "destinations", report->destinations, "exit_status", status);
    (void)json_dumpf(all, stdout, JSON_INDENT(2));
    (void)putchar('\n');
    json_decref(all);
}

/* ---- what all accounts share ---- */

/* A state directory that is not there yet is made by the first run. */
static void look_at_state(struct check *check, struct check_subject *subject)
{
    struct fault fault;

    if (access(check->state_dir, F_OK) == 0 && access(check->state_dir, R_OK | W_OK | X_OK) < 0) {
        (void)fault_set(&fault, FAULT_OF_RUN, FAULT_STATE, "state", "%s cannot be written by this user",
                        check->state_dir);
        check_fault(subject, "state", &fault);
        check_advise(subject, "run popferry as the owner of the directory, or set `state_dir`");
        return;
    }
    if (history_open(&check->history, check->state_dir, HISTORY_READ, &fault) == 0) {
        check_found(subject, "state", CHECK_OK, "%s%s", check->state_dir,
                    access(check->state_dir, F_OK) == 0 ? "" : ", made by the first run");
        return;
    }
    check->history = NULL;
    check_fault(subject, "state", &fault);
    check_advise(subject, "without a history no run begins; see popferry-history in popferry(1), --reset");
}

static void check_fetchrc(struct check *check, struct report *report)
{
    const struct config *config = check->config;
    struct check_subject subject;

    check_subject(&subject, "fetchrc", NULL, config->path);
    check_found(&subject, "fetchrc", CHECK_OK, "%zu account%s, %zu destination%s", config->account_count,
                config->account_count == 1 ? "" : "s", config->destination_count,
                config->destination_count == 1 ? "" : "s");
    look_at_state(check, &subject);
    tell(report, &subject, NULL);
    check_free(&subject);
}

static bool in_use(const struct config_destination *destination, const struct config_account *const *accounts,
                   size_t count)
{
    size_t i;

    for (i = 0; i < count; i++) {
        if (accounts[i]->destination == destination)
            return true;
    }
    return false;
}

/* One after the other: a person reads along, and a provider that locks accounts is not asked twice at
 * once. */
static void check_all(struct check *check, const struct config_account *const *accounts, size_t count,
                      struct report *report)
{
    struct check_subject subject;
    size_t i;

    check_fetchrc(check, report);
    for (i = 0; i < count && !stop_requested(); i++) {
        check_mailbox(check, accounts[i], &subject);
        tell(report, &subject, report->accounts);
        check_free(&subject);
    }
    for (i = 0; i < check->config->destination_count && !stop_requested(); i++) {
        const struct config_destination *destination = &check->config->destinations[i];
        if (!in_use(destination, accounts, count))
            continue;
        check_server(check, destination, accounts, count, &subject);
        tell(report, &subject, report->destinations);
        check_free(&subject);
    }
    if (stop_requested())
        report->gravest = fault_graver(report->gravest, FAULT_RETRY);
    history_close(check->history);
}

static int check(const struct options *options, const struct command_accounts *chosen)
{
    struct report report = {.json = options->json, .accounts = json_array(), .destinations = json_array()};
    struct check check = {.config = &chosen->config, .state_dir = chosen->state_dir};
    struct fault fault;
    int status;

    if (wire_global_init(&fault) < 0) {
        log_fault(NULL, &fault);
        return fault_exit_status(fault.class);
    }
    buf_init(&report.faults, LINES_MAX);
    check_all(&check, chosen->accounts, chosen->count, &report);
    wire_global_cleanup();
    status = fault_exit_status(report.gravest);
    summarize(&report, status);
    buf_free(&report.faults);
    json_decref(report.accounts);
    json_decref(report.destinations);
    return status;
}

/* A fetchrc that cannot be used, for programs. */
static void print_mistakes(struct buf *mistakes, int status)
{
    json_t *list = json_array();
    char *rest = mistakes->data;
    char *line;

    while ((line = strsep(&rest, "\n")) != NULL) {
        if (*line != '\0')
            (void)json_array_append_new(list, clean_json(line, strlen(line)));
    }
    list = json_pack("{s:o, s:i}", "mistakes", list, "exit_status", status);
    (void)json_dumpf(list, stdout, JSON_INDENT(2));
    (void)putchar('\n');
    json_decref(list);
}

int command_check(const struct options *options)
{
    struct options own = *options;
    struct command_accounts chosen;
    struct buf mistakes;
    int status;

    buf_init(&mistakes, LINES_MAX);
    own.mistakes = &mistakes;
    status = command_accounts(&own, &chosen);
    if (status == 0) {
        status = check(options, &chosen);
        command_accounts_free(&chosen);
    } else if (options->json && mistakes.len > 0) {
        print_mistakes(&mistakes, status);
    }
    buf_free(&mistakes);
    return status;
}
