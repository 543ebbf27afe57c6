/* settings_test.c - the engine's own settings: defaults, conditions between keys, command line, memory, and that the
 * files made from the schema (configs/feed.toml, docs/CONFIGURATION.md) say what the program does.
 * With TICKWIRE_UPDATE=1 in the environment it writes those two files instead of comparing them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/settings.h"

static char errors[8192];
static char text[65536], file_text[65536];

static tw_status load(const char *const *arguments, twi_settings_command *command)
{
    int count = 0;
    while (arguments[count])
        count++;
    errors[0] = 0;
    return twi_settings_load(count, (char **)(uintptr_t)arguments, NULL, command, errors, sizeof(errors));
}

#define LOAD(command, ...) load((const char *const[]){"engine", __VA_ARGS__, NULL}, command)

static void expect_error(tw_status status, const char *message, const char *const *arguments)
{
    twi_settings_command command;
    assert_int_equal(load(arguments, &command), status);
    assert_string_equal(errors, message);
}

#define EXPECT_ERROR(status, message, ...)                                                                             \
    expect_error(status, message, (const char *const[]){"engine", __VA_ARGS__, NULL})

static void plain_start_runs_the_simulator(void **state)
{
    (void)state;
    twi_settings_command command;
    assert_int_equal(load((const char *const[]){"engine", NULL}, &command), TW_OK);
    assert_int_equal(command.action, TWI_ACTION_RUN);
    const twi_settings *settings = command.settings;
    assert_int_equal(settings->engine.threads, 1);
    assert_string_equal(settings->engine.loop, "auto");
    assert_int_equal(settings->listen.port, 9001);
    assert_int_equal(settings->wire_log.bytes, 64 << 20);
    assert_int_equal(settings->wire_log.default_policy, TWI_POLICY_ALL);
    assert_int_equal(settings->feed_count, 1);
    assert_int_equal(settings->feeds[0].type, TWI_FEED_SIM);
    assert_int_equal(settings->feeds[0].rate_per_second, 1000);
    assert_int_equal(twi_settings_index_slots(settings), 1 << 20);
    twi_settings_close(&command);
}

static void command_line_is_read(void **state)
{
    (void)state;
    twi_settings_command command;
    assert_int_equal(LOAD(&command, "-c", "configs/feed.toml", "--loop", "epoll", "--port=0", "--feed.rate", "7",
                          "--unix", "/run/tickwire.sock", "--check-config"),
                     TW_OK);
    assert_int_equal(command.action, TWI_ACTION_CHECK);
    assert_string_equal(command.path, "configs/feed.toml");
    assert_string_equal(command.settings->engine.loop, "epoll");
    assert_int_equal(command.settings->listen.port, 0);
    assert_string_equal(command.settings->listen.unix_path, "/run/tickwire.sock");
    assert_int_equal(command.settings->feeds[0].rate_per_second, 7);
    twi_settings_close(&command);
    assert_int_equal(LOAD(&command, "--help"), TW_OK);
    assert_int_equal(command.action, TWI_ACTION_HELP);
    assert_null(command.config);
    twi_settings_close(&command);
}

static void command_line_mistakes_are_named(void **state)
{
    (void)state;
    EXPECT_ERROR(TW_BAD_ARGUMENT, "--check-conf: unknown argument; did you mean --check-config?", "--check-conf");
    EXPECT_ERROR(TW_BAD_ARGUMENT, "feed.toml: unknown argument; --help lists what there is", "feed.toml");
    EXPECT_ERROR(TW_BAD_ARGUMENT, "--port: needs a value; write --port=VALUE", "--port");
    EXPECT_ERROR(TW_BAD_ARGUMENT, "-c: needs the path of a configuration; write -c FILE", "-c");
    EXPECT_ERROR(TW_BAD_CONFIG, "flag --listen.port: is '90o1'; write an integer", "--port", "90o1");
    EXPECT_ERROR(TW_BAD_CONFIG, "flag --listen.prot: unknown key; did you mean port?", "--listen.prot=1");
    EXPECT_ERROR(TW_IO, "absent.toml: cannot be read: No such file or directory", "-c", "absent.toml");
}

static void conditions_between_keys_are_checked(void **state)
{
    (void)state;
    EXPECT_ERROR(TW_BAD_CONFIG, "ring.slots: is 1000, not a power of two; 512 and 1024 are", "--ring.slots=1000");
    EXPECT_ERROR(TW_BAD_CONFIG, "stream.heartbeat: is not a whole number of seconds", "--stream.heartbeat=1500ms");
    EXPECT_ERROR(TW_BAD_CONFIG, "feed.0.file: must be given", "--feed.type=replay");
    EXPECT_ERROR(TW_BAD_CONFIG, "feed.0.speed: is \"fast\"; write \"original\", \"max\" or a factor such as \"2.5\"",
                 "--feed.type=replay", "--feed.file=x", "--feed.speed=fast");
    EXPECT_ERROR(TW_BAD_CONFIG, "feed.0.rate: is for type = \"sim\", this is \"venue\"", "--feed.type=venue",
                 "--feed.exchange=binance", "--feed.symbols=BTC/USDT", "--feed.rate=1");
    EXPECT_ERROR(TW_BAD_CONFIG, "ring.instruments_max: is 5, but the simulated feeds have 10 instruments",
                 "--ring.instruments_max=5");
    EXPECT_ERROR(TW_BAD_CONFIG, "feed.0.exchange: is \"a:b\"; write a name without : / * and blanks",
                 "--feed.exchange=a:b");
}

static void secrets_are_not_printed(void **state)
{
    (void)state;
    twi_settings_command command;
    assert_int_equal(LOAD(&command, "--auth.tokens=verysecret", "--print-config"), TW_OK);
    assert_int_equal(command.settings->auth.tokens.count, 1);
    assert_true(twi_config_print(command.config, text, sizeof(text)) < sizeof(text));
    assert_null(strstr(text, "verysecret"));
    assert_non_null(strstr(text, "# tokens = (hidden)"));
    twi_settings_close(&command);
}

static void memory_adds_up(void **state)
{
    (void)state;
    twi_settings_command command;
    assert_int_equal(LOAD(&command, "--limits.connections_max=100", "--threads=2", "--wire_log.bytes=1MiB"), TW_OK);
    const twi_memory_unit_sizes sizes = {.ring_slot = 64, .codec_count = 2, .index_entry = 16, .client = 512};
    twi_memory_report report;
    twi_settings_memory(command.settings, &sizes, &report);
    uint64_t slots = (1 << 20) / 64;
    assert_int_equal(report.total_bytes, 65536 * 64 + (2 << 20) + 2 * slots * 16 + 100 * 512);
    twi_memory_add(&report, "more", 3, 5);
    assert_int_equal(report.total_bytes, 65536 * 64 + (2 << 20) + 2 * slots * 16 + 100 * 512 + 15);
    size_t length = twi_memory_report_print(&report, text, sizeof(text));
    assert_int_equal(length, strlen(text));
    assert_non_null(strstr(text, "  wire logs               2048 KiB  = 2 x 1048576 B\n"));
    assert_null(strstr(text, "books"));
    twi_settings_close(&command);
}

/* Compares a file of the project with what the schema makes of it, or writes it. */
static void check_made_file(const char *path, const char *made, size_t bytes)
{
    const char *update = getenv("TICKWIRE_UPDATE");
    FILE *file = fopen(path, update ? "wb" : "rb");
    assert_non_null(file);
    if (update) {
        assert_int_equal(fwrite(made, 1, bytes, file), bytes);
        assert_int_equal(fclose(file), 0);
        return;
    }
    size_t found = fread(file_text, 1, sizeof(file_text) - 1, file);
    fclose(file);
    file_text[found] = 0;
    if (strcmp(file_text, made) != 0)
        print_message("%s is not what the schema makes; run this test with TICKWIRE_UPDATE=1\n", path);
    assert_string_equal(file_text, made);
}

