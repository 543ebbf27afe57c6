/* doorbell.h - how a sleeping reader is woken without giving it write access to the ring.
 *
 * Word:     bit 0 "somebody sleeps", the other bits a generation. A sleeper sets bit 0, looks at the ring once more
 *           and waits in the kernel for the word to change; whoever rings adds 1 if bit 0 is set (which clears it and
 *           moves to the next generation) and wakes everybody. A reader killed in its sleep costs one needless wake,
 *           not one per event.
 * No miss:  sleeper and ringer both do a read-modify-write on the word, so one of them comes second: a ringer that
 *           comes second sees bit 0 and wakes; a sleeper that comes second has acquired everything published before
 *           the ring, and its look at the slots after it finds the event. No fence is needed. The generation keeps a
 *           slow sleeper from waiting on a bit that another reader set again meanwhile.
 * Place:    a System V segment of one page for named rings, shared anonymous memory otherwise. It is not a second shm
 *           object, because whoever may write to such a file may also truncate it, and the producer would die of
 *           SIGBUS; a System V segment cannot be shrunk. It is marked for removal right after it is made (Linux still
 *           lets readers attach by id), so that nothing is left behind however the producer ends.
 * Hostile:  a reader may write anything into the page. It can cause needless wakes, and delay the wakes of other
 *           sleepers, by no more than TWI_DOORBELL_SLEEP_MAX_NS, after which every sleeper looks at the ring by
 *           itself.
 * Without:  another IPC namespace, no permission, macOS: no doorbell; readers sleep TWI_DOORBELL_POLL_NS at a time. */
#ifndef TWI_RING_DOORBELL_H
#define TWI_RING_DOORBELL_H

#include <stdatomic.h>
#include <stdint.h>

#include "engine/base/compiler.h"

enum { TWI_DOORBELL_NONE = -1, TWI_DOORBELL_SLEEPING = 1 };
#define TWI_DOORBELL_SLEEP_MAX_NS INT64_C(100000000)
#define TWI_DOORBELL_POLL_NS      INT64_C(50000)

typedef struct twi_doorbell {
    uint64_t magic;
    uint64_t epoch; /* of the ring it belongs to: an id may mean another segment in another IPC namespace */
    TWI_ALIGNED(TWI_CACHE_LINE_BYTES) _Atomic uint32_t word;
} twi_doorbell;

/* The producer's side. `mode` has the permission bits of the ring: who may read the ring may ring and sleep here.
 * NULL if this machine has none; *id is what readers of other processes attach by (TWI_DOORBELL_NONE if `named` is
 * 0). */
twi_doorbell *twi_doorbell_open(int named, uint32_t mode, uint64_t epoch, int32_t *id);
/* A reader in another process. NULL: sleep by polling. */
twi_doorbell *twi_doorbell_attach(int32_t id, uint64_t epoch);
void twi_doorbell_close(twi_doorbell *bell, int32_t id);

/* Wakes all sleepers; one uncontended atomic add if there is none. bell may be NULL. */
void twi_doorbell_ring(twi_doorbell *bell);
/* Announces a sleeper; the caller then looks at the ring once more and passes the result to sleep(). */
uint32_t twi_doorbell_announce(twi_doorbell *bell);
/* Sleeps until the bell rings, at most duration_ns and at most the limits above. May return early. bell may be NULL. */
void twi_doorbell_sleep(twi_doorbell *bell, uint32_t announced, int64_t duration_ns);

#endif
