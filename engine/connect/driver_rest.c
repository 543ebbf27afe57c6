/* driver_rest.c - the REST requests of an adapter, and what the market list says about the configured symbols. See
 * driver.h. */
#include <string.h>

#include "engine/connect/driver_internal.h"

enum { LEG_BIT = 31, HTTP_OK = 200, HTTP_FORBIDDEN = 403, HTTP_TEAPOT = 418, HTTP_TOO_MANY = 429 };
#define MARKETS_TIMEOUT_NS INT64_C(60000000000)
#define ID_MASK            ((UINT32_C(1) << LEG_BIT) - 1)

/* ---- symbols that the venue does not list ---- */

static void look_for(void *owner, const tw_market *market)
{
    twi_driver *driver = owner;
    for (uint32_t i = 0; i < driver->symbol_count; i++) {
        if (strcmp(driver->symbols[i], market->symbol) == 0 || strcmp(driver->symbols[i], market->id) == 0)
            driver->listed[i] = true;
    }
}

static void tell_rejected(twi_leg *leg, const char *symbol)
{
    const twi_driver *driver = leg->driver;
    uint32_t instrument =
        tw_symbols_find(driver->options.symbols, driver->name, strlen(driver->name), symbol, strlen(symbol));
    if (instrument == TW_INSTRUMENT_NONE)
        return;
    tw_event *event = tw_sink_claim(&leg->sink);
    *event = (tw_event){.instrument = instrument,
                        .kind = TW_EVENT_STATUS,
                        .flags = TW_FLAG_FIRST | TW_FLAG_LAST,
                        .recv_ns = twi_hub_realtime_ns(driver->hub)};
    event->u.status.state = TW_STATE_STALE;
    event->u.status.reason = TW_REASON_REJECTED;
    tw_sink_commit(&leg->sink);
}

static void drop_unlisted(twi_leg *leg)
{
    twi_driver *driver = leg->driver;
    for (uint32_t i = 0; i < driver->symbol_count; i++) {
        const char *symbol = driver->symbols[i];
        if (driver->listed[i])
            continue;
        TWI_VENUE_LOG(driver, TWI_LOG_ERROR,
                      "BadSymbol: the venue lists no \"%.100s\"; it is left out, the others go on", symbol);
        driver->stats.unknown_symbols++;
        twi_driver_count(driver, TWI_COUNTER_FEED_UNKNOWN_SYMBOLS, 1);
        for (uint32_t other = 0; other < driver->leg_count; other++) {
            tw_status status = driver->ops->unwatch(driver->legs[other].state, symbol, strlen(symbol), UINT32_MAX >> 1);
            (void)status; /* it is not there: just as well */
        }
        tell_rejected(leg, symbol);
    }
}

/* Pages come one after the other; after the last one it is known what is missing. */
static void check_markets(twi_leg *leg, const tw_response *response)
{
    twi_driver *driver = leg->driver;
    tw_request next;
    if (leg->index != 0 || leg->markets_checked)
        return;
    if (driver->ops->markets_parse(response->body, response->body_len, look_for, driver) != TW_OK) {
        TWI_VENUE_LOG(driver, TWI_LOG_WARN,
                      "the market list (%zu bytes) cannot be read: symbols are not checked against it",
                      response->body_len);
        leg->markets_checked = true;
        return;
    }
    leg->markets_page++;
    tw_feed_config config = {.rest_url = driver->options.feed.rest_url};
    if (driver->ops->markets_request(&config, leg->markets_page, &next) == TW_OK)
        return;
    leg->markets_checked = true;
    drop_unlisted(leg);
}

/* ---- answers ---- */

static bool is_throttled(int status)
{
    return status == HTTP_TOO_MANY || status == HTTP_TEAPOT || status == HTTP_FORBIDDEN;
}

static void complain(twi_driver *driver, const tw_response *response, const char *error)
{
    if (response->status == 0)
        TWI_VENUE_LOG(driver, TWI_LOG_WARN, "no answer from %.200s: %s", response->url, error);
    else if (is_throttled(response->status))
        TWI_VENUE_LOG(driver, TWI_LOG_WARN, "%.200s answers %d: requests pause as long as the venue says (%d s)",
                      response->url, response->status, response->retry_after_s);
    else
        TWI_VENUE_LOG(driver, TWI_LOG_WARN, "%.200s answers %d, %zu bytes%s", response->url, response->status,
                      response->body_len, error);
    driver->stats.request_failures++;
    twi_driver_count(driver, TWI_COUNTER_FEED_REST_FAILURES, 1);
    if (is_throttled(response->status)) {
        driver->stats.throttled++;
        twi_driver_count(driver, TWI_COUNTER_FEED_THROTTLED, 1);
    }
}

