/* capture_test.c - what is written is read; damage of any kind is noticed, costs what it hit and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "feed/capture.h"
#include "feed/capture_format.h"
#include "feed/sim.h"

enum { SYMBOL_CAP = 256, EVENT_COUNT = 1200, START_NS = 1700000000 };

/* ---- events from the simulator, and a capture of them in memory ---- */
typedef struct fixture {
    void *symbol_memory;
    tw_symbols *symbols;
    tw_event *events;
    size_t event_count, event_cap;
    char path[64];
} fixture;

static tw_event *claim(void *owner)
{
    fixture *it = owner;
    assert_true(it->event_count < it->event_cap);
    return &it->events[it->event_count];
}

static void commit(void *owner)
{
    ((fixture *)owner)->event_count++;
}

static int set_up(void **state)
{
    fixture *it = calloc(1, sizeof(*it));
    it->symbol_memory = aligned_alloc(64, (tw_symbols_size(SYMBOL_CAP) + 63) / 64 * 64);
    it->symbols = tw_symbols_init(it->symbol_memory, SYMBOL_CAP);
    it->event_cap = EVENT_COUNT + 4096;
    it->events = calloc(it->event_cap, sizeof(tw_event));
    tw_source source;
    char error[128];
    twi_sim_options options = {.seed = 7, .instrument_count = 5, .rate_per_second = 1000, .start_ns = START_NS};
    assert_int_equal(twi_sim_open(&options, it->symbols, &source, error, sizeof(error)), TW_OK);
    tw_sink sink = {claim, commit, it};
    int64_t next_ns = START_NS;
    while (it->event_count < EVENT_COUNT)
        source.ops->step(source.state, next_ns, 1, &sink, &next_ns);
    source.ops->fini(source.state);
    snprintf(it->path, sizeof(it->path), "/tmp/tickwire-capture-XXXXXX");
    close(mkstemp(it->path));
    *state = it;
    return 0;
}

static int tear_down(void **state)
{
    fixture *it = *state;
    unlink(it->path);
    free(it->events);
    free(it->symbol_memory);
    free(it);
    return 0;
}

static twi_capture_writer *create(const fixture *it, uint32_t block_bytes, uint8_t compression)
{
    twi_capture_writer *writer;
    char error[256];
    twi_capture_options options = {.block_bytes = block_bytes,
                                   .compression = compression,
                                   .replaces = 1,
                                   .created_ns = START_NS,
                                   .source = "test"};
    if (twi_capture_create(it->path, &options, &writer, error, sizeof(error)) != TW_OK)
        fail_msg("%s", error);
    return writer;
}

static void close_writer(twi_capture_writer *writer)
{
    char error[256];
    if (twi_capture_close(writer, error, sizeof(error)) != TW_OK)
        fail_msg("%s", error);
}

static uint8_t *read_file(const char *path, size_t *len)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    *len = (size_t)ftell(file);
    rewind(file);
    uint8_t *bytes = malloc(*len + 1);
    assert_int_equal(fread(bytes, 1, *len, file), *len);
    fclose(file);
    return bytes;
}

static uint8_t *capture_of_events(const fixture *it, uint32_t block_bytes, uint8_t compression, size_t *len)
{
    twi_capture_writer *writer = create(it, block_bytes, compression);
    assert_int_equal(twi_capture_events(writer, it->symbols, it->events, it->event_count), TW_OK);
    close_writer(writer);
    return read_file(it->path, len);
}

static twi_capture_reader *open_bytes(const uint8_t *bytes, size_t len)
{
    twi_capture_reader *reader;
    char error[256];
    if (twi_capture_open_bytes(bytes, len, &reader, error, sizeof(error)) != TW_OK)
        fail_msg("%s", error);
    return reader;
}

