/*
 * Arguments of a tool that are told in headers, too: what "x-mcp-header" in
 * its inputSchema says (row H3 of the project's MCP checklist).
 *
 * Process: any.  No allocation; spans point into the definition.
 */

#ifndef STOA_MCP_PARAM_H
#define STOA_MCP_PARAM_H


#include "stoa_json.h"


#define STOA_MCP_PARAMS_MAX   32
#define STOA_MCP_PARAM_DEPTH  8

typedef struct {
    stoa_str_t       header;          /* behind "Mcp-Param-"                */
    bool             number;          /* compared as one                    */
    unsigned         n;               /* of path, from arguments on         */
    stoa_json_val_t  path[STOA_MCP_PARAM_DEPTH];
} stoa_mcp_param_t;

typedef enum { STOA_MCP_PARAMS_NONE = 0, STOA_MCP_PARAMS_SOME,
    STOA_MCP_PARAMS_INVALID } stoa_mcp_params_e;


/* Of a tool's definition; params has STOA_MCP_PARAMS_MAX places.  Invalid: a
 * name that is no token or is there twice, a value that is no plain one, a
 * place that "properties" alone does not lead to. */
stoa_mcp_params_e stoa_mcp_params(const stoa_json_val_t *definition,
    stoa_mcp_param_t *params, unsigned *n);

/* Its value in the arguments; false: there is none, or it is null. */
bool stoa_mcp_param_value(const stoa_mcp_param_t *p,
    const stoa_json_val_t *arguments, stoa_json_val_t *val);


#endif /* STOA_MCP_PARAM_H */
