/* group.h - clients that want the same topics in the same codec, and what of the wire log is theirs.
 *
 * Job:      the shard looks at each new index entry once and notes it for every group that wants its topic. A
 *           group keeps its entries as runs (neighbouring frames are one run), shared by all its clients; a client
 *           is a cursor into them. So a message costs one note per distinct set of topics that asked for it,
 *           whatever the number of clients, and nothing for sets that did not ask.
 * Runs:     the last TWI_GROUP_RUNS are kept. A client that lags further behind is served from the wire log's
 *           index.
 * Counting: `cumulative` numbers the group's entries from 0, so that what a client got is a difference of two
 *           numbers.
 * Memory:   tables at open; a group's arrays when its first client comes, given back with its last (control path
 *           only).
 * Thread:   the shard's own. */
#ifndef TWI_GROUP_H
#define TWI_GROUP_H

#include <stddef.h>
#include <stdint.h>

#include "engine/fanout/join.h"
#include "engine/fanout/wire_log.h"
#include "tickwire/status.h"

enum { TWI_GROUP_RUNS = 256 };

typedef struct twi_run {
    uint64_t offset;     /* of its first frame */
    uint64_t index;      /* index position of its first frame; the others follow */
    uint64_t cumulative; /* the group's entries before this run */
    uint32_t bytes;
    uint32_t count;
} twi_run;

struct twi_client;

typedef struct twi_group {
    uint32_t *topics; /* sorted */
    uint32_t topic_count;
    uint8_t codec;
    uint8_t dirty;            /* has got entries in this pass */
    uint32_t reference_count; /* members, and former members that still drain it */
    uint32_t member_count;
    struct twi_client *members; /* list through twi_client.group_next */
    uint64_t run_head;          /* runs made so far; run n lies at runs[n % TWI_GROUP_RUNS] */
    uint64_t cumulative;        /* entries so far */
    uint64_t hash;
    int64_t noted_ns; /* publish time of the first entry since the group's clients were last looked at */
    struct twi_group *next_hash, *next_dirty;
    twi_run runs[TWI_GROUP_RUNS];
} twi_group;

/* Where a client is in its group's entries. */
typedef struct twi_cursor {
    uint64_t run;       /* number of the run that it is in, or the next one to come */
    uint64_t offset;    /* the same place in the log: the next byte that is due lies at or after it */
    uint64_t delivered; /* the group's entries before this place */
    uint32_t done;      /* bytes of that run already sent */
} twi_cursor;

typedef struct twi_topic_groups {
    twi_group **groups;
    uint32_t count, capacity;
} twi_topic_groups;

typedef struct twi_group_table {
    _Atomic uint32_t *interest[TWI_CODECS_MAX]; /* the publisher's, [topic]: raised while a group wants the topic */
    twi_topic_groups *by_topic[TWI_CODECS_MAX]; /* [topic_count] */
    twi_group **by_hash;                        /* power of two */
    uint32_t hash_mask;
    uint32_t codec_count, topic_count;
    uint32_t group_count, group_count_max;
    twi_group *dirty; /* groups that got entries since the list was last taken */
} twi_group_table;

TW_MUST_USE tw_status twi_group_table_open(twi_group_table *table, _Atomic uint32_t *const *interest,
                                           uint32_t codec_count, uint32_t topic_count, uint32_t group_count_max);
void twi_group_table_close(twi_group_table *table);

/* The group of exactly these topics (sorted, each once), with one more reference. TW_FULL: group_count_max distinct
 * sets exist already. TW_NO_MEMORY. */
TW_MUST_USE tw_status twi_group_acquire(twi_group_table *table, uint8_t codec, const uint32_t *topics,
                                        uint32_t topic_count, twi_group **group);
void twi_group_release(twi_group_table *table, twi_group *group);

/* Notes entry `position` for every group that wants its topic. Returns how many clients that is. */
uint32_t twi_group_table_note(twi_group_table *table, uint8_t codec, uint64_t position, const twi_wire_entry *entry);

/* The place behind everything that the group has noted so far. */
twi_cursor twi_group_end(const twi_group *group, uint64_t log_offset);
/* 1 if there is something for this cursor below limit_offset; steps over an exhausted run on the way. */
int twi_group_pending(const twi_group *group, twi_cursor *cursor, uint64_t limit_offset);
/* 1 if the cursor's run is not kept any more: it must be served from the index up to the oldest kept run. */
static inline int twi_group_overrun(const twi_group *group, const twi_cursor *cursor)
{
    return group->run_head - cursor->run > TWI_GROUP_RUNS;
}
static inline const twi_run *twi_group_run(const twi_group *group, uint64_t run)
{
    return &group->runs[run % TWI_GROUP_RUNS];
}
/* Its place among the group's topics; -1: the group does not want it. */
int64_t twi_group_topic_index(const twi_group *group, uint32_t topic);
static inline int twi_group_wants(const twi_group *group, uint32_t topic)
{
    return twi_group_topic_index(group, topic) >= 0;
}

#endif
