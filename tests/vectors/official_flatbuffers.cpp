/* official_flatbuffers.cpp - the official FlatBuffers library verifies and reads what our encoder writes, and what the
 * official builder writes is read by our decoder.
 *
 * Usage:    official_flatbuffers [SEED]   prints the seed; ends with 1 at the first difference. */
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "market_generated.h"
#include "tests/vectors/record_source.h"
#include "tickwire/decimal.h"

namespace
{

constexpr int rounds = 20000;

struct failure {
    const char *what;
};

void expect(bool condition, const char *what)
{
    if (!condition) {
        throw failure{what};
    }
}

bool same(int64_t a, int8_t a_exponent, int64_t b, int8_t b_exponent)
{
    return tw_decimal_compare(tw_decimal{a, a_exponent}, tw_decimal{b, b_exponent}) == 0;
}

void check_trade(const tickwire::Trade *trade, const tw_event &event, const char *id)
{
    expect(trade->price() == event.u.trade.price && trade->price_exponent() == event.price_exponent, "price");
    expect(trade->amount() == event.u.trade.amount && trade->amount_exponent() == event.amount_exponent, "amount");
    expect((trade->side() == tickwire::Side_Sell) == ((event.flags & TW_FLAG_SELL) != 0), "side");
    expect(trade->history() == ((event.flags & TW_FLAG_HISTORY) != 0), "history");
    expect(trade->id() != nullptr ? trade->id()->str() == id : *id == '\0', "id");
}

void check_quote(const tickwire::Quote *quote, const tw_event &event)
{
    expect(quote->bid() == event.u.quote.bid && quote->ask() == event.u.quote.ask, "prices");
    expect(quote->bid_volume() == event.u.quote.bid_amount && quote->ask_volume() == event.u.quote.ask_amount,
           "volumes");
    expect(quote->price_exponent() == event.price_exponent, "price_exponent");
    expect(quote->amount_exponent() == event.amount_exponent, "amount_exponent");
}

void check_candle(const tickwire::Candle *candle, const tw_event *events)
{
    expect(candle->open() == events[0].u.candle.open && candle->high() == events[0].u.candle.high, "open, high");
    expect(candle->low() == events[0].u.candle.low && candle->close() == events[0].u.candle.close, "low, close");
    expect(candle->volume() == events[1].u.candle_tail.volume, "volume");
    expect(candle->interval_ns() == events[1].u.candle_tail.interval_ns, "interval_ns");
    expect(candle->price_exponent() == events[0].price_exponent, "price_exponent");
    expect(candle->amount_exponent() == events[1].amount_exponent, "amount_exponent");
    expect(candle->closed() == ((events[0].flags & TW_FLAG_CLOSED) != 0), "closed");
}

void check_status(const tickwire::Status *status, const tw_event &event)
{
    expect(status->state() == event.u.status.state && status->reason() == event.u.status.reason, "state, reason");
    expect(status->from() == event.u.status.from && status->to() == event.u.status.to, "from, to");
}

void check_loss(const tickwire::Loss *loss, const tw_event &event)
{
    expect(loss->from() == event.u.loss.from && loss->to() == event.u.loss.to, "from, to");
    expect(loss->count() == event.u.loss.count && loss->interval_s() == event.u.loss.interval_s, "count, interval");
    expect(loss->channel() == event.u.loss.channel && loss->reason() == event.u.loss.reason, "channel, reason");
}

/* The levels of one side of the record, in their order. */
std::vector<const tw_event *> side_of(const tw_record &record, uint8_t side)
{
    std::vector<const tw_event *> levels;
    for (uint32_t i = 0; i < record.event_count && record.events[0].kind == TW_EVENT_LEVEL; i++) {
        if ((record.events[i].flags & TW_FLAG_ASK) == side) {
            levels.push_back(&record.events[i]);
        }
    }
    return levels;
}

void check_side(const flatbuffers::Vector<const tickwire::Level *> *levels, const tickwire::Book *book,
                const tw_record &record, uint8_t side)
{
    std::vector<const tw_event *> expected = side_of(record, side);
    expect(levels != nullptr && levels->size() == expected.size(), "level count");
    for (uint32_t i = 0; i < levels->size(); i++) {
        const tickwire::Level *level = levels->Get(i);
        const tw_event *event = expected[i];
        expect(same(level->price(), book->price_exponent(), event->u.level.price, event->price_exponent),
               "level price");
        expect(same(level->amount(), book->amount_exponent(), event->u.level.amount, event->amount_exponent), "amount");
    }
}

void check_wide_side(const flatbuffers::Vector<const tickwire::WideLevel *> *levels, const tw_record &record,
                     uint8_t side)
{
    std::vector<const tw_event *> expected = side_of(record, side);
    expect(levels != nullptr && levels->size() == expected.size(), "level count");
    for (uint32_t i = 0; i < levels->size(); i++) {
        const tickwire::WideLevel *level = levels->Get(i);
        const tw_event *event = expected[i];
        expect(level->price() == event->u.level.price && level->price_exponent() == event->price_exponent, "price");
        expect(level->amount() == event->u.level.amount && level->amount_exponent() == event->amount_exponent,
               "amount");
    }
}

void check_any_book(const tickwire::Message *message, const tw_record &record)
{
    bool snapshot = (record.events[0].flags & TW_FLAG_SNAPSHOT) != 0;
    if (const tickwire::Book *book = message->data_as_Book()) {
        expect(book->snapshot() == snapshot, "snapshot");
        check_side(book->bids(), book, record, 0);
        check_side(book->asks(), book, record, TW_FLAG_ASK);
        return;
    }
    const tickwire::WideBook *book = message->data_as_WideBook();
    expect(book != nullptr, "neither Book nor WideBook");
    expect(book->snapshot() == snapshot, "snapshot");
    check_wide_side(book->bids(), record, 0);
    check_wide_side(book->asks(), record, TW_FLAG_ASK);
}

void check_data(const tickwire::Message *message, const tw_record &record, const char *id)
{
    const tw_event *events = record.events;
    switch (events[0].kind) {
    case TW_EVENT_TRADE:
        expect(message->data_as_Trade() != nullptr, "not a Trade");
        return check_trade(message->data_as_Trade(), events[0], id);
    case TW_EVENT_QUOTE:
        expect(message->data_as_Quote() != nullptr, "not a Quote");
        return check_quote(message->data_as_Quote(), events[0]);
    case TW_EVENT_CANDLE:
        expect(message->data_as_Candle() != nullptr, "not a Candle");
        return check_candle(message->data_as_Candle(), events);
    case TW_EVENT_STATUS:
        expect(message->data_as_Status() != nullptr, "not a Status");
        return check_status(message->data_as_Status(), events[0]);
    case TW_EVENT_LOSS:
        expect(message->data_as_Loss() != nullptr, "not a Loss");
        return check_loss(message->data_as_Loss(), events[0]);
    default:
        return check_any_book(message, record);
    }
}

void check_message(const tickwire::Message *message, const tw_symbols *symbols, const tw_record &record)
{
    const tw_instrument *instrument = tw_symbols_get(symbols, record.events[0].instrument);
    expect(message->exchange()->str() == instrument->exchange, "exchange");
    expect(message->symbol()->str() == instrument->symbol, "symbol");
    expect(message->seq() == record.seq && message->prev_seq() == record.prev_seq, "seq, prev_seq");
    expect(message->folded() == record.folded, "folded");
    expect(message->timestamp_ns() == record.events[0].venue_ns, "timestamp_ns");
    expect(message->recv_ns() == record.events[0].recv_ns, "recv_ns");
    expect(message->publish_ns() == record.publish_ns, "publish_ns");
}

/* Takes the message apart and builds it again with the official builder: another layout of the same content. */
std::vector<uint8_t> rebuild(const uint8_t *bytes)
{
    std::unique_ptr<tickwire::MessageT> object(tickwire::GetMessage(bytes)->UnPack());
    flatbuffers::FlatBufferBuilder builder;
    tickwire::FinishMessageBuffer(builder, tickwire::CreateMessage(builder, object.get()));
    return {builder.GetBufferPointer(), builder.GetBufferPointer() + builder.GetSize()};
}

void check_rebuilt(tw_symbols *symbols, const std::vector<uint8_t> &ours, const std::vector<uint8_t> &theirs)
{
    std::vector<tw_event> a(TW_ID_TEXT + 64), b(TW_ID_TEXT + 64);
    tw_record a_record, b_record;
    uint32_t a_count = uint32_t(a.size()), b_count = uint32_t(b.size());
    tw_status a_status = tw_codec_flatbuffers.decode(symbols, ours.data(), ours.size(), a.data(), &a_count, &a_record);
    tw_status b_status =
        tw_codec_flatbuffers.decode(symbols, theirs.data(), theirs.size(), b.data(), &b_count, &b_record);
    expect(a_status == TW_OK && b_status == TW_OK, "decoding what the official builder wrote");
    expect(a_count == b_count && std::memcmp(a.data(), b.data(), a_count * sizeof(tw_event)) == 0, "rebuilt events");
    expect(a_record.seq == b_record.seq && a_record.prev_seq == b_record.prev_seq, "rebuilt seq");
    expect(a_record.folded == b_record.folded && a_record.publish_ns == b_record.publish_ns, "rebuilt head");
}

void check_record(tw_symbols *symbols, const tw_record &record, const char *id)
{
    std::vector<uint8_t> out(tw_codec_flatbuffers.bound(record.event_count));
    out.resize(tw_codec_flatbuffers.encode(symbols, &record, out.data(), out.size()));
    out.shrink_to_fit();
    flatbuffers::Verifier verifier(out.data(), out.size());
    expect(tickwire::VerifyMessageBuffer(verifier), "the official verifier refuses it");
    const tickwire::Message *message = tickwire::GetMessage(out.data());
    check_message(message, symbols, record);
    check_data(message, record, id);
    check_rebuilt(symbols, out, rebuild(out.data()));
}

} // namespace

int main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 20240603;
    std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
    twt_record_source *source = twt_record_source_open(seed);
    int round = 0;
    int result = 0;
    try {
        for (; round < rounds; round++) {
            const char *id;
            tw_record record = twt_record_source_next(source, &id);
            check_record(twt_record_source_symbols(source), record, id);
        }
        std::printf("%d records verified and read by the official library, and back\n", rounds);
    } catch (const failure &found) {
        std::printf("round %d: %s\n", round, found.what);
        result = 1;
    }
    twt_record_source_close(source);
    return result;
}
