/* parse_jansson.c - the extraction of parse_rivals.h with jansson: a tree per message, exact decimals from its strings.
 *
 * Kraken v2 writes numbers bare; jansson has doubles for them, so those events are only about right, and the comparison
 * is the kinder for jansson. */
#include <jansson.h>

#include <math.h>
#include <stdlib.h>

#include "bench/parse_rivals.h"
#include "feed/times.h"

enum { REAL_DIGITS = 8, NS_PER_MS = 1000000 };

static bool decimal_of(const json_t *value, tw_decimal *out)
{
    *out = (tw_decimal){0};
    if (json_is_string(value)) {
        size_t len = json_string_length(value);
        return len == 0 || tw_decimal_parse(json_string_value(value), len, out) == TW_OK;
    }
    out->mantissa = llround(json_number_value(value) * 1e8);
    out->exponent = -REAL_DIGITS;
    return value != NULL;
}

static int64_t ms_of(const json_t *value)
{
    if (json_is_string(value))
        return strtoll(json_string_value(value), NULL, 10) * NS_PER_MS;
    return json_integer_value(value) * NS_PER_MS;
}

static int64_t iso_of(const json_t *value)
{
    return value == NULL ? 0 : twi_time_from_iso(json_string_value(value), json_string_length(value));
}

static bool named(twb_rival_job *job, const json_t *id, twb_head *head)
{
    head->instrument = twb_instrument_of(job, json_string_value(id), json_string_length(id));
    return head->instrument != TW_INSTRUMENT_NONE;
}

/* Letters that begin the word for a seller, in either case. */
static bool sells(const json_t *side)
{
    return (json_string_value(side)[0] | 0x20) == 's';
}

static bool put_rows(twb_levels *levels, bool ask, const json_t *rows)
{
    size_t i;
    const json_t *row;
    json_array_foreach(rows, i, row)
    {
        tw_decimal price, amount;
        if (!decimal_of(json_array_get(row, 0), &price) || !decimal_of(json_array_get(row, 1), &amount))
            return false;
        twb_levels_put(levels, ask, price, amount);
    }
    return true;
}

static bool put_book(twb_rival_job *job, const twb_head *head, const json_t *bids, const json_t *asks)
{
    twb_levels levels = twb_levels_begin(job, head);
    return put_rows(&levels, false, bids) && put_rows(&levels, true, asks) && twb_levels_end(&levels);
}

static bool put_trade(twb_rival_job *job, const twb_head *head, const json_t *price, const json_t *amount,
                      const json_t *id, bool sell)
{
    char digits[24];
    twb_trade_fields trade = {.sell = sell};
    if (!decimal_of(price, &trade.price) || !decimal_of(amount, &trade.amount))
        return false;
    if (json_is_string(id)) {
        trade.id = json_string_value(id);
        trade.id_len = json_string_length(id);
    } else {
        trade.id = digits;
        trade.id_len = (size_t)snprintf(digits, sizeof(digits), "%lld", (long long)json_integer_value(id));
    }
    return twb_put_trade(job, head, &trade);
}

static bool put_quote(twb_rival_job *job, const twb_head *head, const json_t *const values[4])
{
    twb_quote_fields quote;
    return decimal_of(values[0], &quote.bid) && decimal_of(values[1], &quote.bid_amount) &&
           decimal_of(values[2], &quote.ask) && decimal_of(values[3], &quote.ask_amount) &&
           twb_put_quote(job, head, &quote);
}

