/* config_test.c - the configuration layer on a small schema of its own: notation, layers, faults, texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/config.h"

typedef struct server {
    int64_t port;
    const char *host;
    int64_t wait_ns;
    int64_t buffer_bytes;
    int64_t mode;
    bool quick;
    int level;
    twi_int_list cpus;
    twi_string_list names;
    const char *kind;
} server;

typedef struct source {
    int type;
    int64_t rate;
    const char *file;
} source;

typedef struct sample {
    server server;
    twi_config_tables sources;
} sample;

#define KEY(type_name, key, kind, ...)                                                                                 \
    {                                                                                                                  \
        .name = #key, .type = kind, .offset = offsetof(type_name, key), .reason = "Because.", __VA_ARGS__              \
    }

static const twi_config_key server_keys[] = {
    KEY(server, port, TWI_CONFIG_INT, .initial = "9001", .min = 0, .max = 65535),
    KEY(server, host, TWI_CONFIG_STRING, .initial = "127.0.0.1"),
    KEY(server, wait_ns, TWI_CONFIG_DURATION, .initial = "5s", .min = 0, .max = 60000000000),
    KEY(server, buffer_bytes, TWI_CONFIG_SIZE, .initial = "64KiB", .min = 16, .max = 1 << 20),
    KEY(server, mode, TWI_CONFIG_MODE, .initial = "0640", .min = 0, .max = 0777),
    KEY(server, quick, TWI_CONFIG_BOOL, .initial = "false"),
    KEY(server, level, TWI_CONFIG_ENUM, .initial = "low", .choices = "low|middle|high"),
    KEY(server, cpus, TWI_CONFIG_INT_LIST, .initial = "", .min = 0, .max = 63),
    KEY(server, names, TWI_CONFIG_STRING_LIST, .initial = "a,b", .choices = "a|b|c"),
    KEY(server, kind, TWI_CONFIG_STRING, .initial = "auto", .choices = "auto|fixed"),
};
static const twi_config_key source_keys[] = {
    KEY(source, type, TWI_CONFIG_ENUM, .initial = "sim", .choices = "sim|replay"),
    KEY(source, rate, TWI_CONFIG_INT, .initial = "10", .min = 1, .max = 1000, .only_for = "sim"),
    KEY(source, file, TWI_CONFIG_STRING, .only_for = "replay"),
};
static const twi_config_section sections[] = {
    {.name = "server", .about = "One.", .keys = server_keys, .key_count = 10, .offset = offsetof(sample, server)},
    {.name = "source",
     .about = "Many.",
     .keys = source_keys,
     .key_count = 3,
     .offset = offsetof(sample, sources),
     .item_bytes = sizeof(source),
     .item_count_max = 3,
     .variant_key = "type"},
};
static const twi_config_schema schema = {.env_prefix = "SAMPLE",
                                         .title = "Sample",
                                         .sections = sections,
                                         .section_count = 2,
                                         .settings_bytes = sizeof(sample)};

static char errors[8192];

static tw_status load(const char *toml, char *const *environment, const char *const *flags, twi_config **config)
{
    twi_config_inputs inputs = {.path = "sample.toml", .environment = environment, .flags = flags};
    while (flags && flags[inputs.flag_count])
        inputs.flag_count++;
    errors[0] = 0;
    return twi_config_parse(&schema, &inputs, toml, strlen(toml), config, errors, sizeof(errors));
}

static void expect_fault(const char *toml, const char *const *flags, const char *message)
{
    twi_config *config = NULL;
    assert_int_equal(load(toml, NULL, flags, &config), TW_BAD_CONFIG);
    assert_null(config);
    assert_string_equal(errors, message);
}

static const source *source_at(const sample *settings, uint32_t index)
{
    return (const source *)settings->sources.items + index;
}

static void defaults_fill_every_field(void **state)
{
    (void)state;
    twi_config *config = NULL;
    assert_int_equal(load("", NULL, NULL, &config), TW_OK);
    const sample *settings = twi_config_settings(config);
    assert_int_equal(settings->server.port, 9001);
    assert_string_equal(settings->server.host, "127.0.0.1");
    assert_int_equal(settings->server.wait_ns, 5000000000);
    assert_int_equal(settings->server.buffer_bytes, 65536);
    assert_int_equal(settings->server.mode, 0640);
    assert_false(settings->server.quick);
    assert_int_equal(settings->server.level, 0);
    assert_int_equal(settings->server.cpus.count, 0);
    assert_int_equal(settings->server.names.count, 2);
    assert_string_equal(settings->server.names.items[1], "b");
    assert_int_equal(settings->sources.count, 0);
    twi_config_close(config);
}

static void file_fills_every_type(void **state)
{
    (void)state;
    static const char toml[] = "[server]\nport = 0x1F90\nhost = \"::1\"\nwait_ns = \"250ms\"\nbuffer_bytes = 1024\n"
                               "mode = \"0600\"\nquick = true\nlevel = \"high\"\ncpus = [3, 1]\nnames = [\"c\"]\n"
                               "[[source]]\nrate = 7\n[[source]]\ntype = \"replay\"\nfile = \"a b.cap\"\n";
    twi_config *config = NULL;
    assert_int_equal(load(toml, NULL, NULL, &config), TW_OK);
    const sample *settings = twi_config_settings(config);
    assert_int_equal(settings->server.port, 8080);
    assert_string_equal(settings->server.host, "::1");
    assert_int_equal(settings->server.wait_ns, 250000000);
    assert_int_equal(settings->server.buffer_bytes, 1024);
    assert_int_equal(settings->server.mode, 0600);
    assert_true(settings->server.quick);
    assert_int_equal(settings->server.level, 2);
    assert_int_equal(settings->server.cpus.count, 2);
    assert_int_equal(settings->server.cpus.items[0], 3);
    assert_string_equal(settings->server.names.items[0], "c");
    assert_int_equal(settings->sources.count, 2);
    assert_int_equal(source_at(settings, 0)->rate, 7);
    assert_string_equal(source_at(settings, 1)->file, "a b.cap");
    twi_config_close(config);
}

static void environment_beats_file_and_flag_beats_both(void **state)
{
    (void)state;
    char *environment[] = {"SAMPLE_SERVER_PORT=2",
                           "SAMPLE_SERVER_BUFFER_BYTES=32KiB",
                           "SAMPLE_SOURCE_RATE=8",
                           "SAMPLE_SOURCE_1_RATE=9",
                           "SAMPLE_OTHER=x",
                           "PATH=/bin",
                           NULL};
    const char *flags[] = {"--server.port=3", "--server.names=c, \"a\"", "--source.0.rate=11", NULL};
    twi_config *config = NULL;
    assert_int_equal(load("[server]\nport = 1\nquick = true\n[[source]]\n", environment, flags, &config), TW_OK);
    const sample *settings = twi_config_settings(config);
    assert_int_equal(settings->server.port, 3);
    assert_int_equal(settings->server.buffer_bytes, 32768);
    assert_true(settings->server.quick);
    assert_int_equal(settings->server.names.count, 2);
    assert_string_equal(settings->server.names.items[0], "c");
    assert_string_equal(settings->server.names.items[1], "a");
    assert_int_equal(settings->sources.count, 2);
    assert_int_equal(source_at(settings, 0)->rate, 11);
    assert_int_equal(source_at(settings, 1)->rate, 9);
    twi_config_close(config);
}

static void faults_name_line_key_and_remedy(void **state)
{
    (void)state;
    expect_fault("[server]\nprot = 1\n", NULL, "sample.toml:2: server.prot: unknown key; did you mean port?");
    expect_fault("[server]\nzzzzzzzz = 1\n", NULL,
                 "sample.toml:2: server.zzzzzzzz: unknown key; [server] has port, host, wait_ns, buffer_bytes, mode, "
                 "quick, level, cpus, names, kind");
    expect_fault("\n[sever]\nport = 1\n", NULL, "sample.toml:2: [sever]: unknown section; did you mean [server]?");
    expect_fault("port = 1\n", NULL,
                 "sample.toml:1: port: stands before the first [section]; did you mean it for [server]?");
    expect_fault("[server]\nport = \"9001\"\n", NULL, "sample.toml:2: server.port: is a text; write an integer");
    expect_fault("[server]\nport = 70000\n", NULL, "sample.toml:2: server.port: is 70000, the most is 65535");
    expect_fault("[server]\nwait_ns = \"2m\"\n", NULL, "sample.toml:2: server.wait_ns: is 2m, the most is 1m");
    expect_fault("[server]\nwait_ns = 5\n", NULL,
                 "sample.toml:2: server.wait_ns: is an integer; write a duration with its unit, such as \"5s\", "
                 "\"50ms\" or \"10us\"");
    expect_fault("[server]\nbuffer_bytes = \"4 miles\"\n", NULL,
                 "sample.toml:2: server.buffer_bytes: is '4 miles'; write a size such as \"64MiB\", or a number of "
                 "bytes");
    expect_fault("[server]\nlevel = \"hi\"\n", NULL,
                 "sample.toml:2: server.level: is 'hi'; write one of low, middle, high");
    expect_fault("[server]\nkind = \"what\"\n", NULL,
                 "sample.toml:2: server.kind: is 'what'; write one of auto, fixed");
    expect_fault("[server]\ncpus = [1, 64]\n", NULL, "sample.toml:2: server.cpus: is 64, the most is 63");
    expect_fault("[server]\nnames = [\"a\", 1]\n", NULL,
                 "sample.toml:2: server.names: holds an integer; write a list of texts such as [\"a\", \"b\"]");
    expect_fault("[server.more]\nx = 1\n", NULL, "sample.toml:1: server.more: unknown key; did you mean mode?");
    expect_fault("[source]\nrate = 1\n", NULL, "sample.toml:1: [source]: there may be several; write [[source]]");
    expect_fault("[[server]]\nport = 1\n", NULL, "sample.toml:1: [[server]]: there is one only; write [server]");
    expect_fault("[[source]]\ntype = \"replay\"\nfile = \"x\"\nrate = 1\n", NULL,
                 "sample.toml:4: source.0.rate: is for type = \"sim\", this is \"replay\"");
    expect_fault("[[source]]\ntype = \"replay\"\n", NULL, "sample.toml: source.0.file: must be given");
    expect_fault("[[source]]\n[[source]]\n[[source]]\n[[source]]\n", NULL,
                 "sample.toml:4: [[source]]: more than 3 of them");
}

static void broken_toml_and_duplicates_are_placed(void **state)
{
    (void)state;
    twi_config *config = NULL;
    assert_int_equal(load("[server]\nport = 1\nport = 2\n", NULL, NULL, &config), TW_BAD_CONFIG);
    assert_memory_equal(errors, "sample.toml:3: ", 15);
    assert_non_null(strstr(errors, "may stand once"));
    assert_int_equal(load("[server]\n\nport = = 1\n", NULL, NULL, &config), TW_BAD_CONFIG);
    assert_memory_equal(errors, "sample.toml:3: ", 15);
}

static void all_faults_are_told_in_order(void **state)
{
    (void)state;
    const char *flags[] = {"--server.port=x", "--sever.port=1", "--server=1", "--source.2.rate=1", NULL};
    expect_fault("[server]\nquick = 1\n\nhost = 5\n", flags,
                 "sample.toml:2: server.quick: is an integer; write true or false\n"
                 "sample.toml:4: server.host: is an integer; write a text\n"
                 "flag --server.port: is 'x'; write an integer\n"
                 "flag --source.2.rate: there are 0 of [[source]], numbered from 0\n"
                 "flag --sever.port: unknown section; did you mean [server]?\n"
                 "flag --server: write --section.key=value");
    char toml[4096] = "[server]\n";
    for (int i = 0; i < 40; i++) {
        size_t length = strlen(toml);
        snprintf(toml + length, sizeof(toml) - length, "unknown%d = 1\n", i);
    }
    twi_config *config = NULL;
    assert_int_equal(load(toml, NULL, NULL, &config), TW_BAD_CONFIG);
    assert_non_null(strstr(errors, "\nand 8 more"));
}

static void unknown_variables_of_a_section_are_faults(void **state)
{
    (void)state;
    char *environment[] = {"SAMPLE_SERVER_PROT=1", NULL};
    twi_config *config = NULL;
    assert_int_equal(load("", environment, NULL, &config), TW_BAD_CONFIG);
    assert_string_equal(errors, "environment SAMPLE_SERVER_PROT: unknown key; did you mean port?");
}

static void short_error_buffers_are_respected(void **state)
{
    (void)state;
    char small[8] = "xxxxxxx";
    twi_config *config = NULL;
    twi_config_inputs inputs = {.path = "sample.toml"};
    assert_int_equal(twi_config_parse(&schema, &inputs, "a = 1\n", 6, &config, small, 4), TW_BAD_CONFIG);
    assert_string_equal(small, "sam");
    assert_int_equal(small[4], 'x');
}

static void missing_file_is_an_error(void **state)
{
    (void)state;
    twi_config *config = NULL;
    twi_config_inputs inputs = {.path = "no/such/file.toml"};
    assert_int_equal(twi_config_load(&schema, &inputs, &config, errors, sizeof(errors)), TW_IO);
    assert_string_equal(errors, "no/such/file.toml: cannot be read: No such file or directory");
}

/* What print and example write must load again to the same values. */
static void printed_texts_load_again(void **state)
{
    (void)state;
    static char text[16384], again[16384];
    const char *flags[] = {"--server.host=a\"b\\c", "--server.cpus=1,2", "--source.0.rate=5", NULL};
    twi_config *config = NULL;
    assert_int_equal(load("[server]\nport = 5\n", NULL, flags, &config), TW_OK);
    size_t length = twi_config_print(config, text, sizeof(text));
    assert_int_equal(length, strlen(text));
    assert_non_null(strstr(text, "port = 5                                     # sample.toml:2\n"));
    assert_non_null(strstr(text, "host = \"a\\\"b\\\\c\"                             # flag\n"));
    twi_config_close(config);
    assert_int_equal(load(text, NULL, NULL, &config), TW_OK);
    assert_int_equal(((const sample *)twi_config_settings(config))->server.cpus.count, 2);
    twi_config_print(config, again, sizeof(again));
    assert_non_null(strstr(again, "cpus = [1, 2]"));
    twi_config_close(config);

    length = twi_config_example(&schema, text, sizeof(text));
    assert_true(length > 0 && length < sizeof(text));
    assert_int_equal(load(text, NULL, NULL, &config), TW_OK);
    assert_int_equal(((const sample *)twi_config_settings(config))->server.buffer_bytes, 65536);
    twi_config_close(config);
}

