/** @file The order of file names: as a reader counts, and the same in every locale. */

/** Runs of digits, and what is between them. */
const partsOf = (name: string): readonly string[] => name.match(/\d+|\D+/g) ?? [];

function compareParts(a: readonly string[], b: readonly string[]): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const [x, y] = [a[i], b[i]];
    if (/^\d/.test(x) && /^\d/.test(y)) {
      // Without leading zeros the longer run of digits is the larger number, whatever its length.
      const [m, n] = [x.replace(/^0+/, ''), y.replace(/^0+/, '')];
      if (m.length !== n.length) return m.length - n.length;
      if (m !== n) return m < n ? -1 : 1;
    } else if (x !== y) return x < y ? -1 : 1;
  }
  return a.length - b.length;
}

/**
 * Orders names the way a reader counts: runs of digits by their value (chapter_2 before chapter_10), everything else by UTF-16
 * code unit, so that the order is the same in every locale. A total order: equal only for equal strings.
 */
export function compareNames(a: string, b: string): number {
  return compareParts(partsOf(a), partsOf(b)) || (a < b ? -1 : a > b ? 1 : 0);
}

/** Sorts by {@link compareNames}, but takes each name apart once: a folder may have a million. */
export function sortedByName<T>(things: readonly T[], nameOf: (thing: T) => string): T[] {
  return things
    .map((thing) => ({ thing, name: nameOf(thing), parts: partsOf(nameOf(thing)) }))
    .sort((a, b) => compareParts(a.parts, b.parts) || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
    .map(({ thing }) => thing);
}
