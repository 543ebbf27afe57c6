/* recording_test.c - recordings of other collectors are read frame by frame, damaged ones as far as they go, and the
 * real ones in full (those need TICKWIRE_RECORDINGS or ../shared/data/exchanges). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#include "feed/recording.h"

static twi_recording *open_text(const char *text, size_t len)
{
    twi_recording *recording;
    char error[256];
    tw_status status = twi_recording_open_bytes("test", (const uint8_t *)text, len, &recording, error, sizeof(error));
    if (status != TW_OK)
        fail_msg("%s", error);
    return recording;
}
#define OPEN_TEXT(text) open_text(text, sizeof(text) - 1)

static void expect_frame(twi_recording *recording, uint8_t kind, int64_t recv_ns, uint32_t conn, const char *url,
                         const char *bytes)
{
    twi_frame frame;
    assert_int_equal(twi_recording_next(recording, &frame), TW_OK);
    assert_int_equal(frame.kind, kind);
    assert_int_equal(frame.recv_ns, recv_ns);
    assert_int_equal(frame.conn, conn);
    assert_string_equal(frame.url, url);
    assert_int_equal(frame.url_len, strlen(url));
    assert_int_equal(frame.bytes_len, strlen(bytes));
    assert_memory_equal(frame.bytes, bytes, frame.bytes_len);
}

static void expect_end(twi_recording *recording, uint64_t bad_lines, uint64_t bad_files)
{
    twi_frame frame;
    assert_int_equal(twi_recording_next(recording, &frame), TW_EMPTY);
    assert_int_equal(twi_recording_next(recording, &frame), TW_EMPTY);
    assert_int_equal(twi_recording_get_stats(recording)->bad_lines, bad_lines);
    assert_int_equal(twi_recording_get_stats(recording)->bad_files, bad_files);
    assert_int_equal(twi_recording_get_stats(recording)->first_error[0] != '\0', bad_lines + bad_files != 0);
    twi_recording_close(recording);
}

static void cf1_lines_become_frames(void **state)
{
    (void)state;
    twi_recording *recording = OPEN_TEXT("wss://a.b/ws <-> 1646003666.64\n"
                                         "wss://a.b/ws <- 1646003667.399: {\"op\": \"sub\"}\n"
                                         "1646003667.4000001: {\"x\": 1}\n"
                                         "\n"
                                         "https://a.b/rest?x=1 -> 1646003668.0633569129: [1, 2] header: {\"h\": {}}\n"
                                         "configuration: {\"trades\":[]}\n"
                                         "what is this\n"
                                         "1646003669.5: b'\\x1f\\x8b\\n\\\\\\'\"'\n"
                                         "1646003669.6: b'\\x1'\n"
                                         "wss://a.b/other <-> 1646003670\n"
                                         "1646003671: end");
    assert_string_equal(twi_recording_format_name(recording), "cf1");
    expect_frame(recording, TWI_FRAME_CONNECT, 1646003666640000000, 0, "wss://a.b/ws", "");
    expect_frame(recording, TWI_FRAME_SENT, 1646003667399000000, 0, "wss://a.b/ws", "{\"op\": \"sub\"}");
    expect_frame(recording, TWI_FRAME_RECV, 1646003667400000100, 0, "wss://a.b/ws", "{\"x\": 1}");
    expect_frame(recording, TWI_FRAME_HTTP, 1646003668063356912, TWI_CONN_NONE, "https://a.b/rest?x=1", "[1, 2]");
    expect_frame(recording, TWI_FRAME_CONFIG, 1646003668063356912, TWI_CONN_NONE, "", "{\"trades\":[]}");
    twi_frame frame;
    assert_int_equal(twi_recording_next(recording, &frame), TW_OK);
    assert_int_equal(frame.flags, TWI_FRAME_BINARY);
    assert_int_equal(frame.bytes_len, 6);
    assert_memory_equal(frame.bytes, "\x1f\x8b\n\\'\"", 6);
    expect_frame(recording, TWI_FRAME_CONNECT, 1646003670000000000, 0, "wss://a.b/other", "");
    expect_frame(recording, TWI_FRAME_RECV, 1646003671000000000, 0, "wss://a.b/other", "end");
    assert_string_equal(twi_recording_get_stats(recording)->first_error, "test:7: not a line of this format");
    expect_end(recording, 2, 0);
}

static void cf2_lines_become_frames(void **state)
{
    (void)state;
    twi_recording *recording =
        OPEN_TEXT("{\"t\":\"header\",\"format\":2,\"config\":{}}\n"
                  "{\"t\":\"http\",\"conn\":\"X.http.1\",\"ts\":1786310817.601629,\"url\":\"https:\\/\\/"
                  "x\",\"data\":\"{\\\"a\\\":"
                  "\\\"\\u00e9\\\\n\\\"}\"}\n"
                  "{\"t\":\"connect\",\"conn\":\"X.ws.2\",\"ts\":1786310818.25,\"addr\":\"wss://x/2\"}\n"
                  "{\"t\":\"connect\",\"conn\":\"X.ws.3\",\"ts\":1786310818.5,\"addr\":\"wss://x/3\"}\n"
                  "{\"t\":\"send\",\"conn\":\"X.ws.2\",\"ts\":1786310819,\"addr\":\"wss://x/2\",\"data\":\"{}\"}\n"
                  "{\"t\":\"recv\",\"conn\":\"X.ws.3\",\"ts\":1786310820.125,\"data\":\"[1]\"}\n"
                  "{\"t\":\"recv\",\"conn\":\"X.ws.3\",\"ts\":\"no number\",\"data\":\"[1]\"}\n"
                  "{\"t\":\"recv\",\"conn\":\"X.ws.3\",\"ts\":1,\"data\":\"[1]\"\n"
                  "{\"t\":\"unheard of\",\"ts\":1}\n"
                  "{\"t\":\"close\",\"conn\":\"X.ws.2\",\"ts\":1786310821,\"data\":\"1006\"}\n");
    assert_string_equal(twi_recording_format_name(recording), "cf2");
    expect_frame(recording, TWI_FRAME_CONFIG, 0, TWI_CONN_NONE, "", "{\"t\":\"header\",\"format\":2,\"config\":{}}");
    expect_frame(recording, TWI_FRAME_HTTP, 1786310817601629000, TWI_CONN_NONE, "https://x", "{\"a\":\"\xc3\xa9\\n\"}");
    expect_frame(recording, TWI_FRAME_CONNECT, 1786310818250000000, 0, "wss://x/2", "");
    expect_frame(recording, TWI_FRAME_CONNECT, 1786310818500000000, 1, "wss://x/3", "");
    expect_frame(recording, TWI_FRAME_SENT, 1786310819000000000, 0, "wss://x/2", "{}");
    expect_frame(recording, TWI_FRAME_RECV, 1786310820125000000, 1, "wss://x/3", "[1]");
    expect_frame(recording, TWI_FRAME_CLOSED, 1786310821000000000, 0, "wss://x/2", "1006");
    expect_end(recording, 3, 0);
}

static void hft_lines_become_frames_with_what_the_file_leaves_out(void **state)
{
    (void)state;
    static const char spot[] = "1723161253937085768 {\"stream\":\"btcusdt@trade\",\"data\":{}}\n"
                               "1723161253937085769 {\"lastUpdateId\":1,\"bids\":[]}\n"
                               "1723161253937085770\n";
    twi_recording *recording = OPEN_TEXT(spot);
    assert_string_equal(twi_recording_format_name(recording), "hft");
    expect_frame(recording, TWI_FRAME_CONNECT, 1723161253937085768, 0, "wss://stream.binance.com:9443/stream", "");
    expect_frame(recording, TWI_FRAME_RECV, 1723161253937085768, 0, "wss://stream.binance.com:9443/stream",
                 "{\"stream\":\"btcusdt@trade\",\"data\":{}}");
    expect_frame(recording, TWI_FRAME_HTTP, 1723161253937085769, TWI_CONN_NONE,
                 "https://api.binance.com/api/v3/depth?symbol=BTCUSDT&limit=1000", "{\"lastUpdateId\":1,\"bids\":[]}");
    expect_end(recording, 1, 0);

    static const char usdm[] = "1723161253937085768 {\"stream\":\"ethusdt@depth@0ms\",\"data\":{\"pu\":7}}\n"
                               "1723161253937085769 {\"lastUpdateId\":1,\"E\":2,\"bids\":[]}\n";
    recording = OPEN_TEXT(usdm);
    twi_frame frame;
    assert_int_equal(twi_recording_next(recording, &frame), TW_OK);
    assert_string_equal(frame.url, "wss://fstream.binance.com/stream");
    assert_int_equal(twi_recording_next(recording, &frame), TW_OK);
    assert_int_equal(twi_recording_next(recording, &frame), TW_OK);
    assert_string_equal(frame.url, "https://fapi.binance.com/fapi/v1/depth?symbol=ETHUSDT&limit=1000");
    expect_end(recording, 0, 0);
}

static void what_is_no_recording_is_refused(void **state)
{
    (void)state;
    twi_recording *recording;
    char error[256];
    assert_int_equal(twi_recording_open("/nonexistent/file", &recording, error, sizeof(error)), TW_IO);
    assert_non_null(strstr(error, "/nonexistent/file"));
    static const char *const texts[] = {"", "\n", "hello world\n", "{\"a\":1}\n", "123 456\n", "\x1f\x8b garbage"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        tw_status status = twi_recording_open_bytes("text", (const uint8_t *)texts[i], strlen(texts[i]), &recording,
                                                    error, sizeof(error));
        assert_int_equal(status, TW_NOT_SUPPORTED);
        assert_non_null(strstr(error, "text"));
    }
}

/* ---- compressed files ---- */
static size_t gzip(const uint8_t *text, size_t len, uint8_t *out, size_t cap)
{
    z_stream stream = {0};
    assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    stream.next_in = (Bytef *)(uintptr_t)text;
    stream.avail_in = (uInt)len;
    stream.next_out = out;
    stream.avail_out = (uInt)cap;
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    deflateEnd(&stream);
    return cap - stream.avail_out;
}

