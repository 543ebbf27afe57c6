/* ws_deflate_test.c - permessage-deflate: negotiation tables for both roles, the RFC's examples, round trips over all
 * parameters, bombs, broken data, memory. */
#include "tests/unit/ws_support.h"

#include "engine/proto/ws_deflate.h"

static tw_status accept_offer(const char *offer, const twi_ws_deflate_policy *policy, twi_ws_deflate_params *params,
                              char *answer)
{
    static twi_http_request request;
    char text[1024];
    snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Extensions: %s\r\n\r\n", offer);
    assert_int_equal(twi_http_request_parse((const uint8_t *)text, strlen(text), 0, NULL, &request), TW_OK);
    return twi_ws_deflate_accept(&request, policy, params, answer, TWI_WS_DEFLATE_HEADER_BYTES);
}

/* wanted NULL: declined. */
static void check_answer(const char *offer, const twi_ws_deflate_policy *policy, const char *wanted)
{
    twi_ws_deflate_params params;
    char answer[TWI_WS_DEFLATE_HEADER_BYTES];
    tw_status status = accept_offer(offer, policy, &params, answer);
    if (wanted == NULL) {
        if (status != TW_EMPTY)
            fail_msg("\"%s\" was accepted: %s", offer, answer);
        return;
    }
    if (status != TW_OK)
        fail_msg("\"%s\" was declined", offer);
    assert_string_equal(answer, wanted);
}

static void server_answers_exactly_what_was_asked(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"permessage-deflate", "permessage-deflate"},
        {"permessage-deflate; client_max_window_bits", "permessage-deflate"},
        {"permessage-deflate; client_max_window_bits=15", "permessage-deflate; client_max_window_bits=15"},
        {"permessage-deflate; client_max_window_bits=10", "permessage-deflate; client_max_window_bits=10"},
        {"permessage-deflate; client_max_window_bits=\"8\"", "permessage-deflate; client_max_window_bits=8"},
        {"permessage-deflate;server_max_window_bits=9", "permessage-deflate; server_max_window_bits=9"},
        {"permessage-deflate; server_max_window_bits=15", "permessage-deflate; server_max_window_bits=15"},
        {"permessage-deflate; server_max_window_bits=8", "permessage-deflate; server_max_window_bits=8"},
        {"permessage-deflate; server_no_context_takeover", "permessage-deflate; server_no_context_takeover"},
        {"permessage-deflate; client_no_context_takeover", "permessage-deflate; client_no_context_takeover"},
        {"permessage-deflate; client_no_context_takeover; server_no_context_takeover; server_max_window_bits=12",
         "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12"},
        /* the first that is good, in the client's order */
        {"permessage-deflate; server_max_window_bits=7, permessage-deflate; server_max_window_bits=11, "
         "permessage-deflate",
         "permessage-deflate; server_max_window_bits=11"},
        {"x-webkit-deflate-frame, permessage-deflate", "permessage-deflate"},
        {"foo; a=\"x, permessage-deflate; y\", permessage-deflate; server_max_window_bits=10",
         "permessage-deflate; server_max_window_bits=10"},
        /* declined: undefined, doubled, out of range, with or without a value */
        {"permessage-deflate; nothing", NULL},
        {"permessage-deflate; server_max_window_bits", NULL},
        {"permessage-deflate; server_max_window_bits=", NULL},
        {"permessage-deflate; server_max_window_bits=7", NULL},
        {"permessage-deflate; server_max_window_bits=16", NULL},
        {"permessage-deflate; server_max_window_bits=09", NULL},
        {"permessage-deflate; server_max_window_bits=+9", NULL},
        {"permessage-deflate; server_max_window_bits=9; server_max_window_bits=9", NULL},
        {"permessage-deflate; client_max_window_bits=7", NULL},
        {"permessage-deflate; client_max_window_bits=", NULL},
        {"permessage-deflate; client_max_window_bits; client_max_window_bits=9", NULL},
        {"permessage-deflate; server_no_context_takeover=1", NULL},
        {"permessage-deflate; server_no_context_takeover; server_no_context_takeover", NULL},
        {"permessage-deflate; client_no_context_takeover=", NULL},
        {"permessage-deflate;", NULL},
        {"permessage-deflates", NULL},
        {"", NULL},
        {", ,", NULL},
        {"permessage-deflate; server_max_window_bits=\"9", NULL},
    };
    twi_ws_deflate_policy policy = {0};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        check_answer(cases[i][0], &policy, cases[i][1]);
}

