/* cases.h - the groups of the loop suite; each file cases_<group>.c fills one table. */
#ifndef TWT_LOOP_CASES_H
#define TWT_LOOP_CASES_H

typedef struct twt_case {
    const char *name;
    void (*run)(void **state);
} twt_case;

/* Ended by a NULL name. */
extern const twt_case twt_stream_cases[];
extern const twt_case twt_life_cases[];
extern const twt_case twt_time_cases[];
extern const twt_case twt_limit_cases[];

#endif
