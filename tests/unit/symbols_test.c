/* symbols_test.c - the instrument table: names, limits, both kinds of lookup, relocation, and readers beside the
 * writer. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tickwire/symbols.h"

static tw_symbols *table_new(uint32_t capacity)
{
    void *memory = aligned_alloc(64, (tw_symbols_size(capacity) + 63) / 64 * 64);
    assert_non_null(memory);
    return tw_symbols_init(memory, capacity);
}

static tw_status intern(tw_symbols *symbols, const char *exchange, const char *symbol, const char *venue_id,
                        uint32_t *index)
{
    return tw_symbols_intern(symbols, exchange, strlen(exchange), symbol, strlen(symbol), venue_id,
                             venue_id == NULL ? 0 : strlen(venue_id), index);
}

static uint32_t find(const tw_symbols *symbols, const char *exchange, const char *symbol)
{
    return tw_symbols_find(symbols, exchange, strlen(exchange), symbol, strlen(symbol));
}

static void intern_finds_or_appends(void **state)
{
    (void)state;
    tw_symbols *symbols = table_new(4);
    uint32_t first = 99, second = 99, again = 99;
    assert_int_equal(intern(symbols, "binance", "BTC/USDT", "BTCUSDT", &first), TW_OK);
    assert_int_equal(intern(symbols, "kraken", "BTC/USDT", NULL, &second), TW_OK);
    assert_int_equal(intern(symbols, "binance", "BTC/USDT", NULL, &again), TW_OK);
    assert_int_equal(first, 0);
    assert_int_equal(second, 1);
    assert_int_equal(again, first);
    assert_int_equal(tw_symbols_count(symbols), 2);
    const tw_instrument *entry = tw_symbols_get(symbols, first);
    assert_string_equal(entry->exchange, "binance");
    assert_string_equal(entry->symbol, "BTC/USDT");
    assert_string_equal(entry->venue_id, "BTCUSDT");
    assert_int_equal(entry->symbol_len, 8);
    assert_string_equal(tw_symbols_get(symbols, second)->venue_id, "BTC/USDT");
    assert_null(tw_symbols_get(symbols, 2));
    assert_null(tw_symbols_get(symbols, TW_INSTRUMENT_NONE));
    free(symbols);
}

static void find_takes_symbol_or_venue_id(void **state)
{
    (void)state;
    tw_symbols *symbols = table_new(8);
    uint32_t spot = 0, perpetual = 0, odd = 0;
    assert_int_equal(intern(symbols, "bybit", "BTC/USDT", "BTCUSDT", &spot), TW_OK);
    assert_int_equal(intern(symbols, "bybit", "BTC/USDT:USDT", "BTCUSDT", &perpetual), TW_OK);
    assert_int_equal(find(symbols, "bybit", "BTC/USDT"), spot);
    assert_int_equal(find(symbols, "bybit", "BTC/USDT:USDT"), perpetual);
    assert_int_equal(find(symbols, "bybit", "BTCUSDT"), spot); /* the first one */
    assert_int_equal(intern(symbols, "bybit", "BTCUSDT", "X", &odd), TW_OK);
    assert_int_equal(find(symbols, "bybit", "BTCUSDT"), odd); /* a unified symbol goes before a venue id */
    assert_int_equal(find(symbols, "okx", "BTC/USDT"), TW_INSTRUMENT_NONE);
    assert_int_equal(find(symbols, "bybit", ""), TW_INSTRUMENT_NONE);
    free(symbols);
}

static void bad_names_are_refused(void **state)
{
    (void)state;
    tw_symbols *symbols = table_new(4);
    uint32_t index = 0;
    char longest[TW_SYMBOL_MAX + 2];
    memset(longest, 'A', sizeof(longest));
    longest[TW_SYMBOL_MAX + 1] = '\0';
    assert_int_equal(intern(symbols, "binance", longest, NULL, &index), TW_TOO_BIG);
    assert_int_equal(intern(symbols, "abcdefghijklmnopq", "A", NULL, &index), TW_TOO_BIG);
    assert_int_equal(intern(symbols, "", "A", NULL, &index), TW_BAD_ARGUMENT);
    assert_int_equal(intern(symbols, "binance", "", NULL, &index), TW_BAD_ARGUMENT);
    assert_int_equal(intern(symbols, "binance", "A", "", &index), TW_BAD_ARGUMENT);
    assert_int_equal(intern(symbols, "binance", "A\nB", NULL, &index), TW_BAD_ARGUMENT);
    assert_int_equal(intern(symbols, "binance", "A\xff", NULL, &index), TW_BAD_ARGUMENT);
    assert_int_equal(intern(symbols, "binance", "A\xc0\x80", NULL, &index), TW_BAD_ARGUMENT);
    assert_int_equal(intern(symbols, "binance", "A\xe5\xb8", NULL, &index), TW_BAD_ARGUMENT);
    assert_int_equal(intern(symbols, "binance", "\xed\xa0\x80", NULL, &index), TW_BAD_ARGUMENT);
    assert_int_equal(tw_symbols_intern(symbols, "binance", 7, "A\0B", 3, NULL, 0, &index), TW_BAD_ARGUMENT);
    assert_int_equal(tw_symbols_count(symbols), 0);
    longest[TW_SYMBOL_MAX] = '\0';
    assert_int_equal(intern(symbols, "abcdefghijklmno", longest, longest, &index), TW_OK);
    assert_int_equal(intern(symbols, "binance", "\xe5\xb8\x81\xe5\xae\x89/USDT", NULL, &index), TW_OK);
    assert_int_equal(find(symbols, "binance", "\xe5\xb8\x81\xe5\xae\x89/USDT"), index);
    assert_int_equal(tw_symbols_get(symbols, index)->name_flags, 0);
    assert_int_equal(intern(symbols, "binance", "A\"B", NULL, &index), TW_OK);
    assert_int_equal(tw_symbols_get(symbols, index)->name_flags, TW_NAME_ESCAPE);
    free(symbols);
}

