/* What the fuzz targets share. */

#ifndef STOA_FUZZ_H
#define STOA_FUZZ_H


#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define must(x)  do { if (!(x)) { abort(); } } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


#endif /* STOA_FUZZ_H */