static void server_policy_narrows(void **state)
{
    (void)state;
    twi_ws_deflate_policy shared = {
        .own_window_bits_min = 12, .own_window_bits_max = 12, .own_no_context_takeover = true};
    check_answer("permessage-deflate", &shared,
                 "permessage-deflate; server_no_context_takeover; server_max_window_bits=12");
    check_answer("permessage-deflate; server_max_window_bits=11", &shared, NULL);
    check_answer("permessage-deflate; server_max_window_bits=11, permessage-deflate", &shared,
                 "permessage-deflate; server_no_context_takeover; server_max_window_bits=12");
    twi_ws_deflate_policy small = {.peer_window_bits_max = 10, .peer_no_context_takeover = true};
    check_answer("permessage-deflate; client_max_window_bits", &small,
                 "permessage-deflate; client_no_context_takeover; client_max_window_bits=10");
    check_answer("permessage-deflate; client_max_window_bits=9", &small,
                 "permessage-deflate; client_no_context_takeover; client_max_window_bits=9");
    /* a client that does not know the parameter cannot be asked */
    check_answer("permessage-deflate", &small, "permessage-deflate; client_no_context_takeover");
}

static void client_offers_and_checks_the_answer(void **state)
{
    (void)state;
    char offer[TWI_WS_DEFLATE_HEADER_BYTES];
    twi_ws_deflate_policy plain = {0};
    twi_ws_deflate_policy narrow = {.own_window_bits_max = 11,
                                    .peer_window_bits_max = 10,
                                    .own_no_context_takeover = true,
                                    .peer_no_context_takeover = true};
    size_t offer_len = twi_ws_deflate_offer_write(&plain, offer, sizeof(offer));
    assert_int_equal(offer_len, strlen(offer));
    assert_string_equal(offer, "permessage-deflate; client_max_window_bits");
    twi_ws_deflate_offer_write(&narrow, offer, sizeof(offer));
    assert_string_equal(offer, "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
                               "server_max_window_bits=10; client_max_window_bits=11");
    twi_ws_deflate_policy both = {.second_offer = true};
    twi_ws_deflate_offer_write(&both, offer, sizeof(offer));
    assert_string_equal(offer, "permessage-deflate; client_max_window_bits, "
                               "permessage-deflate; client_no_context_takeover; client_max_window_bits");
    static const struct {
        bool narrow;
        const char *answer;
        tw_status status;
        twi_ws_deflate_params params;
    } cases[] = {
        {false, "permessage-deflate", TW_OK, {15, 15, false, false}},
        {false, "permessage-deflate; client_max_window_bits=9", TW_OK, {9, 15, false, false}},
        {false, "permessage-deflate; client_max_window_bits=8", TW_OK, {8, 15, false, false}},
        {false, "permessage-deflate; server_max_window_bits=\"12\"", TW_OK, {15, 12, false, false}},
        {false, "permessage-deflate; server_no_context_takeover", TW_OK, {15, 15, false, true}},
        {false, "permessage-deflate; client_no_context_takeover", TW_OK, {15, 15, true, false}},
        {false, "permessage-deflate; client_max_window_bits", TW_MALFORMED, {0}},
        {false, "permessage-deflate; client_max_window_bits=16", TW_MALFORMED, {0}},
        {false, "permessage-deflate; unknown", TW_MALFORMED, {0}},
        {false, "permessage-deflate, permessage-deflate", TW_MALFORMED, {0}},
        {false, "other", TW_MALFORMED, {0}},
        {false, "", TW_MALFORMED, {0}},
        {true,
         "permessage-deflate; server_no_context_takeover; server_max_window_bits=10",
         TW_OK,
         {11, 10, true, true}},
        {true,
         "permessage-deflate; server_no_context_takeover; server_max_window_bits=9; client_max_window_bits=15",
         TW_OK,
         {11, 9, true, true}},
        {true, "permessage-deflate; server_max_window_bits=10", TW_MALFORMED, {0}},
        {true, "permessage-deflate; server_no_context_takeover", TW_MALFORMED, {0}},
        {true, "permessage-deflate; server_no_context_takeover; server_max_window_bits=11", TW_MALFORMED, {0}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        twi_ws_deflate_params params = {0};
        tw_status status =
            twi_ws_deflate_confirm(twi_slice_text(cases[i].answer), cases[i].narrow ? &narrow : &plain, &params);
        if (status != cases[i].status)
            fail_msg("\"%s\": %s", cases[i].answer, tw_status_name(status));
        if (status == TW_OK)
            assert_memory_equal(&params, &cases[i].params, sizeof(params));
    }
    twi_ws_deflate_params params;
    assert_int_equal(twi_ws_deflate_confirm(twi_slice_make(NULL, 0), &plain, &params), TW_EMPTY);
}

/* ---- messages ---- */

typedef struct fixture {
    twt_memory memory;
    twi_ws_deflate_params params;
    twi_ws_deflater deflater;
    twi_ws_inflater inflater;
    twi_ws_message packed;
    twi_ws_message plain;
} fixture;

static void fixture_open(fixture *f, twi_ws_deflate_params params, size_t bytes_max)
{
    *f = (fixture){.params = params};
    twi_ws_deflater_init(&f->deflater, &params, 0, twt_resize, &f->memory);
    twi_ws_inflater_init(&f->inflater, &params, twt_resize, &f->memory);
    f->packed = (twi_ws_message){.bytes_max = SIZE_MAX / 4, .resize = twt_resize, .resize_owner = &f->memory};
    f->plain = (twi_ws_message){.bytes_max = bytes_max, .resize = twt_resize, .resize_owner = &f->memory};
}

static void fixture_close(fixture *f)
{
    twi_ws_deflater_fini(&f->deflater);
    twi_ws_inflater_fini(&f->inflater);
    twi_ws_message_fini(&f->packed);
    twi_ws_message_fini(&f->plain);
    assert_int_equal(f->memory.blocks, 0);
}

/* The message in pieces of at most step bytes. */
static tw_status inflate_in_steps(fixture *f, const uint8_t *data, size_t len, size_t step, uint8_t opcode)
{
    size_t at = 0;
    do {
        size_t part = len - at < step ? len - at : step;
        twi_ws_piece piece = {.data = (uint8_t *)(uintptr_t)(data + at), .len = part, .opcode = opcode};
        piece.flags =
            (uint8_t)(TWI_WS_COMPRESSED | (at == 0 ? TWI_WS_FIRST : 0) | (at + part == len ? TWI_WS_LAST : 0));
        tw_status status = twi_ws_inflate_piece(&f->inflater, &piece, &f->plain);
        at += part;
        if (status != TW_NEED_MORE || at == len)
            return status;
    } while (at < len);
    return TW_NEED_MORE;
}

static const twi_ws_deflate_params full_window = {15, 15, false, false};

/* RFC 7692 section 7.2.3: each of its byte sequences says "Hello". */
static void rfc_examples(void **state)
{
    (void)state;
    static const struct {
        const char *data;
        size_t len;
    } hellos[] = {
        {"\xf2\x48\xcd\xc9\xc9\x07\x00", 7},                          /* 7.2.3.1 one block */
        {"\xf2\x00\x11\x00\x00", 5},                                  /* 7.2.3.2 the second, by the shared window */
        {"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", 11},         /* 7.2.3.3 a block without compression */
        {"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", 8},                      /* 7.2.3.4 BFINAL set */
        {"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", 13}, /* 7.2.3.5 two blocks */
        {"\xf3\x48\xcd\xc9\xc9\x07\x00", 7},                          /* BFINAL without the byte behind it */
        {"\xf2\x48\xcd\xc9\xc9\x07\x00", 7},
    };
    for (size_t step = 1; step <= 13; step++) {
        fixture f;
        fixture_open(&f, full_window, 1000);
        for (size_t i = 0; i < sizeof(hellos) / sizeof(hellos[0]); i++) {
            tw_status status = inflate_in_steps(&f, (const uint8_t *)hellos[i].data, hellos[i].len, step, TWI_WS_TEXT);
            if (status != TW_OK || f.plain.len != 5 || memcmp(f.plain.data, "Hello", 5) != 0)
                fail_msg("example %zu in steps of %zu: %s, %zu bytes", i, step, tw_status_name(status), f.plain.len);
        }
        assert_int_equal(inflate_in_steps(&f, (const uint8_t *)"", 1, step, TWI_WS_TEXT), TW_OK); /* 7.2.3.6: 0x00 */
        assert_int_equal(f.plain.len, 0);
        fixture_close(&f);
    }
}

static size_t make_text(uint8_t *out, size_t len, uint64_t *seed)
{
    static const char *const words[] = {"\"price\":", "64000.10", ",\"amount\":", "0.012", "\"side\":\"buy\"",
                                        "{",          "}"};
    size_t at = 0;
    while (at < len) {
        const char *word = words[twt_random_below(seed, 7)];
        for (size_t i = 0; word[i] != '\0' && at < len; i++)
            out[at++] = (uint8_t)word[i];
        if (at < len)
            out[at++] = (uint8_t)('0' + twt_random_below(seed, 10));
    }
    return at;
}

static void check_round_trip(fixture *f, const uint8_t *text, size_t len, size_t step)
{
    assert_int_equal(twi_ws_deflate_message(&f->deflater, text, len, &f->packed), TW_OK);
    assert_true(f->packed.len > 0);
    assert_int_equal(inflate_in_steps(f, f->packed.data, f->packed.len, step, TWI_WS_TEXT), TW_OK);
    assert_int_equal(f->plain.len, len);
    if (len > 0)
        assert_memory_equal(f->plain.data, text, len);
}

/* All windows, both takeover rules; the receiver has exactly the window that was agreed. */
static void round_trips_over_all_parameters(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 2, 0, 0, 5, 16, 100, 256, 1000, 4096, 70000, 3, 131072, 0, 17};
    static uint8_t text[131072];
    uint64_t seed = 7;
    for (uint8_t bits = 8; bits <= 15; bits++) {
        for (int takeover = 0; takeover < 2; takeover++) {
            fixture f;
            fixture_open(&f, (twi_ws_deflate_params){bits, bits, takeover == 0, takeover == 0}, sizeof(text));
            for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
                check_round_trip(&f, text, make_text(text, sizes[i], &seed), 1 + twt_random_below(&seed, 3000));
            for (size_t i = 0; i < 20000; i++)
                text[i] = (uint8_t)(twt_random(&seed) & 0x7F);
            check_round_trip(&f, text, 20000, 100);
            fixture_close(&f);
        }
    }
}

