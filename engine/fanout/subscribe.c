/* subscribe.c - control messages of clients (docs/PROTOCOL.md): subscribe, unsubscribe, list, ping; joins and
 * answers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/assert.h"
#include "engine/fanout/client.h"
#include "engine/proto/json_scan.h"

enum {
    ID_BYTES_MAX = 38, /* 36 bytes of text and its quotes */
    ERROR_BAD_REQUEST = 2,
    ERROR_BAD_SYMBOL = 4,
    ERROR_NOT_SUPPORTED = 5,
    ERROR_RATE_LIMIT = 6,
    SYMBOL_TEXT_MAX = 96,
    CHANNEL_COUNT_MAX = TWI_TOPIC_SLOTS
};

/* ---- what a request says ---- */

typedef enum op_kind { OP_NONE, OP_SUBSCRIBE, OP_UNSUBSCRIBE, OP_LIST, OP_PING } op_kind;

typedef struct control_request {
    op_kind op;
    twi_json_slice id; /* raw JSON; len 0: none */
    int has_channels, has_symbols;
    twi_json channels, symbols; /* at their arrays */
    twi_json_slice policy, interval;
    int has_depth;
    int has_since;
    const char *wrong; /* what is wrong with it; NULL: nothing */
} control_request;

static op_kind parse_op(twi_json_slice text)
{
    if (TWI_JSON_IS(text, "subscribe"))
        return OP_SUBSCRIBE;
    if (TWI_JSON_IS(text, "unsubscribe"))
        return OP_UNSUBSCRIBE;
    if (TWI_JSON_IS(text, "list"))
        return OP_LIST;
    return TWI_JSON_IS(text, "ping") ? OP_PING : OP_NONE;
}

static int id_is_good(twi_json_slice id)
{
    if (id.len == 0 || id.len > ID_BYTES_MAX)
        return 0;
    if (id.text[0] == '"')
        return 1;
    for (uint32_t i = id.text[0] == '-'; i < id.len; i++)
        if (id.text[i] < '0' || id.text[i] > '9')
            return 0;
    return 1;
}

static void parse_member(twi_json *json, twi_json_slice key, control_request *request)
{
    twi_json_slice text;
    if (TWI_JSON_IS(key, "op")) {
        if (twi_json_peek(json) == TWI_JSON_STRING && twi_json_string(json, &text))
            request->op = parse_op(text);
        else
            twi_json_skip(json);
    } else if (TWI_JSON_IS(key, "id")) {
        if (twi_json_raw(json, &request->id) && !id_is_good(request->id)) {
            request->wrong = "id must be an integer or a string of at most 36 bytes";
            request->id.len = 0;
        }
    } else if (TWI_JSON_IS(key, "channels")) {
        request->has_channels = twi_json_peek(json) == TWI_JSON_ARRAY;
        twi_json_defer(json, &request->channels);
    } else if (TWI_JSON_IS(key, "symbols")) {
        request->has_symbols = twi_json_peek(json) == TWI_JSON_ARRAY;
        twi_json_defer(json, &request->symbols);
    } else if (TWI_JSON_IS(key, "policy")) {
        if (twi_json_peek(json) == TWI_JSON_STRING)
            twi_json_string(json, &request->policy);
        else if (twi_json_skip(json))
            request->wrong = "policy must be a string";
    } else if (TWI_JSON_IS(key, "interval")) {
        twi_json_scalar(json, &request->interval);
    } else if (TWI_JSON_IS(key, "depth")) {
        request->has_depth = twi_json_peek(json) != TWI_JSON_NULL;
        twi_json_skip(json);
    } else if (TWI_JSON_IS(key, "since") || TWI_JSON_IS(key, "epoch")) {
        request->has_since = 1;
        twi_json_skip(json);
    } else {
        twi_json_skip(json);
    }
}

static tw_status parse_request(const uint8_t *text, size_t len, control_request *request)
{
    memset(request, 0, sizeof *request);
    twi_json json;
    twi_json_slice key;
    twi_json_init(&json, text, len);
    twi_json_enter_object(&json);
    while (twi_json_next_member(&json, &key))
        parse_member(&json, key, request);
    return twi_json_end(&json);
}

/* ---- answers ---- */

static void begin_answer(twi_buffer *answer, const char *op, const void *id, uint32_t id_len)
{
    twi_buffer_format(answer, "{\"op\":\"%s\"", op);
    if (id_len > 0) {
        twi_buffer_text(answer, ",\"id\":");
        twi_buffer_append(answer, id, id_len);
    }
}

