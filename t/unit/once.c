/* Tests for what may come once. */

#include "stoa_once.h"
#include "tap.h"


#define SUM(n)  ((uint64_t) (n) << 28)


int
main(void)
{
    uint64_t  words[3] = { 0, 0, 0 };

    tap_int(stoa_once(words, 3, SUM(1) | 77, 1, 10), STOA_OK, "the first");
    tap_int(stoa_once(words, 3, SUM(1), 5, 20), STOA_DECLINED, "again");
    tap_int(stoa_once(words, 3, SUM(1), 10, 20), STOA_DECLINED,
            "to its last second");
    tap_int(stoa_once(words, 3, SUM(2), 10, 20), STOA_OK, "another");
    tap_int(stoa_once(words, 3, SUM(3), 10, 20), STOA_OK, "a third");
    tap_int(stoa_once(words, 3, SUM(4), 10, 20), STOA_FULL, "no room");
    tap_int(stoa_once(words, 3, SUM(2), 10, 20), STOA_DECLINED,
            "nothing was forgotten for it");
    tap_int(stoa_once(words, 3, SUM(4), 11, 20), STOA_OK,
            "room, when a time is over");
    tap_int(stoa_once(words, 3, SUM(1), 21, 30), STOA_OK, "and for the first");
    tap_int(stoa_once(words, 3, SUM(0), 21, 30), STOA_OK, "a sum of 0");
    tap_int(stoa_once(words, 3, SUM(0), 21, 30), STOA_DECLINED, "again");

    return tap_done();
}
