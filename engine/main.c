/* main.c - the engine program: command line, signals, limits and start-up lines around a runtime of the built-in parts.
 *
 * Usage:   engine -c configs/feed.toml [--section.key=value ...]; engine --help says the rest.
 * Exit:    0 after a graceful stop, 1 when it could not start, 2 when the command line or the configuration is
 *          wrong. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/library/builtin.h"
#include "engine/library/descriptors.h"
#include "engine/runtime/venues.h"

extern char **environ;

enum { EXIT_GOOD = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, TEXT_MAX = 8192 };

static _Atomic int stop_requested;

static void on_signal(int number)
{
    (void)number;
    atomic_store_explicit(&stop_requested, 1, memory_order_relaxed);
}

static void print_memory(const twi_settings *settings)
{
    char text[TEXT_MAX];
    twi_memory_report report;
    twi_runtime_parts parts;
    twi_builtin_parts(&parts);
    twi_runtime_memory(settings, &parts, &report);
    twi_memory_report_print(&report, text, sizeof text);
    fputs(text, stdout);
}

static int serve(const twi_settings *settings)
{
    char error[TEXT_MAX];
    twi_logger logger;
    twi_runtime *runtime;
    twi_runtime_parts parts;
    twi_builtin_parts(&parts);
    twi_logger_init(&logger, STDERR_FILENO, (twi_log_level)settings->logging.level,
                    (twi_log_format)settings->logging.format);
    twi_log(&logger, TWI_LOG_INFO, "engine", "tickwire %s starts", TWI_VERSION);
    twi_descriptors_raise(settings);
    twi_descriptors_warn(settings, &logger);
    tw_status status = twi_runtime_open(settings, &parts, &logger, &runtime, error, sizeof error);
    if (status != TW_OK) {
        twi_log(&logger, TWI_LOG_ERROR, "engine", "%s", error);
        twi_logger_fini(&logger);
        return EXIT_FAILED;
    }
    print_memory(settings);
    printf("listening on ws://%s:%u/v1/stream\n", settings->listen.host, twi_runtime_port(runtime));
    if (settings->listen.unix_path[0] != '\0')
        printf("listening on unix:%s\n", settings->listen.unix_path);
    printf("ready\n");
    fflush(stdout);
    twi_runtime_run(runtime, &stop_requested);
    twi_shard_totals totals = twi_runtime_count(runtime);
    twi_log(&logger, TWI_LOG_INFO, "engine", "stopped; published %llu = delivered %llu + lost %llu + pending %llu",
            (unsigned long long)totals.published, (unsigned long long)totals.delivered, (unsigned long long)totals.lost,
            (unsigned long long)totals.pending);
    twi_runtime_close(runtime);
    twi_logger_fini(&logger);
    return EXIT_GOOD;
}

static void handle_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL);
}

/* What --check-config can know of venues without a network. */
static int venues_are_good(const twi_settings *settings, const char *path)
{
    char error[TEXT_MAX];
    int good = 1;
    for (uint32_t i = 0; i < settings->feed_count; i++) {
        if (settings->feeds[i].type != TWI_FEED_VENUE ||
            twi_venue_check(&settings->feeds[i], error, sizeof error) == TW_OK)
            continue;
        fprintf(stderr, "%s: feed %u: %s\n", path != NULL ? path : "the configuration", i + 1, error);
        good = 0;
    }
    return good;
}

static int run(const twi_settings_command *command)
{
    char text[TEXT_MAX * 8];
    switch (command->action) {
    case TWI_ACTION_HELP:
        fputs(twi_settings_help(), stdout);
        return EXIT_GOOD;
    case TWI_ACTION_VERSION:
        printf("tickwire %s\n", TWI_VERSION);
        return EXIT_GOOD;
    case TWI_ACTION_EXAMPLE:
        twi_config_example(&twi_settings_schema, text, sizeof text);
        fputs(text, stdout);
        return EXIT_GOOD;
    case TWI_ACTION_PRINT:
        twi_config_print(command->config, text, sizeof text);
        fputs(text, stdout);
        return EXIT_GOOD;
    case TWI_ACTION_CHECK:
        if (!venues_are_good(command->settings, command->path))
            return EXIT_USAGE;
        print_memory(command->settings);
        printf("%s is good\n", command->path != NULL ? command->path : "the configuration");
        return EXIT_GOOD;
    default:
        handle_signals();
        return serve(command->settings);
    }
}

int main(int argc, char **argv)
{
    char errors[TEXT_MAX];
    twi_settings_command command;
    tw_status status = twi_settings_load(argc, argv, environ, &command, errors, sizeof errors);
    if (status != TW_OK) {
        fputs(errors, stderr);
        return EXIT_USAGE;
    }
    int code = run(&command);
    twi_settings_close(&command);
    return code;
}