static void send_answer(twi_client *client, twi_buffer *answer)
{
    if (answer->failed)
        twi_client_kill(client);
    else
        twi_client_text(client, answer->data, answer->len);
    twi_buffer_fini(answer);
}

static void append_error(twi_buffer *out, int code, const char *name, int temporary, const char *message)
{
    twi_buffer_format(out, "\"code\":%d,\"name\":\"%s\",\"message\":", code, name);
    twi_buffer_json_string(out, message, strlen(message));
    twi_buffer_format(out, ",\"temporary\":%s}", temporary ? "true" : "false");
}

void twi_client_error(twi_client *client, const twi_buffer *id, int code, const char *name, int temporary,
                      const char *message)
{
    twi_buffer answer = {0};
    begin_answer(&answer, "error", id != NULL ? id->data : NULL, id != NULL ? id->len : 0);
    twi_buffer_text(&answer, ",");
    append_error(&answer, code, name, temporary, message);
    send_answer(client, &answer);
    twi_count(client->shard, TWI_COUNTER_BAD_REQUESTS, 1);
}

static void request_error(twi_client *client, const control_request *request, int code, const char *name, int temporary,
                          const char *message)
{
    twi_buffer id = {.data = (uint8_t *)(uintptr_t)request->id.text, .len = request->id.len};
    twi_client_error(client, &id, code, name, temporary, message);
}

static void append_topic(const twi_shard *shard, twi_buffer *out, const twi_join_topic *topic)
{
    const tw_instrument *instrument = tw_symbols_get(shard->config.symbols, twi_topic_instrument(topic->topic));
    twi_buffer_text(out, "{\"exchange\":");
    twi_buffer_json_string(out, instrument->exchange, instrument->exchange_len);
    twi_buffer_text(out, ",\"symbol\":");
    if (topic->venue_form)
        twi_buffer_json_string(out, instrument->venue_id, instrument->venue_id_len);
    else
        twi_buffer_json_string(out, instrument->symbol, instrument->symbol_len);
    twi_buffer_format(out, ",\"channel\":\"%s\"", twi_slot_name(twi_topic_slot(topic->topic)));
}

/* ---- which topics are meant ---- */

typedef struct topic_selection {
    twi_join_topic *topics;
    uint32_t count, capacity;
    uint32_t count_max;
    int too_many, no_memory;
    uint32_t slots[CHANNEL_COUNT_MAX];
    uint32_t slot_count;
    twi_buffer errors;
} topic_selection;

static void select_topic(topic_selection *selection, uint32_t topic, int venue_form)
{
    if (selection->count == selection->capacity) {
        uint32_t capacity = selection->capacity == 0 ? 16 : selection->capacity * 2;
        twi_join_topic *topics = realloc(selection->topics, capacity * sizeof *topics);
        if (topics == NULL) {
            selection->no_memory = 1;
            return;
        }
        selection->topics = topics;
        selection->capacity = capacity;
    }
    selection->topics[selection->count++] = (twi_join_topic){.topic = topic, .venue_form = (uint8_t)venue_form};
}

static void select_instrument(topic_selection *selection, uint32_t instrument, int venue_form)
{
    for (uint32_t i = 0; i < selection->slot_count; i++)
        select_topic(selection, twi_topic(instrument, selection->slots[i]), venue_form);
}

static void selection_error(topic_selection *selection, const char *member, const char *text, size_t len, int code,
                            const char *name, const char *message)
{
    if (selection->errors.len > 0)
        twi_buffer_text(&selection->errors, ",");
    twi_buffer_format(&selection->errors, "{\"%s\":", member);
    twi_buffer_json_string(&selection->errors, text, len);
    twi_buffer_text(&selection->errors, ",");
    append_error(&selection->errors, code, name, 0, message);
}

static void select_channel(topic_selection *selection, const char *text, size_t len)
{
    int slot = twi_slot_parse(text, len);
    if (slot < 0) {
        selection_error(selection, "channel", text, len, ERROR_NOT_SUPPORTED, "NotSupported",
                        "no such channel; there are trade, quote, book, status and candle.<interval>");
        return;
    }
    for (uint32_t i = 0; i < selection->slot_count; i++)
        if (selection->slots[i] == (uint32_t)slot)
            return;
    selection->slots[selection->slot_count++] = (uint32_t)slot;
}