/* Takeover pays: the second equal message is shorter; without takeover they are equal, so that they can be shared. */
static void context_takeover_shows_in_the_bytes(void **state)
{
    (void)state;
    static uint8_t text[3000];
    uint64_t seed = 3;
    make_text(text, sizeof(text), &seed);
    size_t lens[2][2];
    for (int no_takeover = 0; no_takeover < 2; no_takeover++) {
        fixture f;
        fixture_open(&f, (twi_ws_deflate_params){15, 15, no_takeover == 1, no_takeover == 1}, 10000);
        for (int i = 0; i < 2; i++) {
            assert_int_equal(twi_ws_deflate_message(&f.deflater, text, sizeof(text), &f.packed), TW_OK);
            lens[no_takeover][i] = f.packed.len;
        }
        fixture_close(&f);
    }
    assert_true(lens[0][1] * 10 < lens[0][0]);
    assert_int_equal(lens[1][0], lens[1][1]);
}

static void fixed_output_buffers(void **state)
{
    (void)state;
    static uint8_t text[5000];
    uint64_t seed = 9;
    make_text(text, sizeof(text), &seed);
    fixture f;
    fixture_open(&f, (twi_ws_deflate_params){15, 15, true, true}, 10000);
    assert_int_equal(twi_ws_deflate_message(&f.deflater, text, sizeof(text), &f.packed), TW_OK);
    size_t packed_len = f.packed.len;
    static uint8_t buffer[6000];
    for (size_t cap = 0; cap < packed_len + 20; cap++) {
        twi_ws_message fixed = {.data = buffer, .cap = cap};
        tw_status status = twi_ws_deflate_message(&f.deflater, text, sizeof(text), &fixed);
        assert_true(status == TW_OK || status == TW_TOO_BIG);
        assert_true(cap < packed_len + 16 || status == TW_OK);
        if (status == TW_OK)
            assert_int_equal(inflate_in_steps(&f, fixed.data, fixed.len, 64, TWI_WS_BINARY), TW_OK);
    }
    fixture_close(&f);
}

