/**
 * @file `defineOp`: operations of one's own, with their gradient. What an op computes is either a function of other operations, or a kernel:
 * a loop over the values. The tape records a call as a whole, so the op's own vjp is its gradient, and nothing in between is kept.
 */
import {
  checkShape,
  checkTensor,
  describe,
  formatShape,
  type OwnSource,
  run,
  type Shape,
  ShapeError,
  sameShape,
  scope,
  sizeOf,
  Tensor,
  type View,
} from '@blt-ts/tensor';
import { isRecording, type OwnRule, type Reads, type Recorder, recordingInstead, recordOwn } from './tape.ts';

type TensorsOf<Names extends readonly string[]> = { readonly [I in keyof Names]: Tensor };
type ViewsOf<Names extends readonly string[]> = { readonly [I in keyof Names]: View };
type ShapesOf<Names extends readonly string[]> = { readonly [I in keyof Names]: Shape };
type None = Record<never, never>;

/** One call of an op as its vjp sees it. */
export interface OwnVjpContext<Names extends readonly string[], Attrs> {
  readonly ins: TensorsOf<Names>;
  readonly out: Tensor;
  readonly attrs: Attrs;
  /** Whether somebody asks for the gradient of input i. An expensive rule may return null where it is false. */
  readonly needs: readonly boolean[];
}

/** WebAssembly that fills the result. The module has a memory of its own: inputs are copied in, the result is copied out. */
export interface OwnWasm<Names extends readonly string[], Attrs> {
  /** A module that exports `memory` and the function, and imports nothing. */
  readonly bytes: Uint8Array<ArrayBuffer> | ArrayBuffer;
  /** Name of the function: (address of the result, of each input, then `scalars`) -> nothing. All values are 4 bytes. */
  readonly call: string;
  readonly scalars?: (shapes: ShapesOf<Names>, attrs: Attrs) => readonly number[];
}

/** A kernel for gpu.js: `body` sets `y` from the inputs, which have the names that the op gave them. */
export interface OwnGpu<Names extends readonly string[], Attrs>
  extends Pick<OwnSource, 'body' | 'integers' | 'floats'>,
    Partial<Pick<OwnSource, 'grid'>> {
  /** Values of `integers`, then of `floats`. */
  readonly scalars?: (shapes: ShapesOf<Names>, attrs: Attrs) => readonly number[];
}

/** An op's computation as a loop over values. The loop is the definition: 64-bit backends run it, and `gradcheck` believes it. */
export interface OwnKernel<Names extends readonly string[], Attrs> {
  /** Shape of the result; that of the first input unless given. @throws ShapeError for inputs that do not fit */
  readonly shape?: (shapes: ShapesOf<Names>, attrs: Attrs) => Shape;
  /** Fills every element of `y.data` and leaves the inputs alone. */
  readonly loop: (y: View, ins: ViewsOf<Names>, attrs: Attrs) => void;
  /** The form for wasm backends. Without it they run the loop on the same memory. */
  readonly wasm?: OwnWasm<Names, Attrs>;
  /** The form for gpu backends. Without it they refuse the op, because their values cannot be read at once. */
  readonly gpu?: OwnGpu<Names, Attrs>;
}

/** An op: its name, its inputs, what it computes, its gradient. */
export interface OpDefinition<Names extends readonly string[], Attrs> {
  /** A JavaScript name, for messages. */
  readonly name: string;
  /** Names of the inputs, in order. */
  readonly inputs: Names;
  /** The result out of other operations. Give this or `kernel`. */
  readonly forward?: (ins: TensorsOf<Names>, attrs: Attrs) => Tensor;
  readonly kernel?: OwnKernel<Names, Attrs>;
  /**
   * From g = dL/dy to (dL/da, dL/db, ...): one tensor of the shape of each input, null where there is none. Made of operations, it can be
   * differentiated itself. Without it, a gradient through the op is refused.
   */
  readonly vjp?: (g: Tensor, call: OwnVjpContext<Names, Attrs>) => readonly (Tensor | null)[];
  /** Values that `vjp` reads, kept in memory until then: inputs by index, and the result. All of them unless given. */
  readonly reads?: Reads;
}

/** A defined op: its tensors, then its attributes if it has any. */
export type DefinedOp<Names extends readonly string[], Attrs> = (
  ...args: [
    ...TensorsOf<Names>,
    ...([keyof Attrs] extends [never] ? [] : None extends Attrs ? [attrs?: Attrs] : [attrs: Attrs]),
  ]
) => Tensor;

