/* record_source.h - random records for tests in C++, where the C helpers of codec_support.h do not compile. */
#ifndef TWT_RECORD_SOURCE_H
#define TWT_RECORD_SOURCE_H

#include "tickwire/codec.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct twt_record_source twt_record_source;

/* The table with the nasty names; the caller frees both with twt_record_source_close(). */
twt_record_source *twt_record_source_open(uint64_t seed);
void twt_record_source_close(twt_record_source *source);
tw_symbols *twt_record_source_symbols(twt_record_source *source);

/* The next record and its text id ("" if it has none); both are valid until the next call. */
tw_record twt_record_source_next(twt_record_source *source, const char **id);

#ifdef __cplusplus
}
#endif
#endif