enum { LINE_COUNT = 5000, TEXT_CAP = LINE_COUNT * 64 };

/* Lines of growing and shrinking lengths; a long one in the middle. */
static size_t many_lines(char *text)
{
    size_t len = 0;
    for (int i = 0; i < LINE_COUNT; i++)
        len += (size_t)snprintf(text + len, TEXT_CAP - len, "%d.%03d: {\"i\":%d,\"pad\":\"%.*s\"}\n", 1600000000 + i,
                                i % 1000, i, i % 20, "abcdefghijklmnopqrstuvwxyz");
    return len;
}

static uint64_t count_frames(const uint8_t *bytes, size_t len, uint64_t *bad_files)
{
    twi_recording *recording;
    char error[256];
    if (twi_recording_open_bytes("test", bytes, len, &recording, error, sizeof(error)) != TW_OK)
        return 0;
    twi_frame frame;
    uint64_t count = 0;
    for (; twi_recording_next(recording, &frame) == TW_OK; count++) {
        char expected[32];
        int prefix = snprintf(expected, sizeof(expected), "{\"i\":%d,", (int)count);
        assert_memory_equal(frame.bytes, expected, (size_t)prefix);
    }
    assert_int_equal(twi_recording_get_stats(recording)->bad_lines, 0);
    *bad_files = twi_recording_get_stats(recording)->bad_files;
    twi_recording_close(recording);
    return count;
}

