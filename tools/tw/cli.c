/* cli.c - options, errors, signals and the instrument table for all verbs. */
#include "tools/tw/cli.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/interval.h"

enum { EXIT_SECOND_SIGNAL = 130, SYMBOLS_ALIGNMENT = 64 };

static atomic_bool stop_requested; /* lock-free, so a signal handler may set it */

static void on_signal(int number)
{
    (void)number;
    if (atomic_exchange(&stop_requested, true))
        _exit(EXIT_SECOND_SIGNAL);
}

void twi_cli_catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL);
}

bool twi_cli_stopped(void)
{
    return atomic_load(&stop_requested);
}

int twi_cli_usage(const twi_verb *verb, const char *format, ...)
{
    va_list arguments;
    fprintf(stderr, "tw %s: ", verb->name);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, " (tw %s --help says how it is used)\n", verb->name);
    return TWI_EXIT_USAGE;
}

int twi_cli_fail(const twi_verb *verb, const char *format, ...)
{
    va_list arguments;
    fprintf(stderr, "tw %s: ", verb->name);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    return TWI_EXIT_FAILED;
}

static bool set_value(const twi_verb *verb, const twi_option *option, const char *value)
{
    if (option->text) {
        *option->text = value;
        return true;
    }
    if (option->number) {
        char *end;
        errno = 0;
        *option->number = strtoull(value, &end, 10);
        if (value[0] >= '0' && value[0] <= '9' && *end == '\0' && errno == 0)
            return true;
        twi_cli_usage(verb, "--%s wants a whole number, not '%s'", option->name, value);
        return false;
    }
    if (twi_interval_parse(value, strlen(value), option->duration_ns) == TW_OK)
        return true;
    twi_cli_usage(verb, "--%s wants a duration like 500ms, 10s or 2m, not '%s'", option->name, value);
    return false;
}

/* Takes the option at argv[*at], and its value if it has one; *at is left on the last word taken. */
static bool take_option(const twi_verb *verb, int argc, char **argv, int *at, const twi_option *options,
                        size_t option_count)
{
    const char *name = argv[*at] + 2, *equals = strchr(name, '=');
    size_t name_len = equals ? (size_t)(equals - name) : strlen(name);
    for (size_t i = 0; i < option_count; i++) {
        const twi_option *option = &options[i];
        if (strlen(option->name) != name_len || memcmp(option->name, name, name_len) != 0)
            continue;
        if (option->flag) {
            *option->flag = true;
            if (equals)
                twi_cli_usage(verb, "--%s takes no value", option->name);
            return !equals;
        }
        if (equals)
            return set_value(verb, option, equals + 1);
        if (*at + 1 < argc)
            return set_value(verb, option, argv[++*at]);
        twi_cli_usage(verb, "--%s wants a value", option->name);
        return false;
    }
    twi_cli_usage(verb, "no option '%s'", argv[*at]);
    return false;
}

bool twi_cli_options(const twi_verb *verb, int argc, char **argv, const twi_option *options, size_t option_count,
                     const char **operand)
{
    for (int at = 1; at < argc; at++) {
        if (strcmp(argv[at], "--help") == 0 || strcmp(argv[at], "-h") == 0) {
            fputs(verb->help, stdout);
            exit(TWI_EXIT_GOOD);
        }
        if (strncmp(argv[at], "--", 2) == 0) {
            if (!take_option(verb, argc, argv, &at, options, option_count))
                return false;
            continue;
        }
        if (!operand || *operand) {
            twi_cli_usage(verb, "unexpected '%s'", argv[at]);
            return false;
        }
        *operand = argv[at];
    }
    return true;
}

tw_symbols *twi_cli_symbols(uint32_t capacity)
{
    size_t bytes = (tw_symbols_size(capacity) + SYMBOLS_ALIGNMENT - 1) / SYMBOLS_ALIGNMENT * SYMBOLS_ALIGNMENT;
    void *memory = aligned_alloc(SYMBOLS_ALIGNMENT, bytes);
    return memory ? tw_symbols_init(memory, capacity) : NULL;
}
