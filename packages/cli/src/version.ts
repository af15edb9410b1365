/** @file The version of the command and of the packages. */

/** One version for all packages, because they are released together. */
export const VERSION = '0.1.0';