/**
 * An operation of one's own, which works like those of this package: under `grad` and `recompute`, in `gradcheck`, on every backend.
 * ```ts
 * const cube = defineOp({
 *   name: 'cube',
 *   inputs: ['x'],
 *   forward: ([x]) => mul(x, mul(x, x)),
 *   vjp: (g, { ins: [x] }) => [mul(g, mul(mul(x, x), 3))], // d x^3 / dx = 3 x^2
 * });
 * const y = cube(x);
 * ```
 * With `kernel` in the place of `forward` the result is computed by a loop over the values: the definition on every backend that can
 * read at once, next to it WebAssembly for the wasm backends and a source for gpu.js. Attributes are the second argument of `forward`
 * and the last of the op: numbers, or whatever the op needs besides tensors.
 * @throws TypeError for a definition that lacks something
 */
export function defineOp<const Names extends readonly string[], Attrs extends object = None>(
  op: OpDefinition<Names, Attrs>,
): DefinedOp<Names, Attrs> {
  const { name, inputs } = op;
  if (typeof name !== 'string' || !/^[A-Za-z_$][\w$]*$/.test(name)) {
    throw new TypeError(`defineOp: name must be a JavaScript name such as 'cube', got ${describe(name)}`);
  }
  if (!Array.isArray(inputs) || inputs.length === 0) {
    throw new TypeError(`defineOp: ${name} needs the names of its inputs, such as ['x'], got ${describe(inputs)}`);
  }
  if ((op.forward === undefined) === (op.kernel === undefined)) {
    throw new TypeError(`defineOp: ${name} needs either forward or kernel, got ${op.forward ? 'both' : 'neither'}`);
  }
  const runKernel = op.kernel && kernelRunner(name, inputs, op.kernel);
  const reads = op.reads ?? { ins: [...inputs.keys()], outs: true };
  return (...args: unknown[]) => {
    const ins = args.slice(0, inputs.length) as Tensor[];
    const attrs = (args[inputs.length] ?? {}) as Attrs;
    if (args.length > inputs.length + 1 || args[inputs.length] instanceof Tensor) {
      throw new TypeError(`${name}: takes ${inputs.length} tensors (${inputs.join(', ')}), got ${args.length}`);
    }
    inputs.forEach((input, i) => {
      checkTensor(`${name}: ${input}`, ins[i]);
    });
    const compute = () =>
      scope(() => {
        const made = runKernel ? runKernel(ins, attrs) : op.forward!(ins as unknown as TensorsOf<Names>, attrs);
        checkTensor(`${name}: the result of forward`, made);
        // Under a name of its own, because an op may hand on what it was given.
        return run('reshape', [made], { shape: made.shape })[0];
      });
    const y = isRecording() ? recordingInstead((outer) => insideOf(name, ins, outer), compute) : compute();
    recordOwn({ op: name, rule: { reads, vjp: ruleOf(op, { ...attrs }) }, ins, outs: [y] });
    return y;
  };
}

/**
 * Stands in for the recorders `outer` while an op computes, whose call they record as a whole.
 * @throws Error from an operation that reads a tensor beside the inputs which a gradient is being taken through, because it would be lost
 */
function insideOf(op: string, ins: readonly Tensor[], outer: readonly Recorder[]): Recorder {
  const noteRead = (x: Tensor): void => {
    if (!ins.includes(x)) for (const recorder of outer) recorder.noteRead?.(x);
  };
  const depends = (x: Tensor): boolean => !ins.includes(x) && outer.some((recorder) => recorder.depends(x));
  const record: Recorder['record'] = (call) => {
    for (const x of call.ins) noteRead(x);
    const other = call.ins.find(depends);
    if (!other) return;
    throw new Error(
      `${op}: its forward reads a tensor ${formatShape(other.shape)} that is not one of its inputs, so the gradient through it would be lost; make it an input, or read stopGradient(x)`,
    );
  };
  return { record, recordConstant: noteRead, noteRead, depends, sharesMemory: () => false };
}

/** The vjp, with what it returns looked at. */
function ruleOf<Names extends readonly string[], Attrs>(
  { name, inputs, vjp }: OpDefinition<Names, Attrs>,
  attrs: Attrs,
): OwnRule['vjp'] {
  return (g, { ins, outs, needs }) => {
    if (!vjp)
      throw new Error(`${name}: it was defined without a vjp and has no gradient; define one, or use stopGradient`);
    const grads = vjp(g, { ins: ins as unknown as TensorsOf<Names>, out: outs[0], attrs, needs });
    if (!Array.isArray(grads) || grads.length !== ins.length) {
      const got = Array.isArray(grads)
        ? `${grads.length} of them`
        : grads instanceof Tensor
          ? 'a tensor'
          : describe(grads);
      throw new TypeError(
        `${name}: vjp must return a list of ${ins.length} gradients (${inputs.join(', ')}), got ${got}`,
      );
    }
    grads.forEach((dx: Tensor | null, i) => {
      if (dx === null) return;
      checkTensor(`${name}: the gradient of ${inputs[i]}`, dx);
      if (sameShape(dx.shape, ins[i].shape)) return;
      throw new ShapeError(
        `${name}: vjp gave a gradient ${formatShape(dx.shape)} for ${inputs[i]} ${formatShape(ins[i].shape)}; it must have the input's shape (unbroadcast sums it back)`,
      );
    });
    return grads;
  };
}

