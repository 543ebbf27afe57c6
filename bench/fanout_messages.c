/* fanout_messages.c - templates with holes, and the frames made from them. See fanout_messages.h. */
#include "bench/fanout_messages.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LINE_BYTES_MAX = 1 << 20,
    INVENTED_BYTES_MAX = 512,
    WS_FIN_TEXT = 0x81 /* RFC 6455 section 5.2 */
};

static uint32_t number_write(char *out, uint64_t value)
{
    char digits[FANOUT_DIGITS_MAX];
    uint32_t count = 0;
    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    for (uint32_t i = 0; i < count; i++)
        out[i] = digits[count - 1 - i];
    return count;
}

/* The topic is what stands before the first number: type, exchange and symbol. */
static uint32_t topic_of(const fanout_messages *messages, const fanout_template *wanted)
{
    uint32_t topic_count = 0;
    for (uint32_t i = 0; i < messages->template_count; i++) {
        const fanout_template *seen = &messages->templates[i];
        if (seen->text_bytes[0] == wanted->text_bytes[0] &&
            memcmp(seen->text[0], wanted->text[0], wanted->text_bytes[0]) == 0)
            return seen->topic;
        if (seen->topic >= topic_count)
            topic_count = seen->topic + 1;
    }
    return topic_count;
}

/* The first of the numbers after `at`: its index in *number, and where its digits begin. NULL: none. */
static const char *hole_find(const char *at, uint8_t *number)
{
    static const char *const keys[FANOUT_HOLE_COUNT] = {"\"seq\":", "\"recv_ns\":", "\"publish_ns\":"};
    const char *first = NULL;
    for (uint8_t i = 0; i < FANOUT_HOLE_COUNT; i++) {
        const char *found = strstr(at, keys[i]);
        if (!found)
            continue;
        found += strlen(keys[i]);
        if (first && found > first)
            continue;
        first = found;
        *number = i;
    }
    return first;
}

static void template_cut(fanout_template *out, const char *line)
{
    const char *at = line;
    memset(out, 0, sizeof *out);
    for (;;) {
        uint8_t number = 0;
        const char *hole = out->hole_count < FANOUT_HOLE_COUNT ? hole_find(at, &number) : NULL;
        size_t text_len = hole ? (size_t)(hole - at) : strlen(at);
        out->text[out->hole_count] = strndup(at, text_len);
        out->text_bytes[out->hole_count] = (uint32_t)text_len;
        if (!hole)
            break;
        out->number[out->hole_count++] = number;
        at = hole + strspn(hole, "0123456789");
    }
    out->frame_bytes_max =
        (uint32_t)strlen(line) + FANOUT_FRAME_HEADER_BYTES_MAX + FANOUT_HOLE_COUNT * FANOUT_DIGITS_MAX;
}

static void template_add(fanout_messages *messages, const char *line)
{
    if (messages->template_count == FANOUT_TEMPLATE_COUNT_MAX)
        return;
    fanout_template *added = &messages->templates[messages->template_count];
    template_cut(added, line);
    added->topic = topic_of(messages, added);
    if (added->frame_bytes_max > messages->frame_bytes_max)
        messages->frame_bytes_max = added->frame_bytes_max;
    messages->template_count++;
}

static void fail(const char *path, const char *why)
{
    fprintf(stderr, "%s: %s\n", path, why);
    exit(1);
}

static void templates_read(fanout_messages *messages, const char *path)
{
    FILE *file = fopen(path, "r");
    if (!file)
        fail(path, strerror(errno));
    char *line = malloc(LINE_BYTES_MAX);
    while (line && fgets(line, LINE_BYTES_MAX, file)) {
        line[strcspn(line, "\r\n")] = 0;
        if (line[0])
            template_add(messages, line);
    }
    free(line);
    fclose(file);
    if (!messages->template_count)
        fail(path, "holds no message");
}

