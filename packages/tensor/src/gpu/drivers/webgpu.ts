/** @file WebGPU through gpu.js: buffers stay on the device, calls are queued there in order. */

import { type KernelSource, kernel } from '../kernel-source.ts';
import {
  type Buffer,
  DeviceError,
  type Driver,
  destroyed,
  isSoftwareName,
  type Launch,
  sizeOfLaunch,
} from './driver.ts';
import {
  assertMode,
  type CompiledKernel,
  type Compiler,
  createCompiler,
  createKernel,
  type DeviceBuffer,
} from './gpu-js.ts';

/** gpu.js's handle of a device buffer. */
interface Handle extends DeviceBuffer {
  readonly buffer: GPUBuffer;
  readonly context: { readonly adapter: GPUAdapter; readonly device: GPUDevice };
  readonly kernel: unknown;
  componentCount: number;
}

interface HandleClass {
  new (settings: {
    buffer: GPUBuffer;
    output: number[];
    componentCount: number;
    context: unknown;
    kernel: unknown;
  }): Handle;
}

// The numbers of GPUBufferUsage, which not every runtime has as a global.
const STORAGE = 0x80;
const COPY_SRC = 0x4;
const COPY_DST = 0x8;

/** Threads side by side in a work group of rows, and work groups the specification guarantees per dimension. */
const ACROSS = 8;
const GROUPS = 65535;

const probe = kernel('probe', 'line', { floats: 'value' }, 'y = value;');

const adapterName = ({ info }: GPUAdapter): string =>
  [info.vendor, info.architecture, info.device, info.description].filter((part) => part).join(' ') || 'unnamed adapter';

/** Kernels of one compiler by name. */
class Kernels {
  readonly compiler: Compiler = createCompiler('webgpu');
  private readonly compiled = new Map<string, CompiledKernel>();
  compiles = 0;

  /** Compiles a kernel at its first call. */
  async call(k: KernelSource, output: number[], args: readonly unknown[]): Promise<Handle> {
    let compiled = this.compiled.get(k.name);
    if (compiled) compiled.setOutput(output);
    else {
      compiled = createKernel(this.compiler, 'webgpu', k, output);
      this.compiled.set(k.name, compiled);
      this.compiles++;
    }
    // biome-ignore lint/plugin: the parameters of one kernel
    const handle = (await compiled(...args)) as Handle;
    assertMode(compiled, 'webgpu', k.name);
    return handle;
  }

  async destroy(): Promise<void> {
    this.compiled.clear();
    await this.compiler.destroy();
  }
}

class WebgpuDriver implements Driver {
  readonly mode = 'webgpu';
  readonly description: string;
  readonly software: boolean;
  readonly tiles = true;
  readonly integers = true;
  readonly largest: number;
  failure: Error | null = null;
  private readonly kernels: Kernels;
  /** The result of the probe: gpu.js's own class, device and kernel, of which other buffers are made. */
  private readonly first: Handle;
  private readonly device: GPUDevice;
  /** Bytes that this GPU allows in one buffer. */
  private readonly limit: number;

  constructor(how: string, kernels: Kernels, first: Handle) {
    const { adapter, device } = first.context;
    this.kernels = kernels;
    this.first = first;
    this.device = device;
    this.description = `WebGPU on ${adapterName(adapter)}, through ${how}`;
    // OpenGL's adapters do not say that they are software.
    this.software = adapter.info.isFallbackAdapter || isSoftwareName(adapterName(adapter));
    this.limit = Math.min(device.limits.maxStorageBufferBindingSize, device.limits.maxBufferSize);
    this.largest = Math.floor(this.limit / 4);
    this.watch();
  }

  get compiles(): number {
    return this.kernels.compiles;
  }

  /** Notes the loss of the device and its first error; gpu.js would print every error. */
  private watch(): void {
    const { device } = this;
    device.lost.then(({ message }) => {
      this.failure ??= new DeviceError(
        `the GPU was lost (${message.replace(/\.$/, '') || 'no reason given'}); what was computed since the last checkpoint is gone: start again from it`,
      );
    });
    device.onuncapturederror = null;
    device.addEventListener('uncapturederror', (event) => {
      const { error } = event as GPUUncapturedErrorEvent;
      const memory = error.constructor.name === 'GPUOutOfMemoryError';
      this.failure ??= new DeviceError(
        memory
          ? 'the GPU is out of memory; use smaller batches, recomputed activations or a smaller model'
          : `the GPU refused a command: ${error.message}`,
      );
    });
  }

