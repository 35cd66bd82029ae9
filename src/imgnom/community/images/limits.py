"""What a picture may be, and what opening it may cost. Measured in pixels, bytes and seconds.

The sandboxed reader, the container filters and the pages all take these numbers from here.
"""

MAX_SIDE_PX = 16_384
MAX_PIXELS = 60_000_000
MAX_FRAMES = 600
MAX_PIXELS_IN_ALL_FRAMES = 4 * MAX_PIXELS
MAX_PIXELS_PER_BYTE = 12_000
# An AVIF is opened whole, in about 18 bytes a pixel; the others are opened by rows or smaller than they are.
MAX_PIXELS_AVIF = 24_000_000
# What the sandboxed process may write to, libvips included; and its address space, most of which is libraries.
MEMORY_BYTES = 480 * 1024 * 1024
ADDRESS_BYTES = 700 * 1024 * 1024
# For the container and the pixels together. With what the site itself spends on a file, less than ten.
CPU_SECONDS = 9
# A rewritten file: PNG rows that are compressed again may take more room than before.
MAX_CLEAN_BYTES = 64 * 1024 * 1024
