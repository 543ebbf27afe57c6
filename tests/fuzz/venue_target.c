/* venue_target.c - one venue's adapter on hostile frames, answers, time and cuts. Compiled once per venue, with
 * TWT_VENUE as its name; CMakeLists.txt makes the sixteen targets venue_<name>_fuzz of it.
 *
 * Input:    the first byte chooses the configuration; then lines, the first byte of each says what it is:
 *             -FRAME   zFRAME (gzip)   =BODY (answers the oldest request)   ! (answers it with status 429)
 *             wN (N * 100 ms go by)    d (the connection is cut and opened again)    u (the book is left, or taken up)
 * Oracle:   after every line: groups of levels are whole, the book that a subscriber has is the adapter's own whenever
 *           it is said to be ok, and is not crossed then; what is owed to the venue is JSON or a bare word. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <zlib.h>

#include "engine/base/assert.h"
#include "feed/venue.h"

enum {
    INSTRUMENTS_MAX = 8,
    BOOK_LEVELS = 64,
    REQUESTS_MAX = 64,
    GROUP_MAX = 4096,
    OWED_COUNT_MAX = 256,
    PACKED_MAX = 4096,
    STATE_ALIGN = 64
};
#define START_NS (INT64_C(1700000000) * TWI_NS_PER_S)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct driver {
    const tw_feed_ops *ops;
    twi_venue *venue;
    tw_symbols *symbols;
    tw_sink sink;
    tw_event scratch;
    uint32_t group_count;
    twi_book books[INSTRUMENTS_MAX];
    uint16_t states[INSTRUMENTS_MAX];
    uint8_t *memory; /* of the books */
    int64_t now_ns;
    uint32_t asked_first, asked_last;
    bool left;
    tw_request asked[REQUESTS_MAX];
    tw_event group[GROUP_MAX];
} driver;

static const struct {
    const char *venue, *symbols[2];
} SYMBOLS[] = {{"binance", {"BTC/USDT", "ETH/USDT"}},
               {"binanceusdm", {"BTC/USDT:USDT", "ETH/USDT:USDT"}},
               {"coinbaseexchange", {"BTC/USD", "ETH/USD"}},
               {"coinbase", {"BTC/USD", "ETH/USDC"}},
               {"kraken", {"BTC/USD", "ETH/USD"}},
               {"kraken_v1", {"ETH/BTC", "BTC/USD"}},
               {"okx", {"BTC/USDT", "A/B"}},
               {"bybit", {"BTC/USDT", "BTC/USDT:USDT"}},
               {"bitstamp", {"BTC/USD", "ETH/BTC"}},
               {"deribit", {"BTC/USD:BTC", "ETH/USD:ETH"}},
               {"bitmex", {"BTC/USD:BTC", "ETH/USD:BTC"}},
               {"gemini", {"BTC/USD", "ETH/USD"}},
               {"htx", {"BTC/USDT", "ETH/USDT"}},
               {"kucoin", {"BTC/USDT", "ETH/USDT"}},
               {"gate", {"BTC/USDT", "ETH/USDT"}},
               {"bitfinex", {"BTC/USD", "ETH/USD"}}};

static const char *const *symbols_of(const char *venue)
{
    for (size_t i = 0; i < sizeof(SYMBOLS) / sizeof(*SYMBOLS); i++) {
        if (strcmp(SYMBOLS[i].venue, venue) == 0)
            return SYMBOLS[i].symbols;
    }
    TWI_ASSERT(false);
    return NULL;
}

/* ---- events ---- */

static tw_event *claim(void *owner)
{
    return &((driver *)owner)->scratch;
}

static void take_group(driver *d)
{
    for (uint32_t i = 0; i < d->group_count; i++) {
        const tw_event *event = &d->group[i];
        TWI_ASSERT(event->instrument == d->group[0].instrument);
        TWI_ASSERT(((event->flags & TW_FLAG_FIRST) != 0) == (i == 0));
        TWI_ASSERT(event->kind != TW_EVENT_LEVEL || event->u.level.amount >= 0);
        TWI_ASSERT(twi_book_apply_event(&d->books[event->instrument], event) == TW_OK);
    }
    d->group_count = 0;
}

static void commit(void *owner)
{
    driver *d = owner;
    const tw_event *event = &d->scratch;
    TWI_ASSERT(event->instrument < tw_symbols_count(d->symbols));
    TWI_ASSERT(event->recv_ns >= START_NS && event->recv_ns <= d->now_ns);
    if ((event->flags & TW_FLAG_FIRST) != 0)
        d->group_count = 0; /* the one before had no end: it is not taken */
    if (event->kind == TW_EVENT_LEVEL || event->kind == TW_EVENT_BOOK_CLEAR) {
        TWI_ASSERT(d->group_count < GROUP_MAX);
        d->group[d->group_count++] = *event;
        if ((event->flags & TW_FLAG_LAST) != 0)
            take_group(d);
        return;
    }
    TWI_ASSERT((event->flags & TW_FLAG_LAST) != 0);
    if (event->kind == TW_EVENT_STATUS)
        d->states[event->instrument] = event->u.status.state;
    else if (event->kind == TW_EVENT_TRADE)
        TWI_ASSERT(event->u.trade.amount > 0 && event->u.trade.price != 0);
    else
        TWI_ASSERT(event->kind == TW_EVENT_QUOTE);
}

