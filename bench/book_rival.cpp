/* book_rival.cpp - see book_rival.h. Keys are exact decimals; those of one exponent, nearly all of a market, are
 * compared as integers. Nodes come from the allocator that a C++ program has by default. */
#include "bench/book_rival.h"

#include <map>

namespace
{

int compare(const tw_decimal &a, const tw_decimal &b)
{
    if (a.exponent == b.exponent)
        return (a.mantissa > b.mantissa) - (a.mantissa < b.mantissa);
    return tw_decimal_compare(a, b);
}

struct rising {
    bool operator()(const tw_decimal &a, const tw_decimal &b) const { return compare(a, b) < 0; }
};

struct falling {
    bool operator()(const tw_decimal &a, const tw_decimal &b) const { return compare(a, b) > 0; }
};

template <typename side> void set(side &levels, const tw_decimal &price, const tw_decimal &amount)
{
    if (amount.mantissa == 0)
        levels.erase(price);
    else
        levels.insert_or_assign(price, amount);
}

template <typename side> void cut(side &levels, uint32_t depth)
{
    while (levels.size() > depth)
        levels.erase(std::prev(levels.end()));
}

template <typename side> bool best(const side &levels, tw_decimal *price, tw_decimal *amount)
{
    if (levels.empty())
        return false;
    *price = levels.begin()->first;
    *amount = levels.begin()->second;
    return true;
}

template <typename side> uint32_t top(const side &levels, tw_decimal *prices, tw_decimal *amounts, uint32_t count)
{
    uint32_t index = 0;
    for (auto it = levels.begin(); it != levels.end() && index < count; ++it, ++index) {
        prices[index] = it->first;
        amounts[index] = it->second;
    }
    return index;
}

} // namespace

struct twb_tree_book {
    std::map<tw_decimal, tw_decimal, falling> bids;
    std::map<tw_decimal, tw_decimal, rising> asks;
};

extern "C" {

twb_tree_book *twb_tree_open(void)
{
    return new twb_tree_book;
}

void twb_tree_close(twb_tree_book *book)
{
    delete book;
}

void twb_tree_apply(twb_tree_book *book, const tw_event *event)
{
    if (event->kind == TW_EVENT_BOOK_CLEAR ||
        (event->flags & (TW_FLAG_SNAPSHOT | TW_FLAG_FIRST)) == (TW_FLAG_SNAPSHOT | TW_FLAG_FIRST)) {
        book->bids.clear();
        book->asks.clear();
    }
    if (event->kind != TW_EVENT_LEVEL)
        return;
    tw_decimal price{event->u.level.price, event->price_exponent};
    tw_decimal amount{event->u.level.amount, event->amount_exponent};
    if ((event->flags & TW_FLAG_ASK) != 0)
        set(book->asks, price, amount);
    else
        set(book->bids, price, amount);
}

void twb_tree_cut(twb_tree_book *book, uint32_t depth)
{
    cut(book->bids, depth);
    cut(book->asks, depth);
}

bool twb_tree_best(const twb_tree_book *book, bool ask, tw_decimal *price, tw_decimal *amount)
{
    return ask ? best(book->asks, price, amount) : best(book->bids, price, amount);
}

uint32_t twb_tree_top(const twb_tree_book *book, bool ask, tw_decimal *prices, tw_decimal *amounts, uint32_t count)
{
    return ask ? top(book->asks, prices, amounts, count) : top(book->bids, prices, amounts, count);
}
}
