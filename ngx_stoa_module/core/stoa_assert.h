/*
 * What must be true, in tests and in production: going on with broken state
 * would serve, count or store something wrong.  The process ends; a worker of
 * nginx is started again, stoa-control by its supervisor.
 *
 * Used for the pairing of calls (taken once, given back once), the states of
 * objects that several threads hand on, and magic numbers in objects that come
 * back through a library's void pointer.  Never for what input can bring
 * about.
 */

#ifndef STOA_ASSERT_H
#define STOA_ASSERT_H


#define stoa_assert(e)                                                        \
    ((e) ? (void) 0 : stoa_assert_failed(#e, __FILE__, __LINE__))

_Noreturn void stoa_assert_failed(const char *what, const char *file,
    int line);


#endif /* STOA_ASSERT_H */
