/*
 * Cells of a CSV file (RFC 4180).
 */

#ifndef CP_CSV_H
#define CP_CSV_H


#include "base/cp_util.h"


/* Quoted; what a spreadsheet would take for a formula is told to be text by
 * an apostrophe. */
void cp_csv_cell(stoa_buf_t *out, const char *s);


#endif /* CP_CSV_H */