/* "*", "venue:*", "*:SYMBOL", "venue:SYMBOL"; SYMBOL is unified or the venue's own id. */
static void select_symbol(const twi_shard *shard, topic_selection *selection, const char *text, size_t len)
{
    const tw_symbols *symbols = shard->config.symbols;
    const char *colon = memchr(text, ':', len), *slash = memchr(text, '/', len);
    size_t exchange_len = colon != NULL ? (size_t)(colon - text) : len;
    const char *symbol = colon != NULL ? colon + 1 : text;
    size_t symbol_len = colon != NULL ? len - exchange_len - 1 : len;
    int everything = len == 1 && text[0] == '*';
    char message[SYMBOL_TEXT_MAX + 96];
    if (!everything && (colon == NULL || (slash != NULL && slash < colon))) {
        selection_error(selection, "symbol", text, len, ERROR_BAD_SYMBOL, "BadSymbol",
                        "write the venue in front, as in binance:BTC/USDT, or * for all");
        return;
    }
    int any_exchange = everything || (exchange_len == 1 && text[0] == '*');
    int any_symbol = everything || (symbol_len == 1 && symbol[0] == '*');
    if (!any_exchange && !any_symbol) {
        uint32_t instrument = tw_symbols_find(symbols, text, exchange_len, symbol, symbol_len);
        const tw_instrument *found = tw_symbols_get(symbols, instrument);
        if (found != NULL) {
            select_instrument(selection, instrument,
                              found->symbol_len != symbol_len || memcmp(found->symbol, symbol, symbol_len) != 0);
            return;
        }
    }
    uint32_t before = selection->count, count = tw_symbols_count(symbols);
    for (uint32_t i = 0; i < count && (any_exchange || any_symbol); i++) {
        const tw_instrument *at = tw_symbols_get(symbols, i);
        int exchange_fits =
            any_exchange || (at->exchange_len == exchange_len && memcmp(at->exchange, text, exchange_len) == 0);
        int unified = at->symbol_len == symbol_len && memcmp(at->symbol, symbol, symbol_len) == 0;
        int native = at->venue_id_len == symbol_len && memcmp(at->venue_id, symbol, symbol_len) == 0;
        if (exchange_fits && (any_symbol || unified || native))
            select_instrument(selection, i, !any_symbol && !unified);
    }
    if (selection->count != before || selection->slot_count == 0)
        return;
    if (any_exchange || any_symbol)
        snprintf(message, sizeof message, "nothing here matches %.*s",
                 (int)(len < SYMBOL_TEXT_MAX ? len : SYMBOL_TEXT_MAX), text);
    else
        snprintf(message, sizeof message, "%.*s lists no %.*s", (int)(exchange_len < 32 ? exchange_len : 32), text,
                 (int)(symbol_len < SYMBOL_TEXT_MAX - 32 ? symbol_len : SYMBOL_TEXT_MAX - 32), symbol);
    selection_error(selection, "symbol", text, len, ERROR_BAD_SYMBOL, "BadSymbol", message);
}

static int compare_topics(const void *a, const void *b)
{
    uint32_t left = ((const twi_join_topic *)a)->topic, right = ((const twi_join_topic *)b)->topic;
    return left < right ? -1 : left > right;
}

static void sort_unique(topic_selection *selection)
{
    if (selection->count == 0)
        return;
    qsort(selection->topics, selection->count, sizeof *selection->topics, compare_topics);
    uint32_t kept = 1;
    for (uint32_t i = 1; i < selection->count; i++)
        if (selection->topics[i].topic != selection->topics[kept - 1].topic)
            selection->topics[kept++] = selection->topics[i];
    selection->count = kept;
}

/* Reads a JSON array of strings; calls back for each. */
static tw_status each_string(twi_json json, void (*each)(void *owner, const char *text, size_t len), void *owner)
{
    json.status = TW_OK;
    twi_json_enter_array(&json);
    while (twi_json_next_item(&json)) {
        twi_json_slice slice;
        char text[SYMBOL_TEXT_MAX];
        size_t len;
        if (!twi_json_string(&json, &slice))
            return TW_MALFORMED;
        if (twi_json_unescape(slice, text, sizeof text, &len) != TW_OK)
            return TW_MALFORMED;
        each(owner, text, len);
    }
    return json.status;
}

