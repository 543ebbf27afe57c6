/* record_venue.h - the frames of a live venue, as `tw record --venue` keeps them.
 *
 * Job:      connects to the venue like the engine does (the same driver and adapter), and hands over every frame with
 *           the time at which it was received, openings and ends of connections, and REST answers.
 * Why here: a recorder of its own cannot slow an engine down, and its file is complete whatever the engine leaves out.
 * Thread:   one. */
#ifndef TWI_RECORD_VENUE_H
#define TWI_RECORD_VENUE_H

#include "feed/recording.h"
#include "tools/tw/cli.h"

typedef struct twi_record_venue_options {
    const char *venue;
    const char *symbols;  /* comma list */
    const char *channels; /* comma list; NULL: all that the venue has */
    const char *stream_url, *rest_url, *ca_file, *proxy;
    uint64_t depth;
} twi_record_venue_options;

typedef struct twi_record_venue_calls {
    void (*on_frame)(void *owner, const twi_frame *frame);
    /* At least ten times a second. False: end. */
    bool (*on_idle)(void *owner);
} twi_record_venue_calls;

/* The venue's options for a verb; append them to its own. */
enum { TWI_RECORD_VENUE_OPTION_COUNT = 6 };
void twi_record_venue_option_list(twi_record_venue_options *options, twi_option *list);

/* An exit code. A venue that cannot be reached is tried again until on_idle() ends it. */
int twi_record_venue_run(const twi_verb *verb, const twi_record_venue_options *options,
                         const twi_record_venue_calls *calls, void *owner);

#endif