static void a_cut_gzip_gives_what_is_before_the_cut(void **state)
{
    (void)state;
    char *text = malloc(TEXT_CAP);
    uint8_t *packed = malloc(TEXT_CAP);
    size_t len = many_lines(text), packed_len = gzip((uint8_t *)text, len, packed, TEXT_CAP);
    uint64_t bad_files = 0, before = 0;
    assert_int_equal(count_frames(packed, packed_len, &bad_files), LINE_COUNT);
    assert_int_equal(bad_files, 0);
    for (size_t cut = 20; cut < packed_len; cut += 977) {
        uint64_t count = count_frames(packed, cut, &bad_files);
        assert_true(count >= before && count <= LINE_COUNT);
        assert_true(count == 0 || bad_files == 1);
        before = count;
    }
    assert_true(before > LINE_COUNT / 2);
    /* Two members in a row are one text. */
    size_t half = len / 2;
    while (text[half - 1] != '\n')
        half++;
    size_t first = gzip((uint8_t *)text, half, packed, TEXT_CAP);
    size_t second = gzip((uint8_t *)text + half, len - half, packed + first, TEXT_CAP - first);
    assert_int_equal(count_frames(packed, first + second, &bad_files), LINE_COUNT);
    assert_int_equal(bad_files, 0);
    free(packed);
    free(text);
}