typedef struct symbol_context {
    const twi_shard *shard;
    topic_selection *selection;
} symbol_context;

static void each_channel(void *owner, const char *text, size_t len)
{
    select_channel(owner, text, len);
}
static void each_symbol(void *owner, const char *text, size_t len)
{
    symbol_context *context = owner;
    select_symbol(context->shard, context->selection, text, len);
}

static void selection_fini(topic_selection *selection)
{
    free(selection->topics);
    twi_buffer_fini(&selection->errors);
}

/* ---- joins ---- */

void twi_joining_free(twi_shard *shard, twi_joining *joining)
{
    if (joining->target != NULL)
        twi_group_release(&shard->groups, joining->target);
    free(joining->join.topics);
    twi_buffer_fini(&joining->id);
    twi_buffer_fini(&joining->errors);
    memset(joining, 0, sizeof *joining);
    joining->next_free = shard->free_joinings;
    shard->free_joinings = joining;
    shard->joins_under_way--;
}

static twi_joining *take_joining(twi_shard *shard)
{
    twi_joining *joining = shard->free_joinings;
    if (joining == NULL)
        return NULL;
    shard->free_joinings = joining->next_free;
    joining->next_free = NULL;
    shard->joins_under_way++;
    return joining;
}

static void queue_join(twi_client *client, twi_joining *joining)
{
    twi_shard *shard = client->shard;
    joining->client = client;
    joining->join.codec = client->codec;
    joining->phase = TWI_PHASE_REQUESTED;
    joining->with_publisher = 1;
    client->joining = joining;
    int pushed = twi_spsc_push(&shard->config.link->requests, joining);
    TWI_ASSERT(pushed); /* there are no more joinings than slots */
    if (shard->config.wake_publisher != NULL)
        shard->config.wake_publisher(shard->config.wake_owner);
}

/* The client's topics after adding or taking away the selection; drops from the selection what it does not have. */
static uint32_t *combine(const twi_client *client, topic_selection *selection, int adding, uint32_t *count)
{
    const twi_group *group = client->group;
    uint32_t have_count = group != NULL ? group->topic_count : 0;
    uint32_t *topics = malloc((have_count + selection->count + 1) * sizeof *topics);
    if (topics == NULL)
        return NULL;
    uint32_t made = 0, have = 0, asked = 0, kept = 0;
    while (have < have_count || asked < selection->count) {
        uint32_t mine = have < have_count ? group->topics[have] : UINT32_MAX;
        uint32_t theirs = asked < selection->count ? selection->topics[asked].topic : UINT32_MAX;
        if (mine < theirs) {
            topics[made++] = mine;
            have++;
            continue;
        }
        int both = mine == theirs;
        have += both;
        if (adding) {
            topics[made++] = theirs;
            selection->topics[kept++] = selection->topics[asked];
        } else if (both) {
            selection->topics[kept++] = selection->topics[asked];
        }
        asked++;
    }
    selection->count = kept;
    *count = made;
    return topics;
}

/* Starts a join for the selection. 0: no joining is free. */
static int start_join(twi_client *client, const control_request *request, topic_selection *selection)
{
    twi_shard *shard = client->shard;
    int adding = request->op == OP_SUBSCRIBE;
    twi_joining *joining = take_joining(shard);
    if (joining == NULL)
        return 0;
    uint32_t count = 0;
    uint32_t *topics = combine(client, selection, adding, &count);
    if (topics == NULL) {
        twi_joining_free(shard, joining);
        request_error(client, request, ERROR_RATE_LIMIT, "RateLimitExceeded", 1, "the engine has no memory for it now");
        return 1;
    }
    if (adding && count > shard->config.subscription_count_max) {
        char message[128];
        snprintf(message, sizeof message, "%u topics are more than the %u that one connection may have", count,
                 shard->config.subscription_count_max);
        free(topics);
        twi_joining_free(shard, joining);
        request_error(client, request, ERROR_RATE_LIMIT, "RateLimitExceeded", 0, message);
        return 1;
    }
    tw_status status = TW_OK;
    if (count > 0)
        status = twi_group_acquire(&shard->groups, client->codec, topics, count, &joining->target);
    free(topics);
    if (status != TW_OK) {
        twi_joining_free(shard, joining);
        request_error(client, request, ERROR_RATE_LIMIT, "RateLimitExceeded", 1,
                      "the engine serves no more different sets of topics (limits.groups_max)");
        return 1;
    }
    joining->join.kind = adding ? TWI_JOIN_SUBSCRIBE : TWI_JOIN_UNSUBSCRIBE;
    joining->join.topics = selection->topics;
    joining->join.topic_count = selection->count;
    selection->topics = NULL;
    joining->recovery_asked = (uint8_t)request->has_since;
    twi_buffer_append(&joining->id, request->id.text, request->id.len);
    joining->errors = selection->errors;
    selection->errors = (twi_buffer){0};
    queue_join(client, joining);
    return 1;
}