static void templates_invent(fanout_messages *messages, uint32_t symbol_count)
{
    static const char trade[] =
        "{\"type\":\"trade\",\"exchange\":\"sim\",\"symbol\":\"S%03" PRIu32
        "/USD\",\"seq\":1,\"id\":\"3012345\",\"price\":64000.10,\"amount\":0.012,\"side\":\"buy\","
        "\"timestamp\":1700000000000,\"recv_ns\":0,\"publish_ns\":0}";
    static const char quote[] =
        "{\"type\":\"quote\",\"exchange\":\"sim\",\"symbol\":\"S%03" PRIu32
        "/USD\",\"seq\":1,\"bid\":64000.10,\"bidVolume\":0.5123,\"ask\":64000.20,\"askVolume\":1.0071,"
        "\"timestamp\":1700000000000,\"recv_ns\":0,\"publish_ns\":0}";
    char line[INVENTED_BYTES_MAX];
    for (uint32_t symbol = 0; symbol < symbol_count; symbol++) {
        snprintf(line, sizeof line, quote, symbol);
        template_add(messages, line);
        snprintf(line, sizeof line, trade, symbol);
        template_add(messages, line);
    }
}

void fanout_messages_load(fanout_messages *messages, const char *path, uint32_t symbol_count)
{
    memset(messages, 0, sizeof *messages);
    messages->templates = calloc(FANOUT_TEMPLATE_COUNT_MAX, sizeof *messages->templates);
    messages->topic_seq = calloc(FANOUT_TEMPLATE_COUNT_MAX, sizeof *messages->topic_seq);
    if (!messages->templates || !messages->topic_seq)
        fail("messages", strerror(ENOMEM));
    if (path)
        templates_read(messages, path);
    else
        templates_invent(messages, symbol_count);
}

static uint32_t frame_header(uint8_t *out, uint64_t payload_bytes)
{
    out[0] = WS_FIN_TEXT;
    if (payload_bytes < 126) {
        out[1] = (uint8_t)payload_bytes;
        return 2;
    }
    if (payload_bytes < 65536) {
        out[1] = 126;
        out[2] = (uint8_t)(payload_bytes >> 8);
        out[3] = (uint8_t)payload_bytes;
        return 4;
    }
    out[1] = 127;
    for (int i = 0; i < 8; i++)
        out[2 + i] = (uint8_t)(payload_bytes >> (56 - 8 * i));
    return FANOUT_FRAME_HEADER_BYTES_MAX;
}

uint32_t fanout_messages_frame(fanout_messages *messages, uint8_t *out, int64_t recv_ns, int64_t publish_ns)
{
    const fanout_template *from = &messages->templates[messages->next];
    messages->next = messages->next + 1 == messages->template_count ? 0 : messages->next + 1;
    uint64_t values[FANOUT_HOLE_COUNT] = {++messages->topic_seq[from->topic], (uint64_t)recv_ns, (uint64_t)publish_ns};
    char digits[FANOUT_HOLE_COUNT][FANOUT_DIGITS_MAX];
    uint32_t digit_count[FANOUT_HOLE_COUNT];
    uint64_t payload_bytes = from->text_bytes[from->hole_count];
    for (uint32_t i = 0; i < from->hole_count; i++) {
        digit_count[i] = number_write(digits[i], values[from->number[i]]);
        payload_bytes += from->text_bytes[i] + digit_count[i];
    }
    uint8_t *at = out + frame_header(out, payload_bytes);
    for (uint32_t i = 0; i < from->hole_count; i++) {
        memcpy(at, from->text[i], from->text_bytes[i]);
        at += from->text_bytes[i];
        memcpy(at, digits[i], digit_count[i]);
        at += digit_count[i];
    }
    memcpy(at, from->text[from->hole_count], from->text_bytes[from->hole_count]);
    at += from->text_bytes[from->hole_count];
    return (uint32_t)(at - out);
}