/* Reads all events; they must be those of the fixture with some left out. Returns how many there were. */
static size_t read_events(const fixture *it, twi_capture_reader *reader)
{
    twi_capture_record record;
    size_t count = 0, place = 0;
    while (twi_capture_next(reader, &record) == TW_OK) {
        assert_int_equal(record.kind, TWI_CAPTURE_EVENTS);
        for (uint64_t i = 0; i < record.count; i++, count++) {
            while (place < it->event_count && memcmp(&it->events[place], &record.events[i], sizeof(tw_event)) != 0)
                place++;
            assert_true(place < it->event_count);
            place++;
            const tw_instrument *known = twi_capture_instrument(reader, record.events[i].instrument);
            assert_non_null(known);
            assert_memory_equal(known, tw_symbols_get(it->symbols, record.events[i].instrument), sizeof(*known));
        }
    }
    assert_int_equal(twi_capture_next(reader, &record), TW_EMPTY);
    return count;
}

static void what_is_written_is_read(void **state)
{
    fixture *it = *state;
    for (uint8_t compression = TWI_COMPRESSION_NONE; compression <= TWI_COMPRESSION_ZSTD; compression++) {
        if (!twi_compression_is_there(compression))
            continue;
        size_t len;
        uint8_t *bytes = capture_of_events(it, TWI_CAPTURE_BLOCK_BYTES_MIN, compression, &len);
        twi_capture_reader *reader = open_bytes(bytes, len);
        assert_int_equal(twi_capture_instrument_end(reader), 5); /* before anything is read */
        assert_int_equal(read_events(it, reader), it->event_count);
        const twi_capture_info *info = twi_capture_get_info(reader);
        assert_int_equal(info->event_count, it->event_count);
        assert_int_equal(info->first_ns, START_NS);
        assert_int_equal(info->last_ns, it->events[it->event_count - 1].recv_ns);
        assert_int_equal(info->created_ns, START_NS);
        assert_string_equal(info->source, "test");
        assert_int_equal(info->compression, compression);
        assert_true(info->is_closed && info->block_count > 10 && info->file_bytes == len);
        assert_int_equal(info->bad_blocks + info->bad_records + info->torn_bytes, 0);
        assert_true(compression == TWI_COMPRESSION_NONE ? info->stored_bytes == info->raw_bytes
                                                        : info->stored_bytes < info->raw_bytes / 2);
        /* Again from the start. */
        assert_int_equal(twi_capture_seek(reader, INT64_MIN), TW_OK);
        assert_int_equal(read_events(it, reader), it->event_count);
        twi_capture_reader_close(reader);
        free(bytes);
    }
}

static void the_format_is_as_documented(void **state)
{
    fixture *it = *state;
    size_t len;
    uint8_t *bytes = capture_of_events(it, TWI_CAPTURE_BLOCK_BYTES_MIN, TWI_COMPRESSION_NONE, &len);
    assert_int_equal(twi_capture_crc(bytes, len), 0x061c7435); /* a change means a new version number */
    free(bytes);
}

/* ---- damage ---- */

static void a_torn_tail_is_cut_at_any_byte(void **state)
{
    fixture *it = *state;
    size_t len;
    uint8_t *bytes = capture_of_events(it, TWI_CAPTURE_BLOCK_BYTES_MIN, TWI_COMPRESSION_ZLIB, &len);
    twi_capture_reader *reader = open_bytes(bytes, len);
    twi_capture_record record;
    /* Where the data blocks end, and how many events each end has seen. */
    size_t ends[256], counts[256], block_count = 0, at = sizeof(twi_capture_header), events = 0;
    while (twi_capture_next(reader, &record) == TW_OK)
        continue;
    while (at < len - sizeof(twi_capture_trailer)) {
        twi_capture_block block;
        memcpy(&block, bytes + at, sizeof(block));
        if (block.kind != TWI_CAPTURE_BLOCK_DATA)
            break;
        events += block.event_count;
        at += sizeof(block) + block.stored_bytes;
        ends[block_count] = at;
        counts[block_count++] = events;
    }
    twi_capture_reader_close(reader);
    assert_int_equal(events, it->event_count);
    size_t last = block_count - 1;
    for (size_t cut = ends[last - 1]; cut < len; cut++) {
        reader = open_bytes(bytes, cut);
        const twi_capture_info *info = twi_capture_get_info(reader);
        size_t block = cut >= ends[last] ? last : last - 1;
        assert_int_equal(read_events(it, reader), counts[block]);
        assert_false(info->is_closed);
        assert_int_equal(info->torn_bytes, cut - ends[block]);
        assert_int_equal(info->bad_blocks, 0);
        assert_int_equal(info->event_count, counts[block]);
        twi_capture_reader_close(reader);
    }
    free(bytes);
}

