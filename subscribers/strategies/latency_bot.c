/* latency_bot.c - how old is a message when it gets here? From the engine's receive time to this program. */
#include <inttypes.h>
#include <stdlib.h>

#include "subscribers/strategies/strategy.h"

enum { SAMPLES_MAX = 1 << 20 };

typedef struct latency_bot {
    int64_t *samples;
    uint64_t sample_count, message_count, missing;
} latency_bot;

static void on_message(void *owner, const tw_stream_message *message, const tw_view *view)
{
    latency_bot *self = owner;
    (void)view;
    self->message_count++;
    if (!message->is_state && self->sample_count < SAMPLES_MAX)
        self->samples[self->sample_count++] = message->arrival_ns - message->events[0].recv_ns;
}

static void on_gap(void *owner, uint64_t count)
{
    ((latency_bot *)owner)->missing += count;
}

static int compare(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

static double percentile_us(const latency_bot *self, double fraction)
{
    uint64_t place = (uint64_t)(fraction * (double)(self->sample_count - 1));
    return (double)self->samples[place] / 1000;
}

static void on_interval(void *owner, const tw_view *view)
{
    latency_bot *self = owner;
    (void)view;
    printf("%8" PRIu64 " messages, %" PRIu64 " missing", self->message_count, self->missing);
    if (self->sample_count > 0) {
        qsort(self->samples, self->sample_count, sizeof *self->samples, compare);
        printf("   us: p50 %.1f  p90 %.1f  p99 %.1f  p99.9 %.1f  max %.1f", percentile_us(self, 0.5),
               percentile_us(self, 0.9), percentile_us(self, 0.99), percentile_us(self, 0.999), percentile_us(self, 1));
    }
    putchar('\n');
    self->sample_count = self->message_count = 0;
}

int main(int argc, char **argv)
{
    latency_bot self = {.samples = malloc(SAMPLES_MAX * sizeof(int64_t))};
    if (self.samples == NULL) {
        fputs("latency_bot: no memory\n", stderr);
        return 1;
    }
    const strategy it = {.name = "latency_bot",
                         .about = "Prints, per interval, how old messages are when they arrive (both clocks are this "
                                  "host's, or synchronised).",
                         .channels = "trade,quote,book",
                         .on_message = on_message,
                         .on_interval = on_interval,
                         .on_gap = on_gap,
                         .owner = &self};
    int code = strategy_main(argc, argv, &it);
    free(self.samples);
    return code;
}
