/* parse_simdjson.cpp - the extraction of parse_rivals.h with simdjson's on-demand parser, the way its documentation
 * advises for speed: one parser kept, padded input (the buffers have it), members asked for in the order in which the
 * venue sends them, strings read in place, numbers in strings without a copy, no exceptions.
 *
 * Decimals are read with eight digits at a time, past the end where that is faster: the padding allows it. Levels
 * whose message tells its time or sequence after them wait in an array. */
#include <simdjson.h>

#include <cstring>
#include <string>
#include <string_view>

extern "C" {
#include "bench/parse_rivals.h"
#include "feed/times.h"
}

namespace
{

using namespace simdjson;

constexpr int64_t NS_PER_MS = 1000000;
constexpr uint32_t ROWS_MAX = 1 << 15;

struct row {
    tw_decimal price, amount;
    bool ask;
};

struct state {
    ondemand::parser parser;
    uint32_t row_count;
    row rows[ROWS_MAX];
};

state &kept()
{
    static state it;
    return it;
}

/* ---- decimals ---- */

uint64_t load_digits(const char *at)
{
    uint64_t word;
    std::memcpy(&word, at, sizeof(word));
    return word ^ UINT64_C(0x3030303030303030);
}

unsigned count_digits(uint64_t word)
{
    uint64_t others = ((word + UINT64_C(0x7676767676767676)) | word) & UINT64_C(0x8080808080808080);
    return others == 0 ? 8 : static_cast<unsigned>(__builtin_ctzll(others)) >> 3;
}

uint64_t value_of(uint64_t word, unsigned count)
{
    word <<= 64 - 8 * count;
    word = word * 10 + (word >> 8);
    return (((word & UINT64_C(0x000000ff000000ff)) * UINT64_C(0x000f424000000064)) +
            (((word >> 16) & UINT64_C(0x000000ff000000ff)) * UINT64_C(0x0000271000000001))) >>
               32 &
           0xffffffffu;
}

/* The usual shape in two words; `end` is the byte that ends it, 0: anything but a digit does. */
bool read_usual(const char *at, tw_decimal *out)
{
    static const uint32_t powers[9] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};
    bool negative = *at == '-';
    at += negative;
    uint64_t word = load_digits(at);
    unsigned whole = count_digits(word), fraction = 0;
    if (whole == 0 || whole == 8)
        return false;
    uint64_t mantissa = value_of(word, whole);
    at += whole;
    if (*at == '.') {
        at++;
        word = load_digits(at);
        fraction = count_digits(word);
        if (fraction == 0 || (fraction == 8 && at[8] >= '0' && at[8] <= '9'))
            return false;
        mantissa = mantissa * powers[fraction] + value_of(word, fraction);
        at += fraction;
    }
    if (*at == 'e' || *at == 'E')
        return false;
    out->mantissa = negative ? -static_cast<int64_t>(mantissa) : static_cast<int64_t>(mantissa);
    out->exponent = static_cast<int8_t>(-static_cast<int>(fraction));
    return true;
}

bool read_any(const char *at, tw_decimal *out)
{
    size_t len = std::strspn(at, "0123456789.eE+-");
    *out = tw_decimal{0, 0};
    return len == 0 || tw_decimal_parse(at, len, out) == TW_OK;
}

/* From a string, in place. */
bool decimal_of(simdjson_result<ondemand::value> value, tw_decimal *out)
{
    ondemand::raw_json_string raw;
    return !value.get_raw_json_string().get(raw) && (read_usual(raw.raw(), out) || read_any(raw.raw(), out));
}

/* From a bare number: its text, so that no digit is lost. */
bool bare_decimal_of(simdjson_result<ondemand::value> value, tw_decimal *out)
{
    std::string_view token;
    return !value.raw_json_token().get(token) && (read_usual(token.data(), out) || read_any(token.data(), out));
}

bool text_of(simdjson_result<ondemand::value> value, std::string_view *out)
{
    ondemand::raw_json_string raw;
    if (value.get_raw_json_string().get(raw))
        return false;
    const char *at = raw.raw(), *end = std::strchr(at, '"');
    *out = std::string_view(at, static_cast<size_t>(end - at));
    return true;
}

