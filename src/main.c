/* popferry: arguments -> a command -> an exit status. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "base/stop.h"
#include "commands/commands.h"
#include "config/options.h"
#include "report/log.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED
#endif

#define MALLOC_ARENAS 4 /* a heap for each of 100 threads would cost more than the mail in it */

enum {
    OPTION_STATE_DIR = 256,
    OPTION_LOG_FORMAT,
    OPTION_JSON, /* from here on: of single commands */
    OPTION_YES,
    OPTION_ALL_SIZES,
    OPTION_NO_LOGIN,
    OPTION_SHARD,
    OPTION_FORGET,
    OPTION_SEEN,
    OPTION_RETRY,
    OPTION_PRUNE,
    OPTION_MOVE,
    OPTION_STATE,
    OPTION_SINCE,
    OPTION_SEARCH,
    OPTION_RESET,
};

static const struct option long_options[] = {
    {"config", required_argument, NULL, 'c'},
    {"dry-run", no_argument, NULL, 'n'},
    {"quiet", no_argument, NULL, 'q'},
    {"verbose", no_argument, NULL, 'v'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {"state-dir", required_argument, NULL, OPTION_STATE_DIR},
    {"log-format", required_argument, NULL, OPTION_LOG_FORMAT},
    {"json", no_argument, NULL, OPTION_JSON},
    {"yes", no_argument, NULL, OPTION_YES},
    {"all-sizes", no_argument, NULL, OPTION_ALL_SIZES},
    {"no-login", no_argument, NULL, OPTION_NO_LOGIN},
    {"shard", required_argument, NULL, OPTION_SHARD},
    {"forget", required_argument, NULL, OPTION_FORGET},
    {"seen", no_argument, NULL, OPTION_SEEN},
    {"retry", no_argument, NULL, OPTION_RETRY},
    {"prune", no_argument, NULL, OPTION_PRUNE},
    {"move", no_argument, NULL, OPTION_MOVE},
    {"state", required_argument, NULL, OPTION_STATE},
    {"since", required_argument, NULL, OPTION_SINCE},
    {"search", required_argument, NULL, OPTION_SEARCH},
    {"reset", no_argument, NULL, OPTION_RESET},
    {NULL, 0, NULL, 0},
};

static const char help[] =
    "Usage: popferry [OPTIONS] [run] [ACCOUNT...]   poll once: fetch, deliver, delete\n"
    "       popferry check [ACCOUNT...]             try everything, change nothing\n"
    "       popferry status [ACCOUNT...]            how each account fares\n"
    "       popferry history [ACCOUNT]              what is remembered\n"
    "       popferry import FILE...                 from fetchmail, mpop or getmail\n"
    "       popferry talk ACCOUNT|DESTINATION       type POP3 or SMTP by hand\n"
    "       popferry authorize ACCOUNT              OAuth2 login\n"
    "\n"
    "  -c, --config=FILE        the fetchrc\n"
    "  -n, --dry-run            show what would be done, change nothing\n"
    "  -q, --quiet              tell faults only\n"
    "  -v, --verbose            tell more; -vv shows the dialogue, secrets masked\n"
    "      --log-format=FORMAT  text, json or journal\n"
    "      --state-dir=DIR      where the history is kept\n"
    "      --json               check, status, history: for programs\n"
    "      --yes                history, import: do not ask\n"
    "      --all-sizes          run: retrieve what is over max_size as well\n"
    "      --shard=K/N          run: only the K-th of N shares of the accounts\n"
    "      --no-login           talk: log in by hand\n"
    "  -h, --help               this text\n"
    "  -V, --version            the version\n"
    "\n"
    "history lists\n"
    "      --state=NAME         listed recorded gone seen noticed quarantined refused\n"
    "      --since=AGE          younger than 7d, or than 2026-03-01\n"
    "      --search=TEXT        in the UIDL or in the server's last words\n"
    "or changes\n"
    "      --forget=UIDL        fetch this message again\n"
    "      --seen               never fetch what is on the server now\n"
    "      --retry              try refused messages and logins in the next run\n"
    "      --prune              forget what no mailbox lists any more\n"
    "      --move OLD NEW       a mailbox (username@host), or a host, has a new name\n"
    "      --reset              move a damaged history aside\n"
    "\n"
    "Exit status: 0 done, 64 usage, 65 refused for good, 70 internal, 74 state,\n"
    "75 try again later, 76 protocol or certificate, 77 login, 78 fetchrc.\n"
    "See popferry(1) and fetchrc(5).\n";

static const char version[] = "popferry " POPFERRY_VERSION "\n";

/* An option among those of a command. A wrong one must not pass for a poll that nobody asked for. */
#define DRY_RUN 1U
#define TAKES(option) (2U << ((option)-OPTION_JSON))

#define HISTORY_OPTIONS                                                                               \
    (TAKES(OPTION_JSON) | TAKES(OPTION_YES) | TAKES(OPTION_FORGET) | TAKES(OPTION_SEEN) |             \
     TAKES(OPTION_RETRY) | TAKES(OPTION_PRUNE) | TAKES(OPTION_MOVE) | TAKES(OPTION_STATE) |           \
     TAKES(OPTION_SINCE) | TAKES(OPTION_SEARCH) | TAKES(OPTION_RESET))

struct command {
    const char *name;
    int (*run)(const struct options *options);
    unsigned takes; /* beside the options that all take */
};

static const struct command commands[] = {
    {"run", command_run, DRY_RUN | TAKES(OPTION_ALL_SIZES) | TAKES(OPTION_SHARD)},
    {"check", command_check, DRY_RUN | TAKES(OPTION_JSON)},
    {"status", command_status, DRY_RUN | TAKES(OPTION_JSON)},
    {"history", command_history, HISTORY_OPTIONS},
    {"import", command_import, DRY_RUN | TAKES(OPTION_YES)},
    {"talk", command_talk, TAKES(OPTION_NO_LOGIN)},
    {"authorize", command_authorize, 0},
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

/* The bit that stands for an option of single commands, 0 for one that all take. */
static unsigned bit_of(int option)
{
    if (option == 'n')
        return DRY_RUN;
    return option >= OPTION_JSON ? TAKES(option) : 0;
}

static int usage(const char *what)
{
    (void)fprintf(stderr, "popferry: %s; try 'popferry --help'\n", what);
    return -1;
}

/* What getopt_long() did not take. It leaves in optopt which option that is, 0 for a long one unknown. */
static int strange_option(int result, char **argv)
{
    const struct option *option;
    char text[128];

    for (option = long_options; option->name != NULL && option->val != optopt; option++)
        continue;
    if (option->name != NULL)
        (void)snprintf(text, sizeof(text), "--%s %s a value", option->name,
                       result == ':' ? "needs" : "does not take");
    else if (optopt != 0)
        (void)snprintf(text, sizeof(text), "unknown option -%c", optopt);
    else
        (void)snprintf(text, sizeof(text), "unknown or ambiguous option %.80s", argv[optind - 1]);
    return usage(text);
}

static int parse_shard(struct options *options, const char *text)
{
    char *end;
    unsigned long k = strtoul(text, &end, 10);
    unsigned long n = *end == '/' ? strtoul(end + 1, &end, 10) : 0;

    if (*end != '\0' || k < 1 || n < 1 || k > n || n > 1000000)
        return usage("--shard takes K/N with K from 1 to N");
    options->shard = (unsigned)k;
    options->shards = (unsigned)n;
    return 0;
}

static int parse_format(enum log_format *format, const char *text)
{
    if (strcmp(text, "text") == 0)
        *format = LOG_TEXT;
    else if (strcmp(text, "json") == 0)
        *format = LOG_JSON;
    else if (strcmp(text, "journal") == 0)
        *format = LOG_JOURNAL;
    else
        return usage("--log-format takes text, json or journal");
    return 0;
}

/* The options of single commands. */
static int set_command_option(struct options *options, int option)
{
    switch (option) {
    case OPTION_JSON: options->json = true; return 0;
    case OPTION_YES: options->yes = true; return 0;
    case OPTION_ALL_SIZES: options->all_sizes = true; return 0;
    case OPTION_NO_LOGIN: options->no_login = true; return 0;
    case OPTION_SHARD: return parse_shard(options, optarg);
    case OPTION_FORGET: options->forget = optarg; return 0;
    case OPTION_SEEN: options->seen = true; return 0;
    case OPTION_RETRY: options->retry = true; return 0;
    case OPTION_PRUNE: options->prune = true; return 0;
    case OPTION_MOVE: options->move_from = ""; return 0; /* its two names are the arguments */
    case OPTION_STATE: options->state = optarg; return 0;
    case OPTION_SINCE: options->since = optarg; return 0;
    case OPTION_SEARCH: options->search = optarg; return 0;
    case OPTION_RESET: options->reset = true; return 0;
    default: return usage("what was that option?");
    }
}

static int show(const char *text)
{
    (void)fputs(text, stdout);
    return 1;
}

/* given: which options of single commands there are. 0: go on; 1: done (help, version); -1: a mistake,
 * told. */
static int parse(struct options *options, enum log_format *format, unsigned *given, int argc, char **argv)
{
    int option;

    opterr = 0;
    while ((option = getopt_long(argc, argv, ":c:nqvhV", long_options, NULL)) != -1) {
        *given |= bit_of(option);
        switch (option) {
        case 'c': options->config = optarg; break;
        case 'n': options->dry_run = true; break;
        case 'q': options->quiet = true; break;
        case 'v': options->verbose++; break;
        case 'h': return show(help);
        case 'V': return show(version);
        case OPTION_STATE_DIR: options->state_dir = optarg; break;
        case OPTION_LOG_FORMAT:
            if (parse_format(format, optarg) < 0)
                return -1;
            break;
        case '?':
        case ':': return strange_option(option, argv);
        default:
            if (set_command_option(options, option) < 0)
                return -1;
        }
    }
    /* Words that other programs take. */
    if (optind < argc && strcmp(argv[optind], "help") == 0)
        return show(help);
    if (optind < argc && strcmp(argv[optind], "version") == 0)
        return show(version);
    return 0;
}

static enum log_level level_of(const struct options *options)
{
    if (options->verbose >= 2)
        return LOG_LEVEL_DEBUG;
    if (options->verbose == 1)
        return LOG_LEVEL_INFO;
    if (options->quiet)
        return LOG_LEVEL_ERROR;
    return isatty(STDERR_FILENO) ? LOG_LEVEL_NOTICE : LOG_LEVEL_WARNING;
}

/* Secrets are in memory while we run: they do not go into a core file. */
static void forbid_core(void)
{
    struct rlimit none = {0, 0};

    (void)setrlimit(RLIMIT_CORE, &none);
#ifndef SANITIZED /* the leak checker must be able to trace us */
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

/* Returns 0, or -1 with the first option told that is another command's. */
static int refuse_strange(const struct command *command, unsigned given)
{
    const struct option *option;
    char text[128];

    for (option = long_options; option->name != NULL; option++) {
        if ((bit_of(option->val) & given & ~command->takes) == 0)
            continue;
        (void)snprintf(text, sizeof(text), "--%s is no option of 'popferry %s'", option->name, command->name);
        return usage(text);
    }
    return 0;
}

/* The command that a word may be meant for, NULL: none. */
static const char *guess(const char *word)
{
    const char *nearest = NULL;
    size_t least = 3;
    size_t i;

    for (i = 0; i < COMMANDS; i++) {
        size_t far = option_distance(commands[i].name, word, strlen(word));
        if (far < least && far < strlen(commands[i].name) - 1) {
            least = far;
            nearest = commands[i].name;
        }
    }
    return nearest;
}

/* The command's name is the first argument, if it is one: popferry alone, or with accounts only, is `run`. */
static int dispatch(struct options *options, unsigned given, int argc, char **argv)
{
    const struct command *command = commands;
    size_t i;

    options->arguments = (const char *const *)argv;
    options->argument_count = argc;
    for (i = 0; argc > 0 && i < COMMANDS; i++) {
        if (strcmp(argv[0], commands[i].name) == 0)
            break;
    }
    if (argc > 0 && i < COMMANDS) {
        command = &commands[i];
        options->arguments++;
        options->argument_count--;
    } else if (argc > 0) {
        options->implied = true;
        options->guess = guess(argv[0]);
    }
    return refuse_strange(command, given) < 0 ? EX_USAGE : command->run(options);
}

/* What was asked for must have reached standard output: a full disk or a closed pipe is a failure as any
 * other. */
static int end_output(int status)
{
    if (fflush(stdout) == 0 && ferror(stdout) == 0)
        return status;
    log_line(LOG_LEVEL_ERROR, NULL, "cannot write to standard output");
    return status != EX_OK ? status : EX_IOERR;
}

int main(int argc, char **argv)
{
    struct options options = {0};
    enum log_format format = log_default_format();
    unsigned given = 0;
    int result;

    forbid_core();
#ifdef __GLIBC__
    (void)mallopt(M_ARENA_MAX, MALLOC_ARENAS);
#endif
    result = parse(&options, &format, &given, argc, argv);
    if (result != 0)
        return result < 0 ? EX_USAGE : EX_OK;
    log_open(format, level_of(&options));
    stop_install();
    return end_output(dispatch(&options, given, argc - optind, argv + optind));
}