static void take_answer(twi_leg *leg, const tw_response *response, const char *error)
{
    twi_driver *driver = leg->driver;
    bool is_markets = leg->markets_id != 0 && response->id == leg->markets_id;
    int64_t recv_ns = twi_hub_realtime_ns(driver->hub);
    leg->requests -= leg->requests > 0;
    if (is_markets)
        leg->markets_id = 0;
    if (response->status != HTTP_OK)
        complain(driver, response, error);
    else if (driver->options.record != NULL)
        driver->options.record(driver->options.owner, &(twi_driver_record){.kind = TWI_RECORD_ANSWER,
                                                                           .link = TWI_DRIVER_NO_LINK,
                                                                           .recv_ns = recv_ns,
                                                                           .url = response->url,
                                                                           .bytes = response->body,
                                                                           .bytes_len = response->body_len});
    tw_status status = driver->ops->on_response(leg->state, recv_ns, response, &leg->sink);
    if (status == TW_MALFORMED) {
        driver->malformed++;
        complain(driver, response, " that cannot be read");
    }
    if (is_markets && response->status == HTTP_OK)
        check_markets(leg, response);
}

void twi_driver_respond(twi_driver *driver, const tw_response *response)
{
    tw_response answer = *response;
    uint32_t index = answer.id >> LEG_BIT;
    if (index >= driver->leg_count || driver->stopping)
        return;
    answer.id &= ID_MASK;
    take_answer(&driver->legs[index], &answer, "");
    twi_driver_pump(&driver->legs[index]);
}

static void on_answer(void *owner, const twi_rest_answer *answer)
{
    twi_driver *driver = owner;
    twi_leg *leg = &driver->legs[(uint32_t)answer->tag >> LEG_BIT];
    const tw_response response = {.id = (uint32_t)answer->tag & ID_MASK,
                                  .status = answer->status,
                                  .retry_after_s = answer->retry_after_s,
                                  .url = answer->url,
                                  .body = answer->body,
                                  .body_len = answer->body_len};
    if (driver->stopping)
        return;
    take_answer(leg, &response, answer->error);
    twi_driver_pump(leg);
}

/* ---- requests ---- */

static tw_status carry(twi_leg *leg, const tw_request *request)
{
    twi_driver *driver = leg->driver;
    tw_request marked = *request;
    marked.id |= leg->index << LEG_BIT;
    if (driver->options.request != NULL)
        return driver->options.request(driver->options.owner, driver, &marked);
    twi_rest *rest = twi_hub_rest(driver->hub);
    if (rest == NULL)
        return TW_UNAVAILABLE;
    return twi_rest_start(rest, &(twi_rest_request){
                                    .url = request->url,
                                    .post = request->post,
                                    .proxy = driver->options.proxy,
                                    .ca_file = driver->options.ca_file,
                                    .tls_minor_min = driver->options.tls_minor_min,
                                    .timeout_ns = request->kind == TW_REQUEST_MARKETS ? MARKETS_TIMEOUT_NS : 0,
                                    .done = on_answer,
                                    .owner = driver,
                                    .tag = marked.id,
                                });
}

void twi_driver_pump_requests(twi_leg *leg)
{
    static const uint8_t nothing[1] = {0};
    twi_driver *driver = leg->driver;
    tw_request request;
    while (leg->requests < TWI_REQUESTS_MAX &&
           driver->ops->next_request(leg->state, twi_hub_realtime_ns(driver->hub), &request)) {
        driver->stats.requests++;
        twi_driver_count(driver, TWI_COUNTER_FEED_REST_REQUESTS, 1);
        if (request.kind == TW_REQUEST_MARKETS)
            leg->markets_id = request.id;
        leg->requests++;
        if (carry(leg, &request) == TW_OK)
            continue;
        const tw_response none = {.id = request.id, .url = request.url, .body = nothing};
        take_answer(leg, &none, "no memory or thread for it");
        return;
    }
}