bool iso_of(simdjson_result<ondemand::value> value, twb_head *head)
{
    std::string_view text;
    if (!text_of(value, &text))
        return false;
    head->venue_ns = twi_time_from_iso(text.data(), text.size());
    return true;
}

bool ms_of(simdjson_result<ondemand::value> value, twb_head *head)
{
    uint64_t ms;
    if (value.get_uint64().get(ms))
        return false;
    head->venue_ns = static_cast<int64_t>(ms) * NS_PER_MS;
    return true;
}

bool ms_in_string_of(simdjson_result<ondemand::value> value, twb_head *head)
{
    uint64_t ms;
    if (value.get_uint64_in_string().get(ms))
        return false;
    head->venue_ns = static_cast<int64_t>(ms) * NS_PER_MS;
    return true;
}

bool sells(simdjson_result<ondemand::value> value, bool *out)
{
    ondemand::raw_json_string raw;
    if (value.get_raw_json_string().get(raw))
        return false;
    *out = (*raw.raw() | 0x20) == 's';
    return true;
}

bool named(twb_rival_job *job, simdjson_result<ondemand::value> id, twb_head *head)
{
    std::string_view text;
    if (!text_of(id, &text))
        return false;
    head->instrument = twb_instrument_of(job, text.data(), text.size());
    return head->instrument != TW_INSTRUMENT_NONE;
}

bool id_of(simdjson_result<ondemand::value> value, twb_trade_fields *trade)
{
    std::string_view text;
    if (!text_of(value, &text))
        return false;
    trade->id = text.data();
    trade->id_len = text.size();
    return true;
}

/* Of a bare number. */
bool bare_id_of(simdjson_result<ondemand::value> value, twb_trade_fields *trade)
{
    std::string_view token;
    if (value.raw_json_token().get(token))
        return false;
    trade->id = token.data();
    trade->id_len = 0;
    while (trade->id[trade->id_len] >= '0' && trade->id[trade->id_len] <= '9')
        trade->id_len++;
    return true;
}

/* ---- books ---- */

/* [[price, amount, ...], ...] */
template <typename sink> bool read_rows(simdjson_result<ondemand::value> list, sink put)
{
    ondemand::array rows;
    if (list.get_array().get(rows))
        return false;
    for (auto each : rows) {
        ondemand::array fields;
        tw_decimal price, amount;
        unsigned count = 0;
        if (each.get_array().get(fields))
            return false;
        for (auto field : fields) {
            if (!decimal_of(field, count == 0 ? &price : &amount))
                return false;
            if (++count == 2)
                break;
        }
        if (count != 2)
            return false;
        put(price, amount);
    }
    return true;
}

/* [{"price":1,"qty":2}, ...] */
template <typename sink> bool read_objects(simdjson_result<ondemand::value> list, sink put)
{
    ondemand::array rows;
    if (list.get_array().get(rows))
        return false;
    for (auto each : rows) {
        ondemand::object fields;
        tw_decimal price, amount;
        if (each.get_object().get(fields) || !bare_decimal_of(fields.find_field("price"), &price) ||
            !bare_decimal_of(fields.find_field("qty"), &amount))
            return false;
        put(price, amount);
    }
    return true;
}

/* Levels that wait for what comes after them. */
auto stage(state &it, bool ask)
{
    return [&it, ask](tw_decimal price, tw_decimal amount) {
        if (it.row_count < ROWS_MAX)
            it.rows[it.row_count++] = row{price, amount, ask};
    };
}

bool put_staged(state &it, twb_rival_job *job, const twb_head *head, bool bids_first)
{
    twb_levels levels = twb_levels_begin(job, head);
    uint32_t split = 0; /* asks came first: bids are put first all the same, as the adapter does */
    while (!bids_first && split < it.row_count && it.rows[split].ask)
        split++;
    for (uint32_t i = split; i < it.row_count; i++)
        twb_levels_put(&levels, it.rows[i].ask, it.rows[i].price, it.rows[i].amount);
    for (uint32_t i = 0; i < split; i++)
        twb_levels_put(&levels, it.rows[i].ask, it.rows[i].price, it.rows[i].amount);
    it.row_count = 0;
    return twb_levels_end(&levels);
}

