// Tar archives in memory (POSIX ustar, by the published layout of its header), for corpora to try things on: no field is set that
// reading does not need, and nothing is checked, so that tests can make bad ones.

/** One file of an archive. `type`: '0' a file, '2' a link to `link`, '5' a folder. */
export function tarEntry(name, contents, type = '0', link = '') {
  const bytes = Buffer.from(contents);
  const header = Buffer.alloc(512);
  header.write(name, 0);
  header.write('0000644\0', 100);
  header.write('0000000\0', 108);
  header.write('0000000\0', 116);
  header.write(`${bytes.length.toString(8).padStart(11, '0')}\0`, 124);
  header.write('00000000000\0', 136);
  // The sum counts its own field as spaces.
  header.write('        ', 148);
  header.write(type, 156);
  header.write(link, 157);
  header.write('ustar\x0000', 257);
  const sum = header.reduce((a, b) => a + b, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return Buffer.concat([header, bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);
}

/** The two empty blocks that end an archive. */
export const TAR_END = Buffer.alloc(1024);
