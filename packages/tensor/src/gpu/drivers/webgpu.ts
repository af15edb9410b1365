/** @file WebGPU through gpu.js: buffers stay on the device, calls are queued there in order. */

import { type KernelSource, kernel } from '../kernel-source.ts';
import { DeviceError, type Driver, destroyed, isSoftwareName, type Launch, sizeOfLaunch } from './driver.ts';
import { assertMode, type CompiledKernel, createCompiler, createKernel, type DeviceBuffer } from './gpu-js.ts';

/** What gpu.js's handle of a device buffer holds. */
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

/**
 * @param how WebGPU is reached, for people
 * @throws Error if there is no adapter, or gpu.js takes another way than WebGPU
 */
export async function createWebgpuDriver(how: string): Promise<Driver> {
  const compiler = createCompiler('webgpu');
  const kernels = new Map<string, CompiledKernel>();
  let compiles = 0;
  let failure: Error | null = null;

  const find = async (
    k: KernelSource,
    output: number[],
    call: (compiled: CompiledKernel) => unknown,
  ): Promise<Handle> => {
    let compiled = kernels.get(k.name);
    if (compiled) compiled.setOutput(output);
    else {
      compiled = createKernel(compiler, 'webgpu', k, output);
      kernels.set(k.name, compiled);
      compiles++;
    }
    const handle = (await call(compiled)) as Handle;
    assertMode(compiled, 'webgpu', k.name);
    return handle;
  };

  const first = await find(probe, [1], (compiled) => compiled(1, 1));
  const { adapter, device } = first.context;
  const HandleOf = first.constructor as HandleClass;
  compiles = 0;
  device.lost.then(({ message }) => {
    failure ??= new DeviceError(
      `the GPU was lost (${message.replace(/\.$/, '') || 'no reason given'}); what was computed since the last checkpoint is gone: start again from it`,
    );
  });
  // gpu.js would print every error; here the first one is told, by whatever is read after it.
  device.onuncapturederror = null;
  device.addEventListener('uncapturederror', (event) => {
    const { error } = event as GPUUncapturedErrorEvent;
    const memory = error.constructor.name === 'GPUOutOfMemoryError';
    failure ??= new DeviceError(
      memory
        ? 'the GPU is out of memory; use smaller batches, recomputed activations or a smaller model'
        : `the GPU refused a command: ${error.message}`,
    );
  });

  const limit = Math.min(device.limits.maxStorageBufferBindingSize, device.limits.maxBufferSize);
  const largest = Math.floor(limit / 4);
  const checked = (length: number): number => {
    if (length > largest) {
      throw new RangeError(
        `a tensor of ${length} elements needs ${length * 4} bytes, this GPU allows ${limit} in one buffer; use smaller batches or a smaller model`,
      );
    }
    return Math.max(1, length);
  };

  /** A buffer that may also be copied into. gpu.js makes those of results without that use. */
  const create = (length: number): Handle => {
    const size = checked(length);
    const buffer = device.createBuffer({ size: size * 4, usage: STORAGE | COPY_SRC | COPY_DST });
    return new HandleOf({ buffer, output: [size], componentCount: 1, context: first.context, kernel: first.kernel });
  };

  const shape = (launch: Launch): { output: number[]; grid: number[] } => {
    checked(sizeOfLaunch(launch));
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
  };

  return {
    mode: 'webgpu',
    description: `WebGPU on ${adapterName(adapter)}, through ${how}`,
    // OpenGL's adapters do not say that they are software.
    software: adapter.info.isFallbackAdapter || isSoftwareName(adapterName(adapter)),
    get compiles() {
      return compiles;
    },
    get failure() {
      return failure;
    },
    largest,
    round: (length) => length,
    tiles: true,
    integers: true,
    upload(values) {
      const handle = create(values.length);
      device.queue.writeBuffer(handle.buffer, 0, values as Float32Array<ArrayBuffer>);
      return handle;
    },
    async launch(k, launch, arrays, scalars) {
      const { output, grid } = shape(launch);
      const handle = await find(k, output, (compiled) => compiled(...arrays, ...scalars, ...grid));
      // The four numbers of a thread lie side by side: as memory it is a plain array.
      handle.componentCount = 1;
      return handle;
    },
    async read(buffer, length) {
      const view = (buffer as Handle).clone() as Handle;
      view.output = [length];
      view.componentCount = 1;
      // A copy from a buffer that was never really there is dropped, and would read as zeros.
      device.pushErrorScope('validation');
      const values = view.toArray() as Promise<Float32Array>;
      values.catch(() => {});
      try {
        const refusal = await device.popErrorScope();
        if (refusal) throw new DeviceError(`the GPU refused to hand out values: ${refusal.message}`);
        return await values;
      } finally {
        view.delete();
      }
    },
    release: (buffer) => (buffer as Handle).delete(),
    putRows(buffer, rows, ids, columns) {
      let table = buffer as Handle;
      const encoder = device.createCommandEncoder();
      if (!(table.buffer.usage & COPY_DST)) {
        table = create(table.buffer.size / 4);
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
      device.queue.submit([encoder.finish()]);
      if (table !== buffer) (buffer as Handle).delete();
      return table;
    },
    async destroy() {
      failure ??= destroyed();
      kernels.clear();
      first.delete();
      await compiler.destroy();
    },
  };
}