/* Every prefix and many mutations of a good file: an answer each time, never a crash. */
static void damaged_files_are_survived(void **state)
{
    (void)state;
    static const char good[] = "[server]\nport = 1\nnames = [\"a\", \"b\"]\n[[source]]\nrate = 7\nx = {a = [1]}\n";
    twi_config *config = NULL;
    char damaged[sizeof(good)];
    for (size_t length = 0; length < sizeof(good); length++) {
        memcpy(damaged, good, length);
        damaged[length] = 0;
        if (load(damaged, NULL, NULL, &config) == TW_OK)
            twi_config_close(config);
        for (int byte = 1; byte < 256; byte += 7) {
            memcpy(damaged, good, sizeof(good));
            damaged[length] = (char)byte;
            damaged[sizeof(good) - 1] = 0;
            if (load(damaged, NULL, NULL, &config) == TW_OK)
                twi_config_close(config);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_fill_every_field),
        cmocka_unit_test(file_fills_every_type),
        cmocka_unit_test(environment_beats_file_and_flag_beats_both),
        cmocka_unit_test(faults_name_line_key_and_remedy),
        cmocka_unit_test(broken_toml_and_duplicates_are_placed),
        cmocka_unit_test(all_faults_are_told_in_order),
        cmocka_unit_test(unknown_variables_of_a_section_are_faults),
        cmocka_unit_test(short_error_buffers_are_respected),
        cmocka_unit_test(missing_file_is_an_error),
        cmocka_unit_test(printed_texts_load_again),
        cmocka_unit_test(damaged_files_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
