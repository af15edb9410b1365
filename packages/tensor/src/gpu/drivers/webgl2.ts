/** @file WebGL 2 through gpu.js: arrays are textures of one float per texel. */

import type { KernelSource } from '../kernel-source.ts';
import { DeviceError, type Driver, destroyed, isSoftwareName, type Launch } from './driver.ts';
import { assertMode, type CompiledKernel, createCompiler, createKernel, type DeviceBuffer } from './gpu-js.ts';

interface TextureClass {
  new (like: Texture): Texture;
}

interface Texture extends DeviceBuffer {
  readonly context: WebGL2RenderingContext;
  /** All texels, four numbers each, of which the first is ours. */
  renderValues(): Float32Array;
}

const uploadSource = 'function upload(x) { return x[this.thread.x]; }';

/** @throws Error if the browser has no WebGL 2 with float textures */
export function createWebgl2Driver(): Driver {
  const compiler = createCompiler('webgl2');
  const kernels = new Map<string, CompiledKernel>();
  let compiles = 0;
  let failure: Error | null = null;

  const upload = compiler.createKernel(uploadSource, {
    argumentTypes: ['Array'],
    output: [1],
    dynamicOutput: true,
    dynamicArguments: true,
    pipeline: true,
    immutable: true,
    precision: 'single',
    tactic: 'precision',
  });
  const probe = upload(new Float32Array([1])) as Texture;
  assertMode(upload, 'webgl2', 'upload');
  const gl = probe.context;
  // gpu.js builds a kernel for the class of each argument, and has one class per rank of the grid: all buffers become lines.
  const Line = probe.constructor as TextureClass;
  probe.delete();
  const widest = gl.getParameter(gl.MAX_TEXTURE_SIZE) as number;
  const debug = gl.getExtension('WEBGL_debug_renderer_info');
  const renderer = gl.getParameter(debug ? debug.UNMASKED_RENDERER_WEBGL : gl.RENDERER);
  gl.canvas.addEventListener('webglcontextlost', () => {
    failure ??= new DeviceError(
      'the browser took the WebGL context away; what was computed since the last checkpoint is gone: start again from it',
    );
  });

  const checked = (length: number): number => {
    if (length > widest * widest) {
      throw new RangeError(
        `a tensor of ${length} elements is larger than a texture of ${widest} x ${widest}, the largest here; use smaller batches or a smaller model`,
      );
    }
    return Math.max(1, length);
  };

  const shape = (launch: Launch): { output: number[]; grid: number[] } => {
    if (launch.grid === 'line') return { output: [checked(launch.count)], grid: [launch.count] };
    if (launch.grid === 'tiles') throw new Error('webgl2 cannot chain results of four numbers');
    const { columns } = launch;
    checked(columns * launch.rows);
    // A flat grid is a texture of that form and must fit; one with layers is folded into a square.
    const layers = columns > widest || launch.rows > widest ? 2 : 1;
    const rows = Math.ceil(launch.rows / layers);
    return { output: [columns, rows, layers], grid: [launch.rows, rows] };
  };

  return {
    mode: 'webgl2',
    description: `WebGL 2 on ${renderer}`,
    software: isSoftwareName(String(renderer)),
    get compiles() {
      return compiles;
    },
    get failure() {
      return failure;
    },
    largest: widest * widest,
    round: (length) => length,
    tiles: false,
    integers: false,
    upload(values) {
      upload.setOutput([checked(values.length)]);
      return upload(values.length === 0 ? new Float32Array(1) : values);
    },
    launch(k: KernelSource, launch, arrays, scalars) {
      const { output, grid } = shape(launch);
      let compiled = kernels.get(k.name);
      if (compiled) compiled.setOutput(output);
      else {
        compiled = createKernel(compiler, 'webgl2', k, output);
        kernels.set(k.name, compiled);
        compiles++;
      }
      const result = compiled(...arrays, ...scalars, ...grid) as Texture;
      assertMode(compiled, 'webgl2', k.name);
      if (result.constructor === Line) return result;
      const flat = new Line(result);
      result.delete();
      return flat;
    },
    async read(buffer, length) {
      const texels = (buffer as Texture).renderValues();
      const values = new Float32Array(length);
      for (let i = 0; i < length; i++) values[i] = texels[i * 4];
      return values;
    },
    release: (buffer) => (buffer as Texture).delete(),
    async destroy() {
      failure ??= destroyed();
      kernels.clear();
      await compiler.destroy();
    },
  };
}
