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
 * made on first use and kept by the device. FG_ENOTFOUND (no such shader), FG_EDEVICE. */
int fg_pipeline_get(struct fg_device *d, const char *name, const uint32_t spec[FG_SPEC_COUNT],
                    struct fg_pipeline **out, struct fg_err *err);

/* What the driver's compiler says of a shader: "name value" lines, as it names them. */
enum { FG_STATISTICS_BYTES = 4096 };
/* Compiles once more, keeping nothing. FG_EUNSUPPORTED (the driver does not tell), FG_ENOTFOUND,
 * FG_EDEVICE. */
int fg_pipeline_statistics(struct fg_device *d, const char *name,
                           const uint32_t spec[FG_SPEC_COUNT], char text[FG_STATISTICS_BYTES],
                           struct fg_err *err);

/* A kernel: a handle to a shader with its specialization, found by name once and then used without
 * looking anything up. Plain data; its user keeps it as long as it likes, within the device's life.
 * The pipeline is made when it is first used, by the one thread that records. */
struct fg_kernel {
    struct fg_device *device;
    uint32_t program; /* index in the table of shaders */
    uint32_t spec[FG_SPEC_COUNT];
    struct fg_pipeline *pipeline; /* NULL: not made yet */
};
/* FG_ENOTFOUND (no such shader). Makes no pipeline. spec: NULL for zeros. */
int fg_kernel_init(struct fg_kernel *k, struct fg_device *d, const char *name,
                   const uint32_t spec[FG_SPEC_COUNT], struct fg_err *err);
/* Makes the pipeline now unless there is one. FG_EDEVICE, FG_ENOMEM, FG_EINVAL. */
int fg_kernel_ready(struct fg_kernel *k, struct fg_err *err);

/* Of the code of all embedded shaders, in the table's order. */
uint64_t fg_shaders_hash(void);
/* Names of all embedded shaders: i from 0 until NULL. */
const char *fg_shader_name(uint32_t i);

#endif
