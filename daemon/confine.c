#include "confine.h"

#include <glob.h>
#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/sandbox.h"
#include "model/gguf/gguf.h"

/* What Vulkan's loader and drivers, the C library and the sanitizers read. /etc and /proc are named
 * file by file: what others keep there is nobody's business here. */
static const char *const system_reads[] = {
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/nix/store",
    "/gnu/store",
    "/run/opengl-driver",
    "/run/host/usr",
    "/opt/amdgpu",
    "/opt/amdgpu-pro",
    "/opt/rocm",
    "/sys",
    "/etc/vulkan",
    "/etc/glvnd",
    "/etc/drirc",
    "/etc/nvidia",
    "/etc/OpenCL",
    "/etc/amd",
    "/etc/ld.so.cache",
    "/etc/ld.so.preload",
    "/etc/localtime",
    "/etc/passwd",
    "/etc/group",
    "/etc/nsswitch.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/resolv.conf",
    "/etc/gai.conf",
    "/proc/self",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/version",
    "/proc/modules",
    "/proc/devices",
    "/proc/filesystems",
    "/proc/cmdline",
    "/proc/sys",
    "/proc/driver",
    "/proc/self/exe",
    "/var/lib/dpkg/arch",
};

/* Written as well, and not made: devices. */
static const char *const devices[] = {
    "/dev/null",     "/dev/zero",  "/dev/full",    "/dev/random",  "/dev/urandom",
    "/dev/tty",      "/dev/dri",   "/dev/kfd",     "/dev/dxg",     "/dev/udmabuf",
    "/dev/dma_heap", "/dev/accel", "/dev/nvidia*", "/dev/nvhost*", "/dev/nvmap",
    "/dev/mali*",    "/dev/pvr*",  "/dev/kgsl*",   "/dev/asahi*",
};

/* Variables that name manifests, layers, their settings and libraries, separated by colons. */
static const char *const read_variables[] = {
    "VK_ICD_FILENAMES",
    "VK_DRIVER_FILES",
    "VK_ADD_DRIVER_FILES",
    "VK_LAYER_PATH",
    "VK_ADD_LAYER_PATH",
    "VK_IMPLICIT_LAYER_PATH",
    "VK_ADD_IMPLICIT_LAYER_PATH",
    "VK_LAYER_SETTINGS_PATH",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "LIBGL_DRIVERS_PATH",
    "DRIRC_CONFIGDIR",
};

/* Where drivers keep compiled kernels, and say so themselves. */
static const char *const cache_variables[] = {
    "MESA_SHADER_CACHE_DIR",      "MESA_GLSL_CACHE_DIR", "__GL_SHADER_DISK_CACHE_PATH",
    "AMD_SHADER_DISK_CACHE_PATH", "CUDA_CACHE_PATH",
};

static void allow_glob(struct fg_sandbox *s, const char *pattern, enum fg_sandbox_access access)
{
    glob_t found;

    if (glob(pattern, 0, NULL, &found) != 0)
        return;
    for (size_t i = 0; i < found.gl_pathc; i++)
        fg_sandbox_allow(s, found.gl_pathv[i], access);
    globfree(&found);
}

/* The folder that a file lies in. */
static void allow_folder_of(struct fg_sandbox *s, const char *path, enum fg_sandbox_access access)
{
    char folder[PATH_MAX];
    char *slash;

    snprintf(folder, sizeof folder, "%s", path);
    slash = strrchr(folder, '/');
    if (!slash)
        strcpy(folder, ".");
    else
        slash[slash == folder] = '\0';
    fg_sandbox_allow(s, folder, access);
}

/* The library of a driver or a layer, by a path of its own or one beside its manifest. One that is
 * only a name lies where the system's are. */
static void allow_library(struct fg_sandbox *s, const char *manifest, const json_t *of)
{
    const char *library = json_string_value(json_object_get(of, "library_path"));
    const char *slash = strrchr(manifest, '/');
    char beside[PATH_MAX];
    int n = 0;

    if (!library || !strchr(library, '/'))
        return;
    if (library[0] == '/')
        n = snprintf(beside, sizeof beside, "%s", library);
    else if (slash)
        n = snprintf(beside, sizeof beside, "%.*s/%s", (int)(slash - manifest), manifest, library);
    if (n > 0 && (size_t)n < sizeof beside)
        allow_folder_of(s, beside, FG_SANDBOX_READ);
}

static void allow_manifest(struct fg_sandbox *s, const char *path)
{
    json_t *root = json_load_file(path, 0, NULL), *layer;
    size_t i;

    fg_sandbox_allow(s, path, FG_SANDBOX_READ);
    allow_library(s, path, json_object_get(root, "ICD"));
    allow_library(s, path, json_object_get(root, "layer"));
    json_array_foreach(json_object_get(root, "layers"), i, layer) allow_library(s, path, layer);
    json_decref(root);
}

