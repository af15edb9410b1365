/** @file Fixed places in the kernels' memory, for assembly/ and the runtime alike. */

/** Address of a word with the first address that no heap has taken, in units of 64 bytes: the heaps of one memory share it. */
export const TOP = 960;
/** Address of the control block of the memory's first backend. Others on the same memory have theirs elsewhere. */
export const CONTROL = 1024;
/** Bytes of a control block: 64 words of arguments, and the counter NEXT_UNIT. Behind the first one is what is the pool's (assembly/core/pool.ts). */
export const CONTROL_BYTES = 320;
/** Place in the control block of the counter from which threads take the next piece of work; the runtime sets it to 0 before each call. */
export const NEXT_UNIT = 256;
/** Address of the scratch of the thread that made the memory. */
export const SCRATCH = 65536;
/** Private working memory of each thread, of which the last 256 bytes are for sums. */
export const SCRATCH_BYTES = 1048832;
/** Address of the packed kernels in the memory of the module that unpacks them (assembly/unpack.ts). */
export const PACKED = 32768;
