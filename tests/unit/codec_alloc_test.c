/* codec_alloc_test.c - encoding and decoding allocate nothing: malloc and its kin are replaced by counting ones.
 *
 * Limits:   those of counting_malloc.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/codec_support.h"
#include "tests/unit/counting_malloc.h"

enum { ROUNDS = 5000 };

static void no_allocation(const tw_codec_ops *codec)
{
    static tw_event events[TWT_LEVELS_MAX], decoded[TWT_LEVELS_MAX];
    twt_random random = {20240604};
    tw_symbols *symbols = twt_codec_setup();
    tw_symbols *client = twt_symbols_new(16);
    uint8_t *out = malloc(codec->bound(TWT_LEVELS_MAX));
    assert_true(!TWT_COUNTING || twt_allocation_count > 0); /* the counter counts */
    uint64_t before = twt_allocation_count;
    for (int round = 0; round < ROUNDS; round++) {
        tw_record record = twt_random_record(&random, symbols, events);
        size_t len = codec->encode(symbols, &record, out, codec->bound(record.event_count));
        tw_record back;
        uint32_t count = TWT_LEVELS_MAX;
        tw_status status = codec->decode(client, out, len, decoded, &count, &back);
        if (status != TW_OK) {
            fail();
        }
    }
    uint64_t allocations = twt_allocation_count - before;
    free(out);
    free(client);
    free(symbols);
    assert_int_equal(allocations, 0);
}

static void json_allocates_nothing(void **state)
{
    (void)state;
    twt_skip_unless_counting();
    no_allocation(&tw_codec_json);
}

static void flatbuffers_allocates_nothing(void **state)
{
    (void)state;
    twt_skip_unless_counting();
    no_allocation(&tw_codec_flatbuffers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_allocates_nothing),
        cmocka_unit_test(flatbuffers_allocates_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
