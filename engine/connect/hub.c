/* hub.c - see hub.h. */
#include "engine/connect/hub.h"

#include <stdlib.h>

#include "engine/base/clock.h"

static void wake(void *owner)
{
    twi_loop *loop = owner;
    loop->ops->wake(loop);
}

tw_status twi_hub_open(const twi_hub_options *options, twi_hub **out)
{
    *out = NULL;
    twi_hub *hub = calloc(1, sizeof(*hub));
    if (hub == NULL)
        return TW_NO_MEMORY;
    hub->options = *options;
    hub->loop = options->loop;
    hub->random_state = options->seed;
    tw_status status = TW_OK;
    if (options->seed == 0)
        status = twi_random_bytes((uint8_t *)&hub->random_state, sizeof(hub->random_state));
    if (status == TW_OK)
        status = twi_resolver_open(wake, hub->loop, &hub->resolver);
    if (status != TW_OK) {
        free(hub);
        return status;
    }
    *out = hub;
    return TW_OK;
}

void twi_hub_close(twi_hub *hub)
{
    twi_resolver_close(hub->resolver);
    if (hub->rest != NULL)
        twi_rest_close(hub->rest);
    for (twi_dials *next, *it = hub->dials; it != NULL; it = next) {
        next = it->next;
        free(it);
    }
    free(hub);
}

twi_dials *twi_hub_dials(twi_hub *hub, const tw_feed_ops *venue)
{
    for (twi_dials *it = hub->dials; it != NULL; it = it->next) {
        if (it->venue == venue)
            return it;
    }
    twi_dials *it = calloc(1, sizeof(*it));
    if (it == NULL)
        return NULL;
    it->venue = venue;
    it->next = hub->dials;
    hub->dials = it;
    return it;
}

twi_rest *twi_hub_rest(twi_hub *hub)
{
    if (hub->rest == NULL && twi_rest_open(wake, hub->loop, &hub->rest) != TW_OK)
        hub->rest = NULL;
    return hub->rest;
}

uint32_t twi_hub_step(twi_hub *hub)
{
    uint32_t done = twi_resolver_step(hub->resolver);
    return hub->rest != NULL ? done + twi_rest_step(hub->rest) : done;
}

int64_t twi_hub_realtime_ns(const twi_hub *hub)
{
    return hub->options.realtime_ns != NULL ? hub->options.realtime_ns(hub->options.realtime_owner) : twi_realtime_ns();
}

/* splitmix64 (Steele, Lea, Flood). */
uint64_t twi_hub_random(twi_hub *hub)
{
    uint64_t z = hub->random_state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}
