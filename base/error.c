#include "fulgur/error.h"

const char *fg_strerror(int code)
{
    switch (code) {
    case FG_OK: return "success";
    case FG_ENOMEM: return "out of memory";
    case FG_EINVAL: return "invalid argument";
    case FG_EIO: return "input/output error";
    case FG_EFORMAT: return "malformed data";
    case FG_EUNSUPPORTED: return "not supported";
    case FG_ENOTFOUND: return "not found";
    case FG_EBUSY: return "busy";
    case FG_EFULL: return "no space left";
    case FG_EDEVICE: return "Vulkan call failed";
    case FG_EDEVICELOST: return "Vulkan device lost";
    case FG_ECANCELED: return "canceled";
    case FG_ETOOLONG: return "longer than the context";
    case FG_ESERVER: return "the daemon reported an error";
    case FG_ECORRUPT: return "corrupt data";
    case FG_EACCESS: return "permission denied";
    }
    return "unknown error";
}
