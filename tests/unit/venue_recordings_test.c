/* venue_recordings_test.c - every venue against recorded traffic: the figures of tests/vectors/recordings.txt, exactly.
 *
 * The recordings are not part of the project: they are looked for at $TICKWIRE_RECORDINGS, else at
 * ../shared/data/exchanges beside the project, and the test says so when it has to skip. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "engine/proto/json_scan.h"
#include "feed/player.h"
#include "feed/summary.h"

enum { INSTRUMENTS_MAX = 512, PATH_BYTES_MAX = 1024, LINE_BYTES_MAX = 4096 };

static const char *recordings_folder(void)
{
    const char *folder = getenv("TICKWIRE_RECORDINGS");
    return folder != NULL ? folder : TWT_SOURCE_DIR "/../shared/data/exchanges";
}

static bool folder_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0;
}

typedef struct replayed {
    tw_symbols *symbols;
    twi_summary summary;
    twi_player player;
} replayed;

static void replay(const char *path, replayed *out)
{
    char error[256] = "";
    twi_recording *recording;
    twi_frame frame;
    const tw_feed_ops *ops = twi_player_detect(path);
    assert_non_null(ops);
    out->symbols =
        tw_symbols_init(aligned_alloc(64, (tw_symbols_size(INSTRUMENTS_MAX) + 63) & ~(size_t)63), INSTRUMENTS_MAX);
    assert_int_equal(twi_summary_open(&out->summary, out->symbols, INSTRUMENTS_MAX), TW_OK);
    assert_int_equal(twi_player_open(&out->player, ops, out->symbols, INSTRUMENTS_MAX), TW_OK);
    if (twi_recording_open(path, &recording, error, sizeof(error)) != TW_OK)
        fail_msg("%s: %s", path, error);
    while (twi_recording_next(recording, &frame) == TW_OK)
        twi_player_frame(&out->player, &frame, twi_summary_sink(&out->summary));
    assert_int_equal(twi_recording_get_stats(recording)->bad_lines, 0);
    twi_recording_close(recording);
    twi_summary_take_stats(&out->summary, ops, out->player.state);
}

static void replayed_close(replayed *done)
{
    twi_player_close(&done->player);
    twi_summary_close(&done->summary);
    free(done->symbols);
}

/* The figures of one expected line against those of its symbol. */
static void compare_line(const replayed *done, const char *folder, const char *id, const char *expected)
{
    const tw_feed_ops *ops = done->player.ops;
    char text[TWI_SUMMARY_TEXT_MAX];
    uint32_t instrument = tw_symbols_find(done->symbols, ops->name, strlen(ops->name), id, strlen(id));
    if (instrument == TW_INSTRUMENT_NONE)
        fail_msg("%s: no symbol %s", folder, id);
    size_t len = twi_summary_text(&done->summary, instrument, text);
    text[len] = 0;
    const char *figures = strstr(text, "): ");
    assert_non_null(figures);
    if (strcmp(figures + 3, expected) != 0)
        fail_msg("%s %s\nexpected %s\ncomputed %s", folder, id, expected, figures + 3);
    assert_int_equal(done->summary.entries[instrument].broken_groups, 0);
    char json[TWI_SUMMARY_TEXT_MAX];
    twi_json scan;
    twi_json_init(&scan, json, twi_summary_json(&done->summary, instrument, json));
    twi_json_skip(&scan);
    assert_int_equal(twi_json_end(&scan), TW_OK);
}

/* Compares all lines of the folder; returns how many there were. */
static uint32_t compare_folder(const replayed *done, const char *folder)
{
    char line[LINE_BYTES_MAX];
    uint32_t count = 0;
    size_t folder_len = strlen(folder);
    FILE *file = fopen(TWT_SOURCE_DIR "/tests/vectors/recordings.txt", "r");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        line[strcspn(line, "\n")] = 0;
        if (strncmp(line, folder, folder_len) != 0 || line[folder_len] != ' ')
            continue;
        char *id = line + folder_len + 1, *figures = strchr(id, ' ');
        assert_non_null(figures);
        *figures = 0;
        compare_line(done, folder, id, figures + 1);
        count++;
    }
    fclose(file);
    return count;
}

static void a_recording_gives_its_figures(void **state)
{
    const char *folder = *state;
    char path[PATH_BYTES_MAX];
    replayed done = {0};
    snprintf(path, sizeof(path), "%s/%s", recordings_folder(), folder);
    if (!folder_exists(path)) {
        print_message("%s is not there: skipped (set TICKWIRE_RECORDINGS)\n", path);
        skip();
    }
    replay(path, &done);
    assert_int_equal(done.player.gaps + done.player.relinks + done.player.malformed, 0);
    assert_int_equal(done.summary.book_errors, 0);
    assert_true(compare_folder(&done, folder) > 0);
    replayed_close(&done);
}

#define RECORDING(folder)                                                                                              \
    {                                                                                                                  \
        .name = folder, .test_func = a_recording_gives_its_figures, .initial_state = (void *)(uintptr_t)folder         \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        RECORDING("binance-spot-2021oct"),
        RECORDING("binance-spot-btcusdt-20240808"),
        RECORDING("binance-usdm-2021jul"),
        RECORDING("binance-usdm-ethusdt-20240808"),
        RECORDING("coinbase-exchange-2021apr"),
        RECORDING("kraken-v1-2021apr17"),
        RECORDING("okx-v5-2022feb"),
        RECORDING("bybit-v5-2026aug"),
        RECORDING("bitstamp-2022jan"),
        RECORDING("bitmex-2021apr17"),
        RECORDING("deribit-2021jul"),
        RECORDING("gemini-2021jun"),
        RECORDING("htx-spot-2021apr"),
        RECORDING("kucoin-2021apr25"),
        RECORDING("gate-spot-2021apr22"),
        RECORDING("bitfinex-2021apr17"),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
