/* log_test.c - log.h: both formats, levels, escapes, cut lines, the limit per kind, several threads. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/base/log.h"

enum { THREAD_COUNT = 4, LINE_COUNT = 50 };

static int64_t fake_now_ns;
static int64_t fake_clock(void)
{
    return fake_now_ns;
}

/* A logger that writes into a temporary file. */
typedef struct sample {
    twi_logger logger;
    FILE *file;
    char text[65536];
} sample;

static sample log_sample;

static twi_logger *start(twi_log_level level, twi_log_format format)
{
    log_sample.file = tmpfile();
    assert_non_null(log_sample.file);
    twi_logger_init(&log_sample.logger, fileno(log_sample.file), level, format);
    fake_now_ns = INT64_C(1769854830123456789);
    log_sample.logger.now_ns = fake_clock;
    return &log_sample.logger;
}

static const char *finish(void)
{
    twi_logger_fini(&log_sample.logger);
    rewind(log_sample.file);
    size_t length = fread(log_sample.text, 1, sizeof(log_sample.text) - 1, log_sample.file);
    log_sample.text[length] = 0;
    fclose(log_sample.file);
    return log_sample.text;
}

static void text_lines_have_time_level_and_area(void **state)
{
    (void)state;
    twi_logger *logger = start(TWI_LOG_INFO, TWI_LOG_TEXT);
    twi_log(logger, TWI_LOG_WARN, "listen", "port %d is taken", 9001);
    twi_log(logger, TWI_LOG_DEBUG, "listen", "not told");
    twi_log(logger, TWI_LOG_ERROR, "feed", "a\nb\x1b[0m");
    assert_string_equal(finish(), "2026-01-31T10:20:30.123456Z warn listen: port 9001 is taken\n"
                                  "2026-01-31T10:20:30.123456Z error feed: a\\x0ab\\x1b[0m\n");
}

static void json_lines_are_escaped(void **state)
{
    (void)state;
    twi_logger *logger = start(TWI_LOG_DEBUG, TWI_LOG_JSON);
    twi_log(logger, TWI_LOG_DEBUG, "feed", "say \"%s\"\n", "back\\slash");
    assert_string_equal(finish(), "{\"time\":\"2026-01-31T10:20:30.123456Z\",\"level\":\"debug\",\"area\":\"feed\","
                                  "\"message\":\"say \\\"back\\\\slash\\\"\\u000a\"}\n");
}

static void long_lines_are_cut(void **state)
{
    (void)state;
    static char longer[2 * TWI_LOG_LINE_BYTES_MAX];
    memset(longer, 'x', sizeof(longer) - 1);
    longer[0] = '\n'; /* its escape moves what follows, so that a cut may fall anywhere */
    for (twi_log_format format = TWI_LOG_TEXT; format <= TWI_LOG_JSON; format++) {
        twi_logger *logger = start(TWI_LOG_INFO, format);
        twi_log(logger, TWI_LOG_INFO, "feed", "%s", longer);
        const char *text = finish();
        size_t length = strlen(text);
        assert_true(length <= TWI_LOG_LINE_BYTES_MAX && length > TWI_LOG_LINE_BYTES_MAX - 8);
        assert_int_equal(text[length - 1], '\n');
        assert_int_equal(text[length - 2], format == TWI_LOG_JSON ? '}' : 'x');
    }
}

static void a_cut_leaves_no_half_escape(void **state)
{
    (void)state;
    static char longer[2 * TWI_LOG_LINE_BYTES_MAX];
    for (size_t i = 0; i < 7; i++) {
        memset(longer, '"', sizeof(longer) - 1);
        memset(longer, '\n', TWI_LOG_LINE_BYTES_MAX / 2 - i);
        memset(longer, 'x', i);
        twi_logger *logger = start(TWI_LOG_INFO, TWI_LOG_JSON);
        twi_log(logger, TWI_LOG_INFO, "feed", "%s", longer);
        const char *text = finish(), *at = strstr(text, "\"message\":\"") + 11;
        while (*at != '"' && *at) {
            if (*at == '\\')
                at += at[1] == 'u' ? 5 : 1;
            at++;
        }
        assert_string_equal(at, "\"}\n");
    }
}

static uint32_t count_lines(const char *text)
{
    uint32_t count = 0;
    for (; *text; text++)
        count += *text == '\n';
    return count;
}

static void a_flood_is_limited_and_counted(void **state)
{
    (void)state;
    twi_logger *logger = start(TWI_LOG_INFO, TWI_LOG_TEXT);
    for (int i = 0; i < 1000; i++)
        twi_log(logger, TWI_LOG_INFO, "shard", "refused %d", i);
    twi_log(logger, TWI_LOG_INFO, "shard", "another kind");
    fake_now_ns += INT64_C(1000000000);
    twi_log(logger, TWI_LOG_INFO, "shard", "refused %d", 1000);
    const char *text = finish();
    assert_int_equal(count_lines(text), TWI_LOG_BURST + 2 + (strstr(text, "more like") ? 1 : 0));
    assert_non_null(strstr(text, "refused 9\n"));
    assert_null(strstr(text, "refused 10\n"));
    assert_non_null(strstr(text, "another kind\n"));
}

/* The format text is one address here, so that the kind is the same for sure. */
static void suppressed_lines_are_told_at_the_end(void **state)
{
    (void)state;
    static const char format[] = "dropped %d";
    twi_logger *logger = start(TWI_LOG_INFO, TWI_LOG_TEXT);
    for (int i = 0; i < 30; i++)
        twi_log(logger, TWI_LOG_WARN, "shard", format, i);
    assert_non_null(strstr(finish(), "warn shard: 20 more like \"dropped %d\" were left out\n"));
}

static void *log_lines(void *owner)
{
    for (int i = 0; i < LINE_COUNT; i++)
        twi_log(owner, TWI_LOG_INFO, "thread", "line %d of a thread, long enough to be seen when it is torn", i);
    return NULL;
}

static void lines_of_threads_do_not_mix(void **state)
{
    (void)state;
    pthread_t threads[THREAD_COUNT];
    twi_logger *logger = start(TWI_LOG_INFO, TWI_LOG_TEXT);
    for (int i = 0; i < THREAD_COUNT; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, log_lines, logger), 0);
    for (int i = 0; i < THREAD_COUNT; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    const char *text = finish();
    assert_int_equal(count_lines(text), TWI_LOG_BURST + 1);
    while (*text) {
        assert_memory_equal(text, "2026-01-31T", 11);
        text = strchr(text, '\n') + 1;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_lines_have_time_level_and_area),
        cmocka_unit_test(json_lines_are_escaped),
        cmocka_unit_test(long_lines_are_cut),
        cmocka_unit_test(a_cut_leaves_no_half_escape),
        cmocka_unit_test(a_flood_is_limited_and_counted),
        cmocka_unit_test(suppressed_lines_are_told_at_the_end),
        cmocka_unit_test(lines_of_threads_do_not_mix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
