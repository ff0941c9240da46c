/* What the tests' backend keeps for later requests: by tenant, kind and id, in a list. */
#ifndef FAKE_DOCUMENTS_H
#define FAKE_DOCUMENTS_H

#include "serve/backend.h"

void fake_documents_submitted(uint64_t job); /* so many have been */
/* Drops everything, whoever's, and keeps nothing of jobs that were submitted. */
void fake_documents_forget(void);
void fake_documents_keep(const struct fg_tenant *tenant, uint64_t job, enum fg_document_kind kind,
                         const char *id, struct fg_str text);
/* As in the table of a backend; `ctx` is not used. On the loop's thread they fail the test. */
bool fake_documents_recall(void *ctx, const struct fg_tenant *tenant, enum fg_document_kind kind,
                           struct fg_str id, struct fg_str *text);
bool fake_documents_drop(void *ctx, const struct fg_tenant *tenant, enum fg_document_kind kind,
                         struct fg_str id);
/* This thread is the loop's. */
void fake_documents_on_loop(void);
/* Breaks the texts of all that is kept: what is read then makes no sense. */
void fake_documents_damage(void);
void fake_documents_finish(void);

#endif
