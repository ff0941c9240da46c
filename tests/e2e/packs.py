"""Packs as anybody can make them from docs/pack-format.md: taken apart, changed, with checksums that hold, signed."""
import ctypes
import ctypes.util
import struct

HEAD, RECORD, PUBLIC, SIGNATURE = 192, 288, 32, 64
BLOCK, STATE = 1, 2


def library(name, file):
    return ctypes.CDLL(ctypes.util.find_library(name) or file)


class Hash(ctypes.Structure):
    _fields_ = [("low", ctypes.c_uint64), ("high", ctypes.c_uint64)]


XXH = library("xxhash", "libxxhash.so.0")
XXH.XXH3_64bits.restype = XXH.XXH3_64bits_withSeed.restype = ctypes.c_uint64
XXH.XXH3_64bits.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
XXH.XXH3_64bits_withSeed.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint64]
XXH.XXH3_128bits_withSeed.argtypes = XXH.XXH3_64bits_withSeed.argtypes
XXH.XXH3_128bits_withSeed.restype = Hash
SODIUM = library("sodium", "libsodium.so.23")
if SODIUM.sodium_init() < 0:
    raise RuntimeError("libsodium does not work here")


def xxh128(data, seed=0):
    h = XXH.XXH3_128bits_withSeed(data, len(data), seed)
    return struct.pack(">QQ", h.high, h.low)


def blake2b(data):
    out = ctypes.create_string_buffer(64)
    SODIUM.crypto_generichash(out, ctypes.c_size_t(64), data, ctypes.c_ulonglong(len(data)), None,
                              ctypes.c_size_t(0))
    return out.raw


class Key:
    """A key pair of Ed25519."""

    def __init__(self, seed):
        public, self.secret = ctypes.create_string_buffer(32), ctypes.create_string_buffer(64)
        SODIUM.crypto_sign_seed_keypair(public, self.secret, seed)
        self.public = public.raw
        self.text = "ed25519:" + self.public.hex()

    def sign(self, message):
        out = ctypes.create_string_buffer(SIGNATURE)
        SODIUM.crypto_sign_detached(out, None, message, ctypes.c_ulonglong(len(message)), self.secret)
        return out.raw


def key_of(path):
    """The pair in a cache directory's pack.key."""
    with open(path, "rb") as f:
        data = f.read()
    key = Key(data[8:40])
    assert data[:8] == b"fulgurky" and data[40:] == key.public
    return key


class Record:
    def __init__(self, kind, index, tokens, payload):
        self.kind, self.index, self.tokens, self.payload = kind, index, tokens, payload

    def write(self, seed):
        start = struct.pack("<IIQ", self.kind, self.index, len(self.payload)) + self.tokens
        return start + xxh128(self.payload, XXH.XXH3_64bits_withSeed(start, len(start), seed)) + self.payload


class Pack:
    def __init__(self, data):
        self.head, self.end, self.records = bytearray(data[:HEAD]), data[-PUBLIC - SIGNATURE:], []
        at = HEAD
        while at < len(data) - len(self.end):
            kind, index, size = struct.unpack_from("<IIQ", data, at)
            self.records.append(Record(kind, index, data[at + 16:at + 272],
                                       data[at + RECORD:at + RECORD + size]))
            at += RECORD + size

    def block(self, index):
        return next(r for r in self.records if (r.kind, r.index) == (BLOCK, index))

    def body(self, version, end_bytes):
        """The head and the records, with counts and checksums that are right."""
        kinds = [r.kind for r in self.records]
        struct.pack_into("<III", self.head, 8, version, kinds.count(BLOCK), kinds.count(STATE))
        total = HEAD + sum(RECORD + len(r.payload) for r in self.records) + end_bytes
        struct.pack_into("<Q", self.head, 40, total)
        self.head[176:192] = xxh128(bytes(self.head[:176]))
        seed = XXH.XXH3_64bits(bytes(self.head), HEAD)
        return bytes(self.head) + b"".join(r.write(seed) for r in self.records)

    def forge(self):
        """With the end as it was."""
        return self.body(2, len(self.end)) + self.end

    def unsigned(self):
        return self.body(1, 0)

    def sign(self, key):
        text = self.body(2, PUBLIC + SIGNATURE) + key.public
        return text + key.sign(b"fulgur pack".ljust(16, b"\0") + blake2b(text))