/* The manifests in a folder, whose libraries may lie anywhere. */
static void allow_manifests(struct fg_sandbox *s, const char *folder)
{
    char pattern[PATH_MAX];
    glob_t found;

    fg_sandbox_allow(s, folder, FG_SANDBOX_READ);
    if (snprintf(pattern, sizeof pattern, "%s/*.json", folder) >= (int)sizeof pattern ||
        glob(pattern, 0, NULL, &found) != 0)
        return;
    for (size_t i = 0; i < found.gl_pathc; i++)
        allow_manifest(s, found.gl_pathv[i]);
    globfree(&found);
}

/* What Vulkan's loader looks for below a folder for data or settings. */
static void allow_vulkan(struct fg_sandbox *s, const char *base)
{
    static const char *const kinds[] = {"icd.d", "implicit_layer.d", "explicit_layer.d"};
    char path[PATH_MAX];

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (snprintf(path, sizeof path, "%s/vulkan/%s", base, kinds[i]) < (int)sizeof path)
            allow_manifests(s, path);
}

/* Folders, separated by colons: the variable's, or those that the base directory specification
 * names where it is not set. */
static void allow_vulkan_of(struct fg_sandbox *s, const char *variable, const char *otherwise)
{
    const char *value = getenv(variable);
    char *words = strdup(value && *value ? value : otherwise), *save = NULL;

    for (char *w = words ? strtok_r(words, ":", &save) : NULL; w; w = strtok_r(NULL, ":", &save))
        allow_vulkan(s, w);
    free(words);
}

/* The user's own, below HOME where the variable is not set. */
static void allow_vulkan_home(struct fg_sandbox *s, const char *variable, const char *home_part)
{
    const char *home = getenv("HOME");
    char path[PATH_MAX] = "";

    if (home && snprintf(path, sizeof path, "%s/%s", home, home_part) >= (int)sizeof path)
        path[0] = '\0';
    allow_vulkan_of(s, variable, path);
}

static void allow_variable(struct fg_sandbox *s, const char *name, enum fg_sandbox_access access)
{
    const char *value = getenv(name);
    char *words = value ? strdup(value) : NULL, *save = NULL;
    struct stat st;

    for (char *w = words ? strtok_r(words, ":", &save) : NULL; w; w = strtok_r(NULL, ":", &save)) {
        if (access == FG_SANDBOX_WRITE)
            (void)fg_make_dirs(w, 0700, NULL);
        if (access == FG_SANDBOX_READ && stat(w, &st) == 0 && S_ISREG(st.st_mode))
            allow_manifest(s, w);
        else if (access == FG_SANDBOX_READ)
            allow_manifests(s, w);
        else
            fg_sandbox_allow(s, w, access);
    }
    free(words);
}

/* What the user has below a folder of the base directory specification, or below HOME without. */
static void allow_user(struct fg_sandbox *s, const char *variable, const char *home_part,
                       const char *name, enum fg_sandbox_access access)
{
    const char *base = getenv(variable), *home = getenv("HOME");
    char path[PATH_MAX];
    int n = 0;

    if (base && base[0] == '/')
        n = snprintf(path, sizeof path, "%s/%s", base, name);
    else if (home && home[0] == '/')
        n = snprintf(path, sizeof path, "%s/%s/%s", home, home_part, name);
    if (n <= 0 || (size_t)n >= sizeof path)
        return;
    if (access == FG_SANDBOX_WRITE)
        (void)fg_make_dirs(path, 0700, NULL);
    fg_sandbox_allow(s, path, access);
}

static void allow_driver(struct fg_sandbox *s)
{
    for (size_t i = 0; i < sizeof system_reads / sizeof *system_reads; i++)
        fg_sandbox_allow(s, system_reads[i], FG_SANDBOX_READ);
    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++)
        allow_glob(s, devices[i], FG_SANDBOX_DEVICE);
    for (size_t i = 0; i < sizeof read_variables / sizeof *read_variables; i++)
        allow_variable(s, read_variables[i], FG_SANDBOX_READ);
    for (size_t i = 0; i < sizeof cache_variables / sizeof *cache_variables; i++)
        allow_variable(s, cache_variables[i], FG_SANDBOX_WRITE);
    allow_user(s, "XDG_DATA_HOME", ".local/share", "vulkan", FG_SANDBOX_READ);
    allow_user(s, "XDG_CONFIG_HOME", ".config", "vulkan", FG_SANDBOX_READ);
    allow_vulkan_home(s, "XDG_DATA_HOME", ".local/share");
    allow_vulkan_home(s, "XDG_CONFIG_HOME", ".config");
    allow_vulkan_of(s, "XDG_DATA_DIRS", "/usr/local/share:/usr/share");
    allow_vulkan_of(s, "XDG_CONFIG_DIRS", "/etc/xdg");
    allow_vulkan(s, "/etc");
    /* Mesa's, by the names of its versions; the others' only where they are. */
    if (!getenv("MESA_SHADER_CACHE_DIR")) {
        allow_user(s, "XDG_CACHE_HOME", ".cache", "mesa_shader_cache", FG_SANDBOX_WRITE);
        allow_user(s, "XDG_CACHE_HOME", ".cache", "mesa_shader_cache_db", FG_SANDBOX_WRITE);
    }
    if (access("/dev/nvidiactl", F_OK) == 0)
        allow_user(s, "XDG_CACHE_HOME", ".cache", "nvidia", FG_SANDBOX_WRITE);
}

