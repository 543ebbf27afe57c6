/* summary.c - figures of a replayed feed; see summary.h. */
#include "feed/summary.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "engine/base/trade_id.h"

enum { DIGEST_LEVELS = 25, SUM_DECIMALS = 18, BOOK_LEVELS = 131072 };
#define SUM_UNIT UINT64_C(1000000000000000000)

static tw_event *claim(void *owner)
{
    return &((twi_summary *)owner)->event;
}

static void commit(void *owner)
{
    twi_summary *summary = owner;
    twi_summary_event(summary, &summary->event);
}

tw_status twi_summary_open(twi_summary *summary, const tw_symbols *symbols, uint32_t instrument_count_max)
{
    *summary = (twi_summary){.symbols = symbols, .capacity = instrument_count_max};
    summary->entries = calloc(instrument_count_max, sizeof(*summary->entries));
    if (summary->entries == NULL)
        return TW_NO_MEMORY;
    summary->sink = (tw_sink){.claim = claim, .commit = commit, .owner = summary};
    return TW_OK;
}

void twi_summary_close(twi_summary *summary)
{
    for (uint32_t i = 0; i < summary->capacity && summary->entries != NULL; i++)
        free(summary->entries[i].book_memory);
    free(summary->entries);
    *summary = (twi_summary){0};
}

tw_sink *twi_summary_sink(twi_summary *summary)
{
    return &summary->sink;
}

/* ---- events ---- */

static void add_amount(twi_amount_sum *sum, tw_decimal amount)
{
    int64_t unit = 1, mantissa = amount.mantissa;
    int exponent = amount.exponent;
    for (; exponent > 0 && !__builtin_mul_overflow(mantissa, 10, &mantissa); exponent--)
        ;
    for (; exponent < -SUM_DECIMALS; exponent++)
        mantissa /= 10;
    for (int i = exponent; i < 0; i++)
        unit *= 10;
    sum->whole += mantissa / unit;
    sum->fraction += (uint64_t)(mantissa % unit) * (SUM_UNIT / (uint64_t)unit);
    if (sum->fraction >= SUM_UNIT) {
        sum->fraction -= SUM_UNIT;
        sum->whole++;
    }
}

static void on_trade(twi_summary_symbol *entry, const tw_event *event)
{
    twi_summary_trade trade = {.price = {event->u.trade.price, event->price_exponent},
                               .amount = {event->u.trade.amount, event->amount_exponent},
                               .sell = (event->flags & TW_FLAG_SELL) != 0,
                               .venue_ns = event->venue_ns};
    _Static_assert((int)TWI_SUMMARY_ID_MAX > (int)TWI_TRADE_ID_BYTES_MAX, "every id fits");
    tw_id_kind kind = (tw_id_kind)((event->flags & TW_ID_KIND_MASK) >> TW_ID_KIND_SHIFT);
    size_t len = twi_trade_id_format(kind, event->u.trade.id, trade.id);
    trade.id[len] = 0;
    if (entry->trades++ == 0)
        entry->first = trade;
    entry->last = trade;
    entry->history += (event->flags & TW_FLAG_HISTORY) != 0;
    entry->buys += !trade.sell;
    add_amount(&entry->amount_sum, trade.amount);
}

static void on_book_event(twi_summary *summary, twi_summary_symbol *entry, const tw_event *event)
{
    if (entry->book_memory == NULL) {
        entry->book_memory = malloc(twi_book_size(BOOK_LEVELS));
        if (entry->book_memory == NULL) {
            summary->book_errors++;
            return;
        }
        twi_book_init(&entry->book, entry->book_memory, BOOK_LEVELS);
    }
    if ((event->flags & TW_FLAG_FIRST) != 0) {
        entry->groups++;
        entry->broken_groups += entry->in_group;
    }
    entry->in_group = (event->flags & TW_FLAG_LAST) == 0;
    if (event->kind == TW_EVENT_LEVEL)
        entry->last_seq = event->u.level.venue_seq;
    if (twi_book_apply_event(&entry->book, event) != TW_OK)
        summary->book_errors++;
}

void twi_summary_event(twi_summary *summary, const tw_event *event)
{
    summary->events++;
    if (event->instrument >= summary->capacity)
        return;
    if (event->instrument >= summary->count)
        summary->count = event->instrument + 1;
    twi_summary_symbol *entry = &summary->entries[event->instrument];
    switch (event->kind) {
    case TW_EVENT_TRADE:
        on_trade(entry, event);
        break;
    case TW_EVENT_QUOTE:
        entry->quotes++;
        entry->bid = (tw_decimal){event->u.quote.bid, event->price_exponent};
        entry->ask = (tw_decimal){event->u.quote.ask, event->price_exponent};
        entry->bid_amount = (tw_decimal){event->u.quote.bid_amount, event->amount_exponent};
        entry->ask_amount = (tw_decimal){event->u.quote.ask_amount, event->amount_exponent};
        break;
    case TW_EVENT_LEVEL:
    case TW_EVENT_BOOK_CLEAR:
        on_book_event(summary, entry, event);
        break;
    case TW_EVENT_STATUS:
        entry->statuses++;
        entry->state = event->u.status.state;
        break;
    default:
        break;
    }
}

