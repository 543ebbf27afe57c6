/* consumer.c - a program that reads another one's events from shared memory, without a system call per event.
 *
 * Build:     cc consumer.c -o consumer $(pkg-config --cflags --libs tickwire)
 * Usage:     ./consumer NAME [COUNT]     the ring of that name (the engine's setting ring.name); ends after COUNT
 *            events, else with the producer
 * Try:       ./publisher ring.name=example &  ./consumer example 10
 * Shape:     the ring is mapped read-only: a reader that is slow, stops or is killed costs the producer nothing. What
 *            it missed is counted exactly. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <tickwire/decimal.h>
#include <tickwire/ring.h>

enum { BATCH = 64 };
#define WAIT_NS INT64_C(100000000)
#define DEAD_NS INT64_C(3000000000)

static int64_t now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void print_event(const tw_ring_reader *reader, const tw_event *event, int64_t seen_ns)
{
    char price[TW_DECIMAL_TEXT_MAX + 1];
    const tw_instrument *instrument = tw_symbols_get(tw_ring_reader_symbols(reader), event->instrument);
    if (event->kind != TW_EVENT_TRADE || instrument == NULL)
        return;
    tw_decimal value = {.mantissa = event->u.trade.price, .exponent = event->price_exponent};
    price[tw_decimal_format(value, price)] = '\0';
    printf("%s:%s trade %s, %lld us after it was received\n", instrument->exchange, instrument->symbol, price,
           (long long)((seen_ns - event->recv_ns) / 1000));
}

int main(int argc, char **argv)
{
    char error[512];
    tw_ring_reader *reader;
    if (argc < 2) {
        fprintf(stderr, "usage: consumer NAME [COUNT]\n");
        return 2;
    }
    if (tw_ring_attach(argv[1], &reader, error, sizeof error) != TW_OK) {
        fprintf(stderr, "%s\n", error);
        return 1;
    }
    unsigned long long wanted = argc > 2 ? strtoull(argv[2], NULL, 10) : 0, seen = 0;
    uint64_t lost = 0;
    tw_event events[BATCH];
    while (wanted == 0 || seen < wanted) {
        tw_status status = tw_ring_wait(reader, WAIT_NS);
        if (status == TW_CLOSED || tw_ring_reader_producer_dead(reader, now_ns(), DEAD_NS))
            break;
        size_t count = tw_ring_read(reader, events, BATCH, &lost);
        int64_t seen_ns = now_ns();
        for (size_t i = 0; i < count && (wanted == 0 || seen < wanted); i++, seen++)
            print_event(reader, &events[i], seen_ns);
    }
    printf("%llu events, %llu lost\n", seen, (unsigned long long)lost);
    tw_ring_reader_close(reader);
    return 0;
}