static void example_file_is_what_the_schema_says(void **state)
{
    (void)state;
    size_t bytes = twi_config_example(&twi_settings_schema, text, sizeof(text));
    assert_true(bytes < sizeof(text));
    check_made_file(TWT_SOURCE_DIR "/configs/feed.toml", text, bytes);
}

static void manual_is_what_the_schema_says(void **state)
{
    (void)state;
    size_t bytes = twi_config_manual(&twi_settings_schema, text, sizeof(text));
    assert_true(bytes < sizeof(text));
    check_made_file(TWT_SOURCE_DIR "/docs/CONFIGURATION.md", text, bytes);
}

/* With a default in every line, the example file must change nothing. */
static void example_file_changes_no_default(void **state)
{
    (void)state;
    static char with[65536];
    twi_settings_command command;
    assert_int_equal(LOAD(&command, "-c", "configs/feed.toml"), TW_OK);
    assert_true(twi_config_print(command.config, with, sizeof(with)) < sizeof(with));
    twi_settings_close(&command);
    assert_int_equal(load((const char *const[]){"engine", NULL}, &command), TW_OK);
    assert_true(twi_config_print(command.config, text, sizeof(text)) < sizeof(text));
    twi_settings_close(&command);
    char *left = with, *right = text, *left_end, *right_end;
    while ((left_end = strchr(left, '\n')) && (right_end = strchr(right, '\n'))) {
        *left_end = *right_end = 0;
        left[strcspn(left, "#")] = right[strcspn(right, "#")] = 0;
        assert_string_equal(left, right);
        left = left_end + 1, right = right_end + 1;
    }
    assert_int_equal(*left, 0);
    assert_int_equal(*right, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_start_runs_the_simulator),
        cmocka_unit_test(example_file_is_what_the_schema_says),
        cmocka_unit_test(manual_is_what_the_schema_says),
        cmocka_unit_test(example_file_changes_no_default),
        cmocka_unit_test(command_line_is_read),
        cmocka_unit_test(command_line_mistakes_are_named),
        cmocka_unit_test(conditions_between_keys_are_checked),
        cmocka_unit_test(secrets_are_not_printed),
        cmocka_unit_test(memory_adds_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