int twi_client_resync(twi_client *client)
{
    twi_shard *shard = client->shard;
    twi_joining *joining = take_joining(shard);
    twi_group *group = client->group;
    if (joining == NULL) {
        twi_waiting_add(client);
        return 0;
    }
    joining->join.topics = calloc(group->topic_count, sizeof *joining->join.topics);
    if (joining->join.topics == NULL) {
        twi_joining_free(shard, joining);
        twi_client_close(client, 4002, "slow consumer", 1);
        return 1;
    }
    for (uint32_t i = 0; i < group->topic_count; i++)
        joining->join.topics[i].topic = group->topics[i];
    joining->join.topic_count = group->topic_count;
    joining->join.kind = TWI_JOIN_RESYNC;
    group->reference_count++;
    joining->target = group;
    queue_join(client, joining);
    return 1;
}

static void enter_group(twi_client *client, twi_group *group)
{
    client->group = group;
    if (group == NULL)
        return;
    client->group_previous = NULL;
    client->group_next = group->members;
    if (group->members != NULL)
        group->members->group_previous = client;
    group->members = client;
    group->member_count++;
    twi_count(client->shard, TWI_COUNTER_SUBSCRIPTIONS, group->topic_count);
}

static void leave_group(twi_client *client)
{
    twi_group *group = client->group;
    if (group == NULL)
        return;
    if (client->group_previous != NULL)
        client->group_previous->group_next = client->group_next;
    else
        group->members = client->group_next;
    if (client->group_next != NULL)
        client->group_next->group_previous = client->group_previous;
    group->member_count--;
    twi_counter_subtract(client->shard->config.counters, TWI_COUNTER_SUBSCRIPTIONS, group->topic_count);
    client->group_previous = client->group_next = NULL;
    client->group = NULL;
}

static void lost(twi_client *client, uint64_t count)
{
    client->shard->totals.lost += count;
    twi_count(client->shard, TWI_COUNTER_LOST, count);
}

/* ---- loss records (policy drop) ---- */

static void append_loss(twi_client *client, uint32_t topic, const twi_loss *loss)
{
    const tw_codec_ops *codec = client->shard->config.codecs[client->codec];
    int64_t now_ns = twi_shard_realtime(client->shard);
    uint32_t slot = twi_topic_slot(topic);
    tw_event event = {
        .instrument = twi_topic_instrument(topic),
        .kind = TW_EVENT_LOSS,
        .flags = TW_FLAG_FIRST | TW_FLAG_LAST,
        .recv_ns = now_ns,
        .u.loss = {.from = loss->from,
                   .to = loss->to,
                   .count = loss->count,
                   .channel = (uint16_t)twi_slot_channel(slot),
                   .reason = TW_REASON_SLOW_CONSUMER,
                   .interval_s = slot >= TWI_SLOT_CANDLE ? twi_candle_interval_s(slot - TWI_SLOT_CANDLE) : 0},
    };
    tw_record record = {.events = &event, .event_count = 1, .seq = loss->to, .publish_ns = now_ns};
    size_t bound = codec->bound(1);
    uint8_t *scratch = malloc(bound);
    size_t len = scratch != NULL ? codec->encode(client->shard->config.symbols, &record, scratch, bound) : 0;
    uint8_t header[TWI_WS_HEADER_BYTES_MAX];
    size_t header_bytes = twi_ws_header_write(header, codec->ws_opcode, true, false, len, NULL);
    twi_buffer_append(&client->out, header, header_bytes);
    twi_buffer_append(&client->out, scratch, len);
    free(scratch);
}