/* One flipped bit: reading still gives only true events, and says that something is wrong. */
static void check_flip(const fixture *it, uint8_t *bytes, size_t len, size_t at, uint8_t bit)
{
    twi_capture_reader *reader;
    char error[256];
    bytes[at] ^= (uint8_t)(1u << bit);
    tw_status status = twi_capture_open_bytes(bytes, len, &reader, error, sizeof(error));
    if (status == TW_OK) {
        size_t count = read_events(it, reader);
        const twi_capture_info *info = twi_capture_get_info(reader);
        if (info->is_closed && info->bad_blocks == 0 && info->bad_records == 0)
            fail_msg("byte %zu bit %u: %zu events, nothing noticed", at, bit, count);
        assert_true(info->bad_blocks <= 1);
        assert_true(count == it->event_count || count < it->event_count);
        assert_true(it->event_count - count < 200); /* one block at most */
        twi_capture_reader_close(reader);
    } else {
        assert_true(at < sizeof(twi_capture_header));
    }
    bytes[at] ^= (uint8_t)(1u << bit);
}

static void flipped_bits_are_noticed(void **state)
{
    fixture *it = *state;
    size_t len, all = it->event_count;
    it->event_count = 400; /* some blocks are enough */
    uint8_t *bytes = capture_of_events(it, TWI_CAPTURE_BLOCK_BYTES_MIN, TWI_COMPRESSION_ZLIB, &len);
    for (size_t at = 0; at < len; at++)
        check_flip(it, bytes, len, at, (uint8_t)(at * 5 % 8));
    for (size_t at = 0; at < sizeof(twi_capture_header) + sizeof(twi_capture_block); at++)
        for (uint8_t bit = 0; bit < 8; bit++)
            check_flip(it, bytes, len, at, bit);
    free(bytes);
    bytes = capture_of_events(it, TWI_CAPTURE_BLOCK_BYTES_MIN, TWI_COMPRESSION_NONE, &len);
    for (size_t at = 0; at < len; at += 13)
        check_flip(it, bytes, len, at, (uint8_t)(at * 3 % 8));
    free(bytes);
    it->event_count = all;
}

static void lost_and_foreign_bytes_cost_only_their_blocks(void **state)
{
    fixture *it = *state;
    size_t len;
    uint8_t *bytes = capture_of_events(it, TWI_CAPTURE_BLOCK_BYTES_MIN, TWI_COMPRESSION_NONE, &len);
    /* 5,000 bytes overwritten hit two or three blocks. */
    memset(bytes + 20000, 'x', 5000);
    twi_capture_reader *reader = open_bytes(bytes, len);
    size_t count = read_events(it, reader);
    const twi_capture_info *info = twi_capture_get_info(reader);
    assert_in_range(info->bad_blocks, 2, 3);
    assert_in_range(it->event_count - count, 100, 300);
    twi_capture_reader_close(reader);
    /* The same bytes cut out: what is behind them is found at another place. */
    memmove(bytes + 20000, bytes + 25000, len - 25000);
    reader = open_bytes(bytes, len - 5000);
    count = read_events(it, reader);
    info = twi_capture_get_info(reader);
    assert_false(info->is_closed);
    assert_in_range(info->bad_blocks, 1, 3);
    assert_in_range(it->event_count - count, 50, 300);
    twi_capture_reader_close(reader);
    free(bytes);
}

