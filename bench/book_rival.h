/* book_rival.h - an order book in two balanced trees (std::map), for book_bench: the same levels, the same answers. */
#ifndef TWI_BENCH_BOOK_RIVAL_H
#define TWI_BENCH_BOOK_RIVAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tickwire/decimal.h"
#include "tickwire/event.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct twb_tree_book twb_tree_book;

twb_tree_book *twb_tree_open(void);
void twb_tree_close(twb_tree_book *book);
/* One record, as twi_book_apply_event() takes it. */
void twb_tree_apply(twb_tree_book *book, const tw_event *event);
/* Removes the worst levels beyond `depth` of each side. */
void twb_tree_cut(twb_tree_book *book, uint32_t depth);
/* Best first; false: no such level. */
bool twb_tree_best(const twb_tree_book *book, bool ask, tw_decimal *price, tw_decimal *amount);
/* Writes up to `count` best levels of a side; returns how many. */
uint32_t twb_tree_top(const twb_tree_book *book, bool ask, tw_decimal *prices, tw_decimal *amounts, uint32_t count);

#ifdef __cplusplus
}
#endif
#endif