/* Everything of the client's group from its cursor to index position `end` was not sent: says so per topic. */
static int account_loss(twi_client *client, uint64_t end)
{
    twi_shard *shard = client->shard;
    const twi_wire_log *log = shard->config.logs[client->codec];
    const twi_group *group = client->stream_group;
    uint64_t window = (log->index_mask + 1) / 2, low = end > window ? end - window : 0, position;
    if (twi_wire_log_find(log, client->cursor.offset, low, end, &position) != TW_OK || (position == low && low > 0))
        return 0;
    shard->loss_round++;
    uint64_t total = 0;
    for (; position < end; position++) {
        twi_wire_entry entry;
        if (twi_wire_log_entry(log, position, &entry) != TW_OK)
            return 0;
        if (!twi_group_wants(group, entry.topic))
            continue;
        twi_loss *loss = &shard->losses[entry.topic];
        if (shard->loss_stamp[entry.topic] != shard->loss_round) {
            shard->loss_stamp[entry.topic] = shard->loss_round;
            *loss = (twi_loss){.from = entry.seq};
        }
        loss->to = entry.seq;
        loss->count++;
        total++;
    }
    for (uint32_t i = 0; i < group->topic_count; i++)
        if (shard->loss_stamp[group->topics[i]] == shard->loss_round)
            append_loss(client, group->topics[i], &shard->losses[group->topics[i]]);
    lost(client, total);
    TWI_ASSERT(client->cursor.delivered + total == group->cumulative);
    return !client->out.failed;
}

/* ---- the publisher's reply ---- */

static void end_join(twi_client *client)
{
    twi_joining *joining = client->joining;
    client->joining = NULL;
    twi_joining_free(client->shard, joining);
}

void twi_join_answered(twi_shard *shard, twi_joining *joining)
{
    twi_client *client = joining->client;
    const twi_join *join = &joining->join;
    joining->with_publisher = 0;
    if (client == NULL) {
        twi_joining_free(shard, joining); /* the client has gone meanwhile */
        return;
    }
    if (join->status != TW_OK) {
        twi_client_error(client, &joining->id, ERROR_RATE_LIMIT, "RateLimitExceeded", 0,
                         "the snapshots of so many topics do not fit the wire log: subscribe to them in smaller parts");
        end_join(client);
        twi_client_resume(client);
        twi_client_pump(client);
        return;
    }
    if (join->kind == TWI_JOIN_RESYNC && !account_loss(client, join->begin)) {
        twi_client_close(client, 4002, "slow consumer", 1);
        return;
    }
    joining->snapshot_position = join->begin;
    joining->phase = TWI_PHASE_DRAINING;
    const twi_wire_log *log = shard->config.logs[client->codec];
    uint64_t log_offset = 0;
    twi_wire_entry entry;
    if (join->begin > 0 && twi_wire_log_entry(log, join->begin - 1, &entry) == TW_OK)
        log_offset = entry.offset + entry.bytes;
    if (client->group != NULL) {
        twi_cursor end = twi_group_end(client->group, log_offset);
        joining->limit_offset = end.offset;
        joining->limit_delivered = end.delivered;
        if (join->kind == TWI_JOIN_RESYNC)
            client->cursor = end; /* what lies between was accounted for as lost */
    }
    leave_group(client);
    enter_group(client, joining->target);
    if (joining->target != NULL)
        joining->target_cursor = twi_group_end(joining->target, log_offset);
    client->dropping = 0;
    twi_client_pump(client);
}

static void append_subscribed(twi_client *client, const twi_joining *joining, twi_buffer *answer)
{
    twi_shard *shard = client->shard;
    const twi_join *join = &joining->join;
    int adding = join->kind == TWI_JOIN_SUBSCRIBE;
    begin_answer(answer, adding ? "subscribed" : "unsubscribed", joining->id.data, joining->id.len);
    twi_buffer_text(answer, ",\"topics\":[");
    for (uint32_t i = 0; i < join->topic_count; i++) {
        const twi_join_topic *topic = &join->topics[i];
        if (i > 0)
            twi_buffer_text(answer, ",");
        append_topic(shard, answer, topic);
        twi_buffer_format(answer, ",\"seq\":%llu", (unsigned long long)topic->seq);
        if (adding && twi_topic_slot(topic->topic) == TWI_SLOT_BOOK)
            twi_buffer_format(answer, ",\"state\":\"%s\"", tw_book_state_name(topic->book_state));
        if (adding && joining->recovery_asked)
            twi_buffer_text(answer, ",\"recovered\":false,\"reason\":\"history is not kept\"");
        twi_buffer_text(answer, "}");
    }
    twi_buffer_text(answer, "]");
    if (joining->errors.len > 0) {
        twi_buffer_text(answer, ",\"errors\":[");
        twi_buffer_append(answer, joining->errors.data, joining->errors.len);
        twi_buffer_text(answer, "]");
    }
    twi_buffer_text(answer, "}");
}

