/* codec_vectors.c - the golden vectors against both codecs, and a small converter for scripts.
 *
 * Usage:    codec_vectors FILE            every vector must be encoded to its bytes and decoded from them
 *           codec_vectors --print FILE    writes what the codecs give, as lines for the vector file
 *           codec_vectors --json MSG      decodes a file that holds one FlatBuffers message, writes it as JSON */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/codec_support.h"
#include "tests/vectors/vector_file.h"

enum { MESSAGE_MAX = 1 << 16 };

static uint8_t message[MESSAGE_MAX];

static size_t encode(const tw_codec_ops *codec, const tw_symbols *symbols, const tw_record *record)
{
    size_t len = codec->encode(symbols, record, message, sizeof(message));
    if (len == 0) {
        abort();
    }
    return len;
}

static void print_message(const tw_codec_ops *codec, const tw_symbols *symbols, const tw_record *record)
{
    size_t len = encode(codec, symbols, record);
    printf("%s ", codec->name);
    for (size_t i = 0; i < len; i++) {
        printf(codec->ws_opcode == 1 ? "%c" : "%02x", message[i]);
    }
    printf("\n");
}

/* 1 if something differs. */
static int check(const tw_codec_ops *codec, tw_symbols *symbols, const twt_vector *vector, const void *expected,
                 size_t expected_len, int64_t venue_step_ns)
{
    size_t len = encode(codec, symbols, &vector->record);
    if (len != expected_len || memcmp(message, expected, len) != 0) {
        printf("%s: encoded differently:\n", vector->name);
        print_message(codec, symbols, &vector->record);
        return 1;
    }
    tw_event events[TWT_VECTOR_LEVELS_MAX];
    tw_record back;
    uint32_t count = TWT_VECTOR_LEVELS_MAX;
    tw_status status = codec->decode(symbols, expected, expected_len, events, &count, &back);
    const char *difference = status != TW_OK ? tw_status_name(status)
                                             : twt_difference(symbols, &vector->record, symbols, &back, venue_step_ns);
    if (difference != NULL) {
        printf("%s: decoded from %s: %s\n", vector->name, codec->name, difference);
        return 1;
    }
    return 0;
}

static int run_vectors(const char *path, bool print)
{
    static twt_vector vector;
    tw_symbols *symbols = twt_symbols_new(64);
    twt_vector_file vectors = twt_vector_open(path);
    int failed = 0;
    int count = 0;
    for (; twt_vector_next(&vectors, symbols, &vector); count++) {
        if (print) {
            printf("# %s\n", vector.name);
            print_message(&tw_codec_json, symbols, &vector.record);
            print_message(&tw_codec_flatbuffers, symbols, &vector.record);
            continue;
        }
        failed += check(&tw_codec_json, symbols, &vector, vector.json, strlen(vector.json), TWT_NS_PER_MS);
        failed += check(&tw_codec_flatbuffers, symbols, &vector, vector.flatbuffers, vector.flatbuffers_len, 1);
    }
    twt_vector_close(&vectors);
    free(symbols);
    fprintf(stderr, "%d vectors, %d failures\n", count, failed);
    return failed == 0 && count > 0 ? 0 : 1;
}

static int write_json(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fprintf(stderr, "cannot open %s\n", path);
        return 1;
    }
    size_t len = fread(message, 1, sizeof(message), file);
    fclose(file);
    tw_symbols *symbols = twt_symbols_new(4);
    tw_event events[TWT_VECTOR_LEVELS_MAX];
    tw_record record;
    uint32_t count = TWT_VECTOR_LEVELS_MAX;
    tw_status status = tw_codec_flatbuffers.decode(symbols, message, len, events, &count, &record);
    if (status == TW_OK) {
        size_t json_len = encode(&tw_codec_json, symbols, &record);
        printf("%.*s\n", (int)json_len, (const char *)message);
    } else {
        fprintf(stderr, "%s: %s\n", path, tw_status_name(status));
    }
    free(symbols);
    return status == TW_OK ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--json") == 0) {
        return write_json(argv[2]);
    }
    if (argc == 3 && strcmp(argv[1], "--print") == 0) {
        return run_vectors(argv[2], true);
    }
    if (argc == 2) {
        return run_vectors(argv[1], false);
    }
    fprintf(stderr, "usage: codec_vectors FILE | --print FILE | --json MESSAGE\n");
    return 2;
}