void twi_summary_take_stats(twi_summary *summary, const tw_feed_ops *ops, const void *state)
{
    tw_feed_symbol_stats stats;
    for (uint32_t i = 0; ops->symbol_stats(state, i, &stats) == TW_OK; i++) {
        if (stats.instrument >= summary->capacity)
            continue;
        if (stats.instrument >= summary->count)
            summary->count = stats.instrument + 1;
        summary->entries[stats.instrument].stats = stats;
    }
}

/* ---- output ---- */

size_t twi_plain_decimal(tw_decimal value, char *out)
{
    while (value.exponent < 0 && value.mantissa % 10 == 0 && value.mantissa != 0) {
        value.mantissa /= 10;
        value.exponent++;
    }
    if (value.mantissa == 0)
        value.exponent = 0;
    size_t len = tw_decimal_format(value, out);
    out[len] = 0;
    return len;
}

static uint32_t digest_side(uint32_t crc, const twi_book *book, twi_side side, char letter)
{
    uint32_t count = twi_book_count(book, side);
    for (uint32_t i = 0; i < count && i < DIGEST_LEVELS; i++) {
        char line[2 * TW_DECIMAL_TEXT_MAX + 8], price[TW_DECIMAL_TEXT_MAX + 1], amount[TW_DECIMAL_TEXT_MAX + 1];
        twi_level level = twi_book_level(book, side, i);
        twi_plain_decimal(level.price, price);
        twi_plain_decimal(level.amount, amount);
        int len = snprintf(line, sizeof(line), "%c %s %s\n", letter, price, amount);
        crc = (uint32_t)crc32(crc, (const Bytef *)line, (uInt)len);
    }
    return crc;
}

uint32_t twi_summary_digest(const twi_book *book)
{
    uint32_t crc = (uint32_t)crc32(0, NULL, 0);
    return digest_side(digest_side(crc, book, TWI_BID, 'b'), book, TWI_ASK, 'a');
}

typedef struct writer {
    char *out;
    size_t len;
} writer;

static void put(writer *to, const char *format, ...) TWI_PRINTF(2, 3);

static void put(writer *to, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(to->out + to->len, TWI_SUMMARY_TEXT_MAX - to->len, format, arguments);
    va_end(arguments);
    if (len > 0 && (size_t)len < TWI_SUMMARY_TEXT_MAX - to->len)
        to->len += (size_t)len;
}

static void put_sum(writer *to, twi_amount_sum sum)
{
    char fraction[SUM_DECIMALS + 1];
    snprintf(fraction, sizeof(fraction), "%018" PRIu64, sum.fraction);
    size_t len = SUM_DECIMALS;
    while (len > 0 && fraction[len - 1] == '0')
        len--;
    fraction[len] = 0;
    put(to, "%" PRId64 "%s%s", sum.whole, len > 0 ? "." : "", fraction);
}

static void put_decimal(writer *to, tw_decimal value)
{
    char text[TW_DECIMAL_TEXT_MAX + 1];
    twi_plain_decimal(value, text);
    put(to, "%s", text);
}

/* The best level of a side, whose price is 0 if there is none. */
static twi_level best_of(const twi_summary_symbol *entry, twi_side side)
{
    twi_level level = {0};
    if (entry->book_memory != NULL)
        (void)twi_book_best(&entry->book, side, &level);
    return level;
}

static uint32_t levels_of(const twi_summary_symbol *entry, twi_side side)
{
    return entry->book_memory != NULL ? twi_book_count(&entry->book, side) : 0;
}

static uint32_t digest_of(const twi_summary_symbol *entry)
{
    return entry->book_memory != NULL ? twi_summary_digest(&entry->book) : 0;
}

static void put_text_trade(writer *to, const char *name, const twi_summary_trade *trade)
{
    put(to, " %s=%s ", name, trade->id[0] != 0 ? trade->id : "-");
    put_decimal(to, trade->price);
    put(to, " ");
    put_decimal(to, trade->amount);
    put(to, " %s %" PRId64, trade->sell ? "sell" : "buy", trade->venue_ns / 1000000);
}

static void put_text_level(writer *to, const char *name, tw_decimal price, tw_decimal amount)
{
    put(to, " %s=", name);
    if (price.mantissa == 0) {
        put(to, "-");
        return;
    }
    put_decimal(to, price);
    put(to, " x ");
    put_decimal(to, amount);
}

