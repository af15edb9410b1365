/** @file The version of the command and of the packages, and the commit that they were built from. */

/** One version for all packages, because they are released together. */
export const VERSION = '0.1.0';

/** Put in by scripts/build.mjs. It is not there when the sources run as they are, and empty when they were built outside a clone. */
declare const BLT_COMMIT: string | undefined;

/** The version, and the commit where it is known: `0.1.0 (74fc32d0a1b2)`. It ends in `-dirty` if files had been changed since. */
export const VERSION_AND_COMMIT: string =
  typeof BLT_COMMIT === 'string' && BLT_COMMIT !== '' ? `${VERSION} (${BLT_COMMIT})` : VERSION;
