/* fetchrc -> struct config, through libconfuse. All mistakes up to a syntax error are collected before it
 * gives up. Threads: called before any starts. Ownership: the caller frees the config. Errors: FAULT_OF_RUN,
 * FAULT_CONFIG (exit 78). */
#ifndef POPFERRY_CONFIG_LOAD_H
#define POPFERRY_CONFIG_LOAD_H

#include "config/config.h"

/* Where the fetchrc is: `option` (-c), else $XDG_CONFIG_HOME/popferry/fetchrc (~/.config/popferry/fetchrc),
 * else /etc/popferry/fetchrc. Newly allocated; NULL with a fault that names the places when there is none. */
char *config_path(const char *option, struct fault *fault);

/* Load it. Every mistake goes to mistake(context, "FILE:LINE: what is wrong, what would be right"), in the
 * order of the file. Returns 0, or -1 with a fault (FAULT_CONFIG) that sums up ("3 mistakes in
 * /etc/popferry/fetchrc"). */
int config_load(struct config *config, const char *path, void (*mistake)(void *context, const char *text),
                void *context, struct fault *fault);

#endif
