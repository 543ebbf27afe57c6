/* exchange_fetch.c - REST calls that block: turn in the venue's budget, request, judgement, structures; see
 * include/tickwire/exchange.h.
 *
 * Way:      the transport is the REST worker of engine/connect; whoever waits for an answer steps it, under the lock.
 * Budget:   requests are spaced by the venue's gap. When a venue says "later" (Retry-After), nobody asks before. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/base/clock.h"
#include "engine/exchange/exchange_internal.h"

enum { URL_MAX = 2048, HEADER_MAX = 256, WHAT_MAX = 96, SAID_MAX = 200, PAUSE_S_MAX = 3600 };
#define SLACK_NS (TWI_EXCHANGE_NS_PER_S / 2) /* the transport has its own limit; ours is only for when it fails */

/* ---- transport ---- */

typedef struct pending {
    twi_answer *answer;
    bool done;
} pending;

static void on_answer(void *owner, const twi_rest_answer *from)
{
    pending *call = owner;
    twi_answer *answer = call->answer;
    answer->status = from->status;
    answer->retry_after_s = from->retry_after_s;
    snprintf(answer->error, sizeof(answer->error), "%s", from->error);
    answer->body = malloc(from->body_len + 1);
    if (answer->body != NULL) {
        memcpy(answer->body, from->body, from->body_len);
        answer->body[from->body_len] = 0;
        answer->body_len = from->body_len;
    } else {
        answer->status = 0;
        snprintf(answer->error, sizeof(answer->error), "no memory for an answer of %zu bytes", from->body_len);
    }
    call->done = true;
}

/* From the worker's thread. */
static void on_wake(void *owner)
{
    tw_exchange *exchange = owner;
    pthread_mutex_lock(&exchange->lock);
    pthread_cond_broadcast(&exchange->answered);
    pthread_mutex_unlock(&exchange->lock);
}

void twi_exchange_wait_on(pthread_cond_t *changed, pthread_mutex_t *lock, int64_t duration_ns)
{
    int64_t until_ns = twi_realtime_ns() + duration_ns;
    struct timespec until = {.tv_sec = (time_t)(until_ns / TWI_EXCHANGE_NS_PER_S),
                             .tv_nsec = (long)(until_ns % TWI_EXCHANGE_NS_PER_S)};
    pthread_cond_timedwait(changed, lock, &until);
}

/* Waits for this request's turn. False: it would come after the deadline; *turn_ns says when. */
static bool take_turn(tw_exchange *exchange, int64_t deadline_ns, int64_t *turn_ns)
{
    int64_t now_ns = twi_monotonic_ns();
    *turn_ns = exchange->paused_until_ns > now_ns ? exchange->paused_until_ns : now_ns;
    if (!exchange->config.no_rate_limit && exchange->next_request_ns > *turn_ns)
        *turn_ns = exchange->next_request_ns;
    if (*turn_ns > deadline_ns)
        return false;
    exchange->next_request_ns = *turn_ns + exchange->fetch->request_gap_ns;
    while ((now_ns = twi_monotonic_ns()) < *turn_ns)
        twi_exchange_wait_on(&exchange->answered, &exchange->lock, *turn_ns - now_ns);
    return true;
}

static tw_status send_and_wait(tw_exchange *exchange, const char *url, int post, int64_t deadline_ns,
                               twi_answer *answer)
{
    char headers[HEADER_MAX] = "";
    pending call = {.answer = answer};
    tw_status status = exchange->rest != NULL ? TW_OK : twi_rest_open(on_wake, exchange, &exchange->rest);
    if (status != TW_OK)
        return status;
    if (exchange->config.user_agent != NULL)
        snprintf(headers, sizeof(headers), "User-Agent: %s\n", exchange->config.user_agent);
    int64_t left_ns = deadline_ns - twi_monotonic_ns();
    const twi_rest_request request = {.url = url,
                                      .post = post,
                                      .headers = headers,
                                      .proxy = exchange->config.proxy,
                                      .ca_file = exchange->config.ca_file,
                                      .timeout_ns = left_ns > TWI_EXCHANGE_NS_PER_MS ? left_ns : TWI_EXCHANGE_NS_PER_MS,
                                      .done = on_answer,
                                      .owner = &call};
    status = twi_rest_start(exchange->rest, &request);
    if (status != TW_OK)
        return status;
    while (!call.done) {
        twi_rest_step(exchange->rest);
        pthread_cond_broadcast(&exchange->answered); /* it may have been another's answer */
        left_ns = deadline_ns + SLACK_NS - twi_monotonic_ns();
        if (!call.done && left_ns <= 0) {
            twi_rest_forget(exchange->rest, &call);
            snprintf(answer->error, sizeof(answer->error), "timed out");
            break;
        }
        if (!call.done)
            twi_exchange_wait_on(&exchange->answered, &exchange->lock, left_ns);
    }
    return TW_OK;
}