/* A million zeros are about a kilobyte: the limit is met exactly. */
static void bombs_end_at_the_limit(void **state)
{
    (void)state;
    enum { BOMB_BYTES = 1000000 };
    uint8_t *zeros = calloc(1, BOMB_BYTES);
    fixture f;
    fixture_open(&f, (twi_ws_deflate_params){15, 15, true, true}, BOMB_BYTES);
    assert_int_equal(twi_ws_deflate_message(&f.deflater, zeros, BOMB_BYTES, &f.packed), TW_OK);
    assert_int_equal(inflate_in_steps(&f, f.packed.data, f.packed.len, 100, TWI_WS_BINARY), TW_OK);
    assert_int_equal(f.plain.len, BOMB_BYTES);
    twi_ws_inflater_fini(&f.inflater);
    twi_ws_message_fini(&f.plain);
    static const size_t limits[] = {BOMB_BYTES - 1, 65536, 1000, 1};
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        f.plain.bytes_max = limits[i];
        f.inflater.error = 0;
        assert_int_equal(inflate_in_steps(&f, f.packed.data, f.packed.len, 100, TWI_WS_BINARY), TW_TOO_BIG);
        assert_int_equal(f.inflater.error, TWI_WS_ERROR_TOO_BIG);
        assert_true(f.plain.cap <= limits[i]);
        twi_ws_inflater_fini(&f.inflater);
        twi_ws_message_fini(&f.plain);
    }
    fixture_close(&f);
    free(zeros);
}

