/* popferry talk ACCOUNT|DESTINATION: POP3 and SMTP by hand, after TLS and login. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "commands/commands.h"
#include "commands/talk_private.h"
#include "config/secret.h"
#include "poll/connect.h"

#define PREFIX "destination:" /* where an account has the same title */

static int tell(const char *title, const struct fault *fault)
{
    log_fault(title, fault);
    return fault_exit_status(fault->class);
}

/* The greeting, as far as libcurl has read it. */
static void show_greeting(const struct wire *wire)
{
    const char *line = wire_early_lines(wire);
    bool more = true;

    while (more && *line != '\0') {
        size_t whole = strcspn(line, "\n");
        size_t len = whole > 0 && line[whole - 1] == '\r' ? whole - 1 : whole;
        show_line(line, len, false);
        more = len > 3 && line[0] == '2' && line[3] == '-';
        line += whole + (line[whole] == '\n');
    }
    (void)fflush(stdout);
}

static int converse(struct talk *talk, const struct config_peer *peer, bool login)
{
    talk->title = peer->title;
    talk->echo = isatty(STDIN_FILENO) != 1;
    show_greeting(talk->wire);
    log_line(LOG_LEVEL_NOTICE, peer->title, "connected%s%s%s; type commands, QUIT ends",
             wire_encrypted(talk->wire) ? " with TLS" : "", login ? ", logged in as " : "",
             login ? peer->username : "");
    return talk_dialogue(talk);
}

static int talk_to_account(const struct options *options, const struct config *config,
                           const struct config_account *account)
{
    struct connect_params params = {.config = config, .no_login = options->no_login};
    char *state_dir = command_state_dir(options, config);
    struct pop3_login login;
    struct pop3 *pop3;
    struct fault fault;
    struct talk talk;
    int status;

    if (state_dir == NULL)
        return fault_exit_status(FAULT_STATE);
    params.state_dir = state_dir;
    if (connect_mailbox(&pop3, &params, account, &login, &fault) < 0) {
        status = tell(account->peer.title, &fault);
    } else {
        talk = (struct talk){.wire = pop3_wire(pop3),
                             .service = WIRE_POP3,
                             .scope = FAULT_OF_MAILBOX,
                             .host = account->peer.host};
        status = converse(&talk, &account->peer, !options->no_login);
        pop3_close(pop3);
    }
    free(state_dir);
    return status;
}

static int talk_to_destination(const struct options *options, const struct config *config,
                               const struct config_destination *destination)
{
    const struct connect_params params = {.config = config, .no_login = options->no_login};
    struct buf secret;
    struct smtp *smtp;
    struct fault fault;
    struct talk talk;
    int result = 0;
    int status;

    buf_init(&secret, SECRET_MAX);
    if (!options->no_login)
        result = connect_destination_secret(config, destination, &secret, &fault);
    if (result == 0)
        result = connect_destination(&smtp, &params, destination, secret.data, &fault);
    buf_free(&secret);
    if (result < 0)
        return tell(destination->peer.title, &fault);
    talk = (struct talk){.wire = smtp_wire(smtp),
                         .service = destination->protocol == CONFIG_LMTP ? WIRE_LMTP : WIRE_SMTP,
                         .scope = FAULT_OF_DESTINATION,
                         .host = destination->socket != NULL ? destination->socket : destination->peer.host,
                         .final_timeout = config->final_timeout};
    status = converse(&talk, &destination->peer, !options->no_login && destination->peer.username != NULL);
    smtp_close(smtp);
    return status;
}

static int talk_to(const struct options *options, const struct config *config, const char *title)
{
    const struct config_account *account = config_find_account(config, title);
    const struct config_destination *destination;
    struct fault fault;

    if (account != NULL)
        return talk_to_account(options, config, account);
    if (strncmp(title, PREFIX, strlen(PREFIX)) == 0)
        title += strlen(PREFIX);
    destination = config_find_destination(config, title);
    if (destination != NULL)
        return talk_to_destination(options, config, destination);
    (void)fault_set(&fault, FAULT_OF_RUN, FAULT_USAGE, "talk",
                    "there is no account or destination \"%s\" in %s", title, config->path);
    return tell(NULL, &fault);
}

int command_talk(const struct options *options)
{
    struct config config;
    struct fault fault;
    int status;

    if (options->argument_count != 1) {
        (void)fault_set(&fault, FAULT_OF_RUN, FAULT_USAGE, "talk",
                        "talk needs the name of one account or destination");
        return tell(NULL, &fault);
    }
    status = command_load(options, &config);
    if (status != 0)
        return status;
    if (wire_global_init(&fault) < 0) {
        status = tell(NULL, &fault);
    } else {
        status = talk_to(options, &config, options->arguments[0]);
        wire_global_cleanup();
    }
    config_free(&config);
    return status;
}
