/** @file Fixed places in the kernels' memory, for assembly/ and the runtime alike. */

/** Address of the argument block: 64 words. */
export const ARGUMENTS = 1024;
/** Address of the counter from which threads take the next piece of work; the runtime sets it to 0 before each call. */
export const NEXT_UNIT = 1280;
/** Address of the calling thread's scratch; what lies between it and NEXT_UNIT is the pool's (assembly/core/pool.ts). */
export const SCRATCH = 65536;
/** Private working memory of each thread, of which the last 256 bytes are for sums. */
export const SCRATCH_BYTES = 1048832;
/** Address of the packed kernels in the memory of the module that unpacks them (assembly/unpack.ts). */
export const PACKED = 32768;