/* ---- the oracle ---- */

static void same_books(const twi_book *a, const twi_book *b)
{
    for (twi_side side = TWI_BID; side <= TWI_ASK; side++) {
        TWI_ASSERT(twi_book_count(a, side) == twi_book_count(b, side));
        for (uint32_t i = 0; i < twi_book_count(a, side); i++) {
            twi_level x = twi_book_level(a, side, i), y = twi_book_level(b, side, i);
            TWI_ASSERT(tw_decimal_compare(x.price, y.price) == 0 && tw_decimal_compare(x.amount, y.amount) == 0);
        }
    }
}

static void check(driver *d)
{
    for (uint32_t i = 0; i < d->venue->slot_count; i++) {
        const twi_slot *slot = &d->venue->slots[i];
        uint32_t instrument = slot->stats.instrument;
        TWI_ASSERT(d->states[instrument] == slot->book_state);
        if (slot->book_state != TW_STATE_OK || !slot->synced)
            continue;
        TWI_ASSERT(!twi_book_crossed(&d->books[instrument]));
        if (slot->stats.levels_dropped == 0 && d->books[instrument].dropped == 0)
            same_books(&slot->book, &d->books[instrument]);
    }
}

static void check_frame(const uint8_t *out, size_t len)
{
    twi_json json;
    if (len == 4 && memcmp(out, "ping", 4) == 0)
        return;
    twi_json_init(&json, out, len);
    twi_json_skip(&json);
    TWI_ASSERT(twi_json_end(&json) == TW_OK);
}

static void poll(driver *d)
{
    static uint8_t out[TW_FEED_OUTPUT_MAX];
    size_t len;
    uint32_t count = 0;
    for (uint32_t link = 0; link < d->ops->link_count(d->venue); link++) {
        while ((len = d->ops->next_output(d->venue, link, d->now_ns, out, sizeof(out))) > 0) {
            check_frame(out, len);
            TWI_ASSERT(++count < OWED_COUNT_MAX);
        }
    }
    tw_request request;
    while (d->ops->next_request(d->venue, d->now_ns, &request)) {
        TWI_ASSERT(request.id != 0 && strncmp(request.url, "https://", 8) == 0 && ++count < OWED_COUNT_MAX);
        if (d->asked_last < REQUESTS_MAX)
            d->asked[d->asked_last++] = request;
    }
    check(d);
}

/* ---- the lines ---- */

static void on_frame(driver *d, const uint8_t *text, size_t len)
{
    uint8_t *copy = malloc(len > 0 ? len : 1); /* ends where its allocation ends */
    TWI_ASSERT(copy != NULL);
    memcpy(copy, text, len);
    d->ops->on_message(d->venue, 0, d->now_ns, copy, len, &d->sink);
    free(copy);
}