static void what_is_no_capture_is_refused(void **state)
{
    (void)state;
    twi_capture_reader *reader;
    char error[256];
    assert_int_equal(twi_capture_open("/nonexistent", &reader, error, sizeof(error)), TW_IO);
    assert_int_equal(twi_capture_open("/tmp", &reader, error, sizeof(error)), TW_IO);
    assert_int_equal(twi_capture_open_bytes((const uint8_t *)"TWCAP", 5, &reader, error, sizeof(error)),
                     TW_NOT_SUPPORTED);
    assert_int_equal(twi_capture_open_bytes((const uint8_t *)TWI_CAPTURE_MAGIC, 8, &reader, error, sizeof(error)),
                     TW_MALFORMED);
    twi_capture_header header = {.magic = TWI_CAPTURE_MAGIC, .version = 2, .header_bytes = sizeof(header)};
    header.crc = twi_capture_crc(&header, offsetof(twi_capture_header, crc));
    assert_int_equal(twi_capture_open_bytes((const uint8_t *)&header, sizeof(header), &reader, error, sizeof(error)),
                     TW_NOT_SUPPORTED);
    assert_non_null(strstr(error, "version 2"));
}

/* ---- frames ---- */

static twi_frame make_frame(uint8_t kind, int64_t recv_ns, uint32_t conn, const char *url, const char *text)
{
    return (twi_frame){.recv_ns = recv_ns,
                       .conn = conn,
                       .kind = kind,
                       .url = url,
                       .url_len = strlen(url),
                       .bytes = (const uint8_t *)text,
                       .bytes_len = strlen(text)};
}

static void frames_come_back_through_the_recording_reader(void **state)
{
    fixture *it = *state;
    enum { LARGE = 3 << 20, MANY = 2000 };
    char *large = malloc(LARGE + 1);
    memset(large, 'z', LARGE);
    large[LARGE] = '\0';
    twi_capture_writer *writer = create(it, TWI_CAPTURE_BLOCK_BYTES_MIN, TWI_COMPRESSION_ZLIB);
    twi_frame frames[] = {make_frame(TWI_FRAME_CONFIG, 5, TWI_CONN_NONE, "", "{}"),
                          make_frame(TWI_FRAME_CONNECT, 10, 0, "wss://a", ""),
                          make_frame(TWI_FRAME_CONNECT, 11, 1, "wss://b", ""),
                          make_frame(TWI_FRAME_SENT, 12, 0, "wss://a", "subscribe"),
                          make_frame(TWI_FRAME_HTTP, 13, TWI_CONN_NONE, "https://a/book?x=1", large),
                          make_frame(TWI_FRAME_CLOSED, 14, 1, "wss://b", "1006"),
                          make_frame(TWI_FRAME_CONNECT, 15, 1, "wss://c", "")};
    size_t count = sizeof(frames) / sizeof(frames[0]);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(twi_capture_frame(writer, &frames[i]), TW_OK);
    for (int i = 0; i < MANY; i++) {
        char text[32];
        snprintf(text, sizeof(text), "message %d", i);
        twi_frame frame = make_frame(TWI_FRAME_RECV, 100 + i, (uint32_t)i % 2, i % 2 ? "wss://c" : "wss://a", text);
        frame.flags = i % 3 ? TWI_FRAME_BINARY : 0;
        assert_int_equal(twi_capture_frame(writer, &frame), TW_OK);
    }
    close_writer(writer);

    twi_recording *recording;
    char error[256];
    assert_int_equal(twi_recording_open(it->path, &recording, error, sizeof(error)), TW_OK);
    assert_string_equal(twi_recording_format_name(recording), "tickwire");
    twi_frame frame;
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(twi_recording_next(recording, &frame), TW_OK);
        assert_int_equal(frame.kind, frames[i].kind);
        assert_int_equal(frame.recv_ns, frames[i].recv_ns);
        assert_int_equal(frame.conn, frames[i].conn);
        assert_string_equal(frame.url, frames[i].url);
        assert_int_equal(frame.bytes_len, frames[i].bytes_len);
        assert_memory_equal(frame.bytes, frames[i].bytes, frame.bytes_len);
    }
    for (int i = 0; i < MANY; i++) {
        char text[32];
        int len = snprintf(text, sizeof(text), "message %d", i);
        assert_int_equal(twi_recording_next(recording, &frame), TW_OK);
        assert_int_equal(frame.flags, i % 3 ? TWI_FRAME_BINARY : 0);
        assert_int_equal(frame.bytes_len, len);
        assert_memory_equal(frame.bytes, text, (size_t)len);
        assert_string_equal(frame.url, i % 2 ? "wss://c" : "wss://a");
    }
    assert_int_equal(twi_recording_next(recording, &frame), TW_EMPTY);
    assert_int_equal(twi_recording_get_stats(recording)->frames, count + MANY);
    assert_int_equal(twi_recording_get_stats(recording)->bad_lines + twi_recording_get_stats(recording)->bad_files, 0);
    twi_recording_close(recording);
    free(large);
}

