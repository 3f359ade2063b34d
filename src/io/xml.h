/*
 * xml.h: a reader for the XML that S3 answers with. Elements, attributes (skipped), text, CDATA, comments, character references and the five
 * named entities; no document types, no namespaces but a prefix that is dropped. Bounded: depth 16, text of an element 64 kB.
 */
#ifndef IO_XML_H
#define IO_XML_H

#include "base/error.h"
#include "base/str.h"

#define XML_DEPTH_MAX 16

/* path: the element's name and those around it, outermost first; text: its own text, entities resolved, valid during the call. Called at the end of
 * each element. */
typedef fz_status (*xml_fn)(void *ctx, const str *path, uint32_t depth, str text, fz_error *err);
/* FZ_DATA for what isn't such XML. */
fz_status xml_read(str doc, mem *m, xml_fn fn, void *ctx, fz_error *err);

/* Appends s as XML text: & < > " ' escaped. */
void xml_escape(str s, sbuf *out);

#endif