// ----- kernels --------------------------------------------------------------------------------------------------------

let defined = 0;

/** The kernel as a function from tensors to the result, on the backend they live on. */
function kernelRunner<Names extends readonly string[], Attrs>(
  name: string,
  inputs: Names,
  { shape, loop, wasm, gpu }: OwnKernel<Names, Attrs>,
): (ins: readonly Tensor[], attrs: Attrs) => Tensor {
  const source = gpu && {
    // The device knows kernels by name, and two ops may share one.
    source: { ...gpu, name: `own${defined++}_${name}`, grid: gpu.grid ?? 'line', arrays: inputs.join(' ') },
    scalars: gpu.scalars,
  };
  const callWasm = wasm && wasmRunner(name, wasm);
  return (ins, attrs) => {
    const [{ backend }] = ins;
    const shapes = ins.map((x) => x.shape) as unknown as ShapesOf<Names>;
    for (const x of ins) {
      x.assertLive();
      if (x.backend === backend) continue;
      const names = `${backend.name} and ${x.backend.name}`;
      throw new Error(`${name}: inputs live on different backends, ${names}; make them on one`);
    }
    const ownShape = shape ? shape(shapes, attrs) : ins[0].shape;
    checkShape(ownShape, name);
    if (!backend.runLoop && !(source && backend.runSource)) {
      throw new Error(
        `${name}: its kernel has no source for gpu.js and cannot run on ${backend.name}; give kernel.gpu, or use a reference or wasm backend`,
      );
    }
    const y = new Tensor(backend.allocate('f32', sizeOf(ownShape)), ownShape);
    if (backend.runLoop) {
      const native = callWasm && backend.name === 'wasm' ? callWasm : undefined;
      backend.runLoop(([to], from) => (native ?? loop)(to, from as unknown as ViewsOf<Names>, attrs), [y], ins);
    } else backend.runSource!(source!.source, y, ins, source!.scalars?.(shapes, attrs) ?? []);
    return y;
  };
}

/** The loop that copies into the module's memory, calls its function, and copies the result back. */
function wasmRunner<Names extends readonly string[], Attrs>(
  name: string,
  { bytes, call, scalars }: OwnWasm<Names, Attrs>,
): OwnKernel<Names, Attrs>['loop'] {
  let made: { memory: WebAssembly.Memory; f: (...args: number[]) => void; base: number } | undefined;
  const instantiate = () => {
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes));
    const { memory, [call]: f } = exports;
    if (!(memory instanceof WebAssembly.Memory) || typeof f !== 'function') {
      const names = Object.keys(exports).join(', ');
      throw new TypeError(`${name}: its WebAssembly must export memory and the function ${call}, it exports ${names}`);
    }
    // Behind all that the module itself uses.
    return { memory, f: f as (...args: number[]) => void, base: memory.buffer.byteLength };
  };
  return (y, ins, attrs) => {
    made ??= instantiate();
    const { memory, f, base } = made;
    const views: readonly View[] = [y, ...(ins as readonly View[])];
    let end = base;
    const places = views.map(({ data }) => {
      const at = end;
      end += Math.ceil((data.length * 4) / 16) * 16;
      return at;
    });
    const missing = end - memory.buffer.byteLength;
    if (missing > 0) memory.grow(Math.ceil(missing / 65536));
    const bits = ({ buffer, byteOffset, length }: View['data']) => new Int32Array(buffer, byteOffset, length);
    views.forEach(({ data }, i) => {
      if (i > 0) new Int32Array(memory.buffer, places[i], data.length).set(bits(data));
    });
    const shapes = (ins as readonly View[]).map((x) => x.shape) as unknown as ShapesOf<Names>;
    // biome-ignore lint/plugin: the parameters of one function
    f(...places, ...(scalars?.(shapes, attrs) ?? []));
    bits(y.data).set(new Int32Array(memory.buffer, places[0], y.data.length));
  };
}
