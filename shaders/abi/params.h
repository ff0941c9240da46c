/* All parameters of shaders at once, for the C files that do not say which they use yet. */
#ifndef FG_PARAMS_H
#define FG_PARAMS_H

#include "../bench/params.h"
#include "../embed/params.h"
#include "../ffn/params.h"
#include "../lightning/params.h"
#include "../matmul/params.h"
#include "../moe/params.h"
#include "../norm/params.h"
#include "../repack/params.h"
#include "../rope/params.h"
#include "../sample/params.h"
#include "../softmax_attention/params.h"

#endif