void twi_join_switch(twi_client *client)
{
    twi_shard *shard = client->shard;
    twi_joining *joining = client->joining;
    if (client->stream_group != NULL)
        twi_group_release(&shard->groups, client->stream_group);
    client->stream_group = joining->target;
    client->cursor = joining->target_cursor;
    joining->target = NULL; /* its reference is the client's now */
    joining->phase = TWI_PHASE_SNAPSHOTS;
    if (joining->join.kind == TWI_JOIN_RESYNC)
        return;
    twi_buffer answer = {0};
    append_subscribed(client, joining, &answer);
    send_answer(client, &answer);
    if (joining->join.kind == TWI_JOIN_SUBSCRIBE)
        twi_count(shard, TWI_COUNTER_SUBSCRIBES, joining->join.topic_count);
}

void twi_join_finish(twi_client *client)
{
    end_join(client);
    twi_client_resume(client);
}

void twi_client_leave(twi_client *client)
{
    twi_shard *shard = client->shard;
    twi_joining *joining = client->joining;
    const twi_group *member = client->group;
    if (joining != NULL && joining->phase == TWI_PHASE_DRAINING) {
        if (client->stream_group != NULL)
            lost(client, joining->limit_delivered - client->cursor.delivered);
        if (member != NULL)
            lost(client, member->cumulative - joining->target_cursor.delivered);
    } else if (member != NULL) {
        lost(client, member->cumulative - client->cursor.delivered);
    }
    leave_group(client);
    if (joining != NULL) {
        client->joining = NULL;
        if (joining->with_publisher)
            joining->client = NULL; /* given back when the reply comes */
        else
            twi_joining_free(shard, joining);
    }
    if (client->stream_group != NULL)
        twi_group_release(&shard->groups, client->stream_group);
    client->stream_group = NULL;
    client->dropping = 0;
}

/* ---- control messages ---- */

static int parse_policy(twi_json_slice text, const twi_client *client)
{
    if (text.len == 0)
        return client->policy;
    if (TWI_JSON_IS(text, "all"))
        return TWI_POLICY_ALL;
    if (TWI_JSON_IS(text, "drop"))
        return TWI_POLICY_DROP;
    if (TWI_JSON_IS(text, "disconnect"))
        return TWI_POLICY_DISCONNECT;
    return -1;
}

/* What this version does not do is refused by name instead of being ignored. */
static int refuse_options(twi_client *client, const control_request *request)
{
    if (parse_policy(request->policy, client) < 0)
        request_error(client, request, ERROR_NOT_SUPPORTED, "NotSupported", 0,
                      "policy must be all, drop or disconnect");
    else if (request->interval.len > 0)
        request_error(client, request, ERROR_NOT_SUPPORTED, "NotSupported", 0,
                      "interval goes with policy conflate, which is not offered");
    else if (request->has_depth)
        request_error(client, request, ERROR_NOT_SUPPORTED, "NotSupported", 0,
                      "books are sent in full; leave depth out");
    else
        return 0;
    return 1;
}

/* 0: has to wait for a joining. */
static int change_subscription(twi_client *client, const control_request *request)
{
    if (!request->has_channels || !request->has_symbols) {
        request_error(client, request, ERROR_BAD_REQUEST, "BadRequest", 0,
                      "channels and symbols must be arrays of strings");
        return 1;
    }
    if (refuse_options(client, request))
        return 1;
    topic_selection selection = {0};
    symbol_context context = {.shard = client->shard, .selection = &selection};
    tw_status status = each_string(request->channels, each_channel, &selection);
    if (status == TW_OK)
        status = each_string(request->symbols, each_symbol, &context);
    int done = 1;
    if (status != TW_OK)
        request_error(client, request, ERROR_BAD_REQUEST, "BadRequest", 0,
                      "channels and symbols must be arrays of strings of at most 96 bytes");
    else if (selection.no_memory || selection.errors.failed)
        request_error(client, request, ERROR_RATE_LIMIT, "RateLimitExceeded", 1, "the engine has no memory for it now");
    else {
        sort_unique(&selection);
        done = start_join(client, request, &selection);
        if (done)
            client->policy = (uint8_t)parse_policy(request->policy, client);
    }
    selection_fini(&selection);
    return done;
}

