/* arbiter.h - one stream of events out of two copies of it: the first copy of everything wins.
 *
 * Why right: each leg is a whole adapter with its own books, so that what it says is continuous in itself.
 *   trades   by id, exactly, as long as the second copy comes within TWI_ARBITER_TRADES of the same symbol.
 *   books    a leg's group that ends at sequence s changes the book as it was where the leg's group before ended. It is
 *            put out if the book that was put out stands exactly there; if it ends there or before, it is an old
 *            copy.
 *            Groups end at the same sequences on both legs, so the legs fall into step by themselves; if they do not,
 *            one of them leads, and should it be lost, the other is stuck and must bring a new snapshot.
 *   status   a book is ok as long as one leg's is; a lost leg empties nothing while the other stands.
 *   quotes   have no number: they are taken from one leg, and from the other when that one is lost.
 * Restarts:  a leg whose sequence goes back (the venue's restart) leads from there; the other one is not listened to
 *            until it has brought a new snapshot.
 * For:       venues whose sequences and trade ids are the same on every connection (TW_HAS_SAME_ON_LINKS).
 * Memory:    taken at open, per symbol. Thread: one. */
#ifndef TWI_ARBITER_H
#define TWI_ARBITER_H

#include <stdint.h>

#include "tickwire/feed.h"

enum { TWI_ARBITER_LEGS = 2, TWI_ARBITER_TRADES = 4096 };

typedef struct twi_arbiter twi_arbiter;

/* TW_NO_MEMORY. */
TW_MUST_USE tw_status twi_arbiter_open(uint32_t symbol_count_max, tw_sink out, twi_arbiter **arbiter);
void twi_arbiter_close(twi_arbiter *arbiter);
/* Where the leg's adapter puts its events. */
tw_sink twi_arbiter_sink(twi_arbiter *arbiter, uint32_t leg);
/* Second copies that were dropped: trades, quotes and book messages. */
uint64_t twi_arbiter_duplicates(const twi_arbiter *arbiter);
/* 1, once: the leg has changes of a book that nobody else can bring up to where they begin; it is to start anew. */
int twi_arbiter_take_stuck(twi_arbiter *arbiter, uint32_t leg);
/* What it takes. */
size_t twi_arbiter_bytes(uint32_t symbol_count_max);

#endif