static void a_full_table_still_finds(void **state)
{
    (void)state;
    enum { CAPACITY = 1000 };
    tw_symbols *symbols = table_new(CAPACITY);
    char symbol[32], venue_id[32];
    uint32_t index = 0;
    for (uint32_t i = 0; i < CAPACITY; i++) {
        snprintf(symbol, sizeof(symbol), "COIN%u/USDT", i);
        snprintf(venue_id, sizeof(venue_id), "COIN%uUSDT", i);
        assert_int_equal(intern(symbols, "sim", symbol, venue_id, &index), TW_OK);
        assert_int_equal(index, i);
    }
    assert_int_equal(intern(symbols, "sim", "ONE/MORE", NULL, &index), TW_FULL);
    assert_int_equal(find(symbols, "sim", "ONE/MORE"), TW_INSTRUMENT_NONE);
    for (uint32_t i = 0; i < CAPACITY; i++) {
        snprintf(symbol, sizeof(symbol), "COIN%u/USDT", i);
        snprintf(venue_id, sizeof(venue_id), "COIN%uUSDT", i);
        assert_int_equal(find(symbols, "sim", symbol), i);
        assert_int_equal(find(symbols, "sim", venue_id), i);
        assert_int_equal(intern(symbols, "sim", symbol, NULL, &index), TW_OK);
        assert_int_equal(index, i);
    }
    free(symbols);
}

static void the_table_can_be_moved(void **state)
{
    (void)state;
    enum { CAPACITY = 3 };
    tw_symbols *symbols = table_new(CAPACITY);
    uint32_t index = 0;
    assert_int_equal(intern(symbols, "sim", "A/B", "AB", &index), TW_OK);
    tw_symbols *copy = aligned_alloc(64, (tw_symbols_size(CAPACITY) + 63) / 64 * 64);
    assert_non_null(copy);
    memcpy(copy, symbols, tw_symbols_size(CAPACITY));
    memset(symbols, 0xff, tw_symbols_size(CAPACITY));
    assert_int_equal(find(copy, "sim", "A/B"), index);
    assert_int_equal(find(copy, "sim", "AB"), index);
    assert_int_equal(intern(copy, "sim", "C/D", NULL, &index), TW_OK);
    assert_int_equal(index, 1);
    free(copy);
    free(symbols);
}

enum { SHARED_COUNT = 20000 };

/* Reads while the writer appends: whatever is counted must be complete, and what was found once must be found again. */
static void *read_while_appending(void *argument)
{
    const tw_symbols *symbols = argument;
    uint32_t count = 0;
    while (count < SHARED_COUNT) {
        count = tw_symbols_count(symbols);
        if (count == 0) {
            continue;
        }
        char expected[32];
        snprintf(expected, sizeof(expected), "S%u/USD", count - 1);
        const tw_instrument *entry = tw_symbols_get(symbols, count - 1);
        if (entry == NULL || strcmp(entry->symbol, expected) != 0 || entry->symbol_len != strlen(expected)) {
            return argument;
        }
        snprintf(expected, sizeof(expected), "S%u/USD", count / 2);
        if (count >= 3 && find(symbols, "sim", expected) != count / 2) {
            return argument;
        }
    }
    return NULL;
}

static void readers_run_beside_the_writer(void **state)
{
    (void)state;
    tw_symbols *symbols = table_new(SHARED_COUNT);
    pthread_t readers[2];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&readers[i], NULL, read_while_appending, symbols), 0);
    }
    for (uint32_t i = 0; i < SHARED_COUNT; i++) {
        char symbol[32];
        uint32_t index = 0;
        snprintf(symbol, sizeof(symbol), "S%u/USD", i);
        assert_int_equal(intern(symbols, "sim", symbol, NULL, &index), TW_OK);
    }
    for (int i = 0; i < 2; i++) {
        void *failed = NULL;
        assert_int_equal(pthread_join(readers[i], &failed), 0);
        assert_null(failed);
    }
    free(symbols);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(intern_finds_or_appends), cmocka_unit_test(find_takes_symbol_or_venue_id),
        cmocka_unit_test(bad_names_are_refused),   cmocka_unit_test(a_full_table_still_finds),
        cmocka_unit_test(the_table_can_be_moved),  cmocka_unit_test(readers_run_beside_the_writer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
