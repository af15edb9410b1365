/**
 * @file The interface of WebGPU without a GPU: it accepts every command, computes nothing (all values read as 0), and fails on
 * request the way a real device does. Memory has an end; a device can be taken away.
 */

interface MockBuffer {
  readonly size: number;
  readonly usage: number;
  readonly valid: boolean;
  destroy(): void;
  mapAsync(): Promise<void>;
  getMappedRange(): ArrayBuffer;
  unmap(): void;
}

export interface MockWebgpu {
  /** For `navigator.gpu`. */
  readonly gpu: object;
  /** Bytes in buffers now. */
  readonly bytes: number;
  /** Bytes that fit. */
  memory: number;
  /** Takes the device away, as a driver reset does. */
  lose(message: string): void;
}

class GPUOutOfMemoryError extends Error {}
class GPUValidationError extends Error {}

/** @param largest bytes of the largest buffer */
export function createMockWebgpu(largest: number): MockWebgpu {
  let bytes = 0;
  let lose: (info: { message: string; reason: string }) => void = () => {};
  const events = new EventTarget();
  const scopes: { filter: string; error: Error | null }[] = [];
  const fail = (error: Error) => {
    const scope = scopes.at(-1);
    if (scope && scope.filter === 'validation' && error instanceof GPUValidationError) scope.error ??= error;
    else queueMicrotask(() => events.dispatchEvent(Object.assign(new Event('uncapturederror'), { error })));
  };
  const createBuffer = ({ size, usage }: { size: number; usage: number }): MockBuffer => {
    const valid = bytes + size <= mock.memory;
    if (valid) bytes += size;
    else fail(new GPUOutOfMemoryError(`no room for ${size} bytes`));
    let alive = valid;
    return {
      size,
      usage,
      valid,
      destroy() {
        if (alive) bytes -= size;
        alive = false;
      },
      mapAsync: async () => {
        if (!valid) throw new Error('the buffer is invalid');
      },
      getMappedRange: () => new ArrayBuffer(size),
      unmap() {},
    };
  };
  const need = (buffer: MockBuffer) => {
    if (!buffer.valid) fail(new GPUValidationError('a command names an invalid buffer'));
  };
  const device = {
    limits: { maxStorageBufferBindingSize: largest, maxBufferSize: largest, maxComputeWorkgroupsPerDimension: 65535 },
    lost: new Promise((resolve) => {
      lose = resolve;
    }),
    onuncapturederror: null,
    addEventListener: events.addEventListener.bind(events),
    pushErrorScope: (filter: string) => scopes.push({ filter, error: null }),
    popErrorScope: async () => scopes.pop()?.error ?? null,
    createBuffer,
    createShaderModule: () => ({ getCompilationInfo: async () => ({ messages: [] }) }),
    createBindGroupLayout: () => ({}),
    createPipelineLayout: () => ({}),
    createComputePipeline: () => ({}),
    createBindGroup: ({ entries }: { entries: { resource: { buffer: MockBuffer } }[] }) => {
      for (const { resource } of entries) need(resource.buffer);
      return {};
    },
    createCommandEncoder: () => ({
      beginComputePass: () => ({ setPipeline() {}, setBindGroup() {}, dispatchWorkgroups() {}, end() {} }),
      copyBufferToBuffer(from: MockBuffer, _: number, to: MockBuffer) {
        need(from);
        need(to);
      },
      finish: () => ({}),
    }),
    queue: { submit() {}, writeBuffer: need },
    destroy: () => lose({ message: 'destroyed', reason: 'destroyed' }),
  };
  const adapter = {
    info: { vendor: 'mock', architecture: '', device: '', description: '', isFallbackAdapter: false },
    limits: device.limits,
    requestDevice: async () => device,
  };
  const mock: MockWebgpu = {
    gpu: { requestAdapter: async () => adapter },
    get bytes() {
      return bytes;
    },
    memory: Number.POSITIVE_INFINITY,
    lose: (message) => lose({ message, reason: 'unknown' }),
  };
  return mock;
}