static void answer_list(twi_client *client, const control_request *request)
{
    twi_buffer answer = {0};
    begin_answer(&answer, "subscriptions", request->id.text, request->id.len);
    twi_buffer_text(&answer, ",\"topics\":[");
    const twi_group *group = client->stream_group;
    for (uint32_t i = 0; group != NULL && i < group->topic_count; i++) {
        twi_join_topic topic = {.topic = group->topics[i]};
        if (i > 0)
            twi_buffer_text(&answer, ",");
        append_topic(client->shard, &answer, &topic);
        twi_buffer_text(&answer, "}");
    }
    twi_buffer_text(&answer, "]}");
    send_answer(client, &answer);
}

static void answer_ping(twi_client *client, const control_request *request)
{
    twi_buffer answer = {0};
    begin_answer(&answer, "pong", request->id.text, request->id.len);
    twi_buffer_format(&answer, ",\"time_ns\":%lld}", (long long)twi_shard_realtime(client->shard));
    send_answer(client, &answer);
}

int twi_client_message(twi_client *client, const uint8_t *text, size_t len)
{
    if (client->joining != NULL || client->dropping)
        return 0;
    control_request request;
    tw_status status = parse_request(text, len, &request);
    if (status != TW_OK) {
        twi_client_error(client, NULL, ERROR_BAD_REQUEST, "BadRequest", 0, "the message is not one JSON object");
        return 1;
    }
    if (request.wrong != NULL) {
        request_error(client, &request, ERROR_BAD_REQUEST, "BadRequest", 0, request.wrong);
        return 1;
    }
    switch (request.op) {
    case OP_SUBSCRIBE:
    case OP_UNSUBSCRIBE:
        return change_subscription(client, &request);
    case OP_LIST:
        answer_list(client, &request);
        return 1;
    case OP_PING:
        answer_ping(client, &request);
        return 1;
    default:
        request_error(client, &request, ERROR_BAD_REQUEST, "BadRequest", 0,
                      "op must be subscribe, unsubscribe, list or ping");
        return 1;
    }
}

/* ---- subscription on the URL ---- */

static int append_url_list(twi_buffer *message, twi_slice query, const char *name)
{
    twi_slice encoded;
    char decoded[4096];
    if (!twi_http_query_find(query, name, &encoded))
        return 0;
    ptrdiff_t len = twi_http_query_decode(encoded, decoded, sizeof decoded);
    twi_buffer_format(message, ",\"%s\":[", name);
    twi_slice rest = twi_slice_make(decoded, len > 0 ? (size_t)len : 0), part;
    for (int first = 1; twi_slice_split(&rest, ',', &part); first = 0) {
        if (!first)
            twi_buffer_text(message, ",");
        twi_buffer_json_string(message, part.data, part.len);
    }
    twi_buffer_text(message, "]");
    return 1;
}

static void append_url_text(twi_buffer *message, twi_slice query, const char *name)
{
    twi_slice encoded;
    char decoded[128];
    if (!twi_http_query_find(query, name, &encoded))
        return;
    ptrdiff_t len = twi_http_query_decode(encoded, decoded, sizeof decoded);
    twi_buffer_format(message, ",\"%s\":", name);
    twi_buffer_json_string(message, decoded, len > 0 ? (size_t)len : 0);
}

/* The query says the same as a subscribe message, so it becomes one and goes the same way. */
void twi_client_subscribe_url(twi_client *client, twi_slice query)
{
    twi_buffer message = {0};
    twi_buffer_text(&message, "{\"op\":\"subscribe\"");
    int asked = append_url_list(&message, query, "channels");
    asked |= append_url_list(&message, query, "symbols");
    append_url_text(&message, query, "policy");
    append_url_text(&message, query, "interval");
    append_url_text(&message, query, "depth");
    append_url_text(&message, query, "epoch");
    append_url_text(&message, query, "since");
    twi_buffer_text(&message, "}");
    if (asked && !message.failed && !twi_client_message(client, message.data, message.len)) {
        /* No joining is free: the message waits like any other. */
        twi_buffer_fini(&client->in);
        client->in = message;
        client->message_ready = 1;
        twi_waiting_add(client);
        return;
    }
    twi_buffer_fini(&message);
}