/* ---- venues ---- */

bool binance_snapshot(ondemand::object &root, twb_head *head, twb_rival_job *job)
{
    uint64_t seq;
    if (root.find_field("lastUpdateId").get_uint64().get(seq))
        return false;
    head->instrument = job->names[0].instrument;
    head->seq = seq;
    twb_levels levels = twb_levels_begin(job, head);
    return read_rows(root.find_field("bids"),
                     [&](tw_decimal price, tw_decimal amount) { twb_levels_put(&levels, false, price, amount); }) &&
           read_rows(root.find_field("asks"),
                     [&](tw_decimal price, tw_decimal amount) { twb_levels_put(&levels, true, price, amount); }) &&
           twb_levels_end(&levels);
}

bool binance_trade(ondemand::object &data, twb_head *head, twb_rival_job *job)
{
    uint64_t event_ms;
    bool maker;
    twb_trade_fields trade{};
    if (data.find_field("E").get_uint64().get(event_ms) || !named(job, data.find_field("s"), head) ||
        !bare_id_of(data.find_field("t"), &trade) || !decimal_of(data.find_field("p"), &trade.price) ||
        !decimal_of(data.find_field("q"), &trade.amount) || !ms_of(data.find_field("T"), head) ||
        data.find_field("m").get_bool().get(maker))
        return false;
    job->check += event_ms;
    trade.sell = maker;
    return twb_put_trade(job, head, &trade);
}

bool binance_delta(ondemand::object &data, twb_head *head, twb_rival_job *job)
{
    uint64_t first, last;
    if (!ms_of(data.find_field("E"), head) || !named(job, data.find_field("s"), head) ||
        data.find_field("U").get_uint64().get(first) || data.find_field("u").get_uint64().get(last))
        return false;
    job->check += first;
    head->seq = last;
    twb_levels levels = twb_levels_begin(job, head);
    return read_rows(data.find_field("b"),
                     [&](tw_decimal price, tw_decimal amount) { twb_levels_put(&levels, false, price, amount); }) &&
           read_rows(data.find_field("a"),
                     [&](tw_decimal price, tw_decimal amount) { twb_levels_put(&levels, true, price, amount); }) &&
           twb_levels_end(&levels);
}

bool binance(state &, twb_kind kind, ondemand::object &root, twb_head *head, twb_rival_job *job)
{
    if (kind == TWB_SNAPSHOT)
        return binance_snapshot(root, head, job);
    ondemand::object data;
    if (root.find_field("data").get_object().get(data))
        return false;
    if (kind == TWB_TRADE)
        return binance_trade(data, head, job);
    if (kind == TWB_DELTA)
        return binance_delta(data, head, job);
    uint64_t update;
    twb_quote_fields quote;
    if (data.find_field("u").get_uint64().get(update) || !named(job, data.find_field("s"), head) ||
        !decimal_of(data.find_field("b"), &quote.bid) || !decimal_of(data.find_field("B"), &quote.bid_amount) ||
        !decimal_of(data.find_field("a"), &quote.ask) || !decimal_of(data.find_field("A"), &quote.ask_amount))
        return false;
    job->check += update;
    return twb_put_quote(job, head, &quote);
}

bool okx_book(state &it, ondemand::object &data, twb_head *head, twb_rival_job *job)
{
    int64_t number;
    if (!read_rows(data.find_field("asks"), stage(it, true)) || !read_rows(data.find_field("bids"), stage(it, false)) ||
        !ms_in_string_of(data.find_field("ts"), head))
        return false;
    if (!data.find_field("checksum").get_int64().get(number))
        job->check += static_cast<uint64_t>(number);
    if (!data.find_field("seqId").get_int64().get(number))
        head->seq = static_cast<uint64_t>(number);
    if (!data.find_field("prevSeqId").get_int64().get(number))
        job->check += static_cast<uint64_t>(number);
    return put_staged(it, job, head, false);
}