/* Many final blocks in one message are legal and must not cost more than their bytes. */
static void many_final_blocks(void **state)
{
    (void)state;
    enum { BLOCKS = 200000 };
    uint8_t *data = malloc(2 * BLOCKS + 1);
    for (size_t i = 0; i < BLOCKS; i++) {
        data[2 * i] = 0x03;
        data[2 * i + 1] = 0x00;
    }
    data[2 * BLOCKS] = 0x00;
    fixture f;
    fixture_open(&f, full_window, 100);
    assert_int_equal(inflate_in_steps(&f, data, 2 * BLOCKS + 1, 777, TWI_WS_BINARY), TW_OK);
    assert_int_equal(f.plain.len, 0);
    fixture_close(&f);
    free(data);
}

static void truncated_and_changed_data(void **state)
{
    (void)state;
    static uint8_t text[600];
    uint64_t seed = 11;
    make_text(text, sizeof(text), &seed);
    fixture f;
    fixture_open(&f, full_window, 5000);
    assert_int_equal(twi_ws_deflate_message(&f.deflater, text, sizeof(text), &f.packed), TW_OK);
    for (size_t len = 0; len < f.packed.len; len++) {
        assert_int_equal(inflate_in_steps(&f, f.packed.data, len, 7, TWI_WS_BINARY), TW_MALFORMED);
        assert_int_equal(f.inflater.error, TWI_WS_ERROR_INFLATE);
        twi_ws_inflater_fini(&f.inflater);
    }
    for (size_t i = 0; i < f.packed.len * 8; i++) {
        f.packed.data[i / 8] ^= (uint8_t)(1u << (i % 8));
        tw_status status = inflate_in_steps(&f, f.packed.data, f.packed.len, 50, TWI_WS_TEXT);
        assert_true(status == TW_OK || status == TW_MALFORMED || status == TW_TOO_BIG);
        f.packed.data[i / 8] ^= (uint8_t)(1u << (i % 8));
        twi_ws_inflater_fini(&f.inflater);
        f.inflater.ended = false;
    }
    fixture_close(&f);
}