/* ---- time, losses, limits ---- */

static void seeking_lands_before_the_time_and_not_far(void **state)
{
    fixture *it = *state;
    size_t len;
    uint8_t *bytes = capture_of_events(it, TWI_CAPTURE_BLOCK_BYTES_MIN, TWI_COMPRESSION_NONE, &len);
    for (int is_cut = 0; is_cut < 2; is_cut++) {
        twi_capture_reader *reader = open_bytes(bytes, is_cut ? len - 1 : len);
        for (size_t i = 0; i < it->event_count; i += 97) {
            int64_t wanted_ns = it->events[i].recv_ns;
            twi_capture_record record;
            assert_int_equal(twi_capture_seek(reader, wanted_ns), TW_OK);
            assert_int_equal(twi_capture_next(reader, &record), TW_OK);
            assert_true(record.events[0].recv_ns <= wanted_ns);
            int64_t last_ns = record.events[record.count - 1].recv_ns;
            while (last_ns < wanted_ns) {
                assert_int_equal(twi_capture_next(reader, &record), TW_OK);
                last_ns = record.events[record.count - 1].recv_ns;
                assert_true(wanted_ns - last_ns < INT64_C(200000000)); /* within a block or so */
            }
        }
        assert_int_equal(twi_capture_get_info(reader)->event_count, it->event_count);
        assert_int_equal(twi_capture_seek(reader, 1), TW_OK);
        assert_int_equal(read_events(it, reader), it->event_count);
        twi_capture_reader_close(reader);
    }
    free(bytes);
}

static void losses_are_records_of_their_own(void **state)
{
    fixture *it = *state;
    twi_capture_writer *writer = create(it, 0, TWI_COMPRESSION_NONE);
    assert_int_equal(twi_capture_events(writer, it->symbols, it->events, 50), TW_OK);
    assert_int_equal(twi_capture_loss(writer, START_NS + 5, 77), TW_OK);
    assert_int_equal(twi_capture_events(writer, it->symbols, it->events + 100, 50), TW_OK);
    close_writer(writer);
    size_t len;
    uint8_t *bytes = read_file(it->path, &len);
    twi_capture_reader *reader = open_bytes(bytes, len);
    twi_capture_record record;
    uint64_t before = 0, after = 0;
    tw_status status;
    while ((status = twi_capture_next(reader, &record)) == TW_OK && record.kind == TWI_CAPTURE_EVENTS)
        before += record.count;
    assert_int_equal(record.kind, TWI_CAPTURE_LOSS);
    assert_int_equal(record.count, 77);
    assert_int_equal(record.recv_ns, START_NS + 5);
    while (twi_capture_next(reader, &record) == TW_OK)
        after += record.count;
    assert_true(before == 50 && after == 50);
    assert_int_equal(twi_capture_get_info(reader)->lost_count, 77);
    twi_capture_reader_close(reader);
    free(bytes);
}

