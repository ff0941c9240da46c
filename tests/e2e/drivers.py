"""The Vulkan drivers that tests run on besides the default one."""
import glob
import os
import pathlib
import subprocess
import tempfile

SWIFTSHADER = next((p for p in ["/usr/lib/chromium/vk_swiftshader_icd.json"]
                    if os.path.exists(p)), None)
LAVAPIPE = next((p for d in ["/usr/share", "/usr/local/share", "/etc"]
                 for p in sorted(glob.glob(f"{d}/vulkan/icd.d/lvp_icd*.json"))), None)
WIDTHS = ("128", "256", "512")  # lavapipe's vectors in bits: subgroups of 4, 8 and 16
CACHES = pathlib.Path(os.environ.get("MESA_SHADER_CACHE_DIR", tempfile.gettempdir()))


def every(bin_dir):
    """Names and environments: the default device, and what else is at hand; width changes need shader caches of their
    own. The width that lavapipe chooses here by itself is the default device."""
    found = {"default": {}}
    listing = subprocess.run([os.path.join(bin_dir, "fulgur-eval"), "devices"], capture_output=True, text=True).stdout
    if "llvmpipe" in listing:
        for width in (w for w in WIDTHS if f", {w} bits)" not in listing):
            found[f"llvmpipe at {width} bits"] = {
                "LP_NATIVE_VECTOR_WIDTH": width,
                "MESA_SHADER_CACHE_DIR": str(CACHES.parent / f"{CACHES.name}-{width}")}
    if SWIFTSHADER:
        found["SwiftShader"] = {"VK_ICD_FILENAMES": SWIFTSHADER, "VK_DRIVER_FILES": SWIFTSHADER}
    else:
        print("SKIPPED: SwiftShader is not installed (Debian: chromium)")
    return found