static bool binance(twb_kind kind, const json_t *root, twb_head *head, twb_rival_job *job)
{
    if (kind == TWB_SNAPSHOT) {
        head->instrument = job->names[0].instrument;
        head->seq = (uint64_t)json_integer_value(json_object_get(root, "lastUpdateId"));
        return put_book(job, head, json_object_get(root, "bids"), json_object_get(root, "asks"));
    }
    const json_t *data = json_object_get(root, "data");
    if (!named(job, json_object_get(data, "s"), head))
        return false;
    if (kind == TWB_QUOTE) {
        job->check += (uint64_t)json_integer_value(json_object_get(data, "u"));
        const json_t *const values[] = {json_object_get(data, "b"), json_object_get(data, "B"),
                                        json_object_get(data, "a"), json_object_get(data, "A")};
        return put_quote(job, head, values);
    }
    if (kind == TWB_TRADE) {
        job->check += (uint64_t)json_integer_value(json_object_get(data, "E"));
        head->venue_ns = ms_of(json_object_get(data, "T"));
        return put_trade(job, head, json_object_get(data, "p"), json_object_get(data, "q"), json_object_get(data, "t"),
                         json_is_true(json_object_get(data, "m")));
    }
    head->venue_ns = ms_of(json_object_get(data, "E"));
    head->seq = (uint64_t)json_integer_value(json_object_get(data, "u"));
    job->check += (uint64_t)json_integer_value(json_object_get(data, "U"));
    return put_book(job, head, json_object_get(data, "b"), json_object_get(data, "a"));
}

static bool okx(twb_kind kind, const json_t *root, twb_head *head, twb_rival_job *job)
{
    const json_t *argument = json_object_get(root, "arg"), *data = json_array_get(json_object_get(root, "data"), 0);
    if (!named(job, json_object_get(argument, "instId"), head))
        return false;
    job->check += json_string_length(json_object_get(argument, "channel"));
    head->venue_ns = ms_of(json_object_get(data, "ts"));
    if (kind == TWB_TRADE)
        return put_trade(job, head, json_object_get(data, "px"), json_object_get(data, "sz"),
                         json_object_get(data, "tradeId"), sells(json_object_get(data, "side")));
    if (kind == TWB_QUOTE) {
        const json_t *const values[] = {json_object_get(data, "bidPx"), json_object_get(data, "bidSz"),
                                        json_object_get(data, "askPx"), json_object_get(data, "askSz")};
        return put_quote(job, head, values);
    }
    head->seq = (uint64_t)json_integer_value(json_object_get(data, "seqId"));
    job->check += (uint64_t)json_integer_value(json_object_get(data, "prevSeqId"));
    job->check += (uint64_t)json_integer_value(json_object_get(data, "checksum"));
    return put_book(job, head, json_object_get(data, "bids"), json_object_get(data, "asks"));
}

static bool bybit_trades(const json_t *data, twb_head *head, twb_rival_job *job)
{
    size_t i;
    const json_t *trade;
    json_array_foreach(data, i, trade)
    {
        head->venue_ns = ms_of(json_object_get(trade, "T"));
        if (!put_trade(job, head, json_object_get(trade, "p"), json_object_get(trade, "v"), json_object_get(trade, "i"),
                       sells(json_object_get(trade, "S"))))
            return false;
    }
    return true;
}

static bool bybit(twb_kind kind, const json_t *root, twb_head *head, twb_rival_job *job)
{
    const json_t *data = json_object_get(root, "data");
    const char *topic = json_string_value(json_object_get(root, "topic")), *point = strrchr(topic, '.');
    head->instrument = twb_instrument_of(job, point + 1, strlen(point + 1));
    if (head->instrument == TW_INSTRUMENT_NONE)
        return false;
    head->venue_ns = ms_of(json_object_get(root, "ts"));
    if (kind == TWB_TRADE)
        return bybit_trades(data, head, job);
    head->seq = (uint64_t)json_integer_value(json_object_get(data, "u"));
    return put_book(job, head, json_object_get(data, "b"), json_object_get(data, "a"));
}

static bool coinbase_changes(const json_t *changes, const twb_head *head, twb_rival_job *job)
{
    size_t i;
    const json_t *row;
    twb_levels levels = twb_levels_begin(job, head);
    json_array_foreach(changes, i, row)
    {
        tw_decimal price, amount;
        if (!decimal_of(json_array_get(row, 1), &price) || !decimal_of(json_array_get(row, 2), &amount))
            return false;
        twb_levels_put(&levels, sells(json_array_get(row, 0)), price, amount);
    }
    return twb_levels_end(&levels);
}