static void a_long_line_is_read_whole(void **state)
{
    (void)state;
    enum { LONG = 3 << 20 };
    char *text = malloc(LONG + 100);
    int head = snprintf(text, LONG + 100, "1600000000.5: ");
    memset(text + head, 'x', LONG);
    snprintf(text + head + LONG, (size_t)(100 - head), "\n1600000001: y\n");
    twi_recording *recording = open_text(text, strlen(text));
    twi_frame frame;
    assert_int_equal(twi_recording_next(recording, &frame), TW_OK);
    assert_int_equal(frame.bytes_len, LONG);
    assert_int_equal(twi_recording_next(recording, &frame), TW_OK);
    assert_int_equal(frame.bytes_len, 1);
    expect_end(recording, 0, 0);
    free(text);
}

/* ---- a folder ---- */
static void write_file(const char *folder, const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void files_of_a_folder_are_merged_by_time(void **state)
{
    (void)state;
    char folder[] = "/tmp/tickwire-recording-XXXXXX";
    assert_non_null(mkdtemp(folder));
    write_file(folder, "V.0", "https://v/markets -> 100.5: {}\nconfiguration: {}\n");
    write_file(folder, "V.http.0.0", "https://v/book -> 102: snapshot\n");
    write_file(folder, "V.ws.1.0", "wss://v/1 <-> 101\n102: a1\n104: a2\n");
    write_file(folder, "V.ws.2.0", "wss://v/2 <-> 101\n103: b1\n104: b2\n");
    write_file(folder, "README.md", "not a recording\n");
    twi_recording *recording;
    char error[256];
    assert_int_equal(twi_recording_open(folder, &recording, error, sizeof(error)), TW_OK);
    const int64_t s = 1000000000;
    expect_frame(recording, TWI_FRAME_HTTP, 100 * s + s / 2, TWI_CONN_NONE, "https://v/markets", "{}");
    expect_frame(recording, TWI_FRAME_CONFIG, 100 * s + s / 2, TWI_CONN_NONE, "", "{}");
    expect_frame(recording, TWI_FRAME_CONNECT, 101 * s, 0, "wss://v/1", "");
    expect_frame(recording, TWI_FRAME_CONNECT, 101 * s, 1, "wss://v/2", "");
    expect_frame(recording, TWI_FRAME_HTTP, 102 * s, TWI_CONN_NONE, "https://v/book", "snapshot");
    expect_frame(recording, TWI_FRAME_RECV, 102 * s, 0, "wss://v/1", "a1");
    expect_frame(recording, TWI_FRAME_RECV, 103 * s, 1, "wss://v/2", "b1");
    expect_frame(recording, TWI_FRAME_RECV, 104 * s, 0, "wss://v/1", "a2");
    expect_frame(recording, TWI_FRAME_RECV, 104 * s, 1, "wss://v/2", "b2");
    expect_end(recording, 0, 0);
    static const char *const names[] = {"V.0", "V.http.0.0", "V.ws.1.0", "V.ws.2.0", "README.md"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[512];
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
}

/* ---- the real ones ---- */
static const char *recordings_folder(void)
{
    const char *folder = getenv("TICKWIRE_RECORDINGS");
    return folder ? folder : TWT_SOURCE_DIR "/../shared/data/exchanges";
}

static void the_public_recordings_are_read_in_full(void **state)
{
    (void)state;
    /* Received frames as the data's README counts them; there an inline REST answer of an hft file is one of them. */
    static const struct {
        const char *folder, *format;
        uint64_t recv, http, conns;
    } known[] = {
        {"binance-spot-2021oct", "cf1", 265, 5, 1},       {"binance-spot-btcusdt-20240808", "hft", 41248, 1, 1},
        {"binance-usdm-2021jul", "cf1", 1535, 5, 1},      {"binance-usdm-ethusdt-20240808", "hft", 74654, 1, 1},
        {"bitfinex-2021apr17", "cf1", 1693, 3, 1},        {"bitmex-2021apr17", "cf1", 2021, 1, 1},
        {"bitstamp-2022jan", "cf1", 747, 11, 1},          {"bybit-v5-2026aug", "cf2", 3227, 2, 2},
        {"coinbase-exchange-2021apr", "cf1", 9946, 1, 1}, {"deribit-2021jul", "cf1", 136, 4, 1},
        {"gate-spot-2021apr22", "cf1", 239, 11, 1},       {"gemini-2021jun", "cf1", 678, 72, 1},
        {"htx-spot-2021apr", "cf1", 362, 1, 1},           {"kraken-v1-2021apr17", "cf1", 4430, 1, 3},
        {"kucoin-2021apr25", "cf1", 4721, 10, 1},         {"okx-v5-2022feb", "cf1", 3777, 5, 1}};
    if (access(recordings_folder(), R_OK) != 0) {
        print_message("no recordings at %s (set TICKWIRE_RECORDINGS): skipped\n", recordings_folder());
        skip();
    }
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        char path[512], error[256];
        snprintf(path, sizeof(path), "%s/%s", recordings_folder(), known[i].folder);
        twi_recording *recording;
        if (twi_recording_open(path, &recording, error, sizeof(error)) != TW_OK)
            fail_msg("%s", error);
        assert_string_equal(twi_recording_format_name(recording), known[i].format);
        uint64_t counts[8] = {0};
        twi_frame frame;
        while (twi_recording_next(recording, &frame) == TW_OK) {
            counts[frame.kind]++;
            assert_true(frame.recv_ns > 1600000000000000000 || frame.kind == TWI_FRAME_CONFIG);
        }
        const twi_recording_stats *stats = twi_recording_get_stats(recording);
        if (counts[TWI_FRAME_RECV] != known[i].recv || counts[TWI_FRAME_HTTP] != known[i].http ||
            counts[TWI_FRAME_CONNECT] != known[i].conns || stats->bad_lines + stats->bad_files != 0)
            fail_msg("%s: recv %llu http %llu connect %llu bad %llu %s", known[i].folder,
                     (unsigned long long)counts[TWI_FRAME_RECV], (unsigned long long)counts[TWI_FRAME_HTTP],
                     (unsigned long long)counts[TWI_FRAME_CONNECT], (unsigned long long)stats->bad_lines,
                     stats->first_error);
        twi_recording_close(recording);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cf1_lines_become_frames),
        cmocka_unit_test(cf2_lines_become_frames),
        cmocka_unit_test(hft_lines_become_frames_with_what_the_file_leaves_out),
        cmocka_unit_test(what_is_no_recording_is_refused),
        cmocka_unit_test(a_cut_gzip_gives_what_is_before_the_cut),
        cmocka_unit_test(a_long_line_is_read_whole),
        cmocka_unit_test(files_of_a_folder_are_merged_by_time),
        cmocka_unit_test(the_public_recordings_are_read_in_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
