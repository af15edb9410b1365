/** @file A device that computes nothing and notices everything: buffers used after release, released twice, left behind. */
import type { Driver } from '../../packages/tensor/src/gpu/drivers/driver.ts';
import { sizeOfLaunch } from '../../packages/tensor/src/gpu/drivers/driver.ts';

interface FakeBuffer {
  /** The sources it was made of, innermost first: enough to see which version of an input a call has read. */
  readonly text: string;
  readonly length: number;
  released: boolean;
}

export interface FakeDriver extends Driver {
  /** Buffers not yet released. */
  readonly alive: number;
  /** Faults so far. */
  readonly complaints: string[];
  /** Calls of this kernel fail. */
  broken: string | null;
  lost: Error | null;
  textOf(buffer: unknown): string;
}

/** A number of 24 bits, which float32 holds exactly, that tells texts apart. */
export const numberOf = (text: string): number =>
  [...text].reduce((hash, character) => (Math.imul(hash ^ character.charCodeAt(0), 0x01000193) >>> 0) % 0xfffffd, 7);

/** @param late answers of launches come that many microtasks later */
export function createFakeDriver(late = 0): FakeDriver {
  const complaints: string[] = [];
  let alive = 0;
  const make = (text: string, length: number): FakeBuffer => {
    alive++;
    return { text, length, released: false };
  };
  const use = (buffer: unknown, by: string): FakeBuffer => {
    const b = buffer as FakeBuffer;
    if (b.released) complaints.push(`${by} reads a released buffer: ${b.text}`);
    return b;
  };
  const driver: FakeDriver = {
    mode: 'webgpu',
    description: 'a fake',
    software: true,
    compiles: 0,
    tiles: true,
    integers: true,
    broken: null,
    lost: null,
    complaints,
    get alive() {
      return alive;
    },
    get failure() {
      return driver.lost;
    },
    textOf: (buffer) => (buffer as FakeBuffer).text,
    largest: 2 ** 28,
    round: (length) => length,
    upload: (values) => make(`[${values}]`, values.length),
    launch(k, launch, arrays) {
      const text = `${k.name}(${arrays.map((a) => use(a, k.name).text)})`;
      if (k.name === driver.broken) throw new Error(`${k.name} is broken`);
      const made = make(text, sizeOfLaunch(launch));
      if (late === 0) return made;
      let answer: Promise<unknown> = Promise.resolve();
      for (let i = 1; i < late; i++) answer = answer.then(() => undefined);
      return answer.then(() => made);
    },
    async read(buffer, length) {
      const b = use(buffer, 'read');
      if (b.length < length) complaints.push(`read of ${length} from ${b.length}`);
      return new Float32Array(length).fill(numberOf(b.text));
    },
    release(buffer) {
      const b = buffer as FakeBuffer;
      if (b.released) complaints.push(`released twice: ${b.text}`);
      b.released = true;
      alive--;
    },
    putRows(table, rows) {
      const text = `put(${use(table, 'put').text},${use(rows, 'put').text})`;
      const made = make(text, (table as FakeBuffer).length);
      driver.release(table);
      return made;
    },
    destroy: async () => {},
  };
  return driver;
}
