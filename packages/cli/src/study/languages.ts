/** @file The languages of the corpus `languages`, by how much of each training has. */

/** Bytes of the languages that training has beside English, which has all. */
export const RARE: Readonly<Record<string, number>> = { es: 400_000, ru: 200_000, ar: 100_000, id: 50_000 };
/** Languages that training has nothing of. */
export const NEVER_SEEN = ['fr', 'sv', 'tr', 'bn', 'ur', 'zh'];
