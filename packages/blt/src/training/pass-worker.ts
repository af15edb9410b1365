/** @file The worker of a training step: computes passes on the memory of the thread that takes the steps. */
import { mul, RowSparse, treeFromNames } from '@blt-ts/autograd';
import {
  borrowTensor,
  createWasmBackend,
  forEachTensor,
  type LentTensor,
  lendTensor,
  Random,
  release,
  type Shape,
  type SharedMemory,
  scope,
  type Tensor,
  type WasmBackend,
} from '@blt-ts/tensor';
import type { DropoutRates } from '../model/dropout.ts';
import { type MuonConstants, type MuonMatrix, updateMatrix } from '../optim/muon.ts';
import type { Predicting } from './counted.ts';
import { onePass, type PassResult, type Task } from './one-pass.ts';
import { type TaskName, taskOf } from './tasks.ts';

/** A gradient on its way to another thread: a tensor, or the parts of a `RowSparse`. */
export type LentGradient =
  | LentTensor
  | {
      readonly shape: Shape;
      readonly parts: readonly { readonly ids: Int32Array; readonly groups: number; readonly rows: LentTensor }[];
    };

/** Orders to a worker, in the order in which it gets them. */
export type PassOrder =
  | { readonly memory: SharedMemory }
  | {
      readonly task: TaskName;
      readonly params: readonly (readonly [name: string, place: LentTensor])[];
      readonly dropout: DropoutRates;
    }
  | { readonly rows: readonly Predicting[]; readonly random: readonly number[] }
  | {
      readonly matrices: readonly (Omit<MuonMatrix, 'p' | 'b' | 'g'> & {
        readonly p: LentTensor;
        readonly b: LentTensor;
        readonly g: LentTensor;
      })[];
      readonly scale: LentTensor;
      readonly how: MuonConstants;
    }
  /** Nobody reads what the last pass handed out any more. */
  | 'read';

/** Its answers: to each pass, and to each list of matrices of Muon. */
export type PassAnswer =
  | {
      readonly total: LentTensor;
      readonly targets: number;
      readonly gradients: readonly (readonly [name: string, gradient: LentGradient])[];
    }
  | 'updated'
  | { readonly failure: string };

/** A handler of a page's events, of which only this much is read. The types of pages and of Node are not needed for it. */
export type Handler<E> = { handle(event: E): void }['handle'];

/** The side of a worker that faces those who started it: `self` in a Web Worker, `parentPort` in Node. */
export interface PassPort {
  postMessage(message: unknown): void;
  /** In Node. */
  on?(event: 'message', listener: (value: unknown) => void): unknown;
  /** In a page. */
  onmessage?: Handler<{ readonly data: unknown }> | null;
}

const lent = (t: Tensor): LentTensor => {
  const place = lendTensor(t);
  if (place === null) throw new Error(`a gradient [${t.shape}] does not lie in the shared memory`);
  return place;
};

const lentGradient = (g: Tensor | RowSparse): LentGradient =>
  g instanceof RowSparse
    ? { shape: g.shape, parts: g.parts.map(({ ids, groups, rows }) => ({ ids, groups, rows: lent(rows) })) }
    : lent(g);

/** A model whose weights are another thread's. */
interface Model {
  readonly task: Task<object, Predicting, unknown>;
  readonly params: object;
  readonly dropout: DropoutRates;
}

/** The state of a worker. */
class PassWorker {
  private backend: WasmBackend | null = null;
  private model: Model | null = null;
  /** The result that it has handed out, until it has been read. */
  private out: PassResult | null = null;

  /** @returns the answer, if the order wants one */
  follow(order: PassOrder): PassAnswer | null {
    if (order === 'read') this.forget();
    else if ('memory' in order) this.backend = createWasmBackend({ sharing: order.memory });
    else if ('task' in order) this.load(order);
    else if ('rows' in order) return this.pass(order);
    else return this.update(order);
    return null;
  }

  private load({ task, params, dropout }: Extract<PassOrder, { readonly task: TaskName }>): void {
    const backend = this.backend!;
    if (this.model) forEachTensor(this.model.params, release);
    const tree = treeFromNames<object>(params.map(([name, place]) => [name, borrowTensor(place, backend)] as const));
    this.model = { task: taskOf(task, backend) as unknown as Model['task'], params: tree, dropout };
  }

  private pass({ rows, random }: Extract<PassOrder, { readonly rows: unknown }>): PassAnswer {
    this.forget();
    const { task, params, dropout } = this.model!;
    const input = { rows, random: Random.fromState([...random]) };
    const result = scope(() => onePass(task, params, task.batch(rows), input, dropout));
    this.out = result;
    return {
      total: lent(result.total),
      targets: result.targets,
      gradients: [...result.gradients].map(([name, g]) => [name, lentGradient(g)] as const),
    };
  }

  private update({ matrices, scale, how }: Extract<PassOrder, { readonly matrices: unknown }>): PassAnswer {
    const borrowed = (place: LentTensor): Tensor => borrowTensor(place, this.backend!);
    scope(() => {
      const factor = borrowed(scale);
      for (const { p, b, g, ...rates } of matrices) {
        scope(() => {
          updateMatrix({ ...rates, p: borrowed(p), b: borrowed(b), g: mul(borrowed(g), factor) }, how);
        });
      }
    });
    return 'updated';
  }

  private forget(): void {
    if (this.out) forEachTensor(this.out, release);
    this.out = null;
  }
}

/** Computes passes for the `PassWorkers` at the other end of the port. A worker of a page is one line, `servePasses(self)`. */
export function servePasses(port: PassPort): void {
  const worker = new PassWorker();
  let failure: string | null = null;
  const follow = (data: PassOrder): void => {
    let answer: PassAnswer | null = null;
    try {
      answer = worker.follow(data);
    } catch (error) {
      // An order that gets no answer has failed: the next pass says so.
      failure ??= error instanceof Error ? error.message : String(error);
    }
    const wantsAnswer = typeof data === 'object' && ('rows' in data || 'matrices' in data);
    if (!wantsAnswer) return;
    port.postMessage(failure === null ? answer : ({ failure } satisfies PassAnswer));
  };
  if (port.on) port.on('message', (order) => follow(order as PassOrder));
  else port.onmessage = ({ data }) => follow(data as PassOrder);
}
