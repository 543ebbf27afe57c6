/* cli.h - what the verbs of `tw` share: exit codes, options, stopping, and events as text.
 *
 * Verbs:    one file each; a verb reads its own options, prints to stdout, says what is wrong on stderr.
 * Stopping: the first Ctrl-C (or SIGTERM) asks the verb to end in good order, the second ends the process.
 * Thread:   one. */
#ifndef TWI_CLI_H
#define TWI_CLI_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/base/compiler.h"
#include "tickwire/event.h"
#include "tickwire/symbols.h"

enum { TWI_EXIT_GOOD = 0, TWI_EXIT_FAILED = 1, TWI_EXIT_USAGE = 2 };
enum { TWI_CLI_ERROR_MAX = 512, TWI_CLI_LINE_MAX = 4096 };

typedef struct twi_verb {
    const char *name;
    const char *job;                                                /* one line, for the list of verbs */
    const char *help;                                               /* all of --help */
    int (*run)(const struct twi_verb *verb, int argc, char **argv); /* argv[0] is the verb; an exit code */
} twi_verb;

extern const twi_verb twi_verb_record, twi_verb_replay, twi_verb_sub, twi_verb_info, twi_verb_doctor;

/* One option: takes a value unless `flag` is given. Exactly one of the pointers is set. */
typedef struct twi_option {
    const char *name; /* without the dashes */
    const char **text;
    uint64_t *number;
    int64_t *duration_ns; /* "500ms", "2m" */
    bool *flag;
} twi_option;

/* Reads all options; at most one other word goes to *operand (NULL: none is taken). Prints the help and ends the
 * process with 0 on --help. False: it has said what is wrong; return TWI_EXIT_USAGE. */
bool twi_cli_options(const twi_verb *verb, int argc, char **argv, const twi_option *options, size_t option_count,
                     const char **operand);
/* Says "tw VERB: ..." and where the help is; returns TWI_EXIT_USAGE. */
int twi_cli_usage(const twi_verb *verb, const char *format, ...) TWI_PRINTF(2, 3);
/* Says "tw VERB: ..."; returns TWI_EXIT_FAILED. */
int twi_cli_fail(const twi_verb *verb, const char *format, ...) TWI_PRINTF(2, 3);

void twi_cli_catch_signals(void);
bool twi_cli_stopped(void);

/* An instrument table for `capacity` instruments; NULL: no memory. free() it. */
tw_symbols *twi_cli_symbols(uint32_t capacity);

/* "2026-11-21 04:48:52.123456789" (UTC), "-" for 0. Returns out, which holds 32 bytes. */
const char *twi_cli_time(int64_t unix_ns, char *out);
/* One message in words, with a newline; levels of a group are listed behind each other. */
void twi_cli_print_message(FILE *out, const tw_symbols *symbols, const tw_event *events, uint32_t event_count,
                           uint64_t seq);

#endif
