/* registry.c - finds a venue by name, by URL, by the look of its messages. */
#include "feed/registry.h"

static const tw_feed_ops *const FEEDS[] = {
    &twi_feed_binance,  &twi_feed_binanceusdm, &twi_feed_coinbase_exchange,
    &twi_feed_coinbase, &twi_feed_kraken,      &twi_feed_kraken_v1,
    &twi_feed_okx,      &twi_feed_bybit,       &twi_feed_bitstamp,
    &twi_feed_deribit,  &twi_feed_bitmex,      &twi_feed_gemini,
    &twi_feed_htx,      &twi_feed_kucoin,      &twi_feed_gate,
    &twi_feed_bitfinex,
};
enum { FEED_COUNT = sizeof(FEEDS) / sizeof(*FEEDS) };

/* What stream URLs have in common, past and present; the first that is part of the URL wins. */
static const struct {
    const char *part;
    const tw_feed_ops *feed;
} HOSTS[] = {
    {"fstream.binance.com", &twi_feed_binanceusdm},
    {"stream.binance.", &twi_feed_binance},
    {"ws-feed.", &twi_feed_coinbase_exchange},
    {"advanced-trade-ws.", &twi_feed_coinbase},
    {"ws.kraken.com/v2", &twi_feed_kraken},
    {"ws.kraken.com", &twi_feed_kraken_v1},
    {".okx.com", &twi_feed_okx},
    {"stream.bybit", &twi_feed_bybit},
    {"ws.bitstamp.net", &twi_feed_bitstamp},
    {"deribit.com/ws", &twi_feed_deribit},
    {"bitmex.com/realtime", &twi_feed_bitmex},
    {"api.gemini.com", &twi_feed_gemini},
    {"api.huobi.pro/ws", &twi_feed_htx},
    {"kucoin.com", &twi_feed_kucoin},
    {"api.gateio.ws", &twi_feed_gate},
    {"fx-ws.gateio.ws", &twi_feed_gate},
    {"bitfinex.com/ws", &twi_feed_bitfinex},
};

const tw_feed_ops *tw_feed_find(const char *name, size_t name_len)
{
    for (uint32_t i = 0; i < FEED_COUNT; i++) {
        if (strlen(FEEDS[i]->name) == name_len && memcmp(FEEDS[i]->name, name, name_len) == 0)
            return FEEDS[i];
    }
    return NULL;
}

const tw_feed_ops *tw_feed_at(uint32_t index)
{
    return index < FEED_COUNT ? FEEDS[index] : NULL;
}

const tw_feed_ops *tw_feed_detect(const char *url)
{
    for (size_t i = 0; i < sizeof(HOSTS) / sizeof(*HOSTS); i++) {
        if (strstr(url, HOSTS[i].part) != NULL)
            return HOSTS[i].feed;
    }
    return NULL;
}

static bool holds(const uint8_t *msg, size_t msg_len, const char *part)
{
    return memmem(msg, msg_len, part, strlen(part)) != NULL;
}

const tw_feed_ops *tw_feed_detect_message(const uint8_t *msg, size_t msg_len)
{
    if (!holds(msg, msg_len, "{\"stream\":\""))
        return NULL;
    if (!holds(msg, msg_len, "depthUpdate"))
        return holds(msg, msg_len, "bookTicker\",\"u\"") ? &twi_feed_binanceusdm : NULL;
    return holds(msg, msg_len, "\"pu\":") ? &twi_feed_binanceusdm : &twi_feed_binance;
}