  round(length: number): number {
    return length;
  }

  private checked(length: number): number {
    if (length > this.largest) {
      throw new RangeError(
        `a tensor of ${length} elements needs ${length * 4} bytes, this GPU allows ${this.limit} in one buffer; use smaller batches or a smaller model`,
      );
    }
    return Math.max(1, length);
  }

  /** A buffer that may also be copied into. gpu.js makes those of results without that use. */
  private create(length: number): Handle {
    const { context, kernel } = this.first;
    const HandleOf = this.first.constructor as HandleClass;
    const size = this.checked(length);
    const buffer = this.device.createBuffer({ size: size * 4, usage: STORAGE | COPY_SRC | COPY_DST });
    return new HandleOf({ buffer, output: [size], componentCount: 1, context, kernel });
  }

  /** The threads of a call as gpu.js takes them, and the sizes that the kernel is told. */
  private gridOf(launch: Launch): { output: number[]; grid: number[] } {
    this.checked(sizeOfLaunch(launch));
    if (launch.grid === 'line') return { output: [launch.count], grid: [launch.count] };
    if (launch.grid === 'tiles') {
      return { output: [launch.columns / 4, launch.rows, launch.matrices], grid: [launch.rows] };
    }
    if (launch.columns > ACROSS * GROUPS) {
      throw new RangeError(`rows of ${launch.columns} elements are longer than the ${ACROSS * GROUPS} this GPU takes`);
    }
    const layers = Math.ceil(launch.rows / (ACROSS * GROUPS));
    const rows = Math.ceil(launch.rows / layers);
    return { output: [launch.columns, rows, layers], grid: [launch.rows, rows] };
  }

  upload(values: Float32Array): Buffer {
    const handle = this.create(values.length);
    this.device.queue.writeBuffer(handle.buffer, 0, values as Float32Array<ArrayBuffer>);
    return handle;
  }

  async launch(
    k: KernelSource,
    launch: Launch,
    arrays: readonly Buffer[],
    scalars: readonly number[],
  ): Promise<Buffer> {
    const { output, grid } = this.gridOf(launch);
    const handle = await this.kernels.call(k, output, [...arrays, ...scalars, ...grid]);
    // The four numbers of a thread lie side by side: as memory it is a plain array.
    handle.componentCount = 1;
    return handle;
  }

  async read(buffer: Buffer, length: number): Promise<Float32Array> {
    const view = (buffer as Handle).clone() as Handle;
    view.output = [length];
    view.componentCount = 1;
    // A copy from a buffer that was never really there is dropped, and would read as zeros.
    this.device.pushErrorScope('validation');
    const values = view.toArray() as Promise<Float32Array>;
    values.catch(() => {});
    try {
      const refusal = await this.device.popErrorScope();
      if (refusal) throw new DeviceError(`the GPU refused to hand out values: ${refusal.message}`);
      return await values;
    } finally {
      view.delete();
    }
  }

  release(buffer: Buffer): void {
    (buffer as Handle).delete();
  }

  putRows(buffer: Buffer, rows: Buffer, ids: Int32Array, columns: number): Buffer {
    let table = buffer as Handle;
    const encoder = this.device.createCommandEncoder();
    if (!(table.buffer.usage & COPY_DST)) {
      table = this.create(table.buffer.size / 4);
      encoder.copyBufferToBuffer((buffer as Handle).buffer, 0, table.buffer, 0, table.buffer.size);
    }
    const bytes = columns * 4;
    for (let u = 0; u < ids.length; ) {
      // Neighbours in the table are neighbours in `rows`: one copy for all of them.
      let end = u + 1;
      while (end < ids.length && ids[end] === ids[end - 1] + 1) end++;
      encoder.copyBufferToBuffer((rows as Handle).buffer, u * bytes, table.buffer, ids[u] * bytes, (end - u) * bytes);
      u = end;
    }
    this.device.queue.submit([encoder.finish()]);
    if (table !== buffer) (buffer as Handle).delete();
    return table;
  }

  async destroy(): Promise<void> {
    this.failure ??= destroyed();
    this.first.delete();
    await this.kernels.destroy();
  }
}

/**
 * @param how WebGPU is reached, for people
 * @throws Error if there is no adapter, or gpu.js takes another way than WebGPU
 */
export async function createWebgpuDriver(how: string): Promise<Driver> {
  const kernels = new Kernels();
  const first = await kernels.call(probe, [1], [1, 1]);
  kernels.compiles = 0;
  return new WebgpuDriver(how, kernels, first);
}
