/* popferry import FILE...: accounts and history of fetchmail, mpop and getmail. The fetchrc goes to standard
 * output, what the other program has seen into the history. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands/commands.h"
#include "commands/import_private.h"
#include "config/load.h"
#include "store/history.h"
#include "store/state_dir.h"

#define FILE_MAX (4 * 1024 * 1024)
#define RENDER_MAX (64 * 1024 * 1024)

struct program {
    const char *name;
    void (*read)(struct import *import, const char *path, char *text);
};

static const struct program fetchmail = {"fetchmail", import_fetchmail};
static const struct program mpop = {"mpop", import_mpop};
static const struct program getmail = {"getmail", import_getmail};
static const struct program popferry = {"popferry", NULL};

static int tell(const struct fault *fault)
{
    log_fault(NULL, fault);
    return fault_exit_status(fault->class);
}

static bool word_is(const char *text, size_t len, const char *word)
{
    return len == strlen(word) && strncasecmp(text, word, len) == 0;
}

/* account "title" {: mpop has no braces. */
static bool begins_section(const char *text)
{
    static const char blanks[] = " \t\r\n";

    text += strspn(text, blanks);
    if (*text == '"' || *text == '\'') {
        text += 1 + strcspn(text + 1, "\"'\n");
        text += *text != '\0';
    } else {
        text += strcspn(text, " \t\r\n{");
    }
    return text[strspn(text, blanks)] == '{';
}

/* Whose file is it? The words that only one of the three programs uses tell. */
static const struct program *recognise(const char *text)
{
    static const char blanks[] = " \t\r";

    while (*text != '\0') {
        const char *word = text + strspn(text, blanks);
        size_t len = strcspn(word, " \t\r\n=");

        if (*word == '[')
            return &getmail;
        if ((word_is(word, len, "account") || word_is(word, len, "destination") || word_is(word, len, "oauth")) &&
            begins_section(word + len))
            return &popferry;
        if (word_is(word, len, "account") || word_is(word, len, "host"))
            return &mpop;
        while (*word != '\n' && *word != '\0' && *word != '#') {
            len = strcspn(word, " \t\r\n=");
            if (word_is(word, len, "poll") || word_is(word, len, "skip") || word_is(word, len, "server"))
                return &fetchmail;
            word += len;
            word += strspn(word, " \t\r=");
        }
        text = word + strcspn(word, "\n");
        text += *text == '\n';
    }
    return NULL;
}

static int read_file(struct import *import, const char *path, struct buf *head)
{
    const struct program *program;
    struct fault fault;
    struct buf text;
    char quoted[256];

    (void)fault_quote(quoted, sizeof(quoted), path, strlen(path));
    if (import_read(path, FILE_MAX, &text) < 0) {
        (void)fault_set(&fault, FAULT_OF_RUN, FAULT_CONFIG, "import", "cannot read %s: %s", quoted,
                        strerror(errno));
        buf_free(&text);
        return tell(&fault);
    }
    program = recognise(text.len > 0 ? text.data : "");
    if (program == &popferry) {
        (void)fault_set(&fault, FAULT_OF_RUN, FAULT_CONFIG, "import", "%s is a fetchrc of popferry already", quoted);
        buf_free(&text);
        return tell(&fault);
    }
    if (program == NULL) {
        (void)fault_set(&fault, FAULT_OF_RUN, FAULT_CONFIG, "import",
                        "%s is no configuration of fetchmail, mpop or getmail (it names no mailbox)", quoted);
        buf_free(&text);
        return tell(&fault);
    }
    import_print(import, head, "# Made by popferry import from %s's %s\n", program->name, quoted);
    program->read(import, path, text.data);
    buf_free(&text);
    return 0;
}

static void finish_notes(struct import *import, struct buf *head)
{
    bool password = false;
    size_t i;

    for (i = 0; i < import->account_count; i++) {
        struct import_account *account = &import->accounts[i];
        password = password || account->has_password;
        if (account->keeps && !account->uids_found && !account->dropped)
            import_note(import, account,
                        "no list of fetched messages was found; so that nothing comes again, start with: "
                        "popferry history --seen %s",
                        account->title);
    }
    if (password)
        import_print(import, head, "# It holds passwords: nobody else may read it (chmod 600).\n");
}

/* "popferry import FILE > fetchrc" must not make passwords public, nor a fetchrc that is then refused. */
static void hide_output(const struct import *import)
{
    struct stat info;
    bool password = false;
    size_t i;

    for (i = 0; i < import->account_count; i++)
        password = password || import->accounts[i].has_password;
    if (password && fstat(STDOUT_FILENO, &info) == 0 && S_ISREG(info.st_mode) && info.st_uid == geteuid() &&
        (info.st_mode & 077) != 0)
        (void)fchmod(STDOUT_FILENO, 0600);
}

static bool any_account(const struct import *import)
{
    size_t i;

    for (i = 0; i < import->account_count && import->accounts[i].dropped; i++)
        continue;
    return i < import->account_count;
}