static void text_is_checked_as_it_inflates(void **state)
{
    (void)state;
    static const uint8_t bad[] = "good text, then \xed\xa0\x80 and more";
    fixture f;
    fixture_open(&f, full_window, 5000);
    assert_int_equal(twi_ws_deflate_message(&f.deflater, bad, sizeof(bad), &f.packed), TW_OK);
    assert_int_equal(inflate_in_steps(&f, f.packed.data, f.packed.len, 5, TWI_WS_TEXT), TW_MALFORMED);
    assert_int_equal(f.inflater.error, TWI_WS_ERROR_UTF8);
    twi_ws_inflater_fini(&f.inflater);
    assert_int_equal(inflate_in_steps(&f, f.packed.data, f.packed.len, 5, TWI_WS_BINARY), TW_OK);
    assert_int_equal(twi_ws_deflate_message(&f.deflater, (const uint8_t *)"cut \xe2\x82", 6, &f.packed), TW_OK);
    assert_int_equal(inflate_in_steps(&f, f.packed.data, f.packed.len, 100, TWI_WS_TEXT), TW_MALFORMED);
    assert_int_equal(f.inflater.error, TWI_WS_ERROR_UTF8);
    fixture_close(&f);
}

static void refused_memory_is_an_error(void **state)
{
    (void)state;
    static uint8_t text[3000];
    uint64_t seed = 13;
    make_text(text, sizeof(text), &seed);
    for (int fail_at = 1; fail_at < 30; fail_at++) {
        fixture f;
        fixture_open(&f, full_window, 5000);
        f.memory.fail_at = fail_at;
        tw_status status = twi_ws_deflate_message(&f.deflater, text, sizeof(text), &f.packed);
        assert_true(status == TW_OK || status == TW_NO_MEMORY);
        if (status == TW_OK) {
            status = inflate_in_steps(&f, f.packed.data, f.packed.len, 100, TWI_WS_TEXT);
            assert_true(status == TW_OK || status == TW_NO_MEMORY);
        }
        fixture_close(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(server_answers_exactly_what_was_asked),
        cmocka_unit_test(server_policy_narrows),
        cmocka_unit_test(client_offers_and_checks_the_answer),
        cmocka_unit_test(rfc_examples),
        cmocka_unit_test(round_trips_over_all_parameters),
        cmocka_unit_test(context_takeover_shows_in_the_bytes),
        cmocka_unit_test(fixed_output_buffers),
        cmocka_unit_test(bombs_end_at_the_limit),
        cmocka_unit_test(many_final_blocks),
        cmocka_unit_test(truncated_and_changed_data),
        cmocka_unit_test(text_is_checked_as_it_inflates),
        cmocka_unit_test(refused_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