bool okx_data(state &it, twb_kind kind, ondemand::object &data, twb_head *head, twb_rival_job *job)
{
    if (kind == TWB_TRADE) {
        twb_trade_fields trade{};
        return id_of(data.find_field("tradeId"), &trade) && decimal_of(data.find_field("px"), &trade.price) &&
               decimal_of(data.find_field("sz"), &trade.amount) && sells(data.find_field("side"), &trade.sell) &&
               ms_in_string_of(data.find_field("ts"), head) && twb_put_trade(job, head, &trade);
    }
    if (kind != TWB_QUOTE)
        return okx_book(it, data, head, job);
    twb_quote_fields quote;
    return decimal_of(data.find_field("askPx"), &quote.ask) &&
           decimal_of(data.find_field("askSz"), &quote.ask_amount) &&
           decimal_of(data.find_field("bidPx"), &quote.bid) &&
           decimal_of(data.find_field("bidSz"), &quote.bid_amount) && ms_in_string_of(data.find_field("ts"), head) &&
           twb_put_quote(job, head, &quote);
}

bool okx(state &it, twb_kind kind, ondemand::object &root, twb_head *head, twb_rival_job *job)
{
    ondemand::object argument;
    ondemand::array list;
    std::string_view channel;
    if (root.find_field("arg").get_object().get(argument) || !text_of(argument.find_field("channel"), &channel) ||
        !named(job, argument.find_field("instId"), head) || root.find_field("data").get_array().get(list))
        return false;
    job->check += channel.size();
    for (auto each : list) {
        ondemand::object data;
        if (each.get_object().get(data) || !okx_data(it, kind, data, head, job))
            return false;
    }
    return true;
}

bool bybit_trades(ondemand::array &list, twb_head *head, twb_rival_job *job)
{
    for (auto each : list) {
        ondemand::object data;
        twb_trade_fields trade{};
        if (each.get_object().get(data) || !sells(data["S"], &trade.sell) || !decimal_of(data["v"], &trade.amount) ||
            !decimal_of(data["p"], &trade.price) || !id_of(data["i"], &trade) || !ms_of(data["T"], head) ||
            !twb_put_trade(job, head, &trade))
            return false;
    }
    return true;
}

bool bybit(state &it, twb_kind kind, ondemand::object &root, twb_head *head, twb_rival_job *job)
{
    std::string_view topic;
    if (!text_of(root["topic"], &topic))
        return false;
    std::string_view id = topic.substr(topic.rfind('.') + 1);
    head->instrument = twb_instrument_of(job, id.data(), id.size());
    if (head->instrument == TW_INSTRUMENT_NONE || !ms_of(root["ts"], head))
        return false;
    if (kind == TWB_TRADE) {
        ondemand::array list;
        return !root["data"].get_array().get(list) && bybit_trades(list, head, job);
    }
    ondemand::object data;
    uint64_t seq;
    if (root["data"].get_object().get(data) || !read_rows(data.find_field("b"), stage(it, false)) ||
        !read_rows(data.find_field("a"), stage(it, true)) || data.find_field("u").get_uint64().get(seq))
        return false;
    head->seq = seq;
    return put_staged(it, job, head, true);
}

bool coinbase_delta(state &it, ondemand::object &root, twb_head *head, twb_rival_job *job)
{
    ondemand::array changes;
    if (!named(job, root.find_field("product_id"), head) || root.find_field("changes").get_array().get(changes))
        return false;
    for (auto each : changes) {
        ondemand::array fields;
        row next;
        unsigned count = 0;
        bool good = !each.get_array().get(fields);
        for (auto field : fields) {
            good &= count == 0   ? sells(field, &next.ask)
                    : count == 1 ? decimal_of(field, &next.price)
                                 : decimal_of(field, &next.amount);
            count++;
        }
        if (!good || count != 3 || it.row_count == ROWS_MAX)
            return false;
        it.rows[it.row_count++] = next;
    }
    return iso_of(root.find_field("time"), head) && put_staged(it, job, head, true);
}

