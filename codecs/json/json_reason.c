/* json_reason.c - see json_reason.h. */
#include "codecs/json/json_reason.h"

#include <stdbool.h>
#include <string.h>

/* plain stands alone when both numbers are 0; NULL: the numbers are always written. */
typedef struct sentence {
    const char *plain, *before, *between, *after;
} sentence;

#define PLAIN(text)                                                                                                    \
    {                                                                                                                  \
        text, text " (", " to ", ")"                                                                                   \
    }

static const sentence sentences[] = {
    [TW_REASON_NONE] = PLAIN("none"),
    [TW_REASON_SEQUENCE] = {"venue sequence broken", "venue sequence ", " to ", " missing"},
    [TW_REASON_CHECKSUM] = {NULL, "checksum ", " expected, ", " computed"},
    [TW_REASON_LINK_DOWN] = PLAIN("link down"),
    [TW_REASON_SILENCE] = PLAIN("silent for too long"),
    [TW_REASON_VENUE] = PLAIN("announced by the venue"),
    [TW_REASON_SLOW_CONSUMER] = PLAIN("slow consumer"),
    [TW_REASON_RING_LAPPED] = {NULL, "ring sequence ", " to ", " overwritten"},
    [TW_REASON_MALFORMED] = PLAIN("malformed message"),
    [TW_REASON_DEPTH_LIMIT] = PLAIN("book larger than its limit"),
    [TW_REASON_RESYNC] = PLAIN("resync"),
    [TW_REASON_START] = PLAIN("start"),
    [TW_REASON_REJECTED] = PLAIN("refused by the venue"),
};
enum { SENTENCE_COUNT = sizeof(sentences) / sizeof(sentences[0]) };
_Static_assert(SENTENCE_COUNT == TW_REASON_REJECTED + 1, "one sentence per reason");

static char *put_text(char *out, const char *text)
{
    size_t len = strlen(text);
    memcpy(out, text, len);
    return out + len;
}

char *twi_json_reason_put(char *out, twi_json_reason value)
{
    if (value.reason >= SENTENCE_COUNT) {
        return put_text(out, "unknown");
    }
    const sentence *words = &sentences[value.reason];
    if (words->plain != NULL && (value.from | value.to) == 0) {
        return put_text(out, words->plain);
    }
    out = put_text(out, words->before);
    out = twi_digits_put(out, value.from);
    out = put_text(out, words->between);
    out = twi_digits_put(out, value.to);
    return put_text(out, words->after);
}

/* Takes `word` off the front of [*text, end). */
static bool take_text(const char **text, const char *end, const char *word)
{
    size_t len = strlen(word);
    if ((size_t)(end - *text) < len || memcmp(*text, word, len) != 0) {
        return false;
    }
    *text += len;
    return true;
}

static bool take_number(const char **text, const char *end, uint64_t *number)
{
    const char *start = *text;
    uint64_t value = 0;
    for (; *text < end && **text >= '0' && **text <= '9'; ++*text) {
        uint64_t digit = (uint64_t)(**text - '0');
        if (value > (UINT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *number = value;
    return *text > start;
}

static bool take_sentence(const char *text, const char *end, const sentence *words, uint64_t *from, uint64_t *to)
{
    return take_text(&text, end, words->before) && take_number(&text, end, from) &&
           take_text(&text, end, words->between) && take_number(&text, end, to) &&
           take_text(&text, end, words->after) && text == end;
}

static bool is_text(const char *text, size_t len, const char *expected)
{
    return len == strlen(expected) && memcmp(text, expected, len) == 0;
}

twi_json_reason twi_json_reason_read(const char *text, size_t len)
{
    for (uint16_t reason = 0; reason < SENTENCE_COUNT; reason++) {
        const sentence *words = &sentences[reason];
        twi_json_reason value = {.reason = reason};
        if (is_text(text, len, tw_reason_name(reason)) || (words->plain != NULL && is_text(text, len, words->plain))) {
            return value;
        }
        if (take_sentence(text, text + len, words, &value.from, &value.to)) {
            return value;
        }
    }
    return (twi_json_reason){.reason = TW_REASON_NONE};
}
