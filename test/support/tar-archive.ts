/** @file Tar archives in memory, made as the large corpus of scripts/large-corpus.mjs makes them. */
const made = (await import(new URL('../../scripts/tar-archive.mjs', import.meta.url).href)) as {
  tarEntry(name: string, contents: string | Uint8Array, type?: string, link?: string): Uint8Array;
  TAR_END: Uint8Array;
};

/** One file of an archive. @param type '0' a file, '2' a link to `link`, '5' a folder */
export const { tarEntry } = made;

/** A whole archive. */
export const tar = (...entries: Uint8Array[]): Uint8Array => Buffer.concat([...entries, made.TAR_END]);