bool coinbase(state &it, twb_kind kind, ondemand::object &root, twb_head *head, twb_rival_job *job)
{
    if (kind == TWB_DELTA)
        return coinbase_delta(it, root, head, job);
    if (kind == TWB_SNAPSHOT)
        return named(job, root.find_field("product_id"), head) && read_rows(root.find_field("asks"), stage(it, true)) &&
               read_rows(root.find_field("bids"), stage(it, false)) && put_staged(it, job, head, false);
    if (kind == TWB_TRADE) {
        bool maker_sells;
        twb_trade_fields trade{};
        if (!bare_id_of(root.find_field("trade_id"), &trade) || !sells(root.find_field("side"), &maker_sells) ||
            !decimal_of(root.find_field("size"), &trade.amount) ||
            !decimal_of(root.find_field("price"), &trade.price) || !named(job, root.find_field("product_id"), head) ||
            !iso_of(root.find_field("time"), head))
            return false;
        trade.sell = !maker_sells;
        return twb_put_trade(job, head, &trade);
    }
    twb_quote_fields quote{};
    return named(job, root.find_field("product_id"), head) && decimal_of(root.find_field("best_bid"), &quote.bid) &&
           decimal_of(root.find_field("best_ask"), &quote.ask) && iso_of(root.find_field("time"), head) &&
           twb_put_quote(job, head, &quote);
}

bool kraken_data(state &it, twb_kind kind, ondemand::object &data, twb_head *head, twb_rival_job *job)
{
    if (!named(job, data.find_field("symbol"), head))
        return false;
    if (kind == TWB_TRADE) {
        twb_trade_fields trade{};
        return sells(data.find_field("side"), &trade.sell) && bare_decimal_of(data.find_field("price"), &trade.price) &&
               bare_decimal_of(data.find_field("qty"), &trade.amount) &&
               bare_id_of(data.find_field("trade_id"), &trade) && iso_of(data.find_field("timestamp"), head) &&
               twb_put_trade(job, head, &trade);
    }
    if (kind == TWB_QUOTE) {
        twb_quote_fields quote;
        return bare_decimal_of(data.find_field("bid"), &quote.bid) &&
               bare_decimal_of(data.find_field("bid_qty"), &quote.bid_amount) &&
               bare_decimal_of(data.find_field("ask"), &quote.ask) &&
               bare_decimal_of(data.find_field("ask_qty"), &quote.ask_amount) &&
               iso_of(data.find_field("timestamp"), head) && twb_put_quote(job, head, &quote);
    }
    uint64_t checksum;
    if (!read_objects(data.find_field("bids"), stage(it, false)) ||
        !read_objects(data.find_field("asks"), stage(it, true)) ||
        data.find_field("checksum").get_uint64().get(checksum) || !iso_of(data.find_field("timestamp"), head))
        return false;
    job->check += checksum;
    return put_staged(it, job, head, true);
}

bool kraken(state &it, twb_kind kind, ondemand::object &root, twb_head *head, twb_rival_job *job)
{
    std::string_view channel;
    ondemand::array list;
    if (!text_of(root.find_field("channel"), &channel) || root.find_field("data").get_array().get(list))
        return false;
    job->check += channel.size();
    for (auto each : list) {
        ondemand::object data;
        if (each.get_object().get(data) || !kraken_data(it, kind, data, head, job))
            return false;
    }
    return true;
}

bool parse(twb_format format, twb_kind kind, const twb_message *message, twb_rival_job *job)
{
    static bool (*const parsers[TWB_FORMAT_COUNT])(state &, twb_kind, ondemand::object &, twb_head *,
                                                   twb_rival_job *) = {binance, okx, bybit, coinbase, kraken};
    static_assert(TWB_PADDING_BYTES >= SIMDJSON_PADDING, "the messages are padded for it");
    state &it = kept();
    ondemand::document document;
    ondemand::object root;
    twb_head head{};
    head.recv_ns = message->recv_ns;
    head.snapshot = kind == TWB_SNAPSHOT;
    it.row_count = 0;
    return !it.parser.iterate(message->bytes, message->len, message->len + SIMDJSON_PADDING).get(document) &&
           !document.get_object().get(root) && parsers[format](it, kind, root, &head, job);
}

} // namespace

extern "C" {

extern const twb_rival_fn twb_simdjson_parse = parse;

const char *twb_simdjson_name(void)
{
    static const std::string name =
        "simdjson " + std::to_string(SIMDJSON_VERSION_MAJOR) + "." + std::to_string(SIMDJSON_VERSION_MINOR) + " (" +
        get_active_implementation()->name() + ", on-demand " + builtin_implementation()->name() + ")";
    return name.c_str();
}
}
