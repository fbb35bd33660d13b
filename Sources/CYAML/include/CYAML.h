// YAML documents as flat nodes, over libyaml: no struct of libyaml's shows outside.
#ifndef CYAML_H
#define CYAML_H

#include <stddef.h>
#include <stdint.h>

enum { CYAML_SCALAR = 1, CYAML_SEQUENCE = 2, CYAML_MAPPING = 3 };

// What is wrong with a text, and where. Lines and columns count from 1; 0 where unknown.
typedef struct {
    const char *problem;
    uint32_t line;
    uint32_t column;
} cyaml_error;

typedef struct {
    uint32_t kind;
    uint32_t line;
    uint32_t column;
    // Items of a sequence; keys and values of a mapping, in turn; 0 for a scalar.
    uint32_t child_count;
    // The bytes of a scalar, UTF-8; NULL otherwise. They are the document's.
    const uint8_t *bytes;
    size_t byte_count;
} cyaml_node;

// Reads the only document of `bytes`. Aliases are the nodes that they stand for, so that a node may
// be its own child. Returns NULL and sets `error` when there is none to be had; `bytes` is not used
// afterwards.
void *cyaml_open(const uint8_t *bytes, size_t byte_count, cyaml_error *error);
// The number of the root node; 0: the document is empty.
int32_t cyaml_root(void *document);
// The node of a number that `cyaml_root` or `cyaml_child` returned.
cyaml_node cyaml_node_at(void *document, int32_t number);
// The number of a node's child, `index` below its `child_count`.
int32_t cyaml_child(void *document, int32_t number, uint32_t index);
void cyaml_close(void *document);

#endif
