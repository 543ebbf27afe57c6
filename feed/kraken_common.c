/* kraken_common.c - see kraken_common.h. */
#include "feed/kraken_common.h"

#include <zlib.h>

enum { CHECKSUM_LEVELS = 10, LEVEL_TEXT_MAX = 2 * 20 };

const twi_code twi_kraken_codes[] = {{"XBT", "BTC"},    {"XDG", "DOGE"},  {"UST", "USTC"},  {"LUNA", "LUNC"},
                                     {"LUNA2", "LUNA"}, {"REP", "REPV1"}, {"REPV2", "REP"}, {NULL, NULL}};

/* Text without point and leading zeros is the mantissa. */
static void put_side(twi_text *text, const twi_book *book, twi_side side)
{
    uint32_t count = twi_book_count(book, side);
    for (uint32_t i = 0; i < count && i < CHECKSUM_LEVELS; i++) {
        twi_level level = twi_book_level(book, side, i);
        twi_text_number(text, (uint64_t)level.price.mantissa);
        twi_text_number(text, (uint64_t)level.amount.mantissa);
    }
}

uint32_t twi_kraken_checksum(const twi_book *book)
{
    char bytes[2 * CHECKSUM_LEVELS * LEVEL_TEXT_MAX];
    twi_text text = twi_text_over(bytes, sizeof(bytes));
    put_side(&text, book, TWI_ASK);
    put_side(&text, book, TWI_BID);
    return (uint32_t)crc32(crc32(0, NULL, 0), (const Bytef *)bytes, (uInt)text.len);
}

/* ---- markets ---- */

typedef struct kraken_pair {
    twi_json_slice wsname;
    char plain[TW_VENUE_ID_MAX + 1]; /* wsname without its escape: "XBT\/USD" */
    size_t plain_len;
    int64_t pair_decimals, lot_decimals;
    tw_decimal tick, amount_min, cost_min;
    bool online;
} kraken_pair;

static void read_pair(twi_json *json, kraken_pair *pair)
{
    twi_json_slice key, value;
    pair->online = true;
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "wsname"))
            twi_json_string(json, &pair->wsname);
        else if (TWI_JSON_IS(key, "pair_decimals"))
            twi_json_int64(json, &pair->pair_decimals);
        else if (TWI_JSON_IS(key, "lot_decimals"))
            twi_json_int64(json, &pair->lot_decimals);
        else if (TWI_JSON_IS(key, "tick_size"))
            twi_json_decimal(json, &pair->tick);
        else if (TWI_JSON_IS(key, "ordermin"))
            twi_json_decimal(json, &pair->amount_min);
        else if (TWI_JSON_IS(key, "costmin"))
            twi_json_decimal(json, &pair->cost_min);
        else if (TWI_JSON_IS(key, "status") && twi_json_string(json, &value))
            pair->online = TWI_JSON_IS(value, "online");
        else
            twi_json_skip(json);
    }
    if (pair->wsname.len == 0 ||
        twi_json_unescape(pair->wsname, pair->plain, TW_VENUE_ID_MAX, &pair->plain_len) != TW_OK)
        pair->plain_len = 0;
}

static void give_pair(const kraken_pair *pair, bool v1, tw_market_fn fn, void *owner)
{
    const char *slash = memchr(pair->plain, '/', pair->plain_len);
    if (slash == NULL)
        return; /* dark-pool pairs have no stream name */
    size_t base_len = (size_t)(slash - pair->plain);
    tw_market market = {.active = pair->online,
                        .price_tick = pair->tick.mantissa != 0 ? pair->tick : twi_market_tick(pair->pair_decimals),
                        .amount_step = twi_market_tick(pair->lot_decimals),
                        .amount_min = pair->amount_min,
                        .cost_min = pair->cost_min};
    twi_json_slice base = {.text = pair->plain, .len = (uint32_t)base_len};
    twi_json_slice quote = {.text = slash + 1, .len = (uint32_t)(pair->plain_len - base_len - 1)};
    TWI_MARKET_CODE(market.base, twi_kraken_codes, base);
    TWI_MARKET_CODE(market.quote, twi_kraken_codes, quote);
    twi_market_name_symbol(&market);
    if (v1)
        twi_market_copy(market.id, sizeof(market.id), pair->plain, pair->plain_len);
    else
        twi_market_copy(market.id, sizeof(market.id), market.symbol, strlen(market.symbol));
    fn(owner, &market);
}

static tw_status markets_parse(const uint8_t *body, size_t body_len, bool v1, tw_market_fn fn, void *owner)
{
    twi_json json;
    twi_json_slice key;
    twi_json_init(&json, body, body_len);
    twi_json_enter_object(&json);
    while (twi_json_next_member(&json, &key)) {
        if (!TWI_JSON_IS(key, "result")) {
            twi_json_skip(&json);
            continue;
        }
        twi_json_enter_object(&json);
        while (twi_json_next_member(&json, &key)) {
            kraken_pair pair = {.plain_len = 0};
            read_pair(&json, &pair);
            if (json.status == TW_OK)
                give_pair(&pair, v1, fn, owner);
        }
    }
    return twi_json_end(&json);
}

tw_status twi_kraken_markets_parse_v1(const uint8_t *body, size_t body_len, tw_market_fn fn, void *owner)
{
    return markets_parse(body, body_len, true, fn, owner);
}

tw_status twi_kraken_markets_parse_v2(const uint8_t *body, size_t body_len, tw_market_fn fn, void *owner)
{
    return markets_parse(body, body_len, false, fn, owner);
}

tw_status twi_kraken_markets_request(const tw_feed_config *config, uint32_t page, tw_request *request)
{
    return twi_market_request(config, TWI_KRAKEN_REST_URL, "/0/public/AssetPairs", page, request);
}
