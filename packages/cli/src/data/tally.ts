/** @file Warnings that may come by the thousand: the first of a kind by name, the rest as a number. */
/** How many things of a kind are named one by one before the rest is only counted. */
const NAMED = 3;

/** Counts warnings by kind. */
export class Tally {
  readonly #kinds = new Map<string, { first: string[]; more: number }>();

  /** @param rest what is said of those that are not named, after their number: `more files were given twice` */
  add(rest: string, sentence: string): void {
    const kind = this.#kinds.get(rest);
    if (!kind) this.#kinds.set(rest, { first: [sentence], more: 0 });
    else if (kind.first.length < NAMED) kind.first.push(sentence);
    else kind.more++;
  }

  report(warn: (message: string) => void): void {
    for (const [rest, { first, more }] of this.#kinds) {
      for (const sentence of first) warn(sentence);
      if (more > 0) warn(`${more} ${rest}`);
    }
  }
}
