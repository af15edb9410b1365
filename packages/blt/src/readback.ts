/**
 * @file Computations that read values on the way. Decoding must read an entropy to know whether a patch ends, and logits to know which
 * byte comes next. In the memory of this process a value can be read at once. On a GPU it must be waited for.
 *
 * So that such a computation is written once for both, it is a generator (named `...Steps`): it yields a tensor and goes on with the
 * values. `runSync` drives it with values read at once, `runAsync` awaits them; `itemsSync` and `itemsAsync` do the same for computations
 * that also yield results. Every public function therefore has two forms, `generate` and `generateAsync`. Between two reads a
 * computation has no `scope` open, so that others may run meanwhile.
 */
import { release, Tensor } from '@blt-ts/tensor';

/** Yields tensors (released once read) and receives their values; yields anything else as results; returns R. */
export type WithReadback<R, Item = never> = Generator<Tensor | Item, R, Float32Array>;

function readSync(x: Tensor): Float32Array {
  try {
    if (!x.backend.synchronous) {
      throw new Error(
        `values on ${x.backend.name} must be waited for: use the Async form of this function (generateAsync, feedAsync, ...)`,
      );
    }
    return x.readSync() as Float32Array;
  } finally {
    release(x);
  }
}

async function readAsync(x: Tensor): Promise<Float32Array> {
  try {
    return (await x.read()) as Float32Array;
  } finally {
    release(x);
  }
}

/** The results of a computation, one after the other, read at once. @throws Error on a backend whose values must be waited for */
export function* itemsSync<R, Item>(steps: WithReadback<R, Item>): Generator<Exclude<Item, Tensor>, R> {
  let ended = false;
  try {
    let next = steps.next();
    while (!next.done) {
      const { value } = next;
      if (value instanceof Tensor) next = steps.next(readSync(value));
      else {
        yield value as Exclude<Item, Tensor>;
        next = steps.next();
      }
    }
    ended = true;
    return next.value;
  } finally {
    // A failed read, or a reader who has had enough: the computation gives back what it holds.
    if (!ended) steps.return(undefined as R);
  }
}

/** `itemsSync` on any backend. `pause` is awaited after each read, and what it throws ends the computation. */
export async function* itemsAsync<R, Item>(
  steps: WithReadback<R, Item>,
  pause?: () => Promise<void>,
): AsyncGenerator<Exclude<Item, Tensor>, R> {
  let ended = false;
  try {
    let next = steps.next();
    while (!next.done) {
      const { value } = next;
      if (value instanceof Tensor) {
        const values = await readAsync(value);
        await pause?.();
        next = steps.next(values);
      } else {
        yield value as Exclude<Item, Tensor>;
        next = steps.next();
      }
    }
    ended = true;
    return next.value;
  } finally {
    if (!ended) steps.return(undefined as R);
  }
}

/** The result of a computation whose values are read at once. @throws Error on a backend whose values must be waited for */
export function runSync<R>(steps: WithReadback<R>): R {
  return itemsSync(steps).next().value as R;
}

/** `runSync` on any backend. `pause` as in `itemsAsync`. */
export async function runAsync<R>(steps: WithReadback<R>, pause?: () => Promise<void>): Promise<R> {
  return (await itemsAsync(steps, pause).next()).value as R;
}
