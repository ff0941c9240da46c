/* Programs: the embedded shaders, and the pipelines made of them. What a program takes (its buffers
 * and the size of its push constants) is read from its SPIR-V. One thread at a time. */
#ifndef FG_PROGRAM_H
#define FG_PROGRAM_H

#include <stdint.h>

#include "fulgur/error.h"

struct fg_device;
struct fg_pipeline;

enum { FG_SPEC_COUNT = 5 };

/* The pipeline of shader `name` (a row of the table in CMake) with specialization constants 0..4;
 * made on first use and kept by the device. It is the handle by which kernels are recorded: the
 * name is looked for among all, so whoever uses it often asks once. FG_ENOTFOUND (no such shader),
 * FG_EFORMAT, FG_EDEVICE. */
int fg_pipeline_get(struct fg_device *d, const char *name, const uint32_t spec[FG_SPEC_COUNT],
                    struct fg_pipeline **out, struct fg_err *err);

/* What the driver's compiler says of a shader: "name value" lines, as it names them. */
enum { FG_STATISTICS_BYTES = 4096 };
/* Compiles once more, keeping nothing. FG_EUNSUPPORTED (the driver does not tell), FG_ENOTFOUND,
 * FG_EDEVICE. */
int fg_pipeline_statistics(struct fg_device *d, const char *name,
                           const uint32_t spec[FG_SPEC_COUNT], char text[FG_STATISTICS_BYTES],
                           struct fg_err *err);

/* Of the code of all embedded shaders, in the table's order. */
uint64_t fg_shaders_hash(void);
/* Names of all embedded shaders: i from 0 until NULL. */
const char *fg_shader_name(uint32_t i);

#endif