static void on_packed(driver *d, const uint8_t *text, size_t len)
{
    static uint8_t packed[PACKED_MAX];
    z_stream stream = {0};
    enum { WINDOW_BITS_GZIP = 15 + 16, MEMORY_LEVEL = 1 };
    if (deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, WINDOW_BITS_GZIP, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
        return;
    stream.next_in = (Bytef *)(uintptr_t)text;
    stream.avail_in = (uInt)len;
    stream.next_out = packed;
    stream.avail_out = sizeof(packed);
    if (deflate(&stream, Z_FINISH) == Z_STREAM_END)
        on_frame(d, packed, stream.total_out);
    deflateEnd(&stream);
}

static void on_answer(driver *d, int status, const uint8_t *text, size_t len)
{
    if (d->asked_first == d->asked_last)
        return;
    const tw_request *request = &d->asked[d->asked_first++];
    tw_response response = {
        .id = request->id, .status = status, .url = request->url, .body = text, .body_len = len, .retry_after_s = 1};
    d->ops->on_response(d->venue, d->now_ns, &response, &d->sink);
}

static void cut(driver *d)
{
    tw_endpoint dial = {.url = "wss://host/"};
    d->ops->link_down(d->venue, 0, d->now_ns, TW_REASON_LINK_DOWN, &d->sink);
    check(d);
    (void)d->ops->link_dial(d->venue, 0, d->now_ns, &dial);
    d->ops->link_up(d->venue, 0, d->now_ns, dial.url);
}

static void toggle_book(driver *d)
{
    enum { BOOK = 1 << TW_CHANNEL_BOOK };
    const char *symbol = symbols_of(TWT_VENUE)[0];
    tw_status status = d->left ? d->ops->watch(d->venue, symbol, strlen(symbol), BOOK)
                               : d->ops->unwatch(d->venue, symbol, strlen(symbol), BOOK);
    (void)status;
    d->left = !d->left;
}

static void wait(driver *d, const uint8_t *text, size_t len)
{
    enum { STEPS_MAX = 999 };
    int64_t steps = 0;
    for (size_t i = 0; i < len && text[i] >= '0' && text[i] <= '9' && steps < STEPS_MAX / 10; i++)
        steps = steps * 10 + (text[i] - '0');
    for (int64_t i = 0; i <= steps; i += 10) {
        d->now_ns += 1000 * TWI_NS_PER_MS;
        d->ops->on_timer(d->venue, d->now_ns, &d->sink);
        poll(d);
    }
}

static void run_line(driver *d, const uint8_t *line, size_t len)
{
    d->now_ns += TWI_NS_PER_MS;
    switch (line[0]) {
    case 'z':
        on_packed(d, line + 1, len - 1);
        break;
    case '=':
        on_answer(d, 200, line + 1, len - 1);
        break;
    case '!':
        on_answer(d, 429, line + 1, len - 1);
        break;
    case 'w':
        wait(d, line + 1, len - 1);
        break;
    case 'd':
        cut(d);
        break;
    case 'u':
        toggle_book(d);
        break;
    default:
        on_frame(d, line + 1, len - 1);
    }
    poll(d);
}

/* ---- set-up ---- */

/* Pages that nobody touches cost nothing: an adapter's state is large and mostly unused here. */
static void *zeroes(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
    TWI_ASSERT(memory != MAP_FAILED);
    return memory;
}

static size_t books_bytes(void)
{
    return INSTRUMENTS_MAX * ((twi_book_size(BOOK_LEVELS) + STATE_ALIGN - 1) & ~(size_t)(STATE_ALIGN - 1));
}

static void open_books(driver *d)
{
    d->memory = zeroes(books_bytes());
    for (uint32_t i = 0; i < INSTRUMENTS_MAX; i++)
        twi_book_init(&d->books[i], d->memory + i * (books_bytes() / INSTRUMENTS_MAX), BOOK_LEVELS);
}

static void run_session(const uint8_t *data, size_t size, bool take_all)
{
    static driver d;
    enum { SLOTS = 4, DEPTH = 50, MARKETS = 8, BACKLOG_BYTES = 4096 };
    tw_feed_config config = {.symbols = symbols_of(TWT_VENUE),
                             .symbol_count = take_all ? 0 : 2,
                             .symbol_count_max = SLOTS,
                             .market_count_max = take_all ? MARKETS : 0,
                             .book_levels_max = BOOK_LEVELS,
                             .book_depth = DEPTH,
                             .backlog_bytes = BACKLOG_BYTES};
    memset(&d, 0, offsetof(driver, asked)); /* what is behind it is written before it is read */
    d.ops = tw_feed_find(TWT_VENUE, strlen(TWT_VENUE));
    d.now_ns = START_NS;
    d.sink = (tw_sink){.claim = claim, .commit = commit, .owner = &d};
    d.symbols = tw_symbols_init(zeroes(tw_symbols_size(INSTRUMENTS_MAX)), INSTRUMENTS_MAX);
    open_books(&d);
    d.venue = zeroes(d.ops->state_size(&config));
    TWI_ASSERT(d.ops->init(d.venue, &config, d.symbols) == TW_OK);
    cut(&d);
    poll(&d);
    for (const uint8_t *end = data + size; data < end;) {
        const uint8_t *stop = memchr(data, '\n', (size_t)(end - data));
        if (stop == NULL)
            stop = end;
        if (stop > data)
            run_line(&d, data, (size_t)(stop - data));
        data = stop < end ? stop + 1 : end;
    }
    d.ops->fini(d.venue);
    munmap(d.venue, d.ops->state_size(&config));
    munmap(d.symbols, tw_symbols_size(INSTRUMENTS_MAX));
    munmap(d.memory, books_bytes());
}

static void ignore_market(void *owner, const tw_market *market)
{
    (void)owner;
    TWI_ASSERT(memchr(market->symbol, 0, sizeof(market->symbol)) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] == 'M') {
        const tw_feed_ops *ops = tw_feed_find(TWT_VENUE, strlen(TWT_VENUE));
        (void)ops->markets_parse(data + 1, size - 1, ignore_market, NULL);
        return 0;
    }
    run_session(data + 1, size - 1, (data[0] & 1) != 0);
    return 0;
}