/* ---- judgement ---- */

static tw_error_class transport_error(const char *error)
{
    if (strcasestr(error, "timed out") != NULL || strcasestr(error, "timeout") != NULL)
        return TW_ERROR_REQUEST_TIMEOUT;
    if (strcasestr(error, "proxy") != NULL || strcasestr(error, "tunnel") != NULL)
        return TW_ERROR_INVALID_PROXY_SETTINGS;
    return TW_ERROR_NETWORK_ERROR;
}

static const char *remedy_of(tw_error_class error)
{
    switch (error) {
    case TW_ERROR_RATE_LIMIT_EXCEEDED:
        return "ask less often, or share one exchange between threads";
    case TW_ERROR_DDOS_PROTECTION:
        return "this address is banned; stop asking, and wait";
    case TW_ERROR_REQUEST_TIMEOUT:
        return "try again, or open with a greater timeout_ns";
    case TW_ERROR_ON_MAINTENANCE:
        return "the venue is being maintained; try later";
    case TW_ERROR_EXCHANGE_NOT_AVAILABLE:
        return "try again later; look at rest_url if it is your own";
    case TW_ERROR_RESTRICTED_LOCATION:
        return "the venue does not serve this country; a proxy elsewhere may";
    case TW_ERROR_PERMISSION_DENIED:
        return "the venue refuses this address or needs a key for this";
    case TW_ERROR_AUTHENTICATION_ERROR:
        return "the venue, or a proxy before it, wants credentials";
    case TW_ERROR_INVALID_PROXY_SETTINGS:
        return "look at proxy (or https_proxy in the environment; \"none\" ignores it)";
    case TW_ERROR_NETWORK_ERROR:
        return "look at network, rest_url and ca_file";
    case TW_ERROR_BAD_RESPONSE:
        return "this is not the venue's format; look at rest_url and proxy";
    case TW_ERROR_BAD_SYMBOL:
        return "load_markets with reload = 1 shows what there is now";
    default:
        return "see the venue's documentation of its errors";
    }
}

static void take_pause(tw_exchange *exchange, const twi_answer *answer)
{
    int64_t pause_s = answer->retry_after_s < PAUSE_S_MAX ? answer->retry_after_s : PAUSE_S_MAX;
    if (pause_s <= 0)
        return;
    pthread_mutex_lock(&exchange->lock);
    int64_t until_ns = twi_monotonic_ns() + pause_s * TWI_EXCHANGE_NS_PER_S;
    if (until_ns > exchange->paused_until_ns)
        exchange->paused_until_ns = until_ns;
    pthread_mutex_unlock(&exchange->lock);
}

static tw_error_class judge(tw_exchange *exchange, const char *url, const char *what, twi_answer *answer)
{
    char said[SAID_MAX] = "", pause[64] = "";
    tw_error_class error = answer->status == 0 ? transport_error(answer->error)
                                               : twi_fetch_error(exchange->fetch, answer->status, answer->body,
                                                                 answer->body_len, said, sizeof(said));
    if (error == TW_ERROR_NONE)
        return error;
    if (tw_error_is(error, TW_ERROR_NETWORK_ERROR))
        take_pause(exchange, answer);
    if (answer->retry_after_s > 0)
        snprintf(pause, sizeof(pause), "; the venue asks for a pause of %d s", (int)answer->retry_after_s);
    if (answer->status == 0)
        twi_exchange_fail(exchange, error, what, "%s gave no answer: %s; %s", url, answer->error, remedy_of(error));
    else
        twi_exchange_fail(exchange, error, what, "%s%sHTTP %d%s; %s (%s)", said, said[0] != 0 ? ", " : "",
                          answer->status, pause, remedy_of(error), url);
    twi_exchange_fail_http(answer->status, answer->retry_after_s);
    free(answer->body);
    answer->body = NULL;
    return error;
}

