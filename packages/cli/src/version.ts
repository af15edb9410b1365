/** @file Version of the command and of the packages. */
/** Of all packages: they are released together. */
export const VERSION = '0.1.0';
