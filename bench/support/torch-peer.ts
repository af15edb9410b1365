/** @file The same work in PyTorch: bench/torch_peer.py, kept running and asked in turns with ours. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface, type Interface } from 'node:readline';

export interface TorchInfo {
  readonly torch: string;
  readonly blas: string;
  /** Vector instructions PyTorch's own kernels use. */
  readonly capability: string;
  /** The instruction set that `--isa` asked of PyTorch and its libraries. */
  readonly isa: string;
  readonly threads: number;
  /** Of the process before any model is made. */
  readonly rss_mb: number;
}

/**
 * Environment that holds PyTorch to 256-bit instructions: MKL's products (the variable works on Intel's processors), oneDNN's, and
 * PyTorch's own loops.
 */
const AVX2 = { MKL_ENABLE_INSTRUCTIONS: 'AVX2', ONEDNN_MAX_CPU_ISA: 'AVX2', ATEN_CPU_CAPABILITY: 'avx2' };

/** The flags that choose it. */
export const PEER_FLAGS = { peer: '', isa: 'native' } as const;

export class TorchPeer {
  readonly info: TorchInfo;
  private readonly child: ChildProcess;
  private readonly lines: AsyncIterator<string>;

  private constructor(child: ChildProcess, lines: AsyncIterator<string>, info: TorchInfo) {
    this.child = child;
    this.lines = lines;
    this.info = info;
  }

  /** @param python the interpreter of an environment that has torch (and transformers, for training) */
  static async start(
    python: string,
    { threads, isa }: { threads: number; isa: 'native' | 'avx2' },
  ): Promise<TorchPeer> {
    const count = String(threads);
    const child = spawn(python, ['bench/torch_peer.py', '--threads', count, '--isa', isa], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: {
        ...process.env,
        OMP_NUM_THREADS: count,
        MKL_NUM_THREADS: count,
        OPENBLAS_NUM_THREADS: count,
        ...(isa === 'avx2' && AVX2),
      },
    });
    // A Python that is none, or that ends at once: its exit is told by `ask`.
    child.stdin!.on('error', () => {});
    const reader: Interface = createInterface({ input: child.stdout! });
    const lines = reader[Symbol.asyncIterator]();
    const peer = new TorchPeer(child, lines, {} as TorchInfo);
    return new TorchPeer(child, lines, (await peer.ask({ op: 'info' })) as TorchInfo);
  }

  /** Sends one request and waits for its answer. @throws Error with the peer's message, or if it has ended */
  async ask(request: object): Promise<unknown> {
    this.child.stdin!.write(`${JSON.stringify(request)}\n`);
    const { value, done } = await this.lines.next();
    if (done) throw new Error('the PyTorch peer has ended; its message is above');
    const answer = JSON.parse(value) as { error?: string };
    if (answer.error) throw new Error(`PyTorch peer: ${answer.error}`);
    return answer;
  }

  stop(): void {
    this.child.stdin!.end();
  }

  describe(): string {
    const { torch, blas, capability, isa, threads } = this.info;
    return `PyTorch ${torch}, ${blas}, ${capability}${isa === 'native' ? '' : `, held to ${isa}`}, ${threads} thread${threads > 1 ? 's' : ''}`;
  }
}