tw_error_class twi_exchange_get(tw_exchange *exchange, const char *url, int post, const char *what, twi_answer *answer)
{
    int64_t begun_ns = twi_monotonic_ns(), deadline_ns = begun_ns + exchange->config.timeout_ns, turn_ns;
    *answer = (twi_answer){0};
    pthread_mutex_lock(&exchange->lock);
    if (!take_turn(exchange, deadline_ns, &turn_ns)) {
        pthread_mutex_unlock(&exchange->lock);
        double wait_s = (double)(turn_ns - begun_ns) / (double)TWI_EXCHANGE_NS_PER_S;
        twi_exchange_fail(exchange, TW_ERROR_RATE_LIMIT_EXCEEDED, what,
                          "the next request may go out in %.1f s, after the time-out; %s", wait_s,
                          remedy_of(TW_ERROR_RATE_LIMIT_EXCEEDED));
        twi_exchange_fail_http(0, (int32_t)wait_s + 1);
        return TW_ERROR_RATE_LIMIT_EXCEEDED;
    }
    tw_status status = send_and_wait(exchange, url, post, deadline_ns, answer);
    pthread_mutex_unlock(&exchange->lock);
    atomic_fetch_add_explicit(&exchange->requests, 1, memory_order_relaxed);
    tw_error_class error = status != TW_OK ? twi_exchange_fail(exchange, TW_ERROR_OPERATION_FAILED, what,
                                                               "no memory or no thread for a request")
                                           : judge(exchange, url, what, answer);
    if (error != TW_ERROR_NONE)
        atomic_fetch_add_explicit(&exchange->requests_failed, 1, memory_order_relaxed);
    return error;
}

/* ---- the calls ---- */

typedef struct fetch_call {
    char what[WHAT_MAX];
    twi_fetch_query query;
    twi_answer answer;
} fetch_call;

static void list_timeframes(const tw_exchange *exchange, char *out, size_t cap)
{
    size_t len = 0;
    const char *name;
    out[0] = 0;
    for (uint32_t i = 0; (name = tw_exchange_timeframe(exchange, i, NULL)) != NULL && len < cap; i++)
        len += (size_t)snprintf(out + len, cap - len, " %s", name);
}

static tw_error_class refuse_url(const tw_exchange *exchange, twi_fetch_kind kind, const fetch_call *call,
                                 tw_error_class error)
{
    char names[160];
    if (error != TW_ERROR_NOT_SUPPORTED)
        return twi_exchange_fail(exchange, error, call->what, "the address is longer than %d bytes", URL_MAX);
    if (kind != TWI_FETCH_OHLCV || exchange->fetch->calls[kind].path == NULL)
        return twi_exchange_fail(exchange, error, call->what, "the venue does not offer this for %s",
                                 call->query.market->symbol);
    list_timeframes(exchange, names, sizeof(names));
    return twi_exchange_fail(exchange, error, call->what, "no timeframe \"%s\"; there are%s",
                             call->query.timeframe != NULL ? call->query.timeframe : "", names);
}

static tw_error_class ask(tw_exchange *exchange, twi_fetch_kind kind, const char *symbol, const char *timeframe,
                          int64_t since_ns, uint32_t limit, fetch_call *call)
{
    static const char *const names[TWI_FETCH_KIND_COUNT] = {"fetch_ticker", "fetch_order_book", "fetch_trades",
                                                            "fetch_ohlcv"};
    char url[URL_MAX];
    twi_text text = twi_text_over(url, sizeof(url));
    *call = (fetch_call){.query = {.rest_url = exchange->rest_url,
                                   .timeframe = timeframe,
                                   .since_ns = since_ns > 0 ? since_ns : 0,
                                   .now_ns = twi_realtime_ns(),
                                   .limit = limit}};
    snprintf(call->what, sizeof(call->what), "%s %s", names[kind], symbol != NULL ? symbol : "");
    tw_error_class error = twi_exchange_find(exchange, symbol, call->what, &call->query.market);
    if (error != TW_ERROR_NONE)
        return error;
    error = twi_fetch_url(exchange->fetch, kind, &call->query, &text);
    if (error != TW_ERROR_NONE)
        return refuse_url(exchange, kind, call, error);
    return twi_exchange_get(exchange, url, 0, call->what, &call->answer);
}

