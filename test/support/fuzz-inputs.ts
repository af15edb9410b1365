/** @file Ways to break bytes, text and JSON. */
import type { Random } from '@blt-ts/tensor';

const pick = <T>(random: Random, from: readonly T[]): T => from[random.integer(from.length)];

/** JSON texts that parsers do not expect. */
const HOSTILE_JSON: readonly string[] = [
  'null',
  'true',
  '-1',
  '0',
  '1e309',
  '1e-400',
  '9007199254740993',
  '18446744073709551616',
  '0.5',
  '-0',
  '""',
  '"infinity"',
  '"NaN"',
  '"\\u0000"',
  '"\\ud800"',
  '"__proto__"',
  '"../../etc/passwd"',
  '[]',
  '[[]]',
  '{}',
  '[null,null,null,null]',
  '[0,0,0,0]',
  '{"__proto__":{"polluted":true}}',
  '{"constructor":{"prototype":{"polluted":true}}}',
  '{"then":1}',
  '{"toJSON":1,"valueOf":2,"toString":3,"length":4294967296}',
  '{"length":{"valueOf":1,"toString":2}}',
  '['.repeat(300) + ']'.repeat(300),
  JSON.stringify('x'.repeat(3000)),
];
const HOSTILE_KEYS = ['__proto__', 'constructor', 'toString', '', 'format', 'length', '0', 'x'.repeat(500), '\u2028'];

interface Slot {
  readonly at: Record<string, unknown> | unknown[];
  readonly key: string;
}

function slots(value: unknown, found: Slot[] = []): Slot[] {
  if (value !== null && typeof value === 'object') {
    for (const key of Object.keys(value)) {
      found.push({ at: value as Slot['at'], key });
      slots((value as Record<string, unknown>)[key], found);
    }
  }
  return found;
}

/** A JSON document with one to three values replaced, dropped, copied elsewhere or added. Raw texts are spliced in afterwards. */
export function breakJson(text: string, random: Random): string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return breakText(text, random);
  }
  const raw: string[] = [];
  for (let change = 1 + random.integer(3); change > 0; change--) {
    const all = slots(value);
    if (all.length === 0) break;
    const { at, key } = pick(random, all);
    const set = (name: string, x: unknown) =>
      Object.defineProperty(at, name, { value: x, enumerable: true, configurable: true, writable: true });
    const hostile = () => `\u0001${raw.push(pick(random, HOSTILE_JSON)) - 1}\u0001`;
    const other = pick(random, all);
    const choice = random.integer(5);
    if (choice < 2) set(key, hostile());
    else if (choice === 2) Array.isArray(at) ? at.splice(Number(key), 1) : delete at[key];
    else if (choice === 3) set(Array.isArray(at) ? String(at.length) : pick(random, HOSTILE_KEYS), hostile());
    else set(key, structuredClone((other.at as Record<string, unknown>)[other.key]));
  }
  return (JSON.stringify(value) ?? 'null').replace(/"\\u0001(\d+)\\u0001"/g, (_, i) => raw[Number(i)]);
}

const PIECES = [
  '[',
  ']',
  '{',
  '}',
  '"',
  '\\',
  '=',
  ',',
  '#',
  '\n',
  '\0',
  "'''",
  '"""',
  '[[',
  '1e999',
  '_',
  'inf',
  '\uD800',
  '\u0085',
  '{"a":',
];

/** Text with pieces cut, doubled, replaced or put in. */
export function breakText(text: string, random: Random): string {
  let broken = text;
  for (let change = 1 + random.integer(4); change > 0; change--) {
    const at = random.integer(broken.length + 1);
    const span = random.integer(8);
    const choice = random.integer(5);
    const middle =
      choice === 0
        ? ''
        : choice === 1
          ? pick(random, PIECES)
          : choice === 2
            ? String.fromCharCode(random.integer(256))
            : choice === 3
              ? broken.slice(at, at + span).repeat(3)
              : pick(random, HOSTILE_JSON);
    broken = broken.slice(0, at) + middle + broken.slice(at + span);
  }
  return random.integer(20) === 0 ? broken.slice(0, random.integer(broken.length + 1)) : broken;
}

/** Bytes with some flipped, cut, doubled or overwritten by extreme numbers. */
export function breakBytes(bytes: Uint8Array, random: Random): Uint8Array {
  let broken = bytes.slice();
  for (let change = 1 + random.integer(4); change > 0; change--) {
    if (broken.length === 0) return Uint8Array.of(random.integer(256));
    const at = random.integer(broken.length);
    switch (random.integer(5)) {
      case 0:
        broken[at] ^= 1 << random.integer(8);
        break;
      case 1:
        broken[at] = pick(random, [0, 1, 0x7f, 0x80, 0xff, 0x22, 0x7b]);
        break;
      case 2:
        broken = broken.slice(0, at);
        break;
      case 3:
        broken.set(broken.slice(random.integer(broken.length)).slice(0, broken.length - at), at);
        break;
      default:
        broken = Uint8Array.from([...broken, ...broken.slice(at)]).slice(0, 4096);
    }
  }
  return broken;
}

/** A file of the form length, JSON header, data, with the header broken as JSON and the length made to fit: deeper than bytes get. */
export function breakFramed(bytes: Uint8Array, random: Random): Uint8Array {
  if (bytes.length < 8) return breakBytes(bytes, random);
  const stated = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  const end = Math.min(bytes.length, 8 + stated);
  const text = new TextDecoder().decode(bytes.slice(8, end));
  const header = new TextEncoder().encode((random.integer(3) === 0 ? breakText : breakJson)(text, random));
  const data = random.integer(4) === 0 ? breakBytes(bytes.slice(end), random) : bytes.slice(end);
  const out = new Uint8Array(8 + header.length + data.length);
  new DataView(out.buffer).setBigUint64(0, BigInt(header.length), true);
  out.set(header, 8);
  out.set(data, 8 + header.length);
  return out;
}

/** The beginning of one input and the end of another. */
export function spliced<T extends string | Uint8Array>(a: T, b: T, random: Random): T {
  const [i, j] = [random.integer(a.length + 1), random.integer(b.length + 1)];
  if (typeof a === 'string' || typeof b === 'string') return (String(a).slice(0, i) + String(b).slice(j)) as T;
  return Uint8Array.from([...a.slice(0, i), ...b.slice(j)]) as T;
}
