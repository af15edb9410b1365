/** @file Patterns of file names: *, ?, [...], {...} and **. */
/**
 * File name patterns, matched without regular expressions so that no pattern can take exponential time.
 *
 *   *      any run of characters inside one name      ?      any one character
 *   [a-z]  one character of a set, [!a-z] or [^a-z] outside it
 *   {a,b}  either alternative, may nest               **     any number of folders, as a whole path segment
 *   \x     the character x itself
 *
 * A leading dot is matched only by a dot that the pattern spells out.
 */

/** Whether `pattern` holds any of the characters that make it a pattern rather than a path. */
export function isGlob(pattern: string): boolean {
  return /[*?[{]/.test(pattern);
}

/** Index of the brace that closes the one at `open`, or -1. */
function closingBrace(pattern: string, open: number): number {
  let depth = 0;
  for (let i = open; i < pattern.length; i++) {
    if (pattern[i] === '\\') i++;
    else if (pattern[i] === '{') depth++;
    else if (pattern[i] === '}' && --depth === 0) return i;
  }
  return -1;
}

/** Splits the inside of a brace at its own commas, leaving nested braces whole. */
function alternatives(inside: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let i = 0; i < inside.length; i++) {
    if (inside[i] === '\\') i++;
    else if (inside[i] === '{') depth++;
    else if (inside[i] === '}') depth--;
    else if (inside[i] === ',' && depth === 0) {
      parts.push(inside.slice(start, i));
      start = i + 1;
    }
  }
  parts.push(inside.slice(start));
  return parts;
}

/** More alternatives than this in one pattern are a mistake or an attack: {a,b}{a,b}{a,b}... doubles with every brace. */
export const MAX_BRACE_ALTERNATIVES = 1024;

/** More braces than this would take long to pair, and more stack than there is. */
const MAX_BRACES = 1000;

/**
 * `{a,b}/*.txt` -> [`a/*.txt`, `b/*.txt`], in the order written. A brace without a comma or without an end stays as it is.
 * @throws RangeError if the pattern stands for more than {@link MAX_BRACE_ALTERNATIVES} patterns, or has more than 1000 braces
 */
export function expandBraces(pattern: string): string[] {
  if (pattern.split('{').length > MAX_BRACES) throw new RangeError(`it has more than ${MAX_BRACES} braces`);
  return expanded(pattern);
}

function expanded(pattern: string): string[] {
  for (let i = 0; i < pattern.length; i++) {
    if (pattern[i] !== '{') {
      if (pattern[i] === '\\') i++;
      continue;
    }
    const close = closingBrace(pattern, i);
    if (close === -1) continue;
    const parts = alternatives(pattern.slice(i + 1, close));
    if (parts.length === 1) continue;
    const tails = expanded(pattern.slice(close + 1));
    const heads = parts.flatMap((part) => expanded(part));
    if (heads.length * tails.length > MAX_BRACE_ALTERNATIVES) {
      throw new RangeError(`its braces stand for more than ${MAX_BRACE_ALTERNATIVES} patterns`);
    }
    return heads.flatMap((head) => tails.map((tail) => pattern.slice(0, i) + head + tail));
  }
  return [pattern];
}

type Token = { kind: 'star' } | { kind: 'any' } | { kind: 'char'; char: string } | { kind: 'set'; set: CharacterSet };
type CharacterSet = { negated: boolean; ranges: [string, string][] };

/** Reads the set that starts at chars[at] = '['; undefined when it never ends and the bracket is a plain character. */
function readSet(chars: string[], at: number): { set: CharacterSet; next: number } | undefined {
  let i = at + 1;
  const negated = chars[i] === '!' || chars[i] === '^';
  if (negated) i++;
  const ranges: [string, string][] = [];
  // A ']' right after the opening belongs to the set.
  for (let first = true; i < chars.length; first = false) {
    if (chars[i] === ']' && !first) return { set: { negated, ranges }, next: i + 1 };
    if (chars[i] === '\\' && i + 1 < chars.length) i++;
    const low = chars[i++];
    let high = low;
    if (chars[i] === '-' && i + 1 < chars.length && chars[i + 1] !== ']') {
      if (chars[i + 1] === '\\' && i + 2 < chars.length) i++;
      high = chars[i + 1];
      i += 2;
    }
    ranges.push([low, high]);
  }
  return undefined;
}

function tokenize(pattern: string): Token[] {
  const chars = [...pattern];
  const tokens: Token[] = [];
  for (let i = 0; i < chars.length; ) {
    const char = chars[i];
    const found = char === '[' ? readSet(chars, i) : undefined;
    if (found) {
      tokens.push({ kind: 'set', set: found.set });
      i = found.next;
    } else if (char === '*') {
      if (tokens.at(-1)?.kind !== 'star') tokens.push({ kind: 'star' });
      i++;
    } else if (char === '\\' && i + 1 < chars.length) {
      tokens.push({ kind: 'char', char: chars[i + 1] });
      i += 2;
    } else {
      tokens.push(char === '?' ? { kind: 'any' } : { kind: 'char', char });
      i++;
    }
  }
  return tokens;
}

function accepts(token: Token, char: string): boolean {
  if (token.kind === 'char') return token.char === char;
  if (token.kind === 'any') return true;
  if (token.kind === 'star') return false;
  const code = char.codePointAt(0)!;
  const inside = token.set.ranges.some(([low, high]) => code >= low.codePointAt(0)! && code <= high.codePointAt(0)!);
  return inside !== token.set.negated;
}

/** A test for one path segment (no braces, no slashes): `chapter_[0-9]*.txt`. Time: pattern length times name length. */
export function segmentMatcher(pattern: string): (name: string) => boolean {
  const tokens = tokenize(pattern);
  const first = tokens[0];
  const takesDot = first?.kind === 'char' && first.char === '.';
  return (name) => {
    if (name.startsWith('.') && !takesDot) return false;
    const chars = [...name];
    let t = 0;
    let starToken = -1;
    let starChar = 0;
    let c = 0;
    while (c < chars.length) {
      if (t < tokens.length && accepts(tokens[t], chars[c])) {
        t++;
        c++;
      } else if (t < tokens.length && tokens[t].kind === 'star') {
        starToken = t++;
        starChar = c;
      } else if (starToken >= 0) {
        // Let the last star take one character more. Earlier stars never need to be reopened.
        t = starToken + 1;
        c = ++starChar;
      } else return false;
    }
    while (t < tokens.length && tokens[t].kind === 'star') t++;
    return t === tokens.length;
  };
}
