/* rules.h - one conversation for each rule of RFC 6455 that a peer of either role can break. */
#ifndef TWT_RULES_H
#define TWT_RULES_H

#include "tests/conformance/websocket/link.h"

enum { FIN = 0x80, RSV1 = 0x40, TEXT = FIN | 1, BINARY = FIN | 2, CLOSE = FIN | 8 };

/* Frames that must be answered by a close frame and the end of the connection. Each is {first byte, payload}. */
typedef struct broken_rule {
    const char *what;
    uint16_t code;
    struct {
        uint8_t first_byte;
        uint8_t len;
        const char *payload;
    } frames[4];
} broken_rule;

static const broken_rule broken_rules[] = {
    {"RSV1", 1002, {{TEXT | RSV1, 1, "x"}}},
    {"RSV2", 1002, {{TEXT | 0x20, 1, "x"}}},
    {"RSV3 on a ping", 1002, {{FIN | 0x10 | 9, 0, ""}}},
    {"opcode 3", 1002, {{FIN | 3, 0, ""}}},
    {"opcode 7 behind a message", 1002, {{TEXT, 2, "ok"}, {FIN | 7, 2, "xx"}}},
    {"opcode 11", 1002, {{FIN | 11, 0, ""}}},
    {"opcode 15", 1002, {{FIN | 15, 1, "x"}}},
    {"ping in fragments", 1002, {{9, 1, "x"}}},
    {"ping of 126 bytes", 1002, {{FIN | 9, 126, NULL}}},
    {"continuation of nothing", 1002, {{FIN, 1, "x"}}},
    {"continuation after the end", 1002, {{1, 1, "x"}, {FIN, 1, "x"}, {0, 1, "x"}}},
    {"text inside of text", 1002, {{1, 1, "x"}, {TEXT, 1, "x"}}},
    {"bad UTF-8", 1007, {{TEXT, 4, "a\xed\xa0\x80"}}},
    {"bad UTF-8 over fragments", 1007, {{1, 2, "\xf0\x9f"}, {FIN, 2, "\x98x"}}},
    {"bad UTF-8 in an unfinished message", 1007, {{1, 3, "a\xc0\xaf"}}},
    {"text ends in a character", 1007, {{1, 2, "\xe2\x82"}, {FIN, 0, ""}}},
    {"close with one byte", 1002, {{CLOSE, 1, "x"}}},
    {"close 0", 1002, {{CLOSE, 2, "\x00\x00"}}},
    {"close 999", 1002, {{CLOSE, 2, "\x03\xe7"}}},
    {"close 1004", 1002, {{CLOSE, 2, "\x03\xec"}}},
    {"close 1005", 1002, {{CLOSE, 2, "\x03\xed"}}},
    {"close 1006", 1002, {{CLOSE, 2, "\x03\xee"}}},
    {"close 1016", 1002, {{CLOSE, 2, "\x03\xf8"}}},
    {"close 2000", 1002, {{CLOSE, 2, "\x07\xd0"}}},
    {"close 5000", 1002, {{CLOSE, 2, "\x13\x88"}}},
    {"close reason not UTF-8", 1007, {{CLOSE, 4, "\x03\xe8\xc3\x28"}}},
    {"close of 126 bytes", 1002, {{CLOSE, 126, NULL}}},
};

enum { BROKEN_RULES = sizeof(broken_rules) / sizeof(broken_rules[0]) };

static inline void twt_break_rule(twt_link *link, const broken_rule *rule)
{
    static const uint8_t zeros[UINT8_MAX];
    for (size_t i = 0; i < 4 && (rule->frames[i].first_byte | rule->frames[i].len) != 0; i++) {
        const void *payload = rule->frames[i].payload != NULL ? (const void *)rule->frames[i].payload : zeros;
        twt_link_send_frame(link, rule->frames[i].first_byte, payload, rule->frames[i].len);
    }
    print_message("  %s\n", rule->what);
    twt_link_expect_close(link, rule->code);
}

#endif