static void a_full_disk_is_an_error_with_its_reason(void **state)
{
    fixture *it = *state;
    if (access("/dev/full", W_OK) != 0)
        skip();
    twi_capture_writer *writer;
    char error[256] = "";
    twi_capture_options options = {.replaces = 1};
    assert_int_equal(twi_capture_create("/dev/full", &options, &writer, error, sizeof(error)), TW_IO);
    assert_non_null(strstr(error, "space"));
    options.replaces = 0;
    assert_int_equal(twi_capture_create(it->path, &options, &writer, error, sizeof(error)), TW_IO);
    assert_non_null(strstr(error, "exists"));
    options.block_bytes = 100;
    assert_int_equal(twi_capture_create(it->path, &options, &writer, error, sizeof(error)), TW_BAD_ARGUMENT);
    options = (twi_capture_options){.compression = 9};
    assert_int_equal(twi_capture_create(it->path, &options, &writer, error, sizeof(error)), TW_NOT_SUPPORTED);
}

static void an_unknown_instrument_is_refused(void **state)
{
    fixture *it = *state;
    twi_capture_writer *writer = create(it, 0, TWI_COMPRESSION_NONE);
    tw_event event = it->events[0];
    event.instrument = 200;
    assert_int_equal(twi_capture_events(writer, it->symbols, &event, 1), TW_BAD_ARGUMENT);
    assert_int_equal(twi_capture_events(writer, it->symbols, it->events, 1), TW_OK);
    close_writer(writer);
}

static void an_empty_capture_is_a_capture(void **state)
{
    fixture *it = *state;
    close_writer(create(it, 0, TWI_COMPRESSION_ZLIB));
    size_t len;
    uint8_t *bytes = read_file(it->path, &len);
    twi_capture_reader *reader = open_bytes(bytes, len);
    assert_int_equal(read_events(it, reader), 0);
    assert_true(twi_capture_get_info(reader)->is_closed);
    assert_int_equal(twi_capture_seek(reader, START_NS), TW_OK);
    assert_int_equal(read_events(it, reader), 0);
    twi_capture_reader_close(reader);
    free(bytes);
}

static void a_full_index_becomes_sparser(void **state)
{
    (void)state;
    twi_capture_index index = {0};
    enum { BLOCKS = 300000 };
    for (uint64_t i = 0; i < BLOCKS; i++) {
        twi_capture_block block = {.number = i, .first_ns = (int64_t)i * 1000};
        twi_capture_index_add(&index, i * 100, &block);
    }
    assert_true(index.count <= TWI_CAPTURE_INDEX_COUNT_MAX && index.stride == 8);
    for (int64_t i = 0; i < BLOCKS; i += 777) {
        const twi_capture_index_entry *entry = twi_capture_index_find(&index, i * 1000 + 1);
        assert_true(entry->number <= (uint64_t)i && entry->number + 8 > (uint64_t)i);
        assert_int_equal(entry->offset, entry->number * 100);
    }
    assert_null(twi_capture_index_find(&index, -1));
    twi_capture_index_close(&index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(the_format_is_as_documented),
        cmocka_unit_test(a_torn_tail_is_cut_at_any_byte),
        cmocka_unit_test(flipped_bits_are_noticed),
        cmocka_unit_test(lost_and_foreign_bytes_cost_only_their_blocks),
        cmocka_unit_test(what_is_no_capture_is_refused),
        cmocka_unit_test(frames_come_back_through_the_recording_reader),
        cmocka_unit_test(seeking_lands_before_the_time_and_not_far),
        cmocka_unit_test(losses_are_records_of_their_own),
        cmocka_unit_test(a_full_disk_is_an_error_with_its_reason),
        cmocka_unit_test(an_unknown_instrument_is_refused),
        cmocka_unit_test(an_empty_capture_is_a_capture),
        cmocka_unit_test(a_full_index_becomes_sparser),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
