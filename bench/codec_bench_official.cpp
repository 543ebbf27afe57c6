/* codec_bench_official.cpp - see codec_bench.h. */
#include <string_view>

#include "bench/codec_bench.h"
#include "market_generated.h"

struct twb_official {
    flatbuffers::FlatBufferBuilder builder;
};

twb_official *twb_official_open(void)
{
    return new twb_official;
}

void twb_official_close(twb_official *official)
{
    delete official;
}

size_t twb_official_encode_trade(twb_official *official, const tw_instrument *instrument, const tw_record *record,
                                 const char *id, size_t id_len, const uint8_t **bytes)
{
    flatbuffers::FlatBufferBuilder &builder = official->builder;
    const tw_event *event = record->events;
    builder.Clear();
    auto exchange = builder.CreateString(instrument->exchange, instrument->exchange_len);
    auto symbol = builder.CreateString(instrument->symbol, instrument->symbol_len);
    auto id_text = builder.CreateString(id, id_len);
    auto side = (event->flags & TW_FLAG_SELL) != 0 ? tickwire::Side_Sell : tickwire::Side_Buy;
    auto trade = tickwire::CreateTrade(builder, event->u.trade.price, event->u.trade.amount, event->price_exponent,
                                       event->amount_exponent, side, (event->flags & TW_FLAG_HISTORY) != 0, id_text);
    auto message =
        tickwire::CreateMessage(builder, tickwire::Data_Trade, trade.Union(), exchange, symbol, record->seq,
                                record->prev_seq, record->folded, event->venue_ns, event->recv_ns, record->publish_ns);
    tickwire::FinishMessageBuffer(builder, message);
    *bytes = builder.GetBufferPointer();
    return builder.GetSize();
}

uint64_t twb_official_decode_trade(const uint8_t *bytes, size_t len)
{
    flatbuffers::Verifier verifier(bytes, len);
    if (!tickwire::VerifyMessageBuffer(verifier)) {
        return 0;
    }
    const tickwire::Message *message = tickwire::GetMessage(bytes);
    const tickwire::Trade *trade = message->data_as_Trade();
    if (trade == nullptr) {
        return 0;
    }
    uint64_t sum = message->seq() + message->prev_seq() + message->folded();
    sum += uint64_t(message->timestamp_ns()) + uint64_t(message->recv_ns()) + uint64_t(message->publish_ns());
    sum += message->exchange()->size() + message->symbol()->size() + trade->id()->size();
    sum += uint64_t(trade->price()) + uint64_t(trade->amount()) + uint64_t(trade->price_exponent());
    return sum + uint64_t(trade->amount_exponent()) + trade->side() + trade->history();
}