/* The fetchrc, on standard output. */
static int print(struct import *import, struct buf *head)
{
    struct fault fault;
    struct buf out;
    int status = 0;

    buf_init(&out, RENDER_MAX);
    finish_notes(import, head);
    hide_output(import);
    import_render(import, head->len > 0 ? head->data : "", &out);
    if (import->broken || out.len == 0)
        (void)fault_set(&fault, FAULT_OF_RUN, FAULT_INTERNAL, "import", "out of memory");
    else if (fwrite(out.data, 1, out.len, stdout) != out.len || fflush(stdout) != 0)
        (void)fault_set(&fault, FAULT_OF_RUN, FAULT_STATE, "import", "cannot write to standard output: %s",
                        strerror(errno));
    else
        fault.class = FAULT_NONE;
    if (fault.class == FAULT_NONE && !any_account(import))
        (void)fault_set(&fault, FAULT_OF_RUN, FAULT_CONFIG, "import",
                        "no account can be taken over; the comments in the fetchrc say why");
    if (fault.class != FAULT_NONE)
        status = tell(&fault);
    buf_free(&out);
    return status;
}

/* How many messages of how many mailboxes are to be marked as seen. */
static size_t count_seen(const struct import *import, size_t *mailboxes)
{
    size_t messages = 0;
    size_t i;

    *mailboxes = 0;
    for (i = 0; i < import->account_count; i++) {
        messages += import->accounts[i].dropped ? 0 : import->accounts[i].uid_count;
        *mailboxes += !import->accounts[i].dropped && import->accounts[i].uid_count > 0;
    }
    return messages;
}

static int mark_all(struct history *history, const struct import *import, struct fault *fault)
{
    uint64_t total = 0;
    size_t i;

    for (i = 0; i < import->account_count; i++) {
        const struct import_account *account = &import->accounts[i];
        char identity[IMPORT_IDENTITY_MAX];
        uint64_t changed = 0;

        if (account->dropped || account->uid_count == 0 ||
            !import_identity(account, identity, sizeof(identity)))
            continue;
        if (history_seen(history, identity, (const char *const *)account->uids, NULL, account->uid_count,
                         &changed, fault) < 0)
            return -1;
        total += changed;
    }
    log_line(LOG_LEVEL_NOTICE, NULL, "%llu message%s in the history as seen", (unsigned long long)total,
             total == 1 ? " is" : "s are");
    return 0;
}

static int mark_seen(const struct import *import, const char *dir)
{
    struct history *history;
    struct fault fault;
    int result;

    if (state_dir_open(dir, 1, &fault) < 0 || history_open(&history, dir, HISTORY_WRITE, &fault) < 0)
        return tell(&fault);
    result = mark_all(history, import, &fault);
    history_close(history);
    return result == 0 ? 0 : tell(&fault);
}

/* Whether the fetchrc is the very file that standard output goes into. */
static bool is_output(const char *path)
{
    struct stat file;
    struct stat out;

    return path != NULL && stat(path, &file) == 0 && fstat(STDOUT_FILENO, &out) == 0 &&
           file.st_dev == out.st_dev && file.st_ino == out.st_ino;
}

/* The state directory, with what an existing fetchrc says about it. Whoever moves over has none yet, or is
 * just writing it. */
static char *find_state_dir(const struct options *options, int *status)
{
    struct config config = {0};
    struct fault fault;
    char *path = config_path(options->config, &fault);
    bool load = options->state_dir == NULL && (path != NULL || options->config != NULL) && !is_output(path);
    char *dir = NULL;

    free(path);
    *status = load ? command_load(options, &config) : 0;
    if (*status != 0)
        return NULL;
    dir = command_state_dir(options, &config);
    if (dir == NULL)
        *status = fault_exit_status(FAULT_STATE);
    config_free(&config);
    return dir;
}

/* On standard error, since the fetchrc is on its way through standard output. */
static bool confirmed(size_t messages, size_t mailboxes, const char *dir)
{
    char answer[16] = "";

    (void)fprintf(stderr,
                  "Mark %zu message%s of %zu mailbox%s as seen in %s, so that they do not come again? [y/N] ",
                  messages, messages == 1 ? "" : "s", mailboxes, mailboxes == 1 ? "" : "es", dir);
    return fgets(answer, sizeof(answer), stdin) != NULL && (answer[0] == 'y' || answer[0] == 'Y');
}

static int take_history(const struct options *options, const struct import *import)
{
    struct fault fault;
    size_t mailboxes;
    size_t messages = count_seen(import, &mailboxes);
    int status = 0;
    char *dir;

    if (messages == 0 || options->dry_run)
        return 0;
    dir = find_state_dir(options, &status);
    if (dir == NULL)
        return status;
    if (!options->yes && !(isatty(STDIN_FILENO) && isatty(STDERR_FILENO))) {
        (void)fault_set(&fault, FAULT_OF_RUN, FAULT_USAGE, "import",
                        "%zu seen message%s not taken into the history: give --yes (or --dry-run)", messages,
                        messages == 1 ? " was" : "s were");
        status = tell(&fault);
    } else if (options->yes || confirmed(messages, mailboxes, dir)) {
        status = mark_seen(import, dir);
    } else {
        log_line(LOG_LEVEL_WARNING, NULL, "the history was left as it is");
    }
    free(dir);
    return status;
}

int command_import(const struct options *options)
{
    struct import import;
    struct fault fault;
    struct buf head;
    int status = 0;
    int i;

    if (options->argument_count == 0) {
        (void)fault_set(&fault, FAULT_OF_RUN, FAULT_USAGE, "import",
                        "import needs a file: .fetchmailrc, mpop's config, or getmail's rc files");
        return tell(&fault);
    }
    import_init(&import);
    buf_init(&head, FILE_MAX);
    for (i = 0; i < options->argument_count && status == 0; i++)
        status = read_file(&import, options->arguments[i], &head);
    if (status == 0)
        status = print(&import, &head);
    if (status == 0)
        status = take_history(options, &import);
    buf_free(&head);
    import_free(&import);
    return status;
}
