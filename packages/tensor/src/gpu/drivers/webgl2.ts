/** @file WebGL 2 through gpu.js: arrays are textures of one float per texel. */

import type { KernelSource } from '../kernel-source.ts';
import { type Buffer, DeviceError, type Driver, destroyed, isSoftwareName, type Launch } from './driver.ts';
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

class Webgl2Driver implements Driver {
  readonly mode = 'webgl2';
  readonly description: string;
  readonly software: boolean;
  readonly tiles = false;
  readonly integers = false;
  readonly largest: number;
  compiles = 0;
  failure: Error | null = null;
  private readonly compiler = createCompiler('webgl2');
  private readonly kernels = new Map<string, CompiledKernel>();
  private readonly uploadKernel: CompiledKernel;
  /** gpu.js builds a kernel for the class of each argument, and has one class per rank of the grid: all buffers become lines. */
  private readonly Line: TextureClass;
  /** Texels along the longest side of a texture. */
  private readonly widest: number;

  constructor() {
    this.uploadKernel = this.compiler.createKernel(uploadSource, {
      argumentTypes: ['Array'],
      output: [1],
      dynamicOutput: true,
      dynamicArguments: true,
      pipeline: true,
      immutable: true,
      precision: 'single',
      tactic: 'precision',
    });
    const probe = this.uploadKernel(new Float32Array([1])) as Texture;
    assertMode(this.uploadKernel, 'webgl2', 'upload');
    const gl = probe.context;
    this.Line = probe.constructor as TextureClass;
    probe.delete();
    this.widest = gl.getParameter(gl.MAX_TEXTURE_SIZE) as number;
    this.largest = this.widest * this.widest;
    const debug = gl.getExtension('WEBGL_debug_renderer_info');
    const renderer = gl.getParameter(debug ? debug.UNMASKED_RENDERER_WEBGL : gl.RENDERER);
    this.description = `WebGL 2 on ${renderer}`;
    this.software = isSoftwareName(String(renderer));
    gl.canvas.addEventListener('webglcontextlost', () => {
      this.failure ??= new DeviceError(
        'the browser took the WebGL context away; what was computed since the last checkpoint is gone: start again from it',
      );
    });
  }

  round(length: number): number {
    return length;
  }

  private checked(length: number): number {
    const { widest, largest } = this;
    if (length > largest) {
      throw new RangeError(
        `a tensor of ${length} elements is larger than a texture of ${widest} x ${widest}, the largest here; use smaller batches or a smaller model`,
      );
    }
    return Math.max(1, length);
  }

  /** The threads of a call as gpu.js takes them, and the sizes that the kernel is told. */
  private gridOf(launch: Launch): { output: number[]; grid: number[] } {
    if (launch.grid === 'line') return { output: [this.checked(launch.count)], grid: [launch.count] };
    if (launch.grid === 'tiles') throw new Error('webgl2 cannot chain results of four numbers');
    const { columns } = launch;
    this.checked(columns * launch.rows);
    // A flat grid is a texture of that form and must fit; one with layers is folded into a square.
    const layers = columns > this.widest || launch.rows > this.widest ? 2 : 1;
    const rows = Math.ceil(launch.rows / layers);
    return { output: [columns, rows, layers], grid: [launch.rows, rows] };
  }

  upload(values: Float32Array): Buffer {
    this.uploadKernel.setOutput([this.checked(values.length)]);
    return this.uploadKernel(values.length === 0 ? new Float32Array(1) : values);
  }

  launch(k: KernelSource, launch: Launch, arrays: readonly Buffer[], scalars: readonly number[]): Buffer {
    const { output, grid } = this.gridOf(launch);
    let compiled = this.kernels.get(k.name);
    if (compiled) compiled.setOutput(output);
    else {
      compiled = createKernel(this.compiler, 'webgl2', k, output);
      this.kernels.set(k.name, compiled);
      this.compiles++;
    }
    // biome-ignore lint/plugin: the parameters of one kernel
    const result = compiled(...arrays, ...scalars, ...grid) as Texture;
    assertMode(compiled, 'webgl2', k.name);
    if (result.constructor === this.Line) return result;
    const flat = new this.Line(result);
    result.delete();
    return flat;
  }

  async read(buffer: Buffer, length: number): Promise<Float32Array> {
    const texels = (buffer as Texture).renderValues();
    const values = new Float32Array(length);
    for (let i = 0; i < length; i++) values[i] = texels[i * 4];
    return values;
  }

  release(buffer: Buffer): void {
    (buffer as Texture).delete();
  }

  async destroy(): Promise<void> {
    this.failure ??= destroyed();
    this.kernels.clear();
    await this.compiler.destroy();
  }
}

/** @throws Error if the browser has no WebGL 2 with float textures */
export const createWebgl2Driver = (): Driver => new Webgl2Driver();
