#include "CYAML.h"

#include <stdlib.h>
#include <yaml.h>

static void *fail(cyaml_error *error, const char *problem, yaml_mark_t mark) {
    *error = (cyaml_error){problem, (uint32_t)mark.line + 1, (uint32_t)mark.column + 1};
    return NULL;
}

// The parser's own words. Its reader knows a byte's offset, but no line.
static void *fail_parser(cyaml_error *error, const yaml_parser_t *parser) {
    const char *problem = parser->problem ? parser->problem : "out of memory";
    fail(error, problem, parser->problem_mark);
    if (parser->error == YAML_READER_ERROR || parser->error == YAML_MEMORY_ERROR)
        error->line = error->column = 0;
    return NULL;
}

static yaml_document_t *load(yaml_parser_t *parser, cyaml_error *error) {
    yaml_document_t *document = calloc(1, sizeof *document);
    if (!document) return fail(error, "out of memory", (yaml_mark_t){0});
    if (!yaml_parser_load(parser, document)) {
        free(document);
        return fail_parser(error, parser);
    }
    return document;
}

// Whether nothing follows the document that was read.
static int is_last(yaml_parser_t *parser, cyaml_error *error) {
    yaml_document_t *next = load(parser, error);
    if (!next) return 0;
    yaml_node_t *root = yaml_document_get_root_node(next);
    if (root) fail(error, "more than one document", next->start_mark);
    cyaml_close(next);
    return !root;
}

void *cyaml_open(const uint8_t *bytes, size_t byte_count, cyaml_error *error) {
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser)) return fail(error, "out of memory", (yaml_mark_t){0});
    yaml_parser_set_input_string(&parser, bytes, byte_count);
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_document_t *document = load(&parser, error);
    // The end of the stream is a document without a root: no other document follows it.
    if (document && yaml_document_get_root_node(document) && !is_last(&parser, error)) {
        cyaml_close(document);
        document = NULL;
    }
    yaml_parser_delete(&parser);
    return document;
}

int32_t cyaml_root(void *document) {
    return yaml_document_get_root_node(document) ? 1 : 0;
}

cyaml_node cyaml_node_at(void *document, int32_t number) {
    yaml_node_t *node = yaml_document_get_node(document, number);
    cyaml_node out = {.line = (uint32_t)node->start_mark.line + 1,
                      .column = (uint32_t)node->start_mark.column + 1};
    if (node->type == YAML_SCALAR_NODE) {
        out.kind = CYAML_SCALAR;
        out.bytes = node->data.scalar.value;
        out.byte_count = node->data.scalar.length;
    } else if (node->type == YAML_SEQUENCE_NODE) {
        out.kind = CYAML_SEQUENCE;
        out.child_count =
            (uint32_t)(node->data.sequence.items.top - node->data.sequence.items.start);
    } else {
        out.kind = CYAML_MAPPING;
        out.child_count =
            2 * (uint32_t)(node->data.mapping.pairs.top - node->data.mapping.pairs.start);
    }
    return out;
}

int32_t cyaml_child(void *document, int32_t number, uint32_t index) {
    yaml_node_t *node = yaml_document_get_node(document, number);
    if (node->type == YAML_SEQUENCE_NODE) return node->data.sequence.items.start[index];
    yaml_node_pair_t pair = node->data.mapping.pairs.start[index / 2];
    return index % 2 ? pair.value : pair.key;
}

void cyaml_close(void *document) {
    yaml_document_delete(document);
    free(document);
}