static bool coinbase(twb_kind kind, const json_t *root, twb_head *head, twb_rival_job *job)
{
    if (!named(job, json_object_get(root, "product_id"), head))
        return false;
    head->venue_ns = iso_of(json_object_get(root, "time"));
    if (kind == TWB_TRADE)
        return put_trade(job, head, json_object_get(root, "price"), json_object_get(root, "size"),
                         json_object_get(root, "trade_id"), !sells(json_object_get(root, "side")));
    if (kind == TWB_QUOTE) {
        const json_t *const values[] = {json_object_get(root, "best_bid"), json_object_get(root, "best_bid_size"),
                                        json_object_get(root, "best_ask"), json_object_get(root, "best_ask_size")};
        twb_quote_fields quote = {.bid_amount = {0, 0}, .ask_amount = {0, 0}};
        return decimal_of(values[0], &quote.bid) && decimal_of(values[2], &quote.ask) &&
               (values[1] == NULL || decimal_of(values[1], &quote.bid_amount)) &&
               (values[3] == NULL || decimal_of(values[3], &quote.ask_amount)) && twb_put_quote(job, head, &quote);
    }
    if (kind == TWB_DELTA)
        return coinbase_changes(json_object_get(root, "changes"), head, job);
    return put_book(job, head, json_object_get(root, "bids"), json_object_get(root, "asks"));
}

static bool kraken_rows(twb_levels *levels, bool ask, const json_t *rows)
{
    size_t i;
    const json_t *row;
    json_array_foreach(rows, i, row)
    {
        tw_decimal price, amount;
        if (!decimal_of(json_object_get(row, "price"), &price) || !decimal_of(json_object_get(row, "qty"), &amount))
            return false;
        twb_levels_put(levels, ask, price, amount);
    }
    return true;
}

static bool kraken(twb_kind kind, const json_t *root, twb_head *head, twb_rival_job *job)
{
    const json_t *data = json_array_get(json_object_get(root, "data"), 0);
    job->check += json_string_length(json_object_get(root, "channel"));
    if (!named(job, json_object_get(data, "symbol"), head))
        return false;
    head->venue_ns = iso_of(json_object_get(data, "timestamp"));
    if (kind == TWB_TRADE)
        return put_trade(job, head, json_object_get(data, "price"), json_object_get(data, "qty"),
                         json_object_get(data, "trade_id"), sells(json_object_get(data, "side")));
    if (kind == TWB_QUOTE) {
        const json_t *const values[] = {json_object_get(data, "bid"), json_object_get(data, "bid_qty"),
                                        json_object_get(data, "ask"), json_object_get(data, "ask_qty")};
        return put_quote(job, head, values);
    }
    job->check += (uint64_t)json_integer_value(json_object_get(data, "checksum"));
    twb_levels levels = twb_levels_begin(job, head);
    return kraken_rows(&levels, false, json_object_get(data, "bids")) &&
           kraken_rows(&levels, true, json_object_get(data, "asks")) && twb_levels_end(&levels);
}

bool twb_jansson_parse(twb_format format, twb_kind kind, const twb_message *message, twb_rival_job *job)
{
    static bool (*const parsers[TWB_FORMAT_COUNT])(twb_kind, const json_t *, twb_head *,
                                                   twb_rival_job *) = {binance, okx, bybit, coinbase, kraken};
    json_t *root = json_loadb((const char *)message->bytes, message->len, 0, NULL);
    twb_head head = {.recv_ns = message->recv_ns, .snapshot = kind == TWB_SNAPSHOT};
    bool good = root != NULL && parsers[format](kind, root, &head, job);
    json_decref(root);
    return good;
}