/* Another file of a model that is split. */
static void allow_part(struct fg_sandbox *s, const char *model, uint32_t no)
{
    char *path = fg_gguf_part_path(model, no);

    if (path) /* without, opening it fails */
        fg_sandbox_allow(s, path, FG_SANDBOX_READ);
    free(path);
}

static void allow_own(struct fg_sandbox *s, const struct fg_config *c, const char *socket_path)
{
    const char *colon = c->tcp ? strrchr(c->tcp, ':') : NULL;
    const char *slash = strrchr(socket_path, '/');
    char folder[PATH_MAX];

    fg_sandbox_allow(s, c->model, FG_SANDBOX_READ);
    for (uint32_t no = 2, n = fg_gguf_parts_of(c->model); no <= n; no++)
        allow_part(s, c->model, no);
    if (slash && slash != socket_path) {
        snprintf(folder, sizeof folder, "%.*s", (int)(slash - socket_path), socket_path);
        (void)mkdir(folder, 0700); /* who listens there says what is wrong with it */
    }
    allow_folder_of(s, socket_path, FG_SANDBOX_WRITE);
    if (c->cache_dir && fg_make_dirs(c->cache_dir, 0700, NULL) == 0)
        fg_sandbox_allow(s, c->cache_dir, FG_SANDBOX_WRITE);
    if (c->pipeline_dir && fg_make_dirs(c->pipeline_dir, 0700, NULL) == 0)
        fg_sandbox_allow(s, c->pipeline_dir, FG_SANDBOX_WRITE);
    if (colon)
        fg_sandbox_allow_port(s, (uint16_t)strtoul(colon + 1, NULL, 10));
}

static void describe(struct fg_confined *out)
{
    if (out->landlock)
        snprintf(out->words, sizeof out->words, "landlock-%d%s", out->landlock,
                 out->syscalls ? " seccomp" : "");
    else
        strcpy(out->words, out->syscalls ? "seccomp" : "off");
}

/* 0, or what `require` makes of it. */
static int missing(const struct fg_config *c, int rc, struct fg_err *why, struct fg_err *err)
{
    if (rc == 0)
        return 0;
    if (c->sandbox == FG_SANDBOX_REQUIRE)
        return fg_fail(err, rc, "--sandbox require: %.400s", why->text);
    fg_log(FG_LOG_WARN, "main", "sandbox=partial reason=\"%s\"", why->text);
    return 0;
}

int fg_confine_files(const struct fg_config *c, const char *socket_path, struct fg_confined *out,
                     struct fg_err *err)
{
    struct fg_err why = {0};
    struct fg_sandbox s;
    int rc;

    *out = (struct fg_confined){.landlock = 0};
    describe(out);
    if (!c->debuggable)
        fg_sandbox_hide_memory();
    if (c->sandbox == FG_SANDBOX_OFF)
        return 0;
    rc = fg_sandbox_begin(&s, &why);
    if (rc == 0) {
        allow_driver(&s);
        allow_own(&s, c, socket_path);
        out->landlock = s.abi;
        rc = fg_sandbox_enter(&s, &why);
    }
    if (rc)
        out->landlock = 0;
    describe(out);
    return missing(c, rc, &why, err);
}

void fg_confine_explain(const struct fg_confined *confined, const struct fg_config *c,
                        const struct fg_err *err)
{
    bool out_of_reach =
        err->code == FG_EACCESS || err->code == FG_EDEVICE || strstr(err->text, "Vulkan") != NULL;

    if (confined->landlock && out_of_reach)
        fg_log(FG_LOG_WARN, "main",
               "sandbox=\"%s\" model=%s hint=\"a driver or a file that lies elsewhere than "
               "SECURITY.md says is out of reach; --sandbox off shows whether that is why\"",
               confined->words, c->model);
}

int fg_confine_syscalls(const struct fg_config *c, struct fg_confined *out, struct fg_err *err)
{
    struct fg_err why = {0};
    int rc;

    if (c->sandbox == FG_SANDBOX_OFF)
        return 0;
    rc = fg_sandbox_syscalls(&why);
    out->syscalls = rc == 0;
    describe(out);
    return missing(c, rc, &why, err);
}
