/* print.c - events in words, one message per line. */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "engine/base/interval.h"
#include "engine/base/trade_id.h"
#include "tickwire/decimal.h"
#include "tools/tw/cli.h"

#define NS_PER_SECOND INT64_C(1000000000)

enum { TIME_BYTES = 32, LEVELS_SHOWN_MAX = 8 };

const char *twi_cli_time(int64_t unix_ns, char *out)
{
    time_t seconds = (time_t)(unix_ns / NS_PER_SECOND);
    struct tm parts;
    if (unix_ns <= 0 || !gmtime_r(&seconds, &parts))
        return "-";
    size_t len = strftime(out, TIME_BYTES, "%Y-%m-%d %H:%M:%S", &parts);
    snprintf(out + len, TIME_BYTES - len, ".%09" PRId64, unix_ns % NS_PER_SECOND);
    return out;
}

static void print_decimal(FILE *out, int64_t mantissa, int8_t exponent)
{
    char text[TW_DECIMAL_TEXT_MAX];
    size_t len = tw_decimal_format((tw_decimal){mantissa, exponent}, text);
    fwrite(text, 1, len, out);
}

static void print_pair(FILE *out, const tw_event *event, int64_t price, int64_t amount)
{
    print_decimal(out, price, event->price_exponent);
    fputs(" x ", out);
    print_decimal(out, amount, event->amount_exponent);
}

static void print_trade(FILE *out, const tw_event *event)
{
    char id[TWI_TRADE_ID_BYTES_MAX];
    tw_id_kind kind = (tw_id_kind)((event->flags & TW_ID_KIND_MASK) >> TW_ID_KIND_SHIFT);
    size_t len = twi_trade_id_format(kind, event->u.trade.id, id);
    fprintf(out, "%-4s ", event->flags & TW_FLAG_SELL ? "sell" : "buy");
    print_pair(out, event, event->u.trade.price, event->u.trade.amount);
    if (len != 0)
        fprintf(out, "  id %.*s", (int)len, id);
    if (event->flags & TW_FLAG_HISTORY)
        fputs("  history", out);
}

static void print_levels(FILE *out, const tw_event *events, uint32_t count)
{
    int is_snapshot = events[0].flags & TW_FLAG_SNAPSHOT;
    fprintf(out, "%s %u level%s", is_snapshot ? "snapshot" : "change", count, count == 1 ? "" : "s");
    for (uint32_t i = 0; i < count && i < LEVELS_SHOWN_MAX; i++) {
        fprintf(out, "%s%s ", i == 0 ? ": " : ", ", events[i].flags & TW_FLAG_ASK ? "ask" : "bid");
        print_pair(out, &events[i], events[i].u.level.price, events[i].u.level.amount);
    }
    if (count > LEVELS_SHOWN_MAX)
        fputs(", ...", out);
    if (events[0].u.level.venue_seq != 0)
        fprintf(out, "  venue seq %" PRIu64, events[0].u.level.venue_seq);
}

static void print_candle(FILE *out, const tw_event *events, uint32_t count)
{
    const int64_t prices[] = {events->u.candle.open, events->u.candle.high, events->u.candle.low,
                              events->u.candle.close};
    if (count > 1) {
        char interval[TWI_INTERVAL_BYTES_MAX];
        size_t len = twi_interval_format(events[1].u.candle_tail.interval_ns, interval);
        fprintf(out, "%-3.*s ", (int)len, interval);
    }
    for (size_t i = 0; i < sizeof(prices) / sizeof(prices[0]); i++) {
        fputs(i == 0 ? "" : " ", out);
        print_decimal(out, prices[i], events->price_exponent);
    }
    if (count < 2)
        return;
    fputs("  volume ", out);
    print_decimal(out, events[1].u.candle_tail.volume, events[1].amount_exponent);
    fputs(events->flags & TW_FLAG_CLOSED ? "  closed" : "", out);
}

static void print_range(FILE *out, const char *what, uint64_t from, uint64_t to)
{
    if (from != 0 || to != 0)
        fprintf(out, "  %s %" PRIu64 " to %" PRIu64, what, from, to);
}

static const char *kind_name(uint8_t kind)
{
    static const char *const names[] = {"none", "trade", "quote", "book", "status", "candle", "candle", "loss", "book"};
    return kind < sizeof(names) / sizeof(names[0]) ? names[kind] : "unknown";
}

void twi_cli_print_message(FILE *out, const tw_symbols *symbols, const tw_event *events, uint32_t event_count,
                           uint64_t seq)
{
    char time[TIME_BYTES];
    const tw_instrument *instrument = tw_symbols_get(symbols, events->instrument);
    int64_t when_ns = events->recv_ns != 0 ? events->recv_ns : events->venue_ns;
    fprintf(out, "%s  %-6s %s:%s  ", twi_cli_time(when_ns, time), kind_name(events->kind),
            instrument ? instrument->exchange : "?", instrument ? instrument->symbol : "?");
    switch (events->kind) {
    case TW_EVENT_TRADE:
        print_trade(out, events);
        break;
    case TW_EVENT_QUOTE:
        print_pair(out, events, events->u.quote.bid, events->u.quote.bid_amount);
        fputs(" | ", out);
        print_pair(out, events, events->u.quote.ask, events->u.quote.ask_amount);
        break;
    case TW_EVENT_LEVEL:
        print_levels(out, events, event_count);
        break;
    case TW_EVENT_BOOK_CLEAR:
        fputs("snapshot 0 levels", out);
        break;
    case TW_EVENT_STATUS:
        fprintf(out, "%s  %s", tw_book_state_name(events->u.status.state), tw_reason_name(events->u.status.reason));
        print_range(out, "venue sequence", events->u.status.from, events->u.status.to);
        break;
    case TW_EVENT_CANDLE:
        print_candle(out, events, event_count);
        break;
    case TW_EVENT_LOSS:
        fprintf(out, "%" PRIu64 " of channel %s not delivered: %s", events->u.loss.count,
                tw_channel_name(events->u.loss.channel), tw_reason_name(events->u.loss.reason));
        print_range(out, "seq", events->u.loss.from, events->u.loss.to);
        break;
    default:
        break;
    }
    if (seq != 0)
        fprintf(out, "  seq %" PRIu64, seq);
    fputc('\n', out);
}
