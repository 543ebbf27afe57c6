/* player.c - frames of a recording into an adapter; see player.h. */
#include "feed/player.h"

#include <stdlib.h>
#include <string.h>

#include "engine/proto/json_scan.h"

enum { DETECT_FRAMES_MAX = 256, MARKETS_MAX = 32768, STATE_ALIGN = 64, HTTP_OK = 200 };

/* Our own recorder says which venue it was: {"venue":"binance", ...}. */
static const tw_feed_ops *detect_config(const twi_frame *frame)
{
    const tw_feed_ops *ops = NULL;
    twi_json json;
    twi_json_slice key, name;
    twi_json_init(&json, frame->bytes, frame->bytes_len);
    twi_json_enter_object(&json);
    while (twi_json_next_member(&json, &key)) {
        if (!TWI_JSON_IS(key, "venue"))
            twi_json_skip(&json);
        else if (twi_json_string(&json, &name))
            ops = tw_feed_find(name.text, name.len);
    }
    return ops;
}

static const tw_feed_ops *detect_frame(const twi_frame *frame)
{
    const tw_feed_ops *ops = NULL;
    if (frame->kind == TWI_FRAME_CONFIG)
        return detect_config(frame);
    if (frame->kind == TWI_FRAME_CONNECT)
        ops = tw_feed_detect(frame->url);
    else if (frame->kind == TWI_FRAME_RECV)
        ops = tw_feed_detect_message(frame->bytes, frame->bytes_len);
    return ops;
}

const tw_feed_ops *twi_player_detect(const char *path)
{
    twi_recording *recording;
    char error[256];
    const tw_feed_ops *ops = NULL;
    if (twi_recording_open(path, &recording, error, sizeof(error)) != TW_OK)
        return NULL;
    twi_frame frame;
    for (int i = 0; ops == NULL && i < DETECT_FRAMES_MAX && twi_recording_next(recording, &frame) == TW_OK; i++)
        ops = detect_frame(&frame);
    twi_recording_close(recording);
    return ops;
}

tw_status twi_player_open(twi_player *player, const tw_feed_ops *ops, tw_symbols *symbols, uint32_t symbol_count_max)
{
    tw_feed_config config = {.symbol_count_max = symbol_count_max, .market_count_max = MARKETS_MAX};
    *player = (twi_player){.ops = ops};
    size_t bytes = (ops->state_size(&config) + STATE_ALIGN - 1) & ~(size_t)(STATE_ALIGN - 1);
    /* calloc's pages are zero without being touched; alignment is made by hand inside a larger block. */
    uint8_t *block = calloc(1, bytes + STATE_ALIGN + sizeof(void *));
    if (block == NULL)
        return TW_NO_MEMORY;
    uintptr_t place = ((uintptr_t)block + sizeof(void *) + STATE_ALIGN - 1) & ~(uintptr_t)(STATE_ALIGN - 1);
    ((void **)place)[-1] = block;
    player->state = (void *)place;
    tw_status status = ops->init(player->state, &config, symbols);
    if (status != TW_OK)
        twi_player_close(player);
    return status;
}

void twi_player_close(twi_player *player)
{
    if (player->state == NULL)
        return;
    player->ops->fini(player->state);
    free(((void **)player->state)[-1]);
    player->state = NULL;
}

static void count(twi_player *player, tw_status status)
{
    player->gaps += status == TW_GAP;
    player->relinks += status == TW_RELINK;
    player->malformed += status == TW_MALFORMED;
}

tw_status twi_player_frame(twi_player *player, const twi_frame *frame, tw_sink *sink)
{
    tw_status status = TW_OK;
    tw_response response = {.status = HTTP_OK, .url = frame->url, .body = frame->bytes, .body_len = frame->bytes_len};
    switch (frame->kind) {
    case TWI_FRAME_CONNECT:
        player->ops->link_up(player->state, frame->conn, frame->recv_ns, frame->url);
        break;
    case TWI_FRAME_RECV:
        status =
            player->ops->on_message(player->state, frame->conn, frame->recv_ns, frame->bytes, frame->bytes_len, sink);
        break;
    case TWI_FRAME_HTTP:
        status = player->ops->on_response(player->state, frame->recv_ns, &response, sink);
        break;
    case TWI_FRAME_CLOSED:
        player->ops->link_down(player->state, frame->conn, frame->recv_ns, TW_REASON_LINK_DOWN, sink);
        break;
    default:
        break;
    }
    count(player, status);
    return status;
}