/* The parser's word on an answer that the venue thought good. */
static tw_error_class finish(const tw_exchange *exchange, fetch_call *call, tw_error_class error)
{
    free(call->answer.body);
    if (error == TW_ERROR_NONE)
        return error;
    twi_exchange_fail(exchange, error, call->what, "%s; %s",
                      error == TW_ERROR_NULL_RESPONSE ? "the answer is empty" : "the answer cannot be read",
                      remedy_of(TW_ERROR_BAD_RESPONSE));
    twi_exchange_fail_http(call->answer.status, 0);
    return error;
}

tw_error_class tw_fetch_ticker(tw_exchange *exchange, const char *symbol, tw_ticker *ticker)
{
    fetch_call call;
    *ticker = (tw_ticker){0};
    tw_error_class error = ask(exchange, TWI_FETCH_TICKER, symbol, NULL, 0, 0, &call);
    if (error != TW_ERROR_NONE)
        return error;
    return finish(exchange, &call,
                  twi_fetch_ticker(exchange->fetch, &call.query, call.answer.body, call.answer.body_len, ticker));
}

tw_error_class tw_fetch_order_book(tw_exchange *exchange, const char *symbol, tw_order_book *book)
{
    fetch_call call;
    book->bid_count = book->ask_count = 0;
    if (book->bids == NULL || book->asks == NULL || book->level_count_max == 0)
        return twi_exchange_fail(exchange, TW_ERROR_ARGUMENTS_REQUIRED, "fetch_order_book",
                                 "give arrays in bids and asks and their places in level_count_max");
    tw_error_class error = ask(exchange, TWI_FETCH_ORDER_BOOK, symbol, NULL, 0, book->level_count_max, &call);
    if (error != TW_ERROR_NONE)
        return error;
    return finish(exchange, &call,
                  twi_fetch_order_book(exchange->fetch, &call.query, call.answer.body, call.answer.body_len, book));
}

tw_error_class tw_fetch_trades(tw_exchange *exchange, const char *symbol, int64_t since_ns, tw_trade *trades,
                               uint32_t trade_count_max, uint32_t *trade_count)
{
    fetch_call call;
    *trade_count = 0;
    if (trades == NULL || trade_count_max == 0)
        return twi_exchange_fail(exchange, TW_ERROR_ARGUMENTS_REQUIRED, "fetch_trades", "give an array for the trades");
    tw_error_class error = ask(exchange, TWI_FETCH_TRADES, symbol, NULL, since_ns, trade_count_max, &call);
    if (error != TW_ERROR_NONE)
        return error;
    return finish(exchange, &call,
                  twi_fetch_trades(exchange->fetch, &call.query, call.answer.body, call.answer.body_len, trades,
                                   trade_count_max, trade_count));
}

tw_error_class tw_fetch_ohlcv(tw_exchange *exchange, const char *symbol, const char *timeframe, int64_t since_ns,
                              tw_ohlcv *candles, uint32_t candle_count_max, uint32_t *candle_count)
{
    fetch_call call;
    *candle_count = 0;
    if (candles == NULL || candle_count_max == 0)
        return twi_exchange_fail(exchange, TW_ERROR_ARGUMENTS_REQUIRED, "fetch_ohlcv", "give an array for the candles");
    tw_error_class error = ask(exchange, TWI_FETCH_OHLCV, symbol, timeframe, since_ns, candle_count_max, &call);
    if (error != TW_ERROR_NONE)
        return error;
    return finish(exchange, &call,
                  twi_fetch_ohlcv(exchange->fetch, &call.query, call.answer.body, call.answer.body_len, candles,
                                  candle_count_max, candle_count));
}