size_t twi_summary_text(const twi_summary *summary, uint32_t instrument, char *out)
{
    const twi_summary_symbol *entry = &summary->entries[instrument];
    const tw_instrument *name = tw_symbols_get(summary->symbols, instrument);
    const tw_feed_symbol_stats *stats = &entry->stats;
    writer to = {.out = out};
    put(&to, "%s (%s): trades=%" PRIu64 " history=%" PRIu64 " buys=%" PRIu64 " amount=", name->venue_id, name->symbol,
        entry->trades, entry->history, entry->buys);
    put_sum(&to, entry->amount_sum);
    if (entry->trades > 0) {
        put_text_trade(&to, "first", &entry->first);
        put_text_trade(&to, "last", &entry->last);
    }
    put(&to, " quotes=%" PRIu64, entry->quotes);
    if (entry->quotes > 0) {
        put_text_level(&to, "quote_bid", entry->bid, entry->bid_amount);
        put_text_level(&to, "quote_ask", entry->ask, entry->ask_amount);
    }
    put(&to,
        " snapshots=%" PRIu64 " deltas=%" PRIu64 " applied=%" PRIu64 " stale=%" PRIu64 " gaps=%" PRIu64
        " checksums=%" PRIu64 "/%" PRIu64 " seq=%" PRIu64,
        stats->snapshots, stats->deltas, stats->applied, stats->stale, stats->gaps + stats->crossed,
        stats->checksums_equal, stats->checksums, stats->last_seq);
    twi_level bid = best_of(entry, TWI_BID), ask = best_of(entry, TWI_ASK);
    put_text_level(&to, "bid", bid.price, bid.amount);
    put_text_level(&to, "ask", ask.price, ask.amount);
    put(&to, " levels=%u/%u state=%s digest25=%08x", levels_of(entry, TWI_BID), levels_of(entry, TWI_ASK),
        tw_book_state_name(stats->book_state), digest_of(entry));
    return to.len;
}

/* Names come from a venue: what JSON must escape is replaced. */
static void put_json_string(writer *to, const char *text)
{
    put(to, "\"");
    for (; *text != 0; text++)
        put(to, "%c", *text == '"' || *text == '\\' || (unsigned char)*text < 0x20 ? '?' : *text);
    put(to, "\"");
}

static void put_json_trade(writer *to, const char *name, const twi_summary_trade *trade)
{
    put(to, ",\"%s\":{\"id\":", name);
    if (trade->id[0] != 0)
        put_json_string(to, trade->id);
    else
        put(to, "null");
    put(to, ",\"price\":");
    put_decimal(to, trade->price);
    put(to, ",\"amount\":");
    put_decimal(to, trade->amount);
    put(to, ",\"side\":\"%s\",\"timestamp\":%" PRId64 "}", trade->sell ? "sell" : "buy", trade->venue_ns / 1000000);
}

static void put_json_level(writer *to, const char *name, tw_decimal price, tw_decimal amount)
{
    put(to, ",\"%s\":", name);
    if (price.mantissa == 0) {
        put(to, "null");
        return;
    }
    put(to, "[");
    put_decimal(to, price);
    put(to, ",");
    put_decimal(to, amount);
    put(to, "]");
}

size_t twi_summary_json(const twi_summary *summary, uint32_t instrument, char *out)
{
    const twi_summary_symbol *entry = &summary->entries[instrument];
    const tw_instrument *name = tw_symbols_get(summary->symbols, instrument);
    const tw_feed_symbol_stats *stats = &entry->stats;
    writer to = {.out = out};
    put(&to, "{\"exchange\":");
    put_json_string(&to, name->exchange);
    put(&to, ",\"id\":");
    put_json_string(&to, name->venue_id);
    put(&to, ",\"symbol\":");
    put_json_string(&to, name->symbol);
    put(&to,
        ",\"trades\":{\"count\":%" PRIu64 ",\"history\":%" PRIu64 ",\"buys\":%" PRIu64 ",\"amount\":", entry->trades,
        entry->history, entry->buys);
    put_sum(&to, entry->amount_sum);
    if (entry->trades > 0) {
        put_json_trade(&to, "first", &entry->first);
        put_json_trade(&to, "last", &entry->last);
    }
    put(&to, "},\"quotes\":{\"count\":%" PRIu64, entry->quotes);
    if (entry->quotes > 0) {
        put_json_level(&to, "bid", entry->bid, entry->bid_amount);
        put_json_level(&to, "ask", entry->ask, entry->ask_amount);
    }
    put(&to,
        "},\"book\":{\"snapshots\":%" PRIu64 ",\"deltas\":%" PRIu64 ",\"applied\":%" PRIu64 ",\"stale\":%" PRIu64
        ",\"gaps\":%" PRIu64 ",\"crossed\":%" PRIu64 ",\"checksums_equal\":%" PRIu64 ",\"checksums\":%" PRIu64,
        stats->snapshots, stats->deltas, stats->applied, stats->stale, stats->gaps, stats->crossed,
        stats->checksums_equal, stats->checksums);
    if (stats->last_seq != 0)
        put(&to, ",\"last_seq\":%" PRIu64, stats->last_seq);
    else
        put(&to, ",\"last_seq\":null");
    twi_level bid = best_of(entry, TWI_BID), ask = best_of(entry, TWI_ASK);
    put_json_level(&to, "bid", bid.price, bid.amount);
    put_json_level(&to, "ask", ask.price, ask.amount);
    put(&to, ",\"bid_levels\":%u,\"ask_levels\":%u,\"state\":\"%s\",\"digest25\":\"%08x\"}}", levels_of(entry, TWI_BID),
        levels_of(entry, TWI_ASK), tw_book_state_name(stats->book_state), digest_of(entry));
    return to.len;
}
